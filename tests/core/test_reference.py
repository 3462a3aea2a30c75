"""The plain update: its means against integrals, its slopes against differences of F, its steps."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import chisquare

from crbm_lite.core import reference as ref
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.partition import all_states

N, M, L1 = 8, 2, 0.03
STATES = all_states(N).astype(float)


@pytest.fixture(scope="module")
def problem():
    """A machine at Var(h) = 1 over data that it does not fit, and states that stand for it."""
    rng = np.random.default_rng(2)
    v = (rng.random((300, N)) < rng.uniform(0.1, 0.6, N)).astype(float)
    v[:100, :4] = np.maximum(v[:100, :4], v[:100, :1])
    weights, fields = rng.normal(0, 0.8, (N, M)), rng.normal(-1, 0.3, N)
    potential = np.array([[1.2, 0.8], [0.9, 2.0], [-0.6, 0.7], [0.8, -0.4]])
    s = np.sqrt(variance_of_h(v, weights, potential))
    chains = (rng.random((70, N)) < 0.3).astype(float)
    return v, chains, weights * s, fields, potential * np.array([s**2, s**2, s, s])


def variance_of_h(v, weights, potential):
    mean, variance = DReLU(*potential).mean_and_variance(v @ weights)
    return variance.mean(axis=0) + mean.var(axis=0)


def log_weight(v, weights, fields, potential):
    """Log P(v) without its constant."""
    return v @ fields + DReLU(*potential).cumulant(v @ weights).sum(axis=1)


def objective(v, chains, weights, fields, potential):
    """F of data and chains: the chains' mean has the slope of log Z where they are equilibrated."""
    s = np.sqrt(variance_of_h(v, weights, potential))
    likelihood = (
        log_weight(v, weights, fields, potential).mean()
        - log_weight(chains, weights, fields, potential).mean()
    )
    return likelihood - L1 * (s * np.abs(weights).sum(axis=0)).sum()


def finite_difference(function, x, step=1e-5):
    slope = np.empty_like(x)
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = step
        slope[index] = (function(x + e) - function(x - e)) / (2 * step)
    return slope


# ---------------------------------------------------------------------- hidden units


@pytest.mark.parametrize("inp", [-3.0, 0.2, 4.0])
def test_means_and_their_slopes_are_those_of_the_integrals(problem, inp):
    potential, mean_h = problem[4], np.array([0.3, -0.2])
    z = np.linspace(-40, 40, 400_001)
    found = ref.hidden_means(np.full((1, M), inp), potential, mean_h)
    for mu in range(M):
        unit = potential[:, [mu]]

        def mean(f, inp=inp, unit=unit):
            p = np.exp(z * inp - DReLU(*unit).potential(z[:, None])[:, 0])
            return np.trapezoid(f * p, z) / np.trapezoid(p, z)

        up, down = np.maximum(z, 0), np.minimum(z, 0)
        assert found.h[0, mu] == pytest.approx(mean(z), rel=1e-7)
        assert found.h_square[0, mu] == pytest.approx(mean(z**2), rel=1e-7)
        features = [-(up**2) / 2, -(down**2) / 2, -up, -down]
        expected = [mean(f) for f in features]
        np.testing.assert_allclose(found.likelihood_slope[:, 0, mu], expected, rtol=1e-7, atol=1e-9)

        def spread(unit, inp=inp, mean=mean, mu=mu):
            return mean(z**2, inp, unit) - 2 * mean_h[mu] * mean(z, inp, unit)

        slopes = finite_difference(spread, unit)
        np.testing.assert_allclose(
            found.variance_slope[:, 0, mu], slopes[:, 0], rtol=1e-6, atol=1e-8
        )
        in_input = finite_difference(lambda x, unit=unit: spread(unit, x[0]), np.array([inp]))
        assert found.variance_slope_in_input[0, mu] == pytest.approx(in_input[0], rel=1e-6)


def test_coordinates_give_the_potential_of_the_formula_and_slopes_follow_the_chain_rule():
    rng = np.random.default_rng(0)
    coordinates = rng.uniform(-0.8, 0.8, (4, 5))
    offset, slope = rng.normal(size=(2, 5))
    one = ref.potential_given_coordinates(np.array([[np.log(2)], [0.5], [0.3], [1.0]]), np.zeros(1))
    expected = [2 / 1.5, 4, 0.3 + 1 / np.sqrt(1.5), 0.3 - 1 / np.sqrt(0.5)]
    np.testing.assert_allclose(one.ravel(), expected, rtol=1e-12)
    slope = rng.normal(size=(4, 5))
    expected = finite_difference(
        lambda x: (slope * ref.potential_given_coordinates(x, offset)).sum(), coordinates
    )
    found = ref.slope_in_coordinates(slope, coordinates, offset)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


