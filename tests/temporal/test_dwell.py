"""Hysteresis and dwell times on traces whose switches are known."""

import numpy as np
import pytest

from crbm_lite.assemblies.dynamics import hidden_states
from crbm_lite.temporal.dwell import dwell_times_s, states_with_hysteresis

SQUARE = np.tile(np.repeat([0, 1], [12, 8]), 40)


def test_hysteresis_finds_the_dwell_time_that_a_threshold_cuts():
    h = (2 * SQUARE + np.random.default_rng(0).normal(0, 0.45, SQUARE.size))[:, None]
    states = hidden_states(h)
    single = dwell_times_s(states_with_hysteresis(h, states, 0.0), 2.0)[0]
    late = dwell_times_s(states_with_hysteresis(h, states, 0.25), 2.0)[0]
    assert np.array_equal(states_with_hysteresis(h, states, 0.0), states.active)
    assert single.mean() < 3.7
    assert late.mean() == pytest.approx(4.0, abs=0.1)


def test_what_an_end_or_a_jump_cuts_does_not_count():
    active = np.array([1, 1, 0, 1, 1, 0, 1, 0, 0, 1])[:, None]
    assert dwell_times_s(active, 1.0)[0].tolist() == [2, 1]
    assert dwell_times_s(active, 1.0, [4])[0].tolist() == [1]
    assert dwell_times_s(0 * active, 1.0)[0].size == 0


def test_units_that_never_switch_are_off_and_margins_have_a_range():
    flat = np.ones((20, 1))
    assert not states_with_hysteresis(flat, hidden_states(flat)).any()
    with pytest.raises(ValueError, match=r"margin is 0\.5"):
        states_with_hysteresis(flat, hidden_states(flat), 0.5)
