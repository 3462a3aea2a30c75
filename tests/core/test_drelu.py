"""The hidden potential against integrals at 80 digits; samples against the exact distribution."""

import mpmath as mp
import numba
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr
from scipy.stats import kstest

from crbm_lite.core.drelu import DReLU, partial_moments

mp.mp.dps = 80  # central moments of far tails lose 30 digits to cancellation


def half_integrals(slope, gamma, n_max):
    """Integrals of h^n exp(-gamma h^2/2 - slope h) over h > 0, n = 0..n_max, at 80 digits."""
    gamma = mp.mpf(float(gamma))
    root = mp.sqrt(2 * gamma)
    integrals = [mp.sqrt(mp.pi) / root * mp.exp((slope / root) ** 2) * mp.erfc(slope / root)]
    integrals.append((1 - slope * integrals[0]) / gamma)
    for n in range(1, n_max):
        integrals.append((n * integrals[n - 1] - slope * integrals[n]) / gamma)
    return integrals


def exact_moments(inp, parameters, n_max=2):
    """log Z, and the moments of max(h, 0) and of min(h, 0), n = 0..n_max."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = parameters
    inp = mp.mpf(float(inp))
    up = half_integrals(mp.mpf(float(theta_plus)) - inp, gamma_plus, n_max)
    down = half_integrals(inp - mp.mpf(float(theta_minus)), gamma_minus, n_max)
    z = up[0] + down[0]
    return mp.log(z), [x / z for x in up], [(-1) ** n * x / z for n, x in enumerate(down)]


def exact(inp, parameters):
    """(Gamma, mean, variance) as mpmath numbers."""
    log_z, up, down = exact_moments(inp, parameters)
    mean = up[1] + down[1]
    return log_z, mean, up[2] + down[2] - mean**2


def log_weight_difference(inp, parameters):
    """log Z+ - log Z-, in float64."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = parameters

    def log_half(slope, gamma):
        x = slope / np.sqrt(gamma)
        return log_ndtr(-x) + 0.5 * x**2 - 0.5 * np.log(gamma)

    return log_half(theta_plus - inp, gamma_plus) - log_half(inp - theta_minus, gamma_minus)


def cases(kind, n, rng):
    """Parameters (n, 4) and inputs (n,) of one kind of potential over the ranges of the design."""
    gamma = 10 ** rng.uniform(-3, 3, (n, 2))
    theta = rng.uniform(-20, 20, (n, 2))
    inputs = rng.uniform(-50, 50, n)
    if kind == "corners":
        gamma = rng.choice([1e-3, 1.0, 1e3], (n, 2))
        theta = rng.choice([-20.0, 0.0, 20.0], (n, 2))
        inputs = rng.choice([-50.0, 0.0, 50.0], n)
    elif kind == "gaussian":
        gamma[:, 1], theta[:, 1] = gamma[:, 0], theta[:, 0]
    elif kind == "relu":
        gamma[:, 1], gamma[:, 0] = 1e3, 10 ** rng.uniform(-3, 0, n)
        theta[:, 1] = -20.0
    elif kind == "soft threshold":
        theta = np.abs(theta) * [1, -1]
        inputs *= 0.2
    elif kind == "double well":
        theta = np.abs(theta) * [-1, 1]
        inputs *= 0.2
    parameters = np.column_stack([gamma, theta])
    if kind in ("near-equal wells", "unequal wells"):
        # the input at which the log weights are equal or differ by up to 40, and a little beside
        differences = rng.uniform(-40, 40, n) * (kind == "unequal wells")
        parameters[:, 2:] = np.abs(theta) * [-1, 1]
        for k, p in enumerate(parameters):
            inputs[k] = brentq(
                lambda inp, p=p, k=k: log_weight_difference(inp, p) - differences[k], -1e4, 1e4
            )
        inputs += rng.choice([0.0, 1e-12, 1e-6, 1e-2, -1e-4], n)
        kept = np.abs(inputs) <= 50
        parameters, inputs = parameters[kept], inputs[kept]
    return parameters, inputs


