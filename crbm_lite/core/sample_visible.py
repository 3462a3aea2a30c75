"""Draws of v given h, and the hidden inputs of the new v: one pass over W for each Gibbs step.

Layout. Neurons are cut into tiles whose size depends on N alone. A thread takes whole tiles, every
tile has its own partial sums, and these are added in a fixed order, so the number of threads
changes no bit. Chains lie on the last, contiguous axis (padded to a multiple of 16), over which the
inner loops vectorise. W is read as packed rows: for every neuron the columns and values of its
weights that are not zero.

The pass computes the input g_i + sum_mu w_imu h_mu of a neuron in all chains, draws its spikes and,
while its row of W is in the cache, adds the row to the inputs of the chains in which it spikes. A
random byte and a coarse exponential decide a spike, unless the probability lies near the 1/256 of
the unit interval for which the byte stands; then 53 more bits and a float64 exponential decide. The
only thing that is inexact is the float32 input, to 1e-7 of its size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from crbm_lite.core.compilation import inner_njit, items_of, parallel_njit
from crbm_lite.core.random_numbers import hash32, hash64
from crbm_lite.core.register_products import LANES, add_product, packed_product
from crbm_lite.core.vector_code import (
    COARSE_ERROR,
    SPARE_PLACES,
    exp_coarse,
    nonzero_places,
    pack_nonzero,
)

__all__ = [
    "PackedRows",
    "add_row",
    "pack_rows",
    "padded_chains",
    "partial_input_given_batch",
    "partial_input_given_v",
    "sample_v_given_h",
    "sample_v_given_h_dense",
    "tile_rows",
]

_F = np.float32
_U = np.uint64
_FAST = {"contract", "reassoc", "nsz", "arcp"}
_AT_A_TIME = 16  # neurons compared before the first is decided
_CHAIN = 0xFFFFFFFF  # the bits of a place that hold the chain
_SURELY_BELOW = _F(256.0 / (1.0 + COARSE_ERROR))
_SURELY_ABOVE = _F(256.0 * (1.0 + COARSE_ERROR))


class PackedRows(NamedTuple):
    """The weights that are not zero, neuron by neuron; a tile of neurons starts where W's does.

    Attributes
    ----------
    n_nonzero : ndarray of int64, shape (N,)
    columns : ndarray of uint16, shape (N M,)
    values : ndarray of float32, shape (N M,)
    """

    n_nonzero: np.ndarray
    columns: np.ndarray
    values: np.ndarray


def tile_rows(n_neurons: int) -> int:
    """Choose the number of neurons in a tile, between 32 and 4,096: about 64 tiles for every N."""
    return int(min(max(-(-n_neurons // 64), 32), 4096))


def padded_chains(n_chains: int) -> int:
    """Round the number of chains up to a multiple of 16 (one AVX-512 register of float32)."""
    return -(-n_chains // LANES) * LANES


@parallel_njit()
def pack_rows(thread, weights, rows_per_tile, packed):
    """Fill ``packed`` rows with the entries of W (N, M) float32 that are not zero."""
    n_neurons, n_hidden = weights.shape
    n_nonzero, columns, values = packed
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        first = tile * rows_per_tile
        start = first * n_hidden
        for i in range(first, min(n_neurons, first + rows_per_tile)):
            end = pack_nonzero(weights[i], start, columns, values)
            n_nonzero[i] = end - start
            start = end


@njit(inline="always")
def add_row(share, start, end, columns, values):
    """Add w_mu of one neuron's packed row to share[mu]."""
    for k in range(start, end):
        share[columns[k]] += values[k]


