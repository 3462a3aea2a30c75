"""The hyperparameters of a training run and how learning rate and penalty go over its updates.

The paper's schedule: a constant learning rate, then geometric decay (Methods).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Hyperparameters of a run; the names are those of `crbm_lite.CRBM`."""

    n_updates: int
    batch_size: int
    n_chains: int
    n_gibbs: int
    jump_every: int
    l1: float
    learning_rate: float
    final_learning_rate: float
    decay_start: float
    ramp: float
    average_from: float
    beta2: float
    epsilon: float

    def learning_rate_at(self, update: int) -> float:
        """Constant, then geometric decay from ``decay_start`` to the end."""
        done = (update / self.n_updates - self.decay_start) / max(1.0 - self.decay_start, 1e-9)
        decay = self.final_learning_rate / self.learning_rate
        return self.learning_rate * decay ** min(max(done, 0.0), 1.0)

    def l1_at(self, update: int) -> float:
        """Penalty, raised linearly from zero over the share ``ramp`` of the updates."""
        return self.l1 * min((update + 1) / max(self.ramp * self.n_updates, 1.0), 1.0)
