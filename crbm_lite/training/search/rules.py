"""The numbers by which a search goes: lengths of its stages, and what depends on a model's size.

Above a million weights time decides. Then only components and grown units are tried, none are to
spare (units that begin at random are dense), a penalty that gains less than 1 % ends the path, and
a larger one may cost as much on the way back. All units jump from the beginning, but seldom:
jumps cost as much there as all else. The learning rate ends lower: one step moves the weights of
all members of a unit, and with hundreds of members that shifts how often it is on by more than
chains can follow. Then the chains look like the data for as long as the steps go on, and not the
model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crbm_lite.training.hyperparameters import Schedule

__all__ = [
    "FIRST_RAMP",
    "LAST_REFIT",
    "LONGER_RATE",
    "LONGER_STEPS",
    "MOST_ROUNDS",
    "REFIT_UPDATES",
    "ROUND_UPDATES",
    "STAGE_UPDATES",
    "Rules",
    "expected_updates",
    "penalties",
    "rules_for",
    "units_to_begin_with",
    "with_jumps",
]

_FIRST_PENALTY, _PATH_FACTOR, _PATH_LENGTH = 0.1, 0.5, 7  # the first in sqrt(p (1 - p))
_SELDOM_REACHED, _USUAL_REFITS = 2, 3  # penalties at the end of the path; refits of a start
STAGE_UPDATES, REFIT_UPDATES = 500, 300
ROUND_UPDATES, MOST_ROUNDS = 1000, 7  # after the path, while they gain
FIRST_RAMP = 0.5  # share of the first stage over which lambda rises: random units must live
# share of the last training. The learning rate has decayed there, so half of 3,000 updates make as
# many steps as a refit that was tried. Without the penalty, a longer one learns noise
LAST_REFIT = 0.5
# Gibbs steps and learning rate over those before, each time the training with all frames goes on
LONGER_STEPS, LONGER_RATE = 4, 0.4
_SPARE = (10, 60)  # units beyond the components, at least and at most
_MANY_WEIGHTS = 1_000_000


@dataclass(frozen=True)
class Rules:
    """What a search does with a model of some size.

    Attributes
    ----------
    has_rivals : bool
        Whether nonnegative factors and random weights compete.
    has_spare_units : bool
        Whether it begins with more units than were found.
    little : float
        What hardly counts, as a share of the gain: a penalty that brings no more ends the path, a
        refit that brings no more is the last one tried on it, and a larger penalty may cost as much
        on the way back.
    n_last : int
        Updates with all frames.
    most_longer : int
        How often those go on, with more Gibbs steps, while the model has not converged.
    final_learning_rate : float
        Where their learning rate ends at most; infinite where it ends as given.
    jump_every, jump_every_later, jump_every_last : int or None
        Gibbs steps between jumps of all units on the path, after it, and with all frames; None
        where the sampler chooses.
    """

    has_rivals: bool
    has_spare_units: bool
    little: float
    n_last: int
    most_longer: int
    final_learning_rate: float
    jump_every: int | None
    jump_every_later: int
    jump_every_last: int


_FEW = Rules(True, True, 0.0, 3000, 2, math.inf, None, 6, 6)
_MANY = Rules(False, False, 0.01, 2000, 1, 1e-5, 24, 24, 12)


def rules_for(n_neurons: int, n_units: int) -> Rules:
    """Return the rules for a model of so many weights.

    Examples
    --------
    >>> rules_for(1000, 50).has_rivals, rules_for(40_000, 200).has_rivals
    (True, False)
    """
    return _MANY if n_neurons * n_units > _MANY_WEIGHTS else _FEW


def penalties(activity: float) -> list[float]:
    """Return the path of penalties, in two digits: they scale with the spread of the spikes.

    Examples
    --------
    >>> penalties(0.5)[:3]
    [0.05, 0.025, 0.013]
    """
    first = _FIRST_PENALTY * np.sqrt(activity * (1.0 - activity))
    return [float(f"{first * _PATH_FACTOR**k:.2g}") for k in range(_PATH_LENGTH)]


def with_jumps(schedule: Schedule, jump_every: int | None) -> Schedule:
    """Let all units jump where the sampler was to choose, unless that is what the rules want."""
    if jump_every is None or schedule.jump_every != "auto":
        return schedule
    return replace(schedule, jump_every=jump_every)


def units_to_begin_with(n_components: int) -> int:
    """Say how many hidden units the search begins with: components, and as many more or so.

    Examples
    --------
    >>> units_to_begin_with(0), units_to_begin_with(20), units_to_begin_with(200)
    (10, 40, 260)
    """
    return n_components + int(np.clip(n_components, *_SPARE))


def expected_updates(n_neurons: int, n_units: int) -> int:
    """Say how many updates a search usually makes in all.

    Examples
    --------
    >>> expected_updates(100, 20), expected_updates(40_000, 260)
    (14200, 6400)
    """
    rules = rules_for(n_neurons, n_units)
    n_starts = 3 if rules.has_rivals else 1
    n_on_path = (_PATH_LENGTH - _SELDOM_REACHED) * STAGE_UPDATES + _USUAL_REFITS * REFIT_UPDATES
    return n_starts * n_on_path + ROUND_UPDATES + rules.n_last
