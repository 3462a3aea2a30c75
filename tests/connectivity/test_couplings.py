"""Couplings against enumeration, region averages against brute force."""

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from crbm_lite import CRBM
from crbm_lite.connectivity.couplings import (
    coupling,
    coupling_given_v,
    effective_connectivity,
    factor_of_covariance,
    factor_of_models,
    kept_by_weight_spread,
    mean_conditional_variance,
)
from crbm_lite.connectivity.regions import (
    aggregate_regions,
    region_connectivity,
    region_given_neuron,
)

N, M = 6, 3


def machine(seed=0, quadratic=False, scale=1.0):
    rng = np.random.default_rng(seed)
    weights = scale * rng.normal(size=(N, M)) * (rng.random((N, M)) < 0.8)
    plus, minus = rng.uniform(0.5, 2.0, (2, M))
    t_plus, t_minus = rng.normal(size=(2, M)) * [[-1], [1]]
    if quadratic:
        minus, t_minus = plus, t_plus
    return CRBM.from_parameters(weights, rng.normal(size=N), plus, minus, t_plus, t_minus)


def frames(seed=1, t=40):
    return (np.random.default_rng(seed).random((t, N)) < 0.4).astype(np.uint8)


def coupling_from_probabilities(model, v, i, j):
    """Eq. 15 as the paper defines it: conditional probabilities of v_i given v_j and the rest."""
    log_p = {}
    for a, b in itertools.product((0, 1), repeat=2):
        changed = v.copy()
        changed[:, i], changed[:, j] = a, b
        log_p[a, b] = -model.free_energy(changed)
    given = {
        (a, b): log_p[a, b] - np.logaddexp(log_p[0, b], log_p[1, b])
        for a, b in itertools.product((0, 1), repeat=2)
    }
    return (given[1, 1] - given[1, 0]) - (given[0, 1] - given[0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_coupling_is_the_change_of_log_odds(seed):
    model, v = machine(seed), frames()
    i, j = np.triu_indices(N, 1)
    exact = coupling_given_v(model, v, i, j)
    brute = np.transpose([coupling_from_probabilities(model, v, a, b) for a, b in zip(i, j)])
    assert np.abs(exact - brute).max() < 1e-10
    np.testing.assert_allclose(coupling(model, v, i, j), brute.mean(axis=0), atol=1e-10)
    np.testing.assert_array_equal(coupling(model, v, i, j), coupling(model, v, j, i))


def test_quadratic_potential_gives_the_hopfield_couplings():
    model, v = machine(quadratic=True), frames()
    hopfield = model.weights_ @ np.diag(1 / model.gamma_plus_) @ model.weights_.T
    np.fill_diagonal(hopfield, 0)
    assert np.abs(effective_connectivity(model, v, range(N)) - hopfield).max() < 1e-10
    i, j = np.triu_indices(N, 1)
    assert np.abs(coupling_given_v(model, v, i, j) - hopfield[i, j]).max() < 1e-10


def test_ising_limit_returns_the_couplings_of_a_pairwise_model():
    """One quadratic unit a pair, w = (sqrt|J|, sign sqrt|J|), gives exactly J on that pair."""
    rng = np.random.default_rng(3)
    i, j = np.triu_indices(N, 1)
    truth = rng.normal(size=i.size)
    weights = np.zeros((N, i.size))
    weights[i, np.arange(i.size)] = np.sqrt(np.abs(truth))
    weights[j, np.arange(i.size)] = np.sign(truth) * np.sqrt(np.abs(truth))
    ones, zeros = np.ones(i.size), np.zeros(i.size)
    model = CRBM.from_parameters(weights, rng.normal(size=N), ones, ones, zeros, zeros)
    v = frames()
    assert np.abs(coupling(model, v, i, j) - truth).max() < 1e-10
    assert np.abs(effective_connectivity(model, v, range(N))[i, j] - truth).max() < 1e-10


def test_approximation_is_of_second_order_in_the_weights():
    """Eq. 17 against Eq. 16: halving W must shrink the error by more than the couplings' 4."""
    v = frames()
    i, j = np.triu_indices(N, 1)
    errors = []
    for scale in (0.02, 0.01):
        model = machine(scale=scale)
        approximate = effective_connectivity(model, v, range(N))[i, j]
        errors.append(np.abs(approximate - coupling(model, v, i, j)).max())
    assert errors[1] < errors[0] / 6


def test_tiles_are_parts_of_the_matrix_and_take_the_variance_too():
    model, v = machine(), frames()
    whole = effective_connectivity(model, v, range(N))
    np.testing.assert_array_equal(np.diag(whole), 0)
    np.testing.assert_allclose(whole, whole.T, rtol=1e-13)
    variance = mean_conditional_variance(model, v)
    np.testing.assert_allclose(variance, model.var_h_given_v(v).mean(axis=0), rtol=1e-12)
    tile = effective_connectivity(model, variance, [4, 1], [1, 2, 3])
    np.testing.assert_allclose(tile, whole[np.ix_([4, 1], [1, 2, 3])], rtol=1e-12)


def test_neurons_that_share_no_hidden_unit_are_not_coupled():
    model = CRBM.from_parameters(np.eye(3), [0] * 3, *[[1] * 3] * 2, *[[0] * 3] * 2)
    np.testing.assert_array_equal(coupling(model, [[0, 1, 1]], [0, 1], [1, 2]), 0)


@pytest.mark.parametrize(
    ("i", "j"), [([0], [0]), ([0, 1], [2]), ([N], [0]), ([-1], [0]), ([0.5], [1]), ([], [])]
)
def test_impossible_pairs_are_refused(i, j):
    with pytest.raises(ValueError, match=r"^[ij] "):
        coupling(machine(), frames(), i, j)


# ---------------------------------------------------------------------- regions


def brute_force(factor, scales, region, n_regions, min_neurons, diagonal):
    matrix = np.abs((factor.astype(np.float64) * scales) @ factor.T.astype(np.float64))
    out = np.full((n_regions, n_regions), np.nan)
    for k in range(n_regions):
        for m in range(n_regions):
            a, b = np.flatnonzero(region == k), np.flatnonzero(region == m)
            if min(len(a), len(b)) < min_neurons:
                continue
            total = sum(matrix[i, j] for i in a for j in b if i != j)
            pairs = len(a) * (len(b) - (k == m and diagonal == "pairs"))
            out[k, m] = total / pairs
    return out


@pytest.mark.parametrize("density", [0.08, 0.8])  # the sparse walk and the dense tiles
@pytest.mark.parametrize("diagonal", ["pairs", "squares"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_region_means_are_those_of_all_pairs(density, diagonal, dtype):
    rng = np.random.default_rng(5)
    n, n_regions = 150, 7
    factor = (rng.normal(size=(n, 12)) * (rng.random((n, 12)) < density)).astype(dtype)
    scales = rng.uniform(0.2, 1.0, 12)
    region = rng.choice([-1, 0, 1, 2, 3, 5], p=[0.2, 0.3, 0.2, 0.02, 0.18, 0.1], size=n)
    region[:6] = 4  # exactly min_neurons of region 4; region 6 has nobody
    result = region_connectivity(
        factor, scales, region, n_regions=n_regions, min_neurons=6, diagonal=diagonal
    )
    expected = brute_force(factor, scales, region, n_regions, 6, diagonal)
    np.testing.assert_allclose(result.values, expected, rtol=2e-6 if dtype == np.float32 else 1e-12)
    np.testing.assert_array_equal(result.values, result.values.T)
    np.testing.assert_array_equal(result.n_neurons, [(region == r).sum() for r in range(n_regions)])
    matrix = (factor * scales) @ factor.T
    options = {"n_regions": n_regions, "min_neurons": 6, "diagonal": diagonal}
    whole = aggregate_regions(matrix, region, **options)
    np.testing.assert_allclose(whole.values, expected, rtol=2e-5)
    np.testing.assert_array_equal(whole.values, whole.values.T)


def test_dense_tiles_smaller_than_a_region(monkeypatch):
    monkeypatch.setattr("crbm_lite.connectivity.regions._TILE", 7)
    rng = np.random.default_rng(6)
    factor, scales, region = rng.normal(size=(60, 4)), np.ones(4), np.repeat([0, 1, 2], [31, 20, 9])
    expected = brute_force(factor, scales, region, 3, 5, "pairs")
    np.testing.assert_allclose(region_connectivity(factor, scales, region).values, expected)


def test_repeats_are_averaged_before_the_absolute_value():
    models, v = [machine(seed) for seed in (0, 1)], frames()
    mean = np.mean([effective_connectivity(m, v, range(N)) for m in models], axis=0)
    region = np.array([0, 0, 0, 1, 1, 1])
    result = region_connectivity(*factor_of_models(models, v), region, min_neurons=2)
    assert result.values[0, 1] == pytest.approx(np.abs(mean[:3, 3:]).mean(), rel=1e-12)
    assert result.values[0, 0] == pytest.approx(np.abs(mean[[0, 0, 1], [1, 2, 2]]).mean())
    after = np.mean([np.abs(effective_connectivity(m, v, range(N))) for m in models], axis=0)
    assert result.values[0, 1] < after[:3, 3:].mean()


def test_covariance_and_correlation_have_factors():
    v = frames(t=300)
    v[:, 2] = 0  # a silent neuron
    factor, scales = factor_of_covariance(v)
    np.testing.assert_allclose((factor * scales) @ factor.T, np.cov(v.T, bias=True), atol=1e-6)
    factor, scales = factor_of_covariance(v, correlation=True)
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(np.corrcoef(v.T))
    np.testing.assert_allclose((factor * scales) @ factor.T, expected, atol=1e-5)


def test_memory_does_not_grow_as_the_square():
    rng = np.random.default_rng(7)
    n = 6000
    factor = rng.normal(size=(n, 20)).astype(np.float32) * (rng.random((n, 20)) < 0.05)
    region = rng.integers(0, 5, n)
    region_connectivity(factor[:50], np.ones(20), region[:50])  # compile
    tracemalloc.start()
    region_connectivity(factor, np.ones(20), region)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n**2 * 4 / 20


def test_labels_as_vector_or_matrix():
    region = np.array([1, -1, 0, 2])
    member = region[:, None] == np.arange(3)
    for form in (region, region.astype(float), member, scipy.sparse.csr_array(member)):
        found, n_regions = region_given_neuron(form)
        np.testing.assert_array_equal(found, region)
        assert n_regions == 3
    with pytest.raises(ValueError, match="neuron 1 into several regions"):
        region_given_neuron([[0, 1], [1, 1]])
    for bad in ([0.5, 1], [-2, 0], [0, np.nan]):
        with pytest.raises(ValueError, match="labels holds other numbers than regions"):
            region_given_neuron(bad)
    with pytest.raises(ValueError, match=r"labels has shape \(0,\)"):
        region_given_neuron([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0] * 5}, r"labels is for 5 neurons: give \(N, K\), \(K,\) and N"),
        ({"mean_variance": np.ones(2)}, r"mean_variance \(2,\)"),
        ({"weights": np.full((6, 3), np.nan)}, "weights or mean_variance holds NaN"),
        ({"n_regions": 1}, "n_regions is 1: give at least 2"),
        ({"min_neurons": 1}, "min_neurons is 1"),
        ({"diagonal": "all"}, "diagonal is 'all'"),
    ],
)
def test_bad_arguments_are_named(change, message):
    good = {"weights": np.ones((6, 3)), "mean_variance": np.ones(3), "labels": [0, 0, 0, 1, 1, 1]}
    with pytest.raises(ValueError, match=message):
        region_connectivity(**(good | change))


def test_sparse_weights_and_wrong_variances():
    rng = np.random.default_rng(8)
    weights = rng.normal(size=(20, 3)) * (rng.random((20, 3)) < 0.3)
    region = np.arange(20) % 2
    dense = region_connectivity(weights, np.ones(3), region).values
    sparse = region_connectivity(scipy.sparse.csc_array(weights), np.ones(3), region).values
    np.testing.assert_array_equal(sparse, dense)
    for variance in (np.ones(M + 1), np.full(M, np.nan)):
        with pytest.raises(ValueError, match="mean conditional variances"):
            effective_connectivity(machine(), variance, [0])


def test_rule_of_the_weights_spread():
    base = machine(scale=1.0).weights_
    models = []
    for spread in (0.009, 0.011, 0.099, 0.101):
        weights = base * spread / base.std()
        models.append(CRBM.from_parameters(weights, [0] * N, *[[1] * M] * 2, *[[0] * M] * 2))
    assert kept_by_weight_spread(models) == (models[1], models[2])
    assert kept_by_weight_spread(models, high=0.2) == tuple(models[1:])
    with pytest.raises(ValueError, match="give a low below the high"):
        kept_by_weight_spread(models, high=0.01)
    with pytest.raises(ValueError, match="not fitted"):
        kept_by_weight_spread([CRBM()])
    with pytest.raises(ValueError, match="not fitted"):
        factor_of_models([CRBM()], frames())
    with pytest.raises(ValueError, match="models is empty"):
        factor_of_models([], frames())
