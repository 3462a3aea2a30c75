"""Before and after the deconvolution: dF/F, alignment of planes, the paper's filters.

dF/F is (F - F_base) / (F_base - F0), with a running baseline F_base and the overall background F0.
Planes that were imaged one after another are interpolated to common times. Neurons without a region
and recordings with too little activity are removed, with a report of what was removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_array, as_number, as_numbers, as_rate_hz
from crbm_lite.checks.arrays import as_discontinuities
from crbm_lite.recordings.recording import Recording, as_recordings

__all__ = [
    "FilteredRecordings",
    "NoBaselineError",
    "align_planes",
    "as_finite_traces",
    "delta_f_over_f",
    "filter_recordings",
]


def as_finite_traces(values: object, name: str, n_frames: int = 3) -> np.ndarray:
    """Return traces (T, N) of any real dtype, after a check that they are finite and long enough.

    Unlike `crbm_lite.checks`, this neither copies nor casts: traces may be as large as memory.
    """
    traces = as_array(values, name)
    if traces.ndim != 2 or traces.shape[0] < n_frames or traces.shape[1] < 1:
        raise ValueError(
            f"{name} has shape {traces.shape}: give (T, N), time first, with T >= {n_frames}"
        )
    if traces.dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {traces.dtype}: give real numbers")
    bad = ~np.isfinite(traces)
    if bad.any():
        neurons, frames = np.flatnonzero(bad.any(axis=0)), np.flatnonzero(bad.any(axis=1))
        raise ValueError(
            f"{name} holds NaN or infinity in {neurons.size} neurons (first: {neurons[0]}) and "
            f"{frames.size} frames (first: {frames[0]}): give traces without, leave out the "
            "neurons or the frames, or fill the gaps"
        )
    return traces


class NoBaselineError(ValueError):
    """Some neurons have no dF/F: their baseline does not stay above the background.

    Attributes
    ----------
    neurons : tuple of int
        Their columns.
    """

    def __init__(self, neurons: tuple[int, ...], lowest: float) -> None:
        self.neurons = neurons
        super().__init__(
            f"fluorescence of neurons {', '.join(map(str, neurons))} has a baseline down to "
            f"{lowest:g}, not above the background: give F_base > F0, correct the background or "
            "leave them out"
        )


def delta_f_over_f(
    fluorescence: np.ndarray,
    rate_hz: float,
    background: float | np.ndarray = 0.0,
    *,
    window_s: float = 40.0,
    quantile: float = 0.1,
    discontinuities: Sequence[int] | np.ndarray = (),
) -> np.ndarray:
    """Compute the relative change of fluorescence, dF/F = (F - F_base) / (F_base - F0).

    Parameters
    ----------
    fluorescence : (T, N) float
        F, raw fluorescence of each neuron.
    rate_hz : float
        Frames per second.
    background : float or (N,) float
        F0, what the camera shows where there is no neuron; default 0.
    window_s, quantile : float
        F_base is this quantile of F (default 0.1) in a window of this length around each frame
        (default 40 s). At the ends of a stretch its first or last value is repeated.
    discontinuities : sequence of int
        Frames d such that time jumps between d - 1 and d; no window reaches across.

    Returns
    -------
    (T, N) float32

    Raises
    ------
    ValueError
        If F is not finite, a number is out of its range, or F_base does not exceed F0 everywhere.

    Examples
    --------
    >>> fluorescence = np.full((100, 1), 120.0)
    >>> fluorescence[50] = 140.0
    >>> float(delta_f_over_f(fluorescence, rate_hz=2.5, background=100.0)[50, 0])
    1.0
    """
    from scipy.ndimage import percentile_filter

    fluorescence = as_finite_traces(fluorescence, "fluorescence")
    window_s = as_number(window_s, "window_s", "the length of the window", positive=True)
    window = max(1, round(window_s * as_rate_hz(rate_hz)))
    quantile = as_number(quantile, "quantile", "a number from 0 to 1")
    if not 0 <= quantile <= 1:
        raise ValueError(f"quantile is {quantile:g}: give a number from 0 to 1")
    n_frames, n_neurons = fluorescence.shape
    cuts = as_discontinuities(discontinuities, n_frames)
    background = as_numbers(background, "background")
    if background.shape not in ((), (n_neurons,)):
        raise ValueError(
            f"background has shape {background.shape}: give one number, or one for each neuron"
        )
    background = np.broadcast_to(background, n_neurons)
    dff = np.empty(fluorescence.shape, dtype=np.float32)
    lowest = {}  # of the baselines of neurons without dF/F
    for i in range(n_neurons):
        trace = np.ascontiguousarray(fluorescence[:, i], dtype=np.float64)
        base = np.concatenate([
            percentile_filter(part, 100 * quantile, size=min(len(part), window), mode="nearest")
            for part in np.split(trace, cuts)
        ])  # fmt: skip
        if (base > background[i]).all():
            dff[:, i] = (trace - base) / (base - background[i])
        else:
            lowest[i] = base.min()
    if lowest:
        raise NoBaselineError(tuple(lowest), min(lowest.values()))
    return dff


def align_planes(
    traces: np.ndarray,
    rate_hz: float,
    delay_s: np.ndarray,
    *,
    discontinuities: Sequence[int] | np.ndarray = (),
) -> np.ndarray:
    """Interpolate neurons of planes that were imaged one after another to common times.

    Sample t of neuron i was taken at t / rate_hz + delay_s[i]. Linear interpolation gives its value
    at t / rate_hz. In the first frame of a stretch, where there is no earlier sample, the sample of
    that frame is taken.

    Parameters
    ----------
    traces : (T, N) float
    rate_hz : float
        Volumes per second.
    delay_s : (N,) float
        When in the volume the plane of each neuron is imaged, 0 <= delay_s < 1 / rate_hz.
    discontinuities : sequence of int
        Frames d such that time jumps between d - 1 and d.

    Returns
    -------
    (T, N) float32

    Raises
    ------
    ValueError
        If the traces are not finite, or a delay is missing or out of its range.

    Examples
    --------
    >>> align_planes(np.array([[0.0], [1.0], [2.0]]), rate_hz=2.0, delay_s=[0.125]).ravel()
    array([0.  , 0.75, 1.75], dtype=float32)
    """
    traces, rate_hz = as_finite_traces(traces, "traces"), as_rate_hz(rate_hz)
    delay_s = as_numbers(delay_s, "delay_s")
    if delay_s.shape != traces.shape[1:]:
        raise ValueError(f"delay_s has shape {delay_s.shape}: give one for each neuron")
    if not ((delay_s >= 0) & (delay_s * rate_hz < 1)).all():
        raise ValueError(
            f"delay_s runs from {delay_s.min():g} to {delay_s.max():g} s: give at least 0 and "
            f"less than the {1 / rate_hz:g} s of a volume"
        )
    late = delay_s * rate_hz
    aligned = np.empty(traces.shape, dtype=np.float32)
    aligned[1:] = (1 - late) * traces[1:] + late * traces[:-1]
    firsts = np.append(0, as_discontinuities(discontinuities, len(traces)))
    aligned[firsts] = traces[firsts]
    return aligned


@dataclass(frozen=True)
class FilteredRecordings:
    """What the filters kept and what they removed.

    Parameters
    ----------
    kept : tuple of Recording
        The recordings that are active enough, without neurons that have no region.
    kept_index : tuple of int
        Their place among the recordings given.
    n_unlabelled : tuple of int
        The number of neurons without a region in each recording given.
    activity : tuple of float
        Spikes per neuron and frame of each recording given, over its neurons with a region.
    min_activity : float
    """

    kept: tuple[Recording, ...]
    kept_index: tuple[int, ...]
    n_unlabelled: tuple[int, ...]
    activity: tuple[float, ...]
    min_activity: float

    def table(self) -> str:
        """Return a text with one line per recording: neurons removed, activity, kept or why not."""
        lines = ["recording  neurons removed  activity  verdict"]
        for i, (n_removed, activity) in enumerate(
            zip(self.n_unlabelled, self.activity, strict=True)
        ):
            verdict = "kept" if i in self.kept_index else f"removed: below {self.min_activity:g}"
            lines.append(f"{i:>9}  {n_removed:>15}  {activity:>8.4f}  {verdict}")
        return "\n".join(lines)


def filter_recordings(
    recordings: Sequence[Recording], min_activity: float = 0.02
) -> FilteredRecordings:
    """Apply the paper's filters, which keep neurons with a region and recordings with activity.

    First neurons without any region label are removed; a recording without labels keeps all. Then
    recordings with fewer than `min_activity` spikes per neuron and frame are removed.

    Parameters
    ----------
    recordings : sequence of Recording
    min_activity : float
        Default 0.02, the paper's.

    Returns
    -------
    FilteredRecordings

    Raises
    ------
    ValueError
        If there is no recording, or no neuron of one has a region.

    Examples
    --------
    >>> busy = Recording([[1, 0], [0, 1]], 2.5, labels=[[1], [0]])
    >>> quiet = Recording(np.eye(100, 2), 2.5)
    >>> print(filter_recordings([busy, quiet]).table())
    recording  neurons removed  activity  verdict
            0                1    0.5000  kept
            1                0    0.0100  removed: below 0.02
    """
    recordings = as_recordings(recordings)
    min_activity = as_number(min_activity, "min_activity", "spikes per neuron and frame")
    kept, kept_index, n_unlabelled, activities = [], [], [], []
    for i, recording in enumerate(recordings):
        labels = recording.labels
        if labels is not None and not labels.any(axis=1).all():
            if not labels.any():
                raise ValueError(f"recordings[{i}] has no neuron with a region: correct its labels")
            recording = recording.select_neurons(labels.any(axis=1))
        n_unlabelled.append(recordings[i].n_neurons - recording.n_neurons)
        activities.append(float(recording.activity.mean()))
        if activities[-1] >= min_activity:
            kept.append(recording)
            kept_index.append(i)
    return FilteredRecordings(
        tuple(kept), tuple(kept_index), tuple(n_unlabelled), tuple(activities), min_activity
    )
