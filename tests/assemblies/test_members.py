"""Assemblies on weights whose answer is known."""

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.assemblies.members import (
    assemblies_of_weights,
    assembly_sizes,
    compactness,
    effective_regions,
    embedding,
    regional_occupancy,
    strong_weights,
)

W = np.array([[0.5, 0.0, 0.0], [-0.3, 0.2, 0.0], [0.0, 0.05, 0.0], [0.0, 0.0, 0.0]])


def test_sizes_and_embedding_by_hand():
    assert assembly_sizes(W).tolist() == [1, 1, 2]  # the first unit is two-sided, the last empty
    assert assembly_sizes(W, 0.1).tolist() == [1, 1, 1]
    assert (embedding(W), embedding(W, 0.1), embedding(W, 0, 2)) == (0.75, 0.5, 0.25)


def test_one_strong_weight_per_neuron_is_the_expectation():
    rng = np.random.default_rng(0)
    strong = strong_weights(rng.normal(size=(3000, 20)), random_state=0)
    assert abs(strong.per_neuron.mean() - 1) < 0.01
    assert strong.shuffled.shape == (20, 3000)
    chance = (1 - 1 / 20) ** 20
    assert abs(strong.fraction_without - chance) < 0.03
    assert abs(strong.fraction_without_shuffled - chance) < 0.01


def test_a_partition_beats_the_shuffle_and_shared_neurons_lose_to_it():
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.normal(size=(400, 10))
    partition = noise + np.repeat(np.eye(10), 40, axis=0)
    strong = strong_weights(-partition, random_state=0)  # the sign does not matter
    assert strong.fraction_without == 0
    assert (strong.per_neuron == 1).all()
    hubs = noise.copy()
    hubs[:40] += 1.0  # the same forty neurons everywhere
    strong = strong_weights(hubs, random_state=0)
    assert strong.fraction_without == 0.9
    assert set(strong.per_neuron[:40]) == {10}


def test_exact_zeros_are_never_strong():
    weights = np.zeros((50, 5))
    weights[0] = 1.0
    assert strong_weights(weights, random_state=0).per_neuron.sum() == 5


def test_occupancy_by_hand_and_effective_regions():
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1]], dtype=bool)
    weights = np.array([[2.0, 1.0], [0.0, -1.0], [0.0, 1.0], [-1.0, 1.0]])
    np.testing.assert_allclose(
        regional_occupancy(weights, labels, "signed_sum"), [[2, 0], [-1, 2], [-1, 1]]
    )
    by_region = np.array([[1, 1], [0.5, 1], [1, 1]])
    np.testing.assert_allclose(
        regional_occupancy(weights, scipy.sparse.csr_array(labels)), by_region / by_region.sum(0)
    )
    expected = [(2.25**2) / (2 + 1 / 16), 3.0]
    np.testing.assert_allclose(effective_regions(weights, labels), expected)
    signed = [36 / 18, 25 / 17]
    np.testing.assert_allclose(effective_regions(weights, labels, "signed_sum"), signed)


def test_an_empty_region_or_assembly_does_no_harm():
    labels = np.array([[1, 0], [1, 0]], dtype=bool)
    weights = np.array([[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(effective_regions(weights, labels), [1.0, np.nan])


def test_a_planted_blob_is_compact_and_a_random_set_is_not():
    rng = np.random.default_rng(2)
    places = rng.uniform(0, 100, (500, 3))
    blob = np.linalg.norm(places - 50, axis=1) < 25
    radius, p = compactness(np.c_[blob, rng.permutation(blob), np.zeros(500)], places)
    assert radius[0] < 25 and p[0] < 0.02 and p[1] > 0.02 and np.isnan(p[2])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="labels is None"):
        regional_occupancy(W, None)
    with pytest.raises(ValueError, match="coordinates is None"):
        compactness(W != 0, None)
    with pytest.raises(ValueError, match="threshold"):
        assemblies_of_weights(W, -1)
    with pytest.raises(ValueError, match="two hidden units"):
        strong_weights(np.ones((5, 1)))
    with pytest.raises(ValueError, match="labels has shape"):
        regional_occupancy(np.ones((5, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="definition is 'sum'"):
        regional_occupancy(np.ones((5, 2)), np.ones((5, 2)), "sum")
    with pytest.raises(ValueError, match="labels has shape"):
        regional_occupancy(np.ones((5, 2)), np.ones(5))
    with pytest.raises(ValueError, match="n_shuffles is 0"):
        strong_weights(np.ones((5, 2)), n_shuffles=0)
    places = np.zeros((5, 3))
    with pytest.raises(ValueError, match="n_shuffles is -2"):
        compactness(np.ones((5, 2)), places, n_shuffles=-2)
    places[0, 0] = np.nan
    with pytest.raises(ValueError, match="coordinates holds NaN"):
        compactness(np.ones((5, 2)), places)
    with pytest.raises(ValueError, match="weights holds NaN"):
        assemblies_of_weights(np.full((2, 2), np.nan))


def test_sparse_weights_and_labels_that_are_not_one_count_like_dense_ones():
    weights, labels = np.array([[1.0, 0.0], [3.0, 0.5]]), np.array([[2, 0], [0, 7]])
    found = assemblies_of_weights(scipy.sparse.csr_array(weights))
    np.testing.assert_array_equal(found.members, weights > 0)
    np.testing.assert_array_equal(
        regional_occupancy(weights, labels), regional_occupancy(weights, labels > 0)
    )


@pytest.mark.parametrize("member", [np.full((5, 2), np.nan), np.full((5, 2), 0.3), [["a"]] * 5])
def test_membership_that_is_no_0_and_1_has_no_radius(member):
    with pytest.raises(ValueError, match=r"^member"):
        compactness(member, np.zeros((5, 3)))
