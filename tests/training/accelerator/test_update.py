"""The chains and the jumps of the compiled update, on JAX's CPU."""

import numpy as np
import pytest
from scipy.stats import chisquare

from crbm_lite.core import jumps
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from tests.training.enumerable import STATES, M, N, distribution, machine_and_data

jax = pytest.importorskip("jax")

from crbm_lite.training.accelerator import update as jax_update  # noqa: E402


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def problem():
    return machine_and_data(seed=5)


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
    settings = jax_update.Settings(4, jump_every, "float32")
    out, inputs, _ = jax.jit(jax_update.gibbs_steps, static_argnames="settings")(
        v, 0, weights, fields, potential, counts, jumping, jax.random.key(1), settings=settings
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
        settings = jax_update.Settings(4, jump_every, "float32")
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
