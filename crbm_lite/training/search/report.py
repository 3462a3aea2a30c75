"""What a search tried, what it chose, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.training.search.candidates import Candidate, Trial
from crbm_lite.training.search.validation_blocks import standard_error

__all__ = ["SearchLog", "SearchReport", "reasons_for"]


@dataclass(frozen=True)
class SearchReport:
    """What the search tried, what it chose, and why. One entry for each stage in the arrays.

    Attributes
    ----------
    starts : tuple of str
        Where the stage's training began.
    l1 : ndarray
        Its penalty lambda.
    is_refit : ndarray of bool
        Whether it fitted the weights that this penalty had left, without it.
    n_updates : ndarray of int
        How many updates it made.
    n_alive : ndarray of int
        How many hidden units had weights at its end.
    gain, gain_error : ndarray
        Left-out log-likelihood over that of independent neurons, in nats per frame, on frames
        that the stage did not see, and its standard error over blocks.
    chosen_start : str
    chosen_l1 : float
    chosen_refit : bool
    chosen_n_hidden : int
        How many units the training with all frames began with.
    reasons : tuple of str
        One sentence for each choice.
    """

    starts: tuple[str, ...]
    l1: np.ndarray
    is_refit: np.ndarray
    n_updates: np.ndarray
    n_alive: np.ndarray
    gain: np.ndarray
    gain_error: np.ndarray
    chosen_start: str
    chosen_l1: float
    chosen_refit: bool
    chosen_n_hidden: int
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        lines = ["start                 lambda         updates  units  gain in nats per frame"]
        rows = zip(
            self.starts, self.l1, self.is_refit, self.n_updates, self.n_alive, self.gain,
            self.gain_error, strict=True,
        )  # fmt: skip
        for start, l1, is_refit, n_updates, n_alive, gain, error in rows:
            refit = "refit" if is_refit else ""
            lines.append(
                f"{start:<20} {l1:>7.2g} {refit:>5} {n_updates:>9} {n_alive:>6}  "
                f"{gain:.3f} +- {error:.3f}"
            )
        return "\n".join([*lines, *self.reasons])


@dataclass
class SearchLog:
    """Hold the stages so far, as the report names them."""

    rows: list[tuple[str, int, Trial]]
    reasons: list[str]

    def report(self, start: str, l1: float, is_refit: bool, n_hidden: int) -> SearchReport:
        """Make the report of a choice."""
        names, n_updates, trials = zip(*self.rows, strict=True)
        ends = [trial.end for trial in trials]
        return SearchReport(
            names, np.array([t.l1 for t in trials]), np.array([t.is_refit for t in trials]),
            np.array(n_updates), np.array([e.n_alive for e in ends]),
            np.array([e.mean_gain for e in ends]), np.array([standard_error(e.gain) for e in ends]),
            start, l1, is_refit, n_hidden, tuple(self.reasons),
        )  # fmt: skip


def reasons_for(
    candidates: list[Candidate], winner: Candidate, chosen: Trial, path: list[float]
) -> list[str]:
    """Say why a trial of the winner was chosen, given the path of penalties."""
    ranked = sorted(candidates, key=lambda c: -c.best.end.mean_gain)
    gains = ", ".join(f"{c.name} {c.best.end.mean_gain:.3f}" for c in ranked)
    reasons = [f"best gains in nats per frame: {gains}"]
    best = winner.best
    if chosen.l1 == best.l1:
        reasons.append(f"lambda = {best.l1:.2g} gains most")
    else:
        reasons.append(
            f"lambda = {chosen.l1:.2g} is the largest that is as good as {best.l1:.2g}, which "
            "gains most: within one standard error, and within 1 %"
        )
    if chosen.is_refit:
        reasons.append("the weights that this penalty left gain more without it, so it ends there")
    if best.l1 == path[-1] and len(path) > 1:
        reasons.append("the gain was still rising at the smallest penalty tried")
    return reasons
