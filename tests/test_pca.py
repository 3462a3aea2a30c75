"""Linear components against formulas and planted assemblies."""

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.baselines.pca import fit_components
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


def test_bad_arguments_are_named(v):
    with pytest.raises(ValueError, match="n_components is 0"):
        fit_components(v, 0)
    with pytest.raises(ValueError, match="method is 'svd'"):
        fit_components(v, 2, "svd")
