"""Moments, scores, nLLH and validation against brute force, enumeration and real permutations."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import scipy.sparse

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.validation import moments
from crbm_lite.validation import report as report_module
from crbm_lite.validation.comparison import MomentScores, compare_moments, l1_variance_term
from crbm_lite.validation.likelihood import left_out_nllh, nllh, nllh_given_probabilities
from crbm_lite.validation.moments import sample_moments
from crbm_lite.validation.nrmse import StatisticScore, score_covariances_vv, score_entries
from crbm_lite.validation.report import generated_frames, validate

FIVE = ("v", "h", "vh", "vv", "hh")


def correlated_spikes(n_frames: int, n_neurons: int, seed: int) -> np.ndarray:
    """Two-state activity; neuron 0 is silent and neuron 1 always active."""
    rng = np.random.default_rng(seed)
    state = rng.random((n_frames, 1)) < 0.3
    gain = np.linspace(0.1, 0.8, n_neurons)
    v = (rng.random((n_frames, n_neurons)) < np.where(state, gain, 0.1)).astype(np.uint8)
    v[:, 0] = 0
    v[:, 1] = 1
    return v


def hidden_means(v: np.ndarray) -> np.ndarray:
    """Three hidden means, a smooth map made without BLAS: the same bits in any chunk."""
    v = v.astype(float)
    mix = np.array([0.7, -1.3, 0.4])
    return np.tanh(v.sum(axis=1, keepdims=True) * mix - 1.0) + v[:, 2:3] * np.array([1.0, 0.0, 2.0])


class PlainCRBM:
    """A cRBM in a few lines of numpy, with the methods of a model that validation calls."""

    def __init__(self, weights, fields, potential: DReLU, l1: float):
        self.weights_, self.fields_, self.potential, self.l1 = weights, fields, potential, l1
        self.gamma_plus_, self.gamma_minus_, self.theta_plus_, self.theta_minus_ = (
            potential.parameters
        )

    @property
    def units(self):
        return self.potential

    def hidden_input(self, v):
        return np.asarray(v, dtype=float) @ self.weights_

    def mean_h_given_v(self, v):
        return self.potential.mean(self.hidden_input(v))

    def mean_v_given_h(self, h):
        return 1.0 / (1.0 + np.exp(-(h @ self.weights_.T + self.fields_)))

    def sample(self, n_samples, *, n_chains, n_steps, burn_in, start, random_state):
        rng = np.random.default_rng(random_state)
        v, saved = start, []
        for save in range(burn_in + n_samples // n_chains):
            for _ in range(n_steps):
                h = self.potential.sample(self.hidden_input(v), rng)
                v = (rng.random(v.shape) < self.mean_v_given_h(h)).astype(np.uint8)
            if save >= burn_in:
                saved.append(v)
        return np.concatenate(saved)


def small_model(seed: int = 9, n_neurons: int = 6, n_hidden: int = 3, l1: float = 0.0) -> PlainCRBM:
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1.0, 1.0], (n_neurons, n_hidden)) * rng.uniform(0.8, 1.6, n_hidden)
    weights[::3] = 0.0
    fields = rng.normal(-0.7, 0.4, n_neurons)
    potential = DReLU(
        gamma_plus=rng.uniform(0.7, 1.5, n_hidden),
        gamma_minus=rng.uniform(0.7, 1.5, n_hidden),
        theta_plus=rng.uniform(-1.0, 0.5, n_hidden),
        theta_minus=rng.uniform(-0.5, 1.0, n_hidden),
    )
    return PlainCRBM(weights, fields, potential, l1)


def enumerate_states(model: PlainCRBM) -> tuple[np.ndarray, np.ndarray]:
    """Every v (2^N, N) and its probability, from the cumulant and not from the model's methods."""
    n_neurons = len(model.fields_)
    v = np.array(list(itertools.product((0, 1), repeat=n_neurons)), dtype=np.uint8)
    potential = DReLU(model.gamma_plus_, model.gamma_minus_, model.theta_plus_, model.theta_minus_)
    weights = np.asarray(model.weights_, dtype=float)
    log_p = v @ np.asarray(model.fields_, float) + potential.cumulant(v @ weights).sum(axis=1)
    p = np.exp(log_p - log_p.max())
    return v, p / p.sum()


# ---------------------------------------------------------------- moments


