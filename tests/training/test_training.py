"""Training: the gradient, one update, the coordinates, the warm start, the run, the certificate."""

import warnings
from dataclasses import replace
from itertools import combinations

import numba
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.partition import all_states
from crbm_lite.core.spikes import as_spikes, frames_given_neuron
from crbm_lite.model.model import CRBM
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training import coordinates as co
from crbm_lite.training import update_kernels as updates
from crbm_lite.training.certificate import certify
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.linear_units import _n_above_noise, cubimax, linear_units, varimax
from crbm_lite.training.start import random_start, warm_start
from crbm_lite.training.trainer import Trainer
from crbm_lite.validation.likelihood import nllh

N, M, L1 = 8, 2, 0.03
STATES = all_states(N).astype(float)


# ---------------------------------------------------------------------- the gradient


@pytest.fixture(scope="module")
def problem():
    """An enumerable machine, not at unit variance's optimum, and data that it does not fit."""
    rng = np.random.default_rng(2)
    v = (rng.random((300, N)) < rng.uniform(0.1, 0.6, N)).astype(np.uint8)
    v[:100, :4] |= v[:100, :1]
    weights, fields = rng.normal(0, 0.8, (N, M)), rng.normal(-1, 0.3, N)
    potential = np.array([[1.2, 0.8], [0.9, 2.0], [-0.6, 0.7], [0.8, -0.4]])
    s = np.sqrt(variance_of_h(v, weights, potential))  # rescaled to Var(h) = 1, as in training
    potential = potential * np.array([s**2, s**2, s, s])
    return v, weights * s, fields, potential


def variance_of_h(v, weights, potential):
    units = DReLU(*potential)
    mean, variance = units.mean_and_variance(v.astype(float) @ weights)
    return variance.mean(axis=0) + mean.var(axis=0)


def penalised_likelihood(v, weights, fields, potential):
    """F = <log P(v)> - lambda sum_mu s_mu |w_mu|_1, by enumeration."""
    units = DReLU(*potential)

    def log_p(states):
        return states @ fields + units.cumulant(states @ weights).sum(axis=1)

    likelihood = log_p(v.astype(float)).mean() - np.logaddexp.reduce(log_p(STATES))
    s = np.sqrt(variance_of_h(v, weights, potential))
    return likelihood - L1 * (s * np.abs(weights).sum(axis=0)).sum()


def training_gradient(v, weights, fields, potential):
    """What training uses: the data side from hidden_phase, the model side by enumeration."""
    units = DReLU(*potential)
    v = v.astype(float)
    mean_h = units.mean(v @ weights).mean(axis=0)
    data = np.empty((updates.N_STATISTICS, len(v), M))
    updates.hidden_phase(v @ weights, *potential, mean_h, data)
    model = np.empty((updates.N_STATISTICS, len(STATES), M))
    updates.hidden_phase(STATES @ weights, *potential, mean_h, model)
    log_p = STATES @ fields + units.cumulant(STATES @ weights).sum(axis=1)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    kappa = 0.5 * L1 * np.abs(weights).sum(axis=0)
    h_data = data[updates.MEAN] - kappa * data[updates.VAR_I]
    in_weights = v.T @ h_data / len(v) - STATES.T @ (p[:, None] * model[updates.MEAN])
    in_fields = v.mean(axis=0) - p @ STATES
    in_potential = updates.potential_gradient(
        data.mean(axis=1), np.einsum("t,stm->sm", p, model), kappa
    )
    return in_weights - L1 * np.sign(weights), in_fields, in_potential


def finite_difference(function, x, step=1e-5):
    slope = np.empty_like(x)
    for index in np.ndindex(x.shape):
        moved = []
        for sign in (-1, 1):
            y = x.copy()
            y[index] += sign * step
            moved.append(function(y))
        slope[index] = (moved[1] - moved[0]) / (2 * step)
    return slope


