r"""log Z(c) / Z(0) by annealing, for drives that importance weights cannot bridge.

The path goes from the cRBM to the driven one in small steps of :math:`\beta c`, and every chain is
weighed by

.. math:: \sum_k \Gamma(I_k + \beta_{k+1} c) - \Gamma(I_k + \beta_k c) .

Forward, from draws of the cRBM, the estimate of log Z(c) is too low on average; backward, from
where the forward chains arrived, it is too high. Half the way between the two is taken, and their
distance is told. At the turn the chains of a frame are resampled by their weights, and take a few
steps more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from crbm_lite.temporal.chains import DrivenChains
from crbm_lite.temporal.equilibrium import EquilibriumSample

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["annealed_log_ratio"]

_CHAINS_TOGETHER = 1024  # what they need fits into memory at 100,000 neurons
_STEPS_AT_THE_END = 5


def annealed_log_ratio(
    model: CRBM,
    drive: np.ndarray,
    sample: EquilibriumSample,
    rng: np.random.Generator,
    n_temperatures: int = 20,
    n_replicas: int = 8,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate log Z(c) / Z(0) of every frame in both directions.

    Parameters
    ----------
    model : CRBM
        With its weights, fields and units.
    drive : (T, M) float64
        c of every frame.
    sample : EquilibriumSample
        Draws of the model.
    rng : numpy.random.Generator
    n_temperatures : int, default 20
        Gibbs steps of the path.
    n_replicas : int, default 8
        Chains of a frame in each direction.

    Returns
    -------
    forward, backward : (T,) float64
        Too low and too high on average.
    """
    together = max(_CHAINS_TOGETHER // n_replicas, 1)
    parts = [
        _both_directions(model, drive[i : i + together], sample, rng, n_temperatures, n_replicas)
        for i in range(0, len(drive), together)
    ]
    forward, backward = (np.concatenate(part) for part in zip(*parts, strict=True))
    return forward, backward


def _both_directions(
    model: CRBM,
    drive: np.ndarray,
    sample: EquilibriumSample,
    rng: np.random.Generator,
    n_temperatures: int,
    n_replicas: int,
) -> tuple[np.ndarray, np.ndarray]:
    beta = np.linspace(0.0, 1.0, n_temperatures + 1)
    c = np.repeat(drive, n_replicas, axis=0)
    start = sample.spikes(rng.integers(len(sample), size=len(c)))
    chains = DrivenChains(
        model.weights_, model.fields_, model.units, 0.0 * c, start, int(rng.integers(2**63))
    )
    work = _along(chains, c, beta).reshape(-1, n_replicas)
    forward = logsumexp(work, axis=1) - np.log(n_replicas)

    chances = np.exp(work - logsumexp(work, axis=1, keepdims=True))
    pick = (chances.cumsum(axis=1)[:, None] < rng.random(work.shape)[:, :, None]).sum(axis=2)
    pick = np.minimum(pick, n_replicas - 1) + n_replicas * np.arange(len(work))[:, None]
    chains = DrivenChains(
        model.weights_, model.fields_, model.units, c, chains.spikes()[pick.ravel()],
        int(rng.integers(2**63)),
    )  # fmt: skip
    chains.step(_STEPS_AT_THE_END)
    work = _along(chains, c, beta[::-1]).reshape(-1, n_replicas)
    return forward, np.log(n_replicas) - logsumexp(work, axis=1)


def _along(chains: DrivenChains, c: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Walk along the temperatures; return the log weight of every chain."""
    work = np.zeros(len(c))
    for here, there in zip(beta[:-1], beta[1:], strict=True):
        chains.set_drive(here * c)
        inputs = chains.inputs()
        cumulant = chains.units.cumulant
        work += (cumulant(inputs + (there - here) * c) - cumulant(inputs)).sum(axis=1)
        chains.set_drive(there * c)
        chains.step(1)
    return work