@pytest.mark.parametrize("n_frames", [1, 63, 64, 65, 200])
def test_moments_equal_brute_force(n_frames):
    v = correlated_spikes(n_frames, 7, seed=0)
    h = hidden_means(v)
    result = sample_moments(v, hidden_means)
    assert result.n_frames == n_frames
    np.testing.assert_array_equal(result.mean_v, v.mean(axis=0))
    np.testing.assert_allclose(result.mean_h, h.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(result.mean_vh, v.T.astype(float) @ h / n_frames, atol=1e-14)
    np.testing.assert_allclose(result.covariance_hh, np.cov(h.T, bias=True), atol=1e-14)
    brute = np.cov(v.T, bias=True)
    np.testing.assert_allclose(result.covariance_tile(slice(0, 7), slice(0, 7)), brute, atol=1e-16)
    np.testing.assert_allclose(
        result.covariance_tile(slice(2, 5), slice(4, 7)), brute[2:5, 4:7], atol=1e-16
    )
    first, second = np.triu_indices(7, 1)
    np.testing.assert_allclose(
        result.covariance_of_pairs(first, second), brute[first, second], atol=1e-16
    )


@dataclasses.dataclass
class HasSpikes:
    spikes: np.ndarray


@pytest.mark.parametrize(
    "wrap",
    [
        scipy.sparse.csr_array,
        scipy.sparse.coo_matrix,
        lambda v: v.astype(bool),
        lambda v: v.astype(float),
        lambda v: v[:, ::-1].copy()[:, ::-1],
        lambda v: v.tolist(),
        HasSpikes,
        as_spikes,
    ],
)
def test_every_form_of_input_gives_the_same_bits(wrap):
    v = correlated_spikes(150, 7, seed=1)
    reference, result = sample_moments(v, hidden_means), sample_moments(wrap(v), hidden_means)
    for field in dataclasses.fields(reference):
        np.testing.assert_array_equal(getattr(result, field.name), getattr(reference, field.name))


def test_frames_that_arrive_in_pieces_give_the_same_moments():
    v = correlated_spikes(150, 7, seed=1)
    reference = sample_moments(v, hidden_means)
    result = sample_moments(iter([v[:5], v[5:70].astype(bool), v[70:]]), hidden_means)
    everything = slice(0, 7)
    np.testing.assert_array_equal(
        result.covariance_tile(everything, everything),
        reference.covariance_tile(everything, everything),
    )
    np.testing.assert_array_equal(result.mean_v, reference.mean_v)
    np.testing.assert_allclose(result.mean_vh, reference.mean_vh, rtol=1e-13)
    np.testing.assert_allclose(result.covariance_hh, reference.covariance_hh, rtol=1e-12)


def test_large_inputs_are_taken_in_chunks(monkeypatch):
    v = correlated_spikes(300, 7, seed=1)
    reference = sample_moments(v, hidden_means)
    seen = []
    monkeypatch.setattr(moments, "_CHUNK_BYTES", 7 * 64)

    def watched(chunk):
        seen.append(len(chunk))
        return hidden_means(chunk)

    result = sample_moments(v, watched)
    assert seen == [64, 64, 64, 64, 44]
    np.testing.assert_array_equal(result.words, reference.words)
    np.testing.assert_allclose(result.covariance_hh, reference.covariance_hh, rtol=1e-12)


def test_hidden_covariance_does_not_cancel_at_a_large_mean():
    v = correlated_spikes(500, 7, seed=2)
    far = sample_moments(v, lambda v: 1e7 + hidden_means(v))
    near = sample_moments(v, hidden_means)
    np.testing.assert_allclose(far.covariance_hh, near.covariance_hh, atol=1e-8)


def test_moments_do_not_change_the_input():
    v = correlated_spikes(100, 7, seed=2)
    v.flags.writeable = False
    kept = v.copy()
    sample_moments(v, hidden_means)
    np.testing.assert_array_equal(v, kept)


@pytest.mark.parametrize(
    ("source", "mean_h", "message"),
    [
        (np.array([[0, 2]], dtype=np.uint8), None, "spam"),
        (np.array([[0.0, np.nan]]), None, "spam"),
        (np.zeros((0, 3), dtype=np.uint8), None, "spam"),
        (iter([]), None, "spam holds no frames"),
        (iter([np.eye(3), np.eye(4)]), None, "4 neurons, the first has 3"),
        (iter([np.full((2, 3), 7, np.uint8)]), None, "spam"),
        (np.eye(3), lambda v: np.zeros((2, 1)), "mean_h returned shape"),
        (np.eye(3), lambda v: np.full((3, 1), np.nan), "mean_h returned shape"),
    ],
)
def test_bad_sources_are_named(source, mean_h, message):
    with pytest.raises(ValueError, match=message):
        sample_moments(source, mean_h, name="spam")


# ---------------------------------------------------------------- scores


def rms(a: np.ndarray) -> float:
    return float(np.sqrt(np.mean(a**2)))


def brute_force_score(x, y, z):
    shuffled = np.sqrt(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    optimal = rms(x - z)
    return {
        "rmse": rms(x - y),
        "rmse_optimal": optimal,
        "rmse_shuffled": shuffled,
        "nrmse": 1 - (rms(x - y) - shuffled) / (optimal - shuffled),
        "pearson_r": np.corrcoef(x, y)[0, 1],
        "pearson_r_optimal": np.corrcoef(x, z)[0, 1],
        "n_entries": x.size,
    }


def assert_score(score, expected, rtol=1e-12):
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(score, name), value, rtol=rtol, err_msg=name)


def three_sources(n: int, seed: int = 0, offset: float = 0.0):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2.0, size=n)
    return tuple(offset + truth + s * rng.normal(size=n) for s in (0.1, 0.5, 0.15))


