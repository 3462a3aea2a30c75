"""Draws of hidden units: the side against its exact probability, rows of any length.

The distribution of the draws is tested in test_drelu.py.
"""

import numba
import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import binomtest

from crbm_lite.core import sample_hidden
from crbm_lite.core.truncated_gaussian import log_half


@pytest.mark.parametrize("gamma", [1e-3, 0.7, 1e3])
def test_tabulated_logarithm_is_within_its_bound(gamma):
    x = np.linspace(-20, 20, 20_001)
    exact = log_ndtr(-x) + 0.5 * x**2 + 0.5 * np.log(2 * np.pi)
    compiled = numba.njit(lambda *arguments: log_half(*arguments))
    table = [compiled(d, gamma, gamma**-0.5) for d in x * np.sqrt(gamma)]
    assert np.abs(table - exact).max() < 3e-11


@pytest.mark.parametrize("difference", [0.0, 3.0, -12.0])
def test_the_side_has_its_exact_probability(difference):
    """A double well whose sides differ by a given log weight, 400,000 draws."""
    gamma, depth = np.array([2.0]), 4.0
    theta_plus = np.array([-depth])
    theta_minus = np.array([depth])
    weight = lambda d: log_ndtr(-d / np.sqrt(2.0)) + d**2 / 4.0  # noqa: E731
    inputs = np.linspace(-3, 3, 60_001)
    log_odds = weight(-depth - inputs) - weight(inputs - depth)
    inp = inputs[np.argmin(np.abs(log_odds - difference))]
    exact = 1.0 / (1.0 + np.exp(-(weight(-depth - inp) - weight(inp - depth))))
    n = 400_000
    out = np.empty((n, 1))
    sample_hidden.sample_h_given_input(
        np.full((n, 1), inp), gamma, gamma, theta_plus, theta_minus, np.uint64(5), out
    )
    assert binomtest(int((out > 0).sum()), n, exact).pvalue > 1e-3


@pytest.mark.parametrize("n_hidden", [1, 7, 40])
@pytest.mark.parametrize("n_frames", [1, 8, 21])
def test_a_draw_is_a_function_of_its_number_and_input(n_frames, n_hidden):
    """The draws of a frame do not depend on the frames around it, however rows are filled up."""
    rng = np.random.default_rng(0)
    potential = [*rng.uniform(0.5, 2, (2, n_hidden)), *rng.normal(0, 2, (2, n_hidden))]
    inputs, key = rng.normal(0, 3, (n_frames, n_hidden)), np.uint64(7)
    out = np.empty_like(inputs)
    sample_hidden.sample_h_given_input(inputs, *potential, key, out)
    other = inputs.copy()
    other[0] += 1.0
    again = np.empty_like(inputs)
    sample_hidden.sample_h_given_input(other, *potential, key, again)
    np.testing.assert_array_equal(again[1:], out[1:])
    assert (again[0] != out[0]).all()
    assert np.isfinite(out).all() and (out != 0).all()


def test_units_with_the_same_number_of_chains_draw_what_frames_draw():
    """A Gibbs step and `DReLU.sample` share their numbers: chain c and unit mu have c M + mu."""
    rng = np.random.default_rng(0)
    n_chains, n_hidden = 19, 5
    potential = [*rng.uniform(0.5, 2, (2, n_hidden)), *rng.normal(0, 2, (2, n_hidden))]
    parts = rng.normal(0, 2, (3, n_chains, n_hidden)).astype(np.float32)
    h = np.zeros((n_hidden, 32), np.float32)
    sample_hidden.sample_h_given_partial_input(parts, 0.5, *potential, np.uint64(3), h)
    out = np.empty((n_chains, n_hidden))
    inputs = 0.5 * parts.astype(np.float64).sum(axis=0)
    sample_hidden.sample_h_given_input(inputs, *potential, np.uint64(3), out)
    np.testing.assert_allclose(h[:, :n_chains].T, out, rtol=1e-6)
