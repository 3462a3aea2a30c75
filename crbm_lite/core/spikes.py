"""Binary spike matrices: one check and one form, compressed sparse rows with one row per frame.

The form takes 4 bytes for each spike, 16 % of a uint8 matrix at an activity of 4 %, and both phases
of training read it row by row. Bits would take 12.5 % whatever the activity, but every pass over
the spikes would have to look at the silent 96 %, too. Sums over the frames of a neuron (V'h) read
the transposed form, `SpikesByNeuron`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from crbm_lite.checks.arguments import as_array, is_integer
from crbm_lite.checks.sparse import as_sparse
from crbm_lite.core.compilation import cached_njit, items_of, parallel_njit

__all__ = [
    "Spikes",
    "SpikesByNeuron",
    "SpikesError",
    "as_spikes",
    "evenly_spread",
    "frames_given_neuron",
    "input_given_spikes",
    "spikes_given_bits",
    "spikes_of_model",
    "tiles",
    "weight_sums",
]

_TILE = 2**21  # entries of a dense matrix looked at together
_ROWS = 1024  # rows worked on together: temporaries of 1.6 MB at M = 200
_FRAMES_PER_GROUP = 50  # frames of data that read W together
_CACHED_ENTRIES = 65_536  # of W, 256 kB: a share of the cache


class SpikesError(ValueError):
    """Spikes that are not a non-empty binary (frames, neurons) matrix."""


@dataclass(frozen=True)
class Spikes:
    """Spikes of T frames and N neurons in compressed sparse rows.

    Attributes
    ----------
    frame_starts : ndarray of int64, shape (T + 1,)
        Where the frames begin in ``neurons``.
    neurons : ndarray of int32
        The active neurons, frame after frame, ascending within a frame.
    n_neurons : int
    names : tuple of str, optional
        The names of the neurons, if the data have them.
    """

    frame_starts: np.ndarray
    neurons: np.ndarray
    n_neurons: int
    names: tuple[str, ...] | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.frame_starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return self.n_frames, self.n_neurons

    def sha256(self) -> str:
        """Digest the shape and the spikes: 64 hexadecimal digits, the same for the same matrix."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for array, dtype in ((self.frame_starts, "<i8"), (self.neurons, "<i4")):
            digest.update(np.ascontiguousarray(array, dtype))
        return digest.hexdigest()

    def activity(self) -> np.ndarray:
        """Average v over the frames: shape (N,), float64."""
        count = np.zeros(self.n_neurons, np.int64)
        for first in range(0, len(self.neurons), _TILE):  # bincount makes 64-bit copies
            count += np.bincount(self.neurons[first : first + _TILE], minlength=self.n_neurons)
        return count / self.n_frames

    def by_neuron(self) -> SpikesByNeuron:
        """Transpose the matrix."""
        frames = np.arange(self.n_frames)
        return SpikesByNeuron(
            *frames_given_neuron(self.frame_starts, self.neurons, frames, self.n_neurons)
        )

    def take(self, frames: np.ndarray) -> Spikes:
        """Choose frames by their numbers, or by a mask (T,), in the given order.

        Examples
        --------
        >>> v = as_spikes(np.array([[0, 1], [1, 1], [0, 0]]))
        >>> v.take([1, 0]).dense()
        array([[1, 1],
               [0, 1]], dtype=uint8)
        """
        index = np.arange(self.n_frames)[frames]
        counts = np.diff(self.frame_starts)[index]
        starts = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        neurons = self.neurons[np.repeat(self.frame_starts[index], counts) + within]
        return replace(self, frame_starts=starts, neurons=neurons)

    def take_neurons(self, neurons: np.ndarray) -> Spikes:
        """Choose neurons by their numbers, ascending; the others are gone.

        Examples
        --------
        >>> as_spikes(np.array([[0, 1, 1], [1, 0, 1]])).take_neurons([1, 2]).dense()
        array([[1, 1],
               [0, 1]], dtype=uint8)
        """
        column = np.full(self.n_neurons, -1, np.int32)
        column[neurons] = np.arange(len(neurons), dtype=np.int32)
        columns = column[self.neurons]
        before = np.concatenate([[0], np.cumsum(columns >= 0)])
        names = self.names and tuple(self.names[i] for i in neurons)
        return Spikes(before[self.frame_starts], columns[columns >= 0], len(neurons), names)

    def to_csr(self, dtype: type = np.float32) -> scipy.sparse.csr_array:
        """Return the same matrix as a scipy array with ones of ``dtype``."""
        ones = np.ones(len(self.neurons), dtype)
        return scipy.sparse.csr_array((ones, self.neurons, self.frame_starts), shape=self.shape)

    def inputs(self, weights: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
        """Compute v W with weights (N, M) for all or chosen frames: (frames, M) float64."""
        if frames is None:
            frames = np.arange(self.n_frames)
        out = np.empty((len(frames), weights.shape[1]))
        input_given_spikes(self.frame_starts, self.neurons, frames, weights, out)
        return out

    def input_tiles(self, weights: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield a thousand frames after the other, with their products v W in float64."""
        frames = np.arange(self.n_frames)
        for some in tiles(self.n_frames):
            yield some, self.inputs(weights, frames[some])

    def of_neurons(self, neurons: np.ndarray) -> np.ndarray:
        """Return all frames of chosen neurons as uint8 (T, neurons), in the given order.

        Examples
        --------
        >>> as_spikes(np.array([[0, 1, 1], [1, 0, 1]])).of_neurons([2, 0])
        array([[1, 0],
               [1, 1]], dtype=uint8)
        """
        out = np.empty((self.n_frames, len(neurons)), np.uint8)
        frame = np.zeros(self.n_neurons, np.uint8)
        for t, (first, last) in enumerate(zip(self.frame_starts, self.frame_starts[1:])):
            active = self.neurons[first:last]
            frame[active] = 1
            out[t] = frame[neurons]
            frame[active] = 0
        return out

    def dense(self, frames: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return all or chosen frames as uint8 (frames, N)."""
        index = np.arange(self.n_frames)[frames]
        out = np.zeros((len(index), self.n_neurons), np.uint8)
        for row, t in enumerate(index):
            out[row, self.neurons[self.frame_starts[t] : self.frame_starts[t + 1]]] = 1
        return out


@parallel_njit(error_model="numpy")
def input_given_spikes(thread, frame_starts, neurons, frames, weights, out):
    """Compute I = vW of chosen frames of a recording: out (frames, M) float64.

    A few dozen frames share the rows of W that are in the cache. Each frame adds its neurons in
    their order.
    """
    n_neurons, n_hidden = weights.shape
    rows_per_tile = max(_CACHED_ENTRIES // max(n_hidden, 1), 1)
    for group in items_of(thread, (frames.shape[0] + _FRAMES_PER_GROUP - 1) // _FRAMES_PER_GROUP):
        first = group * _FRAMES_PER_GROUP
        last = min(first + _FRAMES_PER_GROUP, frames.shape[0])
        next_spike = frame_starts[frames[first:last]]
        out[first:last] = 0.0
        for end_of_tile in range(rows_per_tile, n_neurons + rows_per_tile, rows_per_tile):
            for row in range(first, last):
                total, end = out[row], frame_starts[frames[row] + 1]
                k = next_spike[row - first]
                while k < end and neurons[k] < end_of_tile:
                    w = weights[neurons[k]]
                    for mu in range(n_hidden):
                        total[mu] += w[mu]
                    k += 1
                next_spike[row - first] = k


@cached_njit()
def frames_given_neuron(frame_starts, neurons, frames, n_neurons):
    """Transpose chosen frames: neuron i is active in rows[starts[i]:starts[i + 1]] of them."""
    starts = np.zeros(n_neurons + 1, np.int64)
    for t in frames:
        for k in range(frame_starts[t], frame_starts[t + 1]):
            starts[neurons[k] + 1] += 1
    for i in range(n_neurons):
        starts[i + 1] += starts[i]
    rows = np.empty(starts[n_neurons], np.int32)
    position = starts[:-1].copy()
    for row in range(frames.shape[0]):
        for k in range(frame_starts[frames[row]], frame_starts[frames[row] + 1]):
            i = neurons[k]
            rows[position[i]] = row
            position[i] += 1
    return starts, rows


@parallel_njit()
def _sum_over_frames(thread, starts, frames, y, out):
    for i in items_of(thread, out.shape[0]):
        total = out[i]
        total[:] = 0.0
        for k in range(starts[i], starts[i + 1]):
            row = y[frames[k]]
            for mu in range(row.shape[0]):
                total[mu] += row[mu]


@dataclass(frozen=True)
class SpikesByNeuron:
    """The same spikes, neuron after neuron.

    Attributes
    ----------
    neuron_starts : ndarray of int64, shape (N + 1,)
        Where the neurons begin in ``frames``.
    frames : ndarray of int32
        The frames in which a neuron spikes, ascending.
    """

    neuron_starts: np.ndarray
    frames: np.ndarray

    def sums(self, y: np.ndarray, neurons: slice) -> np.ndarray:
        """Compute the rows ``neurons`` of V'y, for y (T, k) float32, summed in float64.

        Examples
        --------
        >>> v = as_spikes(np.array([[0, 1], [1, 1], [0, 0]])).by_neuron()
        >>> v.sums(np.array([[1.0], [2.0], [4.0]], np.float32), slice(0, 2))
        array([[2.],
               [3.]])
        """
        starts = self.neuron_starts[neurons.start : neurons.stop + 1]
        out = np.empty((len(starts) - 1, y.shape[1]))
        _sum_over_frames(starts, self.frames, y, out)
        return out


def tiles(n_rows: int) -> list[slice]:
    """Cut rows into slices of at most 1,024, so that temporary arrays stay small."""
    return [slice(i, min(i + _ROWS, n_rows)) for i in range(0, n_rows, _ROWS)]


def evenly_spread(n_rows: int, n_most: int) -> np.ndarray:
    """Choose all rows, or at most ``n_most`` that are spread evenly over them, ascending.

    Examples
    --------
    >>> evenly_spread(3, 5), evenly_spread(100, 4)
    (array([0, 1, 2]), array([ 0, 33, 66, 99]))
    """
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, n_most)).astype(np.int64))


def weight_sums(activity: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum W' <v> and |w| of every hidden unit, both (M,) float64, without a copy of W."""
    offset, size = np.zeros((2, weights.shape[1]))
    for tile in tiles(len(weights)):
        w = weights[tile].astype(np.float64)
        offset += activity[tile] @ w
        size += np.abs(w).sum(axis=0)
    return offset, size


def _from_sparse(v: scipy.sparse.sparray, name: str) -> Spikes:
    try:
        csr = as_sparse(v, name)
    except ValueError as error:
        raise SpikesError(str(error)) from error
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    _check_values(np.asarray(csr.data), name)
    counts = csr.indptr
    neurons = csr.indices
    stored_zeros = csr.data == 0
    if stored_zeros.any():
        kept = np.concatenate([[0], np.cumsum(~stored_zeros)])
        counts, neurons = kept[csr.indptr], csr.indices[~stored_zeros]
    return Spikes(counts.astype(np.int64), neurons.astype(np.int32), csr.shape[1])


def _from_dense(v: np.ndarray, name: str) -> Spikes:
    for frames in _frame_tiles(v.shape):
        try:
            _check_values(v[frames], name)
        except SpikesError:
            _check_values(v, name)  # for the count of all wrong values
            raise
    return _from_tiles(v.shape, lambda frames: v[frames])


def _frame_tiles(shape: tuple[int, int]) -> list[slice]:
    """Cut frames so that masks and 64-bit indices of some never outweigh the recording."""
    n_frames, n_neurons = shape
    rows = max(1, _TILE // max(n_neurons, 1))
    return [slice(t, min(t + rows, n_frames)) for t in range(0, n_frames, rows)]


def _from_tiles(shape: tuple[int, int], tile_of: Callable[[slice], np.ndarray]) -> Spikes:
    n_frames, n_neurons = shape
    frames_of_tiles = _frame_tiles(shape)
    n_spikes = sum(np.count_nonzero(tile_of(some)) for some in frames_of_tiles)
    counts, neurons = np.zeros(n_frames + 1, np.int64), np.empty(n_spikes, np.int32)
    done = 0
    for some in frames_of_tiles:
        frames, active = np.nonzero(tile_of(some))
        counts[some.start + 1 : some.stop + 1] = np.bincount(
            frames, minlength=some.stop - some.start
        )
        neurons[done : done + len(active)] = active
        done += len(active)
    return Spikes(np.cumsum(counts), neurons, n_neurons)


def spikes_given_bits(bits: object, n_neurons: int) -> Spikes:
    """Read a recording of one bit for each neuron and frame, some frames at a time.

    Everything that takes v takes what this returns. So a recording that is too large for memory as
    a matrix can stay in a file, which `numpy.load` maps.

    Parameters
    ----------
    bits : (T, ceil(N / 8)) array of uint8
        As ``np.packbits(v, axis=1)`` makes it; it may be mapped from a file. Never changed.
    n_neurons : int
        N, which the bits cannot tell: up to seven of the last byte are zero.

    Raises
    ------
    SpikesError
        If the bits are no matrix of uint8, or belong to another number of neurons.

    Examples
    --------
    >>> v = np.array([[0, 1, 1], [1, 0, 0]])
    >>> spikes_given_bits(np.packbits(v, axis=1), n_neurons=3).dense()
    array([[0, 1, 1],
           [1, 0, 0]], dtype=uint8)
    """
    array = as_array(bits, "bits")
    if array.ndim != 2 or array.dtype != np.uint8:
        raise SpikesError(
            f"bits has shape {array.shape} and dtype {array.dtype}: give (frames, bytes) of uint8, "
            "as np.packbits(v, axis=1) makes it"
        )
    n_bytes = array.shape[1]
    if not is_integer(n_neurons) or -(-int(n_neurons) // 8) != n_bytes:
        raise SpikesError(
            f"n_neurons is {n_neurons!r}: give a number that fits {n_bytes} bytes per frame, "
            f"{max(8 * n_bytes - 7, 0)} to {8 * n_bytes}"
        )
    n_neurons = int(n_neurons)
    n_spare = -n_neurons % 8
    if n_spare and (array[:, -1] & np.uint8((1 << n_spare) - 1)).any():
        raise SpikesError(f"bits has spikes beyond neuron {n_neurons - 1}: give a larger n_neurons")
    return _from_tiles(
        (len(array), n_neurons),
        lambda frames: np.unpackbits(array[frames], axis=1, count=n_neurons),
    )


def _check_values(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "biuf":
        raise SpikesError(
            f"{name} has dtype {values.dtype}: give 0 and 1 as bool, an integer or a float type"
            + (". Complex data not supported." if values.dtype.kind == "c" else "")
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise SpikesError(
            f"{name} holds NaN: fill those frames, or leave them out, before you binarise"
        )
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        example = values[wrong].flat[0]
        raise SpikesError(
            f"{name} holds {example!s}, and {wrong.sum()} such values in all: give only 0 and 1, "
            "for example counts > 0, or deconvolve dF/F"
        )


def _names_of(v: object) -> tuple[str, ...] | None:
    """Return the names of the neurons of a Recording, of Spikes, or of a table's columns.

    Columns that are numbered 0, 1, ... have no names. Other numbers are names, as texts.
    """
    if hasattr(v, "columns"):
        labels = list(v.columns)
        return None if labels == list(range(len(labels))) else tuple(map(str, labels))
    is_ours = isinstance(v, Spikes) or hasattr(v, "spikes")
    return getattr(v, "names", None) if is_ours else None


def _check_names(names: tuple[str, ...], wanted: Sequence[str], name: str) -> None:
    """Raise if neurons are not those of a model, in its order."""
    i = next((i for i, (a, b) in enumerate(zip(names, wanted)) if a != b), None)
    if i is None:
        return
    which = f"neuron {i} is {names[i]!r}, the model's {str(wanted[i])!r}"
    if sorted(names) == sorted(wanted):
        raise SpikesError(
            f"{name} has the neurons of the model in another order ({which}): give them in the "
            "order of model.feature_names_in_, for example with recording.select_neurons"
        )
    raise SpikesError(f"{name} has other neurons than the model ({which}): give the neurons of fit")


def as_spikes(
    v: object,
    name: str = "v",
    n_neurons: int | None = None,
    neuron_names: Sequence[str] | None = None,
) -> Spikes:
    """Check that v is a binary (T, N) matrix and bring it into compressed sparse rows.

    Parameters
    ----------
    v : (T, N) array of bool, uint8 or 0/1 numbers, scipy.sparse matrix, ``Spikes``, or an object
        with such an attribute ``spikes`` (a ``Recording``)
        Never changed.
    name : str
        The name of v in error messages.
    n_neurons : int, optional
        The number of neurons that v must have, that of a model.
    neuron_names : sequence of str, optional
        The names, in this order, that v's neurons must have if they have names at all. Numbers are
        compared as texts.

    Raises
    ------
    SpikesError
        If v is not two-dimensional, is empty, holds NaN or values other than 0 and 1, or has
        another number of neurons than the model, or neurons of other names or in another order.

    Examples
    --------
    >>> import numpy as np
    >>> as_spikes(np.array([[0, 1], [1, 1], [0, 0]])).neurons
    array([1, 0, 1], dtype=int32)
    """
    names = _names_of(v)
    v = getattr(v, "spikes", v)
    if isinstance(v, Spikes):
        spikes = v
    elif scipy.sparse.issparse(v):
        spikes = _from_sparse(v, name)
    else:
        try:
            array = as_array(v, name)
        except ValueError as error:
            raise SpikesError(str(error)) from error
        if array.ndim != 2:
            raise SpikesError(
                f"{name} has shape {array.shape}: give (frames, neurons). Reshape your data: one "
                "frame is v[None, :], one neuron is v[:, None]"
            )
        spikes = _from_dense(array, name)
    if 0 in spikes.shape:
        missing = "feature(s)" if spikes.n_frames else "sample(s)"
        raise SpikesError(
            f"{name} is empty: it has 0 {missing} (shape={spikes.shape}) while a minimum of 1 is "
            "required; samples are frames, features are neurons"
        )
    if n_neurons is not None and spikes.n_neurons != n_neurons:
        raise SpikesError(
            f"{name} has {spikes.n_neurons} features (neurons), but the model is expecting "
            f"{n_neurons} features as input: give the neurons of fit"
        )
    if names is not None and neuron_names is not None:
        _check_names(names, neuron_names, name)
    return spikes if names == spikes.names else replace(spikes, names=names)


def spikes_of_model(model: object, v: object, name: str = "v") -> Spikes:
    """Check spikes as `as_spikes`, and that their neurons are those of a model, in its order.

    Parameters
    ----------
    model : object
        A `crbm_lite.CRBM`, or another one. Its ``weights_`` (N, M), or else its ``n_neurons``, tell
        how many neurons there are, and its ``feature_names_in_`` which; what a model does not have
        is not asked for.
    v, name
        As in `as_spikes`.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        A ValueError: the model is an estimator that is not fitted.
    SpikesError
        As `as_spikes`.
    """
    if isinstance(model, BaseEstimator):
        check_is_fitted(model)
    has_weights = hasattr(model, "weights_")
    n_neurons = len(model.weights_) if has_weights else getattr(model, "n_neurons", None)
    wanted = getattr(model, "feature_names_in_", None)
    names = _names_of(v) or ()
    if wanted is None and {*names} == {*map(str, range(len(names)))}:
        wanted = [*map(str, range(len(names)))]  # numbered columns, in another order
    return as_spikes(v, name, n_neurons, wanted)
