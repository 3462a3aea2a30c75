"""Gradients of log P(sequence) against finite differences of its enumeration."""

import numpy as np
import pytest

from crbm_lite import CRBM
from crbm_lite.core.drelu import DReLU
from crbm_lite.temporal.gradients import (
    back_propagated,
    half_moments_given_input,
    potential_slope,
    recurrence_slopes,
)
from tests.temporal.sequences import (
    FRAMES,
    STATES,
    WINDOWS,
    filtered,
    finite_difference,
    log_probability,
    parameters,
    probability_of_states,
    recurrence_of,
)


def slopes(p):
    """All slopes, with the means of the model from the enumeration."""
    inputs, found = filtered(p)
    units, v = DReLU(*p["potential"]), FRAMES[WINDOWS.frames]
    probability = probability_of_states(p, found.drive)
    state_inputs = STATES @ p["weights"] + found.drive[:, None, :]
    state_h = units.mean(state_inputs)
    mean_h = np.einsum("ts,tsm->tm", probability, state_h)
    by_drive, by_mean_h = back_propagated(
        found.mean_h - mean_h, found.variance, WINDOWS, p["couplings"]
    )
    of_couplings = recurrence_slopes(by_drive, found.mean_h, WINDOWS, recurrence_of(p))
    data_h = found.mean_h + found.variance * by_mean_h
    moments = half_moments_given_input(inputs + found.drive, units)
    flat = half_moments_given_input(state_inputs.reshape(-1, 2), units)
    of_states = potential_slope(flat).reshape(4, *state_inputs.shape)
    return of_couplings._asdict() | {
        "weights": v.T @ data_h - np.einsum("ts,si,tsm->im", probability, STATES, state_h),
        "fields": v.sum(axis=0) - (probability @ STATES).sum(axis=0),
        "potential": potential_slope(moments, by_mean_h).sum(axis=1)
        - np.einsum("ts,ptsm->pm", probability, of_states),
    }


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "name", ["couplings", "offset", "initial", "weights", "fields", "potential"]
)
def test_every_slope_is_the_finite_difference_of_the_enumeration(name, seed):
    p = parameters(seed)
    found = slopes(p)[name]
    assert np.abs(found).max() > 0.05
    np.testing.assert_allclose(found, finite_difference(p, name), rtol=1e-5, atol=1e-7)


def test_rescaling_and_turning_units_leaves_the_sequence_as_probable_as_it_was(monkeypatch):
    p = parameters()
    scale = np.array([1.7, -0.6])
    moved = recurrence_of(p).rescaled(scale)
    gamma_plus, gamma_minus, theta_plus, theta_minus = p["potential"]
    turned = np.array([gamma_minus, gamma_plus, -theta_minus, -theta_plus])
    upright = np.where(scale > 0, p["potential"], turned) * np.abs(scale) ** [[2], [2], [1], [1]]
    other = p | {
        "weights": p["weights"] * scale,
        "potential": upright,
        "couplings": moved.couplings,
        "offset": moved.offset,
        "initial": moved.initial,
    }
    before = log_probability(p)
    monkeypatch.setattr("tests.temporal.sequences.MEAN_H", moved.mean_h)
    assert log_probability(other) == pytest.approx(before, abs=1e-10)


def test_without_couplings_every_frame_is_one_of_the_crbm():
    p = parameters()
    for name in ("couplings", "offset", "initial"):
        p[name] = np.zeros_like(p[name])
    model = CRBM.from_parameters(p["weights"], p["fields"], *p["potential"])
    log_p = -model.free_energy(FRAMES) - model.log_partition("exact")
    assert log_probability(p) == pytest.approx(log_p.sum(), abs=1e-10)
