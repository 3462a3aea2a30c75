"""What a model leaves over: nothing where it is the truth, and else what it lacks."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.search import residual_units as residuals
from crbm_lite.training.search.residual_units import residual_courses, start_with_residual_units
from crbm_lite.training.search.stage_end import end_of_stage
from crbm_lite.training.start import Start

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


def lacking_one(truth, lacking=0):
    """The start and the end of a model without one of the true units."""
    spikes, weights, fields, potential = truth
    kept = np.arange(M) != lacking
    p = spikes.activity()
    without = np.where(weights[:, lacking] != 0, np.log(p / (1 - p)), fields)
    model = weights[:, kept].astype(np.float32), without, potential[:, kept]
    parameters = TrainedParameters(*model, np.zeros(M - 1))
    return Start(*model, 5.0), end_of_stage(parameters, np.zeros((5, N), np.uint8), np.ones(8))


def test_the_unit_that_a_model_lacks_joins_its_start(truth):
    spikes, weights, *_ = truth
    start, model = lacking_one(truth)
    born = start_with_residual_units(spikes, start, model, 0.01, 10, np.random.default_rng(2))
    assert born.weights.shape == (N, M) and born.weights.dtype == np.float32
    np.testing.assert_array_equal(born.weights[:, :2], start.weights)
    np.testing.assert_array_equal(born.potential[:, :2], start.potential)
    assert np.corrcoef(born.weights[:, 2], weights[:, 0])[0, 1] > 0.99
    # the neurons without the unit keep their fields, and the others keep their activity
    np.testing.assert_allclose(born.fields[40:], start.fields[40:], atol=1e-8)
    h = DReLU(*born.potential).sample(spikes.inputs(born.weights), np.random.default_rng(3))
    activity = expit(born.fields + h @ born.weights.T).mean(axis=0)
    np.testing.assert_allclose(activity, spikes.activity(), atol=0.02)
    assert np.std(h[:, 2]) == pytest.approx(1.0, abs=0.1)  # its dReLU is that of its course


def test_a_unit_like_one_that_the_start_has_does_not_join(truth):
    """The start has the unit that the model lacks, as one that died and begins again."""
    spikes, weights, fields, potential = truth
    start = Start(weights.astype(np.float32), fields, potential, 5.0)
    rng = np.random.default_rng(2)
    assert start_with_residual_units(spikes, start, lacking_one(truth)[1], 0.01, 10, rng) is start


def test_where_nothing_is_left_over_the_start_stays_as_it_is(truth):
    spikes, weights, fields, potential = truth
    parameters = TrainedParameters(weights.astype(np.float32), fields, potential, np.zeros(M))
    model = end_of_stage(parameters, np.zeros((5, N), np.uint8), np.ones(8))
    start = Start(parameters.weights, fields, potential, 5.0)
    rng = np.random.default_rng(2)
    assert start_with_residual_units(spikes, start, model, 0.01, 10, rng) is start


def test_one_neuron_leaves_nothing_over(truth):
    """There are no pairs, and no component that could be told from noise."""
    spikes = truth[0].take_neurons(np.arange(1))
    model = np.zeros((1, 1)), np.full(1, -2.0), np.array([[1.0], [1.0], [0.0], [0.0]])
    assert residual_courses(spikes, *model, 10, np.random.default_rng(2)).shape == (T, 0)


@pytest.mark.parametrize("seed", range(4))
def test_neurons_whose_spikes_outlast_a_frame_leave_nothing_over(seed):
    """Each has bursts of its own, of ten frames: chance correlations are larger than of frames."""
    rng = np.random.default_rng(seed)
    v = np.repeat(rng.random((300, 150)) < 0.1, 10, axis=0)
    v = np.stack([np.roll(x, rng.integers(10)) for x in v.T], axis=1)
    p = v.mean(axis=0)
    nothing = np.zeros((150, 1)), np.log(p / (1 - p)), np.array([[1.0], [1.0], [0.0], [0.0]])
    assert residual_courses(as_spikes(v), *nothing, 10, rng).shape == (3000, 0)


def noisy_course_and_residuals(seed=0, n_frames=3000, n_neurons=1500, n_members=40):
    """A time course, residuals of which some neurons follow it, and the course with much noise."""
    rng = np.random.default_rng(seed)
    course = np.where(rng.random(n_frames) < 0.2, 2.0, -0.5)
    z = rng.standard_normal((n_frames, n_neurons)).astype(np.float32)
    z[:, :n_members] += 0.3 * course[:, None].astype(np.float32)
    noisy = course + 1.2 * rng.standard_normal(n_frames)
    return course, z, ((noisy - noisy.mean()) / noisy.std()).astype(np.float32)


def test_courses_taken_from_their_members_alone_have_less_noise():
    """The mean of 40 members would have a correlation of 1 / sqrt(1 + 1 / (40 * 0.3^2))."""
    course, z, noisy = noisy_course_and_residuals()
    best = (1.0 + 1.0 / (40 * 0.3**2)) ** -0.5
    (once,) = residuals._courses_of_members(z, noisy[:, None]).T
    (twice,) = residuals._courses_of_members(z, residuals._courses_of_members(z, noisy[:, None])).T
    r = [np.corrcoef(course, x)[0, 1] for x in (noisy, once, twice)]
    assert r[0] < 0.7 and r[1] > best - 0.02 and r[2] > best - 0.01
    assert twice.std() == pytest.approx(1.0, abs=1e-4)


def test_a_course_that_no_neuron_follows_is_left_out():
    _, z, noisy = noisy_course_and_residuals()
    noise = np.random.default_rng(1).standard_normal((len(z), 1)).astype(np.float32)
    found = residuals._courses_of_members(z[:, 40:80], np.hstack([noise, noisy[:, None]]))
    assert found.shape == (len(z), 0)


def test_of_two_courses_that_are_one_the_first_is_kept():
    rng = np.random.default_rng(0)
    a, b, more = rng.standard_normal((3, 2000))
    courses = np.stack([a, 0.9 * a + 0.436 * more, b, -a, 0.5 * a + 0.866 * b], axis=1)
    assert residuals._is_unlike_those_before(courses).tolist() == [True, False, True, False, False]
