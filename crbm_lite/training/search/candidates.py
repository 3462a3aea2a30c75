"""A start on its way along the path of penalties, and which of several starts is the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.training.search.stage_end import StageEnd
from crbm_lite.training.search.validation_blocks import standard_error
from crbm_lite.training.start import Start

__all__ = [
    "Candidate",
    "Trial",
    "best_candidate",
    "best_end",
    "is_as_good",
    "is_better",
    "is_nearly",
]

_MOST_LOST = 0.01  # of the gain, for a sparser model or fewer units


@dataclass(frozen=True, eq=False)
class Trial:
    """A model on a start's path: under a penalty, or refitted without it."""

    l1: float
    is_refit: bool
    end: StageEnd


@dataclass
class Candidate:
    """A start on its way along the path of penalties; units of residuals are born to it."""

    name: str
    first: Start
    start: Start
    trials: list[Trial]
    may_refit: bool
    n_born: int = 0

    @property
    def best(self) -> Trial:
        """The trial that gained most, of those that show structure or at least have units.

        A smaller penalty may gain more on average, and so unevenly that it may be chance.
        """
        return max(self.trials, key=lambda t: _rank(t.end))

    @property
    def last_end(self) -> StageEnd:
        """The end under the last penalty, without a refit."""
        return next(trial.end for trial in reversed(self.trials) if not trial.is_refit)

    @property
    def gain_now(self) -> float:
        """The gain under the last penalty, with a refit or without."""
        l1 = self.trials[-1].l1
        return max(trial.end.mean_gain for trial in self.trials if trial.l1 == l1)

    def has_shown_structure(self) -> bool:
        """Say whether any of its models gained more than chance does."""
        return any(trial.end.shows_structure() for trial in self.trials)

    def has_peaked(self, little: float = 0.0) -> bool:
        """Say whether the last penalty lost, or the last two gained no more than noise.

        It is enough that the last one gained no more than ``little`` of the gain, if that is not 0.
        Before a start has shown structure there is no peak: weak assemblies come later.
        """
        path = [trial.end for trial in self.trials if not trial.is_refit]
        if len(path) < 2 or not self.has_shown_structure():
            return False
        *former, last = path
        before = max(t.end.mean_gain for t in self.trials if t.l1 != self.trials[-1].l1)
        if little and is_nearly(before, self.gain_now, little):
            return True
        if is_better(max(former, key=lambda end: end.mean_gain), last):
            return True
        former = max(path[:-2], key=lambda end: end.mean_gain, default=last)
        return len(path) > 2 and not any(is_better(end, former) for end in path[-2:])

    def up_to(self, trial: Trial) -> list[Trial]:
        """Return a trial and those that are at least as sparse, which all come before it."""
        return [other for other in self.trials[: self.trials.index(trial) + 1] if other.end.n_alive]

    def below(self, l1: float) -> list[Trial]:
        """Return the better trial of every penalty that is smaller, the larger penalties first."""
        smaller = sorted({trial.l1 for trial in self.trials if trial.l1 < l1}, reverse=True)
        of_each = ([t for t in self.trials if t.l1 == x and t.end.n_alive] for x in smaller)
        return [max(trials, key=lambda t: t.end.mean_gain) for trials in of_each if trials]

    def sparsest(self, best: StageEnd) -> Trial:
        """The first trial that is as good as the best end of all starts; none that diverged."""
        return next(
            (t for t in self.trials if t.end.n_alive and is_as_good(t.end, best)), self.best
        )


def is_better(end: StageEnd, former: StageEnd, least: float = 0.0) -> bool:
    """Say whether an end gains more than a former one, by a standard error of the difference.

    It must also be more by ``least`` of the gain. A difference from an end that diverged has no
    error: such an end is better than none, and every other one is better than it.
    """
    if not (np.isfinite(end.mean_gain) and np.isfinite(former.mean_gain)):
        return bool(np.isfinite(end.mean_gain))
    difference = end.gain - former.gain
    return bool(difference.mean() > max(standard_error(difference), least * former.mean_gain))


def is_as_good(end: StageEnd, best: StageEnd) -> bool:
    """Say whether an end gains no less than the best one, but for noise and a little.

    It may gain less by a standard error of the difference, but by no more than ``_MOST_LOST`` of
    the gain: where blocks differ much, the error is large. None that diverged is as good.
    """
    if not (np.isfinite(end.mean_gain) and np.isfinite(best.mean_gain)):
        return False
    difference = best.gain - end.gain
    is_noise = difference.mean() <= standard_error(difference)
    return bool(is_noise and is_nearly(end.mean_gain, best.mean_gain))


def is_nearly(gain: float, most: float, little: float = _MOST_LOST) -> bool:
    """Say whether a gain is less than another by ``little`` of it at most."""
    return gain >= most - max(little * most, 0.0)


def best_end(candidates: list[Candidate]) -> StageEnd:
    """Return the end that gained most, of all starts."""
    return max((c.best.end for c in candidates), key=_rank)


def _rank(end: StageEnd) -> tuple[bool, bool, float]:
    return end.shows_structure(), end.n_alive > 0, end.mean_gain


def best_candidate(candidates: list[Candidate]) -> Candidate:
    """Choose the start that gained most or, of those that are as good, that of fewest units."""
    best = best_end(candidates)
    as_good = [c for c in candidates if is_as_good(c.best.end, best)]
    return min(as_good or candidates, key=lambda c: c.best.end.n_alive)
