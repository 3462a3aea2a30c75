"""What a model leaves over: nothing where it is the truth, and else what it lacks."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.search.residual_units import residual_courses

N, M, T = 120, 3, 4000


@pytest.fixture(scope="module")
def truth():
    """Frames of three assemblies of forty neurons each, drawn from P(h) on a grid and P(v|h)."""
    rng, size = np.random.default_rng(0), N // M
    grid, gamma, field, weight = np.linspace(-6.0, 10.0, 2001), 8.0, -2.5, 1.5
    of_neurons = size * np.logaddexp(0.0, field + weight * grid)

    def density(theta):
        log_p = of_neurons - 0.5 * gamma * grid**2 - theta * grid
        p = np.exp(log_p - log_p.max())
        return p / p.sum()

    theta = brentq(lambda theta: density(theta)[grid > 2.0].sum() - 0.2, 0.0, 60.0)
    h = rng.choice(grid, (T, M), p=density(theta))
    weights = np.kron(weight * np.eye(M), np.ones((size, 1)))
    spikes = as_spikes(rng.random((T, N)) < expit(field + h @ weights.T))
    potential = np.array([[gamma], [gamma], [theta], [theta]]) * np.ones(M)
    return spikes, weights, np.full(N, field), potential


def test_the_truth_leaves_nothing_over(truth):
    spikes, *model = truth
    assert residual_courses(spikes, *model, 10, np.random.default_rng(2)).shape == (T, 0)


def test_what_a_model_lacks_is_left_over_and_nothing_else(truth):
    spikes, weights, fields, potential = truth
    h = DReLU(*potential).mean(spikes.inputs(weights))
    assert np.ptp(h, axis=0).min() > 2.0  # all three are on at times
    for lacking in range(M):
        kept = np.arange(M) != lacking
        mean = spikes.activity()
        without = fields + np.where(weights[:, lacking] != 0, np.log(mean / (1 - mean)) - fields, 0)
        model = weights[:, kept], without, potential[:, kept]
        (course,) = residual_courses(spikes, *model, 10, np.random.default_rng(2)).T
        r = np.corrcoef(course, h.T)[0, 1:]
        assert abs(r[lacking]) > 0.9 and np.abs(r[kept]).max() < 0.2


def test_some_neurons_stand_for_all_of_a_large_recording(truth, monkeypatch):
    spikes, weights, _, potential = truth
    monkeypatch.setattr("crbm_lite.training.search.residual_units._MOST_ENTRIES", 40 * T)
    model = np.zeros((N, 1)), np.full(N, -2.0), np.array([[1.0], [1.0], [0.0], [0.0]])
    courses = residual_courses(spikes, *model, 10, np.random.default_rng(2))
    h = DReLU(*potential).mean(spikes.inputs(weights))
    assert courses.shape == (T, M)
    assert np.abs(np.corrcoef(courses.T, h.T)[:M, M:]).max(axis=0).min() > 0.7
