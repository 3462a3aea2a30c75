"""A neuron given all others against enumeration, free energies and the definition."""

import itertools

import numpy as np
import pytest
from numba import config, get_num_threads, set_num_threads
from scipy.special import expit

from crbm_lite import CRBM
from crbm_lite.core import left_out
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.partition import all_states
from crbm_lite.core.spikes import as_spikes

# gamma_plus, gamma_minus, theta_plus, theta_minus
SHAPES = {
    "quadratic": (1.3, 1.3, 0.4, 0.4),
    "ReLU-like": (1.0, 400.0, 0.0, -3.0),
    "soft threshold": (1.0, 0.7, 1.5, -1.0),
    "double well": (1.2, 0.8, -2.0, 1.5),
    "deep double well": (0.3, 0.3, -4.0, 4.0),
}


def machine(seed, shape=None, n_neurons=8, n_hidden=3, scale=1.0):
    rng = np.random.default_rng(seed)
    weights = (
        scale * rng.normal(size=(n_neurons, n_hidden)) * (rng.random((n_neurons, n_hidden)) < 0.7)
    )
    weights[2] = 0.0  # a neuron that no hidden unit touches
    if shape is None:
        potential = [rng.uniform(0.5, 2.0, n_hidden) for _ in range(2)]
        potential += [rng.normal(size=n_hidden) for _ in range(2)]
    else:
        potential = [np.full(n_hidden, x) for x in SHAPES[shape]]
    return CRBM.from_parameters(weights, rng.normal(size=n_neurons) - 0.5, *potential)


def parameters(model):
    return model.weights_, model.fields_, model.units


@pytest.mark.parametrize("shape", [None, *SHAPES])
@pytest.mark.parametrize("seed", range(2))
def test_conditionals_are_those_of_the_enumerated_distribution(seed, shape):
    """P(v_i | rest) by summing the joint distribution over v_i, on all 2^8 states."""
    model = machine(seed, shape)
    states = all_states(8)
    log_p = -model.free_energy(states)
    joint = np.exp(log_p - log_p.max())
    joint /= joint.sum()
    number = states.astype(int) @ (1 << np.arange(8))
    p_of = np.empty(256)
    p_of[number] = joint
    expected = np.empty(states.shape)
    for i in range(8):
        on, off = p_of[number | (1 << i)], p_of[number & ~(1 << i)]
        expected[:, i] = on / (on + off)
    p = left_out.mean_v_given_others(as_spikes(states), *parameters(model))
    np.testing.assert_allclose(p, expected, rtol=1e-9)
    expected = np.clip(expected, 1e-7, 1 - 1e-7)
    expected_log = np.log(np.where(states == 1, expected, 1 - expected))
    found = left_out.log_likelihood_given_others(as_spikes(states), *parameters(model))
    np.testing.assert_allclose(found, expected_log.mean(axis=0), rtol=1e-9)


def test_log_odds_are_differences_of_free_energies():
    model = machine(5, n_neurons=40, n_hidden=6, scale=0.6)
    v = (np.random.default_rng(1).random((30, 40)) < 0.3).astype(np.uint8)
    p = left_out.mean_v_given_others(as_spikes(v), *parameters(model))
    for i in range(40):
        on, off = v.copy(), v.copy()
        on[:, i], off[:, i] = 1, 0
        log_odds = model.free_energy(off) - model.free_energy(on)
        np.testing.assert_allclose(p[:, i], expit(log_odds), rtol=1e-9)


def test_a_neuron_never_sees_its_own_spike():
    model = machine(6)
    v = (np.random.default_rng(2).random((50, 8)) < 0.5).astype(np.uint8)
    p = left_out.mean_v_given_others(as_spikes(v), *parameters(model))
    for i in range(8):
        flipped = v.copy()
        flipped[:, i] ^= 1
        again = left_out.mean_v_given_others(as_spikes(flipped), *parameters(model))
        np.testing.assert_allclose(again[:, i], p[:, i], rtol=1e-9)
    assert (p[:, 2] == p[0, 2]).all()  # no hidden unit touches it
    np.testing.assert_allclose(p[0, 2], expit(model.fields_[2]))


