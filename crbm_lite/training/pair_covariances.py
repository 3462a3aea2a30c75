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

from crbm_lite.core.spikes import Spikes

__all__ = ["chosen_neurons", "co_active", "missing_pattern", "share_of_covariance"]

_N_NEURONS = 1000  # spread evenly over the recording: half a million pairs
_N_BLOCKS = 20  # blocks of frames, taken in turn by the two halves
_SIGNIFICANT = 3.0  # standard errors of the shared power, below which there is nothing to share
_N_PATTERNS, _SIGNIFICANT_PATTERN = 8, 5.0  # tried in each half; standard errors, many are tried


def chosen_neurons(n_neurons: int) -> np.ndarray:
    """Choose the neurons whose pairs are compared: all, or 1,000 spread evenly."""
    return np.unique(np.linspace(0, n_neurons - 1, min(n_neurons, _N_NEURONS)).astype(np.int64))


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


def share_of_covariance(
    spikes: Spikes, co_active_model: np.ndarray, n_samples: int, neurons: np.ndarray
) -> float:
    """Compute the share of the data's pair covariances that a model reproduces.

    It is NaN where the data have none.

    Parameters
    ----------
    spikes : Spikes
        The recording.
    co_active_model : ndarray, shape (n, n)
        `co_active` of the spikes that the model generated.
    n_samples : int
        How many samples these were.
    neurons : ndarray of int, shape (n,)
        See `chosen_neurons`.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> together = (rng.random((3000, 1)) < 0.2) & (rng.random((3000, 20)) < 0.5)
    >>> alone = rng.random((3000, 20)) < together.mean(axis=0)
    >>> data, neurons = as_spikes(together), chosen_neurons(20)
    >>> for v in (together, alone):
    ...     print(abs(round(share_of_covariance(data, co_active(v), 3000, neurons), 1)))
    1.0
    0.0
    """
    v, n_frames = spikes.to_csr(np.uint8)[:, neurons].toarray(), spikes.n_frames
    half = _blocks(n_frames) % 2 == 0
    if half.all() or not half.any():
        return float("nan")
    halves = [(co_active(v[some]), int(some.sum())) for some in (half, ~half)]
    power = variance = shared = 0.0
    for i in range(len(neurons) - 1):  # neuron by neuron: all pairs at once would be 40 MB
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


@threadpool_limits.wrap(limits=1, user_api="blas")  # the number of BLAS threads may change sums
def missing_pattern(
    spikes: Spikes, co_active_model: np.ndarray, n_samples: int, neurons: np.ndarray
) -> tuple[float, np.ndarray]:
    """Find the pattern of neurons whose covariance the model lacks most.

    Parameters
    ----------
    spikes, co_active_model, n_samples, neurons
        As in `share_of_covariance`.

    Returns
    -------
    share : float
        Share of the pattern's covariance in the data that the model lacks: near 1 where it lacks an
        assembly, 0 where it lacks no pattern that both halves of the frames have.
    most : ndarray of int, shape (n,)
        The neurons, those of the pattern first.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> together = (rng.random((3000, 1)) < 0.2) & (rng.random((3000, 20)) < 0.5)
    >>> alone = rng.random((3000, 20)) < together.mean(axis=0)
    >>> data, neurons = as_spikes(together), chosen_neurons(20)
    >>> for v in (together, alone):
    ...     print(abs(round(missing_pattern(data, co_active(v), 3000, neurons)[0], 1)))
    0.0
    1.0
    """
    v, blocks = spikes.to_csr(np.uint8)[:, neurons].toarray(), _blocks(spikes.n_frames)
    p = v.mean(axis=0)
    scale = np.where((p > 0) & (p < 1), 1.0 / np.sqrt(np.maximum(p * (1.0 - p), 1e-12)), 0.0)
    scale = scale.astype(np.float32)
    model = _scaled_covariances(co_active_model, n_samples, scale)
    worst, most, n = 0.0, neurons, len(neurons)
    for half in (0, 1):
        found, tried = v[blocks % 2 == half], v[blocks % 2 != half]
        if n < 2 or not len(found) or not len(tried):
            continue
        more = _scaled_covariances(co_active(found), len(found), scale) - model
        first = max(n - _N_PATTERNS, 0)
        patterns = scipy.linalg.eigh(more, subset_by_index=(first, n - 1))[1] * scale[:, None]
        centred = tried - tried.mean(axis=0, dtype=np.float32)
        # without the pairs (i, i), as in the covariances
        frames = (centred @ patterns) ** 2 - centred**2 @ patterns**2
        in_data, n_blocks = frames.mean(axis=0), len(np.unique(blocks[blocks % 2 != half]))
        parts = np.array_split(frames - in_data, n_blocks)
        error = np.sqrt(sum(part.mean(axis=0) ** 2 for part in parts) / n_blocks / (n_blocks - 1))
        unscaled = patterns / np.where(scale > 0, scale, 1.0)[:, None]
        lacking = in_data - np.einsum("ik,ij,jk->k", unscaled, model, unscaled, optimize=True)
        is_sure = lacking > _SIGNIFICANT_PATTERN * error
        shares = np.where(is_sure, lacking / np.maximum(in_data, 1e-12), 0.0)
        if shares.max() > worst:
            worst = float(shares.max())
            most = neurons[np.argsort(-np.abs(unscaled[:, shares.argmax()]), kind="stable")]
    return worst, most
