"""The Ising model on 12 spins: pseudo-likelihood and Gibbs sampling against enumeration."""

import itertools

import numpy as np
import pytest
from numba import config, get_num_threads, set_num_threads

from crbm_lite.baselines.glm import fit_glm
from crbm_lite.baselines.graphical_lasso import graphical_lasso_couplings, sweep_alpha
from crbm_lite.baselines.ising import Ising, fit_ising, sweep_ising_l2, symmetrised
from crbm_lite.validation.comparison import compare_moments
from crbm_lite.validation.frame_likelihood import log_likelihood
from crbm_lite.validation.likelihood import left_out_nllh

N = 12


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    couplings = np.triu(rng.normal(0, 0.8, size=(N, N)) * (rng.random((N, N)) < 0.5), 1)
    return Ising(rng.normal(-1.0, 0.5, size=N), couplings + couplings.T)


@pytest.fixture(scope="module")
def frames(truth):
    return truth.sample(np.zeros((400, N)), 50, n_steps=3, random_state=1)


def test_enumeration_is_the_definition(truth):
    states, log_p = truth.enumerate_states()
    assert len(np.unique(states, axis=0)) == 2**N
    for s in (0, 1, 77, 4095):
        v = states[s].astype(float)
        energy = -sum(truth.fields[i] * v[i] for i in range(N)) - sum(
            truth.couplings[i, j] * v[i] * v[j] for i, j in itertools.combinations(range(N), 2)
        )
        np.testing.assert_allclose(log_p[s] - log_p[0], -energy, atol=1e-12)
    np.testing.assert_allclose(np.exp(log_p).sum(), 1.0)


def test_conditionals_are_ratios_of_the_exact_probabilities(truth):
    states, log_p = truth.enumerate_states()
    given = truth.mean_v_given_others(states)
    for s, i in ((5, 0), (999, 4), (4095, 11)):
        on, off = s | (1 << i), s & ~(1 << i)
        expected = 1 / (1 + np.exp(log_p[off] - log_p[on]))
        np.testing.assert_allclose(given[s, i], expected, atol=1e-12)


def test_pseudo_likelihood_is_exact_on_the_exact_distribution(truth):
    states, log_p = truth.enumerate_states()
    fitted = fit_ising(states, l2=1e-3, frame_weights=1e6 * np.exp(log_p))
    np.testing.assert_allclose(fitted.couplings, truth.couplings, atol=1e-4)
    np.testing.assert_allclose(fitted.fields, truth.fields, atol=1e-4)


def test_gibbs_samples_have_the_exact_moments(truth, frames):
    states, log_p = truth.enumerate_states()
    p = np.exp(log_p)
    second = states.T @ (p[:, None] * states)
    error = np.abs(frames.T.astype(float) @ frames / len(frames) - second)
    assert error.max() < 0.015  # about five standard errors of 20,000 frames
    assert np.diag(second).min() > 0.02


def test_one_sweep_leaves_the_exact_distribution_as_it_is(truth):
    states, log_p = truth.enumerate_states()
    start = states[np.random.default_rng(2).choice(len(states), 200_000, p=np.exp(log_p))]
    after = truth.sample(start, 1, n_steps=1, burn_in=0, random_state=3)
    counts = np.bincount(after @ (1 << np.arange(N)), minlength=2**N)
    expected = 200_000 * np.exp(log_p)
    often = expected > 20
    chi2 = ((counts[often] - expected[often]) ** 2 / expected[often]).sum()
    assert (after != start).any(axis=1).mean() > 0.5
    assert abs(chi2 - often.sum()) < 5 * np.sqrt(2 * often.sum())


def test_the_fit_of_samples_gets_the_moment_table(truth, frames):
    train, test = frames[:10_000], frames[10_000:]
    fitted = fit_ising(train, l2=1.0)
    generated = fitted.sample(train[:300], 50, random_state=4)
    scores = compare_moments(test, train, generated, random_state=0)
    assert scores.v.nrmse < 0.1
    assert scores.vv.nrmse < 0.15
    assert scores.vv.pearson_r > 0.98
    assert scores.h is None
    found, true = (left_out_nllh(model, test).nllh for model in (fitted, truth))
    np.testing.assert_allclose(found, true, atol=0.02)


def test_both_estimates_of_a_coupling_are_averaged(frames):
    glm, ising = (fit(frames[:2000], 5.0) for fit in (fit_glm, fit_ising))
    assert np.abs(glm.weights - glm.weights.T).max() > 0.01
    np.testing.assert_allclose(ising.couplings, (glm.weights + glm.weights.T) / 2)
    np.testing.assert_allclose(ising.fields, glm.intercepts)


def test_the_same_seed_gives_the_same_frames_for_any_number_of_threads(truth):
    start = np.zeros((5, N))
    threads = get_num_threads()
    try:
        set_num_threads(config.NUMBA_NUM_THREADS)
        first = truth.sample(start, 4, random_state=7)
        set_num_threads(1)
        again = truth.sample(start, 4, random_state=7)
    finally:
        set_num_threads(threads)
    other = truth.sample(start, 4, random_state=8)
    assert (first == again).all()
    assert (first != other).any()
    assert not start.any()


