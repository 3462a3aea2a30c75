"""The Gibbs sampler: random numbers, kernels, jumps, and that it leaves p(v) as it is."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chisquare

from crbm_lite.core import (
    gibbs,
    jumps,
    sample_hidden,
    sample_visible,
)
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.partition import all_states
from crbm_lite.model.model import CRBM

N, M, N_CHAINS = 6, 3, 20_000


@pytest.fixture(scope="module")
def machine():
    """Six neurons and three units: a double well, a soft threshold, an asymmetric Gaussian."""
    rng = np.random.default_rng(4)
    weights = rng.normal(0, 1.2, (N, M)).astype(np.float32)
    weights[[0, 3], 0] = 0
    model = CRBM.from_parameters(
        weights, rng.normal(-0.7, 0.5, N), [1.5, 1.0, 0.7], [1.0, 2.0, 3.0], [-1.5, 0.8, 0.1],
        [1.0, -0.6, 0.3],
    )  # fmt: skip
    log_p = -model.free_energy(all_states(N))
    return model, np.exp(log_p - np.logaddexp.reduce(log_p))


def histogram(v):
    """Shares of all states in v (samples, N)."""
    index = v.astype(int) @ (1 << np.arange(N - 1, -1, -1))
    return np.bincount(index, minlength=2**N) / len(v)


def total_variation(p, q):
    return 0.5 * np.abs(p - q).sum()


def floor_of_total_variation(p, n):
    """What n exact samples reach, and a wide margin: mean and seven standard deviations."""
    rng = np.random.default_rng(0)
    draws = [total_variation(rng.multinomial(n, p) / n, p) for _ in range(200)]
    return np.mean(draws) + 7 * np.std(draws)


def run_chains(model, start, n_steps, jump_every=0, seed=1, n_proposals=500, jumping=None):
    weights, fields = model.weights_, model.fields_.astype(np.float32)
    chains = GibbsChains(N, M, len(start), seed, jump_every)
    chains.set_weights(weights)
    if jumping is not None:
        chains.jumping[:] = jumping
    if jump_every:
        rng = np.random.default_rng(seed + 1)
        # from other draws of the model, so that many proposals are accepted
        log_p = -model.free_energy(all_states(N))
        p = np.exp(log_p - np.logaddexp.reduce(log_p))
        independent = all_states(N)[rng.choice(2**N, size=n_proposals, p=p)]
        chains.propose_from(model.sample_h_given_v(independent, rng))
    chains.set_spikes(start)
    chains.step(n_steps, weights, fields, model.units.parameters)
    return chains


@pytest.mark.parametrize("jump_every", [0, 1])
@pytest.mark.parametrize("n_steps", [1, 4, 16])
def test_sampling_leaves_p_invariant(machine, jump_every, n_steps):
    model, p = machine
    rng = np.random.default_rng(10 + n_steps)
    start = all_states(N)[rng.choice(2**N, size=N_CHAINS, p=p)]
    chains = run_chains(model, start, n_steps, jump_every, seed=n_steps)
    assert not np.array_equal(chains.spikes(), start)
    if jump_every:
        assert chains.n_accepted.sum() > 0.15 * M * N_CHAINS
    floor = floor_of_total_variation(p, N_CHAINS)
    share = histogram(chains.spikes())
    assert total_variation(share, p) < floor
    common = p * N_CHAINS > 20
    counts = np.append(share[common], share[~common].sum()) * N_CHAINS
    assert chisquare(counts, np.append(p[common], p[~common].sum()) * N_CHAINS).pvalue > 1e-3
    # the joint distribution too: hidden inputs belong to the spikes
    np.testing.assert_allclose(
        chains.inputs(), chains.spikes() @ model.weights_.astype(float), atol=1e-5
    )


@pytest.mark.parametrize(("jump_every", "n_steps"), [(0, 60), (1, 30), (5, 40)])
def test_chains_from_far_away_reach_p(machine, jump_every, n_steps):
    model, p = machine
    far = np.ones((N_CHAINS, N), np.uint8)
    assert total_variation(histogram(far), p) > 0.8
    chains = run_chains(model, far, n_steps, jump_every)
    assert total_variation(histogram(chains.spikes()), p) < floor_of_total_variation(p, N_CHAINS)


@pytest.mark.parametrize("limit", [-1.0, 2.0])  # always dense, always sparse
@pytest.mark.parametrize("jumping", [(1, 0, 0), (0, 1, 1)])
def test_where_some_units_jump_v_and_h_keep_their_distribution(
    machine, jumping, limit, monkeypatch
):
    monkeypatch.setattr(gibbs, "_DENSE_ABOVE", limit)
    monkeypatch.setattr(gibbs, "_WHOLE_FROM", 0)
    model, p = machine
    rng = np.random.default_rng(4)
    start = all_states(N)[rng.choice(2**N, size=N_CHAINS, p=p)]
    chains = run_chains(model, start, 4, "auto", seed=4, jumping=jumping)
    np.testing.assert_array_equal(chains.n_accepted > 0, np.array(jumping, bool))
    floor = floor_of_total_variation(p, N_CHAINS)
    assert total_variation(histogram(chains.spikes()), p) < floor
    np.testing.assert_allclose(
        chains.inputs(), chains.spikes() @ model.weights_.astype(float), atol=1e-5
    )
    # h of the last step goes with the spikes before it: P(h) by enumeration, in bins of each unit
    fields, potential = model.fields_.astype(np.float32), model.units.parameters
    chains.step(3, model.weights_, fields, potential)  # the first of them ends with a sweep
    h = chains._h[:, :N_CHAINS].T
    states = all_states(N)
    expected = p @ model.mean_h_given_v(states)
    square = p @ (
        model.units.mean_and_variance(states @ model.weights_.astype(float))[1]
        + model.mean_h_given_v(states) ** 2
    )
    error = np.sqrt((square - expected**2) / N_CHAINS)
    assert (np.abs(h.mean(axis=0) - expected) < 5 * error).all()


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("jumping", [(1, 1), (1, 0), (0, 1)])
def test_h_of_two_units_keeps_its_joint_distribution_whichever_jump(jumping, scale):
    """P(h) with the neurons summed out, on a grid: two units with wells and shared neurons."""
    n, n_chains, width = 30, 20_000, 0.08
    rng = np.random.default_rng(1)
    weights = np.zeros((n, 2), np.float32)
    weights[:18, 0], weights[12:, 1] = rng.normal(0.9, 0.2, 18), rng.normal(0.8, 0.3, 18)
    fields = -2.5 - 0.3 * rng.random(n)
    units = DReLU([1.0, 1.2], [1.5, 1.0], [0.5, 0.6], [-0.2, 0.3])
    axis = -10 + width * (np.arange(600) + 0.5)
    h = np.stack([x.ravel() for x in np.meshgrid(axis, axis, indexing="ij")], axis=1)
    log_p = -units.potential(h).sum(axis=1)
    for i in range(n):
        log_p += np.logaddexp(0.0, fields[i] + scale * (h @ weights[i]))
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    start = (
        h[rng.choice(len(h), size=n_chains, p=p)] + rng.uniform(-0.5, 0.5, (n_chains, 2)) * width
    )
    chains = GibbsChains(n, 2, n_chains, 7, "auto")
    chains.jumping[:] = jumping
    chains.set_weights(weights)
    chains.propose_from(start[:500] + 0.3)  # exact for any histogram
    chains.set_spikes(rng.random((n_chains, n)) < expit(fields + scale * start @ weights.T))
    chains.step(7, weights, fields.astype(np.float32), units.parameters, scale)  # ends in a sweep
    assert ((chains.n_accepted > 0.5 * n_chains) == np.array(jumping, bool)).all()
    # edges of six times six cells, where those of the grid are
    edges = np.round(np.quantile(start, np.arange(1, 6) / 6, axis=0) / width) * width

    def cell(x):
        return np.searchsorted(edges[:, 0], x[:, 0]) * 6 + np.searchsorted(edges[:, 1], x[:, 1])

    expected = n_chains * np.bincount(cell(h), p, 36)
    found = np.bincount(cell(chains._h[:, :n_chains].T / scale), minlength=36)
    assert expected.min() > 5
    assert chisquare(found, expected).pvalue > 1e-3


def test_a_sweep_moves_the_same_units_alike_whatever_the_others_do():
    """Units that share no neuron: who jumps does so to the same bits."""
    weights = np.zeros((6, 2), np.float32)
    weights[:3, 0] = weights[3:, 1] = 1.0
    ends = []
    for jumping in ((True, True), (True, False)):
        chains = GibbsChains(6, 2, 200, 3, 1)
        chains.jumping[:] = jumping
        chains.set_weights(weights)
        chains.step(9, weights, np.zeros(6, np.float32), tuple(np.ones((4, 2))))
        ends.append(chains.spikes())
    np.testing.assert_array_equal(ends[0][:, :3], ends[1][:, :3])
    assert (ends[0][:, 3:] != ends[1][:, 3:]).any()


def test_a_sweep_offers_jumps_to_some_units_at_random_where_all_would_cost_too_much(monkeypatch):
    monkeypatch.setattr(gibbs, "_ALWAYS_OFFERED", 0)
    monkeypatch.setattr(gibbs, "_MOST_OFFERED", 0.3)
    weights = np.full((40, 10), 0.05, np.float32)
    chains = GibbsChains(40, 10, 500, 3, "auto")
    chains.jump_every = 1
    chains.jumping[np.arange(10) != 4] = True
    chains.set_weights(weights)
    has_jumped = []
    for _ in range(60):
        chains.step(1, weights, np.zeros(40, np.float32), tuple(np.ones((4, 10))))
        has_jumped.append(chains.n_accepted > 0)
    has_jumped = np.array(has_jumped)
    assert (has_jumped.sum(axis=1) == 3).all() and not has_jumped[:, 4].any()
    shares = has_jumped.mean(axis=0)[np.arange(10) != 4]
    assert shares.min() > 0.12 and shares.max() < 0.55  # a third of the sweeps each
    assert len(np.unique(has_jumped, axis=0)) > 20


def test_neurons_without_weights_are_drawn_in_the_last_step_alone():
    """They change no bit of the others, and have their own probability at the end."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.5, (50, 3)).astype(np.float32)
    weights[10:] = 0
    fields, potential = np.full(50, -1.0, np.float32), tuple(np.ones((4, 3)))
    ends = []
    for sizes in ([6], [1] * 6, [2, 4]):
        chains = GibbsChains(50, 3, 5000, 3, 0)
        chains.set_weights(weights)
        for n_steps in sizes:
            chains.step(n_steps, weights, fields, potential)
        ends.append(chains.spikes())
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])
    assert ends[0][:, 10:].mean() == pytest.approx(expit(-1.0), abs=0.005)