def test_the_gradient_is_the_slope_of_the_penalised_likelihood(problem):
    v, weights, fields, potential = problem
    np.testing.assert_allclose(variance_of_h(v, weights, potential), 1.0, rtol=1e-9)
    in_weights, in_fields, in_potential = training_gradient(v, weights, fields, potential)
    close = {"rtol": 1e-5, "atol": 1e-8}
    np.testing.assert_allclose(
        in_weights,
        finite_difference(lambda x: penalised_likelihood(v, x, fields, potential), weights),
        **close,
    )
    np.testing.assert_allclose(
        in_fields,
        finite_difference(lambda x: penalised_likelihood(v, weights, x, potential), fields),
        **close,
    )
    np.testing.assert_allclose(
        in_potential,
        finite_difference(lambda x: penalised_likelihood(v, weights, fields, x), potential),
        **close,
    )
    assert np.abs(in_weights).max() > 0.01 and np.abs(in_potential).max() > 0.001


def test_the_gradient_in_the_coordinates(problem):
    v, weights, fields, potential = problem
    offset = v.mean(axis=0) @ weights
    coordinates = co.coordinates_given_potential(potential, offset)

    def function(x):
        return penalised_likelihood(v, weights, fields, co.potential_given_coordinates(x, offset))

    gradient = training_gradient(v, weights, fields, potential)[2]
    np.testing.assert_allclose(
        co.gradient_in_coordinates(coordinates, gradient),
        finite_difference(function, coordinates),
        rtol=1e-5,
        atol=1e-8,
    )


def test_coordinates_go_there_and_back():
    rng = np.random.default_rng(0)
    potential = np.concatenate([rng.uniform(0.5, 3, (2, 20)), rng.normal(size=(2, 20))])
    offset = rng.normal(size=20)
    coordinates = co.coordinates_given_potential(potential, offset)
    back = co.potential_given_coordinates(coordinates, offset)
    np.testing.assert_allclose(back, potential, rtol=1e-12, atol=1e-12)
    # gamma+- = gamma/(1 +- eta), theta+- = theta +- delta/sqrt(1 +- eta)
    one = co.potential_given_coordinates(np.array([[np.log(2)], [0.5], [0.3], [1.0]]), np.zeros(1))
    np.testing.assert_allclose(
        one.ravel(), [2 / 1.5, 4, 0.3 + 1 / np.sqrt(1.5), 0.3 - 1 / np.sqrt(0.5)], rtol=1e-12
    )


def test_rescaling_the_coordinates_is_a_rescaling_of_h(problem):
    _, _, _, potential = problem
    s, zero = np.array([0.7, 1.9]), np.zeros(2)
    coordinates = co.coordinates_given_potential(potential, zero)
    co.rescale(coordinates, s)
    np.testing.assert_allclose(
        co.potential_given_coordinates(coordinates, zero),
        potential * np.array([s**2, s**2, s, s]),
        rtol=1e-12,
    )


# ---------------------------------------------------------------------- one step


