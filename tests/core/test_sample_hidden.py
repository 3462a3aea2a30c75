"""Draws of hidden units: the table against scipy, the side against its exact probability.

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
