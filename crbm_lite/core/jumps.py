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

from crbm_lite.core.random_numbers import hash64, uniform01
from crbm_lite.core.vector_code import AHEAD, exp_f32, request_row

_F = np.float32
_N_BINS = 96
_REACH = 4.0  # the histogram covers |h| < sinh(4) = 27 standard deviations
_BIN = 2.0 * _REACH / _N_BINS
_EDGES = np.sinh(np.linspace(-_REACH, _REACH, _N_BINS + 1))  # bins are even in asinh(h)
_LARGEST_ODDS = np.float32(2.0**60)
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
    starts = np.zeros(n_hidden + 1, np.int64)
    for i in range(row_nnz.shape[0]):
        if i % rows_a_tile == 0:
            k = i * n_hidden
        for _ in range(row_nnz[i]):
            starts[columns[k] + 1] += 1
            k += 1
    for mu in range(n_hidden):
        starts[mu + 1] += starts[mu]
    neurons = np.empty(starts[n_hidden], np.int32)
    weights = np.empty(starts[n_hidden], np.float32)
    position = starts[:-1].copy()
    for i in range(row_nnz.shape[0]):
        if i % rows_a_tile == 0:
            k = i * n_hidden
        for _ in range(row_nnz[i]):
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
def _within_reach(odds):
    """Odds of a spike, held at |a| < 41 so that products of two stay finite in float32."""
    return min(odds, _LARGEST_ODDS)


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


@njit(cache=True, parallel=True, error_model="numpy")
def _propose_jumps(
    cumulative, log_density, gamma_plus, gamma_minus, theta_plus, theta_minus, scale, n_chains, key,
    h, value, step, log_ratio,
):  # fmt: skip
    """Draw the proposals of a sweep, and the part of their odds that the neurons do not enter.

    Parameters
    ----------
    cumulative, log_density : float64 (M, bins), see ``proposal_given_counts``
    scale : float
        Factor on W (annealing).
    h : float32 (M, padded chains)
    value, step, log_ratio : float32, float32, float64 (M, padded chains)
        Set to the proposed h, to its distance from h times ``scale``, and to the log acceptance
        ratio without the neurons.
    """
    for mu in prange(h.shape[0]):
        gp, gm, tp, tm = gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu]
        for c in range(h.shape[1]):
            old = np.float64(h[mu, c])
            unit_key = hash64(key, mu * n_chains + c)
            value[mu, c] = _propose(cumulative[mu], unit_key)
            new = np.float64(value[mu, c])
            step[mu, c] = (new - old) * scale
            log_ratio[mu, c] = (
                _potential(old, gp, gm, tp, tm)
                - _potential(new, gp, gm, tp, tm)
                + _log_proposal(old, log_density[mu])
                - _log_proposal(new, log_density[mu])
            )


