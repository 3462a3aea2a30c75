"""Random machines: the ensemble as it is defined, and its three phases."""

import numpy as np
import pytest

from crbm_lite.theory.random_machines import PhaseSample, random_rbm, sample_phase


def test_weights_are_the_ensemble_of_the_equations():
    model = random_rbm(1000, 50, density=0.1, column_norm=4.0, random_state=1)
    w = model.weights_
    assert np.linalg.norm(w, axis=0) == pytest.approx(4.0)
    values = np.abs(w[w != 0])
    assert values.size / w.size == pytest.approx(0.1, abs=0.01)  # 7 standard errors
    assert np.median(values) == pytest.approx(4.0 / np.sqrt(0.1) / np.sqrt(1000), rel=0.02)
    assert np.mean(w[w != 0] > 0) == pytest.approx(0.5, abs=0.03)
    assert (model.fields_ == 0).all()


def test_norms_differ_only_if_asked():
    norms = np.linalg.norm(random_rbm(500, 400, norm_spread=0.5).weights_, axis=0)
    assert np.std(np.log(norms)) == pytest.approx(0.5, abs=0.06)


def test_every_column_has_a_weight():
    assert (random_rbm(10, 50, density=0.01).weights_ != 0).any(axis=0).all()


def test_threshold_is_a_share_of_the_largest_input_above_chance():
    model = random_rbm(400, 20, density=0.25, column_norm=4.0, threshold=0.5)
    mean_input = model.weights_.sum(axis=0) / 2
    largest = 4.0 * np.sqrt(400 * 0.25) / 2
    fully_on = (model.weights_ > 0).astype(np.uint8).T  # frame mu switches unit mu fully on
    above_chance = np.diag(model.hidden_input(fully_on)) - mean_input
    assert above_chance == pytest.approx(largest, rel=0.2)
    assert model.theta_plus_ - mean_input == pytest.approx(0.5 * largest)
    h = model.mean_h_given_v(fully_on)
    assert np.diag(h) == pytest.approx(above_chance - 0.5 * largest, rel=0.02)
    assert h.min() > -0.05  # rectified


def test_quadratic_units_are_linear():
    model = random_rbm(100, 5, rectified=False)
    v = np.random.default_rng(0).integers(0, 2, (20, 100))
    expected = (v - 0.5) @ model.weights_
    assert model.mean_h_given_v(v) == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def samples():
    """Every phase at two sizes, and the compositional one from both starts."""
    cases = {
        "compositional": {},
        "dense": {"density": 1.0},
        "quadratic": {"rectified": False},
        "no threshold": {"threshold": 0.0},
        "unequal": {"norm_spread": 0.5},
    }
    models = {
        (name, m): random_rbm(400, m, **options)
        for name, options in cases.items()
        for m in (80, 160)
    }
    found = {key: sample_phase(model) for key, model in models.items()}
    found["other start"] = sample_phase(models["compositional", 160], n_on=20)
    return found


def test_compositional_phase_has_several_of_many(samples):
    for m in (80, 160):
        assert 4 < samples["compositional", m].mean_n_active < m / 5
    ratio = samples["compositional", 160].mean_n_active / samples["compositional", 80].mean_n_active
    assert ratio < 1.7


def test_dense_weights_leave_one_unit_on(samples):
    for m in (80, 160):
        assert samples["dense", m].mean_n_active < 1.5


@pytest.mark.parametrize("name", ["quadratic", "no threshold"])
def test_without_rectification_or_threshold_many_units_are_on(samples, name):
    for m in (80, 160):
        sample = samples[name, m]
        assert sample.mean_n_active > m / 6
        assert sample.mean_n_active > 1.7 * samples["compositional", m].mean_n_active


def test_unequal_norms_leave_the_same_units_on(samples):
    equal, unequal = samples["compositional", 160], samples["unequal", 160]
    assert unequal.n_used < 1.2 * unequal.mean_n_active
    assert equal.n_used > 1.3 * equal.mean_n_active


def test_chains_have_mixed(samples):
    first, other = samples["compositional", 160], samples["other start"]
    assert first.mean_n_active == pytest.approx(other.mean_n_active, rel=0.1)
    assert np.ptp(first.n_active.mean(axis=1)) < 0.1 * first.mean_n_active


def test_numbers_of_a_sample():
    h = np.array([[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]])
    sample = PhaseSample(h, np.array([[2.0], [2.0]]))
    assert sample.mean_n_active == 2.0
    assert sample.n_used == pytest.approx(4.0)


def test_activity_is_counted_above_the_inactive_level():
    model = random_rbm(200, 10)
    sample = sample_phase(model, n_chains=5, n_saves=2, random_state=3)
    assert sample.h.shape == (2, 5, 10)
    squares = sample.h**2
    expected = squares.sum(axis=2) ** 2 / (squares**2).sum(axis=2)
    assert sample.n_active == pytest.approx(expected)
    again = sample_phase(model, n_chains=5, n_saves=2, random_state=3)
    assert (again.h == sample.h).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neurons": 0}, "n_neurons"),
        ({"density": 0.0}, "density"),
        ({"density": 1.1}, "density"),
        ({"column_norm": 0.0}, "column_norm"),
        ({"threshold": -2.0}, "threshold"),
        ({"norm_spread": -0.1}, "norm_spread"),
    ],
)
def test_bad_numbers_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        random_rbm(**({"n_neurons": 10, "n_hidden": 3} | options))


def test_more_units_on_than_there_are():
    with pytest.raises(ValueError, match="n_on"):
        sample_phase(random_rbm(20, 3), n_on=4)
