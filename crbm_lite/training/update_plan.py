"""What each update of a run is given: its frames and its rates.

Every trainer has a plan, whatever it computes with. The plan also holds the random numbers of the
run, so that a run that goes on from a plan's state ends in the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from crbm_lite.core.reference import Rates
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.start import Start

__all__ = ["UpdatePlan"]

_AVERAGED_GRADIENT_RATE = 0.01  # share of an update in the averaged gradient
_SLOWEST_AVERAGE = 0.02  # of that rate, however small the learning rate is
_AVERAGED_EVERY = 10  # updates; the swings are a hundred updates long and longer


class UpdatePlan:
    """Say which frames and which rates the next update gets.

    Parameters
    ----------
    schedule : Schedule
    start : Start
        It says how slowly lambda is raised at least, and how fast fields and potentials move.
    n_frames : int
        Number of frames of the data.
    rng : numpy.random.Generator
        Draws the order of the frames. Trainers may draw from it, too.

    Attributes
    ----------
    schedule : Schedule
        As given, with the start's ramp if that is longer.
    update : int
        Number of updates made.
    learning_rate_factor : float
        Factor on the schedule's learning rate, halved by each rewind.
    n_averaged : int
        Number of updates in the mean over the later parameters.

    Examples
    --------
    >>> schedule = Schedule(n_updates=100, batch_size=2, n_chains=2, n_gibbs=1, jump_every=0,
    ...     l1=0.02, learning_rate=0.01, final_learning_rate=0.01, decay_start=0.0, ramp=0.0,
    ...     average_from=0.5, beta2=0.9, epsilon=1e-6)
    >>> start = Start(np.zeros((3, 1)), np.zeros(3), np.ones((4, 1)), field_rate_factor=5.0)
    >>> plan = UpdatePlan(schedule, start, n_frames=6, rng=np.random.default_rng(0))
    >>> sorted(int(t) for _ in range(3) for t in plan.next_frames())
    [0, 1, 2, 3, 4, 5]
    >>> plan.rates().learning_rate, plan.rates().field_rate
    (0.01, 0.05)
    """

    def __init__(
        self, schedule: Schedule, start: Start, n_frames: int, rng: np.random.Generator
    ) -> None:
        least_ramp = min(start.ramp_updates / schedule.n_updates, 0.5)
        self.schedule = replace(schedule, ramp=max(schedule.ramp, least_ramp))
        self.rng = rng
        self.update = 0
        self.learning_rate_factor = 1.0
        self.n_averaged = 0
        self._field_rate_factor = start.field_rate_factor
        self._n_frames = n_frames
        self._frames_to_come = np.empty(0, np.int64)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return self.schedule.learning_rate_at(self.update) * self.learning_rate_factor

    def rates(self) -> Rates:
        """Return the rates of the next update.

        The averaged gradient, which revives weights at zero, gets longer as the steps get smaller:
        a revived weight must be worth more than noise.
        """
        schedule, learning_rate = self.schedule, self.learning_rate
        share = max(learning_rate / schedule.learning_rate, _SLOWEST_AVERAGE)
        return Rates(
            learning_rate=learning_rate,
            field_rate=self._field_rate_factor * learning_rate,
            l1=schedule.l1_at(self.update),
            l1_at_zero=schedule.l1_at_zero(self.update),
            beta2=schedule.beta2,
            bias_correction=1.0 / (1.0 - schedule.beta2 ** (self.update + 1)),
            epsilon=schedule.epsilon,
            average_decay=1.0 - _AVERAGED_GRADIENT_RATE * share,
        )

    def next_frames(self) -> np.ndarray:
        """Return the next batch of a random order of all frames, and a new order after the last."""
        size = min(self.schedule.batch_size, self._n_frames)
        if len(self._frames_to_come) < size:
            self._frames_to_come = self.rng.permutation(self._n_frames)
        frames, self._frames_to_come = self._frames_to_come[:size], self._frames_to_come[size:]
        return np.sort(frames)

    def count_update(self) -> float:
        """Count an update as made; return the weight of its parameters in the mean of the later.

        It is 0 for updates that do not belong to the mean.
        """
        self.update += 1
        if not self.schedule.is_averaged(self.update) or self.update % _AVERAGED_EVERY:
            return 0.0
        self.n_averaged += 1
        return 1.0 / self.n_averaged

    def rewind(self, update: int) -> None:
        """Go back to an update with half the learning rate; the order of the frames goes on."""
        self.update, self.n_averaged = update, 0
        self.learning_rate_factor *= 0.5

    def state(self) -> dict[str, object]:
        """Return everything that the plan of the updates to come depends on."""
        return {
            "update": self.update,
            "n_averaged": self.n_averaged,
            "learning_rate_factor": self.learning_rate_factor,
            "field_rate_factor": self._field_rate_factor,
            "ramp": self.schedule.ramp,
            "frames_to_come": self._frames_to_come,
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state`; other entries of the mapping are left alone."""
        self.update, self.n_averaged = state["update"], state["n_averaged"]
        self.learning_rate_factor = state["learning_rate_factor"]
        self._field_rate_factor = state["field_rate_factor"]
        self.schedule = replace(self.schedule, ramp=state["ramp"])
        self._frames_to_come = state["frames_to_come"].copy()
        self.rng.bit_generator.state = json.loads(state["rng"])
