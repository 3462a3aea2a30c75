r"""Single checks of a recording, each giving a finding with what to do about it.

- *orientation*: activity outlasts a frame, so the mean lag-1 correlation along time exceeds that
  along the neurons; where it is the other way round the axes are probably swapped.
- *drift*: a neuron drifts if its rates in the two halves differ by more than three standard errors,
  :math:`\mathrm{se}^2 = p (1 - p)\, \tau\, (1/T_1 + 1/T_2)`, with the correlation time
  :math:`\tau` of `crbm_lite.inspection.advice` in frames.
- *dead*: a neuron that is silent for a fifth of the recording or more in one go, where its rate in
  the rest would have given forty spikes.
- *ceiling*: Pearson's r of the covariances of all pairs, training against test frames of the
  default split; no model can be asked for more.
- *pairs*: the share of pairs whose correlation exceeds the 99 % quantile of the same pairs after
  every neuron was shifted in time by an amount of its own: 1 % by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.measures import correlations_of_columns
from crbm_lite.recordings.controls import shift_time
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.splits import split_recording

__all__ = [
    "Finding", "check_activity", "check_artefacts", "check_ceiling", "check_drift", "check_neurons",
    "check_orientation", "check_pairs", "check_rate",
]  # fmt: skip

_MIN_ACTIVITY = 0.02  # the paper's
_DEAD_SHARE, _DEAD_SPIKES = 0.2, 40


@dataclass(frozen=True)
class Finding:
    """One finding.

    Parameters
    ----------
    name : str
        What was looked at.
    level : {"ok", "look", "problem"}
    text : str
        What was found.
    todo : str
        What to do about it; empty where nothing need be done.
    neurons : tuple of int
        The neurons concerned, if it is about some of them.
    value : float
        The number behind it, NaN if there is none.
    """

    name: str
    level: str
    text: str
    todo: str = ""
    neurons: tuple[int, ...] = ()
    value: float = float("nan")


def check_orientation(recording: Recording, some: np.ndarray) -> Finding:
    """Whether time is the first axis; `some` are indices of neurons that vary."""
    along_time = _lag_one(recording.spikes[:, some])
    along_neurons = _lag_one(recording.spikes.T[:, :: max(1, recording.n_frames // 1000)])
    text = (
        f"lag-1 correlation {along_time:.2f} along the first axis (time), {along_neurons:.2f} "
        "along the second (neurons)"
    )
    placed = (recording.coordinates, recording.labels, recording.names)
    if along_neurons > along_time + 0.05 and all(x is None for x in placed):
        todo = "if time is the second axis, build the Recording from the transposed array"
        return Finding("orientation", "problem", text, todo, value=along_time)
    return Finding("orientation", "ok", text, value=along_time)


def check_rate(recording: Recording) -> Finding:
    """Whether rate and length are plausible, and whether frames are repeated."""
    spikes, minutes = recording.spikes, recording.duration_s / 60
    text = f"{recording.rate_hz:g} frames a second, {minutes:.1f} minutes"
    active = spikes.any(axis=1)
    same = (spikes[1:] == spikes[:-1]).all(axis=1) & active[1:]
    repeated = float(same.sum() / max(active[1:].sum(), 1))
    if repeated > 0.2:
        text += f"; {repeated:.0%} of the active frames repeat the one before"
        return Finding("rate", "problem", text, "undo the upsampling: keep every k-th frame")
    if recording.rate_hz > 50:
        todo = "rebin to 0.1-0.5 s: in bins this short spikes of one assembly fall apart"
        return Finding("rate", "look", text, todo)
    if recording.rate_hz < 0.5:
        return Finding("rate", "look", text, "states that last less than a frame cannot be seen")
    return Finding("rate", "ok", text)


def check_activity(recording: Recording) -> Finding:
    """Mean activity against the paper's threshold of 0.02."""
    mean = float(recording.activity.mean())
    text = f"{mean:.3f} spikes per neuron and frame (the paper's threshold is {_MIN_ACTIVITY})"
    if mean < _MIN_ACTIVITY:
        todo = "lower the threshold of the deconvolution, use longer bins, or leave this one out"
        return Finding("activity", "problem", text, todo, value=mean)
    if mean > 0.3:
        todo = "raise the threshold or use shorter bins: most spikes should mean something"
        return Finding("activity", "look", text, todo, value=mean)
    return Finding("activity", "ok", text, value=mean)


def check_neurons(recording: Recording) -> list[Finding]:
    """Silent, hyperactive and duplicate neurons, and channels that were dead for a while."""
    drop = "leave them out with recording.select_neurons"
    activity, spikes = recording.activity, recording.spikes
    silent, busy = np.flatnonzero(activity == 0), np.flatnonzero(activity > 0.5)
    seen: dict[bytes, int] = {}
    packed = np.ascontiguousarray(np.packbits(spikes, axis=0).T)
    double = [i for i in np.flatnonzero(activity) if seen.setdefault(packed[i].tobytes(), i) != i]
    dead = _dead_neurons(spikes)
    return [
        _some("silent", silent, "never spike", "every neuron spikes", drop),
        _some("hyperactive", busy, "spike in more than half of the frames",
              "none spikes in more than half of the frames",
              f"look at their traces; {drop} if the baseline is wrong"),
        _some("duplicates", double, "have exactly the spikes of another neuron",
              "no two neurons have the same spikes", "keep one of each: one cell was found twice"),
        _some("dead", dead, "stop for a fifth of the recording or more",
              "no neuron stops for a fifth of the recording",
              f"channel lost or cell moved: {drop}, or cut the recording"),
    ]  # fmt: skip


