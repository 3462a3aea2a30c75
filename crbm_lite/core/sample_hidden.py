r"""Exact draws of a hidden unit given its input: h ~ P(h|I), proportional to exp(-U(h) + hI).

P(h|I) is a mixture of two truncated Gaussians (`crbm_lite.core.drelu`). A draw decides the side of
zero, then draws from that half by rejection, which is exact however far the tail.

The side needs P(h > 0 | I) = Z+/(Z+ + Z-), and the two logarithms of Z are what a draw costs. So
they are first read from a table of cubics, to 2e-9, and formed exactly only for the few draws that
fall so near to the probability that the table cannot tell. The distribution is the exact one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from crbm_lite.core.random_numbers import hash64, uniform01
from crbm_lite.core.truncated_gaussian import half_weight

_REACH = 8.0  # the table covers |x| < 8
_BINS_A_UNIT = 32
_LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)
_CHAINS_A_BLOCK = 4  # chains that one thread sums and draws for together
_UNDECIDED = 1e-7  # far above the table's error


def _table_of_cubics() -> np.ndarray:
    """Coefficients (bins, 4) of the Hermite cubics of log Z(x) - x^2/2 = log(sqrt(pi/2) erfc)."""
    x = np.linspace(-_REACH, _REACH, int(2 * _REACH * _BINS_A_UNIT) + 1)
    erfc = np.array([math.erfc(z * math.sqrt(0.5)) for z in x])
    value = np.log(erfc) + 0.5 * math.log(0.5 * math.pi)
    slope = -math.sqrt(2.0 / math.pi) * np.exp(-0.5 * x**2) / erfc / _BINS_A_UNIT
    rise, first, last = np.diff(value), slope[:-1], slope[1:]
    return np.stack([value[:-1], first, 3 * rise - 2 * first - last, first + last - 2 * rise], 1)


_CUBICS = _table_of_cubics()


@njit(inline="always")
def _log_half(d, gamma, inverse_root):
    """Log Z of a half with slope d, less half the log of gamma, to 2e-9."""
    x = d * inverse_root
    if x < -_REACH:
        return _LOG_SQRT_2_PI + 0.5 * x * x
    if x >= _REACH:
        return half_weight(d, gamma)[0] + 0.5 * math.log(gamma)
    position = (x + _REACH) * _BINS_A_UNIT
    k = min(int(position), _CUBICS.shape[0] - 1)
    c, f = _CUBICS[k], position - k
    return c[0] + f * (c[1] + f * (c[2] + f * c[3])) + 0.5 * x * x


@njit(inline="always")
def _ratio(r, p0, p1, p2, p3, p4, p5, p6, p7, q1, q2, q3, q4, q5, q6, q7):
    top = ((((((p7 * r + p6) * r + p5) * r + p4) * r + p3) * r + p2) * r + p1) * r + p0
    return top / (((((((q7 * r + q6) * r + q5) * r + q4) * r + q3) * r + q2) * r + q1) * r + 1.0)


@njit(cache=True, error_model="numpy")
def normal_quantile(p):
    """Inverse of the Gaussian distribution function, to 1e-15 (Wichura 1988, AS 241)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return q * _ratio(
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
        z = _ratio(
            r - 1.6,
            1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
            3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
            0.0227238449892691845833, 7.74545014278341407640e-4,
            2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
            0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
            1.05075007164441684324e-9,
        )  # fmt: skip
    else:
        z = _ratio(
            r - 5.0,
            6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
            0.296560571828504891230, 0.0265321895265761230930, 1.24266094738807843860e-3,
            2.71155556874348757815e-5, 2.01033439929228813265e-7,
            0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525,
            7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
            2.04426310338993978564e-15,
        )  # fmt: skip
    return math.copysign(z, q)


@njit(cache=True, error_model="numpy")
def _sample_half(x, key):
    """One draw of the standard half: z > 0 with density proportional to exp(-z^2/2 - xz).

    Rejection from a Gaussian where it is centred above zero, else from the best exponential
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


@njit(inline="always")
def scales_of(gamma_plus, gamma_minus):
    """Per-unit constants of ``sample_one``: 1/sqrt(g+), 1/sqrt(g-), log(g+/g-)/2."""
    return (
        1.0 / math.sqrt(gamma_plus),
        1.0 / math.sqrt(gamma_minus),
        0.5 * math.log(gamma_plus / gamma_minus),
    )


@njit(inline="always")
def sample_one(inp, gamma_plus, gamma_minus, theta_plus, theta_minus, scales, key):
    """One exact draw of P(h|I); ``key`` is a 64-bit random key used up by this draw.

    ``scales`` is what ``scales_of`` returns for the unit.
    """
    d_plus, d_minus = theta_plus - inp, inp - theta_minus
    scale_plus, scale_minus, half_log_ratio = scales
    difference = (
        _log_half(d_minus, gamma_minus, scale_minus)
        - _log_half(d_plus, gamma_plus, scale_plus)
        + half_log_ratio
    )
    u = uniform01(key, 0)
    level = u * (1.0 + math.exp(difference))  # the unit is above zero if this is below 1
    if abs(level - 1.0) < _UNDECIDED:
        exact = half_weight(d_minus, gamma_minus)[0] - half_weight(d_plus, gamma_plus)[0]
        level = u * (1.0 + math.exp(exact))
    is_up = level < 1.0  # selected, not branched: which side it is, is noise
    x = d_plus * scale_plus if is_up else d_minus * scale_minus
    return _sample_half(x, key) * (scale_plus if is_up else -scale_minus)


@njit(cache=True, parallel=True, error_model="numpy")
def sample_given_input(inp, gamma_plus, gamma_minus, theta_plus, theta_minus, key, out):
    """Draw h given inputs I, both (T, M); (t, mu) uses the random key of counter t M + mu."""
    n_hidden = inp.shape[1]
    for t in prange(inp.shape[0]):
        for mu in range(n_hidden):
            out[t, mu] = sample_one(
                inp[t, mu],
                gamma_plus[mu],
                gamma_minus[mu],
                theta_plus[mu],
                theta_minus[mu],
                scales_of(gamma_plus[mu], gamma_minus[mu]),
                hash64(key, t * n_hidden + mu),
            )


@njit(inline="always")
def _sum_of_shares(partial_input, first, last, total):
    """total[c - first, :] = hidden inputs of chains first..last: the tiles' shares in order."""
    total[:] = 0.0
    for tile in range(partial_input.shape[0]):
        for c in range(first, last):
            share, row = partial_input[tile, c], total[c - first]
            for mu in range(row.shape[0]):
                row[mu] += share[mu]


@njit(cache=True, parallel=True)
def sum_shares(partial_input, out):
    """Hidden inputs of all chains, out (chains, M) float64, from the tiles' shares."""
    n_chains = out.shape[0]
    for block in prange((n_chains + _CHAINS_A_BLOCK - 1) // _CHAINS_A_BLOCK):
        first = block * _CHAINS_A_BLOCK
        last = min(first + _CHAINS_A_BLOCK, n_chains)
        _sum_of_shares(partial_input, first, last, out[first:last])


@njit(cache=True, parallel=True, error_model="numpy")
def sample_hidden(partial_input, scale, gamma_plus, gamma_minus, theta_plus, theta_minus, key, h):
    """Draw h given the summed inputs, times ``scale``: h (M, padded chains) float32.

    ``scale`` is 1 in a model and the inverse temperature in annealing.
    """
    n_chains, n_hidden = partial_input.shape[1], h.shape[0]
    scales = np.empty((n_hidden, 3))
    for mu in range(n_hidden):
        scales[mu] = scales_of(gamma_plus[mu], gamma_minus[mu])
    for block in prange((n_chains + _CHAINS_A_BLOCK - 1) // _CHAINS_A_BLOCK):
        total = np.empty((_CHAINS_A_BLOCK, n_hidden))
        first = block * _CHAINS_A_BLOCK
        last = min(first + _CHAINS_A_BLOCK, n_chains)
        _sum_of_shares(partial_input, first, last, total)
        for mu in range(n_hidden):
            for c in range(first, last):
                h[mu, c] = sample_one(
                    scale * total[c - first, mu],
                    gamma_plus[mu],
                    gamma_minus[mu],
                    theta_plus[mu],
                    theta_minus[mu],
                    (scales[mu, 0], scales[mu, 1], scales[mu, 2]),
                    hash64(key, mu * n_chains + c),
                )
