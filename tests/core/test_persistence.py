"""Which units jump: two-state chains of known switching times, and turns of jumps and pauses."""

import numpy as np
import pytest

from crbm_lite.core.persistence import UPDATES_OF_A_LOOK as LOOK
from crbm_lite.core.persistence import begin_watch, watched

N_CHAINS = 4000


def states(time, on, n_updates, rng):
    """Two-state chains (updates, chains, 1) of correlation e^(-t / time), on for a share."""
    out = np.empty((n_updates, N_CHAINS, 1))
    out[0] = rng.random((N_CHAINS, 1)) < on
    for t in range(1, n_updates):
        renewed = rng.random((N_CHAINS, 1)) > np.exp(-1 / time)
        out[t] = np.where(renewed, rng.random((N_CHAINS, 1)) < on, out[t - 1])
    return out


def after_looks(m, spread, watch=None):
    """The watch after looks at m (updates, chains, M); the data have this spread."""
    watch = begin_watch(*m.shape[1:]) if watch is None else watch
    for m_now in m:
        watch = watched(watch, m_now, np.full(m.shape[2], spread))
    return watch


def share_forgotten(time):
    """1 - rho, the mean over what a look compares."""
    return 1 - np.exp(-np.arange(10, 20) / time).mean()


@pytest.mark.parametrize("time", [3, 20, 40, 1000])
@pytest.mark.parametrize("on", [0.5, 0.05])
def test_a_look_measures_the_correlation_over_its_time(time, on):
    m = states(time, on, 2 * LOOK, np.random.default_rng(time))
    watch = after_looks(m[:LOOK], on * (1 - on))
    share = watch["moved"][0] / watch["spread"][0]
    assert share == pytest.approx(share_forgotten(time), abs=0.1)
    assert not watch["slow"][0]  # one look may be chance
    watch = after_looks(m[LOOK:], on * (1 - on), watch)
    assert watch["slow"][0] == watch["jumping"][0] == (time > 25)


def test_what_a_unit_does_within_a_well_does_not_hide_that_it_stays_there():
    rng = np.random.default_rng(0)
    m = states(1000, 0.5, 2 * LOOK, rng)
    m += rng.normal(0, 0.25, m.shape)  # a fifth of the variance, forgotten at once
    assert after_looks(m, m.var())["slow"][0]


def test_chains_that_are_all_in_one_well_are_slow_and_not_fast():
    m = np.random.default_rng(0).normal(0, 0.1, (2 * LOOK, 100, 1))
    assert after_looks(m, 1.0)["slow"][0]  # the data are in both
    assert not after_looks(m, 0.01)["slow"][0]  # the data are in this one, too


def test_a_unit_without_weights_does_not_jump():
    m = np.full((2 * LOOK, 100, 1), 0.1)
    m[:, ::2] += 1e-16  # a rounding error
    assert m[0].var() > 0 and not after_looks(m, 0.0)["slow"][0]


def test_a_unit_begins_to_jump_later_than_it_ends():
    between = 20
    assert 0.45 < share_forgotten(between) < 0.6
    m = states(between, 0.5, 2 * LOOK, np.random.default_rng(1))
    assert not after_looks(m, 0.25)["slow"][0]
    slow = begin_watch(N_CHAINS, 1) | {"slow": np.array([True])}
    assert after_looks(m[:LOOK], 0.25, slow)["jumping"][0]


def test_units_pause_in_turns_and_end_where_gibbs_sampling_has_become_fast():
    rng = np.random.default_rng(2)
    still = np.tile(states(1, 0.5, 1, rng), (LOOK, 1, 3))
    watch, turns = begin_watch(N_CHAINS, 3), []
    for _ in range(24):
        watch = after_looks(still, 0.25, watch)
        turns.append(watch["jumping"].astype(int))
    spell, pause = [1] * 10, [0]
    for mu, turn in enumerate(np.transpose(turns).tolist()):
        assert turn == ([0] + [1] * (10 - mu) + pause + spell + pause + spell)[:24]
    fast = np.concatenate([states(2, 0.5, LOOK, rng) for _ in range(3)], axis=2)
    for look in range(11):  # they jump on until their pause, in which it is found out
        watch = after_looks(fast, 0.25, watch)
        assert watch["slow"].tolist() == [look < 10 - mu for mu in range(3)]


def test_a_unit_that_is_slow_only_while_another_pauses_does_not_begin_to_jump():
    rng = np.random.default_rng(3)
    watch = begin_watch(N_CHAINS, 1)
    for time in (1, 1000, 1, 1000, 1):
        watch = after_looks(states(time, 0.5, LOOK, rng), 0.25, watch)
        assert not watch["slow"][0]
