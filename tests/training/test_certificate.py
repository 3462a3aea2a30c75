"""The certificate: stationarity against enumeration, and the share of the pair covariances."""

import numpy as np
import pytest

import crbm_lite as cl
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.reference import hidden_means
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.certificate import (
    certify,
    chosen_neurons,
    co_active,
    sample_model,
    share_of_covariance,
)
from crbm_lite.training.parameters import TrainedParameters
from tests.training.enumerable import (
    L1,
    STATES,
    M,
    N,
    distribution,
    finite_difference,
    machine_and_data,
    penalised_likelihood,
    variance_of_h,
)


def correlated(n_frames, n_neurons, rng, strength=0.5):
    """Spikes that a common state brings about."""
    state = rng.random((n_frames, 1)) < 0.2
    return (state & (rng.random((n_frames, n_neurons)) < strength)).astype(np.uint8)


def share(data, v_model):
    """The share of a model of which ``v_model`` are samples."""
    neurons = chosen_neurons(data.n_neurons)
    return share_of_covariance(data, co_active(v_model), len(v_model), neurons)


def test_share_is_the_slope_over_pairs_without_the_power_of_noise():
    rng = np.random.default_rng(0)
    data, model = correlated(203, 7, rng), correlated(91, 7, rng, 0.4)
    blocks = np.arange(203) * 20 // 203

    def covariances(v):
        return np.array(
            [np.mean(v[:, i] * 1.0 * v[:, j]) - v[:, i].mean() * v[:, j].mean()
             for i in range(7) for j in range(i + 1, 7)]
        )  # fmt: skip

    odd, even = covariances(data[blocks % 2 == 0]), covariances(data[blocks % 2 == 1])
    expected = np.sum(covariances(model) * (odd + even) / 2) / np.sum(odd * even)
    assert share(as_spikes(data), model) == pytest.approx(expected, rel=1e-12)


def test_share_is_linear_in_the_model_and_not_lowered_by_noise_in_the_data():
    rng = np.random.default_rng(1)
    data = as_spikes(correlated(600, 60, rng))
    full = share(data, correlated(100_000, 60, rng))
    half = share(data, correlated(100_000, 60, rng, 0.5 * 0.5**0.5))
    assert full == pytest.approx(1.0, abs=0.25)
    assert half / full == pytest.approx(0.5, abs=0.03)


def test_share_of_data_without_covariance_is_undefined():
    rng = np.random.default_rng(2)
    v = (rng.random((1000, 50)) < 0.1).astype(np.uint8)
    assert np.isnan(share(as_spikes(v), v))
    assert np.isnan(share(as_spikes(v[:1]), v))


def test_chosen_neurons_are_all_or_a_thousand_over_the_whole_recording():
    np.testing.assert_array_equal(chosen_neurons(12), np.arange(12))
    some = chosen_neurons(65_517)
    assert len(some) == 1000 and some[0] == 0 and some[-1] == 65_516


def test_a_nearly_empty_stationary_model_does_not_pass_as_converged():
    """With a huge lambda few weights survive, the residual is small, and yet nothing is learned."""
    recording = cl.plant_recording(400, 5, (40, 60), 1500, 50, random_state=0)
    model = cl.CRBM(
        n_hidden=6, l1=0.06, n_updates=300, n_gibbs=3, jump_every=3, random_state=0, progress=False
    ).fit(recording)
    certificate = model.certificate_
    assert certificate.n_units_alive > 0 and certificate.residual < certificate.tolerance
    assert certificate.covariance_share < 0.25
    assert model.verdict_ == "not converged" and not model.converged_
    assert any("pair covariances" in reason for reason in certificate.failed)


# ---------------------------------------------------------------------- stationarity


@pytest.fixture(scope="module")
def problem():
    return machine_and_data()


