r"""Exact draws of a hidden unit given its input: h ~ P(h|I), proportional to exp(-U(h) + hI).

P(h|I) is a mixture of two truncated Gaussians (`crbm_lite.core.drelu`). One random number decides
the side of zero, by Z+ / (Z+ + Z-), and another is the share of that half's weight that lies beyond
h, so that h is a quantile. Both are exact to the rounding of float64.

A draw takes two polynomials, three exponentials and two rational functions, which processors can do
for four or eight units at a time. So they are made for whole rows of units and chains, one after
the other in memory. Few draws fall so far into a tail that they need another way; those are made
one by one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from crbm_lite.core.compilation import inner_njit, items_of, parallel_njit
from crbm_lite.core.random_numbers import hash64, uniform01
from crbm_lite.core.truncated_gaussian import (
    LEAST_DRAW,
    LEAST_QUANTILE,
    sample_far_half,
    scaled_half,
    upper_quantile,
)
from crbm_lite.core.vector_code import exp_f64

__all__ = [
    "ROWS_PER_BLOCK",
    "sample_h_given_input",
    "sample_h_given_partial_input",
    "sum_partial_input",
    "unit_constants",
    "weighed_halves",
]

ROWS_PER_BLOCK = 8  # chains, or frames, whose units make one row
_PADDED_TO = 16  # entries, so that no loop has a rest that does not vectorise
_ONE_OVER_SQRT_2_PI = 1.0 / math.sqrt(2.0 * math.pi)
_U_SIDE, _U_SHARE = np.uint64(0), np.uint64(1)  # which random number is for what


@njit(inline="always")
def _padded_row(n_hidden):
    """Return how many entries a block's units take, made up to whole vectors."""
    n = ROWS_PER_BLOCK * n_hidden
    return (n + _PADDED_TO - 1) // _PADDED_TO * _PADDED_TO


@inner_njit(error_model="numpy")
def unit_constants(gamma_plus, gamma_minus, theta_plus, theta_minus):
    """Repeat theta+, theta-, 1/sqrt(gamma+) and 1/sqrt(gamma-) for every entry of a padded row."""
    n_hidden = gamma_plus.shape[0]
    constants = np.ones((4, _padded_row(n_hidden)))
    for row in range(ROWS_PER_BLOCK):
        for mu in range(n_hidden):
            k = row * n_hidden + mu
            constants[0, k] = theta_plus[mu]
            constants[1, k] = theta_minus[mu]
            constants[2, k] = 1.0 / math.sqrt(gamma_plus[mu])
            constants[3, k] = 1.0 / math.sqrt(gamma_minus[mu])
    return constants


@njit(inline="always")
def weighed_halves(inp, theta_plus, theta_minus, inverse_plus, inverse_minus):
    """Return x+, x-, and for either side Z(x) e^(-m^2/2), e^(-x^2/2) and its share of the weight.

    The weights are Z+ and Z- of `crbm_lite.core.drelu`, over the larger of their exponentials.
    """
    x_plus, x_minus = (theta_plus - inp) * inverse_plus, (inp - theta_minus) * inverse_minus
    z_plus, gauss_plus = scaled_half(x_plus)
    z_minus, gauss_minus = scaled_half(x_minus)
    m_plus, m_minus = min(x_plus, 0.0), min(x_minus, 0.0)
    exponent = 0.5 * (m_minus - m_plus) * (m_minus + m_plus)
    smaller = exp_f64(-abs(exponent))
    weight_plus, weight_minus = z_plus * inverse_plus, z_minus * inverse_minus
    scaled_plus, scaled_minus = weight_plus * smaller, weight_minus * smaller
    weight_plus = scaled_plus if exponent > 0.0 else weight_plus
    weight_minus = weight_minus if exponent > 0.0 else scaled_minus
    return x_plus, x_minus, z_plus, z_minus, gauss_plus, gauss_minus, weight_plus, weight_minus


