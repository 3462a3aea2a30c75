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

The odds :math:`e^{a_i}` are held in float32, and those of two neurons are multiplied. A jump whose
products leave the range of float32, before it or after it, is refused, and so is one that changes
an :math:`a_i` by more than 87. The jump back would be refused for the same reason, so the rule
stays exact; such states are left to plain Gibbs sampling. A neuron with :math:`a_i < -87` counts as
silent for the rest of the sweep.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from crbm_lite.core.compilation import cached_njit, items_of, parallel_njit
from crbm_lite.core.random_numbers import hash64, uniform01
from crbm_lite.core.vector_code import ROWS_AHEAD, exp_f32, request_row

__all__ = [
    "BIN_EDGES",
    "BIN_WIDTH",
    "EVEN_SHARE",
    "N_BINS",
    "REACH",
    "PackedColumns",
    "Proposal",
    "bin_of",
    "blocks_of_chains",
    "columns_of",
    "count_values",
    "empty_counts",
    "jump_sweep",
    "proposal_given_counts",
]

N_BINS = 96
REACH = 4.0  # the histogram covers |h| < sinh(4) = 27 standard deviations
BIN_WIDTH = 2.0 * REACH / N_BINS
BIN_EDGES = np.sinh(np.linspace(-REACH, REACH, N_BINS + 1))  # bins are even in asinh(h)
EVEN_SHARE = 0.02  # share of the proposals spread evenly over the bins
_F = np.float32
_LARGEST_EXPONENT = np.float32(87.0)  # exp_f32 is clipped beyond 87.3


class PackedColumns(NamedTuple):
    """The weights that are not zero, hidden unit by hidden unit.

    Attributes
    ----------
    starts : ndarray of int64, shape (M + 1,)
        Where the units begin in the other two.
    neurons : ndarray of int32
    weights : ndarray of float32
    """

    starts: np.ndarray
    neurons: np.ndarray
    weights: np.ndarray


class Proposal(NamedTuple):
    """The histogram from which new values of h are proposed, flat within a bin.

    Attributes
    ----------
    cumulative : ndarray, shape (M, bins)
        Cumulative probabilities.
    log_density : ndarray, shape (M, bins)
    """

    cumulative: np.ndarray
    log_density: np.ndarray


class _Offers(NamedTuple):
    """One jump for every hidden unit of every chain.

    Attributes
    ----------
    value : ndarray of float32, shape (M, padded chains)
        The proposed h.
    step : ndarray of float32, shape (M, padded chains)
        Its distance from the present h, times the factor on W.
    log_ratio : ndarray of float64, shape (M, padded chains)
        The log of the acceptance ratio, without the part of the neurons.
    """

    value: np.ndarray
    step: np.ndarray
    log_ratio: np.ndarray


@cached_njit()
def bin_of(h):
    """Find the bin of a value of h; below 0 or above the last where it lies out of reach."""
    return math.floor((math.asinh(h) + REACH) / BIN_WIDTH)


@cached_njit()
def count_values(h, counts):
    """Add values h (samples, M) to counts (M, bins) of asinh(h)."""
    for t in range(h.shape[0]):
        for mu in range(h.shape[1]):
            b = bin_of(h[t, mu])
            if 0 <= b < N_BINS:
                counts[mu, b] += 1.0


def empty_counts(n_hidden: int) -> np.ndarray:
    """Make counts (M, bins) of no values: every bin alike."""
    return np.full((n_hidden, N_BINS), 1.0 / N_BINS)


def proposal_given_counts(counts: np.ndarray) -> Proposal:
    """Propose values as often as they were counted (M, bins), and a few evenly over the bins."""
    share = counts / counts.sum(axis=1, keepdims=True)
    share = (1.0 - EVEN_SHARE) * share + EVEN_SHARE / N_BINS
    cumulative = np.cumsum(share, axis=1)
    return Proposal(cumulative / cumulative[:, -1:], np.log(share / np.diff(BIN_EDGES)))


@cached_njit()
def columns_of(packed, rows_per_tile, n_hidden):
    """Transpose packed rows (`crbm_lite.core.sample_visible.PackedRows`)."""
    n_nonzero, columns, values = packed
    starts = np.zeros(n_hidden + 1, np.int64)
    for i in range(n_nonzero.shape[0]):
        if i % rows_per_tile == 0:
            k = i * n_hidden
        for _ in range(n_nonzero[i]):
            starts[columns[k] + 1] += 1
            k += 1
    for mu in range(n_hidden):
        starts[mu + 1] += starts[mu]
    neurons = np.empty(starts[n_hidden], np.int32)
    weights = np.empty(starts[n_hidden], np.float32)
    position = starts[:-1].copy()
    for i in range(n_nonzero.shape[0]):
        if i % rows_per_tile == 0:
            k = i * n_hidden
        for _ in range(n_nonzero[i]):
            mu = columns[k]
            neurons[position[mu]] = i
            weights[position[mu]] = values[k]
            position[mu] += 1
            k += 1
    return PackedColumns(starts, neurons, weights)