def test_score_equals_brute_force():
    x, y, z = three_sources(5000)
    score = score_entries(x, y, z, np.random.default_rng(0))
    assert_score(score, brute_force_score(x, y, z))


def test_score_is_accurate_far_from_zero():
    x, y, z = three_sources(300_000, offset=1e6)
    score = score_entries(x, y, z, np.random.default_rng(0))
    exact = brute_force_score(x - 1e6, y - 1e6, z - 1e6)
    assert_score(score, exact, rtol=1e-9)


def test_shuffled_is_the_exact_average_over_all_permutations():
    x, y, z = three_sources(6, seed=4)
    squares = [np.mean((x - y[list(p)]) ** 2) for p in itertools.permutations(range(6))]
    score = score_entries(x, y, z, np.random.default_rng(0))
    np.testing.assert_allclose(score.rmse_shuffled, np.sqrt(np.mean(squares)), rtol=1e-12)


def test_a_single_permutation_of_many_entries_agrees_with_the_average():
    x, y, z = three_sources(200_000, seed=5)
    score = score_entries(x, y, z, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    shuffles = [rms(x - rng.permutation(y)) for _ in range(5)]
    np.testing.assert_allclose(shuffles, score.rmse_shuffled, rtol=0.01)


def test_nrmse_is_zero_at_train_and_one_without_structure():
    x, _, z = three_sources(1000)
    rng = np.random.default_rng(0)
    assert score_entries(x, z, z, rng).nrmse == pytest.approx(0.0, abs=1e-12)
    flat = np.full_like(x, 0.3)
    score = score_entries(x, flat, z, rng)
    assert score.nrmse == pytest.approx(1.0, abs=1e-12)
    assert math.isnan(score.pearson_r)
    assert score_entries(x, x, z, rng).nrmse < 0


def test_scores_of_nothing_and_of_constants_are_nan_without_warnings():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = score_entries(np.empty(0), np.empty(0), np.empty(0), rng)
        constant = score_entries(np.ones(4), np.ones(4), np.ones(4), rng)
    assert nothing.n_entries == 0
    assert math.isnan(nothing.rmse)
    assert math.isnan(nothing.nrmse)
    assert constant.rmse == 0.0
    assert math.isnan(constant.nrmse)


def test_entries_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="give three lists of one length"):
        score_entries(np.ones(3), np.ones(3), np.ones(4), np.random.default_rng(0))


def test_density_counts_every_entry_and_samples_without_replacement():
    x, y, z = three_sources(30_000, seed=6)
    density = score_entries(x, y, z, np.random.default_rng(0), n_scatter=500).density
    assert len(density.data) == 500
    assert set(zip(density.data, density.model)) <= set(zip(x, y))
    assert len(set(density.data)) == 500
    assert density.counts.sum() + density.n_outside == 30_000
    brute = np.histogram2d(x, y, bins=[density.edges, density.edges])[0]
    np.testing.assert_array_equal(density.counts, brute)


@pytest.mark.parametrize("tile_size", [1, 3, 16, 256])
def test_pair_score_equals_brute_force_for_any_tile(tile_size):
    sources = [correlated_spikes(n, 21, seed) for seed, n in enumerate((130, 70, 400))]
    test, train, generated = (sample_moments(v) for v in sources)
    rng = np.random.default_rng(0)
    score = score_covariances_vv(test, train, generated, rng, tile_size=tile_size)
    upper = np.triu_indices(21, 1)
    x, z, y = (np.cov(v.T, bias=True)[upper] for v in sources)
    assert_score(score, brute_force_score(x, y, z))
    np.testing.assert_allclose(score.density.data, x, atol=1e-16)
    np.testing.assert_allclose(score.density.model, y, atol=1e-16)
    assert score.density.counts.sum() == 210