def test_chains_of_which_no_unit_jumps_are_those_without_jumps(machine):
    model, _ = machine
    start = np.zeros((100, N), np.uint8)
    plain, auto = (run_chains(model, start, 30, jump_every) for jump_every in (0, "auto"))
    np.testing.assert_array_equal(plain.spikes(), auto.spikes())
    assert not auto.jumping.any()
    all_jump = run_chains(model, start, 30, "auto", jumping=True)
    np.testing.assert_array_equal(run_chains(model, start, 30, 3).spikes(), all_jump.spikes())
    np.testing.assert_array_equal(all_jump.joined_by(start).jumping, True)


def test_jumps_cross_between_wells_where_plain_gibbs_does_not():
    # symmetric under v -> 1 - v: all on and all off are equally likely, with 7 nats between them
    n, well, shift = 40, 3.3, 20.0
    weights, fields = np.ones((n, 1), np.float32), np.zeros(n, np.float32)
    potential = tuple(np.array([x]) for x in (6.0, 6.0, shift, shift))
    crossed = {}
    for jump_every in (0, 1):
        chains = GibbsChains(n, 1, 2000, 5, jump_every)
        chains.set_weights(weights)
        rng = np.random.default_rng(0)
        chains.propose_from(rng.choice([-well, well], (500, 1)) + rng.normal(0, 0.5, (500, 1)))
        chains.set_spikes(np.zeros((2000, n), np.uint8))
        chains.step(20, weights, fields, potential)
        crossed[jump_every] = (chains.inputs() > n / 2).mean()
    assert crossed[0] < 0.1
    assert crossed[1] == pytest.approx(0.5, abs=0.06)


