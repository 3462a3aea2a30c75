"""The second data term: its slopes by enumeration, its update by plain numpy, whole runs."""

import warnings

import numpy as np
import pytest
from scipy.special import expit

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.training.checkpoint import CheckpointError
from crbm_lite.training.coordinates import coordinates_given_potential, gradient_in_coordinates
from crbm_lite.training.data_side import SLOPE
from crbm_lite.training.hidden_term import HiddenTerm, MixedMeans
from crbm_lite.training.hyperparameters import HyperparameterError, Schedule
from crbm_lite.training.pair_covariances import co_active, missing_pattern
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.start import Start
from crbm_lite.training.trainer import NumbaTrainer
from tests.training.enumerable import (
    STATES,
    M,
    N,
    distribution,
    finite_difference,
    log_weight,
    machine_and_data,
)
from tests.training.runs import bits

SHARE = 0.4


@pytest.fixture(scope="module")
def problem():
    """Data and a machine, and values of h from another machine."""
    v, weights, fields, potential = machine_and_data()
    h = np.random.default_rng(7).normal(0.3, 1.2, (40, M))
    return v, weights, fields, potential, h


def objective(v, h, weights, fields, potential, share=SHARE):
    """(1 - s) <log P(v)> + s <log P(h)>, without a penalty, by enumeration."""
    log_z = np.logaddexp.reduce(log_weight(STATES, weights, fields, potential))
    of_v = log_weight(v, weights, fields, potential).mean()
    of_h = np.logaddexp(0.0, fields + h @ weights.T).sum(axis=1)
    of_h = (of_h - DReLU(*potential).potential(h).sum(axis=1)).mean()
    return (1 - share) * of_v + share * of_h - log_z


def test_both_densities_have_one_z(problem):
    """P(h), of which the objective takes the logarithm, integrates to 1 with the Z of P(v)."""
    _, weights, fields, potential, _ = problem
    grid = np.linspace(-14.0, 14.0, 561)  # 0 is on it, where the potential has its kink
    h = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, M)
    log_z = np.logaddexp.reduce(log_weight(STATES, weights, fields, potential))
    log_p = np.logaddexp(0.0, fields + h @ weights.T).sum(axis=1) - log_z
    log_p -= DReLU(*potential).potential(h).sum(axis=1)
    density = np.exp(log_p).reshape(len(grid), len(grid))
    assert np.trapezoid(np.trapezoid(density, grid), grid) == pytest.approx(1.0, abs=1e-3)
    mean_h = distribution(weights, fields, potential) @ DReLU(*potential).mean(STATES @ weights)
    found = np.trapezoid(np.trapezoid(density, grid, axis=1) * grid, grid)
    assert found == pytest.approx(mean_h[0], abs=1e-3)


def exact_model(at, centre, weights, fields, potential):
    """The model's <(v - c)(h - mean)>, <v> and slopes, over all states."""
    p = distribution(weights, fields, potential)
    units, inputs = DReLU(*potential), STATES @ weights
    h = units.mean(inputs) - at.mean_h
    covariances = (STATES - centre).T @ (p[:, None] * h)
    from crbm_lite.training import update_kernels as kernels

    out = kernels.hidden_statistics(inputs, potential, at.mean_h)
    unit = (at.statistics(out, inputs) * p[:, None]).sum(axis=1)
    return covariances, p @ STATES, unit


@pytest.mark.parametrize("holds", [False, True])
def test_slopes_of_the_certificate_are_finite_differences_of_the_objective(problem, holds):
    v, weights, fields, potential, h = problem
    weights = weights.astype(np.float32).astype(float)
    mean_h = np.array([0.2, -0.4])
    parameters = TrainedParameters(weights.astype(np.float32), fields, potential, mean_h)
    data = MixedMeans(as_spikes(v), parameters, HiddenTerm(h, SHARE, holds), None)
    in_model = exact_model(data.at, data.centre, weights, fields, potential)
    np.testing.assert_array_equal(data.centre, np.zeros(N) if holds else v.mean(axis=0))

    def moved(w):
        """F where the field and, unless they are held, the thetas move with w."""
        shifted = potential.copy()
        shifted[2:] += data.centre @ (w - weights)
        return objective(v, h, w, fields - (w - weights) @ mean_h, shifted)

    found = data.covariances(slice(0, N))[0] - in_model[0]
    expected = finite_difference(moved, weights)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        data.activity - in_model[1],
        finite_difference(lambda g: objective(v, h, weights, g, potential), fields),
        atol=1e-6,
    )
    slope = finite_difference(lambda u: objective(v, h, weights, fields, u), potential)
    slope = gradient_in_coordinates(coordinates_given_potential(potential, data.at.offset), slope)
    unit = data.unit - in_model[2]
    np.testing.assert_allclose(unit[:SLOPE], slope, atol=1e-6)
    np.testing.assert_allclose(unit[SLOPE], (weights * expected).sum(axis=0), atol=1e-6)
    assert np.isinf(data.tolerances.unit[:SLOPE]).all() == holds
    assert np.isinf(data.tolerances.variance).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_pair_covariances_are_held_against_those_of_the_mixture(problem, share):
    """The moments of v in which the objective is stationary, whatever the weights."""
    _, weights, fields, potential, h = problem
    rng = np.random.default_rng(0)
    p = distribution(weights, fields, potential)
    v = STATES[rng.choice(2**N, size=40_000, p=p)].astype(np.uint8)
    parameters = TrainedParameters(weights.astype(np.float32), fields, potential, np.zeros(M))
    data = MixedMeans(as_spikes(v), parameters, HiddenTerm(h, share), rng)
    some = np.array([1, 4, 6])
    found = data.frames(some).astype(float)
    given_h = expit(fields + h @ weights.T)[:, some]
    both = given_h.T @ given_h / len(h)
    np.fill_diagonal(both, given_h.mean(axis=0))
    own = v[:, some].astype(float)
    expected = (1 - share) * own.T @ own / len(own) + share * both
    np.testing.assert_allclose(found.T @ found / len(found), expected, atol=0.01)
    n_data = round((1 - share) * len(found))
    assert max(n_data, len(found) - n_data) == pytest.approx(len(v), abs=1)
    first, second = np.array_split(found, 2)  # the two are mixed all along
    np.testing.assert_allclose(first.mean(axis=0), second.mean(axis=0), atol=0.02)


