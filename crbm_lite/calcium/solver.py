r"""The non-negative deconvolution of traces, exactly, in O(T): an interior-point method.

For every stretch of a trace, n frames long, the minimum is found of

.. math:: \tfrac12 \sum_{t \ge 0} (y_t - b - (k * s)_t)^2 + \sum_{t \ge -1} \lambda_t s_t
          + \lambda_{-2}\, x_{-2}, \qquad
          k = g\, \frac{1 + \sqrt{dr} L}{(1 - dL)(1 - rL)} ,

over b and over non-negative :math:`s_{-1}, s_0, s_1, \dots` and :math:`x_{-2}`. Here d and r are
what a frame leaves of the kernel's two exponentials, and L shifts by a frame.

*The end.* The penalty :math:`\lambda_t` is z times the norm of those entries of the kernel that lie
before the end, so that the last events must exceed the noise as far as any other.

*The start.* Two numbers stand for what happened before the first frame. :math:`s_{-1}` is an event
in the frame before, and :math:`x_{-2}` is decaying calcium that older events left. (Whatever an
older event leaves is a sum of the two, with weights that are not negative.) Their penalties are
:math:`\lambda_{-1} = d \lambda_0` and :math:`\lambda_{-2} = (1 - r) \lambda_{-1}`: no earlier event
costs more than one in the first frame, and calcium that may come from before does so.

With :math:`x = s / ((1 - dL)(1 - rL))` both :math:`s = A x` and :math:`k * s = B x` are banded
(:math:`s_{-1} = x_{-1} - d x_{-2}`), so each Newton step of a primal-dual interior-point method
solves a pentadiagonal system: some fifteen steps to any tolerance, however long the kernel.
"""

from __future__ import annotations

import math

import numpy as np

from crbm_lite.core.compilation import cached_njit, items_of, parallel_njit

__all__ = ["solve_traces"]

_TOLERANCE = 1e-8  # mean of s times its multiplier, in units of the noise
_MOST_STEPS = 80
_PAD = 2  # zeros at either end of the arrays, so that the bands need no special case
_BEFORE = 2  # unknowns before the first frame


@cached_njit()
def _solve_pentadiagonal(diagonal, below1, below2, p, q, factor1, factor2, pivot):
    """Solve for the right-hand sides p and q in place; arrays have two entries before the first."""
    end = diagonal.size - _PAD
    for t in range(_PAD, end):
        factor2[t] = below2[t] / pivot[t - 2]
        rest = below1[t] - below2[t] * factor1[t - 1]
        factor1[t] = rest / pivot[t - 1]
        pivot[t] = diagonal[t] - factor1[t] * rest - factor2[t] * below2[t]
        p[t] -= factor1[t] * p[t - 1] + factor2[t] * p[t - 2]
        q[t] -= factor1[t] * q[t - 1] + factor2[t] * q[t - 2]
    for t in range(end - 1, _PAD - 1, -1):
        p[t] = p[t] / pivot[t] - factor1[t + 1] * p[t + 1] - factor2[t + 2] * p[t + 2]
        q[t] = q[t] / pivot[t] - factor1[t + 1] * q[t + 1] - factor2[t + 2] * q[t + 2]