def jumped_h(fields, weights, n_chains=4000, n_sweeps=60):
    """Values of standard Gaussian units after sweeps of jumps alone, and how many were accepted."""
    n, m = weights.shape
    chains = GibbsChains(n, m, n_chains, 0, 1)
    chains.set_weights(weights)
    columns = jumps.columns_of(chains.packed_rows, chains.rows_per_tile, m)
    proposal = jumps.proposal_given_counts(jumps.empty_counts(m))
    h = np.zeros((m, sample_visible.padded_chains(n_chains)), np.float32)
    odds = np.empty((n_chains, n), np.float32)
    potential = tuple(np.full(m, x) for x in (1.0, 1.0, 0.0, 0.0))
    accepted, jumping = 0, np.ones(m, bool)
    for key in np.random.default_rng(0).integers(2**64, size=n_sweeps, dtype=np.uint64):
        accepted += jumps.jump_sweep(
            jumping, fields, chains.packed_rows, columns, chains.rows_per_tile, proposal,
            potential, 1.0, n_chains, key, h, odds,
        )  # fmt: skip
    return h[:, :n_chains], accepted


def test_jumps_are_exact_for_neurons_that_always_fire():
    """A neuron with a field above 40 shifts a Gaussian unit by its weight, 1 and 1/2 here."""
    weights = np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.0]], np.float32)
    h, accepted = jumped_h(np.array([40.0, 42.0, 200.0], np.float32), weights)
    assert (accepted > 10_000).all()
    np.testing.assert_allclose(h.mean(axis=1), [1.0, 0.5], atol=0.08)
    np.testing.assert_allclose(h.var(axis=1), 1.0, atol=0.12)


