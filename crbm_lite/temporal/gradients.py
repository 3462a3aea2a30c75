r"""The gradient of log P(sequence) by back-propagation through the windows.

With the means :math:`\langle\cdot\rangle_{c_t}` of the model under the drive of the frame,
:math:`e_t = r_t - \langle h \rangle_{c_t}`, :math:`k_t = Var(h_t | v_t, past)` and

.. math::

    d_t = A^\top a_{t+1}, \quad d_T = 0, \qquad
    a_t = \frac{dL}{dc_t} = e_t + k_t d_t,

.. math::

    \frac{dL}{dA} &= \sum_t a_t (r_{t-1} - \bar h)^\top, \quad
    \frac{dL}{db} = \sum_{t>1} a_t, \quad \frac{dL}{dc_1} = a_1, \\
    \frac{dL}{dW} &= \sum_t v_t (r_t + k_t d_t)^\top - \langle v h^\top \rangle_{c_t}, \quad
    \frac{dL}{dg} = \sum_t v_t - \langle v \rangle_{c_t}, \\
    \frac{dL}{dx} &= \sum_t E[f | v_t, past] - \langle f \rangle_{c_t} + d_t\, Cov(f, h | v_t, past)

for a number x of the potential, where f = -dU/dx is :math:`-h_\pm^2/2` or :math:`-h_\pm`. (For one
frame it is the gradient of a cRBM.) The mean :math:`\bar h` that centres A is a constant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crbm_lite.core.compilation import items_of, parallel_njit
from crbm_lite.core.drelu import DReLU, partial_moments
from crbm_lite.temporal.recurrence import Recurrence
from crbm_lite.temporal.windows import Windows

__all__ = [
    "RecurrenceSlopes",
    "back_propagated",
    "half_moments_given_input",
    "potential_slope",
    "recurrence_slopes",
]


class RecurrenceSlopes(NamedTuple):
    """Slopes of log P, summed over all frames: couplings (M, M), offset (M,), initial (M,)."""

    couplings: np.ndarray
    offset: np.ndarray
    initial: np.ndarray


def back_propagated(
    own_slope: np.ndarray, variance: np.ndarray, windows: Windows, couplings: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Carry the slopes of later frames back to the earlier ones that drive them.

    Parameters
    ----------
    own_slope : (T, M) float64
        The slope of each frame's own log P in its c, e_t, in step order.
    variance : (T, M) float64
        k_t.
    windows : Windows
    couplings : (M, M) float64

    Returns
    -------
    by_drive : (T, M) float64
        a_t, the slope of log P(sequence) in c_t.
    by_mean_h : (T, M) float64
        d_t, its slope in r_t.
    """
    by_drive, by_mean_h = np.array(own_slope), np.zeros_like(own_slope)
    for now, before in reversed(windows.steps()):
        by_drive[now] += variance[now] * by_mean_h[now]
        by_mean_h[before] = by_drive[now][: before.stop - before.start] @ couplings
    return by_drive, by_mean_h


def recurrence_slopes(
    by_drive: np.ndarray, mean_h: np.ndarray, windows: Windows, recurrence: Recurrence
) -> RecurrenceSlopes:
    """Sum the slopes of log P in A, b and c of the first frames; all (T, M) in step order."""
    couplings = np.zeros_like(recurrence.couplings)
    steps = windows.steps()
    for now, before in steps[1:]:
        couplings += by_drive[now].T @ (mean_h[before] - recurrence.mean_h)
    first = steps[0][0]
    initial = by_drive[first].sum(axis=0)
    return RecurrenceSlopes(couplings, by_drive.sum(axis=0) - initial, initial)


@parallel_njit(error_model="numpy")
def _fill(thread, inputs, gamma_plus, gamma_minus, theta_plus, theta_minus, out):
    for t in items_of(thread, inputs.shape[0]):
        row = np.empty(8)
        for mu in range(inputs.shape[1]):
            partial_moments(
                inputs[t, mu], gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu], row
            )
            for n in range(8):
                out[n, t, mu] = row[n]


def half_moments_given_input(inputs: np.ndarray, units: DReLU) -> np.ndarray:
    """Compute E[max(h, 0)^n | I], n = 1..4, then E[min(h, 0)^n | I]: (8, T, M) given I (T, M)."""
    out = np.empty((8, *inputs.shape))
    _fill(np.ascontiguousarray(inputs), *units.parameters, out)
    return out


def potential_slope(moments: np.ndarray, by_mean_h: np.ndarray | None = None) -> np.ndarray:
    """Compute the slope of log P + log Z in gamma+, gamma-, theta+, theta-, frame by frame.

    Parameters
    ----------
    moments : (8, T, M) float64
        As `half_moments_given_input` gives them, at the inputs I + c.
    by_mean_h : (T, M) float64, optional
        d_t: how later frames depend on r_t. By default they do not.

    Returns
    -------
    (4, T, M) float64
    """
    up, down = moments[:4], moments[4:]
    slope = np.stack([-0.5 * up[1], -0.5 * down[1], -up[0], -down[0]])
    if by_mean_h is not None:
        h = up[0] + down[0]
        slope += by_mean_h * np.stack(
            [
                -0.5 * (up[2] - h * up[1]),
                -0.5 * (down[2] - h * down[1]),
                -(up[1] - h * up[0]),
                -(down[1] - h * down[0]),
            ]
        )
    return slope