@njit(inline="always")
def _potential(h, gamma_plus, gamma_minus, theta_plus, theta_minus):
    if h > 0:
        return (0.5 * gamma_plus * h + theta_plus) * h
    return (0.5 * gamma_minus * h + theta_minus) * h


@njit(inline="always")
def _odds(a):
    """Exponentiate a log-odds; beyond float32 it is 0 or infinite, not clipped."""
    if a > _LARGEST_EXPONENT:
        return _F(np.inf)
    return exp_f32(a) if a > -_LARGEST_EXPONENT else _F(0.0)


@njit(inline="always")
def _log_proposal(h, log_density):
    """Look up the log density of the proposal at h: -inf where it lies out of reach."""
    b = bin_of(h)
    return log_density[b] if 0 <= b < N_BINS else -np.inf


@njit(inline="always")
def _propose(cumulative, key):
    """Draw a value from the histogram, evenly within its bin."""
    b = min(np.searchsorted(cumulative, uniform01(key, 0)), N_BINS - 1)
    return BIN_EDGES[b] + (BIN_EDGES[b + 1] - BIN_EDGES[b]) * uniform01(key, 1)


@parallel_njit(error_model="numpy")
def _propose_jumps(thread, jumping, proposal, potential, scale, n_chains, key, h, offers):
    """Draw the offers of a sweep.

    Parameters
    ----------
    jumping : bool (M,)
        The units that get offers; those of the others are left undefined.
    proposal : Proposal
    potential : tuple of four float64 (M,), see Eq. 13
    scale : float
        Factor on W (annealing).
    n_chains : int
    key : uint64
    h : float32 (M, padded chains)
    offers : _Offers; overwritten
    """
    cumulative, log_density = proposal
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    value, step, log_ratio = offers
    for mu in items_of(thread, h.shape[0]):
        if not jumping[mu]:
            continue
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


@njit(inline="always")
def _move_inputs(a, neurons, weights, first, last, step):
    """Add w_i step to the inputs a of the neurons that a hidden unit has, entries first to last."""
    for k in range(first, last):
        request_row(a[neurons[min(k + ROWS_AHEAD, last - 1)]])
        row = a[neurons[k]]
        for j in range(row.shape[0]):
            row[j] += weights[k] * step[j]


@njit(inline="always")
def _move_odds(odds, neurons, weights, first, last, step):
    """Multiply the odds of the neurons that a hidden unit has by e^(w_i step)."""
    for k in range(first, last):
        request_row(odds[neurons[min(k + ROWS_AHEAD, last - 1)]])
        row = odds[neurons[k]]
        for j in range(row.shape[0]):
            row[j] *= exp_f32(weights[k] * step[j])


@njit(inline="always")
def _add_log_gain(odds, neurons, weights, first, last, step, largest, log_ratio, product):
    """Add what the neurons say to a jump: sum_i log (1 + odds_i e^(w_i step)) / (1 + odds_i).

    The ratios are multiplied, four neurons at a time, and the logarithm of their product is taken
    before it could overflow; the last product is left in ``product``. No ``step`` exceeds
    ``largest``. The sum is not finite where odds leave the range of float32.

    Returns
    -------
    float32
        The largest weight of the unit, |w_i|.
    """
    product[:] = 1.0
    exponent = _F(0.0)
    one = _F(1.0)
    largest_weight = _F(0.0)
    end = last - 1
    for k in range(first, last, 4):
        # a missing neuron has weight 0 and contributes 1
        k1, k2, k3 = min(k + 1, end), min(k + 2, end), min(k + 3, end)
        w0 = weights[k]
        w1 = weights[k1] if k + 1 <= end else _F(0.0)
        w2 = weights[k2] if k + 2 <= end else _F(0.0)
        w3 = weights[k3] if k + 3 <= end else _F(0.0)
        growth = (abs(w0) + abs(w1) + abs(w2) + abs(w3)) * largest
        largest_weight = max(largest_weight, abs(w0), abs(w1), abs(w2), abs(w3))
        exponent += growth
        if exponent > _F(500.0):
            for j in range(step.shape[0]):
                log_ratio[j] += math.log(product[j])
            product[:] = 1.0
            exponent = growth
        for ahead in range(k + ROWS_AHEAD, min(k + ROWS_AHEAD + 4, last)):
            request_row(odds[neurons[ahead]])
        r0, r1, r2, r3 = odds[neurons[k]], odds[neurons[k1]], odds[neurons[k2]], odds[neurons[k3]]
        for j in range(step.shape[0]):
            first_pair = (
                (one + r0[j] * exp_f32(w0 * step[j])) * (one + r1[j] * exp_f32(w1 * step[j]))
            ) / ((one + r0[j]) * (one + r1[j]))
            second_pair = (
                (one + r2[j] * exp_f32(w2 * step[j])) * (one + r3[j] * exp_f32(w3 * step[j]))
            ) / ((one + r2[j]) * (one + r3[j]))
            product[j] *= np.float64(first_pair) * np.float64(second_pair)
    return largest_weight


