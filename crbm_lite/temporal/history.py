"""What is watched while a recurrence is trained: gain, effective samples, stability, window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.temporal.equilibrium import Tilted
from crbm_lite.temporal.gradients import back_propagated
from crbm_lite.temporal.recurrence import Filtered, spectral_radius
from crbm_lite.temporal.windows import Windows

__all__ = ["Monitor", "TemporalHistory", "carried_share"]

_EVERY = 10  # updates from one look to the next
_FRAMES_LOOKED_AT = 200


@dataclass(frozen=True, eq=False)
class TemporalHistory:
    """What was monitored during the training of a recurrence.

    Attributes
    ----------
    update : (K,) int64
    effective_share : (K,) float64
        Mean over the frames of the batch of the effective sample size over the size.
    chain_share : (K,) float64
        The share of frames whose means came from Gibbs chains.
    gain_nats : (K,) float64
        log P(v_t | past) - log P of the cRBM per frame of the batch; NaN where no frame has a
        large enough effective sample.
    spectral_radius : (K,) float64
        The largest bound of a frame (`crbm_lite.temporal.recurrence.spectral_radius`).
    carried : (K,) float64
        How much of a slope by r the back-propagation carries over the length of a window: below
        0.1, longer windows would change little.
    """

    update: np.ndarray
    effective_share: np.ndarray
    chain_share: np.ndarray
    gain_nats: np.ndarray
    spectral_radius: np.ndarray
    carried: np.ndarray


def carried_share(variance: np.ndarray, windows: Windows, couplings: np.ndarray) -> float:
    """Compute how much of a slope in the last frames of windows reaches the first ones.

    Parameters
    ----------
    variance : (T, M) float64
        Var(h | v, past) in step order.
    windows : Windows
    couplings : (M, M) float64

    Examples
    --------
    >>> from crbm_lite.temporal.windows import cut_windows
    >>> carried_share(np.ones((3, 1)), cut_windows(3), np.array([[0.5]]))
    0.25
    """
    steps = windows.steps()
    first, last = steps[0][0], steps[-1][0]
    own = np.zeros_like(variance)
    own[last] = 1.0
    by_drive, _ = back_propagated(own, variance, windows, couplings)
    reached = by_drive[first][: last.stop - last.start]
    return float(np.linalg.norm(reached) / np.linalg.norm(own[last]))


class Monitor:
    """Looks at the training now and then.

    Parameters
    ----------
    units : DReLU
    min_effective_share : float
        Frames with less do not count in the gain.
    n_updates : int
        The last update is looked at, too.
    """

    def __init__(self, units: DReLU, min_effective_share: float, n_updates: int) -> None:
        self._units, self._least = units, min_effective_share
        self._last = n_updates - 1
        self._rows: list[tuple[float, ...]] = []

    def look(
        self,
        update: int,
        inputs: np.ndarray,
        found: Filtered,
        tilted: Tilted | None,
        windows: Windows,
        couplings: np.ndarray,
    ) -> None:
        """Add a row to the history if it is time for one; arrays in step order.

        Where all means come from chains there are no importance weights, `tilted` is None.
        """
        if update % _EVERY and update != self._last:
            return
        share, far, gain = np.nan, 1.0, np.nan
        if tilted is not None:
            near = tilted.effective_share >= self._least
            share, far = tilted.effective_share.mean(), 1.0 - near.mean()
            if near.any():
                cumulant, own = self._units.cumulant, inputs[near]
                gain = (cumulant(own + found.drive[near]) - cumulant(own)).sum(axis=1)
                gain = (gain - tilted.log_ratio[near]).mean()
        self._rows.append(
            (
                update,
                share,
                far,
                gain,
                spectral_radius(found.variance[:_FRAMES_LOOKED_AT], couplings),
                carried_share(found.variance, windows, couplings),
            )
        )

    def history(self) -> TemporalHistory:
        """The history so far."""
        columns = np.array(self._rows, np.float64).reshape(-1, 6).T
        return TemporalHistory(columns[0].astype(np.int64), *columns[1:])
