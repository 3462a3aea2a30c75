"""Likelihoods of whole frames against enumeration, quadrature and invariances; and refusals."""

import numpy as np
import pytest
from scipy.special import logsumexp

from crbm_lite import CRBM
from crbm_lite.baselines.ising import Ising
from crbm_lite.core.partition import all_states
from crbm_lite.validation import frame_likelihood
from crbm_lite.validation.frame_likelihood import LikelihoodRefused, LogPartition, log_likelihood

SHORT = {"n_temperatures": 300, "burn_in": 100, "random_state": 0}


def machine(seed, n_neurons=12, n_hidden=3, wells=1.0, scale=1.0):
    rng = np.random.default_rng(seed)
    weights = scale * rng.normal(size=(n_neurons, n_hidden))
    weights *= rng.random((n_neurons, n_hidden)) < 0.7
    plus, minus = rng.uniform(0.6, 1.6, (2, n_hidden))
    thetas = 0.7 * rng.normal(size=(2, n_hidden)) + [[-wells], [wells]]
    return CRBM.from_parameters(weights, rng.normal(size=n_neurons) - 1, plus, minus, *thetas)


def frames(model, n_frames=300):
    return model.sample(n_frames, n_chains=100, n_steps=20, burn_in=20, random_state=1)


def assert_close(log_z: LogPartition, exact: float):
    """Within five standard errors (and rounding in float32), and between the two ends."""
    assert abs(log_z.value - exact) < 5 * log_z.standard_error + 1e-4
    margin = log_z.upper - log_z.lower + 1e-4
    assert log_z.lower - margin < exact < log_z.upper + margin


@pytest.mark.parametrize("wells", [-1.5, 0.0, 1.5])  # soft threshold, plain, double well
@pytest.mark.parametrize("seed", range(3))
def test_log_z_is_that_of_enumeration(seed, wells):
    model = machine(seed, wells=wells)
    v = frames(model)
    found = log_likelihood(model, v, **SHORT)
    exact = model.log_partition("exact")
    assert_close(found.log_partition, exact)
    assert found.log_partition.standard_error < 0.05
    per_frame = -model.free_energy(v) - found.log_partition.value
    np.testing.assert_allclose(found.per_frame, per_frame)
    assert found.mean == pytest.approx(per_frame.mean())
    z = found.log_partition
    expected = (found.mean + z.value - z.upper, found.mean + z.value - z.lower)
    assert found.interval == pytest.approx(expected)


def test_eighteen_neurons_with_strong_assemblies():
    model = machine(7, n_neurons=18, n_hidden=4, wells=2.0, scale=1.5)
    found = log_likelihood(model, frames(model), n_temperatures=1000, random_state=0)
    assert_close(found.log_partition, model.log_partition("exact"))


def quadrature(model):
    """Log Z of one or two hidden units: integrals of exp(-U) prod_i (1 + e^{g + w h}) over h."""
    w, g = model.weights_.astype(float), model.fields_
    h = np.linspace(-12, 12, 4001 if w.shape[1] == 1 else 601)
    step = h[1] - h[0]
    grid = np.stack(np.meshgrid(*[h] * w.shape[1], indexing="ij"), -1).reshape(-1, w.shape[1])
    log_p = -model.units.potential(grid).sum(axis=1)
    rows, count = np.unique(np.column_stack([w, g]), axis=0, return_counts=True)
    for row, n in zip(rows, count):
        log_p += n * np.logaddexp(0.0, row[-1] + grid @ row[:-1])
    at_the_edge = np.abs(grid).max(axis=1) > 11.9
    assert log_p[at_the_edge].max() < log_p.max() - 20
    return logsumexp(log_p) + w.shape[1] * np.log(step)


@pytest.mark.parametrize("n_hidden", [1, 2])
def test_thousands_of_neurons_against_quadrature(n_hidden):
    """Neurons of a few kinds, so that the integrand is quick to form; some have no weights."""
    rng = np.random.default_rng(3)
    n = 4000
    kinds = rng.choice([-0.04, 0.0, 0.03, 0.06, 0.09], (6, n_hidden))
    kinds[0] = 0.0
    weights = kinds[rng.integers(6, size=n)]
    fields = np.round(rng.choice([-3.5, -3.0, -2.5], n), 3)
    gamma, shift = np.full(n_hidden, 2.5), np.full(n_hidden, 1.5)
    # the mean input at rest is taken off, as in a model that was trained
    offset = (1 / (1 + np.exp(-fields))) @ weights
    potential = gamma, 0.8 * gamma, offset - shift, offset + shift
    model = CRBM.from_parameters(weights, fields, *potential)
    start = (rng.random((50, n)) < 0.06).astype(np.uint8)
    v = model.sample(200, n_chains=50, n_steps=20, burn_in=20, start=start, random_state=0)
    found = log_likelihood(model, v, n_temperatures=300, n_chains=100, random_state=0)
    assert_close(found.log_partition, quadrature(model))


