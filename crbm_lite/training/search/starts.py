"""The starts that compete in a search, and the one that joins the units of all."""

from __future__ import annotations

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.linear_units import (
    joined_units,
    linear_units_given_courses,
    linear_units_of_members,
    nonnegative_factors,
    rotated_components,
)
from crbm_lite.training.search.candidates import Candidate
from crbm_lite.training.search.grown_units import grown_courses
from crbm_lite.training.search.report import SearchLog
from crbm_lite.training.search.rules import Rules, rules_for, units_to_begin_with
from crbm_lite.training.search.stage_end import joined_start
from crbm_lite.training.start import Start, random_start, start_given_units

__all__ = ["competing_starts", "start_of_all"]

_MOST_COMPONENTS = 300
_DEAREST_FACTORS = 100_000_000  # spikes times units, above which there is no factorisation


def competing_starts(
    spikes: Spikes,
    n_hidden: int | None,
    l1: float,
    init: str,
    may_refit: bool,
    rng: np.random.Generator,
    log: SearchLog,
) -> tuple[list[Candidate], Rules]:
    """Make the starts that compete, at least one, and say which rules hold for their size.

    Parameters
    ----------
    spikes : Spikes
    n_hidden : int or None
        Number of hidden units; by default as `crbm_lite.training.search.rules` say.
    l1 : float
        The first penalty: smaller covariances of a neuron with a unit give no weight.
    init : {"auto", "pca", "nmf", "random"}
        "auto" lets all compete.
    may_refit : bool
        Whether refits are tried.
    rng : numpy.random.Generator
    log : SearchLog
        Takes a sentence on how many assemblies were found.
    """
    n_most = min(n_hidden or _MOST_COMPONENTS, _MOST_COMPONENTS)
    courses = rotated_components(spikes, n_most, rng)
    n_components = courses.shape[1]
    linear = linear_units_of_members(spikes, courses, l1)
    n_rotated = linear.h.shape[1]
    if init == "auto":
        seeds = np.flatnonzero(~linear.rise.any(axis=1))
        grown = grown_courses(spikes, seeds, n_most, rng)
        linear = joined_units(linear, linear_units_given_courses(spikes, grown, l1), n_most)
    n_linear = linear.h.shape[1]
    n_units = n_hidden or units_to_begin_with(n_linear)
    rules = rules_for(spikes.n_neurons, n_units)
    if not rules.has_spare_units:
        n_units = n_hidden or n_linear or n_units
    log.reasons.append(
        f"components above the noise of the frames that the search trains on: {n_components} "
        "(check() counts those of all frames); assemblies grown from single neurons besides: "
        f"{n_linear - n_rotated}; hidden units at the start: {n_units}"
    )
    found = []

    def add(name: str, start: Start | None) -> None:
        if start is not None:
            found.append(Candidate(name, start, start, [], may_refit))

    is_rival = init == "auto" and rules.has_rivals
    factors_are_dear = len(spikes.neurons) * n_units > _DEAREST_FACTORS
    if init in ("auto", "pca"):
        name = "rotated and grown" if n_linear > n_rotated else "rotated components"
        add(name, start_given_units(spikes, linear, n_units, rng))
    if init == "nmf" or (is_rival and not factors_are_dear):
        factors = nonnegative_factors(spikes, min(n_units, *spikes.shape), rng)
        units = linear_units_given_courses(spikes, factors, l1)
        add("nonnegative factors", start_given_units(spikes, units, n_units, rng))
    if init == "random" or is_rival or not found:
        add("random weights", random_start(spikes, n_units, rng))
    return found, rules


def start_of_all(going: list[Candidate]) -> Candidate | None:
    """Make one more start of the units of all that gain, at the end of their last penalty.

    There is none where the best one has all units that are unlike.
    """
    ranked = sorted((c for c in going if c.gain_now > 0.0), key=lambda c: -c.gain_now)
    if len(ranked) < 2:
        return None
    best, *others = (c.last_end for c in ranked)
    start = joined_start(best, others, ranked[0].first.field_rate_factor)
    may_refit = any(c.may_refit for c in ranked)
    return start and Candidate("all starts", start, start, [], may_refit)
