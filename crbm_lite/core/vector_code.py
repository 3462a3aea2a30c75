"""What processors do 16 at a time and Python cannot say: written in LLVM's terms.

Masks. Spikes and weights are mostly zeros, and a scan for the others must not look at each. Sixteen
bytes or floats are compared in one of LLVM's vector types, which gives one bit for each entry; the
set bits are then visited from the lowest up.

Exponentials in float32 that LLVM can vectorise: 2^n by the bits of n, the rest by a polynomial.
``exp_f32`` is as good as float32 is, and so is the logarithm ``log_f32``. ``exp_coarse`` is for
comparisons that most values pass far from the limit; an exact exponential then decides the few that
come within ``COARSE_ERROR``. ``exp_f64`` and ``log_f64`` are the same in float64, to its rounding.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from crbm_lite.core.compilation import cached_njit

__all__ = [
    "COARSE_ERROR",
    "SPARE_PLACES",
    "exp_coarse",
    "exp_f32",
    "exp_f64",
    "log_f32",
    "log_f64",
    "nonzero_places",
    "pack_nonzero",
    "population_count",
    "trailing_zeros",
]

_LANES = 16  # entries of one mask
SPARE_PLACES = 4  # places written from a mask before its bits are counted
_ONE = np.uint64(1)
_ALL = np.uint64((1 << _LANES) - 1)
COARSE_ERROR = 2e-3  # bound on the relative error of ``exp_coarse``
_F = np.float32
_LARGEST = np.finfo(np.float32).max
_BITS_OF_ROOT_HALF = np.sqrt(_F(0.5)).view(np.int32)
_ROOT_HALF_AND_BIAS = (1023 << 52) - int(np.sqrt(0.5).view(np.int64))
_TO_WHOLE = 1.5 * 2.0**52  # what is added to this loses its fraction


@intrinsic
def _trailing_zeros(typingctx, x):
    def codegen(context, builder, signature, args):
        zero_is_undefined = ir.Constant(ir.IntType(1), 0)
        return builder.cttz(args[0], zero_is_undefined)

    return types.uint64(types.uint64), codegen


@intrinsic
def population_count(typingctx, x):
    """Count the set bits of a 64-bit word; LLVM vectorises a loop of these."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@njit(inline="always")
def trailing_zeros(x):
    """Find the position of the lowest set bit of a 64-bit word; 64 if there is none."""
    return np.int64(_trailing_zeros(x))


def _nonzero_of(element: ir.Type) -> object:
    """Make an intrinsic ``f(address)``: bit k tells whether the k-th of 16 entries is not 0."""
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


