"""The chains and the jumps of the compiled update, on JAX's CPU."""

import numpy as np
import pytest
from scipy.stats import chisquare

from crbm_lite.core import jumps, persistence
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from tests.training.enumerable import STATES, M, N, distribution, machine_and_data

jax = pytest.importorskip("jax")

from crbm_lite.training.accelerator import jumps as jax_jumps  # noqa: E402
from crbm_lite.training.accelerator import update as jax_update  # noqa: E402


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def problem():
    return machine_and_data(seed=5)


@pytest.mark.parametrize(
    ("jump_every", "jumping"),
    [(0, np.ones(M, bool)), (1, np.ones(M, bool)), (1, np.arange(M) == 1)],
    ids=["no jumps", "all jump", "one jumps"],
)
def test_the_steps_leave_the_distribution_as_it_is(problem, jump_every, jumping):
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
    settings = jax_update.Settings(4, jump_every)
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
    on, jumping = {}, np.ones(1, bool)
    for jump_every in (0, 1):
        settings = jax_update.Settings(4, jump_every)
        v, _, _ = jax_update.gibbs_steps(
            np.zeros((400, n), np.uint8), 0, weights, fields, potential, counts, jumping,
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


def test_only_the_units_that_jump_are_moved(problem):
    _, weights, fields, potential = problem
    rng = np.random.default_rng(0)
    weights, h = weights.astype(np.float32), rng.normal(size=(500, M)).astype(np.float32)
    logits = (fields + h @ weights.T).astype(np.float32)
    rest = (jax.random.key(0), h, logits, weights, potential, jumps.empty_counts(M))
    jumping = np.arange(M) == 1
    moved, moved_logits = jax_jumps.jump_sweep(jumping, *rest)
    np.testing.assert_array_equal((np.asarray(moved) != h).any(axis=0), jumping)
    np.testing.assert_allclose(moved_logits, fields + np.asarray(moved) @ weights.T, atol=1e-4)
    np.testing.assert_array_equal(jax_jumps.jump_sweep(~np.ones(M, bool), *rest)[0], h)


def test_steps_in_which_no_unit_jumps_are_those_without_jumps(problem):
    _, weights, fields, potential = problem
    v = np.zeros((50, N), np.uint8)
    ends = []
    for jump_every in (0, 1):
        settings = jax_update.Settings(6, jump_every)
        ends.append(
            jax_update.gibbs_steps(
                v, 0, weights.astype(np.float32), fields, potential, jumps.empty_counts(M),
                np.zeros(M, bool), jax.random.key(1), settings,
            )[0]
        )  # fmt: skip
    np.testing.assert_array_equal(*ends)


def test_the_watch_on_persistence_is_numpys():
    rng = np.random.default_rng(0)
    here = there = persistence.begin_watch(30, 4)
    compiled = jax.jit(lambda watch, m, spread: persistence.watched(watch, m, spread, jax.numpy))
    still = rng.normal(size=(30, 4))
    for _ in range(70):
        m = still + np.array([0, 0.1, 1, 5]) * rng.normal(size=(30, 4))
        here = persistence.watched(here, m, m.var(axis=0))
        there = compiled(there, m, m.var(axis=0))
    np.testing.assert_array_equal(here["jumping"], [True, True, False, False])
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-12, err_msg=name)
