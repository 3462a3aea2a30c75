r"""Jumps between the wells of a hidden unit: the move that plain Gibbs sampling lacks.

A trained assembly is on or off. Given v, its hidden unit stays where its neurons put it, and given
h its neurons stay where the unit puts them, so block Gibbs sampling changes the state once in
hundreds of steps. With the neurons summed out, one unit given the others has the density

.. math:: P(h_\mu | h_{\nu \ne \mu})
          \propto e^{-U_\mu(h_\mu)} \prod_i (1 + e^{a_i + w_{i\mu} h_\mu}),
          \qquad a_i = g_i + \sum_{\nu \ne \mu} w_{i\nu} h_\nu ,

where on and off differ by a finite weight and nothing lies between. We propose a new value from a
fixed histogram of the unit (its values over the data) and accept it by the Metropolis-Hastings
rule. The move leaves P(h) invariant, and drawing v given h afterwards restores the joint
distribution: it is exact for any histogram, and fast when the histogram resembles the unit's
distribution.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from crbm_lite.kernels import exp_f32
from crbm_lite.random_numbers import hash64, uniform01

_F = np.float32
_N_BINS = 96
_REACH = 4.0  # the histogram covers |h| < sinh(4) = 27 standard deviations
_BIN = 2.0 * _REACH / _N_BINS
_EDGES = np.sinh(np.linspace(-_REACH, _REACH, _N_BINS + 1))  # bins are even in asinh(h)
_FLOOR = 0.02  # share of the proposals spread evenly over the bins


@njit(cache=True)
def _bin_of(h):
    return math.floor((math.asinh(h) + _REACH) / _BIN)


@njit(cache=True)
def count_values(h, counts):
    """Add values h (samples, M) to counts (M, bins) of asinh(h)."""
    for t in range(h.shape[0]):
        for mu in range(h.shape[1]):
            b = _bin_of(h[t, mu])
            if 0 <= b < _N_BINS:
                counts[mu, b] += 1.0


def empty_counts(n_hidden: int) -> np.ndarray:
    """Counts (M, bins) of no values: every bin alike."""
    return np.full((n_hidden, _N_BINS), 1.0 / _N_BINS)


def proposal_given_counts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative probabilities and log densities (M, bins) of the proposal: flat within a bin."""
    share = counts / counts.sum(axis=1, keepdims=True)
    share = (1.0 - _FLOOR) * share + _FLOOR / _N_BINS
    cumulative = np.cumsum(share, axis=1)
    return cumulative / cumulative[:, -1:], np.log(share / np.diff(_EDGES))


@njit(cache=True)
def columns_of(row_nnz, columns, values, rows_a_tile, n_hidden):
    """Transpose packed rows: (starts (M + 1,), neurons, values) of every hidden unit."""
    capacity = (n_hidden + 3) // 4 * 4
    starts = np.zeros(n_hidden + 1, np.int64)
    for i in range(row_nnz.shape[0]):
        if i % rows_a_tile == 0:
            k = i * capacity
        for _ in range(row_nnz[i]):
            starts[columns[k] + 1] += values[k] != 0
            k += 1
    for mu in range(n_hidden):
        starts[mu + 1] += starts[mu]
    neurons = np.empty(starts[n_hidden], np.int32)
    weights = np.empty(starts[n_hidden], np.float32)
    position = starts[:-1].copy()
    for i in range(row_nnz.shape[0]):
        if i % rows_a_tile == 0:
            k = i * capacity
        for _ in range(row_nnz[i]):
            if values[k] != 0:
                mu = columns[k]
                neurons[position[mu]] = i
                weights[position[mu]] = values[k]
                position[mu] += 1
            k += 1
    return starts, neurons, weights


@njit(inline="always")
def _potential(h, gamma_plus, gamma_minus, theta_plus, theta_minus):
    if h > 0:
        return (0.5 * gamma_plus * h + theta_plus) * h
    return (0.5 * gamma_minus * h + theta_minus) * h


@njit(inline="always")
def _log_proposal(h, log_density):
    """Log density of the histogram proposal at h, -inf outside its reach."""
    b = _bin_of(h)
    return log_density[b] if 0 <= b < _N_BINS else -np.inf


@njit(inline="always")
def _propose(cumulative, key):
    """A value from the histogram: uniform within its bin."""
    b = min(np.searchsorted(cumulative, uniform01(key, 0)), _N_BINS - 1)
    return _EDGES[b] + (_EDGES[b + 1] - _EDGES[b]) * uniform01(key, 1)