# ---------------------------------------------------------------------- the gradient


def test_the_gradient_is_the_slope_of_the_penalised_likelihood(problem):
    v, chains, weights, fields, potential = problem
    np.testing.assert_allclose(variance_of_h(v, weights, potential), 1.0, rtol=1e-9)
    activity, mean_h = v.mean(axis=0), DReLU(*potential).mean(v @ weights).mean(axis=0)
    data, model = (ref.hidden_means(x @ weights, potential, mean_h) for x in (v, chains))
    kappa = 0.5 * L1 * np.abs(weights).sum(axis=0)
    in_weights, in_potential = ref.gradient(v, data, chains, model, kappa, activity, mean_h)

    def along_weights(x):  # with the fields and the thetas that move with them
        moved = potential + np.array([0, 0, 1, 1])[:, None] * (activity @ (x - weights))
        return objective(v, chains, x, fields - (x - weights) @ mean_h, moved)

    close = {"rtol": 1e-5, "atol": 1e-8}
    np.testing.assert_allclose(
        in_weights - L1 * np.sign(weights), finite_difference(along_weights, weights), **close
    )
    np.testing.assert_allclose(
        in_potential,
        finite_difference(lambda x: objective(v, chains, weights, fields, x), potential),
        **close,
    )
    assert np.abs(in_weights).max() > 0.01 and np.abs(in_potential).max() > 0.001


