"""Found spikes against true ones: hits and false alarms within some frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_array, as_count

__all__ = ["SpikeScore", "score_spikes"]


@dataclass(frozen=True)
class SpikeScore:
    """The share of the true spikes that was found, and the share of the found ones that is false.

    Parameters
    ----------
    hit_rate, false_alarm_fraction : float
        NaN where there are no true, or no found, spikes.
    n_true, n_found : int
    """

    hit_rate: float
    false_alarm_fraction: float
    n_true: int
    n_found: int


def score_spikes(true: np.ndarray, found: np.ndarray, tolerance: int = 0) -> SpikeScore:
    """Compare found with true spikes.

    A true spike is hit if its neuron has a found one at most `tolerance` frames away. A found spike
    is false if its neuron has no true one as near as that.

    Parameters
    ----------
    true, found : (T, N) 0/1
    tolerance : int
        In frames, 0 (default) or more.

    Returns
    -------
    SpikeScore

    Raises
    ------
    ValueError
        If the shapes differ, or the tolerance is no integer of 0 or more.

    Examples
    --------
    >>> score_spikes([[1], [0], [0]], [[0], [1], [0]], tolerance=1).hit_rate
    1.0
    """
    from scipy.ndimage import maximum_filter1d

    true, found = as_array(true, "true") > 0, as_array(found, "found") > 0
    if true.ndim != 2 or true.shape != found.shape:
        raise ValueError(f"true has shape {true.shape}, found {found.shape}: give (T, N) both")
    tolerance = as_count(tolerance, "tolerance", 0)
    near_true, near_found = (
        maximum_filter1d(x, 2 * tolerance + 1, axis=0, mode="constant") for x in (true, found)
    )
    n_true, n_found = int(true.sum()), int(found.sum())
    return SpikeScore(
        float((true & near_found).sum() / n_true) if n_true else math.nan,
        float((found & ~near_true).sum() / n_found) if n_found else math.nan,
        n_true,
        n_found,
    )
