r"""Tune every rival alike: cross-validation over blocks of the training frames.

The training frames are cut into F contiguous blocks. Each block is held out once. A method is
fitted to the others at every candidate value, and the held-out block gives a score. The value with
the highest mean over the blocks is taken. Test frames are never seen. Blocks are contiguous because
neighbouring frames share their assemblies: a random frame between two fitted ones would be no test.
For the same reason their borders move to where time jumps, if that is near.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_numbers, is_integer
from crbm_lite.core.spikes import as_spikes
from crbm_lite.recordings.splits import borders_at_jumps

__all__ = ["Sweep", "cross_validate"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """The held-out scores of candidate values.

    Attributes
    ----------
    values : tuple of length S
        The candidates, in the order given.
    scores : (F, S) float64
        Score of every value on every held-out block; higher is better.
    """

    values: tuple
    scores: np.ndarray = field(repr=False)

    @property
    def mean(self) -> np.ndarray:
        """Mean score over the blocks, (S,); NaN where a block gave none."""
        return self.scores.mean(axis=0)

    @property
    def best(self):
        """The value with the highest mean score; ValueError where no value has one."""
        if np.isnan(self.mean).all():
            raise ValueError(
                "scores has NaN for every value: give fewer n_folds, or neurons that spike more"
            )
        return self.values[int(np.nanargmax(self.mean))]

    @property
    def at_edge(self) -> bool:
        """Whether the best value is the first or the last: widen the candidates then."""
        return self.best in (self.values[0], self.values[-1])


def cross_validate(
    train: object,
    values: Sequence,
    score: Callable[[scipy.sparse.csr_array, scipy.sparse.csr_array], Sequence[float]],
    n_folds: int = 3,
) -> Sweep:
    """Score candidate values on every block of the training frames in turn.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.
    values : sequence
        The candidates.
    score : callable
        Takes the frames to fit and the held-out frames, both csr_array of float64, and returns one
        number per candidate, higher for better. It is given all candidates at once so that it can
        go along a path.
    n_folds : int
        F, from 2 to T (default 3).

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        If there is no candidate, `n_folds` is out of range, or `score` returns another number of
        scores.

    Examples
    --------
    >>> import numpy as np
    >>> v = np.random.default_rng(0).random((90, 4)) < 0.3
    >>> rates = (0.1, 0.3, 0.9)
    >>> def score(fitted, held_out):
    ...     return [-abs(held_out.mean() - rate) for rate in rates]
    >>> cross_validate(v, rates, score).best
    0.3
    """
    spikes = as_spikes(train, "train")
    values = tuple(values)
    if not values:
        raise ValueError("values is empty: give the candidates to try")
    if not is_integer(n_folds) or not 2 <= n_folds <= spikes.n_frames:
        raise ValueError(
            f"n_folds is {n_folds!r}: give 2 to {spikes.n_frames}, at most one block per frame"
        )
    n_folds = int(n_folds)
    x = spikes.to_csr(np.float64)
    bounds = np.linspace(0, spikes.n_frames, n_folds + 1).round().astype(int)
    bounds = borders_at_jumps(bounds, getattr(train, "discontinuities", ()))
    scores = np.empty((n_folds, len(values)))
    for fold, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:])):
        fitted = scipy.sparse.vstack([x[:start], x[stop:]], format="csr")
        got = as_numbers(score(fitted, x[start:stop]), "score")
        if got.shape != (len(values),):
            raise ValueError(
                f"score returned shape {got.shape}: return one number for each of the "
                f"{len(values)} values"
            )
        scores[fold] = got
    return Sweep(values, scores)
