"""Where training begins: the warm start, the random one, and how lambda comes after each."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import as_spikes
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.linear_units import find_linear_units
from crbm_lite.training.start import balance_fields, fit_potentials, random_start, warm_start
from crbm_lite.training.update_plan import UpdatePlan
from tests.training.enumerable import variance_of_h
from tests.training.runs import correlations_with_truth, fit


@pytest.fixture(scope="module")
def planted():
    return plant_recording(600, 6, (70, 120), 2000, 100, random_state=0)


def test_the_warm_start_sees_the_planted_assemblies(planted):
    spikes, rng = as_spikes(planted.spikes), np.random.default_rng(0)
    units = find_linear_units(spikes, 8, 0.01, rng)
    assert units.h.shape[1] == 6
    np.testing.assert_allclose(units.h.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(units.h.var(axis=0), 1, atol=1e-2)
    states = np.corrcoef(planted.truth.states.T.astype(float), units.h.T)[:6, 6:]
    assert (np.abs(states).max(axis=1) > 0.7).all()
    start = warm_start(spikes, 8, 0.01, rng)
    assert start.n_linear_units == 6
    assert (correlations_with_truth(start.weights, planted.truth).max(axis=1) > 0.7).all()
    assert (start.potential[:2] > 0).all() and np.isfinite(start.potential).all()


def test_noise_has_no_component_above_its_edge_and_starts_at_random():
    spikes = as_spikes(np.random.default_rng(0).random((800, 200)) < 0.1)
    assert warm_start(spikes, 5, 0.01, np.random.default_rng(0)) is None
    start = random_start(spikes, 5, np.random.default_rng(0))
    assert 0.009 < start.weights.std() < 0.011
    variance = variance_of_h(spikes.dense(), start.weights.astype(float), start.potential)
    np.testing.assert_allclose(variance, 1.0, rtol=1e-3)


def test_lambda_comes_slowly_after_a_random_start_and_at_once_after_a_warm_one(planted):
    spikes = as_spikes(planted.spikes)
    schedule = Schedule(
        n_updates=1000, batch_size=50, n_chains=10, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=1e-2, final_learning_rate=1e-4, decay_start=0.5, ramp=0.0,
        average_from=0.5, beta2=0.9, epsilon=1e-6,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    start = random_start(spikes, 4, rng)
    assert UpdatePlan(schedule, start, 100, rng).schedule.ramp == 0.3
    warm = warm_start(spikes, 4, 0.02, rng)
    assert UpdatePlan(schedule, warm, 100, rng).rates().l1 == 0.02
    asked = UpdatePlan(replace(schedule, ramp=0.5), warm, 100, rng)
    assert asked.schedule.ramp == 0.5


def test_small_random_weights_survive_a_lambda_that_would_kill_them_at_once():
    v = plant_recording(100, 4, (20, 30), 1500, 10, random_state=0).spikes
    model = fit(v, n_hidden=4, init="random", l1=0.01, n_updates=800)
    assert model.verdict_ != "collapsed"


def test_potentials_are_those_under_which_the_units_have_their_values_given_each_other(monkeypatch):
    """Pseudo-likelihood finds the truth from the model's own h, though units share neurons."""
    monkeypatch.setattr("crbm_lite.training.start._N_CONTEXTS", 5000)
    monkeypatch.setattr("crbm_lite.training.start._CLEAR", -np.inf)  # kinks at zero, as in truth
    rng = np.random.default_rng(0)
    weights = np.where(rng.random((60, 3)) < 0.6, rng.normal(0.0, 0.6, (60, 3)), 0.0)
    potential = np.array([[2.0, 1.0, 4.0], [1.0, 3.0, 2.0], [-0.5, 0.4, 0.0], [0.3, 0.0, -1.0]])
    fields = np.full(60, -2.0)
    chains = GibbsChains(60, 3, 400, seed=1, jump_every=0)
    chains.set_weights(weights.astype(np.float32))
    h = []
    for _ in range(60):
        chains.step(10, weights.astype(np.float32), fields.astype(np.float32), tuple(potential))
        h.append(DReLU(*potential).sample(chains.inputs(), rng))
    fitted, _ = fit_potentials(np.concatenate(h[10:]), fields, weights)
    curve = np.linspace(-1.5, 1.5, 31)
    of_truth, found = (
        DReLU(*p).potential(curve[:, None] * np.ones(3)) for p in (potential, fitted)
    )
    np.testing.assert_allclose(found, of_truth, atol=0.15)