def test_pair_score_gives_the_same_bits_for_any_number_of_threads():
    test, train, generated = (sample_moments(correlated_spikes(200, 40, s)) for s in range(3))
    results, n_threads = [], numba.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS
    try:
        for n in sorted({1, min(2, most), most}):
            numba.set_num_threads(n)
            score = score_covariances_vv(
                test, train, generated, np.random.default_rng(0), tile_size=8
            )
            results.append((dataclasses.astuple(score)[:7], score.density.counts.tolist()))
    finally:
        numba.set_num_threads(n_threads)
    assert all(result == results[0] for result in results)


def test_scatter_of_many_pairs_is_a_random_subsample():
    v = correlated_spikes(300, 40, 0)
    m = sample_moments(v)
    density = score_covariances_vv(m, m, m, np.random.default_rng(0), n_scatter=300).density
    upper = np.triu_indices(40, 1)
    covariances = np.cov(v.T, bias=True)[upper]
    assert len(density.data) == 300
    nearest = np.abs(density.data[:, None] - covariances[None]).min(axis=1)
    assert nearest.max() < 1e-15
    assert abs(density.data.mean() - covariances.mean()) < 4 * covariances.std() / np.sqrt(300)
    assert density.counts.sum() + density.n_outside == 780


# ---------------------------------------------------------------- the five statistics


def test_five_statistics_equal_brute_force():
    sources = [correlated_spikes(n, 9, seed) for seed, n in enumerate((130, 90, 400))]
    scores = compare_moments(*sources, mean_h=hidden_means, random_state=0)
    h = [hidden_means(v) for v in sources]
    upper_v, upper_h = np.triu_indices(9, 1), np.triu_indices(3, 1)
    expected = {
        "v": [v.mean(axis=0) for v in sources],
        "h": [a.mean(axis=0) for a in h],
        "vh": [(v.T.astype(float) @ a / len(v)).ravel() for v, a in zip(sources, h)],
        "vv": [np.cov(v.T, bias=True)[upper_v] for v in sources],
        "hh": [np.cov(a.T, bias=True)[upper_h] for a in h],
    }
    for name, (x, z, y) in expected.items():
        assert_score(getattr(scores, name), brute_force_score(x, y, z))
    assert scores.vh_all_pairs is None
    assert scores.vh_full_condition is None


def test_correction_of_vh_follows_the_l1_condition():
    sources = [correlated_spikes(n, 9, seed) for seed, n in enumerate((130, 90, 400))]
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(9, 3)) * (rng.random((9, 3)) < 0.5)
    term = 0.01 * rng.normal(size=(9, 3))
    l1 = 0.05
    scores = compare_moments(
        *sources, mean_h=hidden_means, weights=weights, l1=l1, variance_term=term, random_state=0
    )
    x, z, y = (v.T.astype(float) @ hidden_means(v) / len(v) for v in sources)
    linked = weights != 0
    lifted = y + l1 * np.sign(weights)
    assert scores.vh.n_entries == linked.sum() < 27
    assert_score(scores.vh, brute_force_score(x[linked], lifted[linked], z[linked]))
    full = (lifted + term)[linked]
    assert_score(scores.vh_full_condition, brute_force_score(x[linked], full, z[linked]))
    gap = x - y
    excess = np.sign(gap) * np.maximum(np.abs(gap) - l1, 0.0)
    assert (excess[~linked] == 0).any()
    assert (excess[~linked] != 0).any()
    error = np.where(linked, x - lifted, excess)
    assert scores.vh_all_pairs.n_entries == 27
    assert scores.vh_all_pairs.rmse == pytest.approx(rms(error), rel=1e-12)
    assert scores.vh_all_pairs.rmse_optimal == pytest.approx(rms(x - z), rel=1e-12)


def test_moments_made_once_can_be_compared_again():
    sources = [correlated_spikes(n, 9, seed) for seed, n in enumerate((130, 90, 400))]
    made = [sample_moments(v, hidden_means) for v in sources]
    again = compare_moments(*made, random_state=0)
    direct = compare_moments(*sources, mean_h=hidden_means, random_state=0)
    assert again.table() == direct.table()


def test_a_scale_without_length_is_named_in_the_table():
    rng = np.random.default_rng(1)
    shared = rng.random((3, 4000, 1)) < 0.3
    rates = np.linspace(0.1, 0.4, 12) * np.where(shared, 2.0, 0.5)
    scores = compare_moments(*((rng.random((4000, 12)) < rates[k]).astype(int) for k in range(3)))
    assert "without a scale" not in scores.table()
    inverted = replace(scores.vv, rmse_shuffled=0.9 * scores.vv.rmse_optimal)
    table = replace(scores, vv=inverted).table()
    (line,) = (line for line in table.splitlines() if "without a scale" in line)
    assert line.endswith("training data are: cov(v_i, v_j)")


