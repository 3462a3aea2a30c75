r"""What a grid over (M, lambda) gives: runs, their median surfaces, and the rule that chooses.

The score of a run is the smallest of the five

.. math:: \min_{x \in \{v, h, vh, vv, hh\}} \bigl(1 - \mathrm{nRMSE}_x\bigr),

1 where the model is as good as the training data and 0 where it is worthless; a score that is not
defined, as of a model that lost all weights, counts as minus infinity. A cell (M, lambda) of the
grid has the median over its seeds and recordings, and the best cell is chosen. The paper's text
names the median nLLH beside the five: `GridSearch.table` shows both choices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

__all__ = ["STATISTICS", "GridSearch", "Run"]

#: The five statistics, in the order of `Run.nrmse`.
STATISTICS: tuple[str, ...] = ("v", "h", "vh", "vv", "hh")


@dataclass(frozen=True)
class Run:
    """One trained and validated model of the grid.

    Parameters
    ----------
    recording : str
        Name of the recording.
    n_hidden, l1, seed : int, float, int
        M, lambda and the seed of training and validation.
    nrmse : tuple of 5 floats
        In the order of `STATISTICS`.
    median_nllh : float
    density : float
        Share of weights that are not 0.
    verdict : str
        As ``CRBM.verdict_``.
    seconds : float
        Wall time of training and validation together.
    """

    recording: str
    n_hidden: int
    l1: float
    seed: int
    nrmse: tuple[float, float, float, float, float]
    median_nllh: float
    density: float
    verdict: str
    seconds: float

    @property
    def score(self) -> float:
        """Minimum of 1 - nRMSE over the five statistics, -inf where one is not defined."""
        score = 1 - np.max(self.nrmse)
        return float(score) if np.isfinite(score) else -math.inf


@dataclass(frozen=True, repr=False)
class GridSearch:
    """All runs of a grid.

    Parameters
    ----------
    runs : tuple of Run
        In the order recordings, n_hidden, l1, seeds.
    n_hidden, l1 : tuple
        The axes of the grid, ascending.
    n_computed : int
        Runs of this call that were not found in the folder.
    """

    runs: tuple[Run, ...]
    n_hidden: tuple[int, ...]
    l1: tuple[float, ...]
    n_computed: int

    def __repr__(self) -> str:
        return (
            f"GridSearch({len(self.runs)} runs, {len(self.n_hidden)} x {len(self.l1)} cells, "
            f"{self.n_computed} computed now)"
        )

    def surface(self, quantity: str = "score") -> np.ndarray:
        """Median over seeds and recordings in every cell (the lower one of an even number).

        Parameters
        ----------
        quantity : "score", "median_nllh", "density", "seconds" or one of `STATISTICS`
            For a statistic its nRMSE.

        Returns
        -------
        (len(n_hidden), len(l1)) float64

        Raises
        ------
        ValueError
            If there is no such quantity.
        """
        if quantity in STATISTICS:
            values = [run.nrmse[STATISTICS.index(quantity)] for run in self.runs]
        elif quantity in ("score", "median_nllh", "density", "seconds"):
            values = [getattr(run, quantity) for run in self.runs]
        else:
            raise ValueError(
                f"quantity is {quantity!r}: give score, median_nllh, density, seconds or one of "
                f"{', '.join(STATISTICS)}"
            )
        cells = {cell: [] for cell in product(self.n_hidden, self.l1)}
        for run, value in zip(self.runs, values, strict=True):
            cells[run.n_hidden, run.l1].append(value)
        # The lower of two middle values: a median of two must not average with an infinity.
        medians = [sorted(x, key=_nan_first)[(len(x) - 1) // 2] for x in cells.values()]
        return np.array(medians).reshape(len(self.n_hidden), len(self.l1))

    def best(self, by: str = "score") -> tuple[int, float]:
        """Choose the cell with the largest surface: (n_hidden, l1).

        Parameters
        ----------
        by : {"score", "median_nllh"}

        Raises
        ------
        ValueError
            If `by` is neither, or no cell has a finite value.
        """
        if by not in ("score", "median_nllh"):
            raise ValueError(f"by is {by!r}: give 'score' or 'median_nllh'")
        surface = self.surface(by)
        surface = np.where(np.isfinite(surface), surface, -np.inf)
        if np.isneginf(surface).all():
            raise ValueError(
                f"no cell of the grid has a {by}: all models lost their weights, try a smaller l1"
            )
        row, column = np.unravel_index(np.argmax(surface), surface.shape)
        return self.n_hidden[row], self.l1[column]

    def table(self) -> str:
        """Plain text of fixed width: one cell a line, then what either rule chooses."""
        surfaces = [self.surface(q) for q in (*STATISTICS, "score", "median_nllh", "density")]
        lines = [
            "   M    lambda  nRMSE" + "".join(f"{name:>6} " for name in STATISTICS)
            + "   score  nLLH  density"
        ]  # fmt: skip
        for i, j in product(range(len(self.n_hidden)), range(len(self.l1))):
            *nrmse, score, nllh, density = (s[i, j] for s in surfaces)
            cells = "".join(f"{x:6.2f} " for x in nrmse)
            lines.append(
                f"{self.n_hidden[i]:>4} {self.l1[j]:>9g}       {cells} {score:6.2f} {nllh:5.2f} "
                f"{density:7.2f}"
            )
        for by, name in (("score", "min (1 - nRMSE)"), ("median_nllh", "median nLLH")):
            n_hidden, l1 = self.best(by)
            lines.append(f"best by {name}: M = {n_hidden}, lambda = {l1:g}")
        return "\n".join(lines)


def _nan_first(value: float) -> tuple[bool, float]:
    return (value == value, value)
