"""How long a unit stays on: states of the temporal posterior, with two thresholds.

A threshold counts every touch as a switch. Here a unit that is off goes on where its trace passes
the upper threshold, and off again where it falls below the lower one: hysteresis. Both lie between
the peaks of the trace, a share of their distance from either.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.assemblies.dynamics import HiddenStates
from crbm_lite.checks.arguments import as_number, as_rate_hz, as_traces
from crbm_lite.checks.arrays import as_discontinuities

__all__ = ["dwell_times_s", "states_with_hysteresis"]


def states_with_hysteresis(
    h: np.ndarray, states: HiddenStates, margin: float = 0.25, discontinuities: np.ndarray = ()
) -> np.ndarray:
    """Say when units are on, switching late in both directions.

    Parameters
    ----------
    h : (T, M) float
        Traces, for instance ``temporal.mean_h_given_past(recording)``.
    states : HiddenStates
        ``hidden_states(h)``: the two peaks of every trace.
    margin : float, default 0.25
        The thresholds lie this share of the distance of the peaks above and below their middle;
        0 is a single threshold.
    discontinuities : sequence of int
        Where time jumps (default nowhere). There the single threshold decides.

    Returns
    -------
    (T, M) bool
        Units that never switch are off.

    Raises
    ------
    ValueError
        If the margin is not from 0 to below 0.5.

    Examples
    --------
    >>> h = np.array([[0.0], [0.0], [2.0], [0.9], [2.0], [0.0], [1.1], [0.0]])
    >>> states = HiddenStates(h - 1.0, h > 1.0, np.ones(1), np.zeros(1))
    >>> states_with_hysteresis(h, states).ravel().astype(int)
    array([0, 0, 1, 1, 1, 0, 0, 0])
    """
    h = as_traces(h, "h")
    margin = as_number(margin, "margin", "a share from 0 to below 0.5")
    if not 0 <= margin < 0.5:
        raise ValueError(f"margin is {margin!r}: give a share from 0 to below 0.5")
    cuts = {0, *as_discontinuities(discontinuities, len(h)).tolist()}
    point = np.nan_to_num(states.transition_point, nan=np.inf)
    reach = 2.0 * margin * np.nan_to_num(states.transition_point - states.inactive_peak)
    above, below = h > point + reach, h < point - reach
    on = np.empty(h.shape, bool)
    for t in range(len(h)):
        before = h[t] > point if t in cuts else on[t - 1]
        on[t] = above[t] | (before & ~below[t])
    return on


def dwell_times_s(
    active: np.ndarray, rate_hz: float, discontinuities: np.ndarray = ()
) -> list[np.ndarray]:
    """List how long each unit stayed on, in seconds, leaving out what an end or a jump cuts.

    Parameters
    ----------
    active : (T, M) bool
    rate_hz : float
        Frames per second.
    discontinuities : sequence of int
        Where time jumps (default nowhere).

    Examples
    --------
    >>> active = np.array([[1], [0], [1], [1], [0], [1], [0]])
    >>> dwell_times_s(active, rate_hz=2.0)
    [array([1. , 0.5])]
    """
    rate_hz = as_rate_hz(rate_hz)
    active = as_traces(active, "active") > 0
    cuts = as_discontinuities(discontinuities, len(active))
    out = []
    for trace in active.T:
        times = []
        for part in np.split(trace.astype(np.int8), cuts):
            change = np.diff(part)
            begins, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
            if begins.size:
                ends = ends[ends > begins[0]]
                times.extend(ends - begins[: len(ends)])
        out.append(np.array(times) / rate_hz)
    return out