def small_trainer(problem, holds=False, **changes):
    v, weights, fields, potential, h = problem
    schedule = Schedule(
        **{
            "n_updates": 40, "batch_size": 12, "n_chains": 20, "n_gibbs": 1, "jump_every": 0,
            "l1": 0.02, "learning_rate": 0.01, "final_learning_rate": 0.01, "decay_start": 0.0,
            "ramp": 0.0, "average_from": 1.0, "beta2": 0.9, "epsilon": 1e-6,
        } | changes
    )  # fmt: skip
    start = Start(weights.astype(np.float32), fields, potential, field_rate_factor=1.0)
    term = HiddenTerm(h, SHARE, holds)
    return NumbaTrainer(as_spikes(v), start, schedule, np.random.default_rng(3), term), term


@pytest.mark.parametrize("holds", [False, True])
def test_an_update_is_that_of_plain_numpy_given_its_draws(problem, holds, monkeypatch):
    v, weights, _, potential, _ = problem
    trainer, term = small_trainer(problem, holds)
    mean_h = trainer.parameters.mean_h.copy()
    drawn, frames = [], []
    draw, next_frames = term.draw, trainer.plan.next_frames
    monkeypatch.setattr(HiddenTerm, "draw", lambda *a: drawn.append(draw(*a[1:])) or drawn[-1])
    trainer.plan.next_frames = lambda: frames.append(next_frames()) or frames[-1]
    decay = trainer.plan.rates().average_decay
    trainer.one_update()
    (v_drawn, h_drawn), (some,) = drawn[0], frames
    units, chains = DReLU(*potential), trainer.chains.spikes().astype(float)

    def slope(x, h):  # without the centre
        return x.T @ (h - mean_h) / len(x), (h - mean_h).mean(axis=0)

    data, of_h, model = (
        slope(v[some].astype(float), units.mean(v[some] @ weights)),
        slope(v_drawn.T.astype(float), h_drawn),
        slope(chains, units.mean(chains @ weights)),
    )
    mixed = [(1 - SHARE) * a + SHARE * b - c for a, b, c in zip(data, of_h, model)]
    centre = np.zeros(N) if holds else v.mean(axis=0)
    expected = mixed[0] - np.outer(centre, mixed[1])
    np.testing.assert_allclose(
        trainer.parameters.weight_average / (1 - decay), expected, rtol=1e-3, atol=1e-5
    )
    mean_v = (1 - SHARE) * v.mean(axis=0) + SHARE * v_drawn.mean(axis=1)
    np.testing.assert_allclose(
        trainer.parameters.field_square, 0.1 * (mean_v - chains.mean(axis=0)) ** 2, atol=1e-9
    )
    moved = np.abs(trainer.potential - potential).max()
    assert moved < 1e-9 if holds else moved > 1e-3


def test_draws_are_of_the_given_values_and_of_v_given_them(problem):
    _, weights, fields, _, h = problem
    chains = GibbsChains(N, M, 16, 0, 0)
    chains.set_weights(weights.astype(np.float32))
    term = HiddenTerm(h[:2], SHARE)
    v, drawn = term.draw(40_000, chains, fields.astype(np.float32), np.random.default_rng(0))
    for value in h[:2]:
        of_value = (drawn == value).all(axis=1)
        assert of_value.mean() == pytest.approx(0.5, abs=0.02)
        p = expit(fields + weights @ value)
        np.testing.assert_allclose(v[:, of_value].mean(axis=1), p, atol=0.02)


