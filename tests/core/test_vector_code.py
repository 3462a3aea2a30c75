"""Vector code: exponentials are as near as they say, and no spike is lost or found twice."""

import numba
import numpy as np
import pytest

from crbm_lite.core import vector_code


def over(function, x):
    """Its values for an array, from a compiled loop."""

    @numba.njit
    def loop(x, out):
        for k in range(len(x)):
            out[k] = function(x[k])

    out = np.empty_like(x)
    loop(x, out)
    return out


@pytest.mark.parametrize("name", ["exp_f32", "exp_coarse"])
def test_the_exponentials_are_as_near_as_they_say(name):
    x = np.linspace(-87, 87, 20_001).astype(np.float32)
    out = over(getattr(vector_code, name), x)
    error = np.abs(out / np.exp(x.astype(np.float64)) - 1)
    if name == "exp_f32":  # the relative error grows with |x| by the rounding of x log2(e)
        assert (error < 3e-7 + 1e-7 * np.abs(x)).all()
    else:
        assert 1e-3 < error.max() < vector_code.COARSE_ERROR


def test_the_exponential_in_float64_is_numpy_s_to_rounding():
    x = np.concatenate([np.linspace(-708, 700, 20_001), np.linspace(-1, 1, 20_001)])
    out = over(vector_code.exp_f64, x)
    assert np.abs(out / np.exp(x) - 1).max() < 5e-16
    assert (over(vector_code.exp_f64, np.array([-1e9, -np.inf])) < 1e-307).all()


def test_the_logarithm_in_float64_is_numpy_s_to_rounding():
    x = np.concatenate([np.geomspace(1e-307, 1e307, 20_001), np.linspace(0.4, 1.6, 20_000)])
    out = over(vector_code.log_f64, x)
    assert (np.abs(out - np.log(x)) <= 5e-16 * np.maximum(np.abs(np.log(x)), 1e-3)).all()


def test_the_logarithm_is_as_near_as_it_says_and_keeps_infinity():
    x = np.append(np.exp(np.linspace(0, 88.7, 20_001)), [1.0, np.finfo(np.float32).max, np.inf])
    x = np.append(x, np.linspace(1, 3, 20_001)).astype(np.float32)
    out = over(vector_code.log_f32, x)
    log = np.log(x.astype(np.float64))
    assert np.isinf(out[np.isinf(x)]).all()
    finite = np.isfinite(x)
    assert (np.abs(out[finite] - log[finite]) <= 1e-7 + 1.5e-7 * log[finite]).all()


@pytest.mark.parametrize("density", [0.0, 0.04, 0.5, 1.0])
@pytest.mark.parametrize(("n_padded", "n_entries"), [(16, 3), (112, 100), (160, 160), (160, 70)])
def test_places_of_spikes_are_all_found_once(density, n_padded, n_entries):
    rows = (np.random.default_rng(0).random((5, n_padded)) < density).astype(np.uint8)
    rows[2] *= 2  # any value counts
    out = np.full(rows.size + vector_code.SPARE_PLACES, -1)

    @numba.njit
    def places(rows, n_entries, out):
        return vector_code.nonzero_places(rows, n_entries, out)

    found = out[: places(rows, n_entries, out)]
    r, c = np.nonzero(rows[:, :n_entries])
    np.testing.assert_array_equal(found, (r << 32) + c)