@cached_njit()
def _solve_stretch(y, decay, rise, gain, penalty_given_seen, events, before):
    """Minimise the objective of the module for y in units of its noise; return (b, minimum).

    Primal-dual interior point: x, b and the multipliers z of s = A x >= 0. `before` gets two events
    of the frames -2 and -1 that stand for all that came earlier; the second may be negative.
    """
    n = y.size
    first, observed = _PAD, _PAD + _BEFORE
    end = observed + n
    size = end + _PAD
    a2, m = decay * rise, math.sqrt(decay * rise)
    a1 = np.full(size, -(decay + rise))
    a1[first + 1] = -decay
    price = np.zeros(size)
    for t in range(observed, end):
        price[t] = penalty_given_seen[min(end - t, penalty_given_seen.size) - 1]
    price[first + 1] = decay * price[observed]
    price[first] = (1 - rise) * price[first + 1]
    x, s, z = np.zeros(size), np.ones(size), np.zeros(size)
    seen, residual, ratio, slope = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    diagonal, below1, below2 = np.zeros(size), np.zeros(size), np.zeros(size)
    p, q, ds, dz = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    factor1, factor2, pivot = np.zeros(size), np.zeros(size), np.ones(size)
    column_sum = np.zeros(size)
    seen[observed:end] = 1.0
    z[first:end] = price[first:end]
    mean = y.mean()
    for t in range(first, end):
        x[t] = 1.0 - a1[t] * x[t - 1] - a2 * x[t - 2]
        column_sum[t] = gain * (seen[t] + m * seen[t + 1])
    b, gap, length = 0.0, price[observed], 1.0
    for _ in range(_MOST_STEPS):
        # After a long step aim far down the central path, after a short one stay near it.
        target = gap * (0.05 if length > 0.9 else 0.2 if length > 0.5 else 0.5)
        total = 0.0
        for t in range(first, end):
            if t >= observed:
                residual[t] = gain * (x[t] + m * x[t - 1]) + b - (y[t - observed] - mean)
                total += residual[t]
            ratio[t] = z[t] / s[t]
            slope[t] = price[t] - target / s[t]
        for t in range(first, end):
            diagonal[t] = gain**2 * (seen[t] + m**2 * seen[t + 1]) + ratio[t]
            diagonal[t] += a1[t + 1] ** 2 * ratio[t + 1] + a2**2 * ratio[t + 2]
            below1[t] = gain**2 * m * seen[t] + a1[t] * ratio[t] + a1[t + 1] * a2 * ratio[t + 1]
            below2[t] = a2 * ratio[t]
            p[t] = -gain * (residual[t] + m * residual[t + 1])
            p[t] -= slope[t] + a1[t + 1] * slope[t + 1] + a2 * slope[t + 2]
            q[t] = column_sum[t]
        below1[first] = below2[first] = below2[first + 1] = 0.0
        _solve_pentadiagonal(diagonal, below1, below2, p, q, factor1, factor2, pivot)
        against, with_b = -total, float(n)
        for t in range(first, end):
            against -= column_sum[t] * p[t]
            with_b -= column_sum[t] * q[t]
        db, length = against / with_b, 1 / 0.995
        for t in range(first, end):
            p[t] -= db * q[t]
            ds[t] = p[t] + a1[t] * p[t - 1] + a2 * p[t - 2]
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
        value += price[t] * s[t]
        if t >= observed:
            residual[t] = gain * (x[t] + m * x[t - 1]) + b - (y[t - observed] - mean)
            value += 0.5 * residual[t] ** 2
            events[t - observed] = s[t]
    before[0], before[1] = s[first], s[first + 1] - rise * s[first]
    return b + mean, value


@parallel_njit()
def solve_traces(
    thread, y, bounds, decay, rise, gain, penalty_given_seen, events, before, baseline, value
):
    """Solve every stretch of traces y (N, T) in units of their noise.

    Stretch j is the frames bounds[j] to bounds[j + 1] - 1. penalty_given_seen[i] is the penalty of
    an event of which i + 1 frames are seen; its last entry holds for more. The results fill events
    (N, T), before (N, S, 2), baseline (N, S) and value (N,), the sum over the stretches.
    """
    for i in items_of(thread, y.shape[0]):
        value[i] = 0.0
        for j in range(bounds.size - 1):
            frames = slice(bounds[j], bounds[j + 1])
            baseline[i, j], minimum = _solve_stretch(
                y[i, frames], decay, rise, gain, penalty_given_seen, events[i, frames], before[i, j]
            )
            value[i] += minimum
