"""A machine of eight neurons whose states can be enumerated, and data that it does not fit."""

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.partition import all_states

N, M, L1 = 8, 2, 0.03
STATES = all_states(N).astype(float)
POTENTIAL = np.array([[1.2, 0.8], [0.9, 2.0], [-0.6, 0.7], [0.8, -0.4]])


def machine_and_data(seed=2):
    """Data v, and weights, fields and potential of a machine at Var(h) = 1 over them."""
    rng = np.random.default_rng(seed)
    v = (rng.random((300, N)) < rng.uniform(0.1, 0.6, N)).astype(np.uint8)
    v[:100, :4] |= v[:100, :1]
    weights, fields = rng.normal(0, 0.8, (N, M)), rng.normal(-1, 0.3, N)
    s = np.sqrt(variance_of_h(v, weights, POTENTIAL))
    return v, weights * s, fields, POTENTIAL * np.array([s**2, s**2, s, s])


def variance_of_h(v, weights, potential):
    mean, variance = DReLU(*potential).mean_and_variance(v.astype(float) @ weights)
    return variance.mean(axis=0) + mean.var(axis=0)


def log_weight(v, weights, fields, potential):
    """Log P(v) without its constant."""
    v = v.astype(float)
    return v @ fields + DReLU(*potential).cumulant(v @ weights).sum(axis=1)


def distribution(weights, fields, potential):
    """P(v) of all states."""
    log_p = log_weight(STATES, weights, fields, potential)
    return np.exp(log_p - np.logaddexp.reduce(log_p))


def penalised_likelihood(v, weights, fields, potential, l1=L1):
    """F = <log P(v)> - lambda sum_mu s_mu |w_mu|_1, by enumeration."""
    log_z = np.logaddexp.reduce(log_weight(STATES, weights, fields, potential))
    s = np.sqrt(variance_of_h(v, weights, potential))
    penalty = l1 * (s * np.abs(weights).sum(axis=0)).sum()
    return log_weight(v, weights, fields, potential).mean() - log_z - penalty


def finite_difference(function, x, step=1e-5):
    slope = np.empty_like(x)
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = step
        slope[index] = (function(x + e) - function(x - e)) / (2 * step)
    return slope