@inner_njit(error_model="numpy", fastmath=_FAST)
def _compare_with_bytes(neurons, inputs, key, words, random_bytes, v):
    """Compare the probabilities of a few neurons with random bytes: v is 0, 1, or 2 if open."""
    key0, key1 = np.uint32(key & _U(0xFFFFFFFF)), np.uint32(key >> _U(32))
    n_words = words.shape[1]
    for r in range(v.shape[0]):
        first_word = np.uint32(neurons[r] * n_words)
        for j in range(n_words):
            words[r, j] = hash32(np.uint32(first_word + np.uint32(j)), key0, key1)
    for r in range(v.shape[0]):
        for c in range(v.shape[1]):
            # a spike if (byte + fraction)/256 < 1/(1 + exp(-input))
            one_plus = _F(1.0) + exp_coarse(-inputs[r, c])
            low = _F(random_bytes[r, c]) * one_plus
            undecided = np.uint8(2) if low < _SURELY_ABOVE else np.uint8(0)
            v[r, c] = np.uint8(1) if low + one_plus <= _SURELY_BELOW else undecided


@inner_njit(error_model="numpy", fastmath=_FAST)
def _decide_the_open(neurons, inputs, n_chains, key, random_bytes, v, undecided, active):
    """Decide what ``_compare_with_bytes`` left open; return how many spikes ``active`` holds.

    A spike is given by its place: 2^32 times the row of v plus the chain.
    """
    n_candidates = nonzero_places(v, n_chains, active)
    n_undecided = 0
    for j in range(n_candidates):
        place = active[j]
        undecided[n_undecided] = place
        n_undecided += v[place >> 32, place & _CHAIN] == 2
    for j in range(n_undecided):
        r, c = undecided[j] >> 32, undecided[j] & _CHAIN
        bits = hash64(key, _U(neurons[r]) * _U(n_chains) + _U(c)) >> _U(11)
        fraction = np.float64(bits) * 2.0**-53
        spike = (random_bytes[r, c] + fraction) * (1.0 + math.exp(-inputs[r, c])) < 256.0
        v[r, c] = np.uint8(1) if spike else np.uint8(0)
    n_active = 0
    for j in range(n_candidates):
        place = active[j]
        active[n_active] = place
        n_active += v[place >> 32, place & _CHAIN]
    return n_active


