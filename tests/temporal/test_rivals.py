"""Forecasts of the next frame on a recording whose units are two-state chains."""

import importlib.util
import sys

import numpy as np
import pytest

from crbm_lite import CRBM, Recording
from crbm_lite.temporal import rivals
from crbm_lite.temporal.controls import reversed_in_time, shuffled_in_blocks
from crbm_lite.temporal.scores import block_interval, likelihood_gain
from crbm_lite.temporal.temporal_crbm import TemporalCRBM

HAS_HMM = importlib.util.find_spec("hmmlearn") is not None
SETTINGS = {"n_updates": 60, "n_samples": 500, "random_state": 0, "progress": False}


def chains(n_frames, rng):
    """Two groups of eight neurons, each on or off for ten frames or so."""
    states = np.zeros((n_frames, 2), bool)
    for t in range(1, n_frames):
        flips = rng.random(2) < 0.1
        states[t] = states[t - 1] ^ flips
    p = np.where(np.repeat(states, 8, axis=1), 0.6, 0.1)
    return Recording((rng.random(p.shape) < p).astype(np.uint8), 2.0)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    train, test = chains(1500, rng), chains(600, rng)
    crbm = CRBM(2, l1=0.002, n_updates=600, n_gibbs=5, random_state=0, progress=False).fit(train)
    return TemporalCRBM(crbm, **SETTINGS).fit(train), train, test


def test_those_that_know_the_past_beat_the_rate_and_stay_below_the_truth(fitted):
    temporal, train, test = fitted
    names = [name for name in rivals.RIVALS_IN_TIME if HAS_HMM or "Markov" not in name]
    found = {x.name: x for x in rivals.compare_forecasts(temporal, train, test, names, 20, 0)}
    assert found["rate"].gain_nats == pytest.approx(0.0, abs=1e-12)
    for name in set(found) - {"rate", "own past"}:
        assert found[name].gain_nats > 0.5 * found["temporal"].gain_nats > 0.1, name
        assert found[name].interval[0] < found[name].gain_nats < found[name].interval[1]
    assert found["own past"].gain_nats > 0
    before = test.spikes.astype(bool).reshape(600, 2, 8).sum(axis=2) > 2  # nearly the state
    chance = np.where(np.repeat(before, 8, axis=1), 0.55, 0.15)[:-1]
    v, rate = test.spikes[1:], np.broadcast_to(train.activity, chance.shape)
    bound = rivals.log_likelihood_of_forecast(v, chance) - rivals.log_likelihood_of_forecast(
        v, rate
    )
    assert max(x.gain_nats for x in found.values()) < 1.15 * bound.sum(axis=1).mean()


def test_without_time_there_is_no_gain_and_backwards_there_is_the_same(fitted):
    temporal, train, test = fitted
    gain = likelihood_gain(temporal, test, random_state=0)
    shuffled = TemporalCRBM(temporal.static_, **SETTINGS).fit(shuffled_in_blocks(train, None, 0))
    none = likelihood_gain(shuffled, shuffled_in_blocks(test, None, 1), random_state=0)
    back = TemporalCRBM(temporal.static_, **SETTINGS).fit(reversed_in_time(train))
    back = likelihood_gain(back, reversed_in_time(test), random_state=0)
    assert gain.interval[0] > 0.1 and abs(none.mean) < 0.1 * gain.mean
    assert back.mean == pytest.approx(gain.mean, rel=0.2)  # the chains are reversible


@pytest.mark.parametrize("block", [0, -3, 2.5, "20"])
def test_a_block_that_is_no_number_of_frames_is_named(block):
    with pytest.raises(ValueError, match=r"block is .*: give an integer of 1 or more"):
        rivals.compare_forecasts(None, None, None, ("rate",), block)
    with pytest.raises(ValueError, match=r"block is .*: give an integer of 1 or more"):
        block_interval(np.ones(4), np.arange(4), block, np.random.default_rng(0))


def test_wrong_names_and_a_missing_package_are_told(fitted, monkeypatch):
    temporal, train, test = fitted
    with pytest.raises(ValueError, match=r"names holds \['crystal ball'\]"):
        rivals.compare_forecasts(temporal, train, test, ("crystal ball",))
    monkeypatch.setitem(sys.modules, "hmmlearn.hmm", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crbm_lite\[hmm\]'"):
        rivals.compare_forecasts(temporal, train, test, ("hidden Markov model",))