def test_two_halves_without_common_neurons_add():
    first, second = machine(1, n_neurons=9), machine(2, n_neurons=8, n_hidden=2)
    weights = np.zeros((17, 5))
    weights[:9, :3], weights[9:, 3:] = first.weights_, second.weights_
    potential = (
        np.concatenate(pair) for pair in zip(first.units.parameters, second.units.parameters)
    )
    fields = np.concatenate([first.fields_, second.fields_])
    both = CRBM.from_parameters(weights, fields, *potential)
    v = frames(both)
    whole = log_likelihood(both, v, **SHORT)
    parts = log_likelihood(first, v[:, :9], **SHORT), log_likelihood(second, v[:, 9:], **SHORT)
    error = np.sqrt(sum(x.log_partition.standard_error**2 for x in (whole, *parts)))
    assert abs(whole.mean - parts[0].mean - parts[1].mean) < 5 * error
    exact = first.log_partition("exact") + second.log_partition("exact")
    assert_close(whole.log_partition, exact)


def test_gauge_and_sign_of_hidden_units_do_not_matter():
    model = machine(4)
    v = frames(model)
    before = log_likelihood(model, v, **SHORT)
    s, (gp, gm, tp, tm) = np.array([0.5, 2.0, 1.3]), model.units.parameters
    gauged = CRBM.from_parameters(
        model.weights_ * s, model.fields_, gp * s**2, gm * s**2, tp * s, tm * s
    )
    turned = CRBM.from_parameters(-model.weights_, model.fields_, gm, gp, -tm, -tp)
    for other, shift in ((gauged, -np.log(s).sum()), (turned, 0.0)):
        after = log_likelihood(other, v, **SHORT)
        error = 5 * np.hypot(
            before.log_partition.standard_error, after.log_partition.standard_error
        )
        assert abs(after.mean - before.mean) < error + 1e-4
        change = after.log_partition.value - before.log_partition.value
        assert abs(change - shift) < error + 1e-4


def test_probabilities_of_all_states_add_up_to_one():
    model = machine(5, n_neurons=10)
    found = log_likelihood(model, all_states(10), **SHORT)
    total = np.exp(found.per_frame).sum()
    assert abs(np.log(total)) < 5 * found.log_partition.standard_error + 1e-4


def test_neurons_without_weights_are_summed_exactly():
    model = machine(6, n_neurons=8)
    lonely = CRBM.from_parameters(
        np.vstack([model.weights_, np.zeros((2, 3))]), [*model.fields_, -2.0, 0.7],
        *model.units.parameters,
    )  # fmt: skip
    v = frames(lonely)
    found = log_likelihood(lonely, v, **SHORT)
    without = log_likelihood(model, v[:, :8], **SHORT)
    rest = np.logaddexp(0, -2.0) + np.logaddexp(0, 0.7)
    # the same random numbers, since the two neurons take no part in the sampling
    assert found.log_partition.value == pytest.approx(without.log_partition.value + rest, rel=1e-9)
    nothing = CRBM.from_parameters(np.zeros((2, 1)), [-2.0, 0.7], [1], [1], [0], [0])
    exact = log_likelihood(nothing, [[0, 1]])
    assert exact.log_partition.lower == exact.log_partition.upper
    assert exact.mean == pytest.approx(-rest + 0.7)


def test_too_fast_an_annealing_is_refused_with_its_gap():
    model = machine(8, wells=2.0, scale=1.5)
    too_fast = {"n_temperatures": 1, "burn_in": 100, "random_state": 0}
    with pytest.raises(
        LikelihoodRefused, match=r"differ by -?\d+\.\d\d nats, more than max_gap = 0\.001: raise"
    ):
        log_likelihood(model, frames(model), max_gap=0.001, **too_fast)
    assert log_likelihood(model, frames(model), max_gap=50, **too_fast).log_partition.gap != 0


def test_chains_that_do_not_reach_equilibrium_are_refused():
    """Chains that stay where they started: half in one well, half in another."""

    class Stuck:
        def __init__(self, difference):
            rng = np.random.default_rng(0)
            self.log_weights = rng.normal(size=40) + np.repeat([0.0, difference], 20)

        def step(self, beta, n_steps):
            assert beta == 1.0

        def log_weight(self, beta):
            return [self.log_weights]

    frame_likelihood._equilibrate(Stuck(0.0), 20, 50)
    with pytest.raises(LikelihoodRefused, match="from the data and of annealed chains differs"):
        frame_likelihood._equilibrate(Stuck(5.0), 20, 50)


