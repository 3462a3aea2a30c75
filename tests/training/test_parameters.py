"""What a run leaves: units of one neuron are folded into its field, and nothing else changes."""

import numpy as np
import pytest

from crbm_lite.model.model import CRBM
from crbm_lite.training.parameters import TrainedParameters, without_units_of_one_neuron
from crbm_lite.training.start import Start
from tests.training.enumerable import POTENTIAL, distribution

ONE, MANY = 0, 1  # the units: POTENTIAL has two


def parameters_with_a_unit_of_one_neuron(w: float) -> TrainedParameters:
    rng = np.random.default_rng(3)
    weights = rng.normal(0, 0.8, (8, 2)).astype(np.float32)
    weights[:, ONE] = 0.0
    weights[5, ONE] = w
    return TrainedParameters(weights, rng.normal(-1, 0.3, 8), POTENTIAL, np.zeros(2))


@pytest.mark.parametrize("w", [0.08, -1.7, 6.0])
def test_folding_a_unit_of_one_neuron_leaves_every_probability_as_it_is(w):
    given = parameters_with_a_unit_of_one_neuron(w)
    before = given.weights.copy(), given.fields.copy()
    folded = without_units_of_one_neuron(given)
    assert not folded.weights[:, ONE].any()
    np.testing.assert_array_equal(folded.weights[:, MANY], given.weights[:, MANY])
    assert np.flatnonzero(folded.fields != given.fields).tolist() == [5]
    p, p_folded = (distribution(x.weights, x.fields, x.potential) for x in (given, folded))
    np.testing.assert_allclose(p_folded, p, rtol=1e-10)
    np.testing.assert_array_equal(given.weights, before[0])
    np.testing.assert_array_equal(given.fields, before[1])


def test_two_units_of_the_same_neuron_add_up():
    given = parameters_with_a_unit_of_one_neuron(1.0)
    given.weights[:, MANY] = 0.0
    given.weights[5, MANY] = -2.0
    folded = without_units_of_one_neuron(given)
    p, p_folded = (distribution(x.weights, x.fields, x.potential) for x in (given, folded))
    np.testing.assert_allclose(p_folded, p, rtol=1e-10)


def test_without_such_a_unit_nothing_is_copied():
    given = parameters_with_a_unit_of_one_neuron(1.0)
    given.weights[2, ONE] = 0.5
    assert without_units_of_one_neuron(given) is given


def test_a_run_ends_without_units_of_one_neuron():
    v = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(np.uint8)
    weights = np.zeros((6, 1), np.float32)
    weights[2] = 2.0
    start = Start(weights, np.full(6, -0.8), np.array([[1.0], [1.0], [0.0], [0.0]]), 1.0)
    model = CRBM(
        n_hidden=1, l1=0.0, n_updates=3, batch_size=20, refit=1.0, random_state=0, progress=False
    )
    with pytest.warns(UserWarning, match="verdict"):
        model.fit_from(v, start)
    assert not model.weights_.any()
    assert model.fields_[2] > -0.8 + 0.5  # what the unit did is in the field
