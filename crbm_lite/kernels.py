"""Numba kernels of the Gibbs sampler: one pass over W per step, shared by training and sampling.

Layout. Neurons are cut into tiles whose size depends on N alone; a thread takes whole tiles, every
tile has its own partial sums, and these are added in a fixed order, so the number of threads
changes no bit. Chains sit on the last, contiguous axis (padded to a multiple of 16), which is what
the inner loops vectorise over. W is read as packed rows: for every neuron the columns and values of
its non-zero weights, padded with zero weights to a multiple of four.

The visible pass computes the input g_i + sum_mu w_imu h_mu of a neuron in all chains, draws its
spikes, and adds its row of W to the inputs of the chains in which it spikes while the row is in
cache. A random byte decides a spike unless it falls into the 1/256 of the unit interval that holds
the probability; then 53 more bits do. What is inexact is the float32 input and its exponential, to
2e-7 of the probability.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from crbm_lite.micro_kernel import LANES, add_product
from crbm_lite.random_numbers import hash32, hash64

_F = np.float32
_U = np.uint64
_LOW_BITS = _U(0x0101010101010101)
_GATHER = _U(0x0102040810204080)
_FAST = {"contract", "reassoc", "nsz", "arcp"}
_BYTE_VALUES = _F(256.0)


def tile_rows(n_neurons: int) -> int:
    """Neurons in a tile: about 64 tiles, between 32 and 4,096 rows; a function of N only."""
    return int(min(max(-(-n_neurons // 64), 32), 4096))


def padded_chains(n_chains: int) -> int:
    """Number of chains rounded up to a multiple of 16 (one AVX-512 register of float32)."""
    return -(-n_chains // LANES) * LANES


def row_capacity(n_hidden: int) -> int:
    """Packed entries kept for one neuron: M rounded up to a multiple of four."""
    return -(-n_hidden // 4) * 4


@intrinsic
def _float_of_bits(typingctx, x):
    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@intrinsic
def trailing_zeros(typingctx, x):
    """Position of the lowest set bit of a 64-bit word that is not 0."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@njit(inline="always")
def exp_f32(x):
    """Vectorisable float32 exponential, relative error 2e-7, clipped to 2^-126 .. 2^126."""
    y = min(max(x * _F(1.4426950408889634), _F(-126.0)), _F(126.0))
    n = np.floor(y + _F(0.5))
    f = y - n
    p = _F(1.5403530393381609e-4)
    p = p * f + _F(1.3333558146428443e-3)
    p = p * f + _F(9.6181291076284772e-3)
    p = p * f + _F(5.5504108664821580e-2)
    p = p * f + _F(0.24022650695910071)
    p = p * f + _F(0.69314718055994531)
    p = p * f + _F(1.0)
    return p * _float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(inline="always")
def nonzero_chains(row64, n_chains, out):
    """Write the positions of a row's non-zero bytes (1 or 2) to out; return how many."""
    n_found = 0
    n_words = row64.shape[0]
    for start in range(0, n_words, 8):
        mask = _U(0)
        for j in range(start, min(start + 8, n_words)):
            word = row64[j]
            bits = (((word | (word >> _U(1))) & _LOW_BITS) * _GATHER) >> _U(56)
            mask |= bits << _U(8 * (j - start))
        if 8 * start + 64 > n_chains:
            mask &= (_U(1) << _U(max(n_chains - 8 * start, 0))) - _U(1)
        while mask != _U(0):
            out[n_found] = 8 * start + np.int64(trailing_zeros(mask))
            mask &= mask - _U(1)
            n_found += 1
    return n_found


@njit(inline="always")
def pack_row(row, start, columns, values):
    """Write the non-zero weights of one neuron from position start; return their padded number."""
    k = start
    for mu in range(row.shape[0]):
        columns[k] = mu
        values[k] = row[mu]
        if row[mu] != 0:
            k += 1
    end = start + (k - start + 3) // 4 * 4
    for pad in range(k, end):
        columns[pad] = 0
        values[pad] = 0
    return end - start


