"""Masks of the entries that are not zero, 16 at a time, and their positions.

No equations: spikes and weights are mostly zeros, and a scan for the others must not look at each.
Sixteen bytes or floats are compared in one of LLVM's vector types, which gives one bit an entry;
the set bits are then walked from the lowest up.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_LANES = 16  # entries of one mask
UNASKED = 4  # positions written from a mask before it is asked how many it has
_ONE = np.uint64(1)
_ALL = np.uint64((1 << _LANES) - 1)


@intrinsic
def _trailing_zeros(typingctx, x):
    def codegen(context, builder, signature, args):
        zero_is_undefined = ir.Constant(ir.IntType(1), 0)
        return builder.cttz(args[0], zero_is_undefined)

    return types.uint64(types.uint64), codegen


@intrinsic
def population_count(typingctx, x):
    """Number of set bits of a 64-bit word; LLVM vectorises a loop of these."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@njit(inline="always")
def trailing_zeros(x):
    """Position of the lowest set bit of a 64-bit word; 64 if there is none."""
    return np.int64(_trailing_zeros(x))


def _nonzero_of(element: ir.Type) -> object:
    """Intrinsic ``f(address)``: bit k is 1 where the k-th of the 16 entries from there is not 0."""
    vector = ir.VectorType(element, _LANES)

    @intrinsic
    def nonzero(typingctx, address):
        def codegen(context, builder, signature, args):
            entries = builder.load(builder.inttoptr(args[0], vector.as_pointer()), align=1)
            differs = builder.icmp_unsigned
            if isinstance(element, ir.FloatType):
                differs = builder.fcmp_unordered
            bits = differs("!=", entries, ir.Constant(vector, [0] * _LANES))
            mask = builder.bitcast(bits, ir.IntType(_LANES))
            return builder.zext(mask, ir.IntType(64))

        return types.uint64(types.int64), codegen

    return nonzero


_nonzero_bytes = _nonzero_of(ir.IntType(8))
_nonzero_floats = _nonzero_of(ir.FloatType())


@njit(inline="always")
def nonzero_places(rows, n_entries, out):
    """Write the places of the bytes that are not zero in a few rows; return how many.

    A place is 2^32 times the row plus the column. Where spikes lie is noise that a processor cannot
    foresee, and a wrong guess costs it more than a few superfluous positions.

    Parameters
    ----------
    rows : uint8 (n_rows, n_padded), the latter a multiple of 16
    n_entries : int
        Columns in use.
    out : int64 (n_rows * n_padded + UNASKED,)
    """
    n_rows, n_padded = rows.shape
    address, n_found = rows.ctypes.data, 0
    for r in range(n_rows):
        for start in range(0, n_padded, 64):
            mask = np.uint64(0)
            for first in range(start, min(start + 64, n_padded), _LANES):
                mask |= _nonzero_bytes(address + first) << np.uint64(first - start)
            if start + 64 > n_entries:
                mask &= (_ONE << np.uint64(max(n_entries - start, 0))) - _ONE
            place, end = (r << 32) + start, n_found + np.int64(population_count(mask))
            for k in range(n_found, n_found + UNASKED):
                out[k] = place + trailing_zeros(mask)
                mask &= mask - _ONE
            for k in range(n_found + UNASKED, end):
                out[k] = place + trailing_zeros(mask)
                mask &= mask - _ONE
            n_found = end
        address += n_padded
    return n_found


@njit(inline="always")
def pack_nonzero(row, start, columns, values):
    """Write a row's floats that are not zero, and their columns, from ``start``; return the end."""
    address, n_entries, end = row.ctypes.data, row.shape[0], start
    whole = n_entries // _LANES * _LANES
    for first in range(0, whole, _LANES):
        mask = _nonzero_floats(address + 4 * first)
        if mask == _ALL:
            for k in range(_LANES):
                columns[end + k] = first + k
                values[end + k] = row[first + k]
            end += _LANES
            continue
        while mask != np.uint64(0):
            column = first + trailing_zeros(mask)
            columns[end] = column
            values[end] = row[column]
            mask &= mask - _ONE
            end += 1
    for column in range(whole, n_entries):
        columns[end] = column
        values[end] = row[column]
        end += row[column] != 0
    return end