def a_score(nrmse, optimal=1.0, shuffled=2.0, n=1000):
    rmse = shuffled - (1 - nrmse) * (shuffled - optimal)
    return StatisticScore(rmse, optimal, shuffled, nrmse, 0.9, 0.9, n, density=None)


def test_the_score_is_the_smallest_of_the_five_that_have_a_scale():
    five = dict(zip(FIVE, map(a_score, (0.1, 0.2, 0.7, -0.3, 0.4))))
    extra = {"vh_all_pairs": a_score(0.9), "vh_full_condition": a_score(0.95)}
    assert MomentScores(**five, **extra).score == pytest.approx(0.3)
    assert MomentScores(v=five["v"], vv=five["vv"]).score == pytest.approx(0.9)
    for nrmse in (-25.8, 2.0):  # next to 0/0: says nothing, for better or worse
        no_scale = a_score(nrmse, optimal=1.0, shuffled=1.01)
        assert MomentScores(**(five | {"vh": no_scale})).score == pytest.approx(0.6)
    assert MomentScores(**(five | {"vh": a_score(math.nan)})).score == -math.inf
    assert MomentScores(v=no_scale, vv=no_scale).score == -math.inf


@pytest.mark.parametrize(
    ("optimal", "shuffled", "n", "clear"),
    [
        (1.0, 1.05, 10_000, True),  # 7 standard errors of log RMSE
        (1.0, 1.03, 10_000, False),  # 4
        (1.0, 4.0, 10, True),  # 6
        (1.0, 2.0, 10, False),  # 3
        (0.0, 0.1, 10, True),
        (0.0, 0.0, 10, False),
        (1.2, 1.0, 10_000, False),
    ],
)
def test_a_scale_is_five_standard_errors_long(optimal, shuffled, n, clear):
    assert a_score(0.5, optimal, shuffled, n).has_scale is clear


def test_models_without_hidden_units_have_two_statistics():
    v = correlated_spikes(100, 5, 0)
    scores = compare_moments(v, v, v)
    assert scores.h is scores.vh is scores.hh is None
    assert len(scores.table().splitlines()) == 5  # the last one: no sampling error is known


