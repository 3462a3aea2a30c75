"""The compiled update: gradients, the step, the chains, the jumps; all on JAX's CPU."""

import numpy as np
import pytest
from scipy.stats import chisquare
from test_training import (
    L1,
    STATES,
    M,
    N,
    finite_difference,
    penalised_likelihood,
    variance_of_h,
)

from crbm_lite.core import jumps
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.training import coordinates as co
from crbm_lite.training import update_kernels as updates

jax = pytest.importorskip("jax")

from crbm_lite.training.accelerator import update as jax_update  # noqa: E402


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def problem():
    """An enumerable machine with two wells, at Var(h) = 1 over data that it does not fit."""
    rng = np.random.default_rng(5)
    v = (rng.random((300, N)) < rng.uniform(0.1, 0.6, N)).astype(np.uint8)
    v[:100, :4] |= v[:100, :1]
    weights, fields = rng.normal(0, 0.8, (N, M)), rng.normal(-1, 0.3, N)
    potential = np.array([[1.2, 0.8], [0.9, 2.0], [-0.6, 0.7], [0.8, -0.4]])
    s = np.sqrt(variance_of_h(v, weights, potential))
    return v, weights * s, fields, potential * np.array([s**2, s**2, s, s])


def distribution(weights, fields, potential):
    """P(v) of all states."""
    log_p = STATES @ fields + DReLU(*potential).cumulant(STATES @ weights).sum(axis=1)
    return np.exp(log_p - np.logaddexp.reduce(log_p))


def test_the_gradients_are_the_slopes_of_the_penalised_likelihood(problem):
    v, weights, fields, potential = problem
    mean_h = DReLU(*potential).mean(v @ weights).mean(axis=0)
    p = distribution(*problem[1:])
    kappa = 0.5 * L1 * np.abs(weights).sum(axis=0)
    data = np.asarray(jax_update.hidden_statistics(v @ weights, potential, mean_h))
    model = np.asarray(jax_update.hidden_statistics(STATES @ weights, potential, mean_h))
    h_data = (data[updates.MEAN] - kappa * data[updates.VAR_I]) / len(v)
    slope = np.asarray(
        jax_update.weight_gradient(v, h_data, STATES, p[:, None] * model[updates.MEAN], np.zeros(N))
    )
    expected = finite_difference(lambda x: penalised_likelihood(v, x, fields, potential), weights)
    np.testing.assert_allclose(slope - L1 * np.sign(weights), expected, rtol=1e-4, atol=1e-6)
    slope = jax_update.hidden_gradient(data.mean(axis=1), np.einsum("t,stm->sm", p, model), kappa)
    expected = finite_difference(lambda x: penalised_likelihood(v, weights, fields, x), potential)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)


def start_state(rng, n, m, n_chains):
    weights = rng.normal(0, 0.3, (n, m)).astype(np.float32)
    weights[rng.random((n, m)) < 0.4] = 0
    activity = rng.uniform(0.05, 0.4, n)
    hidden = np.stack([rng.normal(0, 0.2, m), rng.uniform(-0.5, 0.5, m), *rng.normal(0, 1, (2, m))])
    return activity, {
        "weights": weights,
        "fields": rng.normal(-1, 0.3, n),
        "hidden": hidden,
        "weight_square": rng.uniform(0, 0.02, (n, m)).astype(np.float32),
        "weight_average": rng.normal(0, 0.3, (n, m)).astype(np.float32),
        "field_square": rng.uniform(0, 0.1, n),
        "hidden_square": rng.uniform(0, 0.1, (4, m)),
        "mean_h": rng.normal(0, 0.2, m),
        "offset": activity @ weights,
        "size": np.abs(weights).sum(axis=0).astype(np.float64),
        "n_nonzero": np.count_nonzero(weights),
        "v": (rng.random((n_chains, n)) < 0.2).astype(np.uint8),
        "counts": jumps.empty_counts(m),
        "n_steps": np.asarray(0),
        "mean_weights": np.zeros((n, m), np.float32),
        "mean_fields": np.zeros(n),
        "mean_potential": np.zeros((4, m)),
    }


