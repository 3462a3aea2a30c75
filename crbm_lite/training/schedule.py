"""The hyperparameters of a training run and how learning rate and penalty go over its updates.

The paper's schedule: a constant learning rate, then geometric decay (Methods). The refit is the
relaxed lasso of Meinshausen (2007): the penalty chooses the weights, and what is left of them is
fitted without it, which takes out the penalty's bias.
"""

from __future__ import annotations

import math
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
    refit: float = 0.0

    def learning_rate_at(self, update: int) -> float:
        """Constant, then geometric decay from ``decay_start`` to the end."""
        done = (update / self.n_updates - self.decay_start) / max(1.0 - self.decay_start, 1e-9)
        decay = self.final_learning_rate / self.learning_rate
        return self.learning_rate * decay ** min(max(done, 0.0), 1.0)

    def is_refit(self, update: int) -> bool:
        """Whether the update is one of the last, which move only weights that are not zero."""
        return self.refit > 0.0 and update >= (1.0 - self.refit) * self.n_updates

    @property
    def l1_nonzero(self) -> float:
        """Penalty under which the weights that are not zero end."""
        return 0.0 if self.refit > 0.0 else self.l1

    def is_averaged(self, update: int) -> bool:
        """Whether parameters after so many updates are averaged; the refit's first half is not."""
        half_of_refit = 1.0 - 0.5 * self.refit if self.refit > 0.0 else 0.0
        return update > max(self.average_from, half_of_refit) * self.n_updates

    def l1_at(self, update: int) -> float:
        """Penalty, raised linearly from zero over the share ``ramp`` of the updates; refit: 0."""
        if self.is_refit(update):
            return 0.0
        return self.l1 * min((update + 1) / max(self.ramp * self.n_updates, 1.0), 1.0)

    def l1_at_zero(self, update: int) -> float:
        """What the gradient of a weight at zero has to exceed to move it; refit: infinite."""
        return math.inf if self.is_refit(update) else self.l1_at(update)