def test_units_that_share_neurons_do_not_switch_each_other_on():
    """Fitted with the others at rest, they do: nine in ten neurons become active."""
    recording = plant_recording(1500, 40, (60, 100), 3000, 100, random_state=0)
    spikes, rng = as_spikes(recording.spikes), np.random.default_rng(0)
    start = warm_start(spikes, 40, 0.01, rng)
    chains = GibbsChains(1500, 40, 50, seed=0, jump_every=0)
    chains.set_weights(start.weights)
    chains.set_spikes(spikes.dense(rng.integers(spikes.n_frames, size=50)))
    chains.step(60, start.weights, start.fields.astype(np.float32), tuple(start.potential))
    assert spikes.activity().mean() < 0.05 and 0.02 < chains.spikes().mean() < 0.2  # not 0.9


def test_units_that_are_given_count_as_others_do():
    """The potentials of the other units are the same as if all were fitted."""
    rng = np.random.default_rng(0)
    h, weights = rng.normal(size=(300, 3)), rng.normal(size=(20, 3)) * (rng.random((20, 3)) < 0.4)
    fields = np.full(20, -1.0)
    fitted, kinks = fit_potentials(h, fields, weights)
    potential, kinks_of_others = fit_potentials(h, fields, weights, n_given=2)
    np.testing.assert_array_equal(potential, fitted[:, 2:])
    np.testing.assert_array_equal(kinks_of_others, kinks[2:])
    assert fit_potentials(h, fields, weights, n_given=3)[0].shape == (4, 0)


def test_the_kink_of_a_dReLU_lies_between_two_states_where_both_are_on_one_side():
    """Wells at 0.6 and 3, with the kink at 2: no dReLU with its kink at 0 has them both."""
    rng = np.random.default_rng(0)
    truth = np.array([20.0, 5.0, -20.0, 7.0])
    h = 2.0 + DReLU(*truth[:, None]).sample(np.zeros((20_000, 1)), rng)
    potential, kinks = fit_potentials(h, np.empty(0), np.empty((0, 1)))
    assert abs(kinks[0] - 2.0) < 0.4  # half-way between the states
    grid = np.linspace(-1.0, 4.0, 200)
    density, of_truth = (
        np.exp(-DReLU(*p[:, None]).potential((grid - kink)[:, None])[:, 0])
        for p, kink in ((potential[:, 0], kinks[0]), (truth, 2.0))
    )
    np.testing.assert_allclose(density / density.sum(), of_truth / of_truth.sum(), atol=0.002)


def test_the_kink_stays_at_zero_where_h_is_graded():
    """An exponential tail above 0 and a steep wall below it."""
    h = np.random.default_rng(0).exponential(size=(5000, 1)) - 0.02
    assert fit_potentials(h, np.empty(0), np.empty((0, 1)))[1] == 0.0


def test_fields_give_in_where_a_kink_is_moved():
    """The neurons have their activity at the start, so the shift of h changed no probability."""
    recording = plant_recording(200, 4, (40, 50), 2000, 20, random_state=0)
    spikes = as_spikes(recording.spikes)
    units = find_linear_units(spikes, 4, 0.01, np.random.default_rng(0))
    start = warm_start(spikes, 4, 0.01, np.random.default_rng(0))
    _, kinks = fit_potentials(units.h, balance_fields(spikes, units.rise, units.h), units.rise)
    assert np.abs(kinks).min() > 0.1
    p = expit(start.fields + (units.h - kinks) @ start.weights.T).mean(axis=0)
    np.testing.assert_allclose(p, spikes.activity(), atol=5e-3)


def test_units_of_a_start_have_their_two_states_on_either_side_of_the_kink():
    """With both on the same side a unit of a large recording got a soft potential.

    Then h runs on to values that the data do not have, and stays there for thousands of steps.
    """
    recording = plant_recording(1500, 20, (60, 100), 3000, 100, random_state=0)
    spikes, on = as_spikes(recording.spikes), np.asarray(recording.truth.states) > 0
    start = warm_start(spikes, 20, 0.01, np.random.default_rng(0))
    n = start.n_linear_units
    h = DReLU(*start.potential).mean(spikes.inputs(start.weights))[:, :n]
    state = np.abs(np.corrcoef(on.T, h.T)[:20, 20:]).argmax(axis=0)
    for mu in range(n):
        is_on = on[:, state[mu]]
        assert np.quantile(h[~is_on, mu], 0.9) < -0.5 and np.quantile(h[is_on, mu], 0.1) > 0.2
