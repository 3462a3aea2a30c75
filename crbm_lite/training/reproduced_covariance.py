r"""How much of a recording's pair covariances a model has taken up: near 0 for an empty model.

Stationarity alone does not say that a model is any good: W = 0 is stationary, and so is a W of a
few entries. With C the covariances <v_i v_j> - <v_i><v_j> over i < j, data against model,

.. math:: \mathrm{share} = \frac{\sum_{i<j} C^{model}_{ij} C^{data}_{ij}}
                                {\sum_{i<j} C^{odd}_{ij} C^{even}_{ij}} ,

the slope of model on data. Its denominator is the power of the covariances that odd and even blocks
of frames agree on, which leaves their sampling noise out; the numerator is linear in the model, so
noise there averages out.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from crbm_lite.core.spikes import Spikes

_N_NEURONS = 1000  # spread evenly over the recording: half a million pairs
_N_BLOCKS = 20  # blocks of frames, taken in turn by the two halves
_SIGNIFICANT = 3.0  # standard errors of the shared power, below which there is nothing to share


def chosen_neurons(n_neurons: int) -> np.ndarray:
    """Indices of the neurons whose pairs are compared: all, or 1,000 spread evenly."""
    return np.unique(np.linspace(0, n_neurons - 1, min(n_neurons, _N_NEURONS)).astype(np.int64))


@threadpool_limits.wrap(limits=1, user_api="blas")  # the number of BLAS threads may change sums
def co_active(v: np.ndarray) -> np.ndarray:
    """Numbers of samples in which i and j spike, (n, n) float32; exact below 16 million."""
    v = v.astype(np.float32)
    return v.T @ v


def _covariances_with_later(co_active: np.ndarray, n_samples: int, i: int) -> np.ndarray:
    """Covariances of neuron i with all j > i."""
    p = np.diag(co_active).astype(np.float64) / n_samples
    return co_active[i, i + 1 :] / np.float64(n_samples) - p[i] * p[i + 1 :]


def share_of_covariance(
    spikes: Spikes, co_active_model: np.ndarray, n_samples: int, neurons: np.ndarray
) -> float:
    """Share of the data's pair covariances that a model reproduces; NaN where data have none.

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
    half = (np.arange(n_frames) * _N_BLOCKS // n_frames) % 2 == 0
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