@parallel_njit(fastmath=_FAST, error_model="numpy")
def sample_v_given_h(
    thread, fields, packed, h, n_chains, rows_per_tile, key, is_last, v, partial_input
):
    """Draw v given h, and sum each tile's part of the new hidden inputs.

    Several neurons are compared before any is decided. The branches of the second part, which the
    processor cannot foresee, would otherwise make it wait for the arithmetic of the first.

    Parameters
    ----------
    fields : float32 (N,)
    packed : PackedRows
    h : float32 (M, padded chains)
    n_chains, rows_per_tile : int
    key : uint64
        The random key of this step.
    is_last : bool
        Whether the spikes of this step are wanted. Else those of neurons without weights, which no
        hidden unit sees, are not drawn.
    v : uint8 (N, padded chains)
        Overwritten with the spikes in the last step.
    partial_input : float32 (tiles, chains, M)
        Overwritten with the parts of I = vW.
    """
    n_neurons, n_hidden, n_padded = fields.shape[0], h.shape[0], h.shape[1]
    n_nonzero, columns, values = packed
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        words = np.empty((_AT_A_TIME, (n_padded // 4 + 15) // 16 * 16), np.uint32)
        random_bytes = words.view(np.uint8)
        inputs = np.empty((_AT_A_TIME, n_padded), np.float32)
        spikes = np.empty((_AT_A_TIME, n_padded), np.uint8)
        neurons, starts, ends = np.empty((3, _AT_A_TIME), np.int64)
        active = np.empty(_AT_A_TIME * n_padded + SPARE_PLACES, np.int64)
        undecided = np.empty_like(active)
        share = partial_input[tile]
        share[:] = 0
        n_rows, end = 0, tile * rows_per_tile * n_hidden
        last = min(n_neurons, (tile + 1) * rows_per_tile)
        for i in range(tile * rows_per_tile, last):
            start, end = end, end + n_nonzero[i]
            if is_last or end > start:
                packed_product(fields[i], start, end, columns, values, h, inputs[n_rows])
                neurons[n_rows], starts[n_rows], ends[n_rows] = i, start, end
                n_rows += 1
            if n_rows < _AT_A_TIME and i < last - 1:
                continue
            rows = spikes[:n_rows]
            _compare_with_bytes(neurons, inputs, key, words, random_bytes, rows)
            n_active = _decide_the_open(
                neurons, inputs, n_chains, key, random_bytes, rows, undecided, active
            )
            for j in range(n_active):
                r, c = active[j] >> 32, active[j] & _CHAIN
                add_row(share[c], starts[r], ends[r], columns, values)
            if is_last:
                for r in range(n_rows):
                    to = v[neurons[r]]
                    for c in range(n_padded):  # to copy a row compiles an error message
                        to[c] = rows[r, c]
            n_rows = 0


@parallel_njit(fastmath=_FAST, error_model="numpy")
def sample_v_given_h_dense(
    thread, fields, weights, h, n_chains, rows_per_tile, key, is_last, v, partial_input
):
    """Do as ``sample_v_given_h`` with a W (N, M) read whole: four neurons share the loads of h.

    All spikes are drawn in every step, and ``is_last`` does not count.
    """
    n_neurons, n_hidden, n_padded = fields.shape[0], h.shape[0], h.shape[1]
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        words = np.empty((4, (n_padded // 4 + 15) // 16 * 16), np.uint32)
        random_bytes = words.view(np.uint8)
        inputs = np.empty((4, n_padded), np.float32)
        neurons = np.empty(4, np.int64)
        active = np.empty(4 * n_padded + SPARE_PLACES, np.int64)
        undecided = np.empty_like(active)
        share = partial_input[tile]
        share[:] = 0
        last = min(n_neurons, (tile + 1) * rows_per_tile)
        for first in range(tile * rows_per_tile, last, 4):
            n_rows = min(4, last - first)
            for r in range(n_rows):
                neurons[r], inputs[r, :] = first + r, fields[first + r]
            add_product(weights, first, n_rows, h, inputs)
            rows = v[first : first + n_rows]
            _compare_with_bytes(neurons, inputs, key, words, random_bytes, rows)
            n_active = _decide_the_open(
                neurons, inputs, n_chains, key, random_bytes, rows, undecided, active
            )
            for j in range(n_active):
                w, chain_share = weights[first + (active[j] >> 32)], share[active[j] & _CHAIN]
                for mu in range(n_hidden):
                    chain_share[mu] += w[mu]


@parallel_njit(fastmath=_FAST, error_model="numpy")
def partial_input_given_v(thread, packed, n_chains, rows_per_tile, v, partial_input):
    """Sum each tile's part of the hidden inputs of given spikes v (N, padded chains)."""
    n_nonzero, columns, values = packed
    n_neurons, n_hidden = n_nonzero.shape[0], partial_input.shape[2]
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        active = np.empty(v.shape[1] + SPARE_PLACES, np.int64)
        share = partial_input[tile]
        share[:] = 0
        first = tile * rows_per_tile
        start = first * n_hidden
        for i in range(first, min(n_neurons, first + rows_per_tile)):
            end = start + n_nonzero[i]
            for j in range(nonzero_places(v[i : i + 1], n_chains, active)):
                add_row(share[active[j]], start, end, columns, values)
            start = end


@parallel_njit(fastmath=_FAST, error_model="numpy")
def partial_input_given_batch(thread, packed, starts, frames, rows_per_tile, partial_input):
    """Do as ``partial_input_given_v`` for a batch of data, with partial_input (tiles, batch, M).

    Neuron i is active in frames[starts[i]:starts[i + 1]] of the batch.
    """
    n_nonzero, columns, values = packed
    n_neurons, n_hidden = n_nonzero.shape[0], partial_input.shape[2]
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        share = partial_input[tile]
        share[:] = 0
        first = tile * rows_per_tile
        start = first * n_hidden
        for i in range(first, min(n_neurons, first + rows_per_tile)):
            end = start + n_nonzero[i]
            for j in range(starts[i], starts[i + 1]):
                add_row(share[frames[j]], start, end, columns, values)
            start = end