@pytest.mark.parametrize("chains_in_use", [16, 21])
@pytest.mark.parametrize(("l1", "l1_at_zero"), [(0.02, 0.02), (0.0, np.inf)])
def test_update_rows_is_a_plain_rmsprop_step_with_a_soft_threshold(chains_in_use, l1, l1_at_zero):
    rng = np.random.default_rng(1)
    n, m, batch = 70, 6, 12
    weights = rng.normal(0, 0.05, (n, m)).astype(np.float32)
    weights[rng.random((n, m)) < 0.4] = 0
    square = rng.uniform(0, 0.02, (n, m)).astype(np.float32)
    average = rng.normal(0, 0.03, (n, m)).astype(np.float32)
    fields, field_square = rng.normal(size=n), rng.uniform(0, 0.1, n)
    v = (rng.random((40, n)) < 0.2).astype(np.uint8)
    spikes, frames = as_spikes(v), np.sort(rng.choice(40, batch, replace=False))
    starts, rows = frames_given_neuron(spikes.frame_starts, spikes.neurons, frames, n)
    h_data, h_chains, mean_h = (
        (rng.normal(size=shape) * scale).astype(np.float32)
        for shape, scale in (((batch, m), 0.1), ((chains_in_use, m), 0.1), (m, 0.3))
    )
    drift = h_data.sum(axis=0) - h_chains.sum(axis=0)
    scale = rng.uniform(0.9, 1.1, m).astype(np.float32)
    chains = GibbsChains(n, m, chains_in_use, 0, 0)
    chains.set_weights(weights)
    v_chains = (rng.random((chains_in_use, n)) < 0.2).astype(np.uint8)
    chains.set_spikes(v_chains)
    lr, field_rate, beta2, bias, eps, keep = 0.01, 0.03, 0.99, 1.7, 1e-6, 0.9

    # the reference, in float64 and whole matrices
    p = v.mean(axis=0)
    g = v[frames].T @ h_data.astype(float) - v_chains.T @ h_chains.astype(float)
    g -= np.outer(p, drift)
    new_square = beta2 * square + (1 - beta2) * g**2
    new_average = keep * average + (1 - keep) * g
    step = lr / (np.sqrt(new_square * bias) + eps)
    old = weights.astype(float) * scale
    target = old + step * np.where(old == 0, new_average, g)
    penalty = step * np.where(old == 0, l1_at_zero, l1)
    new = np.sign(target) * np.maximum(np.abs(target) - penalty, 0)
    new[old * target < 0] = 0
    field_gradient = p - v_chains.mean(axis=0)
    new_field_square = beta2 * field_square + (1 - beta2) * field_gradient**2
    new_fields = fields + field_rate * field_gradient / (np.sqrt(new_field_square * bias) + eps)
    new_fields -= (new - old) @ mean_h
    assert ((new == 0) & (old != 0)).any()
    assert ((new != 0) & (old == 0)).any() == np.isfinite(l1_at_zero)

    sums = np.zeros((len(chains.partial_input), 3, m))
    updates.update_rows(
        weights, square, average, fields, field_square, spikes.activity(), starts, rows, h_data,
        h_chains, drift, scale, mean_h, (lr, l1, l1_at_zero, field_rate), (beta2, bias, eps, keep),
        chains.rows_per_tile, chains.v, chains_in_use, chains.packed_rows, chains.partial_input,
        sums,
    )  # fmt: skip
    close = {"rtol": 2e-4, "atol": 2e-6}
    np.testing.assert_allclose(square, new_square, **close)
    np.testing.assert_allclose(average, new_average, **close)
    np.testing.assert_allclose(weights, new, **close)
    np.testing.assert_allclose(fields, new_fields, **close)
    np.testing.assert_allclose(field_square, new_field_square, rtol=1e-9)
    offset, absolute, count = sums.transpose(1, 0, 2)
    np.testing.assert_allclose(offset.sum(axis=0), p @ weights, **close)
    np.testing.assert_allclose(absolute.sum(axis=0), np.abs(weights).sum(axis=0), **close)
    np.testing.assert_array_equal(count.sum(axis=0), (weights != 0).sum(axis=0))
    # the packed rows and the chains' inputs belong to the new weights
    fresh = GibbsChains(n, m, chains_in_use, 0, 0)
    fresh.set_weights(weights)
    np.testing.assert_array_equal(chains.packed_rows.n_nonzero, fresh.packed_rows.n_nonzero)
    np.testing.assert_allclose(chains.inputs(), v_chains @ weights.astype(float), **close)
    chains.update_inputs()
    np.testing.assert_allclose(chains.inputs(), v_chains @ weights.astype(float), **close)


def test_a_refit_has_no_penalty_and_keeps_zeros_and_averages_its_later_half():
    schedule = Schedule(
        n_updates=1000, batch_size=10, n_chains=10, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=1e-2, final_learning_rate=1e-4, decay_start=0.5, ramp=0.2,
        average_from=0.5, beta2=0.9, epsilon=1e-6, refit=0.4,
    )  # fmt: skip
    assert [schedule.l1_at(u) for u in (99, 599, 600, 1000)] == [0.01, 0.02, 0.0, 0.0]
    at_zero = [schedule.l1_at_zero(u) for u in (99, 599, 600)]
    assert at_zero == [0.01, 0.02, np.inf]
    assert [schedule.is_averaged(u) for u in (501, 800, 801)] == [False, False, True]
    assert schedule.l1_nonzero == 0.0
    plain = replace(schedule, refit=0.0)
    assert (plain.l1_at(1000), plain.l1_at_zero(999), plain.l1_nonzero) == (0.02, 0.02, 0.02)
    assert [plain.is_averaged(u) for u in (500, 501)] == [False, True]


