r"""The truncated Gaussian, which is one side of a hidden unit's density, in its standard form.

.. math:: Z(x) = \int_0^\infty \exp(-z^2/2 - xz)\,dz = \sqrt{\pi/2}\;\mathrm{erfcx}(x/\sqrt2),

with :math:`x = (\theta_+ - I)/\sqrt{\gamma_+}` on the positive side of Eq. 13 and
:math:`x = (I - \theta_-)/\sqrt{\gamma_-}` on the negative one. Its mean :math:`m(x)` obeys
:math:`Z(x) = 1/(x + m(x))`; for x > 3 it comes from a continued fraction without cancellation.
Draws of it are made by rejection.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from crbm_lite.core.compilation import inner_njit
from crbm_lite.core.random_numbers import uniform01

__all__ = [
    "LOG_SQRT_PI_OVER_2",
    "SQRT_HALF",
    "TAIL",
    "half_moments",
    "half_weight",
    "normal_quantile",
    "sample_half",
    "tail_moment_ratio",
]

_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
LOG_SQRT_PI_OVER_2 = 0.5 * math.log(math.pi / 2.0)
SQRT_HALF = math.sqrt(0.5)
TAIL = 3.0  # beyond it, 1/Z(x) - x cancels and the continued fraction has converged
_LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)
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
def _rational(r, p0, p1, p2, p3, p4, p5, p6, p7, q1, q2, q3, q4, q5, q6, q7):
    """Divide two polynomials of degree 7 in r; the constant of the lower one is 1."""
    top = ((((((p7 * r + p6) * r + p5) * r + p4) * r + p3) * r + p2) * r + p1) * r + p0
    return top / (((((((q7 * r + q6) * r + q5) * r + q4) * r + q3) * r + q2) * r + q1) * r + 1.0)


@inner_njit(error_model="numpy")
def normal_quantile(p):
    """Invert the Gaussian distribution function, to 1e-15 (Wichura 1988, AS 241)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return q * _rational(
            0.180625 - q * q,
            3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427,
            13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
            33430.575583588128105, 2509.0809287301226727,
            42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
            21213.794301586595867, 39307.895800092710610, 28729.085735721942674,
            5226.4952788528545610,
        )  # fmt: skip
    r = math.sqrt(-math.log(min(p, 1.0 - p)))
    if r <= 5.0:
        z = _rational(
            r - 1.6,
            1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
            3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
            0.0227238449892691845833, 7.74545014278341407640e-4,
            2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
            0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
            1.05075007164441684324e-9,
        )  # fmt: skip
    else:
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
def sample_half(x, key):
    """Draw z > 0 with a density proportional to exp(-z^2/2 - xz).

    Proposals come from a Gaussian where that is centred above zero, else from the best exponential
    (Robert 1995).
    """
    counter = 1
    if x < 0.0:
        while True:
            z = normal_quantile(uniform01(key, counter)) - x
            if z > 0.0:
                return z
            counter += 1
    rate = 0.5 * (x + math.sqrt(x * x + 4.0))
    while True:
        z = -math.log(uniform01(key, counter)) / rate
        excess = 0.5 * (z + x - rate) ** 2
        u = uniform01(key, counter + 1)
        if u <= 1.0 - excess or u <= math.exp(-excess):  # the first implies the second
            return z
        counter += 2
