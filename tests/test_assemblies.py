"""Assemblies on weights whose answer is known."""

import numpy as np
import pytest

from crbm_lite.assemblies import (
    assembly_sizes,
    compactness,
    effective_regions,
    embedding,
    export_csv,
    match_assemblies,
    membership,
    regional_occupancy,
    strong_weights_per_neuron,
)

W = np.array([[0.5, 0.0, 0.0], [-0.3, 0.2, 0.0], [0.0, 0.05, 0.0], [0.0, 0.0, 0.0]])


def test_membership_sizes_and_embedding_by_hand():
    assert assembly_sizes(W).tolist() == [2, 2, 0]
    assert assembly_sizes(W, 0.1).tolist() == [2, 1, 0]
    assert (embedding(W), embedding(W, 0.1), embedding(W, 0, 2)) == (0.75, 0.5, 0.25)


def test_strong_weights_are_one_a_neuron_and_the_shuffle_keeps_them():
    w = np.random.default_rng(0).normal(size=(200, 10))
    counts, shuffled = strong_weights_per_neuron(w, 1)
    assert counts.sum() == shuffled.sum() == 200
    strong = np.abs(w) > np.sort(np.abs(w), axis=None)[-201]
    assert np.array_equal(counts, strong.sum(axis=1))


def test_occupancy_by_both_definitions():
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(regional_occupancy(W, labels, "signed_sum")[:, 0], [0.2, 0])
    mean = regional_occupancy(W, labels)
    np.testing.assert_allclose(mean[:, 1], [0.8, 0.2])
    assert np.isnan(mean[:, 2]).all()
    np.testing.assert_allclose(effective_regions(mean), [1, 0.68**2 / 0.4112, np.nan])
    np.testing.assert_allclose(effective_regions(regional_occupancy(W, labels[:, :1]))[:2], 1)


def test_a_planted_blob_is_compact_and_a_random_set_is_not():
    rng = np.random.default_rng(2)
    places = rng.uniform(0, 100, (500, 3))
    blob = np.linalg.norm(places - 50, axis=1) < 25
    radius, p = compactness(np.c_[blob, rng.permutation(blob), np.zeros(500)], places)
    assert radius[0] < 25 and p[0] < 0.02 and p[1] > 0.02 and np.isnan(p[2])


def test_permuted_and_flipped_runs_match_exactly():
    rng = np.random.default_rng(3)
    w, order, sign = rng.normal(size=(50, 6)), rng.permutation(6), np.array([1, -1, 1, -1, 1, 1])
    match = match_assemblies(w, (w * sign)[:, order])
    assert np.array_equal(order[match.second], match.first)
    np.testing.assert_allclose(match.correlation, sign[match.first])


def test_csv_comes_back(tmp_path):
    places = np.arange(12.0).reshape(4, 3)
    export_csv(tmp_path / "a.csv", W, places)
    back = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(back, np.c_[range(4), places, W])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="labels is None"):
        regional_occupancy(W, None)
    with pytest.raises(ValueError, match="coordinates is None"):
        compactness(W != 0, None)
    with pytest.raises(ValueError, match="threshold"):
        membership(W, -1)
    with pytest.raises(ValueError, match="first has 4 neurons"):
        match_assemblies(W, W[:3])