def test_the_schedule_decays_geometrically_and_ramps_lambda():
    schedule = Schedule(
        n_updates=1000, batch_size=1, n_chains=2, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=1e-2, final_learning_rate=1e-4, decay_start=0.5, ramp=0.2,
        average_from=1.0, beta2=0.9, epsilon=1e-6,
    )  # fmt: skip
    rates = [schedule.learning_rate_at(u) for u in (0, 500, 750, 1000)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-4], rtol=1e-9)
    np.testing.assert_allclose([schedule.l1_at(u) for u in (0, 99, 199, 999)],
                               [1e-4, 0.01, 0.02, 0.02], rtol=1e-9)  # fmt: skip


def test_a_run_returns_the_mean_of_its_later_parameters(monkeypatch):
    v = plant_recording(60, 2, (20, 30), 300, 10, random_state=0).spikes
    seen = []
    original = Trainer.one_update

    def watched(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        seen.append((self.now.weights.astype(float), self.now.fields.copy(), self.potential))
        return out

    monkeypatch.setattr(Trainer, "one_update", watched)
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


def test_a_refit_frees_the_weights_that_are_left_of_the_penalty(monkeypatch):
    recording = plant_recording(300, 4, (40, 60), 1500, 50, random_state=0)
    train, test = (recording.select_frames(slice(*x)) for x in ((0, 1000), (1000, 1500)))
    seen = []
    original = Trainer.one_update

    def watched(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        seen.append(self.now.weights != 0)
        return out

    options = {"n_hidden": 4, "n_updates": 600, "l1": 0.03, "final_learning_rate": 1e-4}
    penalised = fit(train, **options)
    monkeypatch.setattr(Trainer, "one_update", watched)
    refitted = fit(train, **options, refit=0.5)
    assert (seen[299] != seen[280]).any()
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


def test_averaging_from_the_end_returns_the_last_parameters(monkeypatch):
    v = plant_recording(60, 2, (20, 30), 300, 10, random_state=0).spikes
    last = []
    original = Trainer.one_update

    def watched(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        last[:] = [self.now.fields.copy()]
        return out

    monkeypatch.setattr(Trainer, "one_update", watched)
    model = fit(v, n_hidden=2, n_updates=40, average_from=1.0, init="random")
    np.testing.assert_array_equal(model.fields_, last[0])


# ---------------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def planted():
    return plant_recording(600, 6, (70, 120), 2000, 100, random_state=0)


def fit(v, **changes):
    options = {
        "n_hidden": 8, "l1": 0.01, "n_updates": 400, "batch_size": 100, "n_chains": 50,
        "n_gibbs": 5, "random_state": 0, "progress": False,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CRBM(**options | changes).fit(v)


NAMES = ("weights_", "fields_", "gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_",
         "chains_")  # fmt: skip


def bits(model):
    return [getattr(model, name).tobytes() for name in NAMES]


@pytest.fixture(scope="module")
def trained(planted):
    return fit(planted.spikes)


def best_correlations(weights, truth):
    members = np.asarray(truth.effects.todense() != 0, dtype=float)
    with np.errstate(invalid="ignore"):  # a unit without weights has no correlation
        correlation = np.corrcoef(members.T, weights.T)
    return np.nan_to_num(np.abs(correlation[: members.shape[1], members.shape[1] :])).max(axis=1)


def test_a_short_run_finds_the_planted_assemblies(planted, trained):
    correlations = best_correlations(trained.weights_, planted.truth)
    assert len(correlations) == 6
    assert (correlations > 0.85).all()
    planted_density = (planted.truth.effects.todense() != 0).mean()
    strong = (np.abs(trained.weights_) > 0.1).mean() * trained.weights_.shape[1] / 6
    assert 0.5 * planted_density < strong < 2 * planted_density
    assert (trained.weights_ == 0).mean() > 0.4
    assert trained.verdict_ in ("converged", "not converged")
    assert trained.converged_ == (trained.verdict_ == "converged")
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


def test_noise_under_a_large_penalty_collapses_and_says_so():
    v = (np.random.default_rng(0).random((400, 60)) < 0.2).astype(np.uint8)
    model = fit(v, n_hidden=3, l1=0.5, n_updates=300)
    assert model.verdict_ == "collapsed" and model.converged_ is False
    assert model.certificate_.failed
    # what is left is the independent model
    np.testing.assert_allclose(1 / (1 + np.exp(-model.fields_)), v.mean(axis=0), atol=0.06)


def test_a_verdict_that_is_not_converged_warns():
    v = (np.random.default_rng(0).random((100, 20)) < 0.2).astype(np.uint8)
    with pytest.warns(UserWarning, match="verdict"):
        CRBM(n_hidden=2, l1=0.5, n_updates=100, n_gibbs=1, progress=False, random_state=0).fit(v)


def test_a_diverged_run_goes_back_and_halves_its_learning_rate(planted, monkeypatch):
    plain = Trainer.one_update
    state = {"calls": 0}

    def poisoned(self, *args, **kwargs):
        measured = plain(self, *args, **kwargs)
        state["calls"] += 1
        if state["calls"] == 250:
            self.now.weights[3, 1] = np.nan
            self.now.fields[3] = np.nan
        return measured

    monkeypatch.setattr(Trainer, "one_update", poisoned)
    model = fit(planted.spikes)
    back = [event for event in model.history_.events if "back to update" in event]
    assert len(back) == 1
    assert "finite" in back[0] and "learning rate x 0.5" in back[0]
    assert model.verdict_ != "diverged"
    assert np.isfinite(model.weights_).all() and np.isfinite(model.fields_).all()
    late = model.history_.learning_rate[-1] / fit_rate(model, model.history_.update[-1])
    assert late == pytest.approx(0.5)
    assert (best_correlations(model.weights_, planted.truth) > 0.7).all()


def fit_rate(model, update):
    names = Schedule.__dataclass_fields__
    return Schedule(**{name: getattr(model, name) for name in names}).learning_rate_at(update)


def test_a_run_that_diverges_again_and_again_is_called_diverged(planted, monkeypatch):
    plain = Trainer.one_update

    def poisoned(self, *args, **kwargs):
        measured = plain(self, *args, **kwargs)
        if self.update > 130:
            self.now.fields[:] = np.nan
        return measured

    monkeypatch.setattr(Trainer, "one_update", poisoned)
    model = fit(planted.spikes, n_updates=200)
    assert model.verdict_ == "diverged" and not model.converged_
    assert "no rewind left" in model.history_.events[-1]
    assert np.isfinite(model.weights_).all() and np.isfinite(model.fields_).all()


# ---------------------------------------------------------------------- warm start


def test_the_warm_start_sees_the_planted_assemblies(planted):
    spikes, rng = as_spikes(planted.spikes), np.random.default_rng(0)
    units = linear_units(spikes, 8, 0.01, rng)
    assert units.h.shape[1] == 6
    np.testing.assert_allclose(units.h.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(units.h.var(axis=0), 1, atol=1e-2)
    states = np.corrcoef(planted.truth.states.T.astype(float), units.h.T)[:6, 6:]
    assert (np.abs(states).max(axis=1) > 0.7).all()
    start = warm_start(spikes, units, 8, rng)
    assert (best_correlations(start.weights, planted.truth) > 0.7).all()
    assert (start.potential[:2] > 0).all() and np.isfinite(start.potential).all()


def test_noise_has_no_component_above_its_edge():
    spikes = as_spikes(np.random.default_rng(0).random((800, 200)) < 0.1)
    assert linear_units(spikes, 5, 0.01, np.random.default_rng(0)).h.shape[1] == 0
    start = random_start(spikes, 5, np.random.default_rng(0))
    assert 0.009 < start.weights.std() < 0.011
    variance = variance_of_h(spikes.dense(), start.weights.astype(float), start.potential)
    np.testing.assert_allclose(variance, 1.0, rtol=1e-3)


def test_signal_is_counted_from_the_edge_of_the_noise_that_it_leaves():
    n_frames, n_neurons, k = 300, 1500, 40
    rng = np.random.default_rng(0)
    left = np.linalg.qr(rng.normal(size=(n_frames, k)))[0]
    right = np.linalg.qr(rng.normal(size=(n_neurons, k)))[0]
    signal = left * np.linspace(38.0, 70.0, k) @ right.T
    noise = 1.0 - (signal**2).mean()  # unit variance in all, as standardised spikes have
    z = signal + np.sqrt(noise) * rng.normal(size=signal.shape)
    singular = np.linalg.svd(z, compute_uv=False)
    assert _n_above_noise(singular, (z**2).sum(), n_frames, n_neurons) == k
    plain_edge = np.sqrt(n_frames) + np.sqrt(n_neurons)
    assert (singular > plain_edge).sum() < k - 2
    assert (
        _n_above_noise(singular, (z**2).sum(), n_neurons, n_frames) == (singular > plain_edge).sum()
    )


def test_more_neurons_than_frames_are_told_apart():
    v = plant_recording(4000, 60, (80, 160), 800, 300, random_state=1)
    units = linear_units(as_spikes(v.spikes), 65, 0.01, np.random.default_rng(0))
    assert 45 < units.h.shape[1] < 60
    correlations = np.abs(np.corrcoef(units.rise.T, v.truth.membership.T.astype(float)))
    correlations = correlations[: units.h.shape[1], units.h.shape[1] :]
    unit, assembly = linear_sum_assignment(-correlations)
    assert (correlations[unit, assembly] > 0.5).sum() > 35


def test_varimax_is_a_rotation():
    loadings = np.random.default_rng(0).normal(size=(50, 4)) ** 3
    rotation = varimax(loadings)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-10)
    assert ((loadings @ rotation) ** 4).sum() >= (loadings**4).sum()


def test_cubimax_is_a_rotation_and_its_own_optimum():
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(50, 4)) ** 3 * [1.0, 2.0, 3.0, 4.0]
    rotation = cubimax(loadings, n_iterations=2000, tolerance=0.0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-10)
    equal = loadings / np.linalg.norm(loadings, axis=0)

    def sum_of_cubes(angle, i, j):
        turn = rotation.copy()
        turn[:, i] = np.cos(angle) * rotation[:, i] + np.sin(angle) * rotation[:, j]
        turn[:, j] = np.cos(angle) * rotation[:, j] - np.sin(angle) * rotation[:, i]
        return (np.abs(equal @ turn) ** 3).sum()

    for i, j in combinations(range(4), 2):  # no small turn in any plane raises the sum
        at_rest = sum_of_cubes(0.0, i, j)
        assert max(sum_of_cubes(0.02, i, j), sum_of_cubes(-0.02, i, j)) <= at_rest + 1e-9
    scaled = cubimax(loadings * [7.0, 0.1, 1.0, 3.0], n_iterations=2000, tolerance=0.0)
    np.testing.assert_allclose(scaled, rotation, atol=1e-5)  # column norms do not matter


# ---------------------------------------------------------------------- certificate


def certificate_of(v, weights, fields, potential, l1, l1_nonzero=None, n_chains=2000, seed=0):
    weights = weights.astype(np.float32)
    spikes = as_spikes(v)
    chains = GibbsChains(*weights.shape, n_chains, seed, 0)
    chains.set_weights(weights)
    chains.set_spikes(spikes.dense(np.random.default_rng(seed).integers(len(v), size=n_chains)))
    mean_h = DReLU(*potential).mean(spikes.inputs(weights)).mean(axis=0)
    return certify(spikes, weights, fields, np.asarray(potential), mean_h, l1,
                   l1 if l1_nonzero is None else l1_nonzero, chains)  # fmt: skip


def test_certificate_of_a_model_on_its_own_samples_and_of_a_shifted_one(problem):
    _, weights, fields, potential = problem
    log_p = STATES @ fields + DReLU(*potential).cumulant(STATES @ weights).sum(axis=1)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    rng = np.random.default_rng(0)
    own = all_states(N)[rng.choice(2**N, size=20_000, p=p)]
    good = certificate_of(own, weights, fields, potential, l1=0.0)
    assert good.residual < 0.006 and good.n_units_alive == M and not good.failed
    assert good.activity_model == pytest.approx(good.activity_data, rel=0.03)
    np.testing.assert_allclose(good.variance_h, variance_of_h(own, weights, potential), rtol=1e-6)
    wrong = certificate_of(own, 0.6 * weights, fields, potential, l1=0.0)
    assert wrong.residual > 0.03 and any("residual" in text for text in wrong.failed)


def test_certificate_agrees_with_enumeration(problem):
    v, weights, fields, potential = problem
    weights = weights.astype(np.float32).astype(float)
    measured = certificate_of(v, weights, fields, potential, l1=L1)
    in_weights, in_fields, _ = training_gradient(v, weights, fields, potential)
    units, p = DReLU(*potential), v.mean(axis=0)
    mean_h = units.mean(v @ weights).mean(axis=0)
    # centred coordinates: a weight moves with the field (by mean h) and the threshold (by mean v)
    out = np.empty((updates.N_STATISTICS, len(v), M))
    updates.hidden_phase(v @ weights, *potential, mean_h, out)
    log_p = STATES @ fields + units.cumulant(STATES @ weights).sum(axis=1)
    p_model = np.exp(log_p - np.logaddexp.reduce(log_p))
    drift = mean_h - p_model @ units.mean(STATES @ weights)
    kappa = 0.5 * L1 * np.abs(weights).sum(axis=0)
    vq = v.T @ out[updates.VAR_I] / len(v)
    exact = in_weights - np.outer(in_fields, mean_h) - np.outer(p, drift)
    exact += kappa * np.outer(p, vq.sum(axis=0) / p.sum())
    rms = np.sqrt((exact**2).mean())
    assert rms > 0.02
    assert measured.residual == pytest.approx(rms, rel=0.1)
    without = exact + kappa * (vq - np.outer(p, vq.sum(axis=0) / p.sum()))
    assert measured.residual_without_kappa == pytest.approx(np.sqrt((without**2).mean()), rel=0.1)
    # after a refit the condition has no penalty
    refitted = certificate_of(v, weights, fields, potential, l1=L1, l1_nonzero=0.0)
    rms = np.sqrt(((without + L1 * np.sign(weights)) ** 2).mean())
    assert abs(rms / measured.residual - 1) > 0.05
    assert refitted.residual == pytest.approx(rms, rel=0.02)
    assert refitted.residual_without_kappa == refitted.residual
    assert refitted.tolerance == measured.tolerance


def test_certificate_of_no_weights_is_stationary_but_dead():
    rng = np.random.default_rng(0)
    v = (rng.random((4000, 10)) < 0.2).astype(np.uint8)
    p = v.mean(axis=0)
    one = np.ones(2)
    dead = certificate_of(
        v, np.zeros((10, 2)), np.log(p / (1 - p)), np.stack([one, one, 0 * one, 0 * one]), 0.02
    )
    assert dead.residual == 0.0 and dead.excess_at_zero < 1e-3
    assert dead.n_units_alive == 0 and any("lambda" in text for text in dead.failed)
    assert dead.activity_model == pytest.approx(p.mean(), rel=0.02)
    np.testing.assert_allclose(dead.variance_h, 1.0, rtol=1e-9)


def test_lambda_comes_slowly_after_a_random_start_and_at_once_after_a_warm_one(planted):
    spikes = as_spikes(planted.spikes)
    schedule = Schedule(
        n_updates=1000, batch_size=50, n_chains=10, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=1e-2, final_learning_rate=1e-4, decay_start=0.5, ramp=0.0,
        average_from=0.5, beta2=0.9, epsilon=1e-6,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    start = random_start(spikes, 4, rng)
    ramp = Trainer(spikes, start, schedule, rng).schedule.ramp
    assert ramp == 0.3
    units = linear_units(spikes, 4, 0.02, rng)
    warm = warm_start(spikes, units, 4, rng)
    assert Trainer(spikes, warm, schedule, rng).schedule.l1_at(0) == 0.02
    asked = Trainer(spikes, warm, replace(schedule, ramp=0.5), rng)
    assert asked.schedule.ramp == 0.5


def test_small_random_weights_survive_a_lambda_that_would_kill_them_at_once():
    v = plant_recording(100, 4, (20, 30), 1500, 10, random_state=0).spikes
    model = fit(v, n_hidden=4, init="random", l1=0.01, n_updates=800)
    assert model.verdict_ != "collapsed"


def test_the_warm_start_keeps_no_covariance_within_its_noise():
    rng = np.random.default_rng(0)
    v = plant_recording(200, 4, (20, 30), 1500, 100, random_state=0)
    units = linear_units(as_spikes(v.spikes), 4, 1e-9, rng)
    outside = ~np.asarray(v.truth.membership, bool).any(axis=1)
    assert outside.sum() > 50
    assert (units.rise[outside] != 0).mean() < 0.01
