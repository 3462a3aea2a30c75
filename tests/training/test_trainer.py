"""The numba trainer: which units it lets jump, and what that changes and does not."""

import numpy as np
import pytest

from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.start import warm_start
from crbm_lite.training.trainer import NumbaTrainer

N_SWITCH, SHARE_ON = 60, 0.4


def recording(gain, n_frames=2000):
    """Sixty neurons that are on and off together (log-odds +gain, -gain), and twenty softer ones.

    The twenty follow a Gaussian signal, which has no wells.
    """
    rng = np.random.default_rng(0)
    switch = np.where(rng.random((n_frames, 1)) < SHARE_ON, gain, -gain)
    signal = -1.5 + 0.7 * rng.standard_normal((n_frames, 1))
    log_odds = np.hstack([switch + np.zeros(N_SWITCH), signal + np.zeros(20)])
    return as_spikes(rng.random(log_odds.shape) < 1 / (1 + np.exp(-log_odds)))


def trainer_of(spikes, jump_every, seed=0):
    schedule = Schedule(
        n_updates=400, batch_size=100, n_chains=50, n_gibbs=2, jump_every=jump_every, l1=0.01,
        learning_rate=2e-3, final_learning_rate=1e-4, decay_start=0.25, ramp=0.0,
        average_from=0.5, beta2=0.999, epsilon=1e-6,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    return NumbaTrainer(spikes, warm_start(spikes, 3, 0.01, rng), schedule, rng)


def test_the_unit_that_gibbs_sampling_cannot_switch_jumps_and_the_others_do_not(monkeypatch):
    """The Gaussian signal begins without wells here, as if its start had been sure of that."""
    monkeypatch.setattr("crbm_lite.training.start._CLEAR", -np.inf)
    others = [others_that_jump_beside_the_switch(seed) for seed in range(5)]
    # another unit, with small weights to the same neurons, may have seemed slow until its pause
    assert sum(others) <= 2


def others_that_jump_beside_the_switch(seed):
    """How many of the two other units are found to need jumps; the switch must be."""
    trainer = trainer_of(recording(gain=2.5), "auto", seed)
    switch = np.abs(trainer.parameters.weights[:N_SWITCH]).sum(axis=0).argmax()
    trainer.chains.set_spikes(np.zeros_like(trainer.chains.spikes()))  # all off
    shares, jumped = [], []
    for _ in range(300):
        trainer.one_update()
        shares.append((trainer.chains.spikes()[:, :N_SWITCH].mean(axis=1) > 0.5).mean())
        jumped.append(trainer.chains.jumping)
    assert max(shares[:40]) < 0.1  # two looks are at Gibbs sampling
    assert np.mean(shares[100:]) == pytest.approx(SHARE_ON, abs=0.1)
    assert trainer.jumping()[switch]
    assert jumped[200][switch] and not jumped[245][switch]  # its jumps pause
    return trainer.jumping().sum() - 1


def test_the_chains_that_are_left_jump_in_a_pause_too():
    trainer = trainer_of(recording(gain=2.5, n_frames=500), "auto")
    for _ in range(245):
        trainer.one_update()
    assert trainer.jumping().any() and not trainer.chains.jumping[trainer.jumping()].all()
    np.testing.assert_array_equal(trainer.finish()[1].jumping, trainer.jumping())


def test_where_no_unit_is_slow_the_run_is_that_without_jumps():
    spikes = recording(gain=0.5)
    trainers = [trainer_of(spikes, jump_every) for jump_every in ("auto", 0)]
    for trainer in trainers:
        for _ in range(60):
            trainer.one_update()
    auto, without = trainers
    assert not auto.jumping().any() and without.jumping() is None
    np.testing.assert_array_equal(auto.parameters.weights, without.parameters.weights)
    np.testing.assert_array_equal(auto.chains.spikes(), without.chains.spikes())


@pytest.mark.parametrize("left_at", [15, 50, 245])  # before it jumps, while it does, in a pause
def test_a_trainer_goes_on_to_the_same_bits_whatever_jumps(left_at):
    spikes = recording(gain=2.5, n_frames=500)
    whole, again = trainer_of(spikes, "auto"), trainer_of(spikes, "auto")
    for _ in range(left_at):
        whole.one_update()
    state = {name: np.array(x) for name, x in whole.state().items() if name != "rng"}
    again.restore({k: x.item() if x.ndim == 0 else x for k, x in state.items()}
                  | {"rng": whole.state()["rng"]})  # fmt: skip
    for trainer in (whole, again):
        for _ in range(40):
            trainer.one_update()
    assert whole.jumping().any()
    for name, value in whole.state().items():
        np.testing.assert_array_equal(again.state()[name], value, err_msg=name)


def test_a_rewind_brings_back_the_parameters_after_they_were_lost():
    trainer = trainer_of(recording(gain=1.0), 0)
    for _ in range(50):
        trainer.one_update()
    now, snapshot = trainer.parameters, trainer.snapshot()
    kept = {name: np.copy(x) for name, x in vars(now).items()}
    on = kept["weights"] != 0
    assert 0.05 < on.mean() < 0.95
    for name in kept.keys() - {"density"}:
        getattr(now, name)[:] = np.nan
    trainer.rewind(snapshot)
    for name in ("weights", "fields", "hidden", "mean_h", "offset", "field_square"):
        np.testing.assert_array_equal(getattr(now, name), kept[name], err_msg=name)
    squares = kept["weight_square"]
    np.testing.assert_array_equal(now.weight_square[on], squares[on])
    np.testing.assert_allclose(now.weight_square[~on], squares[on].mean(), rtol=1e-5)
    trainer.one_update()
    assert trainer.is_finite()


def test_a_rewind_lets_those_units_jump_that_jumped_then():
    trainer = trainer_of(recording(gain=2.5, n_frames=500), "auto")
    for _ in range(45):
        trainer.one_update()
    snapshot, jumping = trainer.snapshot(), trainer.chains.jumping.copy()
    assert jumping.any()
    for _ in range(200):
        trainer.one_update()
    assert (trainer.chains.jumping != jumping).any()  # a pause
    trainer.rewind(snapshot)
    np.testing.assert_array_equal(trainer.chains.jumping, jumping)