def test_quadratic_units_are_a_hopfield_model():
    """Log-odds g_i + sum [w^2/(2 gamma) - w theta/gamma] + sum_j J_ij v_j, J = W W' / gamma."""
    model = machine(7, "quadratic")
    gamma, theta, w = 1.3, 0.4, model.weights_
    coupling = w @ w.T / gamma
    np.fill_diagonal(coupling, 0.0)
    fields = model.fields_ + (w**2 / (2 * gamma) - w * theta / gamma).sum(axis=1)
    states = all_states(8)
    p = left_out.mean_v_given_others(as_spikes(states), *parameters(model))
    np.testing.assert_allclose(p, expit(states @ coupling + fields), rtol=1e-9)


def test_cumulants_of_the_whole_grid_of_potentials():
    """To 1e-9 of 1 + |Gamma|, for every potential that the package promises to handle."""
    rng = np.random.default_rng(3)
    grid = np.array(list(itertools.product((1e-3, 0.03, 1.0, 30.0, 1e3), repeat=2)))
    thresholds = rng.uniform(-20, 20, (len(grid), 2))
    units = DReLU(*grid.T, *thresholds.T)
    weights = rng.uniform(-25, 25, (2, len(grid)))
    for v in ([[0, 1]], [[1, 1]], [[1, 0]]):
        inputs = v @ weights
        log_odds = np.zeros((2, 1))
        rows = as_rows(weights)
        left_out._log_odds_given_others(
            np.array(v, np.uint8).T.copy(), inputs.T.copy(), units.cumulant(inputs).T.copy(),
            *rows, *units.parameters, log_odds,
        )  # fmt: skip
        for i in range(2):
            rest = inputs[0] - v[0][i] * weights[i]
            with_spike, without = units.cumulant([rest + weights[i], rest])
            scale = (1 + np.abs(with_spike) + np.abs(without)).sum()
            assert abs(log_odds[i, 0] - (with_spike - without).sum()) < 1e-9 * scale


def as_rows(weights):
    import scipy.sparse

    rows = scipy.sparse.csr_array(weights)
    return rows.indptr, rows.indices, rows.data


def test_the_bits_do_not_depend_on_threads_or_chunks(monkeypatch):
    model = machine(8, n_neurons=30, n_hidden=5)
    v = as_spikes(np.random.default_rng(4).random((70, 30)) < 0.2)
    results, threads = [], get_num_threads()
    try:
        for n, n_bytes in ((1, 2**26), (config.NUMBA_NUM_THREADS, 2**26), (1, 8 * 30 * 11)):
            set_num_threads(n)
            monkeypatch.setattr(left_out, "_CHUNK_BYTES", n_bytes)
            results.append(left_out.log_likelihood_given_others(v, *parameters(model)))
    finally:
        set_num_threads(threads)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_allclose(results[0], results[2], rtol=1e-13)


def test_an_impossible_spike_costs_sixteen_nats():
    v = as_spikes([[1, 0], [1, 0]])
    found = left_out.mean_log_likelihood(v, lambda frames: np.zeros((2, 2)))
    np.testing.assert_allclose(found, [np.log(1e-7), np.log1p(-1e-7)])


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (np.ones((3, 2)), r"p has shape \(3, 2\) for frames 0 to 1"),
        (np.full((2, 2), np.nan), "NaN"),
        (np.full((2, 2), -2.0), "not logits"),
    ],
)
def test_what_is_no_probability_is_named(p, message):
    with pytest.raises(ValueError, match=message):
        left_out.mean_log_likelihood(as_spikes([[1, 0], [1, 0]]), lambda frames: p)
