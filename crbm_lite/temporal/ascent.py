"""Steps up the penalised likelihood in A, b and c of the first frames.

RMSprop gives every entry its own step, and an L1 penalty on A cuts by soft threshold, so that an
entry is exactly zero or worth its price. An entry at zero waits for its averaged slope
(`crbm_lite.core.reference`). The slopes are clipped: with Var(h) = 1 no row of A should have a
slope above 1, unless the back-propagation through a unit that latches has exploded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crbm_lite.core.reference import Rates, penalised_step, rmsprop_step
from crbm_lite.temporal.gradients import RecurrenceSlopes
from crbm_lite.temporal.recurrence import Recurrence

__all__ = ["RecurrenceAscent", "clipped", "rates_at"]

_BETA2, _EPSILON, _AVERAGE = 0.99, 1e-4, 0.9


def rates_at(update: int, n_updates: int, first: float, last: float) -> Rates:
    """Rates of an update: they decay geometrically from the first to the last.

    Examples
    --------
    >>> round(rates_at(5, 11, 1.0, 0.01).learning_rate, 6)
    0.1
    """
    rate = first * (last / first) ** (update / max(n_updates - 1, 1))
    correction = 1.0 / (1.0 - _BETA2 ** (update + 1))
    return Rates(rate, rate, 0.0, 0.0, _BETA2, correction, _EPSILON, _AVERAGE)


def clipped(slopes: RecurrenceSlopes) -> RecurrenceSlopes:
    """Shorten slopes (per frame) of which the rows of A exceed 1 on average.

    Examples
    --------
    >>> steep = RecurrenceSlopes(np.full((1, 1), 4.0), np.full(1, 2.0), np.zeros(1))
    >>> clipped(steep).offset
    array([0.5])
    """
    norm = np.linalg.norm(slopes.couplings) / np.sqrt(len(slopes.couplings))
    return RecurrenceSlopes(*(slope / max(norm, 1.0) for slope in slopes))


class RecurrenceAscent:
    """A recurrence on its way up.

    Parameters
    ----------
    recurrence : Recurrence
        Where to begin.
    l1, l1_diagonal : float
        Penalty on each |A| off the diagonal and on it.
    learns_offset : bool
        Whether b moves. Where the potentials move, it would do twice what they do.
    """

    def __init__(
        self, recurrence: Recurrence, l1: float, l1_diagonal: float, learns_offset: bool
    ) -> None:
        m = len(recurrence.offset)
        self.recurrence = recurrence
        self.l1 = np.full((m, m), l1)
        np.fill_diagonal(self.l1, l1_diagonal)
        self._learns_offset = learns_offset
        self._square = RecurrenceSlopes(np.zeros((m, m)), np.zeros(m), np.zeros(m))
        self._average = np.zeros((m, m))

    def step(self, slopes: RecurrenceSlopes, rates: Rates) -> None:
        """Move by the slopes per frame of a batch."""
        slopes = clipped(slopes)
        moves = [
            rmsprop_step(square, slope, rates.learning_rate, rates)
            for square, slope in zip(self._square, slopes, strict=True)
        ]
        self._square = RecurrenceSlopes(*(square for square, _ in moves))
        in_couplings, in_offset, in_initial = (step for _, step in moves)
        decay = rates.average_decay
        self._average = decay * self._average + (1.0 - decay) * slopes.couplings
        old = self.recurrence
        self.recurrence = replace(
            old,
            couplings=penalised_step(
                old.couplings, slopes.couplings, self._average, in_couplings, self.l1, self.l1
            ),
            offset=old.offset + self._learns_offset * in_offset * slopes.offset,
            initial=old.initial + in_initial * slopes.initial,
        )

    def rescale(self, scale: np.ndarray) -> None:
        """Follow h -> h / scale."""
        self.recurrence = self.recurrence.rescaled(scale)
