r"""The truncated Gaussian, which is one side of a hidden unit's density, in its standard form.

.. math:: Z(x) = \int_0^\infty \exp(-z^2/2 - xz)\,dz = \sqrt{\pi/2}\;\mathrm{erfcx}(x/\sqrt2),

with :math:`x = (\theta_+ - I)/\sqrt{\gamma_+}` on the positive side of Eq. 13 and
:math:`x = (I - \theta_-)/\sqrt{\gamma_-}` on the negative one. Its mean :math:`m(x)` obeys
:math:`Z(x) = 1/(x + m(x))`; for x > 3 it comes from a continued fraction without cancellation.
Draws of it invert its distribution function.

Where loops are to be vectorised, nothing may branch: ``scaled_half`` and ``upper_quantile`` compute
what each of their cases needs and select.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from crbm_lite.core.compilation import inner_njit
from crbm_lite.core.random_numbers import uniform01
from crbm_lite.core.vector_code import exp_f64, log_f64

__all__ = [
    "LEAST_DRAW",
    "LEAST_QUANTILE",
    "LOG_SQRT_PI_OVER_2",
    "SQRT_HALF",
    "TAIL",
    "half_moments",
    "half_weight",
    "normal_quantile",
    "sample_far_half",
    "scaled_half",
    "tail_moment_ratio",
    "upper_quantile",
]

_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
LOG_SQRT_PI_OVER_2 = 0.5 * math.log(math.pi / 2.0)
SQRT_HALF = math.sqrt(0.5)
TAIL = 3.0  # beyond it, 1/Z(x) - x cancels and the continued fraction has converged
_LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_2_PI = math.sqrt(2.0 * math.pi)
LEAST_QUANTILE = 1.5e-11  # to which the second of three rational functions reaches
LEAST_DRAW = 1e-30  # of z: rounding does not make it 0
_FARTHEST_INVERTED = 30.0  # the tail beyond is 5e-198
_REACH = 8.0  # the table of log Z covers |x| < 8
_BINS_PER_UNIT = 64


@inner_njit(error_model="numpy")
def tail_moment_ratio(x, n):
    """Compute E[z^n] / E[z^(n-1)] of the standard half for x > 3, by backward recursion.

    r_n = n / (x + r_{n+1}) has positive terms only, hence no cancellation.
    """
    depth = n + 8 + int(160.0 / (x * x))
    ratio = 0.5 * (math.sqrt(x * x + 4.0 * (depth + 1)) - x)
    for k in range(depth, n - 1, -1):
        ratio = k / (x + ratio)
    return ratio


@inner_njit(error_model="numpy")
def half_moments(x):
    """Return (log Z(x), less x^2/2 for x <= 3, mean, variance) of the standard half."""
    if x > TAIL:
        r2 = tail_moment_ratio(x, 2)
        mean = 1.0 / (x + r2)
        return -math.log(x + mean), mean, mean * (r2 - mean)
    erfc = math.erfc(x * SQRT_HALF)
    hazard = _SQRT_2_OVER_PI * math.exp(-0.5 * x * x) / erfc
    return math.log(erfc) + LOG_SQRT_PI_OVER_2, hazard - x, 1.0 + hazard * (x - hazard)


@inner_njit(error_model="numpy")
def half_weight(d, gamma):
    """Return (log weight, x) of a half with slope d and curvature gamma.

    The square d^2/(2 gamma) reaches 1e6: formed from d itself, it is exact to a few roundings.
    """
    x = d / math.sqrt(gamma)
    log_z, mean, variance = half_moments(x)
    if x <= TAIL:
        log_z += d * d / (2.0 * gamma)
    return log_z - 0.5 * math.log(gamma), mean, variance


def _table_of_cubics() -> np.ndarray:
    """Coefficients (bins, 4) of Hermite cubics of log Z(x) - x^2/2 = log(sqrt(pi/2) erfc)."""
    x = np.linspace(-_REACH, _REACH, int(2 * _REACH * _BINS_PER_UNIT) + 1)
    erfc = np.array([math.erfc(z * SQRT_HALF) for z in x])
    value = np.log(erfc) + LOG_SQRT_PI_OVER_2
    slope = -_SQRT_2_OVER_PI * np.exp(-0.5 * x**2) / erfc / _BINS_PER_UNIT
    rise, first, last = np.diff(value), slope[:-1], slope[1:]
    return np.stack([value[:-1], first, 3 * rise - 2 * first - last, first + last - 2 * rise], 1)


_CUBICS = _table_of_cubics()


@inner_njit(error_model="numpy")
def log_half(d, gamma, inverse_root):
    """Log Z of a half with slope d, less half the log of gamma, from a table: to 2e-11."""
    x = d * inverse_root
    if x < -_REACH:
        return _LOG_SQRT_2_PI + 0.5 * x * x
    if x >= _REACH:
        return half_weight(d, gamma)[0] + 0.5 * math.log(gamma)
    position = (x + _REACH) * _BINS_PER_UNIT
    k = min(int(position), _CUBICS.shape[0] - 1)
    c, f = _CUBICS[k], position - k
    return c[0] + f * (c[1] + f * (c[2] + f * c[3])) + 0.5 * x * x


@njit(inline="always")
def _half_above_zero(x):
    """Compute Z(x) of the standard half for x >= 0, to 5e-15.

    Z(x) (x + 5) is smooth in t = (x - 5) / (x + 5), which takes all x >= 0 to -1 .. 1. These are
    the coefficients of its Chebyshev interpolation of degree 20, as powers of t.
    """
    r = 1.0 / (x + 5.0)
    t = 1.0 - 10.0 * r
    p = 1.0172452686624457e-08
    p = p * t - 5.215358646845978e-09
    p = p * t - 1.3233261656812097e-07
    p = p * t + 7.145626814443105e-08
    p = p * t + 1.0295149780711935e-06
    p = p * t - 8.043712387918459e-07
    p = p * t - 6.886206053048128e-06
    p = p * t + 9.94944337345178e-06
    p = p * t + 4.177985125610438e-05
    p = p * t - 0.0001247226213741024
    p = p * t - 0.0001488199194283668
    p = p * t + 0.001365854912458874
    p = p * t - 0.0019999650543108035
    p = p * t - 0.0075032819837032375
    p = p * t + 0.05212550283106229
    p = p * t - 0.17325473417818404
    p = p * t + 0.4136447157035945
    p = p * t - 0.7859110755419568
    p = p * t + 1.2415470615746516
    p = p * t - 1.6678665951890297
    p = p * t + 1.928081047153154
    return p * r


@njit(inline="always")
def scaled_half(x):
    """Return (Z(x) e^(-m^2/2) with m = max(-x, 0), e^(-x^2/2)); loops of it vectorise."""
    gauss = exp_f64(-0.5 * x * x)
    above = _half_above_zero(abs(x))
    below = _SQRT_2_PI - gauss * above
    return above if x >= 0.0 else below, gauss


@njit(inline="always")
def _rational(r, p0, p1, p2, p3, p4, p5, p6, p7, q1, q2, q3, q4, q5, q6, q7):
    """Divide two polynomials of degree 7 in r; the constant of the lower one is 1."""
    top = ((((((p7 * r + p6) * r + p5) * r + p4) * r + p3) * r + p2) * r + p1) * r + p0
    return top / (((((((q7 * r + q6) * r + q5) * r + q4) * r + q3) * r + q2) * r + q1) * r + 1.0)


# Three rational functions give the quantiles of a Gaussian to 1e-15 (Wichura 1988, AS 241).


@njit(inline="always")
def _central_quantile(q):
    """Compute the quantile of q + 1/2 for |q| <= 0.425."""
    return q * _rational(
        0.180625 - q * q,
        3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427,
        13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
        33430.575583588128105, 2509.0809287301226727,
        42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
        21213.794301586595867, 39307.895800092710610, 28729.085735721942674,
        5226.4952788528545610,
    )  # fmt: skip


@njit(inline="always")
def _outer_quantile(r):
    """Compute the size of the quantile of e^(-r^2) for r <= 5."""
    return _rational(
        r - 1.6,
        1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
        3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
        0.0227238449892691845833, 7.74545014278341407640e-4,
        2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
        0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    )  # fmt: skip


@njit(inline="always")
def upper_quantile(q):
    """Find the z that a Gaussian exceeds with probability q >= LEAST_QUANTILE; loops vectorise."""
    from_half = q - 0.5
    central = -_central_quantile(from_half)
    tail = max(min(q, 1.0 - q), LEAST_QUANTILE)
    outer = _outer_quantile(math.sqrt(-log_f64(tail)))
    outer = outer if from_half < 0.0 else -outer
    return central if abs(from_half) <= 0.425 else outer


@inner_njit(error_model="numpy")
def normal_quantile(p):
    """Invert the Gaussian distribution function."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return _central_quantile(q)
    r = math.sqrt(-math.log(min(p, 1.0 - p)))
    if r <= 5.0:
        return math.copysign(_outer_quantile(r), q)
    z = _rational(
        r - 5.0,
        6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
        0.296560571828504891230, 0.0265321895265761230930, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
        0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525,
        7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    )  # fmt: skip
    return math.copysign(z, q)


@inner_njit(error_model="numpy")
def sample_far_half(x, u, key):
    """Draw z > 0 with a density proportional to exp(-z^2/2 - xz), where u Z(x) is small.

    It is the z that is exceeded with probability u in (0, 1), as long as float64 can hold the
    tail of a Gaussian beyond x. Where it cannot, proposals come from the best exponential
    (Robert 1995), with random numbers of the key.
    """
    if x < _FARTHEST_INVERTED:
        return max(-normal_quantile(u * 0.5 * math.erfc(x * SQRT_HALF)) - x, LEAST_DRAW)
    rate = 0.5 * (x + math.sqrt(x * x + 4.0))
    counter = 0
    while True:
        z = -math.log(uniform01(key, counter)) / rate
        excess = 0.5 * (z + x - rate) ** 2
        if not uniform01(key, counter + 1) > math.exp(-excess):  # nor where it is NaN
            return z
        counter += 2
