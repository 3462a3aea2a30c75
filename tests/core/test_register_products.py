"""Products that stay in registers are the products W h."""

import numba
import numpy as np
import pytest

from crbm_lite.core.register_products import add_product, packed_product


@pytest.mark.parametrize(
    ("n_rows", "n_hidden", "n_chains"), [(4, 7, 48), (3, 200, 112), (1, 1, 16)]
)
def test_four_rows_and_their_remainder_are_the_product(n_rows, n_hidden, n_chains):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((9, n_hidden)).astype(np.float32)
    h = rng.standard_normal((n_hidden, n_chains)).astype(np.float32)
    out = rng.standard_normal((4, n_chains)).astype(np.float32)
    expected = out.astype(float)
    expected[:n_rows] += weights[5 : 5 + n_rows].astype(float) @ h
    add_product(weights, 5, n_rows, h, out)
    np.testing.assert_allclose(out, expected, atol=1e-4)


@pytest.mark.parametrize("n_chains", [16, 64, 112])
def test_packed_rows_give_the_product(n_chains):
    rng = np.random.default_rng(0)
    columns = rng.permutation(200)[:30].astype(np.uint16)
    values = rng.standard_normal(30).astype(np.float32)
    h = rng.standard_normal((200, n_chains)).astype(np.float32)

    @numba.njit
    def product(start, end, out):
        packed_product(np.float32(-3.25), start, end, columns, values, h, out)

    for start, end in ((0, 0), (4, 5), (3, 30)):
        out = np.full(n_chains, np.nan, np.float32)
        product(start, end, out)
        expected = -3.25 + values[start:end].astype(float) @ h[columns[start:end]]
        np.testing.assert_allclose(out, expected, atol=1e-5)
