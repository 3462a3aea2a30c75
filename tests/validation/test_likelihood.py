"""Left-out scores against the models' own definitions, and on data whose best model is known."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit

from crbm_lite import CRBM
from crbm_lite.baselines.glm import fit_glm
from crbm_lite.baselines.independent import Independent, fit_independent
from crbm_lite.baselines.ising import Ising, fit_ising
from crbm_lite.baselines.vae import VAE
from crbm_lite.core.partition import all_states
from crbm_lite.recordings.controls import shift_time
from crbm_lite.validation.likelihood import left_out_log_likelihood, left_out_nllh, nllh

N = 12


def brute_force(v, p):
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.log(np.where(v == 1, p, 1 - p)).mean(axis=0)


def draws(model, n_frames, seed):
    """Exact independent frames of an enumerable cRBM."""
    states = all_states(N)
    log_p = -model.free_energy(states)
    p = np.exp(log_p - log_p.max())
    return states[np.random.default_rng(seed).choice(len(p), n_frames, p=p / p.sum())]


@pytest.fixture(scope="module")
def truth():
    """Two assemblies of six neurons that are on or off as a whole, and rarely in between."""
    weights = np.kron(np.eye(2), np.full((6, 1), 1.0))
    return CRBM.from_parameters(weights, np.full(N, -2.75), *np.ones((2, 2)), [0, 0], [2, 2])


@pytest.fixture(scope="module")
def train(truth):
    return draws(truth, 20_000, 0)


@pytest.fixture(scope="module")
def test(truth):
    return draws(truth, 20_000, 1)


def test_crbm_is_scored_by_its_exact_conditionals(truth, test):
    v = test[:300]
    expected = np.empty(v.shape)
    for i in range(N):
        on, off = v.copy(), v.copy()
        on[:, i], off[:, i] = 1, 0
        expected[:, i] = expit(truth.free_energy(off) - truth.free_energy(on))
    found = left_out_log_likelihood(truth, v)
    np.testing.assert_allclose(found, brute_force(v, expected), rtol=1e-9)
    score, mean = left_out_nllh(truth, v), v.mean(axis=0)
    independent = mean * np.log(mean) + (1 - mean) * np.log(1 - mean)
    np.testing.assert_allclose(score.nllh, 1 - found / independent)
    sparse = left_out_nllh(truth, scipy.sparse.csr_array(v))
    np.testing.assert_array_equal(sparse.log_likelihood, found)


def test_glm_ising_and_independent_are_scored_by_their_own_definitions(train, test):
    v = test[:500]
    glm = fit_glm(train[:2000], 1.0)
    for model, p in (
        (glm, expit(v @ glm.weights + glm.intercepts)),
        (Ising(np.full(N, -1.0), np.full((N, N), 0.3) - 0.3 * np.eye(N)),
         expit(0.3 * (v.sum(axis=1, keepdims=True) - v.astype(float)) - 1.0)),
        (Independent(np.linspace(0.1, 0.9, N)), np.linspace(0.1, 0.9, N)),
    ):  # fmt: skip
        np.testing.assert_allclose(left_out_log_likelihood(model, v), brute_force(v, p), rtol=1e-12)


def test_a_model_of_some_neurons_is_scored_on_these_in_their_order(train, test):
    whole, some = (fit_glm(train[:2000], 1.0, neurons=n) for n in (None, [7, 2]))
    np.testing.assert_allclose(
        left_out_log_likelihood(some, test),
        left_out_log_likelihood(whole, test)[[7, 2]],
        atol=1e-6,
    )


def test_a_quadratic_crbm_scores_as_the_ising_model_that_it_is():
    rng = np.random.default_rng(3)
    w, gamma, theta = rng.normal(size=(N, 2)), np.array([1.5, 0.8]), np.array([0.3, -0.2])
    model = CRBM.from_parameters(w, rng.normal(size=N) - 1, gamma, gamma, theta, theta)
    couplings = (w / gamma) @ w.T
    fields = model.fields_ + (w**2 / (2 * gamma) - w * theta / gamma).sum(axis=1)
    couplings = (couplings + couplings.T) / 2 * (1 - np.eye(N))
    v = draws(model, 400, 4)
    np.testing.assert_allclose(
        left_out_log_likelihood(model, v), left_out_log_likelihood(Ising(fields, couplings), v)
    )


def test_the_left_out_score_knows_the_true_model(truth, train, test):
    """Truth, then the best pairwise model, then none; no rescaled truth is better."""
    ising = fit_ising(train, 1.0)
    independent = fit_independent(train)

    def scaled(factor):
        parts = [factor * truth.weights_, truth.fields_, *truth.units.parameters]
        return CRBM.from_parameters(*parts)

    total = {
        name: left_out_log_likelihood(model, test).sum()
        for name, model in {
            "truth": truth, "ising": ising, "independent": independent,
            "weaker": scaled(0.85), "stronger": scaled(1.15),
        }.items()
    }  # fmt: skip
    assert total["truth"] > total["ising"] + 0.02 > total["independent"] + 1.0
    assert total["truth"] > max(total["weaker"], total["stronger"]) + 0.1


def test_units_that_copy_one_neuron_each_raise_the_reconstruction_alone(truth, test):
    """Their weights w and fields -w^2/2 leave P(v) as it is."""
    w, ones, zeros = 4.0, np.ones(N), np.zeros(N)
    copies = (ones, ones, zeros, zeros)
    model = CRBM.from_parameters(
        np.hstack([truth.weights_, w * np.eye(N)]),
        truth.fields_ - w**2 / 2,
        *(np.concatenate(pair) for pair in zip(truth.units.parameters, copies)),
    )
    assert nllh(model, test).median > nllh(truth, test).median + 0.1
    found, expected = (left_out_log_likelihood(m, test) for m in (model, truth))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_others_of_another_time_tell_nothing(truth, test):
    long_ago = shift_time(test, random_state=0)
    score = left_out_nllh(truth, test, others=long_ago)
    independent = left_out_nllh(fit_independent(test), test)
    assert (score.log_likelihood < independent.log_likelihood).all()
    same = left_out_nllh(truth, test, others=test)
    np.testing.assert_array_equal(same.nllh, left_out_nllh(truth, test).nllh)
    with pytest.raises(ValueError, match=r"others has shape \(5, 12\): give that of v"):
        left_out_nllh(truth, test, others=test[:5])


def test_vae_is_scored_with_the_spike_masked():
    rng = np.random.default_rng(5)
    n, m = 6, 3
    shapes = ((n, m), (m,), (m, m), (m,), (m, m), (m,), (n, m), (n,))
    vae = VAE(*(rng.normal(0, 0.7, shape).astype(np.float32) for shape in shapes))
    v = (rng.random((8, n)) < 0.5).astype(np.uint8)
    p = vae.mean_v_given_others(v)
    z = rng.standard_normal((200_000, m))
    for t, i in np.ndindex(v.shape):
        masked = v[t : t + 1].copy()
        masked[0, i] = 0
        mean, log_variance = (x[0].astype(float) for x in vae.encode(masked))
        log_odds = (mean + np.exp(log_variance / 2) * z) @ vae.weights[i] + vae.fields[i]
        sampled = expit(log_odds)
        assert abs(p[t, i] - sampled.mean()) < 5 * sampled.std() / np.sqrt(len(z)) + 1e-6
    np.testing.assert_allclose(left_out_log_likelihood(vae, v), brute_force(v, p), rtol=1e-6)
    v[:, 0] ^= 1
    np.testing.assert_allclose(vae.mean_v_given_others(v)[:, 0], p[:, 0], rtol=1e-5)


def test_a_neuron_silent_in_training_can_still_spike():
    model = fit_independent([[0, 1], [0, 0]])
    np.testing.assert_allclose(model.activity, [0.5 / 3, 1.5 / 3])
    assert np.isfinite(left_out_log_likelihood(model, [[1, 1]])).all()
    with pytest.raises(ValueError, match="3 features"):
        model.mean_v_given_others([[0, 1, 1]])