@pytest.mark.parametrize(("l1", "l1_at_zero"), [(0.02, 0.02), (0.0, np.inf)])
def test_an_update_is_the_step_of_the_other_backend_given_its_chains(l1, l1_at_zero):
    rng = np.random.default_rng(1)
    n, m, n_chains, batch = 48, 3, 20, 12
    activity, old = start_state(rng, n, m, n_chains)
    v = (rng.random((40, n)) < 0.2).astype(np.uint8)
    frames = np.sort(rng.choice(40, batch, replace=False)).astype(np.int32)
    lr, bias, keep, boost, beta2, eps = 0.01, 1.7, 0.9, 3.0, 0.99, 1e-6
    settings = jax_update.Settings(2, 0, beta2, eps, "float32")
    new, log_p = jax_update.one_update(
        {k: jax.numpy.array(x) for k, x in old.items()}, activity, np.packbits(v, axis=1), frames,
        np.array([lr, l1, l1_at_zero, bias, keep, boost]), jax.random.key(0), settings=settings,
    )  # fmt: skip
    new = {k: np.asarray(x) for k, x in new.items()}
    assert new["n_steps"] == 2 and (new["v"] != old["v"]).any()

    # the reference, from the chains that came out
    potential = co.potential_given_coordinates(old["hidden"], old["offset"])
    chains, mean_h = new["v"].astype(float), old["mean_h"]
    data = updates.hidden_statistics(v[frames] @ old["weights"].astype(float), potential, mean_h)
    model = updates.hidden_statistics(chains @ old["weights"], potential, mean_h)
    kappa = 0.5 * l1 * old["size"]
    h_data = (data[updates.MEAN] - kappa * data[updates.VAR_I] - mean_h) / batch
    h_chains = (model[updates.MEAN] - mean_h) / n_chains
    data, model = data.mean(axis=1), model.mean(axis=1)
    variance = data[updates.SQUARE] - 2 * mean_h * data[updates.MEAN] + mean_h**2
    scale = np.sqrt(np.clip(1 + 0.05 * (variance - 1), 0.8, 1.25))
    mean_h = (mean_h + 0.05 * (data[updates.MEAN] - mean_h)) / scale
    slope = co.gradient_in_coordinates(
        old["hidden"], updates.potential_gradient(data, model, kappa)
    )
    square = beta2 * old["hidden_square"] + (1 - beta2) * slope**2
    hidden = old["hidden"] + boost * lr * slope / (np.sqrt(square * bias) + eps)
    co.rescale(hidden, scale)
    close = {"rtol": 1e-4, "atol": 2e-6}
    np.testing.assert_allclose(new["mean_h"], mean_h, **close)
    np.testing.assert_allclose(new["hidden_square"], square, **close)
    np.testing.assert_allclose(new["hidden"], hidden, **close)

    g = v[frames].T @ h_data - chains.T @ h_chains
    g -= np.outer(activity, h_data.sum(axis=0) - h_chains.sum(axis=0))
    square = beta2 * old["weight_square"] + (1 - beta2) * g**2
    average = keep * old["weight_average"] + (1 - keep) * g
    step = lr / (np.sqrt(square * bias) + eps)
    before = old["weights"] * scale
    target = before + step * np.where(before == 0, average, g)
    weights = np.sign(target) * np.maximum(
        np.abs(target) - step * np.where(before == 0, l1_at_zero, l1), 0
    )
    weights[before * target < 0] = 0
    assert ((weights == 0) & (before != 0)).any()
    assert ((weights != 0) & (before == 0)).any() == np.isfinite(l1_at_zero)
    np.testing.assert_allclose(new["weight_square"], square, **close)
    np.testing.assert_allclose(new["weight_average"], average, **close)
    np.testing.assert_allclose(new["weights"], weights, **close)
    slope = activity - chains.mean(axis=0)
    square = beta2 * old["field_square"] + (1 - beta2) * slope**2
    fields = old["fields"] + boost * lr * slope / (np.sqrt(square * bias) + eps)
    fields -= (weights - before) @ mean_h
    np.testing.assert_allclose(new["fields"], fields, **close)
    np.testing.assert_allclose(new["offset"], activity @ weights, **close)
    np.testing.assert_allclose(new["size"], np.abs(weights).sum(axis=0), **close)
    assert new["n_nonzero"] == np.count_nonzero(weights)

    # the effective share of the chains, from both models' log P
    def log_probability(weights, fields, potential):
        return chains @ fields + DReLU(*potential).cumulant(chains @ weights).sum(axis=1)

    expected = log_probability(old["weights"], old["fields"], potential)
    np.testing.assert_allclose(log_p, expected, **close)
    potential = co.potential_given_coordinates(hidden, activity @ weights)
    w = np.exp(log_probability(weights, fields, potential) - expected)
    share = jax_update.effective_share(new, log_p, products="float32")
    assert float(share) == pytest.approx(w.sum() ** 2 / (n_chains * (w**2).sum()), rel=1e-3)


