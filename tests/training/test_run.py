"""Whole runs: what they find and return, their bits, their verdicts."""

import warnings
from dataclasses import replace

import numba
import numpy as np
import pytest

from crbm_lite.model.model import CRBM
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.training.search.choice import Choice, Stage
from crbm_lite.training.start import random_start
from crbm_lite.training.trainer import NumbaTrainer
from crbm_lite.validation.likelihood import nllh
from tests.training.runs import bits, correlations_with_truth, fit


@pytest.fixture(scope="module")
def planted():
    return plant_recording(600, 6, (70, 120), 2000, 100, random_state=0)


@pytest.fixture(scope="module")
def trained(planted):
    return fit(planted.spikes)


def test_a_short_run_finds_the_planted_assemblies(planted, trained):
    correlations = correlations_with_truth(trained.weights_, planted.truth).max(axis=1)
    assert len(correlations) == 6
    assert (correlations > 0.85).all()
    planted_density = (planted.truth.effects.todense() != 0).mean()
    strong = (np.abs(trained.weights_) > 0.1).mean() * trained.weights_.shape[1] / 6
    assert 0.5 * planted_density < strong < 2 * planted_density
    assert (trained.weights_ == 0).mean() > 0.4
    activity = planted.spikes.mean()
    # fifty chains at one moment are too few to average over; twenty such moments are not
    assert trained.history_.activity_chains[-20:].mean() == pytest.approx(activity, rel=0.2)
    assert trained.history_.activity_data == pytest.approx(activity)
    np.testing.assert_allclose(trained.certificate_.variance_h[:6], 1.0, atol=0.15)


def test_trained_units_point_up(trained):
    assert (trained.weights_.sum(axis=0) >= 0).all()
    assert (trained.gamma_plus_ > 0).all() and (trained.gamma_minus_ > 0).all()


def test_fit_returns_itself_and_leaves_the_recording_alone(planted):
    v = np.array(planted.spikes, dtype=np.float32)
    before = v.tobytes()
    model = CRBM(n_hidden=3, n_updates=5, n_gibbs=1, progress=False, random_state=0)
    settings = model.get_params()
    v.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert model.fit(v) is model
    assert v.tobytes() == before and model.get_params() == settings
    assert model.n_features_in_ == v.shape[1] and model.weights_.dtype == np.float32


def test_same_seed_and_data_give_the_same_bits(planted):
    short = {"n_updates": 60, "init": "pca"}
    first = fit(planted.spikes, **short)
    assert bits(fit(planted.spikes, **short)) == bits(first)
    assert bits(fit(np.asarray(planted.spikes, dtype=bool), **short)) == bits(first)
    assert bits(fit(planted.spikes, **short | {"random_state": 1})) != bits(first)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two numba threads")
@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_number_of_threads_changes_no_bit(planted, init):
    before = numba.get_num_threads()
    try:
        runs = []
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            runs.append(bits(fit(planted.spikes, n_updates=60, init=init)))
    finally:
        numba.set_num_threads(before)
    assert runs[0] == runs[1]


