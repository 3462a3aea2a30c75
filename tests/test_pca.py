"""Linear components against formulas, and measures of sparsity against cases known by hand."""

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.baselines.pca import (
    effective_regions,
    fit_components,
    regional_occupancy,
    strong_weights,
)
from crbm_lite.planted import plant_recording


@pytest.fixture(scope="module")
def recording():
    return plant_recording(120, 4, size_range=(25, 30), n_frames=1500, n_unassigned=10)


@pytest.fixture(scope="module")
def v(recording):
    return scipy.sparse.csr_array(recording.spikes).toarray().astype(float)


def test_pca_is_the_eigendecomposition_of_the_covariance(v):
    components = fit_components(v, 5)
    values, vectors = np.linalg.eigh(np.cov(v.T, bias=True))
    overlap = np.abs(np.sum(components.loadings * vectors[:, ::-1][:, :5], axis=0))
    np.testing.assert_allclose(overlap, 1.0, atol=1e-6)
    np.testing.assert_allclose(components.activity.var(axis=0), values[::-1][:5], rtol=1e-6)


@pytest.mark.parametrize("method", ["pca", "ica", "nmf"])
def test_loadings_have_unit_norm_positive_sum_and_reconstruct(v, method):
    components = fit_components(v, 4, method)
    np.testing.assert_allclose(np.linalg.norm(components.loadings, axis=0), 1.0)
    assert (components.loadings.sum(axis=0) >= 0).all()
    error = v - components.mean - components.activity @ components.loadings.T
    best = fit_components(v, 4, "pca")
    least = v - best.mean - best.activity @ best.loadings.T
    assert (least**2).sum() <= (error**2).sum() * (1 + 1e-9)  # Eckart and Young
    assert (error**2).sum() < 1.1 * (least**2).sum()


@pytest.mark.parametrize("method", ["ica", "nmf"])
def test_planted_assemblies_are_found(recording, v, method):
    member = np.asarray(recording.truth.membership, dtype=float) != 0
    loadings = fit_components(v, 4, method).loadings
    r = np.corrcoef(member.T, loadings.T)[:4, 4:]
    assert (r.max(axis=1) > 0.6).all()


def test_all_components_reconstruct_exactly(v):
    some = v[:, :20]
    components = fit_components(some, 20)
    np.testing.assert_allclose(
        components.mean + components.activity @ components.loadings.T, some, atol=1e-9
    )


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


def test_bad_arguments_are_named(v):
    with pytest.raises(ValueError, match="n_components is 0"):
        fit_components(v, 0)
    with pytest.raises(ValueError, match="method is 'svd'"):
        fit_components(v, 2, "svd")
    with pytest.raises(ValueError, match="M of 2 or more"):
        strong_weights(np.ones((5, 1)))
    with pytest.raises(ValueError, match="labels have shape"):
        regional_occupancy(np.ones((5, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="definition is 'sum'"):
        regional_occupancy(np.ones((5, 2)), np.ones((5, 2)), "sum")
