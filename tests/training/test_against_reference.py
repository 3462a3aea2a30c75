"""Both trainers make the update of the plain numpy reference, given the frames and the chains."""

import mpmath as mp
import numpy as np
import pytest

from crbm_lite.core import reference as ref
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.start import Start
from crbm_lite.training.trainer import NumbaTrainer
from tests.training.enumerable import log_weight

N, M, T = 150, 5, 60
SCHEDULE = Schedule(
    n_updates=40, batch_size=12, n_chains=21, n_gibbs=2, jump_every=0, l1=0.02, learning_rate=0.01,
    final_learning_rate=0.002, decay_start=0.3, ramp=0.4, average_from=0.0, beta2=0.9, epsilon=1e-6,
)  # fmt: skip
SETTINGS = {
    "sparse": {},
    "dense": {"density": 1.0},
    "one frame": {"batch_size": 1},
    "all frames": {"batch_size": T, "density": 0.6},
    "sixteen chains": {"n_chains": 16},
    "jumps": {"jump_every": 2},
    "no penalty": {"l1": 0.0},
    "refit": {"refit": 0.8},
}


def make_trainer(backend, density=0.2, **changes):
    """A trainer in the midst of a run, and its data."""
    rng = np.random.default_rng(1)
    v = (rng.random((T, N)) < rng.uniform(0.05, 0.5, N)).astype(np.uint8)
    weights = rng.normal(0, 0.2, (N, M)).astype(np.float32)
    weights[rng.random((N, M)) >= density] = 0
    potential = np.concatenate([rng.uniform(0.6, 1.6, (2, M)), rng.normal(0, 0.7, (2, M))])
    start = Start(weights, rng.normal(-1, 0.5, N), potential, field_rate_factor=3.0)
    schedule = Schedule(**vars(SCHEDULE) | changes)
    if backend == "numba":
        trainer = NumbaTrainer(as_spikes(v), start, schedule, rng)
    else:
        pytest.importorskip("jax")
        from crbm_lite.training.accelerator.trainer import JaxTrainer

        trainer = JaxTrainer(as_spikes(v), start, schedule, rng)
    state = trainer.state() | {
        "update": 8,
        "weight_square": rng.uniform(0, 0.02, (N, M)).astype(np.float32),
        "weight_average": rng.normal(0, 0.03, (N, M)).astype(np.float32),
        "field_square": rng.uniform(0, 0.1, N),
        "hidden_square": rng.uniform(0, 0.1, (4, M)),
        "mean_h": rng.normal(0, 0.2, M),
    }
    trainer.restore(state)
    return trainer, v


def chains_of(trainer):
    if isinstance(trainer, NumbaTrainer):
        return trainer.chains.spikes().astype(float)
    return trainer.state()["v"].astype(float)


def reference_state(trainer):
    state = trainer.state()
    return ref.State(*(state[name].astype(float) for name in ref.State._fields))


def update_both(trainer, v):
    """Update the trainer; return what the reference makes of the same, and the effective share."""
    old, rates = reference_state(trainer), trainer.plan.rates()
    next_frames, taken = trainer.plan.next_frames, []

    def noted():
        taken.append(next_frames())
        return taken[-1]

    trainer.plan.next_frames = noted
    share = trainer.one_update(measure=True)
    trainer.plan.next_frames = next_frames
    (frames,) = taken
    activity, chains = v.mean(axis=0), chains_of(trainer)
    new, _ = ref.one_update(old, v[frames].astype(float), chains, 0, activity, rates, None)
    return old, new, share


