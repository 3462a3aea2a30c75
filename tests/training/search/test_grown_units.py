"""Assemblies that are grown from single neurons."""

import numpy as np
import pytest

from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.linear_units import rotated_components
from crbm_lite.training.search.grown_units import _distinct, _Frames, grown_courses


def small_assemblies(seed, n_neurons=900, n_frames=1500, n_groups=8, size=30):
    """Groups that are active for ten frames on end, one frame in ten, at low rates."""
    rng = np.random.default_rng(seed)
    on = np.repeat(rng.random((n_frames // 10, n_groups)) < 0.1, 10, axis=0)
    p = np.full((n_frames, n_neurons), 0.01)
    p[:, : n_groups * size] = np.where(np.repeat(on, size, axis=1), 0.08, 0.005)
    return on, rng.random(p.shape) < p


def correlations(courses, on):
    """|r| (groups, courses) of courses and true states."""
    k = courses.shape[1]
    return np.abs(np.corrcoef(courses.T, on.T.astype(float))[k:, :k])


def test_assemblies_below_the_noise_of_the_components_are_found():
    on, v = small_assemblies(0)
    spikes, rng = as_spikes(v), np.random.default_rng(1)
    assert rotated_components(spikes, 50, rng).shape[1] < 5
    r = correlations(grown_courses(spikes, np.arange(900), 50, rng), on)
    assert (r.max(axis=1) > 0.6).sum() >= 6
    assert r.shape[1] <= 9


@pytest.mark.parametrize("seed", range(3))
def test_nothing_grows_where_every_neuron_has_its_own_time(seed):
    _, v = small_assemblies(seed)
    shifts = np.random.default_rng(seed).integers(len(v), size=v.shape[1])
    shifted = np.column_stack([np.roll(x, n) for x, n in zip(v.T, shifts, strict=True)])
    assert (
        grown_courses(as_spikes(shifted), np.arange(900), 50, np.random.default_rng(0)).shape[1]
        == 0
    )


def test_what_a_neuron_shares_with_itself_is_no_covariance():
    """Neuron by neuron, the group's course is formed without it."""
    window, v = 3, np.random.default_rng(0).random((2000, 12)) < 0.3
    groups = np.zeros((12, 1), np.float32)
    groups[:6, 0] = np.arange(1.0, 7.0)
    p = v.mean(axis=0)
    z = (v - p) / np.sqrt(p * (1 - p))

    def smoothed(x):
        return np.convolve(x, np.full(window, 1 / window), "same")

    size = smoothed(z @ groups[:, 0]).std()
    shared = np.empty(12)
    for i in range(12):
        rest = np.where(np.arange(12) == i, 0.0, groups[:, 0])
        h = smoothed(z @ rest)
        shared[i] = np.mean(z[:, i] * (h)) / size
    shared -= np.median(shared)
    shared /= 1.4826 * np.median(np.abs(shared))
    found = _Frames(as_spikes(v), window).covariances(groups)[:, 0]
    np.testing.assert_allclose(found, shared, atol=0.03)


def test_of_groups_that_are_alike_the_first_is_kept():
    groups = np.zeros((40, 3), np.float32)
    groups[:10, 0] = groups[2:12, 1] = groups[20:30, 2] = 10**-0.5
    kept = _distinct(groups, groups[:, :0])
    np.testing.assert_array_equal(kept, groups[:, [0, 2]])
    assert _distinct(groups, groups[:, 2:]).shape[1] == 2
