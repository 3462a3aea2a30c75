"""The second data term in the compiled update: by enumeration, by numba's update, in whole runs."""

import numpy as np
import pytest
from scipy.special import expit

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.training.coordinates import coordinates_given_potential, gradient_in_coordinates
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.start import Start
from tests.training import test_hidden_term as of_numba
from tests.training.enumerable import STATES, N, distribution, finite_difference
from tests.training.runs import bits
from tests.training.test_hidden_term import SHARE, case, fitted, problem  # noqa: F401

jax = pytest.importorskip("jax")

from crbm_lite.training.accelerator import update as jax_update  # noqa: E402
from crbm_lite.training.accelerator.trainer import JaxTrainer  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::crbm_lite.training.accelerator.devices.BackendWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)


def trainer_of(problem, holds, n_chains=20, batch_size=12):  # noqa: F811
    v, weights, fields, potential, h = problem
    schedule = Schedule(
        n_updates=40, batch_size=batch_size, n_chains=n_chains, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=0.01, final_learning_rate=0.01, decay_start=0.0, ramp=0.0, average_from=1.0,
        beta2=0.9, epsilon=1e-6,
    )  # fmt: skip
    start = Start(weights.astype(np.float32), fields, potential, field_rate_factor=1.0)
    term = HiddenTerm(h, SHARE, holds)
    return JaxTrainer(as_spikes(v), start, schedule, np.random.default_rng(3), hidden=term)


