"""The Gibbs sampler: random numbers, kernels, jumps, and that it leaves p(v) as it is."""

import numba
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chisquare, kstest

from crbm_lite.core import (
    gibbs,
    jumps,
    register_products,
    sample_hidden,
    sample_visible,
    spikes,
    vector_code,
)
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.partition import all_states
from crbm_lite.core.random_numbers import hash32, hash64, uniform01
from crbm_lite.core.spikes import as_spikes
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


def run_chains(model, start, n_steps, jump_every=0, seed=1, n_proposals=500):
    weights, fields = model.weights_, model.fields_.astype(np.float32)
    chains = GibbsChains(N, M, len(start), seed, jump_every)
    chains.set_weights(weights)
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


def test_dense_and_sparse_kernels_agree_in_distribution(machine, monkeypatch):
    model, p = machine
    start = all_states(N)[np.random.default_rng(3).choice(2**N, size=N_CHAINS, p=p)]
    floor = floor_of_total_variation(p, N_CHAINS)
    for limit in (-1.0, 2.0):  # always dense, always sparse
        monkeypatch.setattr(gibbs, "_DENSE_ABOVE", limit)
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


@pytest.mark.parametrize("name", ["exp_f32", "exp_coarse"])
def test_the_exponentials_are_as_near_as_they_say(name):
    exponential = getattr(vector_code, name)

    @numba.njit
    def over(x, out):
        for k in range(len(x)):
            out[k] = exponential(x[k])

    x = np.linspace(-87, 87, 20_001).astype(np.float32)
    out = np.empty_like(x)
    over(x, out)
    error = np.abs(out / np.exp(x.astype(np.float64)) - 1)
    if name == "exp_f32":  # the relative error grows with |x| by the rounding of x log2(e)
        assert (error < 3e-7 + 1e-7 * np.abs(x)).all()
    else:
        assert 1e-3 < error.max() < vector_code.COARSE_ERROR


@pytest.mark.parametrize("density", [0.0, 0.04, 0.5, 1.0])
@pytest.mark.parametrize(("n_padded", "n_entries"), [(16, 3), (112, 100), (160, 160), (160, 70)])
def test_places_of_spikes_are_all_found_once(density, n_padded, n_entries):
    rows = (np.random.default_rng(0).random((5, n_padded)) < density).astype(np.uint8)
    rows[2] *= 2  # any value counts
    out = np.full(rows.size + vector_code.UNASKED, -1)

    @numba.njit
    def places(rows, n_entries, out):
        return vector_code.nonzero_places(rows, n_entries, out)

    found = out[: places(rows, n_entries, out)]
    r, c = np.nonzero(rows[:, :n_entries])
    np.testing.assert_array_equal(found, (r << 32) + c)


@pytest.mark.parametrize("density", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("n_hidden", [7, 40])
def test_packed_rows_hold_the_weights(density, n_hidden):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(101, n_hidden)).astype(np.float32)
    weights[rng.random(weights.shape) >= density] = 0
    weights[::3, 16:32] = 1  # sixteen in a row are copied at once
    chains = GibbsChains(101, n_hidden, 3, 0)
    chains.set_weights(weights)
    row_nnz = chains.row_nnz
    np.testing.assert_array_equal(row_nnz, (weights != 0).sum(axis=1))
    starts, neurons, column_values = jumps.columns_of(
        *chains.packed_rows, chains.rows_a_tile, n_hidden
    )
    unpacked = np.zeros_like(weights)
    for mu in range(n_hidden):
        part = slice(starts[mu], starts[mu + 1])
        unpacked[neurons[part], mu] = column_values[part]
    np.testing.assert_array_equal(unpacked, weights)


def test_random_numbers_are_uniform_and_differ_between_keys():
    u = np.array([uniform01(np.uint64(5), np.uint64(k)) for k in range(20_000)])
    other = np.array([uniform01(np.uint64(6), np.uint64(k)) for k in range(20_000)])
    assert u.min() > 0 and u.max() < 1 and len(np.unique(u)) == len(u)
    assert kstest(u, "uniform").pvalue > 1e-3 and kstest(other, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


def test_hashes_are_functions_of_key_and_counter():
    words = np.array([hash32(np.uint32(k), np.uint32(1), np.uint32(2)) for k in range(50_000)])
    assert len(np.unique(words)) == len(words)  # a bijection of the counter
    random_bytes = words.astype(np.uint32).view(np.uint8)
    assert chisquare(np.bincount(random_bytes, minlength=256)).pvalue > 1e-3
    # the published first output of SplitMix64 for the seed 0
    assert int(hash64(np.uint64(0), np.uint64(0))) == 0xE220A8397B1DCDAF


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
    sample_hidden.sample_hidden(chains.partial_input, 1.0, *model.units.parameters, np.uint64(3), h)
    inputs = state @ model.weights_.astype(float)
    mean, variance = DReLU(*model.units.parameters).mean_and_variance(inputs[None])
    error = np.sqrt(variance[0] / 4000)
    assert (np.abs(h[:, :4000].mean(axis=1) - mean[0]) < 5 * error).all()


@pytest.mark.parametrize(
    ("n_rows", "n_hidden", "n_chains"), [(4, 7, 48), (3, 200, 112), (1, 1, 16)]
)
def test_the_micro_kernel_is_the_product(n_rows, n_hidden, n_chains):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((9, n_hidden)).astype(np.float32)
    h = rng.standard_normal((n_hidden, n_chains)).astype(np.float32)
    out = rng.standard_normal((4, n_chains)).astype(np.float32)
    expected = out.astype(float)
    expected[:n_rows] += weights[5 : 5 + n_rows].astype(float) @ h
    register_products.add_product(weights, 5, n_rows, h, out)
    np.testing.assert_allclose(out, expected, atol=1e-4)


@pytest.mark.parametrize("n_chains", [16, 64, 112])
def test_the_packed_micro_kernel_is_the_product(n_chains):
    rng = np.random.default_rng(0)
    columns = rng.permutation(200)[:30].astype(np.uint16)
    values = rng.standard_normal(30).astype(np.float32)
    h = rng.standard_normal((200, n_chains)).astype(np.float32)

    @numba.njit
    def product(start, end, out):
        register_products.packed_product(np.float32(-3.25), start, end, columns, values, h, out)

    for start, end in ((0, 0), (4, 5), (3, 30)):
        out = np.full(n_chains, np.nan, np.float32)
        product(start, end, out)
        expected = -3.25 + values[start:end].astype(float) @ h[columns[start:end]]
        np.testing.assert_allclose(out, expected, atol=1e-5)


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


def test_inputs_of_frames_are_sums_in_the_order_of_the_neurons():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((500, 300)).astype(np.float32)  # rows of W in three tiles
    assert 2 * (spikes._CACHED_ENTRIES // 300) < 500
    v = rng.random((150, 500)) < rng.choice([0.0, 0.02, 0.5], 150)[:, None]
    frames = rng.permutation(150)[: 2 * spikes._FRAMES_A_GROUP + 7]
    expected = np.zeros((len(frames), 300))
    for row, t in enumerate(frames):
        for i in np.flatnonzero(v[t]):
            expected[row] += weights[i]
    inputs = as_spikes(v.astype(np.uint8)).inputs(weights, frames)
    np.testing.assert_array_equal(inputs, expected)
