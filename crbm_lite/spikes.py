"""Binary spike matrices: one check and one form, compressed sparse rows (a row is a frame).

At 3-5 % activity CSR holds 4 bytes a spike, 16 % of a uint8 matrix at 4 %, and both phases of
training read it row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from crbm_lite.kernels import input_given_spikes

_TILE = 2**23  # entries of a dense matrix looked at together


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
        Active neurons, frame after frame, ascending within a frame.
    n_neurons : int
    """

    frame_starts: np.ndarray
    neurons: np.ndarray
    n_neurons: int

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.frame_starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return self.n_frames, self.n_neurons

    def activity(self) -> np.ndarray:
        """Mean of v over the frames, shape (N,), float64."""
        return np.bincount(self.neurons, minlength=self.n_neurons) / self.n_frames

    def to_csr(self, dtype: type = np.float32) -> scipy.sparse.csr_array:
        """The same matrix as a scipy array with ones of ``dtype``."""
        ones = np.ones(len(self.neurons), dtype)
        return scipy.sparse.csr_array((ones, self.neurons, self.frame_starts), shape=self.shape)

    def inputs(self, weights: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
        """Products v W with weights (N, M) for all or chosen frames: (frames, M) float64."""
        if frames is None:
            frames = np.arange(self.n_frames)
        out = np.empty((len(frames), weights.shape[1]))
        input_given_spikes(self.frame_starts, self.neurons, frames, weights, out)
        return out

    def dense(self, frames: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Chosen frames as uint8 (frames, N)."""
        index = np.arange(self.n_frames)[frames]
        out = np.zeros((len(index), self.n_neurons), np.uint8)
        for row, t in enumerate(index):
            out[row, self.neurons[self.frame_starts[t] : self.frame_starts[t + 1]]] = 1
        return out


def _from_sparse(v: scipy.sparse.sparray, name: str) -> Spikes:
    csr = v.tocsr()
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
    """Some frames at a time: whole-brain masks and 64-bit indices would outweigh the recording."""
    rows = max(1, _TILE // max(v.shape[1], 1))
    counts, neurons = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
    for first in range(0, max(len(v), 1), rows):
        tile = v[first : first + rows]
        try:
            _check_values(tile, name)
        except SpikesError:
            _check_values(v, name)  # for the count of all wrong values
            raise
        frames, active = np.nonzero(tile)
        counts.append(np.bincount(frames, minlength=len(tile)))
        neurons.append(active.astype(np.int32))
    return Spikes(np.cumsum(np.concatenate(counts)), np.concatenate(neurons), v.shape[1])


def _check_values(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "biuf":
        raise SpikesError(
            f"{name} has dtype {values.dtype}; pass 0/1 as bool, an integer or a float type"
            + (". Complex data not supported." if values.dtype.kind == "c" else ".")
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise SpikesError(
            f"{name} contains NaN: remove or fill the frames concerned before binarising."
        )
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        example = values[wrong].flat[0]
        raise SpikesError(
            f"{name} must be binary (0 or 1) but contains {example!r} and {wrong.sum()} such values"
            " in all: binarise it first, for example v = (counts > 0), or deconvolve dF/F."
        )


def as_spikes(v: object, name: str = "v", n_neurons: int | None = None) -> Spikes:
    """Check that v is a binary (T, N) matrix and bring it into compressed sparse rows.

    Parameters
    ----------
    v : (T, N) array of bool, uint8 or 0/1 numbers, scipy.sparse matrix, ``Spikes``, or an object
        with such an attribute ``spikes`` (a ``Recording``)
        Never changed.
    name : str
        Its name in error messages.
    n_neurons : int, optional
        Number of neurons the model has.

    Raises
    ------
    SpikesError
        If v is not two-dimensional, is empty, holds NaN or values other than 0 and 1, or has
        another number of neurons than the model.

    Examples
    --------
    >>> import numpy as np
    >>> as_spikes(np.array([[0, 1], [1, 1], [0, 0]])).neurons
    array([1, 0, 1], dtype=int32)
    """
    v = getattr(v, "spikes", v)
    if isinstance(v, Spikes):
        spikes = v
    elif scipy.sparse.issparse(v):
        spikes = _from_sparse(v, name)
    else:
        array = np.asarray(v)
        if array.ndim != 2:
            raise SpikesError(
                f"{name} must have shape (frames, neurons), got {array.shape}. Reshape your data: "
                "one frame is v[None, :], one neuron is v[:, None]."
            )
        spikes = _from_dense(array, name)
    if 0 in spikes.shape:
        missing = "feature(s)" if spikes.n_frames else "sample(s)"
        raise SpikesError(
            f"{name} is empty: 0 {missing} (shape={spikes.shape}) while a minimum of 1 is required;"
            " samples are frames, features are neurons."
        )
    if n_neurons is not None and spikes.n_neurons != n_neurons:
        raise SpikesError(
            f"{name} has {spikes.n_neurons} features (neurons), but the model is expecting "
            f"{n_neurons} features as input; select the same neurons as in fit."
        )
    return spikes