@pytest.mark.parametrize("fields", [(23.0,) * 4, (0.0, 0.0, 0.0, 90.0), (90.0,) * 4])
def test_jumps_that_float32_cannot_weigh_are_refused_and_others_are_not(fields):
    n = 4 * jumps._LANES
    weights, g = np.zeros((n + 1, 2), np.float32), np.full(n + 1, -80.0, np.float32)
    weights[:n, 0], weights[n, 1] = 0.01, 0.5
    g[: n : jumps._LANES], g[n] = fields, 42.0  # neurons whose terms are multiplied
    h, accepted = jumped_h(g, weights)
    assert accepted[0] == 0 and (h[0] == 0).all()
    assert h[1].mean() == pytest.approx(0.5, abs=0.08)


def test_a_jump_that_changes_log_odds_by_more_than_an_exponential_holds_is_refused():
    h, accepted = jumped_h(np.zeros(1, np.float32), np.array([[300.0, 0.1]], np.float32), 400, 1)
    assert (accepted > 0).all()
    assert 0 < np.abs(300.0 * h[0]).max() < 87


def test_dense_and_sparse_kernels_agree_in_distribution(machine, monkeypatch):
    model, p = machine
    start = all_states(N)[np.random.default_rng(3).choice(2**N, size=N_CHAINS, p=p)]
    floor = floor_of_total_variation(p, N_CHAINS)
    for limit in (-1.0, 2.0):  # always dense, always sparse
        monkeypatch.setattr(gibbs, "_DENSE_ABOVE", limit)
        monkeypatch.setattr(gibbs, "_WHOLE_FROM", 0)
        chains = run_chains(model, start, 3)
        assert total_variation(histogram(chains.spikes()), p) < floor


@pytest.mark.parametrize(("n_neurons", "n_hidden"), [(5, 1), (67, 6), (130, 7), (33, 12)])
def test_dense_and_sparse_kernels_give_the_same_spikes(monkeypatch, n_neurons, n_hidden):
    # the same random bytes decide: only inputs at a rounding error of a border may differ
    rng = np.random.default_rng(n_neurons)
    weights = rng.normal(0, 0.5, (n_neurons, n_hidden)).astype(np.float32)
    potential = [np.ones(n_hidden), np.ones(n_hidden), np.zeros(n_hidden), np.zeros(n_hidden)]
    start = (rng.random((37, n_neurons)) < 0.3).astype(np.uint8)
    spikes = []
    for limit in (-1.0, 2.0):
        monkeypatch.setattr(gibbs, "_DENSE_ABOVE", limit)
        monkeypatch.setattr(gibbs, "_WHOLE_FROM", 0)
        chains = GibbsChains(n_neurons, n_hidden, 37, 9, 0)
        chains.set_weights(weights)
        chains.set_spikes(start)
        chains.step(1, weights, np.full(n_neurons, -1, np.float32), potential)
        spikes.append(chains.spikes())
        np.testing.assert_allclose(
            chains.inputs(), spikes[-1] @ weights.astype(float), rtol=1e-4, atol=1e-4
        )
    assert (spikes[0] != spikes[1]).mean() < 1e-3
    assert 0.02 < spikes[0].mean() < 0.9


@pytest.mark.parametrize(
    "p", [1e-6, 1e-4, 1 / 256, 0.5 / 256, 0.003, 0.05, 0.3, 0.5, 0.77, 0.9999, 1 - 1e-6]
)
@pytest.mark.parametrize("limit", [-1.0, 2.0])
def test_spikes_have_the_right_probability(monkeypatch, p, limit):
    monkeypatch.setattr(gibbs, "_DENSE_ABOVE", limit)
    monkeypatch.setattr(gibbs, "_WHOLE_FROM", 0)
    n_neurons, n_chains, n_steps = 2000, 1000, 2
    weights = np.zeros((n_neurons, 1), np.float32)
    field = np.float32(np.log(p) - np.log1p(-p))
    chains = GibbsChains(n_neurons, 1, n_chains, 17, 0)
    chains.set_weights(weights)
    one = np.ones(1)
    count = 0
    for _ in range(n_steps):
        chains.step(1, weights, np.full(n_neurons, field), (one, one, 0 * one, 0 * one))
        count += int(chains.v[:, :n_chains].sum(dtype=np.int64))
    n = n_neurons * n_chains * n_steps
    expected = n * expit(np.float64(field))
    assert abs(count - expected) < 5 * np.sqrt(n * p * (1 - p)) + 1


