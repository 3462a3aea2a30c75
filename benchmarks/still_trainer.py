"""A trainer whose updates cost what they cost and leave its weights where they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.monitors import Trainer
from crbm_lite.training.start import Start


def random_weights(n: int, m: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """W (N, M) float32 with as many non-zero entries as a trained model of this density."""
    weights = np.zeros((n, m), np.float32)
    for first in range(0, n, 10_000):  # a mask of all would be large
        rows = weights[first : first + 10_000]
        on = rng.random(rows.shape, dtype=np.float32) < density
        rows[on] = 0.1 / np.sqrt(density * m) * rng.standard_normal(on.sum())
    return weights


def still_trainer(
    make_trainer: Callable[..., Trainer],
    spikes: Spikes,
    weights: np.ndarray,
    rng: np.random.Generator,
    *,
    n_chains: int,
    n_gibbs: int,
    jump_every: int,
    l1: float,
) -> Trainer:
    """Make a trainer of these weights with a learning rate that moves nothing.

    With ``l1`` = 1 no weight at zero moves either; a W without zeros can have 0.
    """
    m = weights.shape[1]
    activity = float(spikes.activity().mean())
    fields = np.full(spikes.n_neurons, np.log(activity / (1 - activity)))
    potential = np.stack([np.ones(m), np.ones(m), np.zeros(m), np.zeros(m)])
    schedule = Schedule(
        n_updates=10**6, batch_size=100, n_chains=n_chains, n_gibbs=n_gibbs, jump_every=jump_every,
        l1=l1, learning_rate=1e-15, final_learning_rate=1e-15, decay_start=0.25, ramp=0.0,
        average_from=0.0, beta2=0.999, epsilon=1e-6,
    )  # fmt: skip
    start = Start(weights, fields, potential, field_rate_factor=1.0)
    return make_trainer(spikes, start, schedule, rng)
