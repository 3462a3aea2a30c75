r"""Time courses of linear units, taken anew from their members alone.

A rotated component has the noise of all neurons, and the members of an assembly are few. Given the
slopes w of the neurons' log-odds, which are zero but for members, the mean spikes are nearly

.. math:: v_i(t) \approx p_i + p_i (1 - p_i) \sum_\mu w_{i\mu} h_\mu(t)

with a noise of variance p (1 - p). If h has unit variance, its posterior mean is that of a linear
regression,

.. math:: h(t) = (1 + W^T D W)^{-1} W^T (v(t) - p), \qquad D = diag(p_i (1 - p_i)),

which also tells apart units that share neurons.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from crbm_lite.core.spikes import Spikes

__all__ = ["courses_of_members"]


def courses_of_members(spikes: Spikes, rise: np.ndarray) -> np.ndarray:
    """Find the time courses (T, k) that fit the spikes of members best, of unit variance.

    Parameters
    ----------
    spikes : Spikes
    rise : ndarray, shape (N, k)
        Rise of each neuron's log-odds per unit of h; it is zero where a neuron is no member. Units
        without members are left out.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> on = rng.random((500, 2)) < 0.3  # two groups of ten neurons
    >>> v = rng.random((500, 20)) < np.where(np.repeat(on, 10, axis=1), 0.7, 0.05)
    >>> h = courses_of_members(as_spikes(v), np.kron(np.eye(2), np.full((10, 1), 1.5)))
    >>> float(np.corrcoef(h[:, 0], on[:, 0])[0, 1].round(2))
    0.95
    """
    rise = rise[:, rise.any(axis=0)]
    p = spikes.activity()
    with threadpool_limits(1, "blas"):  # the number of BLAS threads may change sums
        information = rise.T @ ((p * (1.0 - p))[:, None] * rise)
        unmixing = np.linalg.inv(np.eye(len(information)) + information)
        courses = spikes.inputs(rise) @ unmixing
    courses -= courses.mean(axis=0)
    return (courses / np.maximum(courses.std(axis=0), 1e-9)).astype(np.float32)
