"""Assemblies that are known to be the same, or mirror images, are found to be."""

import warnings

import numpy as np
import pytest

from crbm_lite.assemblies.matching import match_assemblies, stability, symmetric_pairs


def test_permuted_and_flipped_runs_match_exactly():
    rng = np.random.default_rng(3)
    w, order, sign = rng.normal(size=(50, 6)), rng.permutation(6), np.array([1, -1, 1, -1, 1, 1])
    match = match_assemblies(w, (w * sign)[:, order])
    assert np.array_equal(order[match.second], match.first)
    np.testing.assert_allclose(match.correlation, sign[match.first])


def test_stability_of_copies_of_noise_and_of_a_lost_assembly():
    rng = np.random.default_rng(0)
    w, order = rng.normal(size=(400, 5)), rng.permutation(5)
    copies = stability([w, -w[:, order], w])
    np.testing.assert_allclose(copies.per_assembly, 1)
    assert copies.fraction_above(0.5) == 1
    other = stability([w, rng.normal(size=(400, 5))])
    assert np.nanmax(other.per_assembly) < 0.3 and other.fraction_above(0.5) == 0
    lost = w.copy()
    lost[:, 1] = 0.0
    result = stability([w, w, lost])
    np.testing.assert_allclose(result.per_assembly[0], [1, 0.5, 1, 1, 1], atol=0.1)
    assert np.isnan(result.per_assembly[2, 1])
    assert np.isnan(result.correlation[0, 0]).all()
    np.testing.assert_allclose(stability([w, w[:, :3]]).per_assembly[0, 3:], 0)


def test_planted_mirror_images_are_paired_and_a_symmetric_one_is_bilateral():
    rng = np.random.default_rng(4)
    places = rng.uniform([100, 0, 0], [300, 400, 100], (1500, 3))  # midline at 200
    mirrored = places * [-1, 1, 1] + [400, 0, 0]

    def blob(x, y, radius=45):
        return np.linalg.norm(places - [x, y, 50], axis=1) < radius

    both = blob(150, 300) | blob(250, 300)
    w = np.c_[blob(260, 80), both, blob(130, 330), blob(140, 80), np.zeros(1500)]
    found = symmetric_pairs(w + 0.05 * rng.normal(size=w.shape) * (w.any(axis=0)), places, 200.0)
    assert found.pairs.tolist() == [[3, 0]]
    assert found.bilateral.tolist() == [1]
    assert found.correlation[0] > 0.7
    assert not found.image_correlation[4].any()
    np.testing.assert_allclose(found.image_correlation, found.image_correlation.T)
    # Reflecting the whole brain changes sides and nothing else.
    again = symmetric_pairs(w, mirrored, 200.0)
    assert again.pairs.tolist() == [[0, 3]] and again.bilateral.tolist() == [1]


def test_bad_input_is_named():
    w = np.ones((4, 2))
    with pytest.raises(ValueError, match="first has 4 neurons"):
        match_assemblies(w, w[:3])
    with pytest.raises(ValueError, match="runs holds 1"):
        stability([w])
    with pytest.raises(ValueError, match="coordinates is None"):
        symmetric_pairs(w, None)
    with pytest.raises(ValueError, match="coordinates has one x only"):
        symmetric_pairs(w, np.ones((4, 3)))
    places = np.arange(12.0).reshape(4, 3)
    with pytest.raises(ValueError, match="n_neighbours is 0"):
        symmetric_pairs(w, places, n_neighbours=0)
    with pytest.raises(ValueError, match="midline is nan"):
        symmetric_pairs(w, places, midline=np.nan)
    places[1, 2] = np.nan
    with pytest.raises(ValueError, match="coordinates holds NaN"):
        symmetric_pairs(w, places)


def test_runs_without_weights_have_no_stability():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(stability([np.zeros((4, 2))] * 2).fraction_above())
