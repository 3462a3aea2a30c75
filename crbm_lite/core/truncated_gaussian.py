r"""The standard half: one side of a hidden unit's density, as a function of one variable.

.. math:: Z(x) = \int_0^\infty \exp(-z^2/2 - xz)\,dz = \sqrt{\pi/2}\;\mathrm{erfcx}(x/\sqrt2),

with :math:`x = (\theta_+ - I)/\sqrt{\gamma_+}` on the positive side of Eq. 13 and
:math:`x = (I - \theta_-)/\sqrt{\gamma_-}` on the negative one. Its mean :math:`m(x)` obeys
:math:`Z(x) = 1/(x + m(x))`; for x > 3 it comes from a continued fraction without cancellation.
"""

from __future__ import annotations

import math

from numba import njit

_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
LOG_SQRT_PI_OVER_2 = 0.5 * math.log(math.pi / 2.0)
SQRT_HALF = math.sqrt(0.5)
TAIL = 3.0  # beyond it, 1/Z(x) - x cancels and the continued fraction has converged


@njit(cache=True, error_model="numpy")
def tail_moment_ratio(x, n):
    """Ratio E[z^n] / E[z^(n-1)] of the standard half for x > 3, by backward recursion.

    r_n = n / (x + r_{n+1}) has positive terms only, hence no cancellation.
    """
    depth = n + 8 + int(160.0 / (x * x))
    ratio = 0.5 * (math.sqrt(x * x + 4.0 * (depth + 1)) - x)
    for k in range(depth, n - 1, -1):
        ratio = k / (x + ratio)
    return ratio


@njit(cache=True, error_model="numpy")
def half_moments(x):
    """Return (log Z(x), less x^2/2 for x <= 3, mean, variance) of the standard half."""
    if x > TAIL:
        r2 = tail_moment_ratio(x, 2)
        mean = 1.0 / (x + r2)
        return -math.log(x + mean), mean, mean * (r2 - mean)
    erfc = math.erfc(x * SQRT_HALF)
    hazard = _SQRT_2_OVER_PI * math.exp(-0.5 * x * x) / erfc
    return math.log(erfc) + LOG_SQRT_PI_OVER_2, hazard - x, 1.0 + hazard * (x - hazard)


@njit(cache=True, error_model="numpy")
def half_weight(d, gamma):
    """Return (log weight, x) of a half with slope d and curvature gamma.

    The square d^2/(2 gamma) reaches 1e6: formed from d itself, it is exact to a few roundings.
    """
    x = d / math.sqrt(gamma)
    log_z, mean, variance = half_moments(x)
    if x <= TAIL:
        log_z += d * d / (2.0 * gamma)
    return log_z - 0.5 * math.log(gamma), mean, variance
