"""Maximum entropy against the Boltzmann form, closed forms and the definition of a maximum."""

import numpy as np
import pytest
from scipy.linalg import null_space

from crbm_lite.theory.maximum_entropy import (
    boltzmann,
    enumerate_states,
    solve,
    with_hidden,
    with_pairs,
)

STATES = enumerate_states(5)


def entropy_bits(p):
    return -np.sum(p * np.log2(p))


def test_the_independent_solution_is_a_product():
    rates = np.array([0.1, 0.3, 0.5, 0.7, 0.04])
    found = solve(STATES, rates)
    product = np.prod(np.where(STATES == 1, rates, 1 - rates), axis=1)
    np.testing.assert_allclose(found.probabilities, product, atol=1e-8)
    np.testing.assert_allclose(found.multipliers, np.log2((1 - rates) / rates), atol=1e-6)
    single = -rates * np.log2(rates) - (1 - rates) * np.log2(1 - rates)
    assert found.entropy_bits == pytest.approx(single.sum(), abs=1e-6)


def test_boltzmann_has_the_factor_ln2_of_entropy_in_bits():
    p = boltzmann([[0.0], [1.0]], [3.0]).probabilities
    weights = np.exp(-np.log(2) * 3.0 * np.array([0.0, 1.0]))
    np.testing.assert_allclose(p, weights / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["pairwise", "hidden"])
def test_the_dual_finds_the_boltzmann_distribution_again(kind):
    rng = np.random.default_rng(0)
    if kind == "pairwise":
        f = with_pairs(STATES)
        multipliers = rng.normal(size=f.shape[1])
    else:
        f, _ = with_hidden(enumerate_states(3), np.linspace(-3, 3, 13))
        multipliers = np.r_[rng.normal(size=3), rng.normal(size=3), 0.3, 0.8]
    exact = boltzmann(f, multipliers)
    found = solve(f, exact.averages)
    np.testing.assert_allclose(found.probabilities, exact.probabilities, atol=1e-6)
    np.testing.assert_allclose(found.multipliers, multipliers, atol=1e-5)


def test_no_neighbour_with_the_same_averages_has_more_entropy():
    rng = np.random.default_rng(1)
    f = with_pairs(STATES)
    found = solve(f, rng.dirichlet(np.ones(len(f))) @ f)
    free = null_space(np.column_stack([f, np.ones(len(f))]).T)
    for direction in (free @ rng.normal(size=(free.shape[1], 20))).T:
        step = 0.1 * found.probabilities.min() / np.abs(direction).max() * direction
        for p in (found.probabilities + step, found.probabilities - step):
            assert entropy_bits(p) < found.entropy_bits


def test_more_constraints_never_raise_the_entropy():
    data = np.random.default_rng(2).dirichlet(np.ones(len(STATES)))
    independent = solve(STATES, data @ STATES)
    pairwise = solve(with_pairs(STATES), data @ with_pairs(STATES))
    assert entropy_bits(data) < pairwise.entropy_bits < independent.entropy_bits < 5


def test_averages_out_of_reach_are_refused():
    with pytest.raises(ValueError, match="averages cannot be reached"):
        solve(STATES, [0.5, 0.5, 0.5, 0.5, 1.2])


def test_shapes_and_sizes_are_checked():
    with pytest.raises(ValueError, match="give one average per statistic"):
        solve(STATES, [0.5])
    with pytest.raises(ValueError, match="n_units is 40: give 1 to 20"):
        enumerate_states(40)


PENALTIES = [0.001, 0.01, 0.05]


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_penalty_relaxes_the_constraints_by_itself(penalty, seed):
    """The conditions of a minimum of the penalised dual, which is convex, so they suffice."""
    rng = np.random.default_rng(seed)
    f = with_pairs(STATES)
    penalties = np.r_[np.zeros(5), np.full(10, penalty)]
    target = rng.dirichlet(np.full(len(f), 2.0)) @ f
    found = solve(f, target, penalty=penalties)
    difference = found.averages - target
    np.testing.assert_allclose(difference[:5], 0, atol=1e-7)
    kept = found.multipliers != 0
    np.testing.assert_allclose(
        difference[kept], (penalties * np.sign(found.multipliers))[kept], atol=1e-7
    )
    assert (np.abs(difference) <= penalties + 1e-7).all()


def test_the_penalty_selects_statistics_one_after_the_other():
    rng = np.random.default_rng(3)
    f = with_pairs(STATES)
    target = rng.dirichlet(np.full(len(f), 2.0)) @ f
    found = [solve(f, target, penalty=np.r_[np.zeros(5), np.full(10, x)]) for x in PENALTIES]
    n_kept = [np.count_nonzero(x.multipliers[5:]) for x in found]
    assert n_kept[0] > n_kept[1] > n_kept[2]
    entropies = [x.entropy_bits for x in found]
    assert entropies == sorted(entropies)
    independent = solve(STATES, target[:5])
    nothing_kept = solve(f, target, penalty=np.r_[np.zeros(5), np.full(10, 1.0)])
    np.testing.assert_allclose(nothing_kept.probabilities, independent.probabilities, atol=1e-7)


def test_a_penalised_solution_is_the_minimum_of_the_penalised_dual():
    rng = np.random.default_rng(4)
    f = with_pairs(STATES)
    target = rng.dirichlet(np.full(len(f), 2.0)) @ f

    def objective(multipliers):
        value = np.log2(np.sum(np.exp2(-f @ multipliers))) + multipliers @ target
        return value + 0.02 * np.abs(multipliers).sum()

    found = solve(f, target, penalty=0.02)
    best = objective(found.multipliers)
    for _ in range(200):
        assert objective(found.multipliers + 0.01 * rng.normal(size=15)) > best


@pytest.mark.parametrize("penalty", [-0.1, [0.1, 0.1], np.nan])
def test_a_bad_penalty_is_an_error(penalty):
    with pytest.raises(ValueError, match="penalty"):
        solve(STATES, np.full(5, 0.3), penalty=penalty)
