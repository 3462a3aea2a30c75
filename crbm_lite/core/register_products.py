"""Products W h that stay in registers, written in LLVM's vector types.

The sums g_i + sum_mu w_imu h_mu stay in registers while mu runs, which a loop over chains cannot
express: four neurons and 32 chains for a dense W, one neuron and 64 chains for packed rows. LLVM
maps a vector of 16 floats to one register of AVX-512, two of AVX or four of NEON. Fused
multiply-adds run in the order of mu, so the bits are the same for any number of threads.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LANES", "add_product", "packed_product"]

LANES = 16  # floats of one AVX-512 register
_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _add(builder: ir.IRBuilder, address: ir.Value, n_items: ir.Value, size: int) -> ir.Value:
    return builder.add(address, builder.mul(n_items, ir.Constant(_INT, size)))


def _load(builder: ir.IRBuilder, address: ir.Value, what: ir.Type, align: int = 4) -> ir.Value:
    return builder.load(builder.inttoptr(address, what.as_pointer()), align=align)


def _in_all_lanes(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    lane = builder.insert_element(undefined, x, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(lane, undefined, zeros)


def _sums_over(builder: ir.IRBuilder, n: ir.Value, start: list, factors: object) -> list:
    """Add the products of the pairs of vectors ``factors(k)`` to ``start``, for k < n."""
    before = builder.block
    loop, after = builder.append_basic_block("over_k"), builder.append_basic_block("done")
    zero = ir.Constant(_INT, 0)
    builder.cbranch(builder.icmp_signed(">", n, zero), loop, after)

    builder.position_at_end(loop)
    k = builder.phi(_INT)
    sums = [builder.phi(_VECTOR) for _ in start]
    fused = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    pairs = zip(factors(k), sums, strict=True)
    moved = [builder.call(fused, (a, b, x)) for (a, b), x in pairs]
    following = builder.add(k, ir.Constant(_INT, 1))
    builder.cbranch(builder.icmp_signed("<", following, n), loop, after)
    k.add_incoming(zero, before)
    k.add_incoming(following, loop)

    builder.position_at_end(after)
    results = []
    for x, first, then in zip(sums, start, moved, strict=True):
        x.add_incoming(first, before)
        x.add_incoming(then, loop)
        results.append(builder.phi(_VECTOR))
        results[-1].add_incoming(first, before)
        results[-1].add_incoming(then, loop)
    return results


def _product(n_rows: int, n_vectors: int) -> object:
    """Make an intrinsic ``f(w, w_stride, h, h_stride, n_hidden, out, out_stride)`` of addresses.

    out[r, c] += sum_mu w[r, mu] h[mu, c] for r < n_rows, c < 16 n_vectors; strides in floats.
    """

    @intrinsic
    def product(typingctx, w, w_stride, h, h_stride, n_hidden, out, out_stride):
        def codegen(context, builder, signature, args):
            w, w_stride, h, h_stride, n_hidden, out, out_stride = args
            row_size = builder.mul(w_stride, ir.Constant(_INT, 4))
            h_size = builder.mul(h_stride, ir.Constant(_INT, 4))
            out_size = builder.mul(out_stride, ir.Constant(_INT, 4))
            rows = [ir.Constant(_INT, r) for r in range(n_rows)]
            places = [
                builder.add(builder.add(out, builder.mul(r, out_size)), _INT(4 * LANES * j))
                for r in rows
                for j in range(n_vectors)
            ]

            def factors(mu):
                at_mu = builder.add(h, builder.mul(mu, h_size))
                h_vectors = [
                    _load(builder, builder.add(at_mu, _INT(4 * LANES * j)), _VECTOR)
                    for j in range(n_vectors)
                ]
                row_starts = [builder.add(w, builder.mul(r, row_size)) for r in rows]
                weights = [_load(builder, _add(builder, x, mu, 4), _FLOAT) for x in row_starts]
                return [(_in_all_lanes(builder, x), y) for x in weights for y in h_vectors]

            start = [_load(builder, x, _VECTOR) for x in places]
            for x, where in zip(_sums_over(builder, n_hidden, start, factors), places, strict=True):
                builder.store(x, builder.inttoptr(where, _VECTOR.as_pointer()), align=4)
            return context.get_dummy_value()

        signature = types.void(w, w_stride, h, h_stride, n_hidden, out, out_stride)
        return signature, codegen

    return product


def _packed_product(n_vectors: int) -> object:
    """Make an intrinsic ``f(field, columns, values, n_entries, h, h_stride, out)`` of addresses.

    out[c] = field + sum_k values[k] h[columns[k], c] for c < 16 n_vectors; columns are uint16.
    """

    @intrinsic
    def product(typingctx, field, columns, values, n_entries, h, h_stride, out):
        def codegen(context, builder, signature, args):
            field, columns, values, n_entries, h, h_stride, out = args
            h_size = builder.mul(h_stride, ir.Constant(_INT, 4))

            def factors(k):
                column = _load(builder, _add(builder, columns, k, 2), ir.IntType(16), align=2)
                at_mu = builder.add(h, builder.mul(builder.zext(column, _INT), h_size))
                weight = _in_all_lanes(builder, _load(builder, _add(builder, values, k, 4), _FLOAT))
                return [
                    (weight, _load(builder, builder.add(at_mu, _INT(4 * LANES * j)), _VECTOR))
                    for j in range(n_vectors)
                ]

            start = [_in_all_lanes(builder, field)] * n_vectors
            for j, x in enumerate(_sums_over(builder, n_entries, start, factors)):
                where = builder.add(out, _INT(4 * LANES * j))
                builder.store(x, builder.inttoptr(where, _VECTOR.as_pointer()), align=4)
            return context.get_dummy_value()

        signature = types.void(
            types.float32, types.int64, types.int64, types.int64, types.int64, types.int64,
            types.int64,
        )  # fmt: skip
        return signature, codegen

    return product


_four_rows_two_vectors = _product(4, 2)
_four_rows_one_vector = _product(4, 1)
_one_row_one_vector = _product(1, 1)
_packed_four_vectors = _packed_product(4)
_packed_one_vector = _packed_product(1)


@njit(inline="always")
def packed_product(field, start, end, columns, values, h, out):
    """Set out[c] = field + sum_k values[k] h[columns[k], c], start <= k < end, all padded chains.

    ``columns`` is uint16, ``values``, ``h`` (M, chains) and ``out`` (chains,) are float32.
    """
    n_chains = h.shape[1]
    column, value = columns.ctypes.data + 2 * start, values.ctypes.data + 4 * start
    h_at, out_at, n_entries = h.ctypes.data, out.ctypes.data, end - start
    whole = n_chains // (4 * LANES) * 4 * LANES
    for c in range(0, whole, 4 * LANES):
        _packed_four_vectors(
            field, column, value, n_entries, h_at + 4 * c, n_chains, out_at + 4 * c
        )
    for c in range(whole, n_chains, LANES):
        _packed_one_vector(field, column, value, n_entries, h_at + 4 * c, n_chains, out_at + 4 * c)


@njit(inline="always")
def add_product(weights, first, n_rows, h, out):
    """Add (W h)[first + r, c] to out[r, c] for n_rows <= 4 neurons and all padded chains.

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
