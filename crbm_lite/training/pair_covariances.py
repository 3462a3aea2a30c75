r"""How much of the data's pair covariances a model has: altogether, and in the worst direction.

Stationarity alone does not say that a model is any good: W = 0 is stationary, and so is a model of
which an assembly is missing. With C the covariances <v_i v_j> - <v_i><v_j> over i < j, data against
model,

.. math:: \mathrm{share} = \frac{\sum_{i<j} C^{model}_{ij} C^{data}_{ij}}
                                {\sum_{i<j} C^{odd}_{ij} C^{even}_{ij}} ,

is the slope of model on data. Its denominator is the power of the covariances that odd and even
blocks of frames agree on, which leaves their sampling noise out. The numerator is linear in the
model, so noise averages out there.

A pattern that is missing is one direction among many, and the share hardly falls. So the directions
in which odd blocks have more covariance than the model are tried on even blocks, and the other way
round.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_limits

from crbm_lite.core.spikes import evenly_spread

__all__ = ["chosen_neurons", "co_active", "missing_pattern", "share_of_covariance"]

_N_NEURONS = 1000  # spread evenly over the recording: half a million pairs
_N_BLOCKS = 20  # blocks of frames, taken in turn by the two halves
_SIGNIFICANT = 3.0  # times the noise of power or gain, below which there is nothing to share
_N_PATTERNS, _SIGNIFICANT_PATTERN = 30, 2.0  # tried in each half; standard errors
_LEAST_VARIANCE = 0.1  # of a pattern in the model, of that of independent neurons


def chosen_neurons(n_neurons: int) -> np.ndarray:
    """Choose the neurons whose pairs are compared: all, or 1,000 spread evenly."""
    return evenly_spread(n_neurons, _N_NEURONS)


@threadpool_limits.wrap(limits=1, user_api="blas")  # the number of BLAS threads may change sums
def co_active(v: np.ndarray) -> np.ndarray:
    """Count the samples in which i and j spike: (n, n) float32, exact below 16 million."""
    v = v.astype(np.float32)
    return v.T @ v


def _covariances_with_later(co_active: np.ndarray, n_samples: int, i: int) -> np.ndarray:
    """Covariances of neuron i with all j > i."""
    p = np.diag(co_active).astype(np.float64) / n_samples
    return co_active[i, i + 1 :] / np.float64(n_samples) - p[i] * p[i + 1 :]


def _blocks(n_frames: int) -> np.ndarray:
    """Number of the block of each frame."""
    return np.arange(n_frames) * _N_BLOCKS // n_frames


def share_of_covariance(v: np.ndarray, co_active_model: np.ndarray, n_samples: int) -> float:
    """Compute the share of the data's pair covariances that a model reproduces.

    It is NaN where the data have none.

    Parameters
    ----------
    v : ndarray of 0 and 1, shape (T, n)
        Frames of the data, of some neurons (`chosen_neurons`).
    co_active_model : ndarray, shape (n, n)
        `co_active` of the spikes that the model generated.
    n_samples : int
        How many samples these were.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> together = (rng.random((3000, 1)) < 0.2) & (rng.random((3000, 20)) < 0.5)
    >>> alone = rng.random((3000, 20)) < together.mean(axis=0)
    >>> for v in (together, alone):
    ...     print(abs(round(share_of_covariance(together, co_active(v), 3000), 1)))
    1.0
    0.0
    """
    half = _blocks(len(v)) % 2 == 0
    if half.all() or not half.any():
        return float("nan")
    halves = [(co_active(v[some]), int(some.sum())) for some in (half, ~half)]
    power = variance = shared = 0.0
    for i in range(v.shape[1] - 1):  # neuron by neuron: all pairs at once would be 40 MB
        odd, even = (_covariances_with_later(*counts, i) for counts in halves)
        model = _covariances_with_later(co_active_model, n_samples, i)
        power += odd @ even
        variance += np.square(odd) @ np.square(even)
        shared += model @ (0.5 * (odd + even))
    if not power > _SIGNIFICANT * np.sqrt(variance):
        return float("nan")
    return float(shared / power)


def _scaled_covariances(co_active: np.ndarray, n_samples: int, scale: np.ndarray) -> np.ndarray:
    """Covariances of all pairs, times the scales of both neurons; zero on the diagonal."""
    p = np.diag(co_active) / np.float32(n_samples)
    out = (co_active / np.float32(n_samples) - np.outer(p, p)) * np.outer(scale, scale)
    np.fill_diagonal(out, 0.0)
    return out


def _gain(excess: np.ndarray) -> float:
    """Log-likelihood of a Gaussian with more variance than expected by ``excess`` of it, summed."""
    excess = np.maximum(excess, 0.0)
    return float(np.sum(0.5 * (excess - np.log1p(excess))))


@threadpool_limits.wrap(limits=1, user_api="blas")  # the number of BLAS threads may change sums
def missing_pattern(
    v: np.ndarray, co_active_model: np.ndarray, n_samples: int
) -> tuple[float, np.ndarray]:
    """Find the patterns of neurons whose covariance the model lacks.

    Parameters
    ----------
    v, co_active_model, n_samples
        As in `share_of_covariance`.

    Returns
    -------
    share : float
        What a Gaussian would gain by the patterns that the model lacks and that both halves of the
        frames have, over what it gains by all patterns of the data: 0 where nothing is missing,
        1 / K where one of K equal assemblies is.
    most : ndarray of int, shape (n,)
        The columns of v, those of the worst pattern first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> together = (rng.random((3000, 1)) < 0.2) & (rng.random((3000, 20)) < 0.5)
    >>> alone = rng.random((3000, 20)) < together.mean(axis=0)
    >>> for v in (together, alone):
    ...     print(abs(round(missing_pattern(together, co_active(v), 3000)[0], 1)))
    0.0
    1.0
    """
    blocks = _blocks(len(v))
    p = v.mean(axis=0)
    scale = np.where((p > 0) & (p < 1), 1.0 / np.sqrt(np.maximum(p * (1.0 - p), 1e-12)), 0.0)
    scale = scale.astype(np.float32)
    model = _scaled_covariances(co_active_model, n_samples, scale)
    lacking = total = noise = worst = 0.0
    most = np.arange(v.shape[1])
    for half in (0, 1):
        found, tried = v[blocks % 2 == half], v[blocks % 2 != half]
        if v.shape[1] < 2 or not len(found) or not len(tried):
            continue
        data = _scaled_covariances(co_active(found), len(found), scale)
        scaled = (tried - tried.mean(axis=0, dtype=np.float32)) * scale
        n_blocks = len(np.unique(blocks[blocks % 2 != half]))
        for expected, is_model in ((0.0 * model, False), (model, True)):
            patterns = _largest(data - expected)
            in_model = np.einsum("ik,ij,jk->k", patterns, expected, patterns, optimize=True)
            # without the pairs (i, i), as in the covariances
            frames = (scaled @ patterns) ** 2 - scaled**2 @ patterns**2
            more, error = _mean_and_error(frames, n_blocks)
            excess = (more - in_model) / np.maximum(1.0 + in_model, _LEAST_VARIANCE)
            excess[more - in_model < _SIGNIFICANT_PATTERN * error] = 0.0
            if is_model:
                lacking += _gain(excess)
                if excess.max() > worst:
                    worst, pattern = excess.max(), np.abs(patterns[:, excess.argmax()])
                    most = np.argsort(-pattern, kind="stable")
            else:
                total += _gain(excess)
                noise += _gain(error)
    return (min(lacking / total, 1.0) if total > _SIGNIFICANT * noise else 0.0), most


def _largest(symmetric: np.ndarray) -> np.ndarray:
    """The eigenvectors of the largest eigenvalues, as columns."""
    n = len(symmetric)
    first = max(n - _N_PATTERNS, 0)
    return scipy.linalg.eigh(symmetric, subset_by_index=(first, n - 1))[1]


def _mean_and_error(frames: np.ndarray, n_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over the frames (T, k), and their standard errors by blocks."""
    mean = frames.mean(axis=0)
    parts = np.stack([part.mean(axis=0) for part in np.array_split(frames - mean, n_blocks)])
    return mean, np.sqrt(np.square(parts).sum(axis=0) / n_blocks / max(n_blocks - 1, 1))
