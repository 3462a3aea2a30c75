"""Held units against conditional probabilities of the enumerated machine."""

import numpy as np
import pytest

from crbm_lite import CRBM
from crbm_lite.connectivity.perturbation import condition, perturb, response_by_region
from crbm_lite.core.partition import all_states

N, M = 7, 3


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(N, M))
    plus, minus = rng.uniform(0.6, 1.5, (2, M))
    t_plus, t_minus = rng.normal(size=(2, M)) * 0.7 + [[-0.3], [0.3]]  # some double wells
    return CRBM.from_parameters(weights, rng.normal(size=N) - 0.5, plus, minus, t_plus, t_minus)


def test_the_neurons_that_are_left_keep_their_names(model):
    named = CRBM.from_parameters(model.weights_, model.fields_, *model.units.parameters)
    named._set_names(list("abcdefg"))
    rest = condition(named, neurons={1: 0, 4: 1})
    assert list(rest.feature_names_in_) == list("acdfg")
    assert not hasattr(condition(model, neurons={1: 0}), "feature_names_in_")


def probabilities(model, states):
    log_p = -model.free_energy(states)
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


def exact_activity(model, neurons=None, hidden=None):
    """Means under P(v | held), from the energies of the whole machine alone."""
    states = all_states(N)
    for i, value in (neurons or {}).items():
        states = states[states[:, i] == value]
    hidden = hidden or {}
    free = [mu for mu in range(M) if mu not in hidden]
    inputs = states @ model.weights_
    log_p = states @ model.fields_ + model.units.cumulant(inputs)[:, free].sum(axis=1)
    log_p = log_p + sum(inputs[:, mu] * h for mu, h in hidden.items())
    p = np.exp(log_p - log_p.max())
    return (p / p.sum()) @ states


HELD = [
    ({0: 1}, {}),
    ({1: 0, 5: 1, 3: 0}, {}),
    ({}, {2: 0.0}),
    ({}, {0: 2.5, 1: -1.0}),
    ({6: 1}, {1: 1.5}),
]


@pytest.mark.parametrize(("neurons", "hidden"), HELD)
def test_what_is_left_is_the_conditional_distribution(model, neurons, hidden):
    rest = condition(model, neurons, hidden)
    free = [i for i in range(N) if i not in neurons]
    states = all_states(len(free))
    mean = probabilities(rest, states) @ states
    np.testing.assert_allclose(mean, exact_activity(model, neurons, hidden)[free], atol=1e-12)


def test_holding_neurons_is_bayes_rule_state_by_state(model):
    neurons = {1: 0, 5: 1}
    states = all_states(N)
    joint = probabilities(model, states)
    kept = (states[:, 1] == 0) & (states[:, 5] == 1)
    free = [0, 2, 3, 4, 6]
    rest = probabilities(condition(model, neurons), states[kept][:, free])
    np.testing.assert_allclose(rest, joint[kept] / joint[kept].sum(), atol=1e-12)


def test_a_unit_held_at_zero_is_a_model_without_it(model):
    states = all_states(N)
    kept = [0, 2]
    without = CRBM.from_parameters(
        model.weights_[:, kept], model.fields_, *(x[kept] for x in model.units.parameters)
    )
    np.testing.assert_allclose(
        probabilities(condition(model, hidden={1: 0.0}), states),
        probabilities(without, states),
        atol=1e-13,
    )


@pytest.mark.parametrize(("neurons", "hidden"), HELD)
def test_sampled_response_agrees_with_enumeration(model, neurons, hidden):
    response = perturb(
        model, neurons=neurons, hidden=hidden, n_samples=20_000, n_chains=200, n_steps=5,
        random_state=1,
    )  # fmt: skip
    exact = exact_activity(model, neurons, hidden) - exact_activity(model)
    free = ~response.held
    z = (response.change - exact)[free] / response.standard_error[free]
    assert np.abs(z).max() < 4.5
    assert response.standard_error[free].max() < 0.02
    for i, value in neurons.items():
        assert response.activity[i] == value and response.held[i]


def test_same_seed_same_response(model):
    one, two = (perturb(model, neurons={0: 1}, random_state=3).activity for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_response_by_region_leaves_out_held_neurons(model):
    response = perturb(model, neurons={0: 1}, random_state=3)
    labels = [0, 0, 0, 1, 1, -1, 2]
    means = response_by_region(response, labels)
    expected = [response.change[1:3].mean(), response.change[3:5].mean(), response.change[6]]
    np.testing.assert_allclose(means, expected)
    assert np.isnan(response_by_region(response, [0] + [1] * 6)[0])
    with pytest.raises(ValueError, match="labels has 2 neurons: give 7"):
        response_by_region(response, [0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neurons": {N: 1}}, f"neurons holds {N}"),
        ({"neurons": {0: 0.5}}, r"neurons holds the value 0\.5: give 0 or 1"),
        ({"neurons": [0, 1]}, r"neurons is \[0, 1\]: give units and values"),
        ({"neurons": dict.fromkeys(range(N), 0)}, "at least one free"),
        ({"hidden": {-1: 0.0}}, "hidden holds -1"),
        ({"hidden": {0.5: 0.0}}, "hidden "),
        ({"hidden": {0: np.nan}}, "hidden holds NaN or infinity"),
    ],
)
def test_impossible_holds_are_named(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        condition(model, **arguments)
    with pytest.raises(ValueError, match="n_chains is 1: give an integer of 2"):
        perturb(model, n_chains=1)
