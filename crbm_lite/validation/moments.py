r"""First and second moments of a sample of binary activity, at the scale of a whole brain.

For T frames of N neurons, with :math:`c_i` the number of spikes of neuron i and :math:`c_{ij}` the
number of frames in which i and j are both active:

.. math::

    \langle v_i \rangle = c_i / T, \qquad
    \langle v_i v_j \rangle - \langle v_i \rangle \langle v_j \rangle = (T c_{ij} - c_i c_j) / T^2,

and for hidden units represented by their conditional mean h = E[h|v]

.. math::

    \langle h_\mu \rangle, \qquad \langle v_i h_\mu \rangle = \tfrac1T \sum_{t: v_i(t)=1} h_\mu(t),
    \qquad \langle h_\mu h_\nu \rangle - \langle h_\mu \rangle \langle h_\nu \rangle .

Spikes are held as bits, one row of 64-bit words per neuron. That is N T / 8 bytes: 94 MB for 50,000
neurons and 15,000 frames. A co-activation count is then the population count of the bitwise AND of
two rows. Counts are integers and exact, and a covariance is rounded once. The N x N covariances are
only ever made tile by tile. Sums over frames run in a fixed order in float64, whatever the number
of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from crbm_lite.checks.arguments import as_numbers
from crbm_lite.core.compilation import cached_njit
from crbm_lite.core.spikes import as_spikes
from crbm_lite.core.vector_code import population_count, trailing_zeros

__all__ = ["MomentSums", "SampleMoments", "sample_moments"]

_CHUNK_BYTES = 2**25  # of dense uint8 frames in memory at once


@cached_njit(nogil=True)
def _covariance_tile(words_a, counts_a, words_b, counts_b, n_frames, out):
    """Fill out[a, b] with (T c_ab - c_a c_b) / T^2; the numerator is an exact integer."""
    scale = float(n_frames) * float(n_frames)
    for a in range(words_a.shape[0]):
        for b in range(words_b.shape[0]):
            both = np.uint64(0)
            for word in range(words_a.shape[1]):
                both += population_count(words_a[a, word] & words_b[b, word])
            out[a, b] = (n_frames * np.int64(both) - counts_a[a] * counts_b[b]) / scale


@cached_njit(nogil=True)
def _covariance_of_pairs(words, counts, n_frames, first, second, out):
    """Fill out[k] with the covariance of the neurons first[k] and second[k]."""
    scale = float(n_frames) * float(n_frames)
    for pair in range(first.size):
        i, j = first[pair], second[pair]
        both = np.uint64(0)
        for word in range(words.shape[1]):
            both += population_count(words[i, word] & words[j, word])
        out[pair] = (n_frames * np.int64(both) - counts[i] * counts[j]) / scale


@cached_njit(nogil=True)
def _add_active_rows(words, h, out):
    """Add to out[i] the rows h[t] of the frames in which neuron i is active, in order of time."""
    for i in range(words.shape[0]):
        for word in range(words.shape[1]):
            bits = words[i, word]
            while bits != np.uint64(0):
                t = np.int64(64 * word) + trailing_zeros(bits)
                for mu in range(h.shape[1]):
                    out[i, mu] += h[t, mu]
                bits &= bits - np.uint64(1)


@cached_njit(nogil=True)
def _add_outer_products(d, out):
    """Add sum_t d[t, mu] d[t, nu] to out, in an order that threaded BLAS would not keep."""
    for t in range(d.shape[0]):
        for mu in range(d.shape[1]):
            for nu in range(d.shape[1]):
                out[mu, nu] += d[t, mu] * d[t, nu]


@dataclass(frozen=True, eq=False)
class SampleMoments:
    """The moments of T frames of N neurons and, if given, of M hidden means: `sample_moments`.

    Attributes
    ----------
    n_frames : int
        T, the number of frames over which the averages run.
    spike_counts : (N,) int64
        Number of frames in which each neuron is active.
    words : (N, W) uint64
        The frames as bits, 64 per word. Bits that belong to no frame are 0.
    mean_h : (M,) float64 or None
        Average of h = E[h|v] over the frames.
    mean_vh : (N, M) float64 or None
        Raw average of v_i h_mu.
    covariance_hh : (M, M) float64 or None
        Covariance of h_mu and h_nu over the frames, divided by T.
    """

    n_frames: int
    spike_counts: np.ndarray
    words: np.ndarray
    mean_h: np.ndarray | None = None
    mean_vh: np.ndarray | None = None
    covariance_hh: np.ndarray | None = None

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.spike_counts)

    @property
    def n_hidden(self) -> int:
        """Number of hidden units M; 0 without hidden means."""
        return 0 if self.mean_h is None else len(self.mean_h)

    def of_neurons(self, neurons: np.ndarray) -> SampleMoments:
        """Keep the moments of some neurons, named by their indices."""
        mean_vh = None if self.mean_vh is None else self.mean_vh[neurons]
        counts, words = self.spike_counts[neurons], self.words[neurons]
        return replace(self, spike_counts=counts, words=words, mean_vh=mean_vh)

    @property
    def mean_v(self) -> np.ndarray:
        """Fraction of frames in which each neuron is active, (N,) float64."""
        return self.spike_counts / self.n_frames

    def covariance_tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Compute the covariances of the neurons `rows` with the neurons `columns`, float64.

        One thread computes it without the interpreter's lock, so plain threads make tiles in
        parallel.

        Examples
        --------
        >>> import numpy as np
        >>> v = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=np.uint8)
        >>> sample_moments(v).covariance_tile(slice(0, 1), slice(0, 3))
        array([[ 0.25 ,  0.125, -0.125]])
        """
        words_a, words_b = self.words[rows], self.words[columns]
        out = np.empty((len(words_a), len(words_b)))
        counts_a, counts_b = self.spike_counts[rows], self.spike_counts[columns]
        _covariance_tile(words_a, counts_a, words_b, counts_b, self.n_frames, out)
        return out

    def covariance_of_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compute the covariance of the neurons first[k] and second[k], (K,) float64.

        Examples
        --------
        >>> import numpy as np
        >>> v = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=np.uint8)
        >>> sample_moments(v).covariance_of_pairs(np.array([0, 1]), np.array([2, 2]))
        array([-0.125 , -0.1875])
        """
        out = np.empty(len(first))
        _covariance_of_pairs(self.words, self.spike_counts, self.n_frames, first, second, out)
        return out


def _pack(dense: np.ndarray) -> np.ndarray:
    """Turn (n, N) of 0/1 into (N, ceil(n / 64)) words, frame t in bit t % 64 of word t // 64."""
    n_frames, n_neurons = dense.shape
    n_words = -(-n_frames // 64)
    octets = np.zeros((n_neurons, 8 * n_words), dtype=np.uint8)
    packed = np.packbits(dense, axis=0, bitorder="little")
    octets[:, : len(packed)] = packed.T
    return octets.view("<u8").astype(np.uint64, copy=False)


def _dense_chunks(v: object, name: str) -> Iterator[np.ndarray]:
    """Yield `v` as dense (n, N) uint8 pieces of a bounded size, checked to be binary."""
    if isinstance(v, Iterator):
        for piece in v:
            yield from _dense_chunks(piece, name)
        return
    v = getattr(v, "spikes", v)
    is_bytes = type(v) is np.ndarray and v.dtype in (np.uint8, np.bool_) and v.ndim == 2
    if not (is_bytes and v.size):
        v, is_bytes = as_spikes(v, name), False
    n_frames, n_neurons = v.shape
    size = max(64, _CHUNK_BYTES // n_neurons // 64 * 64)
    for start in range(0, n_frames, size):
        frames = slice(start, start + size)
        if not is_bytes:
            yield v.dense(frames)
        elif v[frames].max() > 1:
            as_spikes(v, name)  # raises the error that says what is wrong
        else:
            yield v[frames].view(np.uint8)


def _checked_h(h: np.ndarray, n_frames: int) -> np.ndarray:
    h = np.ascontiguousarray(as_numbers(h, "mean_h"))
    if h.ndim != 2 or len(h) != n_frames or not np.isfinite(h).all():
        raise ValueError(
            f"mean_h returned shape {h.shape} for {n_frames} frames"
            f"{'' if np.isfinite(h).all() else ', with NaN or infinity'}: return finite numbers, "
            "(n, M) for n frames"
        )
    return h


class MomentSums:
    """Sums over frames that arrive piece by piece, and the moments that they make.

    Parameters
    ----------
    mean_h : callable, optional
        As in `sample_moments`.
    name : str
        What error messages call the source (default "v").
    neurons : array of int, optional
        The neurons whose moments you want (default: all). `mean_h` is given all of them.
    """

    def __init__(
        self,
        mean_h: Callable[[np.ndarray], np.ndarray] | None = None,
        name: str = "v",
        neurons: np.ndarray | None = None,
    ) -> None:
        self.mean_h, self.name, self.neurons = mean_h, name, neurons
        self.n_frames = 0
        self._words: list[np.ndarray] = []
        self._shift = self._sum_d = self._sum_dd = self._sum_vh = None

    def add(self, frames: np.ndarray) -> None:
        """Add (n, N) uint8 frames of 0 and 1."""
        packed = _pack(frames if self.neurons is None else frames[:, self.neurons])
        if self._words and len(packed) != len(self._words[0]):
            raise ValueError(
                f"{self.name} has a piece of {len(packed)} neurons, the first has "
                f"{len(self._words[0])}: give the same neurons in every piece"
            )
        self._words.append(packed)
        self.n_frames += len(frames)
        if self.mean_h is None:
            return
        h = _checked_h(self.mean_h(frames), len(frames))
        if self._shift is None:
            # Sums of deviations from a value near the mean lose no digits to the mean.
            self._shift = h.mean(axis=0)
            n_hidden = len(self._shift)
            self._sum_d, self._sum_dd = np.zeros(n_hidden), np.zeros((n_hidden, n_hidden))
            self._sum_vh = np.zeros((len(packed), n_hidden))
        d = h - self._shift
        self._sum_d += d.sum(axis=0)
        _add_outer_products(d, self._sum_dd)
        _add_active_rows(packed, h, self._sum_vh)

    def moments(self) -> SampleMoments:
        """Divide by the number of frames, which must be at least 1."""
        if self.n_frames == 0:
            raise ValueError(f"{self.name} holds no frames: give at least one")
        words = np.concatenate(self._words, axis=1)
        counts = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
        if self.mean_h is None:
            return SampleMoments(self.n_frames, counts, words)
        mean_vh = self._sum_vh / self.n_frames
        mean_d = self._sum_d / self.n_frames
        covariance_hh = self._sum_dd / self.n_frames - np.outer(mean_d, mean_d)
        mean_h = self._shift + mean_d
        return SampleMoments(self.n_frames, counts, words, mean_h, mean_vh, covariance_hh)


def sample_moments(
    v: object,
    mean_h: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    name: str = "v",
) -> SampleMoments:
    """Sum up the moments of a recording, an array, or frames that arrive piece by piece.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix, Recording, or iterator of (n, N) arrays
        Time is the first axis. An iterator is consumed and never held in memory whole: give one
        for samples that a model generates.
    mean_h : callable, optional
        Takes (n, N) uint8 frames and returns their hidden means E[h|v], (n, M):
        `model.mean_h_given_v`.
    name : str
        What error messages call the source (default "v").

    Returns
    -------
    SampleMoments
        All averages are over frames (divided by T). Dense and sparse input give the same bits.

    Raises
    ------
    ValueError
        If the source is empty or not binary, if its pieces differ in the number of neurons, or if
        `mean_h` returns a wrong shape or values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> v = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0]], dtype=np.uint8)
    >>> moments = sample_moments(v, mean_h=lambda v: 2.0 * v[:, :1])
    >>> moments.mean_v, moments.mean_h, moments.mean_vh[:, 0]
    (array([0.75, 0.75, 0.  ]), array([1.5]), array([1.5, 1. , 0. ]))
    """
    sums = MomentSums(mean_h, name)
    for chunk in _dense_chunks(v, name):
        sums.add(chunk)
    return sums.moments()