def machine():
    """A machine with two strong double wells over eight neurons, data of it and draws of its h."""
    weights = np.zeros((N, M), np.float32)
    weights[:4, 0], weights[4:, 1] = 1.2, -1.0
    potential = [[1.6, 1.5], [1.5, 1.6], [1.5, -2.2], [2.8, -1.2]]
    model = CRBM.from_parameters(weights, np.zeros(N), *potential)
    v = model.sample(4000, n_chains=400, n_steps=5, burn_in=20, random_state=1)
    others = model.sample(4000, n_chains=400, n_steps=5, burn_in=20, random_state=2)
    return model, v, model.sample_h_given_v(others, np.random.default_rng(0))


def fitted(v, start, hidden, **changes):
    options = {
        "n_hidden": M, "l1": 0.0, "n_updates": 1500, "batch_size": 100, "n_chains": 100,
        "n_gibbs": 3, "random_state": 0, "progress": False,
    }  # fmt: skip
    where = {k: changes.pop(k) for k in ("checkpoint", "checkpoint_every", "resume")
             if k in changes}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CRBM(**options | changes).fit_from(v, start, hidden=hidden, **where)


@pytest.fixture(scope="module")
def case():
    model, v, h = machine()
    potential = np.stack(model.units.parameters)
    start = Start(0.7 * model.weights_, model.fields_ + 0.2, potential, field_rate_factor=1.0)
    return model, v, h, start


@pytest.mark.parametrize("holds", [False, True])
def test_a_run_finds_the_machine_that_both_data_come_from(case, holds):
    model, v, h, start = case
    found = fitted(v, start, HiddenTerm(h, 0.5, holds))
    assert found.verdict_ == "converged"
    np.testing.assert_allclose(found.weights_, model.weights_, atol=0.25)
    assert (found.weights_[4:, 1] < -0.8).all()  # the sign of a negative unit stays
    spread = found.sample_h_given_v(v, np.random.default_rng(0)).std(axis=0) / h.std(axis=0)
    np.testing.assert_allclose(spread, 1.0, atol=0.1)  # in the scale of the values
    if holds:
        np.testing.assert_allclose(np.stack(found.units.parameters), start.potential, atol=1e-9)


def test_a_student_between_two_data_that_differ_is_at_its_optimum(case):
    """The values have one unit in one well: half of its pattern in the frames is all there can be.

    Against the frames alone the model would lack more than the 2 % that are tolerated.
    """
    _, v, h, start = case
    found = fitted(v, start, HiddenTerm(h[h[:, 0] > h[:, 0].mean()], 0.5, True))
    assert found.verdict_ == "converged" and found.certificate_.missing_gain < 0.01
    samples = found.sample(20_000, n_chains=400, n_steps=5, burn_in=20, random_state=0)
    assert missing_pattern(v, co_active(samples), len(samples))[0] > 0.025


def test_the_certificate_sees_a_machine_of_other_values(case):
    """Twice the values of h that the spikes ask for: no machine of held potentials has both."""
    _, v, h, start = case
    found = fitted(v, start, HiddenTerm(2.0 * h, 0.5, True), n_updates=30)
    assert found.verdict_ == "not converged" and found.certificate_.failed


def test_a_run_goes_on_to_the_same_bits_and_not_with_other_values(case, tmp_path):
    _, v, h, start = case
    term = HiddenTerm(h, 0.5)
    whole = fitted(v, start, term, n_updates=60)
    checkpoint = tmp_path / "run.h5"
    fitted(v, start, term, n_updates=60, checkpoint=checkpoint, checkpoint_every=40)
    checkpoint.with_name("run.h5.previous").rename(checkpoint)  # as it was after 40 updates
    again = fitted(v, start, term, n_updates=60, checkpoint=checkpoint, resume=True)
    assert bits(again) == bits(whole)
    with pytest.raises(CheckpointError, match="hidden values"):
        fitted(v, start, HiddenTerm(-h, 0.5), n_updates=60, checkpoint=checkpoint, resume=True)
    with pytest.raises(CheckpointError, match=r"hidden values is '.*' there and '' here"):
        whole.fit(v, checkpoint=checkpoint, resume=True)  # which would train on spikes alone
    with pytest.raises(CheckpointError, match="the start"):
        fitted(v, Start(0.4 * start.weights, start.fields, start.potential, 1.0), term,
               n_updates=60, checkpoint=checkpoint, resume=True)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"l1": "auto"}, 'l1 is "auto"'),
        ({"n_hidden": 3}, "n_hidden is 3"),
    ],
)
def test_what_a_given_start_cannot_do_is_refused(case, changes, match):
    _, v, h, start = case
    with pytest.raises(HyperparameterError, match=match):
        fitted(v, start, HiddenTerm(h, 0.5), **changes)


def test_values_of_other_units_are_refused(case):
    _, v, h, start = case
    with pytest.raises(HyperparameterError, match="hidden has values of 1 units"):
        fitted(v, start, HiddenTerm(h[:, :1], 0.5))