@pytest.mark.parametrize("holds", [False, True])
def test_slopes_are_finite_differences_of_the_enumerated_objective(problem, holds):  # noqa: F811
    """Averaged over many chains in equilibrium and many draws, one update's slopes are exact."""
    v, weights, fields, potential, h = problem
    n = 40_000
    many = np.tile(v, (n // len(v), 1)), weights, fields, potential, h
    trainer = trainer_of(many, holds, n_chains=n, batch_size=n)
    mean_h = trainer._fetch("mean_h")
    p = distribution(weights, fields, potential)
    states = STATES[np.random.default_rng(0).choice(2**N, size=n, p=p)].astype(np.uint8)
    trainer._put(trainer._fetch_all() | {"v": states})
    decay = trainer.plan.rates().average_decay
    trainer.one_update()
    after = trainer._fetch_all()
    centre = np.zeros(N) if holds else v.mean(axis=0)

    def moved(w):
        """F where the field and, unless they are held, the thetas move with w."""
        shifted = potential.copy()
        shifted[2:] += centre @ (w - weights)
        field = fields - (w - weights) @ mean_h
        return of_numba.objective(v, h, w, field, shifted)

    def of_fields(g):
        return of_numba.objective(v, h, weights, g, potential)

    def of_potential(u):
        return of_numba.objective(v, h, weights, fields, u)

    expected = finite_difference(moved, weights)
    found = after["weight_average"] / (1 - decay)
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(found, expected, atol=0.02)
    np.testing.assert_allclose(
        np.sqrt(after["field_square"] / 0.1),
        np.abs(finite_difference(of_fields, fields)), atol=0.01,
    )  # fmt: skip
    offset = v.mean(axis=0) @ weights
    slope = gradient_in_coordinates(
        coordinates_given_potential(potential, offset), finite_difference(of_potential, potential)
    )
    in_hidden = np.sqrt(after["hidden_square"] / 0.1)
    np.testing.assert_allclose(in_hidden, 0.0 * slope if holds else np.abs(slope), atol=0.05)


@pytest.mark.parametrize("holds", [False, True])
def test_an_update_is_numba_s_given_its_draws(problem, holds, monkeypatch):  # noqa: F811
    """The same frames, values of h, v drawn from them, and chains: the same parameters."""
    v = problem[0]
    here = trainer_of(problem, holds)
    before, key = here._fetch_all(), here._key
    drawn = []
    draw_h = HiddenTerm.draw_h
    monkeypatch.setattr(
        HiddenTerm, "draw_h", lambda *a: drawn.append(draw_h(*a)) or drawn[-1]
    )  # fmt: skip
    here.one_update()
    after = here._fetch_all()
    (h,) = drawn
    with jax.enable_x64(True):
        key_v = jax.random.split(jax.random.fold_in(jax.random.split(key)[0], 0))[1]
        logits = jax_update.logits_given_h(
            h.astype(np.float32), before["weights"], before["fields"]
        )
        v_drawn = np.asarray(jax_update.sample_neurons(logits, key_v, np.uint8))
    there, _ = of_numba.small_trainer(problem, holds)
    monkeypatch.setattr(HiddenTerm, "draw", lambda *a: (v_drawn.T.copy(), h))
    monkeypatch.setattr(there, "_step_chains", lambda *a: there.chains.set_spikes(after["v"]))
    there.one_update()
    now = vars(there.parameters)
    for name in ("weights", "fields", "hidden", "mean_h", "offset", "weight_average",
                 "field_square", "hidden_square", "size"):  # fmt: skip
        np.testing.assert_allclose(after[name], now[name], rtol=1e-4, atol=1e-5, err_msg=name)
    moved = np.abs(after["hidden"] - before["hidden"]).max()
    assert moved == 0 if holds else moved > 1e-3
    assert len(h) == 12 and v.shape[1] == N


def test_v_is_drawn_from_its_distribution_given_h(problem):  # noqa: F811
    _, weights, fields, potential, h = problem
    n, value = 40_000, h[0]
    term = jax_update.HiddenValues(np.tile(value, (n, 1)).astype(np.float32), None, SHARE)
    state = {"weights": weights.astype(np.float32), "fields": fields, "mean_h": np.zeros(2)}
    units = DReLU(*potential).mean(STATES[:5] @ weights) / 5
    with jax.enable_x64(True):
        v, joined, mean_v = jax_update.joined_batch(
            term, STATES[:5].astype(np.uint8), units, state, jax.random.key(0)
        )
    np.testing.assert_array_equal(v[:5], STATES[:5])
    np.testing.assert_allclose(v[5:].mean(axis=0), expit(fields + weights @ value), atol=0.02)
    np.testing.assert_allclose(mean_v, np.asarray(v[5:]).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(joined[:5], (1 - SHARE) * units)
    np.testing.assert_allclose(joined[5:], np.tile(SHARE * value / n, (n, 1)), rtol=1e-6)


def test_a_run_finds_the_machine_that_both_data_come_from(case):  # noqa: F811
    model, v, h, start = case
    found = fitted(v, start, HiddenTerm(h, 0.5, True), backend="jax")
    assert found.verdict_ == "converged"
    np.testing.assert_allclose(found.weights_, model.weights_, atol=0.25)
    np.testing.assert_allclose(np.stack(found.units.parameters), start.potential, atol=1e-9)


def test_a_run_goes_on_to_the_same_bits(case, tmp_path):  # noqa: F811
    _, v, h, start = case
    term, options = HiddenTerm(h, 0.5), {"n_updates": 60, "backend": "jax"}
    whole = fitted(v, start, term, **options)
    checkpoint = tmp_path / "run.h5"
    fitted(v, start, term, checkpoint=checkpoint, checkpoint_every=40, **options)
    checkpoint.with_name("run.h5.previous").rename(checkpoint)
    again = fitted(v, start, term, checkpoint=checkpoint, resume=True, **options)
    assert bits(again) == bits(whole)
    without = CRBM(**HYPER_OF_CASE).fit_from(v, start)
    assert bits(without) != bits(whole)


HYPER_OF_CASE = {
    "n_hidden": 2, "l1": 0.0, "n_updates": 60, "batch_size": 100, "n_chains": 100, "n_gibbs": 3,
    "random_state": 0, "progress": False, "backend": "jax",
}  # fmt: skip
