"""The share of a recording's pair covariances that a model has taken up, and what it decides."""

import numpy as np
import pytest

import crbm_lite as cl
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.certificate import chosen_neurons, co_active, share_of_covariance


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
