"""Asking memory for rows before they are needed.

No equations, and no bit of a result: rows that are visited in an order which the processor cannot
guess are requested a few visits ahead, so that their way from memory passes while others are used.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

AHEAD = 16  # rows between the request and the visit
_LINE = 16  # float32 of a cache line


@intrinsic
def _request_line(typingctx, address):
    def codegen(context, builder, signature, args):
        pointer, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # for reading, to be kept in all caches, data rather than instructions
        builder.call(function, (builder.inttoptr(args[0], pointer), i32(0), i32(3), i32(1)))
        return context.get_dummy_value()

    return types.void(types.uintp), codegen


@njit(inline="always")
def request_row(row):
    """Request the cache lines of a contiguous float32 row.

    Examples
    --------
    >>> import numpy as np
    >>> from numba import njit
    >>> x = np.ones((3, 40), np.float32)
    >>> njit(lambda x: request_row(x[1]))(x)
    """
    for k in range(0, row.shape[0], _LINE):
        _request_line(row[k:].ctypes.data)
