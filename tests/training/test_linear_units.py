"""Linear units: components above the noise, their rotations, and who follows them."""

from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from crbm_lite.core.spikes import as_spikes
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training.linear_units import _n_above_noise, cubimax, find_linear_units, varimax


def test_signal_is_counted_from_the_edge_of_the_noise_that_it_leaves():
    n_frames, n_neurons, k = 300, 1500, 40
    rng = np.random.default_rng(0)
    left = np.linalg.qr(rng.normal(size=(n_frames, k)))[0]
    right = np.linalg.qr(rng.normal(size=(n_neurons, k)))[0]
    signal = left * np.linspace(38.0, 70.0, k) @ right.T
    noise = 1.0 - (signal**2).mean()  # unit variance in all, as standardised spikes have
    z = signal + np.sqrt(noise) * rng.normal(size=signal.shape)
    singular = np.linalg.svd(z, compute_uv=False)
    assert _n_above_noise(singular, (z**2).sum(), n_frames, n_neurons) == k
    plain_edge = np.sqrt(n_frames) + np.sqrt(n_neurons)
    assert (singular > plain_edge).sum() < k - 2
    assert (
        _n_above_noise(singular, (z**2).sum(), n_neurons, n_frames) == (singular > plain_edge).sum()
    )


def test_more_neurons_than_frames_are_told_apart():
    v = plant_recording(4000, 60, (80, 160), 800, 300, random_state=1)
    units = find_linear_units(as_spikes(v.spikes), 65, 0.01, np.random.default_rng(0))
    assert 45 < units.h.shape[1] < 60
    correlations = np.abs(np.corrcoef(units.rise.T, v.truth.membership.T.astype(float)))
    correlations = correlations[: units.h.shape[1], units.h.shape[1] :]
    unit, assembly = linear_sum_assignment(-correlations)
    assert (correlations[unit, assembly] > 0.5).sum() > 35


def test_varimax_is_a_rotation():
    loadings = np.random.default_rng(0).normal(size=(50, 4)) ** 3
    rotation = varimax(loadings)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-10)
    assert ((loadings @ rotation) ** 4).sum() >= (loadings**4).sum()


def test_cubimax_is_a_rotation_and_its_own_optimum():
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(50, 4)) ** 3 * [1.0, 2.0, 3.0, 4.0]
    rotation = cubimax(loadings, n_iterations=2000, tolerance=0.0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-10)
    equal = loadings / np.linalg.norm(loadings, axis=0)

    def sum_of_cubes(angle, i, j):
        turn = rotation.copy()
        turn[:, i] = np.cos(angle) * rotation[:, i] + np.sin(angle) * rotation[:, j]
        turn[:, j] = np.cos(angle) * rotation[:, j] - np.sin(angle) * rotation[:, i]
        return (np.abs(equal @ turn) ** 3).sum()

    for i, j in combinations(range(4), 2):  # no small turn in any plane raises the sum
        at_rest = sum_of_cubes(0.0, i, j)
        assert max(sum_of_cubes(0.02, i, j), sum_of_cubes(-0.02, i, j)) <= at_rest + 1e-9
    scaled = cubimax(loadings * [7.0, 0.1, 1.0, 3.0], n_iterations=2000, tolerance=0.0)
    np.testing.assert_allclose(scaled, rotation, atol=1e-5)  # column norms do not matter


def test_linear_units_keep_no_covariance_within_its_noise():
    rng = np.random.default_rng(0)
    v = plant_recording(200, 4, (20, 30), 1500, 100, random_state=0)
    units = find_linear_units(as_spikes(v.spikes), 4, 1e-9, rng)
    outside = ~np.asarray(v.truth.membership, bool).any(axis=1)
    assert outside.sum() > 50
    assert (units.rise[outside] != 0).mean() < 0.01
