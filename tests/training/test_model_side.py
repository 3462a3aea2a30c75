"""Averages of chains: contrasts that measure their noise, and times of mixing."""

import numpy as np
import pytest

from crbm_lite.training.model_side import chain_contrasts, mixing_time


@pytest.mark.parametrize("n_chains", [2, 7, 16, 50, 300])
def test_a_contrast_has_the_variance_of_the_mean(n_chains):
    contrasts = chain_contrasts(n_chains)
    assert len(contrasts) == min(2 ** int(np.log2(n_chains)), 16) - 1
    np.testing.assert_allclose(contrasts.sum(axis=1), 0.0, atol=1e-12)
    # of independent numbers of variance 1, the mean has 1 / n
    np.testing.assert_allclose(np.square(contrasts).sum(axis=1), 1 / n_chains)


def test_contrasts_of_as_many_chains_in_each_group_are_orthogonal_and_blind_to_the_start():
    contrasts = chain_contrasts(96)
    np.testing.assert_allclose(contrasts @ contrasts.T, np.eye(15) / 96, atol=1e-12)
    starts = np.repeat([0.0, 1.0], 48)
    np.testing.assert_allclose(contrasts @ starts, 0.0, atol=1e-12)


@pytest.mark.parametrize("memory", [0.0, 0.9, 0.99])
def test_mixing_time_of_autoregressive_chains(memory):
    rng, n, n_chains = np.random.default_rng(0), 400, 4000
    x, total = rng.normal(size=n_chains), np.zeros(n_chains)
    for _ in range(n):
        x = memory * x + np.sqrt(1 - memory**2) * rng.normal(size=n_chains)
        total += x
    found = mixing_time(np.array([(total / n).var()]), n)[0]
    assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.1)


def test_chains_that_never_move_take_longer_than_any_sampling():
    assert mixing_time(np.array([1.0]), 60)[0] > 100 * 60