def check_artefacts(recording: Recording) -> Finding:
    """Frames in which far more neurons are active than ever otherwise."""
    share = recording.spikes.mean(axis=1, dtype=np.float64)
    limit = max(0.5, 3 * float(np.quantile(share, 0.99)))
    frames = np.flatnonzero(share > limit)
    if frames.size:
        text = f"{frames.size} frames with more than {limit:.0%} of the neurons (first {frames[0]})"
        todo = "movement or a light artefact? leave them out with recording.select_frames"
        return Finding("artefacts", "look", text, todo, value=float(frames.size))
    return Finding("artefacts", "ok", f"no frame with more than {limit:.0%} of the neurons")


def check_drift(sample: Recording, correlation_frames: float) -> Finding:
    """Whether rates change between the segments of the recording."""
    n, tau = sample.n_frames, max(1.0, np.nan_to_num(correlation_frames, nan=1.0))
    halves = sample.spikes[: n // 2], sample.spikes[n // 2 :]
    first, second = (x.mean(axis=0, dtype=np.float64) for x in halves)
    p = sample.activity
    error = np.sqrt(p * (1 - p) * tau * (1 / len(halves[0]) + 1 / len(halves[1])))
    share = float(np.mean(np.abs(first - second) > 3 * error))
    means = np.array([x.mean() for x in np.array_split(sample.spikes, 10)])
    text = (
        f"{share:.0%} of the neurons change their rate between the halves; activity of ten "
        f"segments {means.min():.3f} to {means.max():.3f}"
    )
    if share > 0.1 or means.max() > 2 * means.min():
        todo = "bleaching, lost focus? train on a stationary stretch, or expect <v> to score badly"
        return Finding("drift", "look", text, todo, value=share)
    return Finding("drift", "ok", text, value=share)


def check_ceiling(sample: Recording) -> Finding:
    """How well training frames agree with test frames on the covariances."""
    split = split_recording(sample)
    upper = np.triu_indices(sample.n_neurons, 1)
    train, test = (
        np.cov(sample.spikes[frames].T.astype(np.float32), bias=True)[upper]
        for frames in (split.train_frames, split.test_frames)
    )
    r = float(correlations_of_columns(train[:, None], test[:, None])[0, 0])
    text = f"covariances of training and test frames correlate with r = {r:.2f}"
    if r < 0.1:
        todo = "record longer, or average frames in pairs: next to nothing here repeats"
        return Finding("ceiling", "problem", text, todo, value=r)
    if r < 0.6:
        todo = "quote every score beside this ceiling; pool neighbouring neurons or record longer"
        return Finding("ceiling", "look", text, todo, value=r)
    return Finding("ceiling", "ok", text, value=r)


def check_pairs(sample: Recording, rng: np.random.Generator) -> Finding:
    """How many pairs are correlated beyond what shifted neurons show."""
    upper = np.triu_indices(sample.n_neurons, 1)
    shifted = shift_time(sample.spikes, rng).toarray()
    r, null = (
        correlations_of_columns(x.astype(np.float32))[upper] for x in (sample.spikes, shifted)
    )
    share = float(np.mean(r > np.quantile(null, 0.99)))
    text = f"{share:.1%} of the pairs are correlated above the shifted ones (1 % by chance)"
    if share < 0.02:
        todo = "hardly anything is shared pair by pair: record longer, or more neurons"
        return Finding("pairs", "look", text, todo, value=share)
    return Finding("pairs", "ok", text, value=share)


def _some(name: str, neurons: object, wrong: str, fine: str, todo: str) -> Finding:
    neurons = tuple(int(i) for i in neurons)
    if not neurons:
        return Finding(name, "ok", fine, value=0.0)
    first = ", ".join(map(str, neurons[:5])) + (", ..." if len(neurons) > 5 else "")
    text = f"{len(neurons)} neurons {wrong} ({first})"
    return Finding(name, "look", text, todo, neurons, float(len(neurons)))


def _lag_one(x: np.ndarray) -> float:
    """Mean over the columns of the correlation of neighbouring rows."""
    d = x.astype(np.float32)
    d -= d.mean(axis=0)
    variance = (d**2).sum(axis=0)
    keep = variance > 0
    if not keep.any():
        return 0.0
    return float(np.mean((d[1:] * d[:-1]).sum(axis=0)[keep] / variance[keep]))


def _dead_neurons(spikes: np.ndarray) -> np.ndarray:
    n_frames, dead = len(spikes), []
    for i in range(spikes.shape[1]):
        at = np.flatnonzero(spikes[:, i])
        if at.size < _DEAD_SPIKES:
            continue
        gap = int(np.diff(np.concatenate([[-1], at, [n_frames]])).max()) - 1
        if gap >= _DEAD_SHARE * n_frames and gap * at.size / (n_frames - gap) >= _DEAD_SPIKES:
            dead.append(i)
    return np.array(dead, dtype=int)