@cached_njit()
def nonzero_places(rows, n_entries, out):
    """Write the places of the bytes that are not zero in a few rows; return how many there are.

    A place is 2^32 times the row plus the column. A processor cannot foresee where spikes lie, and
    a wrong guess costs it more than a few superfluous places.

    Parameters
    ----------
    rows : uint8 (n_rows, n_padded), the latter a multiple of 16
    n_entries : int
        Columns in use.
    out : int64 (n_rows * n_padded + SPARE_PLACES,)
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
            for k in range(n_found, n_found + SPARE_PLACES):
                out[k] = place + trailing_zeros(mask)
                mask &= mask - _ONE
            for k in range(n_found + SPARE_PLACES, end):
                out[k] = place + trailing_zeros(mask)
                mask &= mask - _ONE
            n_found = end
        address += n_padded
    return n_found


@cached_njit()
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


@intrinsic
def _float_of_bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@njit(inline="always")
def _fraction_and_power(x):
    """Split exp(x) = 2^(f + n), clipped to 2^-126 .. 2^126: f in [-1/2, 1/2] and 2^n."""
    y = min(max(x * _F(1.4426950408889634), _F(-126.0)), _F(126.0))
    n = np.floor(y + _F(0.5))
    return y - n, _float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(inline="always")
def exp_f32(x):
    """Compute exp(x) with a relative error of 2e-7, clipped to 2^-126 .. 2^126."""
    f, power = _fraction_and_power(x)
    p = _F(1.5403530393381609e-4)
    p = p * f + _F(1.3333558146428443e-3)
    p = p * f + _F(9.6181291076284772e-3)
    p = p * f + _F(5.5504108664821580e-2)
    p = p * f + _F(0.24022650695910071)
    p = p * f + _F(0.69314718055994531)
    p = p * f + _F(1.0)
    return p * power


@njit(inline="always")
def exp_coarse(x):
    """Compute exp(x) by the best parabola for 2^f: relative error 1.8e-3, clipped alike."""
    f, power = _fraction_and_power(x)
    return ((_F(0.23842894) * f + _F(0.70344801)) * f + _F(1.00044314)) * power


@intrinsic
def _bits_of_float(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int32))

    return types.int32(types.float32), codegen


@njit(inline="always")
def log_f32(x):
    """Compute log(x) for x >= 1 with an error of 1e-7; infinity stays what it is."""
    bits = _bits_of_float(x)
    n = (bits - _BITS_OF_ROOT_HALF) >> np.int32(23)
    f = _float_of_bits(bits - (n << np.int32(23))) - _F(1.0)  # 1 + f in sqrt(1/2) .. sqrt(2)
    p = _F(8.5069534e-2)
    p = p * f - _F(0.14197472)
    p = p * f + _F(0.14950980)
    p = p * f - _F(0.16587950)
    p = p * f + _F(0.19960597)
    p = p * f - _F(0.25000969)
    p = p * f + _F(0.33333972)
    log = (f - _F(0.5) * f * f + f * f * f * p) + _F(n) * _F(0.69314718055994531)
    return log if x <= _LARGEST else _F(np.inf)


@intrinsic
def _double_of_bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@intrinsic
def _bits_of_double(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@njit(inline="always")
def exp_f64(x):
    """Compute exp(x) for x <= 700 with a relative error of 4e-16; below -708 it is 3e-308."""
    x = max(x, -708.0)
    shifted = x * 1.4426950408889634 + _TO_WHOLE
    n = shifted - _TO_WHOLE
    f = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10  # log 2 in two parts
    p = 1.0 / 479001600.0
    p = p * f + 1.0 / 39916800.0
    p = p * f + 1.0 / 3628800.0
    p = p * f + 1.0 / 362880.0
    p = p * f + 1.0 / 40320.0
    p = p * f + 1.0 / 5040.0
    p = p * f + 1.0 / 720.0
    p = p * f + 1.0 / 120.0
    p = p * f + 1.0 / 24.0
    p = p * f + 1.0 / 6.0
    p = p * f + 0.5
    p = p * f + 1.0
    p = p * f + 1.0
    return p * _double_of_bits((_bits_of_double(shifted) + 1023) << 52)


@njit(inline="always")
def log_f64(x):
    """Compute log(x) of a normal number x > 0 with a relative error of 5e-16."""
    bits = _bits_of_double(x)
    biased = np.int64(np.uint64(bits + _ROOT_HALF_AND_BIAS) >> np.uint64(52))
    fraction = _double_of_bits(bits - ((biased - 1023) << 52))  # in sqrt(1/2) .. sqrt(2)
    n = _double_of_bits(biased | 0x4330000000000000) - (2.0**52 + 1023.0)
    s = (fraction - 1.0) / (fraction + 1.0)
    square = s * s
    p = 2.0 / 19.0
    p = p * square + 2.0 / 17.0
    p = p * square + 2.0 / 15.0
    p = p * square + 2.0 / 13.0
    p = p * square + 2.0 / 11.0
    p = p * square + 2.0 / 9.0
    p = p * square + 2.0 / 7.0
    p = p * square + 2.0 / 5.0
    p = p * square + 2.0 / 3.0
    p = p * square + 2.0
    return n * 0.69314718055994531 + s * p