def test_a_run_returns_the_mean_of_its_later_parameters(monkeypatch):
    v = plant_recording(60, 2, (20, 30), 300, 10, random_state=0).spikes
    seen = []
    original = NumbaTrainer.one_update

    def watched(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        now = self.parameters
        seen.append((now.weights.astype(float), now.fields.copy(), self.potential))
        return out

    monkeypatch.setattr(NumbaTrainer, "one_update", watched)
    model = fit(v, n_hidden=2, n_updates=40, average_from=0.5, init="random", l1=0.1)
    weights, fields, potential = (
        np.mean([seen[k][j] for k in (29, 39)], axis=0) for j in range(3)
    )  # the updates 30 and 40: every tenth after the 20th
    assert not np.allclose(model.fields_, seen[-1][1], rtol=1e-6)
    weights[seen[-1][0] == 0] = 0
    flip = weights.sum(axis=0) < 0
    weights = np.where(flip, -weights, weights)
    gamma_plus = np.where(flip, potential[1], potential[0])
    theta_plus = np.where(flip, -potential[3], potential[2])
    np.testing.assert_allclose(model.weights_, weights, atol=1e-6)
    np.testing.assert_allclose(model.fields_, fields, rtol=1e-12)
    np.testing.assert_allclose(model.gamma_plus_, gamma_plus, rtol=1e-12)
    np.testing.assert_allclose(model.theta_plus_, theta_plus, rtol=1e-12)


def test_averaging_from_the_end_returns_the_last_parameters(monkeypatch):
    v = plant_recording(60, 2, (20, 30), 300, 10, random_state=0).spikes
    last = []
    original = NumbaTrainer.one_update

    def watched(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        last[:] = [self.parameters.fields.copy()]
        return out

    monkeypatch.setattr(NumbaTrainer, "one_update", watched)
    model = fit(v, n_hidden=2, n_updates=40, average_from=1.0, init="random")
    np.testing.assert_array_equal(model.fields_, last[0])


def test_a_refit_frees_the_weights_that_are_left_of_the_penalty(monkeypatch):
    recording = plant_recording(300, 4, (40, 60), 1500, 50, random_state=0)
    train, test = (recording.select_frames(slice(*x)) for x in ((0, 1000), (1000, 1500)))
    seen = []
    original = NumbaTrainer.one_update

    def watched(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        seen.append(self.parameters.weights != 0)
        return out

    options = {"n_hidden": 4, "n_updates": 600, "l1": 0.03, "final_learning_rate": 1e-4}
    penalised = fit(train, **options)
    monkeypatch.setattr(NumbaTrainer, "one_update", watched)
    refitted = fit(train, **options, refit=0.5)
    assert (seen[299] != seen[200]).any()
    for later in seen[300:]:
        assert not (later & ~seen[299]).any()
    assert not (refitted.weights_[~seen[299]]).any()
    assert (refitted.history_.l1[-1], penalised.history_.l1[-1]) == (0.0, 0.03)
    # the penalty draws <v h> of the model away from that of the data, by lambda at most
    both = seen[299] & (penalised.weights_ != 0)
    gaps = []
    for model in (penalised, refitted):
        v = model.sample(20_000, n_chains=500, start=train.spikes[:500], random_state=0)
        vh = [x.T @ h / len(x) - np.outer(x.mean(axis=0), h.mean(axis=0)) for x, h in (
            (y.astype(float), model.mean_h_given_v(y)) for y in (train.spikes, v))]  # fmt: skip
        gaps.append(np.mean(((vh[0] - vh[1]) * np.sign(model.weights_))[both]))
    assert 0.5 * 0.03 < gaps[0] < 2 * 0.03 and abs(gaps[1]) < 0.25 * gaps[0]
    scores = [np.nanmean(nllh(model, test).nllh) for model in (penalised, refitted)]
    assert scores[1] > scores[0] + 0.005


def test_noise_under_a_large_penalty_collapses_and_says_so():
    v = (np.random.default_rng(0).random((400, 60)) < 0.2).astype(np.uint8)
    model = fit(v, n_hidden=3, l1=0.5, n_updates=300)
    assert model.verdict_ == "collapsed" and model.converged_ is False
    assert model.certificate_.failed
    # what is left is the independent model
    np.testing.assert_allclose(1 / (1 + np.exp(-model.fields_)), v.mean(axis=0), atol=0.06)


@pytest.mark.parametrize(
    ("l1", "verdict"), [("auto", "no structure"), (0.5, "collapsed")], ids=["chosen", "given"]
)
def test_only_who_sets_the_penalty_is_told_that_it_is_too_large(l1, verdict, monkeypatch):
    """A search found a model, and the training with all frames lost its last unit."""
    v = (np.random.default_rng(0).random((400, 60)) < 0.2).astype(np.uint8)

    def a_choice(spikes, schedule, **_):
        start = random_start(spikes, 2, np.random.default_rng(0))
        stage = Stage("all frames", spikes, start, replace(schedule, n_updates=300, l1=0.5), 300)
        return Choice(stage, "the report", is_empty=False)

    monkeypatch.setattr("crbm_lite.training.search.run.choose", a_choice)
    model = CRBM(n_hidden=2, l1=l1, random_state=0, progress=False)
    with pytest.warns(UserWarning, match=verdict):
        assert model.fit(v).verdict_ == verdict
    assert not (model.weights_ != 0).any()


def test_a_verdict_that_is_not_converged_warns():
    v = (np.random.default_rng(0).random((100, 20)) < 0.2).astype(np.uint8)
    with pytest.warns(UserWarning, match="verdict"):
        CRBM(n_hidden=2, l1=0.5, n_updates=100, n_gibbs=1, progress=False, random_state=0).fit(v)


def test_a_diverged_run_goes_back_and_halves_its_learning_rate(planted, monkeypatch):
    plain = NumbaTrainer.one_update
    state = {"calls": 0}

    def poisoned(self, *args, **kwargs):
        measured = plain(self, *args, **kwargs)
        state["calls"] += 1
        if state["calls"] == 250:
            self.parameters.weights[3, 1] = np.nan
            self.parameters.fields[3] = np.nan
        return measured

    monkeypatch.setattr(NumbaTrainer, "one_update", poisoned)
    model = fit(planted.spikes)
    back = [event for event in model.history_.events if "back to update" in event]
    assert len(back) == 1
    assert "finite" in back[0] and "learning rate x 0.5" in back[0]
    assert model.verdict_ != "diverged"
    assert np.isfinite(model.weights_).all() and np.isfinite(model.fields_).all()
    history = model.history_
    late = history.learning_rate[-1] / checked_schedule(model).learning_rate_at(history.update[-1])
    assert late == pytest.approx(0.5)
    assert (correlations_with_truth(model.weights_, planted.truth).max(axis=1) > 0.7).all()


def test_a_run_that_diverges_again_and_again_is_called_diverged(planted, monkeypatch):
    plain = NumbaTrainer.one_update

    def poisoned(self, *args, **kwargs):
        measured = plain(self, *args, **kwargs)
        if self.plan.update > 130:
            self.parameters.fields[:] = np.nan
        return measured

    monkeypatch.setattr(NumbaTrainer, "one_update", poisoned)
    model = fit(planted.spikes, n_updates=200)
    assert model.verdict_ == "diverged" and not model.converged_
    assert "no rewind left" in model.history_.events[-1]
    assert np.isfinite(model.weights_).all() and np.isfinite(model.fields_).all()