KINDS = [
    "asymmetric", "corners", "gaussian", "relu", "soft threshold", "double well",
    "near-equal wells",
    "unequal wells",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_cumulant_mean_and_variance_to_nine_digits(kind):
    parameters, inputs = cases(kind, 600, np.random.default_rng(KINDS.index(kind)))
    assert len(inputs) > 200
    units = DReLU(*parameters.T)
    gamma, mean, variance = (f(inputs) for f in (units.cumulant, units.mean, units.variance))
    for k, (p, inp) in enumerate(zip(parameters, inputs)):
        e_gamma, e_mean, e_variance = exact(inp, p)
        where = f"{kind}: {p.tolist()}, I = {inp}"
        assert abs(gamma[k] - e_gamma) / (1 + abs(e_gamma)) < 1e-9, where
        assert abs(mean[k] - e_mean) / max(abs(e_mean), mp.sqrt(e_variance)) < 1e-9, where
        assert abs(variance[k] - e_variance) / e_variance < 1e-9, where


@pytest.mark.parametrize(
    ("parameters", "inp"),
    [
        ((1.0, 4.0, -2.0, 3.0), 0.5),
        ((0.3, 2.0, 1.0, -1.5), -1.0),
        ((5.0, 0.2, 6.0, -8.0), 2.0),
    ],
)
def test_the_closed_form_of_these_tests_is_the_integral(parameters, inp):
    gamma_plus, gamma_minus, theta_plus, theta_minus = parameters

    def weight(h):
        up, down = max(h, 0), min(h, 0)
        quadratic = (gamma_plus * up**2 + gamma_minus * down**2) / 2
        return mp.exp(-quadratic - theta_plus * up - theta_minus * down + h * inp)

    points = [-60, -10, -3, -1, 0, 1, 3, 10, 60]
    with mp.workdps(30):
        z, first, second = (mp.quad(lambda h, n=n: h**n * weight(h), points) for n in range(3))
        gamma, mean, variance = exact(inp, parameters)
        assert abs(gamma - mp.log(z)) < 1e-20
        assert abs(mean - first / z) < 1e-20
        assert abs(variance - (second / z - (first / z) ** 2)) < 1e-20
    unit = DReLU(*([x] for x in parameters))
    assert unit.cumulant([inp])[0] == pytest.approx(float(mp.log(z)), rel=1e-12)


def test_derivatives_of_the_cumulant_are_mean_and_variance():
    parameters = np.array([[0.5, 3.0, -1.0, 2.0], [2.0, 2.0, 3.0, -3.0], [9.0, 0.1, 0.0, 1.0]]).T
    units, step = DReLU(*parameters), 1e-4
    inputs = np.linspace(-6, 6, 25)[:, None] + np.zeros(3)
    slope = (units.cumulant(inputs + step) - units.cumulant(inputs - step)) / (2 * step)
    curvature = (units.mean(inputs + step) - units.mean(inputs - step)) / (2 * step)
    np.testing.assert_allclose(units.mean(inputs), slope, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(units.variance(inputs), curvature, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_partial_moments_to_nine_digits(kind):
    compiled = numba.njit(lambda *arguments: partial_moments(*arguments))
    parameters, inputs = cases(kind, 150, np.random.default_rng(100 + KINDS.index(kind)))
    out = np.empty(8)
    for p, inp in zip(parameters, inputs):
        compiled(inp, *p, out)
        _, up, down = exact_moments(inp, p, n_max=4)
        expected = np.array([float(x) for x in up[1:] + down[1:]])
        np.testing.assert_allclose(out, expected, rtol=3e-9, atol=1e-250, err_msg=f"{p}, I = {inp}")


def exact_cdf(inp, parameters):
    """The distribution function of P(h|I), through log-space tails of either half."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = parameters
    _, up, down = exact_moments(inp, parameters)
    p_plus, p_minus = float(up[0]), float(down[0])

    def survival(size, slope, gamma):
        x = slope / np.sqrt(gamma)
        return np.exp(log_ndtr(-(size * np.sqrt(gamma) + x)) - log_ndtr(-x))

    def cdf(h):
        above = p_plus * survival(np.maximum(h, 0), theta_plus - inp, gamma_plus)
        below = p_minus * survival(np.maximum(-h, 0), inp - theta_minus, gamma_minus)
        return np.where(h > 0, 1.0 - above, below)

    return cdf


SAMPLED = {
    "gaussian": ((2.0, 2.0, 0.0, 0.0), 3.0),
    "asymmetric": ((0.5, 8.0, 0.3, -0.7), -0.4),
    "relu": ((1.0, 1e3, 0.5, -20.0), 1.0),
    "soft threshold, 6 sd": ((1.0, 1.0, 6.0, -6.0), 0.0),
    "soft threshold, 9 sd": ((1.0, 4.0, 9.0, -18.5), 0.2),
    "soft threshold, 600 sd": ((1e-3, 1e-3, 20.0, -20.0), 0.5),
    "just inside the tail": ((1.0, 1.0, 0.1, -0.1), 0.0),
    "double well": ((1.0, 1.0, -4.0, 4.0), 0.01),
    "unequal double well": ((9.0, 1.0, -9.0, 2.5), 0.0),
    "steep double well": ((1e3, 1e-3, -20.0, 0.1), 0.3),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_follow_the_exact_distribution(name):
    parameters, inp = SAMPLED[name]
    unit = DReLU(*([x] for x in parameters))
    h = unit.sample(np.full((40_000, 1), inp), np.random.default_rng(7)).ravel()
    cdf = exact_cdf(inp, parameters)
    assert np.isfinite(h).all() and (h != 0).all()
    assert kstest(h, cdf).pvalue > 1e-3
    for side, low in ((1, 0.98), (-1, 0.02)):  # and in the tails: uniform beyond a quantile
        u = cdf(h)
        tail = (u[u > low] - low) / (1 - low) if side > 0 else u[u < low] / low
        assert len(tail) > 600
        assert kstest(tail, "uniform").pvalue > 1e-3


def test_samples_depend_on_the_generator_alone():
    unit = DReLU([1.0, 2.0], [1.0, 1.0], [-1.0, 3.0], [1.0, -3.0])
    inputs = np.zeros((50, 2))
    first = unit.sample(inputs, np.random.default_rng(3))
    assert np.array_equal(first, unit.sample(inputs, np.random.default_rng(3)))
    assert not np.array_equal(first, unit.sample(inputs, np.random.default_rng(4)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mode_minimises_the_potential(kind):
    parameters, inputs = cases(kind, 30, np.random.default_rng(5))
    units = DReLU(*parameters.T)
    mode = units.mode(inputs)
    energy = units.potential(mode) - inputs * mode
    grid = np.concatenate([-np.logspace(-8, 5, 400), [0.0], np.logspace(-8, 5, 400)])
    near = mode + np.abs(mode) * np.linspace(-1e-3, 1e-3, 21)[:, None]
    others = np.concatenate([np.repeat(grid[:, None], len(inputs), axis=1), near])
    other_energy = units.potential(others) - inputs * others
    assert (other_energy >= energy - 1e-9 * (1 + np.abs(energy))).all()


def test_potential_is_equation_13():
    unit = DReLU([2.0], [6.0], [0.5], [-0.25])
    np.testing.assert_allclose(
        unit.potential(np.array([[3.0], [-2.0], [0.0]])).ravel(),
        [0.5 * 2 * 9 + 0.5 * 3, 0.5 * 6 * 4 - 0.25 * -2, 0.0],
    )


def test_shapes_and_float32_inputs_are_kept():
    units = DReLU(*np.random.default_rng(0).uniform(0.5, 2, (4, 3)))
    inputs = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    for f in (units.cumulant, units.mean, units.variance, units.mode, units.potential):
        assert f(inputs).shape == inputs.shape and f(inputs).dtype == np.float64
        np.testing.assert_array_equal(f(inputs)[1, 2], f(inputs[1, 2].astype(float)))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (([0.0], [1.0], [0.0], [0.0]), "gamma_plus"),
        (([1.0], [-1.0], [0.0], [0.0]), "gamma_minus"),
        (([1.0], [1.0], [np.nan], [0.0]), "theta_plus"),
        (([1.0], [1.0], [0.0], [np.inf]), "theta_minus"),
        (([1.0, 1.0], [1.0], [0.0], [0.0]), "length"),
    ],
)
def test_impossible_parameters_are_named(parameters, named):
    with pytest.raises(ValueError, match=named):
        DReLU(*parameters)
