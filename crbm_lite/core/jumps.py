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

The odds :math:`e^{a_i}` are held in float32, and the terms of four neurons are multiplied. A jump
whose products leave the range of float32, before it or after it, is refused, and so is one that
changes an :math:`a_i` by more than 87. The jump back would be refused for the same reason, so the
rule stays exact; such states are left to plain Gibbs sampling. A neuron with :math:`a_i < -87`
counts as silent for the rest of the sweep.

Layout. The odds of a chain lie together, and a thread takes whole chains. Where few weights are
zero, W is read whole, hidden unit by hidden unit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from crbm_lite.core.compilation import cached_njit, inner_njit, items_of, parallel_njit
from crbm_lite.core.random_numbers import hash64, uniform01
from crbm_lite.core.register_products import add_product, packed_product
from crbm_lite.core.sample_visible import PackedRows
from crbm_lite.core.vector_code import exp_f32, log_f32

__all__ = [
    "BIN_EDGES",
    "BIN_WIDTH",
    "EVEN_SHARE",
    "N_BINS",
    "REACH",
    "Columns",
    "Proposal",
    "bin_of",
    "columns_of",
    "count_values",
    "dense_columns_of",
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
_AT_A_TIME = 16  # neurons of which the odds are written together
_LANES = 16  # neurons whose terms are formed together
_GROUP = 4 * _LANES
_CHAINS_PER_GROUP = 4  # that share a unit's weights while these are in the cache
_LARGEST_EXPONENT = np.float32(87.0)  # exp_f32 is clipped beyond 87.3


class Columns(NamedTuple):
    """The weights, hidden unit by hidden unit.

    Attributes
    ----------
    starts : ndarray of int64, shape (M + 1,)
        Where the units begin in the next two.
    neurons : ndarray of int32
        The neurons whose weights are not zero; empty where the weights of all neurons are there.
    weights : ndarray of float32
    largest : ndarray of float32, shape (M,)
        The largest |w| of every unit.
    """

    starts: np.ndarray
    neurons: np.ndarray
    weights: np.ndarray
    largest: np.ndarray


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


@inner_njit()
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
    cumulative /= cumulative[:, -1:]
    return Proposal(cumulative, np.log(share / np.diff(BIN_EDGES)))


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
    largest = np.zeros(n_hidden, np.float32)
    position = starts[:-1].copy()
    for i in range(n_nonzero.shape[0]):
        if i % rows_per_tile == 0:
            k = i * n_hidden
        for _ in range(n_nonzero[i]):
            mu = columns[k]
            neurons[position[mu]] = i
            weights[position[mu]] = values[k]
            largest[mu] = max(largest[mu], abs(values[k]))
            position[mu] += 1
            k += 1
    return Columns(starts, neurons, weights, largest)


def dense_columns_of(weights: np.ndarray) -> Columns:
    """Transpose W (N, M) float32 with its zeros."""
    n_neurons, n_hidden = weights.shape
    starts = n_neurons * np.arange(n_hidden + 1)
    largest = np.abs(weights).max(axis=0) if n_neurons else np.zeros(n_hidden, np.float32)
    return Columns(starts, np.empty(0, np.int32), weights.T.ravel(), largest)


@njit(inline="always")
def _potential(h, gamma_plus, gamma_minus, theta_plus, theta_minus):
    if h > 0:
        return (0.5 * gamma_plus * h + theta_plus) * h
    return (0.5 * gamma_minus * h + theta_minus) * h


@njit(inline="always")
def _log_proposal(h, log_density):
    """Look up the log density of the proposal at h: -inf where it lies out of reach."""
    b = bin_of(h)
    return log_density[b] if 0 <= b < N_BINS else -np.inf


@njit(inline="always")
def _propose(cumulative, key):
    """Draw a value from the histogram, evenly within its bin."""
    u, b, size = uniform01(key, 0), 0, N_BINS
    while size > 1:  # b is the first bin that may hold u, and those after it are ``size``
        half = size // 2
        b += half if cumulative[b + half - 1] < u else 0
        size -= half
    return _F(BIN_EDGES[b] + (BIN_EDGES[b + 1] - BIN_EDGES[b]) * uniform01(key, 1))


@inner_njit(error_model="numpy")
def _write_odds(inputs, first, last, odds):
    """Write e^a of the inputs a (neurons, padded chains) of a few neurons to odds (chains, N).

    Beyond float32 they are 0 or infinite, not clipped.
    """
    for r in range(last - first):
        row = inputs[r]
        for c in range(row.shape[0]):
            a = row[c]
            e = exp_f32(a)
            e = _F(np.inf) if a > _LARGEST_EXPONENT else e
            row[c] = e if a > -_LARGEST_EXPONENT else _F(0.0)
    for c in range(odds.shape[0]):
        row = odds[c, first:last]
        for r in range(last - first):
            row[r] = inputs[r, c]


@parallel_njit(error_model="numpy")
def _odds_given_h(thread, fields, packed, rows_per_tile, h, odds):
    """Fill odds (chains, N) given h (M, padded chains) float32, from packed rows of W."""
    n_neurons, n_hidden = fields.shape[0], h.shape[0]
    n_nonzero, columns, values = packed
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        inputs = np.empty((_AT_A_TIME, h.shape[1]), np.float32)
        start = tile * rows_per_tile * n_hidden
        end_of_tile = min(n_neurons, (tile + 1) * rows_per_tile)
        for first in range(tile * rows_per_tile, end_of_tile, _AT_A_TIME):
            last = min(first + _AT_A_TIME, end_of_tile)
            for i in range(first, last):
                end = start + n_nonzero[i]
                packed_product(fields[i], start, end, columns, values, h, inputs[i - first])
                start = end
            _write_odds(inputs, first, last, odds)


@parallel_njit(error_model="numpy")
def _odds_given_h_dense(thread, fields, weights, rows_per_tile, h, odds):
    """Do as ``_odds_given_h`` with a W (N, M) read whole."""
    n_neurons = fields.shape[0]
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        inputs = np.empty((_AT_A_TIME, h.shape[1]), np.float32)
        end_of_tile = min(n_neurons, (tile + 1) * rows_per_tile)
        for first in range(tile * rows_per_tile, end_of_tile, _AT_A_TIME):
            last = min(first + _AT_A_TIME, end_of_tile)
            for i in range(first, last):
                inputs[i - first, :] = fields[i]
            for i in range(first, last, 4):
                add_product(weights, i, min(last - i, 4), h, inputs[i - first :])
            _write_odds(inputs, first, last, odds)


@njit(inline="always")
def _log_gain_of_group(odds, weights, first, step):
    """Sum the log gains of ``_GROUP`` neurons; the terms of four have one logarithm."""
    one, total = _F(1.0), _F(0.0)
    for k in range(_LANES):
        j = first + k
        o0, w0 = odds[j], weights[j]
        o1, w1 = odds[j + _LANES], weights[j + _LANES]
        o2, w2 = odds[j + 2 * _LANES], weights[j + 2 * _LANES]
        o3, w3 = odds[j + 3 * _LANES], weights[j + 3 * _LANES]
        before = (one + o0) * (one + o1) * (one + o2) * (one + o3)
        after01 = (one + o0 * exp_f32(w0 * step)) * (one + o1 * exp_f32(w1 * step))
        after23 = (one + o2 * exp_f32(w2 * step)) * (one + o3 * exp_f32(w3 * step))
        total += log_f32(after01 * after23) - log_f32(before)
    return np.float64(total)


@inner_njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _log_gain(odds, weights, step, rest):
    """Sum log (1 + odds_i e^(w_i step)) / (1 + odds_i) over the neurons of a hidden unit.

    The last group is made up with odds of 0, in ``rest`` (2, _GROUP), which is scratch. The sum is
    not finite where odds or products leave the range of float32.
    """
    n, total = weights.shape[0], 0.0
    whole = n // _GROUP * _GROUP
    for first in range(0, whole, _GROUP):
        total += _log_gain_of_group(odds, weights, first, step)
    if whole < n:
        rest[:] = _F(0.0)
        for k in range(n - whole):
            rest[0, k], rest[1, k] = odds[whole + k], weights[whole + k]
        total += _log_gain_of_group(rest[0], rest[1], 0, step)
    return total


@inner_njit(error_model="numpy", fastmath={"contract", "nsz"})
def _move_odds(odds, weights, step):
    """Multiply the odds of the neurons that a hidden unit has by e^(w_i step)."""
    for k in range(weights.shape[0]):
        odds[k] *= exp_f32(weights[k] * step)


@parallel_njit(error_model="numpy")
def _offer_jumps(
    thread, jumping, columns, proposal, potential, scale, n_chains, key, h, odds, is_accepted
):
    """Offer a jump to units of every chain, one after the other.

    Parameters
    ----------
    jumping : int64
        The numbers of the units.
    columns : Columns
    proposal : Proposal
    potential : tuple of four float64 (M,), see Eq. 13
    scale : float
        Factor on W (annealing).
    n_chains : int
    key : uint64
    h : float32 (M, padded chains); updated
    odds : float32 (chains, N); updated
    is_accepted : uint8 (M, chains)
        Set to 1 where a jump is accepted.
    """
    starts, neurons, weights, largest = columns
    cumulative, log_density = proposal
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    for group in items_of(thread, (n_chains + _CHAINS_PER_GROUP - 1) // _CHAINS_PER_GROUP):
        first_chain = group * _CHAINS_PER_GROUP
        gathered = np.empty(odds.shape[1], np.float32)
        rest = np.empty((2, _GROUP), np.float32)
        for mu in jumping:
            w = weights[starts[mu] : starts[mu + 1]]
            members = neurons[starts[mu] : starts[mu + 1]]
            if w.shape[0] == 0:
                continue
            gp, gm, tp, tm = gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu]
            for c in range(first_chain, min(first_chain + _CHAINS_PER_GROUP, n_chains)):
                unit_key = hash64(key, mu * n_chains + c)
                old = np.float64(h[mu, c])
                value = _propose(cumulative[mu], unit_key)
                new = np.float64(value)
                step = _F((new - old) * scale)
                if not abs(step) * largest[mu] < _LARGEST_EXPONENT:
                    continue
                log_ratio = (
                    _potential(old, gp, gm, tp, tm)
                    - _potential(new, gp, gm, tp, tm)
                    + _log_proposal(old, log_density[mu])
                    - _log_proposal(new, log_density[mu])
                )
                row = odds[c]
                own = gathered[: members.shape[0]] if members.shape[0] else row
                for k in range(members.shape[0]):
                    own[k] = row[members[k]]
                log_ratio += _log_gain(own, w, step, rest)
                if log_ratio < np.inf and math.log(uniform01(unit_key, 2)) < log_ratio:
                    h[mu, c] = value
                    is_accepted[mu, c] = 1
                    _move_odds(own, w, step)
                    for k in range(members.shape[0]):
                        row[members[k]] = own[k]


def jump_sweep(
    jumping: np.ndarray,
    fields: np.ndarray,
    weights: PackedRows | np.ndarray,
    columns: Columns,
    rows_per_tile: int,
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
    weights : PackedRows, or ndarray of float32, shape (N, M)
        W, with or without its zeros.
    columns : Columns
        The same W, hidden unit by hidden unit.
    rows_per_tile : int
        See `crbm_lite.core.sample_visible.tile_rows`.
    proposal : Proposal
    potential : four float64 arrays, shape (M,), see Eq. 13
    scale : float
        Factor on W (annealing).
    n_chains : int
    key : uint64
        The random key of this sweep.
    h : ndarray of float32, shape (M, padded chains); updated
    odds : ndarray of float32, shape (chains, N); scratch

    Returns
    -------
    ndarray of int64, shape (M,)
        The number of accepted jumps of every unit, over the chains.
    """
    is_accepted = np.zeros((len(h), n_chains), np.uint8)
    scaled = h if scale == 1.0 else h * _F(scale)
    fill = _odds_given_h_dense if isinstance(weights, np.ndarray) else _odds_given_h
    fill(fields, weights, rows_per_tile, scaled, odds)
    _offer_jumps(
        np.flatnonzero(jumping), columns, proposal, tuple(potential), scale, n_chains, key, h,
        odds, is_accepted,
    )  # fmt: skip
    return is_accepted.sum(axis=1, dtype=np.int64)
