"""Averages of chains: contrasts that measure their noise, and times of mixing."""

import numpy as np
import pytest

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.training.data_side import UnitCoordinates
from crbm_lite.training.model_side import ModelMeans, chain_contrasts, mixing_time
from crbm_lite.training.parameters import TrainedParameters


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


@pytest.mark.parametrize("n_chains", [2, 21, 70])
def test_means_and_contrasts_are_those_of_all_samples(n_chains):
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.5, (90, 7)).astype(np.float32)
    potential = np.tile([[1.0], [2.0], [0.1], [-0.1]], 7)
    fields, centre = rng.normal(-1, 1, 90), rng.random(90)
    parameters = TrainedParameters(weights, fields, potential, rng.normal(0, 0.1, 7))
    at = UnitCoordinates(parameters, centre)
    chains = GibbsChains(90, 7, n_chains, seed=1)
    chains.set_weights(weights)
    chains.set_spikes((rng.random((n_chains, 90)) < 0.3).astype(np.uint8))
    means, v, h = ModelMeans(90, 7, n_chains, at), [], []
    for _ in range(4):
        chains.step(2, weights, fields.astype(np.float32), potential)
        means.add(chains, 2)
        v.append(chains.spikes().astype(float))
        h.append(DReLU(*potential).mean(v[-1] @ weights) - parameters.mean_h)
    v, h = np.array(v), np.array(h)  # (samples, chains, N or M)
    k = chain_contrasts(n_chains)
    np.testing.assert_allclose(means.v, v.mean(axis=(0, 1)))
    np.testing.assert_allclose(means.v_contrasts, k @ v.mean(axis=0), atol=1e-12)
    some = slice(20, 60)
    found, contrast = means.covariances(some, centre)
    centred = (v - centre)[:, :, some]
    wanted = np.einsum("sci,scm->im", centred, h) / (4 * n_chains)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    of_neuron = k[np.arange(20, 60) % len(k)]
    wanted = np.einsum("sci,scm,ic->im", centred, h, of_neuron) / 4
    np.testing.assert_allclose(contrast, wanted, rtol=1e-5, atol=1e-5)
