r"""The non-negative deconvolution of one trace, exactly, in O(T): an interior-point method.

.. math:: \min_{s \ge 0,\, b} \; \tfrac12 \sum_t (y_t - b - (k * s)_t)^2 + \lambda \sum_t s_t ,
          \qquad k = g\, \frac{1 + \sqrt{dr} L}{(1 - dL)(1 - rL)} ,

with d and r the decays per frame of the kernel's two exponentials and L the shift by a frame. With
:math:`x = s / ((1 - dL)(1 - rL))` both :math:`s = A x` and :math:`k * s = B x` are banded, so each
Newton step of a primal-dual interior-point method solves a pentadiagonal system: some fifteen steps
to any tolerance, however long the kernel.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

__all__ = ["solve_traces"]

_TOLERANCE = 1e-8  # mean of s times its multiplier, in units of the noise
_MOST_STEPS = 80


@njit(cache=True)
def _solve_pentadiagonal(diagonal, below1, below2, p, q, factor1, factor2, pivot):
    """Solve for the right-hand sides p and q in place; arrays have two entries before the first."""
    end = diagonal.size - 2
    for t in range(2, end):
        factor2[t] = below2[t] / pivot[t - 2]
        rest = below1[t] - below2[t] * factor1[t - 1]
        factor1[t] = rest / pivot[t - 1]
        pivot[t] = diagonal[t] - factor1[t] * rest - factor2[t] * below2[t]
        p[t] -= factor1[t] * p[t - 1] + factor2[t] * p[t - 2]
        q[t] -= factor1[t] * q[t - 1] + factor2[t] * q[t - 2]
    for t in range(end - 1, 1, -1):
        p[t] = p[t] / pivot[t] - factor1[t + 1] * p[t + 1] - factor2[t + 2] * p[t + 2]
        q[t] = q[t] / pivot[t] - factor1[t + 1] * q[t + 1] - factor2[t + 2] * q[t + 2]


@njit(cache=True)
def _solve_trace(y, decay, rise, gain, penalty, events):
    """Minimise the module's objective for one trace in units of its noise; return (b, minimum).

    Primal-dual interior point: x, b and the multipliers z of s = A x >= 0. All arrays carry two
    zeros at either end, so that the bands need no special case.
    """
    n = y.size
    first, end = 2, n + 2
    a1, a2, m = -(decay + rise), decay * rise, math.sqrt(decay * rise)
    x, s, z = np.zeros(n + 4), np.ones(n + 4), np.zeros(n + 4)
    residual, ratio, slope = np.zeros(n + 4), np.zeros(n + 4), np.zeros(n + 4)
    diagonal, below1, below2 = np.zeros(n + 4), np.zeros(n + 4), np.zeros(n + 4)
    p, q, ds, dz = np.zeros(n + 4), np.zeros(n + 4), np.zeros(n + 4), np.zeros(n + 4)
    factor1, factor2, pivot = np.zeros(n + 4), np.zeros(n + 4), np.ones(n + 4)
    column_sum = np.full(n + 4, gain * (1 + m))
    column_sum[end - 1] = gain
    z[first:end] = penalty
    for t in range(first, end):
        x[t] = 1.0 - a1 * x[t - 1] - a2 * x[t - 2]
    b, gap, length = 0.0, penalty, 1.0
    for _ in range(_MOST_STEPS):
        # After a long step aim far down the central path, after a short one stay near it.
        target = gap * (0.05 if length > 0.9 else 0.2 if length > 0.5 else 0.5)
        total = 0.0
        for t in range(first, end):
            residual[t] = gain * (x[t] + m * x[t - 1]) + b - y[t - first]
            total += residual[t]
            ratio[t] = z[t] / s[t]
            slope[t] = penalty - target / s[t]
        for t in range(first, end):
            diagonal[t] = gain**2 * (1 + m**2) + ratio[t] + a1**2 * ratio[t + 1]
            diagonal[t] += a2**2 * ratio[t + 2]
            below1[t] = gain**2 * m + a1 * ratio[t] + a1 * a2 * ratio[t + 1]
            below2[t] = a2 * ratio[t]
            p[t] = -gain * (residual[t] + m * residual[t + 1])
            p[t] -= slope[t] + a1 * slope[t + 1] + a2 * slope[t + 2]
            q[t] = column_sum[t]
        diagonal[end - 1] -= gain**2 * m**2
        below1[first] = below2[first] = below2[first + 1] = 0.0
        _solve_pentadiagonal(diagonal, below1, below2, p, q, factor1, factor2, pivot)
        against, with_b = -total, float(n)
        for t in range(first, end):
            against -= column_sum[t] * p[t]
            with_b -= column_sum[t] * q[t]
        db, length = against / with_b, 1 / 0.995
        for t in range(first, end):
            p[t] -= db * q[t]
            ds[t] = p[t] + a1 * p[t - 1] + a2 * p[t - 2]
            dz[t] = (target - z[t] * ds[t]) / s[t] - z[t]
            if s[t] + length * ds[t] < 0:
                length = -s[t] / ds[t]
            if z[t] + length * dz[t] < 0:
                length = -z[t] / dz[t]
        length *= 0.995  # s and z stay positive
        gap, b = 0.0, b + length * db
        for t in range(first, end):
            x[t] += length * p[t]
            s[t] += length * ds[t]
            z[t] += length * dz[t]
            gap += s[t] * z[t] / n
        if gap < _TOLERANCE and length > 0.9:
            break
    value = 0.0
    for t in range(first, end):
        residual[t] = gain * (x[t] + m * x[t - 1]) + b - y[t - first]
        value += 0.5 * residual[t] ** 2 + penalty * s[t]
        events[t - first] = s[t]
    return b, value


@njit(cache=True, parallel=True)
def solve_traces(y, decay, rise, gain, penalty, events, baseline, value):
    """Fill events (N, T), baseline and minimum (N,) for traces y (N, T) in units of their noise."""
    for i in prange(y.shape[0]):
        baseline[i], value[i] = _solve_trace(y[i], decay, rise, gain, penalty, events[i])