@parallel_njit(error_model="numpy", fastmath={"contract", "nsz"})
def _accept_jumps(
    thread, jumping, fields, columns, scale, n_chains, key, offers, h, odds, n_accepted
):
    """Make every offer to its hidden unit and chain, in the order of the units.

    Parameters
    ----------
    jumping : bool (M,)
    fields : float32 (N,)
    columns : PackedColumns
    scale, n_chains, key, offers : as in ``_propose_jumps``
    h : float32 (M, padded chains); updated
    odds : float32 (blocks, N, chains of a block); scratch
        A thread takes whole blocks of chains. How many there are changes no bit.
    n_accepted : int64 (blocks, M)
        Overwritten with the numbers of accepted jumps.
    """
    starts, neurons, weights = columns
    value, steps, log_ratios = offers
    n_hidden = h.shape[0]
    n_lanes = odds.shape[2]  # not a constant: unrolled loops do not vectorise
    for block in items_of(thread, odds.shape[0]):
        lane = block * n_lanes
        a = odds[block]  # a_i of the neurons, then e^(a_i): saves an exponential for every jump
        step = np.empty(n_lanes, np.float32)
        product = np.empty(n_lanes)
        a[:] = np.reshape(fields, (-1, 1))
        for mu in range(n_hidden):
            for j in range(n_lanes):
                step[j] = h[mu, lane + j] * _F(scale)
            _move_inputs(a, neurons, weights, starts[mu], starts[mu + 1], step)
        for i in range(a.shape[0]):
            for j in range(n_lanes):
                a[i, j] = _odds(a[i, j])
        for mu in range(n_hidden):
            n_accepted[block, mu] = 0
            first, last = starts[mu], starts[mu + 1]
            if first == last or not jumping[mu]:
                continue
            step[:] = steps[mu, lane : lane + n_lanes]
            log_ratio = log_ratios[mu, lane : lane + n_lanes]
            largest = _F(0.0)
            for c in range(n_chains):
                largest = max(largest, abs(steps[mu, c]))
            largest_weight = _add_log_gain(
                a, neurons, weights, first, last, step, largest, log_ratio, product
            )
            for j in range(n_lanes):
                c = lane + j
                u = uniform01(hash64(key, mu * n_chains + c), 2)
                ratio = log_ratio[j] + math.log(product[j])
                within = ratio < np.inf and abs(step[j]) * largest_weight < _LARGEST_EXPONENT
                if c < n_chains and within and math.log(u) < ratio:
                    h[mu, c] = value[mu, c]
                    n_accepted[block, mu] += 1
                else:
                    step[j] = 0.0
            if n_accepted[block, mu]:
                _move_odds(a, neurons, weights, first, last, step)


def blocks_of_chains(n_padded: int, n_threads: int) -> int:
    """Choose the number of blocks that share out padded chains, 8 or a multiple of it in each."""
    eights = n_padded // 8
    return min(n for n in range(1, eights + 1) if eights % n == 0 and n >= min(n_threads, eights))


def jump_sweep(
    jumping: np.ndarray,
    fields: np.ndarray,
    columns: PackedColumns,
    proposal: Proposal,
    potential: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    scale: float,
    n_chains: int,
    key: np.uint64,
    h: np.ndarray,
    odds: np.ndarray,
) -> np.ndarray:
    """Offer one jump to those hidden units of every chain that jump, in the order of the units.

    Parameters
    ----------
    jumping : ndarray of bool, shape (M,)
        The units that jump. They do not depend on the state of the chains within a sweep.
    fields : ndarray of float32, shape (N,)
    columns : PackedColumns
    proposal : Proposal
    potential : four float64 arrays, shape (M,), see Eq. 13
    scale : float
        Factor on W (annealing).
    n_chains : int
    key : uint64
        The random key of this sweep.
    h : ndarray of float32, shape (M, padded chains); updated
    odds : ndarray of float32, shape (blocks, N, padded chains / blocks); scratch

    Returns
    -------
    ndarray of int64, shape (M,)
        The number of accepted jumps of every unit, over the chains.
    """
    offers = _Offers(np.empty_like(h), np.empty_like(h), np.empty(h.shape))
    n_accepted = np.zeros((len(odds), len(h)), np.int64)
    _propose_jumps(jumping, proposal, tuple(potential), scale, n_chains, key, h, offers)
    _accept_jumps(jumping, fields, columns, scale, n_chains, key, offers, h, odds, n_accepted)
    return n_accepted.sum(axis=0)
