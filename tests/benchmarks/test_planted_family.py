"""The family of planted recordings keeps its bounds, and its drawn points are drawn by seed."""

import numpy as np
import pytest

from benchmarks.planted_family import DEVELOPMENT, held_out, plant

POINTS = {**DEVELOPMENT, **{f"held-out {seed}": held_out(seed) for seed in range(30)}}


@pytest.mark.parametrize("name", POINTS)
def test_a_point_is_of_the_family(name):
    point = POINTS[name]
    assert 100 <= point["n_neurons"] <= 5000
    assert 1000 <= point["n_frames"] <= 10_000
    assert 5 <= point["n_assemblies"] <= 100
    assert 20 <= point["size_range"][0] <= point["size_range"][1] <= 200
    assert 0 <= point["overlap"] <= 0.5
    low, high = point["activity_range"]
    assert 0.005 <= low == high <= 0.1


@pytest.mark.parametrize("name", ["small", "short", "overlapping"])
def test_recordings_are_what_their_point_says(name):
    point = DEVELOPMENT[name]
    recording = plant(point, random_state=1)
    truth = recording.truth
    assert (
        recording.spikes.shape
        == (point["n_frames"], point["n_neurons"])
        == (
            truth.states.shape[0],
            truth.n_neurons,
        )
    )
    sizes = truth.membership.sum(axis=0)
    assert point["size_range"][0] <= sizes.min() <= sizes.max() <= point["size_range"][1]
    twice = truth.membership.sum(axis=1) == 2
    share = truth.membership[twice].sum() / truth.membership.sum()
    assert share == pytest.approx(point["overlap"], abs=0.02)
    assert recording.activity.mean() == pytest.approx(point["activity_range"][0], rel=0.05)


def test_the_same_seed_gives_the_same_bits():
    assert held_out(3) == held_out(3) != held_out(4)
    first, again, other = (plant(DEVELOPMENT["small"], seed).spikes for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
