"""Linear components against formulas and planted assemblies."""

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.baselines.pca import fit_components, sweep_components
from crbm_lite.simulation.planted import plant_recording


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


DAMAGE = {
    "twins": lambda v: np.c_[v, v[:, :2]],
    "a silent neuron": lambda v: np.c_[v, np.zeros((len(v), 1))],
    "fewer frames": lambda v: v[:7],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("method", ["pca", "ica"])
def test_up_to_the_rank_components_reconstruct_exactly(damage, method):
    rng = np.random.default_rng(0)
    v = DAMAGE[damage]((rng.random((400, 8)) < np.linspace(0.2, 0.5, 8)).astype(float))
    rank = np.linalg.matrix_rank(v - v.mean(axis=0))
    components = fit_components(v, rank, method)
    np.testing.assert_allclose(
        components.mean + components.activity @ components.loadings.T, v, atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.norm(components.loadings, axis=0), 1.0)
    for more in range(rank + 1, min(v.shape) + 1):
        with pytest.raises(ValueError, match=f"n_components is {more}: v has rank {rank}, give 1"):
            fit_components(v, more, "ica")


@pytest.mark.parametrize("method", ["pca", "ica"])
def test_frames_that_are_all_alike_have_no_components(method):
    v = np.tile([1, 0, 1], (20, 1))
    with pytest.raises(ValueError, match="v has no neuron that changes"):
        fit_components(v, 2, method)
    with pytest.raises(ValueError, match="v has no neuron that changes"):
        sweep_components(v, (1,))


def test_bad_arguments_are_named(v):
    for wrong in (2.0, 2.5, "2", None, True):
        with pytest.raises(ValueError, match=f"n_components is {wrong!r}: give an integer from 1"):
            fit_components(v, wrong)
        with pytest.raises(ValueError, match=f"n_components holds {wrong!r}: give integers from"):
            sweep_components(v, [wrong])
    with pytest.raises(ValueError, match="n_components is 0"):
        fit_components(v, 0)
    with pytest.raises(ValueError, match="method is 'svd'"):
        fit_components(v, 2, "svd")


def test_the_number_of_components_is_that_of_the_planted_assemblies():
    rng = np.random.default_rng(0)
    on = np.repeat(rng.random((900, 3)) < 0.4, 8, axis=1)
    v = (rng.random((900, 24)) < np.where(on, 0.8, 0.1)).astype(np.uint8)
    for method in ("pca", "nmf"):
        assert sweep_components(v, (1, 3, 10), method).best == 3
    with pytest.raises(ValueError, match="method is 'ica'"):
        sweep_components(v, (2,), "ica")
    with pytest.raises(ValueError, match="n_components holds 13"):
        sweep_components(v, (2, 13))


def test_one_half_of_the_neurons_predicts_the_other_by_least_squares():
    rng = np.random.default_rng(0)
    v = (rng.random((60, 6)) < 0.4).astype(np.uint8)
    fitted, held_out = v[20:].astype(float), v[:20].astype(float)
    mean = fitted.mean(axis=0)
    axis = np.linalg.eigh(np.cov(fitted.T))[1][:, -1]
    halves = np.array_split(np.random.default_rng(0).permutation(6), 2)
    y, error = held_out - mean, 0.0
    for a, b in (halves, halves[::-1]):
        activity = y[:, a] @ axis[a] / (axis[a] @ axis[a])
        error += ((y[:, b] - np.outer(activity, axis[b])) ** 2).sum()
    score = sweep_components(v, (1,), n_folds=3).scores[0, 0]
    np.testing.assert_allclose(score, 1 - error / (y**2).sum(), rtol=1e-6)