def test_saves_continue_the_chains(truth):
    start = np.zeros((5, N))
    saved = truth.sample(start, 6, n_steps=2, burn_in=0, random_state=7).reshape(6, 5, N)
    last = truth.sample(start, 1, n_steps=2, burn_in=5, random_state=7)
    assert (saved[5] == last).all()


def test_graphical_lasso_finds_the_chain_and_not_its_ends():
    rng = np.random.default_rng(0)
    v = np.empty((6000, 5), dtype=bool)
    v[:, 0] = rng.random(6000) < 0.5
    for i in range(1, 5):
        v[:, i] = v[:, i - 1] ^ (rng.random(6000) < 0.15)
    couplings = graphical_lasso_couplings(v, alpha=0.05)
    neighbours = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) == 1
    assert couplings[neighbours].min() > 0.3
    assert np.abs(couplings[~neighbours]).max() < 0.05
    partial = -np.linalg.inv(np.corrcoef(v.T))
    scale = np.sqrt(-np.diag(partial))
    unpenalised = graphical_lasso_couplings(v, alpha=1e-6)
    expected = partial / np.outer(scale, scale) * (1 - np.eye(5))
    np.testing.assert_allclose(unpenalised, expected, atol=1e-3)


def test_the_sweep_is_the_pseudo_likelihood_of_averaged_couplings_on_every_block(frames):
    v, l2 = frames[:600], (300.0, 1.0, 1e5)
    sweep = sweep_ising_l2(v, l2, n_folds=3)
    for fold in range(3):
        held_out = np.arange(200 * fold, 200 * (fold + 1))
        for s, value in enumerate(l2):
            ising = fit_ising(np.delete(v, held_out, axis=0), value)
            p = np.clip(ising.mean_v_given_others(v[held_out]), 1e-7, 1 - 1e-7)
            by_hand = np.log(np.where(v[held_out], p, 1 - p)).sum(axis=1).mean()
            np.testing.assert_allclose(sweep.scores[fold, s], by_hand, atol=2e-3)
    assert sweep.best == 1.0


def test_alpha_is_chosen_by_the_gaussian_likelihood_of_held_out_blocks(frames):
    v = frames[:150, :6].astype(float)
    alpha = (0.001, 0.2)
    sweep = sweep_alpha(v, alpha, n_folds=3)
    held_out = np.arange(50, 100)
    fitted = np.delete(v, held_out, axis=0)
    mean, sd = fitted.mean(axis=0), fitted.std(axis=0)
    from scipy.stats import multivariate_normal
    from sklearn.covariance import graphical_lasso

    covariance, _ = graphical_lasso(np.corrcoef(fitted.T), alpha=0.2)
    y = (v[held_out] - mean) / sd
    log_p = multivariate_normal(np.zeros(6), covariance).logpdf(y).mean()
    np.testing.assert_allclose(sweep.scores[1, 1] - 3 * np.log(2 * np.pi), log_p, atol=1e-3)


def test_fields_and_couplings_may_be_lists(truth):
    lists = Ising(truth.fields.tolist(), truth.couplings.tolist())
    assert lists.n_neurons == N
    start = np.zeros((3, N))
    np.testing.assert_array_equal(
        lists.sample(start, 5, random_state=0), truth.sample(start, 5, random_state=0)
    )


@pytest.mark.parametrize(
    ("fields", "couplings", "message"),
    [
        ([np.nan, 0.0], np.zeros((2, 2)), "fields holds NaN or infinity"),
        ([np.inf, 0.0], np.zeros((2, 2)), "fields holds NaN or infinity"),
        ([0.0, 0.0], [[0.0, np.nan], [np.nan, 0.0]], "couplings holds NaN or infinity"),
        ([[0.0], [0.0]], np.zeros((2, 2)), r"fields has shape \(2, 1\): give \(N,\)"),
        (["a", "b"], np.zeros((2, 2)), "fields has dtype"),
        ([], np.zeros((0, 0)), r"fields has shape \(0,\)"),
        ([0.0, 0.0], 1.0, r"couplings has shape \(\): give \(2, 2\)"),
    ],
)
def test_parameters_that_make_no_model(fields, couplings, message):
    with pytest.raises(ValueError, match=message):
        Ising(fields, couplings)


def test_frames_of_other_neurons_are_named(truth):
    with pytest.raises(ValueError, match="12 features"):
        log_likelihood(truth, np.zeros((4, 5)))


def test_bad_input_is_named(truth, frames):
    silent = frames.copy()
    silent[:, 3] = 0
    for fit in (fit_ising, graphical_lasso_couplings):
        with pytest.raises(ValueError, match=r"never change, such as \[3\]"):
            fit(silent)
    with pytest.raises(ValueError, match="predicts 2 of 12 neurons"):
        symmetrised(fit_glm(frames[:500], 10.0, neurons=[0, 1]))
    with pytest.raises(ValueError, match="couplings is not symmetric"):
        Ising(np.zeros(2), np.array([[0.0, 1.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"couplings has shape \(3, 3\): give \(2, 2\)"):
        Ising(np.zeros(2), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="21 neurons"):
        Ising(np.zeros(21), np.zeros((21, 21))).enumerate_states()
    with pytest.raises(ValueError, match="n_saved is 0: give an integer"):
        truth.sample(frames[:2], 0)
    with pytest.raises(ValueError, match="12 features"):
        truth.sample(np.zeros((2, 3)))