def test_degenerate_sizes_are_nan_not_errors():
    v = np.array([[1], [0], [1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compare_moments(
            v, v, v, mean_h=lambda v: v.astype(float), weights=np.zeros((1, 1)), l1=0.1
        )
    assert scores.vv.n_entries == scores.hh.n_entries == scores.vh.n_entries == 0
    assert math.isnan(scores.vv.rmse)
    assert "nan" in scores.table()


def test_sources_of_other_sizes_are_refused():
    v = correlated_spikes(50, 5, 0)
    with pytest.raises(ValueError, match="train has 4 neurons"):
        compare_moments(v, v[:, :4], v)
    with pytest.raises(ValueError, match=r"weights has shape \(3, 5\): give \(N, M\), \(5, 3\)"):
        compare_moments(v, v, v, mean_h=hidden_means, weights=np.ones((3, 5)))


def test_variance_term_is_the_derivative_of_the_variance():
    model = small_model(l1=0.1)
    train = correlated_spikes(400, 6, 0)
    potential = DReLU(model.gamma_plus_, model.gamma_minus_, model.theta_plus_, model.theta_minus_)
    weights = np.array(model.weights_, dtype=float)

    def variance(w):
        mean, conditional = potential.mean_and_variance(train @ w)
        return conditional.mean(axis=0) + mean.var(axis=0)

    brute = np.empty_like(weights)
    for i, mu in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[i, mu] = 1e-5
        brute[i, mu] = (variance(weights + step) - variance(weights - step))[mu] / 2e-5
    kappa = 0.5 * 0.1 * np.abs(weights).sum(axis=0)
    np.testing.assert_allclose(l1_variance_term(model, train, 0.1), kappa * brute, atol=2e-7)


# ---------------------------------------------------------------- nLLH


def brute_force_nllh(v, p):
    out = []
    for i in range(v.shape[1]):
        q = np.clip(np.broadcast_to(p, v.shape)[:, i], 1e-7, 1 - 1e-7)
        model = np.mean(np.log(q * v[:, i] + (1 - q) * (1 - v[:, i])))
        m = v[:, i].mean()
        if m in (0.0, 1.0):
            out.append(np.nan)
            continue
        independent = m * np.log(m) + (1 - m) * np.log(1 - m)
        out.append((model - independent) / -independent)
    return np.array(out)


def test_nllh_equals_brute_force():
    v = correlated_spikes(130, 8, 0)
    p = np.random.default_rng(0).random(v.shape)
    p[3] = 0.0
    p[4] = 1.0
    expected = brute_force_nllh(v, p)
    for given in (p, lambda frames: p[frames]):
        for form in (v, scipy.sparse.csr_array(v)):
            score = nllh_given_probabilities(form, given)
            np.testing.assert_allclose(score.nllh, expected, rtol=1e-12)
            assert score.n_left_out == 2
            assert score.median == pytest.approx(np.nanmedian(expected), rel=1e-12)
    constant = nllh_given_probabilities(v, p[0])
    np.testing.assert_allclose(constant.nllh, brute_force_nllh(v, p[0]), rtol=1e-12)


def test_nllh_of_the_mean_is_zero_and_of_the_truth_is_one():
    v = correlated_spikes(500, 8, 0)
    mean = nllh_given_probabilities(v, v.mean(axis=0))
    np.testing.assert_allclose(mean.nllh[2:], 0.0, atol=1e-12)
    perfect = nllh_given_probabilities(v, v.astype(float))
    np.testing.assert_allclose(perfect.nllh[2:], 1.0, atol=1e-6)
    np.testing.assert_allclose(perfect.log_likelihood, math.log(1 - 1e-7))
    assert np.isnan(mean.nllh[:2]).all()


def test_nllh_of_a_model_is_that_of_its_reconstruction(monkeypatch):
    from crbm_lite.core import left_out

    model = small_model()
    v = correlated_spikes(130, 6, 0)
    potential = DReLU(model.gamma_plus_, model.gamma_minus_, model.theta_plus_, model.theta_minus_)
    weights = np.asarray(model.weights_, float)
    h = potential.mean(v @ weights)
    p = 1.0 / (1.0 + np.exp(-(h @ weights.T + np.asarray(model.fields_, float))))
    expected = brute_force_nllh(v, p)
    for n_bytes in (2**26, 8 * 6 * 7):
        monkeypatch.setattr(left_out, "_CHUNK_BYTES", n_bytes)
        np.testing.assert_allclose(nllh(model, v).nllh, expected, atol=1e-5)


def test_nllh_without_any_neuron_left_is_nan():
    score = nllh_given_probabilities(np.zeros((5, 3)), np.full(3, 0.1))
    assert score.n_left_out == 3
    assert math.isnan(score.median)


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (np.ones((3, 4)), "p has shape"),
        (np.full((5, 3), np.nan), "NaN"),
        (np.full((5, 3), -2.0), "not logits"),
        (lambda frames: np.ones((2, 3)), r"p has shape \(2, 3\) for frames 0 to 4"),
    ],
)
def test_bad_probabilities_are_refused(p, message):
    with pytest.raises(ValueError, match=message):
        nllh_given_probabilities(np.eye(5)[:, :3], p)


# ---------------------------------------------------------------- validate


class RecordedModel:
    """Notes how it is asked for samples and returns numbered frames."""

    def __init__(self):
        self.calls = []

    def sample(self, n_samples, *, n_chains, n_steps, burn_in, start, random_state):
        assert isinstance(random_state, np.random.Generator)
        self.calls.append((n_samples, n_chains, n_steps, burn_in, start.copy()))
        return np.full((n_samples, start.shape[1]), len(self.calls) % 2, dtype=np.uint8)


def test_chains_continue_from_save_to_save_after_one_burn_in(monkeypatch):
    model, start = RecordedModel(), np.eye(4, 3, dtype=np.uint8)
    monkeypatch.setattr(report_module, "_SAMPLE_BYTES", 2 * 4 * 3)
    frames = list(generated_frames(model, start, n_saved=5, n_steps=7, burn_in=9, random_state=0))
    assert [len(f) for f in frames] == [8, 8, 4]
    assert [call[:4] for call in model.calls] == [(8, 4, 7, 9), (8, 4, 7, 0), (4, 4, 7, 0)]
    np.testing.assert_array_equal(model.calls[0][4], start)
    np.testing.assert_array_equal(model.calls[1][4], frames[0][-4:])
    np.testing.assert_array_equal(model.calls[2][4], frames[1][-4:])


def test_generated_frames_have_the_exact_moments_of_the_model():
    model = small_model()
    states, p = enumerate_states(model)
    start = states[np.random.default_rng(0).choice(len(p), 300, p=p)]
    frames = generated_frames(model, start, n_saved=60, n_steps=5, burn_in=5, random_state=1)
    result = sample_moments(frames, model.mean_h_given_v)
    assert result.n_frames == 18_000
    mean = p @ states
    covariance = (states * p[:, None]).T @ states - np.outer(mean, mean)
    np.testing.assert_allclose(result.mean_v, mean, atol=5 * 0.5 / np.sqrt(18_000 / 2))
    everything = slice(0, 6)
    np.testing.assert_allclose(
        result.covariance_tile(everything, everything), covariance, atol=5 * 0.25 / np.sqrt(9_000)
    )
    h = model.mean_h_given_v(states)
    np.testing.assert_allclose(result.mean_h, p @ h, atol=5 * h.std() / np.sqrt(9_000))


@pytest.fixture(scope="module")
def truth_and_report():
    """The model itself made the data: training data, test data and samples are equally good."""
    model = small_model(l1=0.0)
    states, p = enumerate_states(model)
    rng = np.random.default_rng(0)
    train, test = (states[rng.choice(len(p), 15_000, p=p)] for _ in range(2))
    return model, train, test, validate(model, train, test, 0, n_steps=5, burn_in=4)


def test_data_drawn_from_the_model_validate_it(truth_and_report):
    _, _, _, report = truth_and_report
    assert report.n_generated == 15_000
    for name in FIVE:
        score = getattr(report, name)
        assert score.rmse < 0.1 * score.rmse_shuffled, name
        assert abs(score.nrmse) < 0.1, name
        if name not in ("h", "hh"):
            assert score.pearson_r > 0.98, name


def test_validate_equals_its_parts(truth_and_report):
    model, train, test, report = truth_and_report
    h = [model.mean_h_given_v(v) for v in (train, test)]
    np.testing.assert_array_equal(report.v.density.data, test.mean(axis=0))
    assert report.v.rmse_optimal == pytest.approx(rms(train.mean(0) - test.mean(0)), rel=1e-12)
    assert report.h.rmse_optimal == pytest.approx(rms(h[0].mean(0) - h[1].mean(0)), rel=1e-6)
    linked = np.asarray(model.weights_) != 0
    assert report.vh.n_entries == linked.sum() == 12
    assert report.vh_all_pairs.n_entries == 18
    assert report.vh_full_condition.rmse == report.vh.rmse
    np.testing.assert_array_equal(report.nllh.nllh, nllh(model, test).nllh)
    np.testing.assert_array_equal(report.left_out.nllh, left_out_nllh(model, test).nllh)


@pytest.mark.parametrize(
    ("times", "given", "n_steps"),
    [
        (None, None, 20),
        ([5.0, np.nan], None, 20),
        ([700.0, 900.0, np.nan], None, 54),  # three times 900 steps, over 50 saves
        ([np.inf], None, 60),
        ([900.0], 7, 7),
    ],
)
def test_chains_run_for_three_times_as_long_as_the_slowest_unit_takes(
    monkeypatch, times, given, n_steps
):
    model = small_model(l1=0.0)
    if times is not None:
        model.certificate_ = SimpleNamespace(mixing_times=np.array(times))
    asked = []

    def watched(*arguments, n_steps, **options):
        asked.append(n_steps)
        return generated_frames(*arguments, n_steps=1, **options)

    monkeypatch.setattr(report_module, "generated_frames", watched)
    v = (np.random.default_rng(0).random((400, model.weights_.shape[0])) < 0.4).astype(np.uint8)
    validate(model, v[:200], v[200:], 0, n_steps=given, burn_in=0)
    assert asked == [n_steps]


def test_the_sampling_error_is_the_spread_over_seeds(truth_and_report):
    model, train, test, _ = truth_and_report
    short = {"n_chains": 40, "n_saved": 10, "n_steps": 1, "burn_in": 1}
    reports = [validate(model, train, test, seed, **short) for seed in range(60)]
    for name in ("v", "vh", "vv"):
        scores = [getattr(report, name) for report in reports]
        spread = np.std([score.nrmse for score in scores], ddof=1)
        estimate = np.mean([score.nrmse_error for score in scores])
        assert 0.6 < estimate / spread < 1.7, name


def test_a_large_sampling_error_is_named_in_the_table(truth_and_report):
    model, train, test, report = truth_and_report
    assert 0 < report.vv.nrmse_error < 0.05
    assert "sampling error" not in report.table()
    few = replace(report, vv=replace(report.vv, nrmse_error=0.06))
    (line,) = (line for line in few.table().splitlines() if "sampling error" in line)
    assert line.endswith("(n_steps, n_saved): cov(v_i, v_j)")
    one = validate(model, train, test, 0, n_chains=1, n_saved=20, n_steps=1, burn_in=0)
    assert math.isnan(one.vv.nrmse_error)
    (line,) = (line for line in one.table().splitlines() if "sampling error" in line)
    assert "is not known" in line and "cov(v_i, v_j)" in line


def test_errors_are_estimated_on_some_of_many_neurons(monkeypatch, truth_and_report):
    model, train, test, _ = truth_and_report
    short = {"n_chains": 20, "n_saved": 5, "n_steps": 1, "burn_in": 0}
    whole = validate(model, train, test, 0, **short)
    monkeypatch.setattr(report_module, "_N_NEURONS", 4)
    some = validate(model, train, test, 0, **short)
    assert some.vv.nrmse == whole.vv.nrmse
    assert some.vv.nrmse_error != whole.vv.nrmse_error
    assert some.h.nrmse_error == whole.h.nrmse_error


def test_same_seed_same_report_and_other_seed_other_samples(truth_and_report):
    model, train, test, _ = truth_and_report
    short = {"n_chains": 20, "n_saved": 5, "n_steps": 2, "burn_in": 1}
    tables = [validate(model, train, test, seed, **short).table() for seed in (0, 0, 1)]
    assert tables[0] == tables[1] != tables[2]


def test_lambda_is_the_models_own_unless_given(truth_and_report):
    _, train, test, _ = truth_and_report
    short = {"n_chains": 20, "n_saved": 5, "n_steps": 2, "burn_in": 1}
    model = small_model(l1=0.03)
    own = validate(model, train, test, 0, **short)
    none = validate(model, train, test, 0, l1=0.0, **short)
    assert own.l1 == 0.03
    assert none.l1 == 0.0
    assert own.vh.rmse != none.vh.rmse
    assert own.vh_full_condition.rmse != own.vh.rmse
    sparse = validate(model, scipy.sparse.csr_array(train), as_spikes(test), 0, **short)
    assert sparse.table() == own.table()


def test_a_model_without_weights_is_reported_not_crashed(truth_and_report):
    _, train, test, _ = truth_and_report
    model = small_model(l1=0.02)
    model.weights_ = np.zeros_like(model.weights_)
    report = validate(model, train, test, 0, n_chains=20, n_saved=5, n_steps=2, burn_in=1)
    assert report.vh.n_entries == 0
    assert report.vh_all_pairs.n_entries == 18
    assert "nan" in report.table()


def test_start_frames_are_training_frames(monkeypatch, truth_and_report):
    model, train, test, _ = truth_and_report
    starts = []

    def watched(model, start, **keywords):
        starts.append(start)
        return generated_frames(model, start, **keywords)

    monkeypatch.setattr(report_module, "generated_frames", watched)
    few = train[:4]
    validate(model, few, test, 0, n_chains=30, n_saved=2, n_steps=1, burn_in=0)
    validate(model, few, test, 0, n_chains=4, n_saved=2, n_steps=1, burn_in=0)
    assert starts[0].shape == (30, 6)
    assert {tuple(row) for row in starts[0]} <= {tuple(row) for row in few}
    assert sorted(map(tuple, starts[1])) == sorted(map(tuple, few))


def test_report_is_frozen_and_its_table_fixed_width(truth_and_report):
    *_, report = truth_and_report
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.v = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.v.rmse = 0.0
    lines = report.table().splitlines()
    assert len({len(line) for line in lines[:9]}) == 1
    for name, line in zip(FIVE, lines[2:]):
        score = getattr(report, name)
        assert f"{score.rmse:.2e}" in line
        assert f"{score.nrmse:.3f}" in line
    assert f"median nLLH {report.left_out.median:.4f} with the neuron left out" in lines[-2]
    assert f"{report.nllh.median:.4f} reconstructed" in lines[-2]
    assert str(report) == report.table()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_chains": 0}, "n_chains is 0"),
        ({"n_saved": -1}, "n_saved is -1"),
        ({"n_steps": 0}, "n_steps is 0"),
        ({"burn_in": -1}, "burn_in is -1"),
        ({"train": np.ones((5, 4))}, "train has 4"),
        ({"test": np.ones((5, 4))}, "test has 4"),
        ({"test": np.full((5, 6), 0.5)}, "test holds 0.5"),
    ],
)
def test_bad_arguments_of_validate_are_named(truth_and_report, change, message):
    model, train, test, _ = truth_and_report
    with pytest.raises(ValueError, match=message):
        validate(model, **({"train": train, "test": test} | change))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_chains": "10"}, "n_chains is '10'"),
        ({"n_saved": 2.5}, "n_saved is 2.5"),
        ({"n_steps": True}, "n_steps is True"),
        ({"burn_in": -1}, "burn_in is -1"),
        ({"l1": -1.0}, "l1 is -1.0"),
        ({"l1": np.nan}, "l1 is nan"),
    ],
)
def test_impossible_options_are_named(wrong, message):
    v = np.eye(6)
    model = CRBM.from_parameters(np.ones((6, 1)), np.zeros(6), [1], [1], [0], [0])
    with pytest.raises(ValueError, match=message):
        validate(model, v, v, random_state=0, **wrong)
