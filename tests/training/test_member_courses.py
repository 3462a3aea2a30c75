"""Courses of members: a regression by other means, and what it gains where assemblies overlap."""

import numpy as np
import pytest

import crbm_lite as cl
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.linear_units import linear_units_given_courses, rotated_components
from crbm_lite.training.member_courses import courses_of_members


def standardised(h):
    return (h - h.mean(axis=0)) / h.std(axis=0)


def test_courses_are_those_of_a_ridge_regression_weighted_by_the_noise_of_spikes():
    """Least squares of (v - p - D W h) / sqrt(D) with h of unit variance, frame by frame."""
    rng = np.random.default_rng(0)
    v = rng.random((60, 25)) < rng.uniform(0.05, 0.5, size=25)
    w = rng.normal(size=(25, 4)) * (rng.random((25, 4)) < 0.4)
    p = v.mean(axis=0)
    sd = np.sqrt(p * (1.0 - p))
    design = np.vstack([sd[:, None] * w, np.eye(4)])
    target = np.hstack([(v - p) / sd, np.zeros((60, 4))])
    h = np.linalg.lstsq(design, target.T, rcond=None)[0].T
    np.testing.assert_allclose(courses_of_members(as_spikes(v), w), standardised(h), atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_courses_come_nearer_to_the_true_states_where_assemblies_overlap(seed):
    """Summing up the spikes of members instead is worse here than the components."""
    recording = cl.plant_recording(800, 12, (60, 140), 2400, 40, random_state=seed)
    spikes, on = as_spikes(recording.spikes), np.asarray(recording.truth.states, float)
    courses = rotated_components(spikes, 30, np.random.default_rng(0))
    rise = linear_units_given_courses(spikes, courses, 0.02).rise

    def to_truth(h):
        return np.abs(np.corrcoef(on.T, h.T)[:12, 12:]).max(axis=1).mean()

    found = to_truth(courses_of_members(spikes, rise))
    assert found > to_truth(courses) + 0.005
    assert found > to_truth(spikes.inputs(rise)) + 0.01


def test_units_without_members_have_no_course():
    spikes = as_spikes(np.random.default_rng(0).random((40, 6)) < 0.3)
    w = np.zeros((6, 3))
    assert courses_of_members(spikes, w).shape == (40, 0)
    w[2:4, 1] = 1.0
    assert courses_of_members(spikes, w).shape == (40, 1)