@pytest.mark.parametrize("jump_every", [0, 1])
def test_the_steps_leave_the_distribution_as_it_is(problem, jump_every):
    _, weights, fields, potential = problem
    potential = potential * np.array([1, 1, 3, 3])[:, None]  # deep wells
    weights = weights.astype(np.float32)
    p = distribution(weights, fields, potential)
    rng = np.random.default_rng(0)
    n_chains = 200_000  # a logit three per cent off must show
    v = STATES[rng.choice(2**N, size=n_chains, p=p)].astype(np.uint8)
    h = DReLU(*potential).sample(v @ weights, rng)
    counts = jumps.empty_counts(M)
    jumps.count_values(h + 0.3, counts)  # exact for any histogram
    settings = jax_update.Settings(4, jump_every, 0.999, 1e-6, "float32")
    out, inputs, _ = jax.jit(jax_update.gibbs_steps, static_argnames="settings")(
        v, 0, weights, fields, potential, counts, jax.random.key(1), settings=settings
    )
    out = np.asarray(out)
    np.testing.assert_allclose(inputs, out @ weights, rtol=1e-5, atol=1e-5)
    assert (out != v).any(axis=1).mean() > 0.5
    index = out.astype(int) @ (1 << np.arange(N))
    order = STATES.astype(int) @ (1 << np.arange(N))
    counts = np.bincount(index, minlength=2**N)[order]
    often = p * n_chains > 5
    observed = np.append(counts[often], counts[~often].sum())
    expected = np.append(p[often], p[~often].sum()) * n_chains
    assert chisquare(observed, expected).pvalue > 0.001


def test_jumps_reach_the_other_well():
    """One strong unit, on in half of the histogram: Gibbs steps alone stay where they are."""
    n = 40
    weights, fields = np.full((n, 1), 1.5, np.float32), np.full(n, -4.5)
    potential = np.array([[1.0], [1.0], [14.0], [-14.0]])
    counts = jumps.empty_counts(1)
    jumps.count_values(np.random.default_rng(0).normal(0, 12, (500, 1)), counts)
    on = {}
    for jump_every in (0, 1):
        settings = jax_update.Settings(4, jump_every, 0.999, 1e-6, "float32")
        v, _, _ = jax_update.gibbs_steps(
            np.zeros((400, n), np.uint8), 0, weights, fields, potential, counts,
            jax.random.key(0), settings,
        )  # fmt: skip
        on[jump_every] = (np.asarray(v).mean(axis=1) > 0.5).mean()
    chains = GibbsChains(n, 1, 400, 0, 1)
    chains.set_weights(weights)
    chains.set_spikes(np.zeros((400, n), np.uint8))
    chains.proposal_counts[:] = counts
    chains.propose_from(np.empty((0, 1)), keep=1.0)
    chains.step(4, weights, fields.astype(np.float32), tuple(potential))
    reached = (chains.spikes().mean(axis=1) > 0.5).mean()
    assert on[0] == 0 and on[1] > 0.02
    assert abs(on[1] - reached) < 4 * np.sqrt(2 * reached * (1 - reached) / 400)


def test_rounded_factors_keep_the_bits_they_should():
    x = np.float32(1 + 2**-5 + 2**-9 + 2**-14)
    assert float(jax_update.rounded(x, "float32")) == x
    assert float(jax_update.rounded(x, "tf32")) == 1 + 2**-5 + 2**-9
    assert float(jax_update.rounded(x, "bf16")) == 1 + 2**-5
