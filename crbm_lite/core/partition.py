"""The partition function: exact on small machines, annealed importance sampling on any."""

from __future__ import annotations

import numpy as np

from crbm_lite.checks.arguments import as_count, as_numbers
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains

__all__ = ["MAX_EXACT_NEURONS", "all_states", "log_partition_ais"]

MAX_EXACT_NEURONS = 22


def all_states(n_neurons: int) -> np.ndarray:
    """List every binary vector: shape (2^N, N), uint8.

    Raises
    ------
    ValueError
        For more than 22 neurons.

    Examples
    --------
    >>> all_states(2).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if n_neurons > MAX_EXACT_NEURONS:
        raise ValueError(
            f"n_neurons is {n_neurons}: the states of at most {MAX_EXACT_NEURONS} neurons can be "
            'enumerated; use method="ais"'
        )
    bits = np.arange(n_neurons - 1, -1, -1)
    return ((np.arange(2**n_neurons)[:, None] >> bits) & 1).astype(np.uint8)


def log_partition_ais(
    weights: np.ndarray,
    fields: np.ndarray,
    units: DReLU,
    rng: np.random.Generator,
    *,
    n_chains: int = 200,
    n_temperatures: int = 1000,
) -> tuple[float, float]:
    r"""Estimate log Z by annealed importance sampling (Neal 2001) from independent neurons.

    The path scales the weights: :math:`\log\tilde P_\beta(v) = g \cdot v + \sum_\mu
    \Gamma_\mu(\beta I_\mu)`, whose partition function at beta = 0 is known.

    Parameters
    ----------
    weights : ndarray, shape (N, M)
    fields : ndarray, shape (N,)
    units : DReLU
    rng : numpy.random.Generator
    n_chains, n_temperatures : int

    Returns
    -------
    log_partition, standard_error : float
        The estimate, and its standard error over the chains.

    Raises
    ------
    ValueError
        If a number is no integer of 1 or more.
    """
    n_chains = as_count(n_chains, "n_chains")
    n_temperatures = as_count(n_temperatures, "n_temperatures")
    fields = as_numbers(fields, "fields")
    w32 = np.ascontiguousarray(as_numbers(weights, "weights", np.float32))
    f32 = fields.astype(np.float32)
    chains = GibbsChains(*w32.shape, n_chains, int(rng.integers(2**63)), jump_every=0)
    chains.set_weights(w32)
    p = 1.0 / (1.0 + np.exp(-fields))
    chains.set_spikes(rng.random((n_chains, len(p))) < p)
    log_weights = np.zeros(n_chains)
    betas = np.linspace(0.0, 1.0, n_temperatures + 1)
    for before, after in zip(betas, betas[1:], strict=False):
        inputs = chains.inputs()
        gain = units.cumulant(after * inputs) - units.cumulant(before * inputs)
        log_weights += gain.sum(axis=1)
        chains.step(1, w32, f32, units.parameters, scale=after)
    start = np.logaddexp(0.0, fields).sum() + units.cumulant(np.zeros((1, units.n_hidden))).sum()
    w = np.exp(log_weights - log_weights.max())
    estimate = start + log_weights.max() + np.log(w.mean())
    spread = np.std(w / w.mean()) / np.sqrt(n_chains)
    return float(estimate), float(spread)
