r"""Exact draws of a hidden unit given its input: h ~ P(h|I), proportional to exp(-U(h) + hI).

P(h|I) is a mixture of two truncated Gaussians (`crbm_lite.core.drelu`). A draw first decides the
side of zero and then draws from that half by rejection, which is exact however far the tail lies.

The side needs P(h > 0 | I) = Z+/(Z+ + Z-), and the two logarithms of Z make the cost of a draw. So
they are read from a table of cubics, to 2e-11. The few draws that fall too near to the probability
for the table are decided by the exact logarithms, and the distribution is the exact one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from crbm_lite.core.compilation import inner_njit, items_of, parallel_njit
from crbm_lite.core.random_numbers import hash64, uniform01
from crbm_lite.core.truncated_gaussian import half_weight, log_half, sample_half

__all__ = [
    "sample_h_given_input",
    "sample_h_given_partial_input",
    "sample_one",
    "scales_of",
    "sum_partial_input",
]

_CHAINS_PER_BLOCK = 4  # chains that one thread sums and draws for together
_UNDECIDED = 1e-7  # far above the table's error


@njit(inline="always")
def scales_of(gamma_plus, gamma_minus):
    """Compute the constants that ``sample_one`` needs: 1/sqrt(g+), 1/sqrt(g-), log(g+/g-)/2."""
    return (
        1.0 / math.sqrt(gamma_plus),
        1.0 / math.sqrt(gamma_minus),
        0.5 * math.log(gamma_plus / gamma_minus),
    )


@inner_njit(error_model="numpy")
def sample_one(inp, gamma_plus, gamma_minus, theta_plus, theta_minus, scales, key):
    """Draw h from P(h|I) with a 64-bit random key of its own; ``scales`` as ``scales_of`` gives."""
    d_plus, d_minus = theta_plus - inp, inp - theta_minus
    scale_plus, scale_minus, half_log_ratio = scales
    difference = (
        log_half(d_minus, gamma_minus, scale_minus)
        - log_half(d_plus, gamma_plus, scale_plus)
        + half_log_ratio
    )
    u = uniform01(key, 0)
    level = u * (1.0 + math.exp(difference))  # the unit is above zero if this is below 1
    if abs(level - 1.0) < _UNDECIDED:
        exact = half_weight(d_minus, gamma_minus)[0] - half_weight(d_plus, gamma_plus)[0]
        level = u * (1.0 + math.exp(exact))
    is_up = level < 1.0  # selected, not branched: which side it is, is noise
    x = d_plus * scale_plus if is_up else d_minus * scale_minus
    return sample_half(x, key) * (scale_plus if is_up else -scale_minus)


@parallel_njit(error_model="numpy")
def sample_h_given_input(thread, inp, gamma_plus, gamma_minus, theta_plus, theta_minus, key, out):
    """Draw h given inputs I, both (T, M); frame t and unit mu use the random number t M + mu."""
    n_hidden = inp.shape[1]
    for t in items_of(thread, inp.shape[0]):
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
def _sum_some(partial_input, first, last, total):
    """Set total[c - first, :] to the hidden inputs of chains first..last, tile after tile."""
    total[:] = 0.0
    for tile in range(partial_input.shape[0]):
        for c in range(first, last):
            share, row = partial_input[tile, c], total[c - first]
            for mu in range(row.shape[0]):
                row[mu] += share[mu]


@parallel_njit()
def sum_partial_input(thread, partial_input, out):
    """Sum the tiles' parts of the hidden inputs: out (chains, M) float64."""
    n_chains = out.shape[0]
    for block in items_of(thread, (n_chains + _CHAINS_PER_BLOCK - 1) // _CHAINS_PER_BLOCK):
        first = block * _CHAINS_PER_BLOCK
        last = min(first + _CHAINS_PER_BLOCK, n_chains)
        _sum_some(partial_input, first, last, out[first:last])


@parallel_njit(error_model="numpy")
def sample_h_given_partial_input(
    thread, partial_input, scale, gamma_plus, gamma_minus, theta_plus, theta_minus, key, h
):
    """Draw h given ``scale`` times the sum of the tiles' inputs: h (M, padded chains) float32.

    ``scale`` is 1 in a model and the inverse temperature in annealing.
    """
    n_chains, n_hidden = partial_input.shape[1], h.shape[0]
    scales = np.empty((n_hidden, 3))
    for mu in range(n_hidden):
        # one by one: to copy a tuple into a row compiles an error message for three seconds
        scales[mu, 0], scales[mu, 1], scales[mu, 2] = scales_of(gamma_plus[mu], gamma_minus[mu])
    for block in items_of(thread, (n_chains + _CHAINS_PER_BLOCK - 1) // _CHAINS_PER_BLOCK):
        total = np.empty((_CHAINS_PER_BLOCK, n_hidden))
        first = block * _CHAINS_PER_BLOCK
        last = min(first + _CHAINS_PER_BLOCK, n_chains)
        _sum_some(partial_input, first, last, total)
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