@njit(cache=True, parallel=True)
def pack_rows(weights, rows_a_tile, row_nnz, columns, values):
    """Pack W (N, M) into row_nnz (N,), columns and values (N * row_capacity,)."""
    n_neurons, n_hidden = weights.shape
    capacity = (n_hidden + 3) // 4 * 4
    for tile in prange((n_neurons + rows_a_tile - 1) // rows_a_tile):
        first = tile * rows_a_tile
        start = first * capacity
        for i in range(first, min(n_neurons, first + rows_a_tile)):
            row_nnz[i] = pack_row(weights[i], start, columns, values)
            start += row_nnz[i]


@njit(inline="always")
def _add_four(inputs, k, columns, values, h):
    """inputs[c] += the contributions of packed weights k .. k+3 in all chains."""
    w0, w1, w2, w3 = values[k], values[k + 1], values[k + 2], values[k + 3]
    h0, h1, h2, h3 = h[columns[k]], h[columns[k + 1]], h[columns[k + 2]], h[columns[k + 3]]
    for c in range(inputs.shape[0]):
        inputs[c] += (w0 * h0[c] + w1 * h1[c]) + (w2 * h2[c] + w3 * h3[c])


@njit(inline="always")
def add_row(share, start, end, columns, values):
    """share[mu] += w_mu of one neuron's packed row, a multiple of four entries."""
    for k in range(start, end, 4):
        share[columns[k]] += values[k]
        share[columns[k + 1]] += values[k + 1]
        share[columns[k + 2]] += values[k + 2]
        share[columns[k + 3]] += values[k + 3]


@njit(inline="always")
def draw_spikes(neuron, inputs, n_chains, key, words, random_bytes, row, row64, active):
    """Draw the spikes of one neuron in all chains; return how many, their chains in ``active``."""
    key0, key1 = np.uint32(key & _U(0xFFFFFFFF)), np.uint32(key >> _U(32))
    first_word = np.uint32(neuron * words.shape[0])
    for j in range(words.shape[0]):
        words[j] = hash32(np.uint32(first_word + np.uint32(j)), key0, key1)
    for c in range(inputs.shape[0]):
        # spike if (byte + fraction)/256 < 1/(1 + exp(-input)); 2 marks 'depends on the fraction'
        one_plus = _F(1.0) + exp_f32(-inputs[c])
        low = _F(random_bytes[c]) * one_plus
        undecided = np.uint8(2) if low < _BYTE_VALUES else np.uint8(0)
        row[c] = np.uint8(1) if low + one_plus <= _BYTE_VALUES else undecided
    n_candidates = nonzero_chains(row64, n_chains, active)
    n_active = 0
    for j in range(n_candidates):
        c = active[j]
        if row[c] == 2:
            bits = hash64(key, _U(neuron) * _U(n_chains) + _U(c)) >> _U(11)
            fraction = np.float64(bits) * 2.0**-53
            spike = (random_bytes[c] + fraction) * (1.0 + math.exp(-inputs[c])) < 256.0
            row[c] = np.uint8(1) if spike else np.uint8(0)
        active[n_active] = c
        n_active += row[c]
    return n_active


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def sample_visible(
    fields, row_nnz, columns, values, h, n_chains, rows_a_tile, key, v, v64, partial_input
):
    """One way down and up: v given h, and the tiles' shares of the new hidden inputs.

    Parameters
    ----------
    fields : float32 (N,)
    row_nnz, columns, values : packed rows of W, see ``pack_rows``
    h : float32 (M, padded chains)
    n_chains, rows_a_tile : int
    key : uint64
        Random key of this step.
    v, v64 : uint8 (N, padded chains) and its uint64 view; overwritten with the spikes
    partial_input : float32 (tiles, chains, M); overwritten
    """
    n_neurons, n_hidden, n_padded = fields.shape[0], h.shape[0], h.shape[1]
    capacity = (n_hidden + 3) // 4 * 4
    for tile in prange((n_neurons + rows_a_tile - 1) // rows_a_tile):
        words = np.empty((n_padded // 4 + 15) // 16 * 16, np.uint32)
        random_bytes = words.view(np.uint8)
        inputs = np.empty(n_padded, np.float32)
        active = np.empty(n_padded, np.int64)
        share = partial_input[tile]
        share[:] = 0
        first = tile * rows_a_tile
        start = first * capacity
        for i in range(first, min(n_neurons, first + rows_a_tile)):
            end = start + row_nnz[i]
            field = fields[i]
            for c in range(n_padded):
                inputs[c] = field
            for k in range(start, end, 4):
                _add_four(inputs, k, columns, values, h)
            n_active = draw_spikes(
                i, inputs, n_chains, key, words, random_bytes, v[i], v64[i], active
            )
            for j in range(n_active):
                add_row(share[active[j]], start, end, columns, values)
            start = end


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def sample_visible_dense(fields, weights, h, n_chains, rows_a_tile, key, v, v64, partial_input):
    """As ``sample_visible`` for a W (N, M) without zeros: four neurons share the loads of h."""
    n_neurons, n_hidden, n_padded = fields.shape[0], h.shape[0], h.shape[1]
    for tile in prange((n_neurons + rows_a_tile - 1) // rows_a_tile):
        words = np.empty((n_padded // 4 + 15) // 16 * 16, np.uint32)
        random_bytes = words.view(np.uint8)
        inputs = np.empty((4, n_padded), np.float32)
        active = np.empty(n_padded, np.int64)
        share = partial_input[tile]
        share[:] = 0
        last = min(n_neurons, (tile + 1) * rows_a_tile)
        for first in range(tile * rows_a_tile, last, 4):
            n_rows = min(4, last - first)
            for r in range(n_rows):
                inputs[r, :] = fields[first + r]
            add_product(weights, first, n_rows, h, inputs)
            for r in range(n_rows):
                i = first + r
                n_active = draw_spikes(
                    i, inputs[r], n_chains, key, words, random_bytes, v[i], v64[i], active
                )
                w = weights[i]
                for j in range(n_active):
                    chain_share = share[active[j]]
                    for mu in range(n_hidden):
                        chain_share[mu] += w[mu]


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def input_given_visible(row_nnz, columns, values, n_chains, rows_a_tile, v64, partial_input):
    """The tiles' shares of the hidden inputs of given spikes v (N, padded chains)."""
    n_neurons, n_hidden = row_nnz.shape[0], partial_input.shape[2]
    capacity = (n_hidden + 3) // 4 * 4
    for tile in prange((n_neurons + rows_a_tile - 1) // rows_a_tile):
        active = np.empty(8 * v64.shape[1], np.int64)
        share = partial_input[tile]
        share[:] = 0
        first = tile * rows_a_tile
        start = first * capacity
        for i in range(first, min(n_neurons, first + rows_a_tile)):
            end = start + row_nnz[i]
            for j in range(nonzero_chains(v64[i], n_chains, active)):
                add_row(share[active[j]], start, end, columns, values)
            start = end


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def input_given_batch(row_nnz, columns, values, starts, frames, rows_a_tile, partial_input):
    """As ``input_given_visible`` for a batch of data, partial_input (tiles, batch, M).

    Neuron i is active in frames[starts[i]:starts[i + 1]] of the batch.
    """
    n_neurons, n_hidden = row_nnz.shape[0], partial_input.shape[2]
    capacity = (n_hidden + 3) // 4 * 4
    for tile in prange((n_neurons + rows_a_tile - 1) // rows_a_tile):
        share = partial_input[tile]
        share[:] = 0
        first = tile * rows_a_tile
        start = first * capacity
        for i in range(first, min(n_neurons, first + rows_a_tile)):
            end = start + row_nnz[i]
            for j in range(starts[i], starts[i + 1]):
                add_row(share[frames[j]], start, end, columns, values)
            start = end


@njit(cache=True, parallel=True, error_model="numpy")
def input_given_spikes(frame_starts, neurons, frames, weights, out):
    """Hidden inputs I = vW of chosen frames of a CSR recording: out (frames, M) float64."""
    n_hidden = weights.shape[1]
    for row in prange(frames.shape[0]):
        total = out[row]
        for mu in range(n_hidden):
            total[mu] = 0.0
        for k in range(frame_starts[frames[row]], frame_starts[frames[row] + 1]):
            w = weights[neurons[k]]
            for mu in range(n_hidden):
                total[mu] += w[mu]
