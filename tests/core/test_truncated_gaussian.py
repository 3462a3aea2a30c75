"""The truncated Gaussian: its quantile against scipy, its moments against integrals."""

import mpmath as mp
import numba
import numpy as np
import pytest
from scipy.special import erfcx, log_ndtr, ndtri
from scipy.stats import kstest

from crbm_lite.core.truncated_gaussian import (
    LEAST_QUANTILE,
    half_moments,
    normal_quantile,
    sample_far_half,
    scaled_half,
    upper_quantile,
)


def test_normal_quantile_is_that_of_scipy_far_into_both_tails():
    tails = 10.0 ** -np.linspace(0.4, 16, 400)
    p = np.concatenate([tails, np.random.default_rng(0).random(2000), 1.0 - tails[:300]])
    compiled = numba.njit(lambda x: normal_quantile(x))
    z = np.array([compiled(x) for x in p])
    assert np.abs(z - ndtri(p)).max() < 1e-12


@pytest.mark.parametrize("x", [-30.0, -4.0, 0.0, 2.9, 3.1, 40.0])
def test_moments_of_the_half_are_its_integrals(x):
    """log Z, mean and variance of exp(-z^2/2 - xz) over z > 0, on either side of the tail at 3."""
    with mp.workdps(40):
        at, width = max(-x, 0.0), min(1.0, 1.0 / max(x, 1.0))
        points = [0, *sorted(p for p in (at + k * width for k in (-6, -2, 0, 2, 6)) if p > 0)]
        points += [at + 60 * width, at + 400 * width]
        weight = lambda z: mp.exp(-(z**2) / 2 - x * z - (x**2 / 2 if x <= 3 else 0))  # noqa: E731
        z, first, second = (mp.quad(lambda y, n=n: y**n * weight(y), points) for n in range(3))
    log_z, mean, variance = numba.njit(lambda x: half_moments(x))(x)
    assert log_z == pytest.approx(float(mp.log(z)), rel=1e-12, abs=1e-12)
    assert mean == pytest.approx(float(first / z), rel=1e-12)
    assert variance == pytest.approx(float(second / z - (first / z) ** 2), rel=1e-9)


def test_scaled_weight_is_that_of_scipy_on_both_sides():
    x = np.concatenate([np.linspace(-40, 40, 20_001), [-1e5, -1e3, 1e3, 1e6]])
    compiled = numba.njit(lambda x: scaled_half(x))
    z, gauss = np.array([compiled(value) for value in x]).T
    above, exact_gauss = np.sqrt(np.pi / 2) * erfcx(np.abs(x) / np.sqrt(2)), np.exp(-(x**2) / 2)
    exact = np.where(x >= 0, above, np.sqrt(2 * np.pi) - exact_gauss * above)
    assert np.abs(z / exact - 1).max() < 1e-14
    inner = np.abs(x) < 37
    assert np.abs(gauss / exact_gauss - 1)[inner].max() < 2e-13
    assert (gauss[~inner] < 1e-290).all()


def test_upper_quantile_is_that_of_scipy_where_it_is_asked():
    q = np.geomspace(LEAST_QUANTILE, 0.5, 4000)
    q = np.concatenate([q, np.linspace(0.01, 1 - 1e-10, 4000)])
    compiled = numba.njit(lambda q: upper_quantile(q))
    z = np.array([compiled(value) for value in q])
    assert np.abs(z + ndtri(q)).max() < 1e-9  # of 1 - q, where q is nearly 1
    inner = q < 0.99
    assert np.abs(z + ndtri(q))[inner].max() < 1e-13


@pytest.mark.parametrize("x", [-2.0, 7.0, 29.0, 31.0, 1e4])
def test_draws_in_the_tail_have_the_distribution_of_the_half(x):
    """Inverted below 30, by rejection above; the distribution function is scipy's."""
    compiled = numba.njit(lambda x, u, key: sample_far_half(x, u, key))
    u = np.random.default_rng(1).random(20_000)
    z = np.array([compiled(x, share, np.uint64(k)) for k, share in enumerate(u)])
    if x < 1e3:
        survival = np.exp(log_ndtr(-(x + z)) - log_ndtr(-x))
    else:  # the difference of the logarithms has no digits left
        survival = np.exp(-x * z - z**2 / 2)
    assert kstest(survival, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("x", [np.nan, np.inf])
def test_draws_of_a_diverged_unit_end(x):
    compiled = numba.njit(lambda x, u, key: sample_far_half(x, u, key))
    assert not compiled(x, 0.5, np.uint64(0)) > 0.0 or np.isnan(x)
