"""A register-blocked product W h, written in LLVM's vector types for the dense way down.

No equations: sums g_i + sum_mu w_imu h_mu of four neurons and 32 chains stay in registers while mu
runs, which a loop over chains cannot express. LLVM maps a vector of 16 floats to one AVX-512
register, two of AVX or four of NEON. Fused multiply-adds in the order of mu: the same bits whatever
the number of threads.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # floats of one AVX-512 register, and chains that one thread moves together
_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FOUR_BYTES = 4


def _product(n_rows: int, n_vectors: int) -> object:
    """Intrinsic ``f(w, w_stride, h, h_stride, n_hidden, out, out_stride)`` on raw addresses.

    out[r, c] += sum_mu w[r, mu] h[mu, c] for r < n_rows, c < 16 n_vectors; strides in floats.
    """

    @intrinsic
    def product(typingctx, w, w_stride, h, h_stride, n_hidden, out, out_stride):
        def codegen(context, builder, signature, args):
            w, w_stride, h, h_stride, n_hidden, out, out_stride = args
            float_pointer, vector_pointer = _FLOAT.as_pointer(), _VECTOR.as_pointer()

            def address(base, row, stride, column):
                floats = builder.add(builder.mul(row, stride), column)
                offset = builder.mul(floats, ir.Constant(_INT, _FOUR_BYTES))
                return builder.add(base, offset)

            def vector_at(base, row, stride, j):
                where = address(base, row, stride, ir.Constant(_INT, LANES * j))
                return builder.inttoptr(where, vector_pointer)

            rows = [ir.Constant(_INT, r) for r in range(n_rows)]
            cells = [(r, j) for r in range(n_rows) for j in range(n_vectors)]
            out_vectors = [vector_at(out, rows[r], out_stride, j) for r, j in cells]
            start = [builder.load(x, align=_FOUR_BYTES) for x in out_vectors]

            before = builder.block
            loop = builder.append_basic_block("over_mu")
            after = builder.append_basic_block("done")
            zero = ir.Constant(_INT, 0)
            builder.cbranch(builder.icmp_signed(">", n_hidden, zero), loop, after)

            builder.position_at_end(loop)
            mu = builder.phi(_INT)
            sums = [builder.phi(_VECTOR) for _ in cells]
            h_vectors = [
                builder.load(vector_at(h, mu, h_stride, j), align=_FOUR_BYTES)
                for j in range(n_vectors)
            ]
            weights = []
            for row in rows:
                w_pointer = builder.inttoptr(address(w, row, w_stride, mu), float_pointer)
                undefined = ir.Constant(_VECTOR, ir.Undefined)
                lane = builder.insert_element(
                    undefined, builder.load(w_pointer, align=_FOUR_BYTES), ir.IntType(32)(0)
                )
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                weights.append(builder.shuffle_vector(lane, undefined, zeros))
            fused = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
            )
            moved = [
                builder.call(fused, (weights[r], h_vectors[j], x))
                for (r, j), x in zip(cells, sums, strict=True)
            ]
            following = builder.add(mu, ir.Constant(_INT, 1))
            builder.cbranch(builder.icmp_signed("<", following, n_hidden), loop, after)
            mu.add_incoming(zero, before)
            mu.add_incoming(following, loop)
            for x, first, then in zip(sums, start, moved, strict=True):
                x.add_incoming(first, before)
                x.add_incoming(then, loop)

            builder.position_at_end(after)
            results = [builder.phi(_VECTOR) for _ in cells]
            for result, first, then in zip(results, start, moved, strict=True):
                result.add_incoming(first, before)
                result.add_incoming(then, loop)
            for result, where in zip(results, out_vectors, strict=True):
                builder.store(result, where, align=_FOUR_BYTES)
            return context.get_dummy_value()

        signature = types.void(w, w_stride, h, h_stride, n_hidden, out, out_stride)
        return signature, codegen

    return product


_four_rows_two_vectors = _product(4, 2)
_four_rows_one_vector = _product(4, 1)
_one_row_one_vector = _product(1, 1)


@njit(inline="always")
def add_product(weights, first, n_rows, h, out):
    """out[r, c] += (W h)[first + r, c] for n_rows <= 4 neurons and all (padded) chains.

    ``weights`` (N, M), ``h`` (M, chains) and ``out`` (4, chains) are float32 and C-contiguous, the
    number of chains a multiple of 16.
    """
    n_hidden, n_chains = h.shape
    w = weights.ctypes.data + 4 * first * n_hidden
    h_at, out_at = h.ctypes.data, out.ctypes.data
    for c in range(0, n_chains, 2 * LANES):
        if n_rows < 4:
            for r in range(n_rows):
                for half in range(c, min(c + 2 * LANES, n_chains), LANES):
                    _one_row_one_vector(
                        w + 4 * r * n_hidden, n_hidden, h_at + 4 * half, n_chains, n_hidden,
                        out_at + 4 * (r * n_chains + half), n_chains,
                    )  # fmt: skip
        elif c + 2 * LANES <= n_chains:
            _four_rows_two_vectors(
                w, n_hidden, h_at + 4 * c, n_chains, n_hidden, out_at + 4 * c, n_chains
            )
        else:
            _four_rows_one_vector(
                w, n_hidden, h_at + 4 * c, n_chains, n_hidden, out_at + 4 * c, n_chains
            )