@inner_njit(error_model="numpy", fastmath={"contract"})
def _draw_row(inputs, constants, uniforms, key, first, out):
    """Draw h (float64) for every entry of a padded row, whose first entry has the number ``first``.

    ``uniforms`` (2, entries) is scratch.
    """
    theta_plus, theta_minus, inverse_plus, inverse_minus = (
        constants[0], constants[1], constants[2], constants[3],
    )  # fmt: skip
    u_side, u_share = uniforms[0], uniforms[1]
    for k in range(out.shape[0]):
        number = np.uint64(2) * np.uint64(first + k)
        u_side[k] = uniform01(key, number + _U_SIDE)
        u_share[k] = uniform01(key, number + _U_SHARE)
    for k in range(out.shape[0]):
        inverse_p, inverse_m = inverse_plus[k], inverse_minus[k]
        x_p, x_m, z_p, z_m, gauss_p, gauss_m, weight_p, weight_m = weighed_halves(
            inputs[k], theta_plus[k], theta_minus[k], inverse_p, inverse_m
        )
        is_up = u_side[k] * (weight_p + weight_m) < weight_p
        x = x_p if is_up else x_m
        z = z_p if is_up else z_m
        gauss = gauss_p if is_up else gauss_m
        scale = inverse_p if is_up else -inverse_m
        tail = gauss * z if x >= 0.0 else z
        q = u_share[k] * _ONE_OVER_SQRT_2_PI * tail
        drawn = max(upper_quantile(q) - x, LEAST_DRAW) * scale
        # far in a tail it is drawn anew below, from the sign of the infinity
        far = np.copysign(np.inf, scale)
        out[k] = drawn if q > LEAST_QUANTILE else far
    for k in range(out.shape[0]):
        if abs(out[k]) == np.inf:
            is_up = out[k] > 0.0
            scale = inverse_plus[k] if is_up else -inverse_minus[k]
            x = (theta_plus[k] - inputs[k] if is_up else inputs[k] - theta_minus[k]) * abs(scale)
            far_key = hash64(key, ~np.uint64(first + k))
            out[k] = sample_far_half(x, u_share[k], far_key) * scale


@parallel_njit(error_model="numpy")
def sample_h_given_input(thread, inp, gamma_plus, gamma_minus, theta_plus, theta_minus, key, out):
    """Draw h given inputs I, both (T, M); frame t and unit mu have the number t M + mu."""
    n_frames, n_hidden = inp.shape
    constants = unit_constants(gamma_plus, gamma_minus, theta_plus, theta_minus)
    n_entries = constants.shape[1]
    inputs, drawn, uniforms = np.zeros(n_entries), np.empty(n_entries), np.empty((2, n_entries))
    for block in items_of(thread, (n_frames + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK):
        first = block * ROWS_PER_BLOCK
        last = min(first + ROWS_PER_BLOCK, n_frames)
        for t in range(first, last):
            inputs[(t - first) * n_hidden : (t - first + 1) * n_hidden] = inp[t]
        _draw_row(inputs, constants, uniforms, key, first * n_hidden, drawn)
        for t in range(first, last):
            out[t] = drawn[(t - first) * n_hidden : (t - first + 1) * n_hidden]


@njit(inline="always")
def _sum_some(partial_input, first, last, total):
    """Set total[(c - first) M + mu] to the hidden inputs of chains first..last, tile after tile."""
    n_hidden = partial_input.shape[2]
    total[:] = 0.0
    for tile in range(partial_input.shape[0]):
        for c in range(first, last):
            share = partial_input[tile, c]
            row = total[(c - first) * n_hidden : (c - first + 1) * n_hidden]
            for mu in range(n_hidden):
                row[mu] += share[mu]


@parallel_njit()
def sum_partial_input(thread, partial_input, out):
    """Sum the tiles' parts of the hidden inputs: out (chains, M) float64."""
    n_chains = out.shape[0]
    for block in items_of(thread, (n_chains + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK):
        first = block * ROWS_PER_BLOCK
        last = min(first + ROWS_PER_BLOCK, n_chains)
        _sum_some(partial_input, first, last, out[first:last].reshape(-1))


@parallel_njit(error_model="numpy")
def sample_h_given_partial_input(
    thread, partial_input, scale, gamma_plus, gamma_minus, theta_plus, theta_minus, key, h
):
    """Draw h given ``scale`` times the sum of the tiles' inputs: h (M, padded chains) float32.

    ``scale`` is 1 in a model and the inverse temperature in annealing. Chain c and unit mu have the
    number c M + mu.
    """
    n_chains, n_hidden = partial_input.shape[1], h.shape[0]
    constants = unit_constants(gamma_plus, gamma_minus, theta_plus, theta_minus)
    n_entries = constants.shape[1]
    inputs, drawn, uniforms = np.zeros(n_entries), np.empty(n_entries), np.empty((2, n_entries))
    for block in items_of(thread, (n_chains + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK):
        first = block * ROWS_PER_BLOCK
        last = min(first + ROWS_PER_BLOCK, n_chains)
        _sum_some(partial_input, first, last, inputs)
        for k in range(n_entries):
            inputs[k] *= scale
        _draw_row(inputs, constants, uniforms, key, first * n_hidden, drawn)
        for c in range(first, last):
            for mu in range(n_hidden):
                h[mu, c] = drawn[(c - first) * n_hidden + mu]
