"""The hidden potential in JAX against the numba one, and its draws against their distribution."""

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest

from crbm_lite.core.drelu import DReLU
from crbm_lite.training import update_kernels as kernels

jax = pytest.importorskip("jax")

from crbm_lite.training.accelerator import drelu as jax_drelu  # noqa: E402


@pytest.fixture(scope="module")
def grid():
    """Units with curvatures in [1e-3, 1e3], slopes in [-20, 20] and inputs in [-50, 50]."""
    rng = np.random.default_rng(0)
    potential = np.concatenate(
        [10 ** rng.uniform(-3, 3, (2, 3000)), rng.uniform(-20, 20, (2, 3000))]
    )
    potential[3, :300] = -potential[2, :300] + rng.normal(0, 1e-6, 300)  # near-equal wells
    potential[1, :300] = potential[0, :300]
    inputs = rng.uniform(-50, 50, (5, 3000))
    inputs[0] = 0.0
    return potential, inputs


def test_cumulant_mean_and_variance_agree_to_1e_9(grid):
    potential, inputs = grid
    units = DReLU(*potential)
    mean, variance = units.mean_and_variance(inputs)
    with jax.enable_x64(True):
        cumulant = np.asarray(jax.jit(jax_drelu.cumulant)(inputs, potential))
        moments = np.asarray(jax.jit(jax_drelu.partial_moments)(inputs, potential))
    expected = units.cumulant(inputs)
    assert np.abs((cumulant - expected) / (1 + np.abs(expected))).max() < 1e-12
    scale = np.maximum(np.abs(mean), np.sqrt(variance))
    assert np.abs((moments[0] + moments[4] - mean) / scale).max() < 1e-9
    assert (np.abs(np.nan_to_num(moments, nan=np.inf)) < np.inf).all()


def test_statistics_of_the_data_phase_agree(grid):
    potential, inputs = grid
    mean_h = np.random.default_rng(1).normal(size=potential.shape[1])
    expected = kernels.hidden_statistics(inputs, potential, mean_h)
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(jax_drelu.hidden_statistics)(inputs, potential, mean_h))
    assert found.dtype == np.float64
    for k in range(kernels.N_STATISTICS):
        np.testing.assert_allclose(found[k], expected[k], rtol=1e-7, atol=1e-12, err_msg=str(k))


@pytest.mark.parametrize(
    ("potential", "inp"),
    [
        ((1.0, 1.0, 0.0, 0.0), 0.3),
        ((0.5, 3.0, -2.0, 3.0), 0.4),  # double well
        ((1.0, 1.0, 19.9, -20.1), 0.0),  # either side of where the draws change method
        ((1.0, 1.0, 9.0, -30.0), 0.0),  # soft threshold, far in both tails
        ((2.0, 0.1, 40.0, 1.0), 12.0),
    ],
)
def test_draws_have_the_density(potential, inp):
    column = np.array(potential)[:, None]
    with jax.enable_x64(True):
        inputs = np.full((20_000, 1), inp)
        h = np.asarray(jax_drelu.sample(inputs, column, jax.random.key(3)))[:, 0]
    units = DReLU(*column)
    mean, variance = (float(x[0, 0]) for x in units.mean_and_variance([[inp]]))
    span = 14 * np.sqrt(variance)
    z = np.unique(np.concatenate([np.linspace(mean - span, mean + span, 400_001), [0.0]]))
    log_p = z * inp - units.potential(z[:, None])[:, 0] - units.cumulant([[inp]])[0, 0]
    cdf = np.concatenate([[0.0], cumulative_trapezoid(np.exp(log_p), z)])
    assert cdf[-1] == pytest.approx(1.0, abs=1e-4)
    assert (h != 0).all()
    assert kstest(h, lambda x: np.interp(x, z, cdf)).pvalue > 0.01