@njit(cache=True, parallel=True, error_model="numpy", fastmath={"contract", "nsz"})
def _accept_jumps(
    fields, starts, neurons, weights, scale, n_chains, key, value, steps, log_ratios, h, odds,
    n_accepted,
):  # fmt: skip
    """Offer every hidden unit of every chain its jump, in the order of the units.

    Parameters
    ----------
    fields : float32 (N,)
    starts, neurons, weights : columns of W, see ``columns_of``
    scale, n_chains, key, value, steps, log_ratios : as in ``_propose_jumps``
    h : float32 (M, padded chains); updated
    odds : float32 (blocks, N, chains of a block); scratch
        A thread takes whole blocks of chains. How many there are changes no bit.
    n_accepted : int64 (blocks, M); accepted jumps, set
    """
    n_hidden = h.shape[0]
    n_lanes = odds.shape[2]  # not a constant: unrolled loops do not vectorise
    for block in prange(odds.shape[0]):
        first = block * n_lanes
        a = odds[block]  # a_i of the neurons, then e^a: one exponential less a neuron and jump
        step = np.empty(n_lanes, np.float32)
        product = np.empty(n_lanes)
        a[:] = np.reshape(fields, (-1, 1))
        for mu in range(n_hidden):
            for j in range(n_lanes):
                step[j] = h[mu, first + j] * _F(scale)
            for k in range(starts[mu], starts[mu + 1]):
                request_row(a[neurons[min(k + AHEAD, starts[mu + 1] - 1)]])
                row = a[neurons[k]]
                for j in range(n_lanes):
                    row[j] += weights[k] * step[j]
        for i in range(a.shape[0]):
            for j in range(n_lanes):
                a[i, j] = _within_reach(exp_f32(a[i, j]))
        for mu in range(n_hidden):
            n_accepted[block, mu] = 0
            if starts[mu] == starts[mu + 1]:
                continue
            step[:] = steps[mu, first : first + n_lanes]
            log_ratio = log_ratios[mu, first : first + n_lanes]
            product[:] = 1.0
            largest = _F(0.0)
            for c in range(n_chains):
                largest = max(largest, abs(steps[mu, c]))
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
                    product[:] = 1.0
                    exponent = growth
                for ahead in range(k + AHEAD, min(k + AHEAD + 4, last + 1)):
                    request_row(a[neurons[ahead]])
                r0, r1, r2, r3 = a[neurons[k]], a[neurons[k1]], a[neurons[k2]], a[neurons[k3]]
                for j in range(n_lanes):
                    one = _F(1.0)
                    first_pair = (
                        (one + _within_reach(r0[j] * exp_f32(w0 * step[j])))
                        * (one + _within_reach(r1[j] * exp_f32(w1 * step[j])))
                    ) / ((one + r0[j]) * (one + r1[j]))
                    second_pair = (
                        (one + _within_reach(r2[j] * exp_f32(w2 * step[j])))
                        * (one + _within_reach(r3[j] * exp_f32(w3 * step[j])))
                    ) / ((one + r2[j]) * (one + r3[j]))
                    product[j] *= np.float64(first_pair) * np.float64(second_pair)
            for j in range(n_lanes):
                c = first + j
                u = uniform01(hash64(key, mu * n_chains + c), 2)
                if c < n_chains and math.log(u) < log_ratio[j] + math.log(product[j]):
                    h[mu, c] = value[mu, c]
                    n_accepted[block, mu] += 1
                else:
                    step[j] = 0.0
            if n_accepted[block, mu]:
                for k in range(starts[mu], starts[mu + 1]):
                    request_row(a[neurons[min(k + AHEAD, starts[mu + 1] - 1)]])
                    row = a[neurons[k]]
                    for j in range(n_lanes):
                        row[j] = _within_reach(row[j] * exp_f32(weights[k] * step[j]))


def blocks_of_chains(n_padded: int, n_threads: int) -> int:
    """Blocks that share out padded chains, 8 or a multiple of it each, among the threads."""
    eights = n_padded // 8
    return min(n for n in range(1, eights + 1) if eights % n == 0 and n >= min(n_threads, eights))


def jump_sweep(
    fields: np.ndarray,
    columns: tuple[np.ndarray, np.ndarray, np.ndarray],
    proposal: tuple[np.ndarray, np.ndarray],
    potential: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    scale: float,
    n_chains: int,
    key: np.uint64,
    h: np.ndarray,
    odds: np.ndarray,
) -> np.ndarray:
    """Offer every hidden unit of every chain one jump, in the order of the units.

    Parameters
    ----------
    fields : ndarray of float32, shape (N,)
    columns : tuple
        Columns of W, see ``columns_of``.
    proposal : tuple
        See ``proposal_given_counts``.
    potential : tuple of four float64 arrays, shape (M,)
    scale : float
        Factor on W (annealing).
    n_chains : int
    key : uint64
        Random key of this sweep.
    h : ndarray of float32, shape (M, padded chains); updated
    odds : ndarray of float32, shape (blocks, N, padded chains / blocks); scratch

    Returns
    -------
    ndarray of int64, shape (M,)
        Accepted jumps of every unit, over the chains.
    """
    value, step, log_ratio = np.empty_like(h), np.empty_like(h), np.empty(h.shape)
    n_accepted = np.zeros((len(odds), len(h)), np.int64)
    _propose_jumps(*proposal, *potential, scale, n_chains, key, h, value, step, log_ratio)
    _accept_jumps(
        fields, *columns, scale, n_chains, key, value, step, log_ratio, h, odds, n_accepted
    )
    return n_accepted.sum(axis=0)