def test_the_chains_stand_for_the_slope_of_the_partition_function(problem):
    """By enumeration: the mean of the slopes over P is the slope of log Z."""
    _, _, weights, fields, potential = problem
    log_p = log_weight(STATES, weights, fields, potential)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    model = ref.hidden_means(STATES @ weights, potential, np.zeros(M))

    def log_z(w, x):
        return np.logaddexp.reduce(log_weight(STATES, w, fields, x))

    np.testing.assert_allclose(
        STATES.T @ (p[:, None] * model.h),
        finite_difference(lambda w: log_z(w, potential), weights), rtol=1e-6, atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(
        np.einsum("t,stm->sm", p, model.likelihood_slope),
        finite_difference(lambda x: log_z(weights, x), potential), rtol=1e-6, atol=1e-9,
    )  # fmt: skip


# ---------------------------------------------------------------------- the steps of an update


def test_the_chains_keep_the_distribution(problem):
    _, _, weights, fields, potential = problem
    rng = np.random.default_rng(0)
    log_p = log_weight(STATES, weights, fields, potential)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    v = STATES[rng.choice(2**N, size=100_000, p=p)]
    out = ref.gibbs_step(v, weights, fields, potential, rng)
    assert (out != v).any(axis=1).mean() > 0.5
    places = 1 << np.arange(N)
    counts = np.bincount((out @ places).astype(int), minlength=2**N)
    expected = np.empty(2**N)
    expected[(STATES @ places).astype(int)] = p * len(v)
    often = expected > 5
    observed = np.append(counts[often], counts[~often].sum())
    assert chisquare(observed, np.append(expected[often], expected[~often].sum())).pvalue > 0.001


def test_the_soft_threshold_minimises_the_distance_and_the_penalty():
    for x in (-1.3, -0.2, 0.1, 0.9):
        best = minimize_scalar(
            lambda w, x=x: 0.5 * (w - x) ** 2 + 0.4 * abs(w), bounds=(-2, 2), method="bounded",
            options={"xatol": 1e-10},
        ).x  # fmt: skip
        assert ref.soft_threshold(np.array(x), 0.4) == pytest.approx(best, abs=1e-6)


def state_of(weights, fields, potential, v):
    """A state with this potential, whose eta is zero."""
    offset = v.mean(axis=0) @ weights
    gamma, _, theta_plus, theta_minus = potential
    hidden = np.stack([np.log(gamma), np.zeros(M), 0.5 * (theta_plus + theta_minus) - offset,
                       0.5 * (theta_plus - theta_minus)])  # fmt: skip
    mean_h = DReLU(*potential).mean(v @ weights).mean(axis=0)
    return ref.State(weights, fields, hidden, np.zeros((N, M)), np.zeros(N), np.zeros((4, M)),
                     np.zeros((N, M)), mean_h)  # fmt: skip


def rates(**changes):
    usual = ref.Rates(learning_rate=0.01, field_rate=0.05, l1=0.02, l1_at_zero=0.02, beta2=0.9,
                      bias_correction=10.0, epsilon=1e-6, average_decay=0.9)  # fmt: skip
    return usual._replace(**changes)


def test_rescaling_brings_the_variance_to_one_and_leaves_the_probabilities(problem):
    v, chains, weights, fields, potential = problem
    potential = potential[[0, 0, 2, 3]] * np.array([1.6, 0.7])  # no longer at unit variance
    before = log_weight(STATES, weights, fields, potential)
    s, rng, activity = state_of(weights, fields, potential, v), None, v.mean(axis=0)
    still = rates(learning_rate=0.0, field_rate=0.0)
    assert (np.abs(variance_of_h(v, weights, potential) - 1.0) > 0.1).all()
    for _ in range(200):
        s, _ = ref.one_update(s, v, chains, 0, activity, still, rng)
    now = ref.potential_given_coordinates(s.hidden, activity @ s.weights)
    np.testing.assert_allclose(variance_of_h(v, s.weights, now), 1.0, rtol=1e-4)
    np.testing.assert_allclose(s.mean_h, DReLU(*now).mean(v @ s.weights).mean(axis=0), atol=1e-6)
    after = log_weight(STATES, s.weights, s.fields, now)
    np.testing.assert_allclose(after - after[0], before - before[0], atol=1e-9)


def test_a_small_plain_step_raises_the_objective_by_the_square_of_the_slopes(problem):
    v, chains, weights, fields, potential = problem
    potential = potential[[0, 0, 2, 3]]  # eta = 0
    s = np.sqrt(variance_of_h(v, weights, potential))
    weights, potential = weights * s, potential * np.array([s**2, s**2, s, s])
    old, activity = state_of(weights, fields, potential, v), v.mean(axis=0)
    # neither the running size of the gradients nor the penalty's cut: plain gradient ascent
    plain = rates(learning_rate=1e-6, field_rate=1e-6, beta2=1.0, epsilon=1.0, l1=0.0)
    new, _ = ref.one_update(old, v, chains, 0, activity, plain, None)
    before, after = (
        log_weight(v, x.weights, x.fields, y).mean()
        - log_weight(chains, x.weights, x.fields, y).mean()
        for x in (old, new)
        for y in [ref.potential_given_coordinates(x.hidden, activity @ x.weights)]
    )
    moved = [getattr(new, name) - getattr(old, name) for name in ("weights", "fields", "hidden")]
    moved[1] += (new.weights - old.weights) @ old.mean_h  # the field's own step
    assert all(np.abs(x).max() > 1e-9 for x in moved)
    expected = sum((x**2).sum() for x in moved) / 1e-6
    assert after - before == pytest.approx(expected, rel=1e-3)


def test_weights_stop_at_zero_and_leave_it_by_their_average(problem):
    v, chains, weights, fields, potential = problem
    weights = weights.copy()
    weights[:4, 0] = 0.0
    weights[4:, 1] *= 1e-3
    old = state_of(weights, fields, potential[[0, 0, 2, 3]], v)
    average = np.zeros((N, M))
    average[:2, 0] = 1.0  # far above lambda
    old = old._replace(weight_average=average)
    new, _ = ref.one_update(old, v, chains, 0, v.mean(axis=0), rates(), None)
    assert (new.weights[:2, 0] > 0).all() and (new.weights[2:4, 0] == 0).all()
    crossing = np.sign(new.weights) * np.sign(weights) < 0
    stopped = (weights != 0) & (new.weights == 0)
    assert not crossing.any() and stopped.any()
    # in a refit zeros stay zeros, whatever their average
    refit, _ = ref.one_update(
        old, v, chains, 0, v.mean(axis=0), rates(l1=0.0, l1_at_zero=np.inf), None
    )
    assert (refit.weights[:4, 0] == 0).all() and (refit.weights[4:, 0] != 0).all()


def test_many_updates_tell_two_assemblies_apart():
    """Two groups of neurons that each spike together get a hidden unit each."""
    rng = np.random.default_rng(0)
    on = rng.random((600, 2)) < 0.3
    p = np.where(np.repeat(on, 6, axis=1), 0.7, 0.05)
    v = (rng.random((600, 12)) < p).astype(float)
    activity, shape = v.mean(axis=0), (12, 2)
    s = ref.State(
        rng.normal(0, 0.1, shape), np.log(activity / (1 - activity)), np.zeros((4, 2)),
        np.zeros(shape), np.zeros(12), np.zeros((4, 2)), np.zeros(shape), np.zeros(2),
    )  # fmt: skip
    chains = v[:100]
    for update in range(400):
        bias = 1.0 / (1.0 - 0.99 ** (update + 1))
        now = rates(bias_correction=bias, beta2=0.99, field_rate=0.01, l1=0.002)
        batch = v[rng.choice(600, 100, replace=False)]
        s, chains = ref.one_update(s, batch, chains, 3, activity, now, rng)
    size = np.abs(s.weights.reshape(2, 6, 2)).mean(axis=1)
    assert (size.max(axis=1) > 3 * size.min(axis=1)).all()
    assert sorted(size.argmax(axis=1)) == [0, 1]
    assert chains.mean() == pytest.approx(activity.mean(), rel=0.15)