def test_spikes_are_independent_across_chains_neurons_and_steps():
    n_neurons, n_chains = 300, 200
    weights, one = np.zeros((n_neurons, 1), np.float32), np.ones(1)
    chains = GibbsChains(n_neurons, 1, n_chains, 23, 0)
    chains.set_weights(weights)
    steps = []
    for _ in range(2):
        chains.step(1, weights, np.zeros(n_neurons, np.float32), (one, one, 0 * one, 0 * one))
        steps.append(chains.spikes() - 0.5)
    a, b = steps
    for left, right in ((a, b), (a[1:], a[:-1]), (a[:, 1:], a[:, :-1]), (a[4:], a[:-4])):
        assert abs((left * right).mean()) < 5 * 0.25 / np.sqrt(left.size)
    assert abs(a.mean(axis=0)).max() < 5.5 * 0.5 / np.sqrt(n_chains)
    assert abs(a.mean(axis=1)).max() < 5.5 * 0.5 / np.sqrt(n_neurons)


@pytest.mark.parametrize("density", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("n_hidden", [7, 40])
def test_packed_rows_hold_the_weights(density, n_hidden):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(101, n_hidden)).astype(np.float32)
    weights[rng.random(weights.shape) >= density] = 0
    weights[::3, 16:32] = 1  # sixteen in a row are copied at once
    chains = GibbsChains(101, n_hidden, 3, 0)
    chains.set_weights(weights)
    np.testing.assert_array_equal(chains.packed_rows.n_nonzero, (weights != 0).sum(axis=1))
    starts, neurons, column_values, largest = jumps.columns_of(
        chains.packed_rows, chains.rows_per_tile, n_hidden
    )
    unpacked = np.zeros_like(weights)
    for mu in range(n_hidden):
        part = slice(starts[mu], starts[mu + 1])
        unpacked[neurons[part], mu] = column_values[part]
    np.testing.assert_array_equal(unpacked, weights)
    np.testing.assert_array_equal(largest, np.abs(weights).max(axis=0))


def test_a_scaled_step_samples_the_scaled_machine(machine):
    model, _ = machine
    half = CRBM.from_parameters(0.5 * model.weights_, model.fields_, *model.units.parameters)
    log_p = -half.free_energy(all_states(N))
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    start = all_states(N)[np.random.default_rng(2).choice(2**N, size=N_CHAINS, p=p)]
    for jump_every in (0, 1):
        chains = GibbsChains(N, M, N_CHAINS, 3, jump_every)
        chains.set_weights(model.weights_)
        chains.set_spikes(start)
        fields = model.fields_.astype(np.float32)
        chains.step(4, model.weights_, fields, model.units.parameters, scale=0.5)
        floor = floor_of_total_variation(p, N_CHAINS)
        assert total_variation(histogram(chains.spikes()), p) < floor


def test_hidden_units_are_drawn_from_their_conditional(machine):
    model, _ = machine
    state = np.array([1, 0, 1, 1, 0, 0], np.uint8)
    chains = GibbsChains(N, M, 4000, 11, 0)
    chains.set_weights(model.weights_)
    chains.set_spikes(np.repeat(state[None], 4000, axis=0))
    h = np.zeros((M, sample_visible.padded_chains(4000)), np.float32)
    sample_hidden.sample_h_given_partial_input(
        chains.partial_input, 1.0, *model.units.parameters, np.uint64(3), h
    )
    inputs = state @ model.weights_.astype(float)
    mean, variance = DReLU(*model.units.parameters).mean_and_variance(inputs[None])
    error = np.sqrt(variance[0] / 4000)
    assert (np.abs(h[:, :4000].mean(axis=1) - mean[0]) < 5 * error).all()


def test_inputs_of_a_batch_are_its_products_with_w():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((150, 9)).astype(np.float32)
    weights[rng.random(weights.shape) < 0.6] = 0
    v = (rng.random((20, 150)) < 0.1).astype(np.uint8)
    neurons, frames = np.nonzero(v.T)
    starts = np.searchsorted(neurons, np.arange(151))
    chains = GibbsChains(150, 9, 3, 0, 0)
    chains.set_weights(weights)
    inputs = chains.batch_inputs(starts, frames.astype(np.int32), 20)
    np.testing.assert_allclose(inputs, v @ weights.astype(float), atol=1e-5)