def certificate_of(v, weights, fields, potential, l1, l1_nonzero=None, n_chains=2000, seed=0):
    weights = weights.astype(np.float32)
    spikes = as_spikes(v)
    chains = GibbsChains(*weights.shape, n_chains, seed, 0)
    chains.set_weights(weights)
    chains.set_spikes(spikes.dense(np.random.default_rng(seed).integers(len(v), size=n_chains)))
    mean_h = DReLU(*potential).mean(spikes.inputs(weights)).mean(axis=0)
    parameters = TrainedParameters(weights, fields, np.asarray(potential), mean_h)
    model = sample_model(parameters, chains, spikes, l1)
    return certify(spikes, parameters, l1, l1 if l1_nonzero is None else l1_nonzero, model)


def test_certificate_of_a_model_on_its_own_samples_and_of_a_shifted_one(problem):
    _, weights, fields, potential = problem
    p, rng = distribution(weights, fields, potential), np.random.default_rng(0)
    own = STATES.astype(np.uint8)[rng.choice(2**N, size=20_000, p=p)]
    good = certificate_of(own, weights, fields, potential, l1=0.0)
    assert good.residual < 0.006 and good.n_units_alive == M and not good.failed
    assert good.activity_model == pytest.approx(good.activity_data, rel=0.03)
    np.testing.assert_allclose(good.variance_h, variance_of_h(own, weights, potential), rtol=1e-6)
    wrong = certificate_of(own, 0.6 * weights, fields, potential, l1=0.0)
    assert wrong.residual > 0.03 and any("residual" in text for text in wrong.failed)


def test_certificate_agrees_with_enumeration(problem):
    v, weights, fields, potential = problem
    weights = weights.astype(np.float32).astype(float)
    measured = certificate_of(v, weights, fields, potential, l1=L1)
    in_weights = finite_difference(lambda x: penalised_likelihood(v, x, fields, potential), weights)
    in_fields = finite_difference(lambda x: penalised_likelihood(v, weights, x, potential), fields)
    units, p = DReLU(*potential), v.mean(axis=0)
    mean_h = units.mean(v @ weights).mean(axis=0)
    # centred coordinates: a weight moves with the field (by mean h) and the threshold (by mean v)
    q = hidden_means(v @ weights, potential, mean_h).variance_slope_in_input
    drift = mean_h - distribution(weights, fields, potential) @ units.mean(STATES @ weights)
    kappa = 0.5 * L1 * np.abs(weights).sum(axis=0)
    vq = v.T @ q / len(v)
    exact = in_weights - np.outer(in_fields, mean_h) - np.outer(p, drift)
    exact += kappa * np.outer(p, vq.sum(axis=0) / p.sum())
    rms = np.sqrt((exact**2).mean())
    assert rms > 0.02
    assert measured.residual == pytest.approx(rms, rel=0.1)
    without = exact + kappa * (vq - np.outer(p, vq.sum(axis=0) / p.sum()))
    assert measured.residual_without_kappa == pytest.approx(np.sqrt((without**2).mean()), rel=0.1)
    # after a refit the condition has no penalty
    refitted = certificate_of(v, weights, fields, potential, l1=L1, l1_nonzero=0.0)
    rms = np.sqrt(((without + L1 * np.sign(weights)) ** 2).mean())
    assert abs(rms / measured.residual - 1) > 0.05
    assert refitted.residual == pytest.approx(rms, rel=0.02)
    assert refitted.residual_without_kappa == refitted.residual
    assert refitted.tolerance == measured.tolerance


def test_certificate_of_no_weights_is_stationary_but_dead():
    rng = np.random.default_rng(0)
    v = (rng.random((4000, 10)) < 0.2).astype(np.uint8)
    p = v.mean(axis=0)
    one = np.ones(2)
    dead = certificate_of(
        v, np.zeros((10, 2)), np.log(p / (1 - p)), np.stack([one, one, 0 * one, 0 * one]), 0.02
    )
    assert dead.residual == 0.0 and dead.excess_at_zero < 1e-3
    assert dead.n_units_alive == 0 and any("lambda" in text for text in dead.failed)
    assert dead.activity_model == pytest.approx(p.mean(), rel=0.02)
    np.testing.assert_allclose(dead.variance_h, 1.0, rtol=1e-9)
