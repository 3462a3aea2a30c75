"""Pair covariances: the share that a model has, and the pattern that it lacks."""

import numpy as np
import pytest

from crbm_lite.training.pair_covariances import (
    chosen_neurons,
    co_active,
    missing_pattern,
    share_of_covariance,
)


def correlated(n_frames, n_neurons, rng, strength=0.5):
    """Spikes that a common state brings about."""
    state = rng.random((n_frames, 1)) < 0.2
    return (state & (rng.random((n_frames, n_neurons)) < strength)).astype(np.uint8)


def share(data, v_model):
    """The share of a model of which ``v_model`` are samples."""
    return share_of_covariance(data, co_active(v_model), len(v_model))


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
    assert share(data, model) == pytest.approx(expected, rel=1e-12)


def test_share_is_linear_in_the_model_and_not_lowered_by_noise_in_the_data():
    rng = np.random.default_rng(1)
    data = correlated(600, 60, rng)
    full = share(data, correlated(100_000, 60, rng))
    half = share(data, correlated(100_000, 60, rng, 0.5 * 0.5**0.5))
    assert full == pytest.approx(1.0, abs=0.25)
    assert half / full == pytest.approx(0.5, abs=0.03)


def test_share_of_data_without_covariance_is_undefined():
    rng = np.random.default_rng(2)
    v = (rng.random((1000, 50)) < 0.1).astype(np.uint8)
    assert np.isnan(share(v, v))
    assert np.isnan(share(v[:1], v))


def test_chosen_neurons_are_all_or_a_thousand_over_the_whole_recording():
    np.testing.assert_array_equal(chosen_neurons(12), np.arange(12))
    some = chosen_neurons(65_517)
    assert len(some) == 1000 and some[0] == 0 and some[-1] == 65_516


def assemblies(n_frames, rng, present=(True, True, True)):
    """Three assemblies of 15 neurons, and 15 others; members of one not present spike alone."""
    v = rng.random((n_frames, 60)) < 0.04
    for k, together in enumerate(present):
        state = rng.random((n_frames, 1 if together else 15)) < 0.2
        v[:, 15 * k : 15 * k + 15] |= state & (rng.random((n_frames, 15)) < 0.5)
    return v.astype(np.uint8)


def test_the_pattern_of_a_missing_assembly_is_named():
    rng = np.random.default_rng(3)
    data = assemblies(2000, rng)
    whole, lacking = assemblies(40_000, rng), assemblies(40_000, rng, (True, False, True))
    assert missing_pattern(data, co_active(whole), 40_000)[0] < 0.02
    share, most = missing_pattern(data, co_active(lacking), 40_000)
    assert share == pytest.approx(1 / 3, abs=0.07)
    assert set(most[:15]) == set(range(15, 30))


def test_nothing_is_missing_of_noise():
    rng = np.random.default_rng(5)
    data = (rng.random((1000, 50)) < 0.1).astype(np.uint8)
    model = (rng.random((20_000, 50)) < 0.1).astype(np.uint8)
    assert missing_pattern(data, co_active(model), 20_000)[0] == 0.0