def test_steps_backwards_are_the_steps_forwards_reversed():
    """P(v) K(v, v') = P(v') K_reversed(v', v), jumps included, where their order matters."""
    weights = np.array([[2.0, 1.0], [-1.0, -3.0], [-1.0, 3.0]])
    model = CRBM.from_parameters(weights, np.full(3, -6.0), [1, 1], [1, 1], [-3, -3], [3, 3])
    states = all_states(3)
    log_p = -model.free_energy(states)
    p = np.exp(log_p - logsumexp(log_p))
    rng = np.random.default_rng(0)
    path = frame_likelihood._CRBMPath(model, np.zeros(3), np.zeros((200, 3)), rng)
    n, flow = 150_000, {}
    for reverse in (False, True):
        flow[reverse] = np.zeros((8, 8))
        for k in range(8):
            start = np.repeat(states[k : k + 1], n, axis=0)
            chains = path.chains(start, 100 + k, reverse)
            chains.step(1.0)
            after = chains.spikes() @ np.array([4, 2, 1])
            flow[reverse][k] = p[k] * np.bincount(after, minlength=8) / n
    forth, back = flow[False], flow[True].T
    error = np.sqrt((forth + back) / 2 * (p[:, None] + p) / n) + 1e-5
    assert (np.abs(forth - back) < 5 * error).all()
    assert (np.abs(forth - forth.T) > 5 * error).any()  # the order does matter here


def test_distinct_frames_with_more_than_the_whole_probability_are_refused():
    model = machine(9, n_neurons=8)
    states = all_states(8)
    log_weight = -model.free_energy(states)
    spikes = frame_likelihood.as_spikes(np.vstack([states, states]))
    twice = np.concatenate([log_weight, log_weight])
    exact = model.log_partition("exact")
    frame_likelihood._check_sum_of_probabilities(
        spikes, twice, LogPartition(exact, 0.0, exact, exact, 0.0)
    )
    low = exact - 0.1
    with pytest.raises(LikelihoodRefused, match=r"add up to e\^0\.10, more than 1"):
        frame_likelihood._check_sum_of_probabilities(
            spikes, twice, LogPartition(low, 0.0, low, low, 0.0)
        )


def test_four_standard_errors_are_allowed_to_the_sum_of_all_probabilities():
    model = machine(9, n_neurons=8)
    states = all_states(8)
    log_weight, spikes = -model.free_energy(states), frame_likelihood.as_spikes(states)
    exact, error = model.log_partition("exact"), 0.01
    for n_errors, is_accepted in ((3.9, True), (4.1, False)):
        value = exact - n_errors * error  # an estimate that is too low by so many errors
        log_z = LogPartition(value, error, value - 2 * error, value + 2 * error, 0.0)
        try:
            frame_likelihood._check_sum_of_probabilities(spikes, log_weight, log_z)
        except LikelihoodRefused:
            assert not is_accepted
        else:
            assert is_accepted


@pytest.fixture(scope="module")
def ising():
    rng = np.random.default_rng(2)
    couplings = np.triu(rng.normal(0, 0.7, (12, 12)) * (rng.random((12, 12)) < 0.5), 1)
    couplings[:, 11] = 0.0  # the last neuron is on its own
    return Ising(rng.normal(-1.0, 0.5, 12), couplings + couplings.T)


def test_ising_model_against_enumeration(ising):
    states, log_p = ising.enumerate_states()
    found = log_likelihood(ising, states[::7], **SHORT)
    error = 5 * found.log_partition.standard_error + 1e-9
    np.testing.assert_allclose(found.per_frame, log_p[::7], atol=error)
    assert found.log_partition.standard_error < 0.02
    assert found.interval[0] - error < log_p[::7].mean() < found.interval[1] + error


def test_sweeps_of_an_ising_model_backwards_are_reversed_sweeps():
    couplings = np.array([[0.0, 2.5, -1.0], [2.5, 0.0, 3.0], [-1.0, 3.0, 0.0]])
    ising = Ising(np.array([-1.5, -2.0, -1.0]), couplings)
    states, log_p = ising.enumerate_states()
    p, path, n = np.exp(log_p), ising.annealing_path(np.zeros(3)), 100_000
    flow = {}
    for reverse in (False, True):
        flow[reverse] = np.zeros((8, 8))
        for k in range(8):
            chains = path.chains(np.repeat(states[k : k + 1], n, axis=0), 7 + k, reverse)
            chains.step(1.0)
            after = chains.spikes() @ np.array([1, 2, 4])
            flow[reverse][k] = p[k] * np.bincount(after, minlength=8) / n
    forth, back = flow[False], flow[True].T
    error = np.sqrt((forth + back) / 2 * (p[:, None] + p) / n) + 1e-5
    assert (np.abs(forth - back) < 5 * error).all()
    assert (np.abs(forth - forth.T) > 5 * error).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_temperatures": 0}, "n_temperatures is 0"),
        ({"burn_in": 0}, "burn_in is 0"),
        ({"n_chains": 3}, "n_chains is 3"),
        ({"max_gap": 0.0}, r"max_gap is 0\.0"),
        ({"v": np.ones((3, 5))}, "v has 5"),
    ],
)
def test_bad_options_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        log_likelihood(machine(0), **({"v": np.ones((3, 12))} | change))
