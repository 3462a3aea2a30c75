"""The truncated Gaussian: its quantile against scipy, its moments against integrals."""

import mpmath as mp
import numba
import numpy as np
import pytest
from scipy.special import ndtri

from crbm_lite.core.truncated_gaussian import half_moments, normal_quantile


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
