"""The GLM baseline against scikit-learn, its stationarity conditions and plain formulas."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from crbm_lite.baselines.glm import fit_glm, fit_path, sweep_l2
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.validation.likelihood import left_out_nllh


@pytest.fixture(scope="module")
def v():
    recording = plant_recording(80, 4, size_range=(15, 25), n_frames=900, n_unassigned=10)
    return scipy.sparse.csr_array(recording.spikes).toarray().astype(np.uint8)


@pytest.mark.parametrize("l2", [0.3, 10.0, 1000.0])
def test_coefficients_agree_with_scikit_learn(v, l2):
    glm = fit_glm(v, l2)
    for i in (0, 17, 79):
        reference = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000)
        reference.fit(np.delete(v, i, axis=1), v[:, i])
        np.testing.assert_allclose(
            np.delete(glm.weights[:, i], i), reference.coef_[0], rtol=0, atol=1e-4
        )
        np.testing.assert_allclose(glm.intercepts[i], reference.intercept_[0], rtol=0, atol=1e-4)


def test_every_neuron_is_at_its_optimum_and_ignores_itself(v):
    l2 = 5.0
    glm = fit_glm(v, l2)
    error = expit(v @ glm.weights + glm.intercepts) - v
    gradient = v.T @ error + l2 * glm.weights
    np.fill_diagonal(gradient, 0.0)
    assert np.abs(gradient).max() < 1e-3
    assert np.abs(error.sum(axis=0)).max() < 1e-3
    assert (np.diag(glm.weights) == 0).all()
    assert (glm.n_newton > 0).all()


def test_a_subset_of_targets_in_any_order_and_form_gives_the_same_columns(v):
    glm = fit_glm(v, 20.0)
    some = fit_glm(scipy.sparse.csr_array(v), 20.0, neurons=[31, 4])
    np.testing.assert_allclose(some.weights, glm.weights[:, [31, 4]], atol=1e-6)
    found, whole = left_out_nllh(some, v).nllh, left_out_nllh(glm, v).nllh
    np.testing.assert_allclose(found, whole[[31, 4]], atol=1e-6)
    np.testing.assert_array_equal(some.neurons, [31, 4])


def test_frame_weights_count_like_repeated_frames(v):
    times = np.random.default_rng(0).integers(0, 4, size=len(v))
    weighted = fit_glm(v, 3.0, frame_weights=times, neurons=[2, 50])
    repeated = fit_glm(np.repeat(v, times, axis=0), 3.0, neurons=[2, 50])
    np.testing.assert_allclose(weighted.weights, repeated.weights, atol=1e-5)
    np.testing.assert_allclose(weighted.intercepts, repeated.intercepts, atol=1e-5)


@pytest.mark.parametrize("weight", [1.0, 0.7, 0.1, 1e-9])
def test_constant_neurons_are_known_under_any_frame_weights(weight):
    """60 weights of 0.7 add up to other than 60 times 0.7, and to other than by a product."""
    v = (np.random.default_rng(0).random((60, 5)) < 0.5).astype(np.uint8)
    v[:, 0], v[:, 1] = 1, 0
    v[50:, 2], v[:50, 2] = 0, 1  # it varies in frames of weight 0 alone
    weights = np.full(60, weight)
    weights[50:] = 0.0
    glm = fit_glm(v, weight, frame_weights=weights)
    np.testing.assert_array_equal(glm.intercepts[:3], [np.inf, -np.inf, np.inf])
    assert not glm.weights[:, :3].any()
    once = fit_glm(v[:50], 1.0)  # all terms of the objective are scaled by the same number
    np.testing.assert_allclose(glm.intercepts[3:], once.intercepts[3:], atol=1e-6)
    np.testing.assert_allclose(glm.weights[:, 3:], once.weights[:, 3:], atol=1e-6)


def test_a_frame_of_next_to_no_weight_gives_no_nan():
    v = np.ones((60, 2), np.uint8)
    v[0] = 0
    weights = np.ones(60)
    weights[0] = 1e-30  # the sums do not see it
    with pytest.raises(RuntimeError, match=r"neurons .* did not converge"):
        fit_glm(v, 10.0, frame_weights=weights)


def test_under_a_huge_penalty_only_the_rate_is_left(v):
    glm = fit_glm(v, 1e9)
    assert np.abs(glm.weights).max() < 1e-5
    np.testing.assert_allclose(glm.intercepts, logit(v.mean(axis=0)), atol=1e-4)
    assert abs(left_out_nllh(glm, v).median) < 1e-4


def test_nllh_is_that_of_the_formula(v):
    train, test = v[:600], v[600:]
    glm = fit_glm(train, 10.0)
    p = np.clip(expit(test @ glm.weights + glm.intercepts), 1e-7, 1 - 1e-7)
    np.testing.assert_allclose(glm.mean_v_given_others(test), p, atol=1e-7)
    llh = np.where(test, np.log(p), np.log(1 - p)).mean(axis=0)
    mean = test.mean(axis=0)
    independent = mean * np.log(mean) + (1 - mean) * np.log(1 - mean)
    np.testing.assert_allclose(left_out_nllh(glm, test).nllh, (llh - independent) / -independent)


def test_it_finds_planted_weights():
    rng = np.random.default_rng(1)
    x = rng.random((20_000, 4)) < 0.3
    planted = np.array([1.5, -2.0, 0.0, 0.7])
    y = rng.random(20_000) < expit(x @ planted - 1.0)
    glm = fit_glm(np.column_stack([x, y]), 0.1, neurons=[4])
    np.testing.assert_allclose(glm.weights[:4, 0], planted, atol=0.15)
    np.testing.assert_allclose(glm.intercepts[0], -1.0, atol=0.1)


def test_constant_neurons_are_certain_and_stay_out_of_the_others(v):
    silent, always = v.copy(), v.copy()
    silent[:, 3], always[:, 3] = 0, 1
    for frames, probability in ((silent, 0.0), (always, 1.0)):
        glm = fit_glm(frames, 10.0)
        assert (glm.mean_v_given_others(frames)[:, 3] == probability).all()
        assert np.isfinite(glm.weights).all()
    assert np.abs(fit_glm(silent, 10.0).weights[3]).max() < 1e-6


def test_the_sweep_holds_out_every_block_and_takes_the_best(v):
    l2 = (10.0, 1e6, 0.01)
    sweep = sweep_l2(v, l2, n_folds=3)
    for fold, held_out in enumerate((range(300), range(300, 600), range(600, 900))):
        fitted = np.delete(v, held_out, axis=0)
        by_hand = [left_out_nllh(fit_glm(fitted, value), v[list(held_out)]).median for value in l2]
        np.testing.assert_allclose(sweep.scores[fold], by_hand, atol=2e-3)
    assert sweep.best == 10.0


def test_a_warm_start_changes_the_way_and_not_the_end(v):
    cold = fit_glm(v, 3.0)
    warm = fit_glm(v, 3.0, start=fit_glm(v, 5.0))
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-5)
    np.testing.assert_allclose(warm.intercepts, cold.intercepts, atol=1e-5)
    assert warm.n_newton.sum() < cold.n_newton.sum()
    path = list(fit_path(v, (3.0, 30.0), tol=1e-6))
    assert [glm.l2 for glm in path] == [30.0, 3.0]
    np.testing.assert_allclose(path[1].weights, cold.weights, atol=1e-5)


def test_the_number_of_threads_changes_nothing(v, monkeypatch):
    monkeypatch.setattr("crbm_lite.baselines.glm._BLOCK_BYTES", 8 * 900 * 7)
    monkeypatch.setattr("numba.get_num_threads", lambda: 1)
    one = fit_glm(v, 3.0)
    monkeypatch.setattr("numba.get_num_threads", lambda: 4)
    four = fit_glm(v, 3.0)
    np.testing.assert_array_equal(one.weights, four.weights)
    np.testing.assert_array_equal(one.intercepts, four.intercepts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"l2": 0.0}, "l2 is 0.0"),
        ({"l2": np.nan}, "l2 is nan"),
        ({"l2": "100"}, "l2 is '100': give lambda"),
        ({"l2": None}, "l2 is None"),
        ({"tol": np.nan}, "tol is nan: give the accuracy"),
        ({"tol": 0}, "tol is 0"),
        ({"neurons": [80]}, "0..79"),
        ({"neurons": [0.5]}, "integer indices"),
        ({"frame_weights": np.ones(3)}, r"frame_weights is of shape \(3,\)"),
        ({"frame_weights": -np.ones(900)}, "negative numbers: give one number of 0 or more"),
        ({"frame_weights": np.zeros(900)}, "frame_weights has the sum 0: give finite numbers"),
        ({"frame_weights": np.full(900, np.inf)}, "frame_weights has the sum inf"),
    ],
)
def test_bad_arguments_are_named(v, arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_glm(v, **arguments)


def test_bad_sweeps_and_wrong_neurons_are_named(v):
    with pytest.raises(ValueError, match="values is empty"):
        sweep_l2(v, ())
    with pytest.raises(ValueError, match="n_folds is 1"):
        sweep_l2(v, n_folds=1)
    with pytest.raises(ValueError, match="start is a fit of other neurons"):
        fit_glm(v, 1.0, start=fit_glm(v, 10.0, neurons=[0]))
    with pytest.raises(ValueError, match="80 features"):
        left_out_nllh(fit_glm(v, 100.0, neurons=[0, 9]), v[:, :5])
