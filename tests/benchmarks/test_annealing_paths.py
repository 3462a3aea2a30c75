"""Paths of models: log Z against enumeration, their ends, and the reversed move."""

import numpy as np
import pytest

import crbm_lite as cl
from benchmarks.annealing_paths import PiecewisePath, Rung, along_training, unit_by_unit
from crbm_lite.core.spikes import as_spikes
from crbm_lite.validation.frame_likelihood import log_likelihood

V = cl.plant_recording(14, 2, (6, 6), 600, 8, random_state=0).spikes
BASE = np.linspace(-2.0, -1.0, 14)


@pytest.fixture(scope="module")
def trained():
    estimator = cl.CRBM(
        n_hidden=3, l1=0.0, n_updates=300, init="random", n_chains=40, batch_size=40,
        random_state=0, progress=False,
    )  # fmt: skip
    return estimator, along_training(estimator, as_spikes(V), (20, 60, 150, 290))


def model_of(rung):
    return cl.CRBM.from_parameters(rung.weights, rung.fields, *rung.potential)


def test_the_last_model_is_that_of_the_training(trained):
    estimator, rungs = trained
    assert len(rungs) == 5 and np.abs(rungs[-1].weights).max() > 0.3
    fitted = estimator.fit(V)
    np.testing.assert_array_equal(rungs[-1].weights, fitted.weights_)
    np.testing.assert_array_equal(rungs[-1].fields, fitted.fields_)
    sizes = [np.abs(rung.weights).sum() for rung in rungs[:-1]]
    assert sizes == sorted(sizes)  # it begins with small weights
    for rung in rungs[1:-1]:  # no unit has the other sign on the way
        assert (np.einsum("im,im->m", rung.weights, rungs[-1].weights) >= 0).all()


def test_units_are_switched_on_one_after_the_other(trained):
    last = trained[1][-1]
    rungs = unit_by_unit(last)
    assert [int(rung.weights.any(axis=0).sum()) for rung in rungs] == [1, 2, 3]
    np.testing.assert_array_equal(rungs[-1].weights, last.weights)


@pytest.mark.parametrize("of_path", ["training", "units"])
def test_log_z_along_a_path_is_that_of_enumeration(trained, of_path):
    rungs = trained[1] if of_path == "training" else unit_by_unit(trained[1][-1])
    found = log_likelihood(
        PiecewisePath(rungs), V, n_temperatures=400, burn_in=200, random_state=0
    ).log_partition
    exact = model_of(rungs[-1]).log_partition("exact")
    assert found.standard_error < 0.05
    assert abs(found.value - exact) < 5 * found.standard_error + 1e-4


def test_neurons_without_weights_are_left_out_exactly(trained):
    """With two of them the sampled neurons are as before, and log Z has their share."""
    rungs = [
        Rung(np.vstack([rung.weights, np.zeros((2, 3), np.float32)]),
             np.append(rung.fields, [0.5, -1.0]), rung.potential,
             np.hstack([rung.states, np.ones((len(rung.states), 2))]))
        for rung in trained[1]
    ]  # fmt: skip
    path = PiecewisePath(rungs).annealing_path(np.append(BASE, [0.0, 0.0]))
    without = PiecewisePath(trained[1]).annealing_path(BASE)
    np.testing.assert_array_equal(path.neurons, np.arange(14))
    assert path.log_z_of_others == pytest.approx(np.logaddexp(0, [0.5, -1.0]).sum())
    assert path.log_z_at_start == pytest.approx(without.log_z_at_start)
    np.testing.assert_allclose(path.ends, without.ends)
    v = np.hstack([V[:200], np.random.default_rng(0).integers(0, 2, (200, 2))])
    found = log_likelihood(PiecewisePath(rungs), v, n_temperatures=400, burn_in=200, random_state=0)
    exact = model_of(rungs[-1]).log_partition("exact")
    assert abs(found.log_partition.value - exact) < 5 * found.log_partition.standard_error + 1e-4
    per_frame = -model_of(rungs[-1]).free_energy(v) - found.log_partition.value
    np.testing.assert_allclose(found.per_frame, per_frame, rtol=1e-5)


def test_a_path_goes_through_its_models_and_lengths_are_those_of_the_free_energy(trained):
    rungs = trained[1]
    path = PiecewisePath(rungs).annealing_path(BASE)
    v = V[:50].toarray().astype(float) if hasattr(V, "toarray") else np.asarray(V[:50], float)
    start = path.between(0.0)
    np.testing.assert_array_equal(start.weights, 0.0)
    np.testing.assert_array_equal(start.fields, BASE)
    for beta, rung in zip(path.ends[1:], rungs, strict=True):
        at = path.between(beta)
        np.testing.assert_allclose(at.weights, rung.weights, atol=1e-6)
        np.testing.assert_allclose(at.log_weight(v), -model_of(rung).free_energy(v), rtol=1e-5)
    a, b = rungs[0], rungs[1]
    length = np.std(b.log_weight(b.states) - a.log_weight(b.states))
    first = np.std(a.log_weight(a.states) - start.log_weight(a.states))
    share = np.diff(path.ends)
    assert share[1] / share[0] == pytest.approx(length / first, rel=1e-6)


def test_a_unit_between_two_models_has_the_mean_of_both(trained):
    path = PiecewisePath(trained[1]).annealing_path(BASE)
    a, b = trained[1][1:3]
    middle = path.between(path.ends[2:4].mean())
    np.testing.assert_allclose(middle.weights, (a.weights + b.weights) / 2, atol=1e-6)
    np.testing.assert_allclose(middle.potential, (a.potential + b.potential) / 2)


def test_a_rung_weighs_frames_by_the_free_energy():
    rng = np.random.default_rng(0)
    potential = np.tile([[1.0], [2.0], [0.3], [-0.2]], 2)
    rung = Rung(rng.normal(size=(5, 2)).astype(np.float32), rng.normal(size=5), potential, None)
    v = (rng.random((20, 5)) < 0.4).astype(float)
    np.testing.assert_allclose(rung.log_weight(v), -model_of(rung).free_energy(v), rtol=1e-6)