@pytest.mark.parametrize("backend", ["numba", "jax"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_updates_are_those_of_the_reference(backend, setting):
    trainer, v = make_trainer(backend, **SETTINGS[setting])
    averaged, stopped, revived = [], 0, 0
    for _ in range(14):  # from update 8 over the tenth and the twentieth, which are averaged
        old, expected, _ = update_both(trainer, v)
        found = reference_state(trainer)
        for name in ref.State._fields:
            np.testing.assert_allclose(
                getattr(found, name), getattr(expected, name), rtol=2e-5, atol=2e-7, err_msg=name
            )
        stopped += ((old.weights != 0) & (found.weights == 0)).sum()
        revived += ((old.weights == 0) & (found.weights != 0)).sum()
        state, activity = trainer.state(), v.mean(axis=0)
        offset = activity @ found.weights
        np.testing.assert_allclose(state["offset"], offset, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state["size"], np.abs(found.weights).sum(axis=0), rtol=1e-5)
        assert trainer.density() == (found.weights != 0).mean()
        now = (found.weights, found.fields, ref.potential_given_coordinates(found.hidden, offset))
        if trainer.plan.update in (10, 20):
            averaged.append(now)
    assert stopped > 0 and (revived == 0) == (setting == "refit")
    end, chains = trainer.finish()
    if setting == "refit":  # its first half is not averaged
        averaged = [now]
    weights, fields, potential = (np.mean(x, axis=0) for x in zip(*averaged))
    weights[found.weights == 0] = 0.0
    for a, b in zip((end.weights, end.fields, end.potential), (weights, fields, potential)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        chains.inputs(), chains.spikes() @ end.weights.astype(float), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("backend", ["numba", "jax"])
def test_no_curvature_falls_below_its_bound(backend):
    trainer, v = make_trainer(backend)
    state = trainer.state()
    hidden = state["hidden"].copy()
    hidden[0, 0] = np.log(0.5 * ref.LEAST_GAMMA)
    trainer.restore(state | {"hidden": hidden})
    _, expected, _ = update_both(trainer, v)
    found = reference_state(trainer)
    np.testing.assert_allclose(found.hidden, expected.hidden, rtol=2e-5, atol=2e-7)
    # what comes after it, the rescaling by a batch, moves log gamma by .22 at most
    assert abs(found.hidden[0, 0] - np.log(ref.LEAST_GAMMA)) < 0.23


@pytest.mark.parametrize("backend", ["numba", "jax"])
def test_the_effective_share_is_that_of_the_importance_weights(backend):
    trainer, v = make_trainer(backend, learning_rate=0.5, final_learning_rate=0.5, ramp=0.0)
    old, new, share = update_both(trainer, v)
    chains, activity = chains_of(trainer), v.mean(axis=0)
    before, after = (
        log_weight(chains, s.weights, s.fields,
                   ref.potential_given_coordinates(s.hidden, activity @ s.weights))
        for s in (old, new)
    )  # fmt: skip
    w = np.exp(after - before - (after - before).max())
    expected = w.sum() ** 2 / (len(w) * (w**2).sum())
    assert share == pytest.approx(expected, rel=1e-3) and 1 / len(w) < share < 0.9


def test_after_an_update_packed_rows_and_inputs_are_those_of_the_new_weights():
    for density in (0.2, 1.0):
        trainer, _ = make_trainer("numba", density=density)
        trainer.one_update()
        weights, chains = trainer.parameters.weights, trainer.chains
        np.testing.assert_array_equal(chains.packed_rows.n_nonzero, (weights != 0).sum(axis=1))
        inputs = chains.spikes() @ weights.astype(float)
        np.testing.assert_allclose(chains.inputs(), inputs, rtol=1e-5, atol=1e-6)
        chains.update_inputs()  # from the packed rows
        np.testing.assert_allclose(chains.inputs(), inputs, rtol=1e-5, atol=1e-6)


def test_statistics_of_hidden_units_are_the_means_of_the_reference():
    rng = np.random.default_rng(0)
    potential = np.concatenate([rng.uniform(0.5, 2, (2, M)), rng.normal(0, 2, (2, M))])
    inputs, mean_h = rng.normal(0, 4, (200, M)), rng.normal(size=M)
    found = kernels.hidden_statistics(inputs, potential, mean_h)
    expected = ref.hidden_means(inputs, potential, mean_h)
    features = found[[kernels.UP_SQUARE, kernels.DOWN_SQUARE, kernels.UP, kernels.DOWN]]
    slopes = np.array([-0.5, -0.5, -1.0, -1.0])[:, None, None] * features
    for a, b in (
        (found[kernels.MEAN], expected.h),
        (found[kernels.SQUARE], expected.h_square),
        (slopes, expected.likelihood_slope),
        (found[kernels.VAR_GAMMA_PLUS :], expected.variance_slope),
        (found[kernels.VAR_I], expected.variance_slope_in_input),
    ):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def test_statistics_keep_their_digits_where_both_thresholds_are_far():
    """Both halves are tails there, whose moments are small differences of large numbers."""
    theta = np.array([4.0, 4.9, 5.1, 9.0, 40.0])
    potential = np.stack([np.ones(5), 2.0 * np.ones(5), theta, -theta * np.sqrt(2.0)])
    inputs, mean_h = np.zeros((3, 5)), np.zeros(5)
    found = kernels.hidden_statistics(inputs, potential, mean_h)[:, 0]
    square, fourth = {}, {}
    for name, gamma, slope in (("up", 1.0, theta), ("down", 2.0, theta * np.sqrt(2.0))):
        moments = [
            [float(mp.quad(lambda z, n=n, c=c, g=gamma: z**n * mp.exp(-g * z**2 / 2 - c * z),
                           [0, 1 / c, 4 / c, 20 / c, 90 / c])) for n in (0, 2, 4)]
            for c in slope
        ]  # fmt: skip
        weight, square[name], fourth[name] = np.array(moments).T
        square[name, "weight"] = weight
    norm = square["up", "weight"] + square["down", "weight"]
    a2, b2, a4 = square["up"] / norm, square["down"] / norm, fourth["up"] / norm
    np.testing.assert_allclose(found[kernels.UP_SQUARE], a2, rtol=1e-9)
    np.testing.assert_allclose(found[kernels.DOWN_SQUARE], b2, rtol=1e-9)
    slope = -0.5 * (a4 - a2 * (a2 + b2))  # of Var(h) about 0 in gamma_plus
    np.testing.assert_allclose(found[kernels.VAR_GAMMA_PLUS], slope, rtol=1e-8)