@njit(cache=True, parallel=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def jump_sweep(
    fields, starts, neurons, weights, cumulative, log_density, gamma_plus, gamma_minus, theta_plus,
    theta_minus, scale, n_chains, key, h, inputs, n_accepted,
):  # fmt: skip
    """Offer every hidden unit of every chain one jump, in the order of the units.

    Parameters
    ----------
    fields : float32 (N,)
    starts, neurons, weights : columns of W, see ``columns_of``
    cumulative, log_density : float64 (M, bins), see ``proposal_given_counts``
    scale : float
        Factor on W (annealing).
    h : float32 (M, padded chains); updated
    inputs : float32 (padded chains / 16, N, 16); scratch
    n_accepted : int64 (padded chains / 16, M); accepted jumps, set
    """
    n_hidden, n_lanes = (
        h.shape[0],
        inputs.shape[2],
    )  # not a constant: unrolled loops do not vectorise
    for block in prange(h.shape[1] // n_lanes):
        first = block * n_lanes
        a = inputs[block]
        step = np.zeros(n_lanes, np.float32)
        value = np.zeros(n_lanes)
        log_ratio = np.zeros(n_lanes)
        product = np.ones(n_lanes)
        for i in range(a.shape[0]):
            for j in range(n_lanes):
                a[i, j] = fields[i]
        for mu in range(n_hidden):
            for j in range(n_lanes):
                step[j] = h[mu, first + j] * _F(scale)
            for k in range(starts[mu], starts[mu + 1]):
                row = a[neurons[k]]
                for j in range(n_lanes):
                    row[j] += weights[k] * step[j]
        for mu in range(n_hidden):
            n_accepted[block, mu] = 0
            if starts[mu] == starts[mu + 1]:
                continue
            gp, gm, tp, tm = gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu]
            for j in range(n_lanes):
                old = np.float64(h[mu, first + j])
                unit_key = hash64(key, mu * n_chains + first + j)
                new = np.float64(_F(_propose(cumulative[mu], unit_key)))
                value[j] = new
                step[j] = _F((new - old) * scale)
                log_ratio[j] = (
                    _potential(old, gp, gm, tp, tm)
                    - _potential(new, gp, gm, tp, tm)
                    + _log_proposal(old, log_density[mu])
                    - _log_proposal(new, log_density[mu])
                )
                product[j] = 1.0
            largest = _F(0.0)
            for j in range(n_lanes):
                largest = max(largest, abs(step[j]))
            exponent = _F(0.0)
            for k in range(starts[mu], starts[mu + 1], 4):
                # four neurons at a time; a missing one has weight 0 and contributes 1
                last = starts[mu + 1] - 1
                k1, k2, k3 = min(k + 1, last), min(k + 2, last), min(k + 3, last)
                w0 = weights[k]
                w1 = weights[k1] if k + 1 <= last else _F(0.0)
                w2 = weights[k2] if k + 2 <= last else _F(0.0)
                w3 = weights[k3] if k + 3 <= last else _F(0.0)
                growth = (abs(w0) + abs(w1) + abs(w2) + abs(w3)) * largest
                exponent += growth
                if exponent > _F(500.0):  # take the logarithm before the product overflows
                    for j in range(n_lanes):
                        log_ratio[j] += math.log(product[j])
                        product[j] = 1.0
                    exponent = growth
                r0, r1, r2, r3 = a[neurons[k]], a[neurons[k1]], a[neurons[k2]], a[neurons[k3]]
                for j in range(n_lanes):
                    one = _F(1.0)
                    first_pair = (
                        (one + exp_f32(r0[j] + w0 * step[j]))
                        * (one + exp_f32(r1[j] + w1 * step[j]))
                    ) / ((one + exp_f32(r0[j])) * (one + exp_f32(r1[j])))
                    second_pair = (
                        (one + exp_f32(r2[j] + w2 * step[j]))
                        * (one + exp_f32(r3[j] + w3 * step[j]))
                    ) / ((one + exp_f32(r2[j])) * (one + exp_f32(r3[j])))
                    product[j] *= np.float64(first_pair) * np.float64(second_pair)
            any_accepted = False
            for j in range(n_lanes):
                unit_key = hash64(key, mu * n_chains + first + j)
                accept = math.log(uniform01(unit_key, 2)) < log_ratio[j] + math.log(product[j])
                if accept and first + j < n_chains:
                    h[mu, first + j] = value[j]
                    n_accepted[block, mu] += 1
                    any_accepted = True
                else:
                    step[j] = 0.0
            if any_accepted:
                for k in range(starts[mu], starts[mu + 1]):
                    row = a[neurons[k]]
                    for j in range(n_lanes):
                        row[j] += weights[k] * step[j]
