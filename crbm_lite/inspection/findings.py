r"""Single checks of a recording; each gives a finding with what to do about it.

A finding is a problem only if a control does not show it too.

- *orientation*: activity outlasts a frame, so on average successive frames are more alike than
  neighbouring neurons (lag-1 correlation along both axes). If it is the other way round, neurons
  may just be sorted. It is a problem only if frames in a random order are as alike, and if what
  looks like neurons behaves like time: states come back later, whereas sorted neurons are alike
  only side by side.
- *rate*: frames that repeat the one before are a problem only if they come at fixed places, as they
  do after upsampling by k: then nothing ever changes in k - 1 of k frames. Where neurons shifted in
  time repeat as often, spikes are sparse or last long.
- *artefacts*: frames in which more than half of the neurons are active. Deconvolution puts the
  spikes of a jump at its first frame, so the rest of the event shows in the traces only. The event
  lasts as long as the share of active neurons, or the median dF/F where there is one, stays above
  half of its height over the median frame: its full width at half maximum. It also stays above what
  19 of 20 frames have, or half of a small height would be an ordinary frame.
- *drift*: a neuron drifts if its rates in the two halves differ by more than three standard errors,
  :math:`\mathrm{se}^2 = p (1 - p)\, \tau\, (1/T_1 + 1/T_2)`, where :math:`\tau` is the correlation
  time of components (`crbm_lite.inspection.advice`), or of single neurons where there are none.
  The mean activity drifts if ten segments differ by a factor of two and by five standard errors.
- *dead*: a neuron is silent for a fifth of the recording or more in one go, its rate in the rest
  would have given forty spikes, and its other pauses are three times shorter.
- *ceiling*: Pearson's r of the covariances of all pairs, training against test frames of the
  default split; a model can hardly be asked for more. It is a problem if neurons shifted in time do
  as well.
- *pairs*: the share of pairs whose correlation exceeds the 99 % quantile of the same pairs after
  every neuron was shifted in time by an amount of its own: 1 % by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crbm_lite.inspection.advice import correlation_frames, covariances, shifted_in_time
from crbm_lite.measures import correlations_of_columns
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.splits import split_recording

__all__ = [
    "Finding", "check_activity", "check_artefacts", "check_ceiling", "check_drift", "check_neurons",
    "check_orientation", "check_pairs", "check_rate", "counted", "runs_of_frames",
]  # fmt: skip

_MIN_ACTIVITY = 0.02  # the paper's
_DEAD_SHARE, _DEAD_SPIKES, _DEAD_FACTOR = 0.2, 40, 3
_DUPLICATE_SPIKES = 5  # fewer may agree by chance
_N_CONTROLS = 8
_LONGEST_PERIOD = 60  # of upsampling, in frames
_ORDINARY = 0.95  # share of the frames that are ordinary
_MOST_TRACES = 1000  # whose median is taken
_MOST_RUNS = 5  # named in a text


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
        The neurons concerned, numbered from 0, if it is about some of them.
    value : float
        The number behind it, NaN if there is none.
    frames : tuple of int
        The frames concerned, numbered from 0, if it is about some of them.
    code : str
        Python that does what `todo` says, where it is a line or two.
    """

    name: str
    level: str
    text: str
    todo: str = ""
    neurons: tuple[int, ...] = ()
    value: float = float("nan")
    frames: tuple[int, ...] = ()
    code: str = ""


def counted(n: int, thing: str, things: str = "") -> str:
    """Write a number with what it counts, in the singular or in the plural.

    Examples
    --------
    >>> counted(1, "frame"), counted(1500, "frame"), counted(2, "assembly", "assemblies")
    ('1 frame', '1,500 frames', '2 assemblies')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def runs_of_frames(frames: Sequence[int] | np.ndarray) -> list[tuple[int, int]]:
    """Find the runs of successive frames, each as (first, last + 1).

    Examples
    --------
    >>> runs_of_frames([4, 7, 8, 9])
    [(4, 5), (7, 10)]
    """
    frames = np.asarray(frames)
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts if part.size]


def check_orientation(
    recording: Recording, varying: np.ndarray, rng: np.random.Generator
) -> Finding:
    """Check that time is the first axis; `varying` are indices of neurons that vary."""
    spikes = recording.spikes[:, varying]
    together = _same_stretch(recording)
    along_time = _lag_one(spikes, together)
    along_neurons = _lag_one(recording.spikes.T[:, :: max(1, recording.n_frames // 1000)])
    text = (
        f"lag-1 correlation {along_time:.2f} along the first axis (time), {along_neurons:.2f} "
        "along the second (neurons)"
    )
    placed = (recording.coordinates, recording.labels, recording.names)
    if along_neurons <= along_time + 0.05 or any(x is not None for x in placed):
        return Finding("orientation", "ok", text, value=along_time)
    few = spikes[:2000]
    disordered = [_lag_one(rng.permutation(few)) for _ in range(2 * _N_CONTROLS)]
    lasts = _lag_one(few, together[: len(few) - 1]) > max(disordered)
    if lasts or not _states_come_back(recording.spikes):
        why = "activity outlasts a frame" if lasts else "neurons are alike only side by side"
        todo = f"fine if you sorted the neurons ({why}); else transpose the array"
        return Finding("orientation", "look", text, todo, value=along_time)
    todo = "if time is the second axis, build the Recording from the transposed array"
    return Finding("orientation", "problem", text, todo, value=along_time)


def check_rate(recording: Recording, rng: np.random.Generator) -> Finding:
    """Check that rate and length are plausible, and that frames were not repeated to upsample."""
    text = f"{recording.rate_hz:g} frames per second, {recording.duration_s / 60:.1f} minutes"
    repeated, changes = _repeated(recording.spikes, _same_stretch(recording))
    if repeated > 0.2:
        text += f"; {repeated:.0%} of the active frames repeat the one before"
        period = _upsampling(recording, changes)
        if period is not None:
            used, length = period
            nth = {2: "second", 3: "third"}.get(length, f"{length}th")
            which = f"every {nth} frame" if used == 1 else f"{used} of {length} frames"
            return Finding("rate", "problem", text, f"undo the upsampling: keep {which}")
        cuts = recording.discontinuities
        shifted = shifted_in_time(recording.spikes, rng, cuts)
        control, _ = _repeated(shifted, _same_stretch(recording))
        if repeated > 2 * control:
            text += f", {control:.0%} if neurons are shifted in time"
            return Finding("rate", "look", text, "fine for bursts; else were frames interpolated?")
    if recording.rate_hz > 50:
        todo = "rebin to 0.1-0.5 s: in bins this short spikes of one assembly fall apart"
        return Finding("rate", "look", text, todo)
    if recording.rate_hz < 0.5:
        return Finding("rate", "look", text, "states that last less than a frame cannot be seen")
    return Finding("rate", "ok", text)


def check_activity(recording: Recording) -> Finding:
    """Hold the mean activity against the paper's threshold of 0.02."""
    mean = float(recording.activity.mean())
    text = f"{mean:.3f} spikes per neuron and frame (the paper's threshold is {_MIN_ACTIVITY})"
    todo = ""
    if mean < _MIN_ACTIVITY:
        todo = "lower the threshold of the deconvolution, or use longer bins"
    if mean > 0.3:
        todo = "raise the threshold or use shorter bins: most spikes should mean something"
    return Finding("activity", "look" if todo else "ok", text, todo, value=mean)


def check_neurons(recording: Recording) -> list[Finding]:
    """Find silent, hyperactive and duplicate neurons, and channels that were dead for a while."""
    drop = "leave them out with recording.select_neurons"
    activity, spikes, names = recording.activity, recording.spikes, recording.names
    silent, busy = np.flatnonzero(activity == 0), np.flatnonzero(activity > 0.5)
    seen: dict[bytes, int] = {}
    packed = np.ascontiguousarray(np.packbits(spikes, axis=0).T)
    enough = np.flatnonzero(activity * recording.n_frames >= _DUPLICATE_SPIKES)
    double = [i for i in enough if seen.setdefault(packed[i].tobytes(), i) != i]
    dead = _dead_neurons(spikes)
    return [
        _about_neurons("silent", silent, names, ("never spikes", "never spike"),
              "every neuron spikes", drop),
        _about_neurons("hyperactive", busy, names,
              ("spikes in more than half of the frames", "spike in more than half of the frames"),
              "none spikes in more than half of the frames",
              f"look at their traces; {drop} if the baseline is wrong"),
        _about_neurons("duplicates", double, names,
              ("has exactly the spikes of another neuron",
               "have exactly the spikes of another neuron"),
              "no two neurons have the same spikes", "keep one of each: one cell was found twice"),
        _about_neurons("dead", dead, names,
              ("stops for a fifth of the recording or more",
               "stop for a fifth of the recording or more"),
              "no neuron stops for a fifth of the recording",
              f"channel lost or cell moved: {drop}, or cut the recording"),
    ]  # fmt: skip


def check_artefacts(recording: Recording) -> Finding:
    """Find frames in which far more neurons are active than otherwise, and what belongs to them.

    The events are those of the module; they do not reach across discontinuities.
    """
    share = recording.spikes.mean(axis=1, dtype=np.float64)
    limit = min(max(0.5, 3 * float(np.quantile(share, _ORDINARY))), 0.9)
    found = np.flatnonzero(share > limit)
    if not found.size:
        return Finding("artefacts", "ok", f"no frame with more than {limit:.0%} of the neurons")
    traces = _median_trace(recording)
    belongs = _events(share, found, recording.discontinuities)
    if traces is not None:
        belongs |= _events(traces, found, recording.discontinuities)
    frames = np.flatnonzero(belongs)
    text = f"{counted(found.size, 'frame')} with more than {limit:.0%} of the neurons, "
    text += _named_runs(runs_of_frames(found))
    runs = runs_of_frames(frames)
    if frames.size > found.size:
        event = "event is" if len(runs) == 1 else f"{len(runs)} events are"
        text += f"; the whole {event} {_named_runs(runs)}"
    todo = "movement or a light artefact? leave these frames out"
    return Finding(
        "artefacts", "look", text, todo, value=float(frames.size),
        frames=tuple(frames.tolist()), code=_without(runs, recording.n_frames),
    )  # fmt: skip


def check_drift(sample: Recording, tau_frames: float) -> Finding:
    """Find out whether rates change between the halves and segments of the recording."""
    n, cuts = sample.n_frames, sample.discontinuities
    if np.isnan(tau_frames):  # without components, as long as single neurons last
        some = sample.spikes[:, :: -(-sample.n_neurons // 50)]
        tau_frames = float(np.median([correlation_frames(x, cuts) for x in some.T]))
    tau = max(1.0, tau_frames)
    halves = sample.spikes[: n // 2], sample.spikes[n // 2 :]
    first, second = (x.mean(axis=0, dtype=np.float64) for x in halves)
    p = sample.activity
    error = np.sqrt(p * (1 - p) * tau * (1 / len(halves[0]) + 1 / len(halves[1])))
    share = float(np.mean(np.abs(first - second) > 3 * error))
    course = sample.spikes.mean(axis=1, dtype=np.float64)
    segments = np.array_split(course, 10)
    means = np.array([x.mean() for x in segments])
    within = course - np.repeat(means, [len(x) for x in segments])
    error = within.std() * np.sqrt(10 * correlation_frames(within, cuts) / n)
    varies = means.max() > 2 * means.min() and np.ptp(means) > 5 * error
    text = (
        f"{share:.0%} of the neurons change their rate between the halves; activity of ten "
        f"segments {means.min():.3f} to {means.max():.3f}"
    )
    if share > 0.1 or varies:
        todo = "bleaching, lost focus? train on a stationary stretch, or expect <v> to score badly"
        return Finding("drift", "look", text, todo, value=share)
    return Finding("drift", "ok", text, value=share)


def check_ceiling(sample: Recording, rng: np.random.Generator) -> Finding:
    """Measure how well training frames agree with test frames on the covariances."""
    split = split_recording(sample)
    upper = np.triu_indices(sample.n_neurons, 1)

    def agreement(spikes: np.ndarray) -> float:
        parts = (spikes[split.train_frames], spikes[split.test_frames])
        train, test = (covariances(part)[upper][:, None] for part in parts)
        return float(correlations_of_columns(train, test)[0, 0])

    r = agreement(sample.spikes)
    text = f"covariances of training and test frames correlate with r = {r:.2f}"
    if r >= 0.6:
        return Finding("ceiling", "ok", text, value=r)
    cuts = sample.discontinuities
    control = [agreement(shifted_in_time(sample.spikes, rng, cuts)) for _ in range(_N_CONTROLS)]
    mean = np.mean(control)
    text += f" ({mean:.2f} if neurons are shifted in time)"
    if r <= mean + 4 * np.std(control, ddof=1):
        todo = "record longer, or average frames in pairs: what is shared here does not repeat"
        return Finding("ceiling", "problem", text, todo, value=r)
    todo = "quote every score beside this ceiling; pool neighbouring neurons or record longer"
    return Finding("ceiling", "look", text, todo, value=r)


def check_pairs(sample: Recording, rng: np.random.Generator) -> Finding:
    """Count the pairs that are correlated beyond what shifted neurons show."""
    upper = np.triu_indices(sample.n_neurons, 1)
    pair = []
    shifted = shifted_in_time(sample.spikes, rng, sample.discontinuities)
    for spikes in (sample.spikes, shifted):
        c = covariances(spikes)
        sd = np.sqrt(np.diagonal(c))
        pair.append((c / np.outer(sd, sd))[upper])
    share = float(np.mean(pair[0] > np.quantile(pair[1], 0.99)))
    text = f"{share:.1%} of the pairs are correlated above the shifted ones (1 % by chance)"
    if share < 0.02:
        todo = "hardly anything is shared pair by pair: record longer, or more neurons"
        return Finding("pairs", "look", text, todo, value=share)
    return Finding("pairs", "ok", text, value=share)


def _median_trace(recording: Recording) -> np.ndarray | None:
    """The median dF/F of some neurons in each frame, (T,), if there are traces."""
    if recording.dff is None:
        return None
    some = recording.dff[:, :: -(-recording.n_neurons // _MOST_TRACES)]
    some = some[:, np.isfinite(some).all(axis=0)]
    return np.median(some, axis=1).astype(np.float64) if some.shape[1] else None


def _events(course: np.ndarray, found: np.ndarray, discontinuities: np.ndarray) -> np.ndarray:
    """Which frames (T,) belong to the events of some frames that were found, these among them."""
    usual, ordinary = float(np.median(course)), float(np.quantile(course, _ORDINARY))
    bounds = np.concatenate([[0], discontinuities, [len(course)]])
    belongs = np.zeros(len(course), dtype=bool)
    for frame in found:
        stretch = np.searchsorted(bounds, frame, side="right")
        start, stop = bounds[stretch - 1], bounds[stretch]
        above = course[start:stop] > max((usual + course[frame]) / 2, ordinary)
        at = frame - start
        first = at - int(np.argmin(np.append(above[:at][::-1], False)))
        last = at + 1 + int(np.argmin(np.append(above[at + 1 :], False)))
        belongs[start + first : start + last] = True
    return belongs


def _without(runs: list[tuple[int, int]], n_frames: int) -> str:
    """Python that leaves runs of frames out, if they are not most of the recording."""
    if 2 * sum(b - a for a, b in runs) >= n_frames:
        return ""
    frames = f"np.r_[{', '.join(f'{a}:{b}' if b - a > 1 else f'{a}' for a, b in runs)}]"
    lines = []
    if len(runs) > _MOST_RUNS:
        lines, frames = ['frames = recording.check().finding("artefacts").frames'], "frames"
    delete = f"np.delete(np.arange({n_frames}), {frames})"
    return "\n".join([*lines, f"recording = recording.select_frames({delete})"])


def _named_runs(runs: list[tuple[int, int]]) -> str:
    """Name the first runs of frames: 1500 to 1504, 2210, ...."""
    names = [f"{a} to {b - 1}" if b - a > 1 else f"{a}" for a, b in runs[:_MOST_RUNS]]
    return ", ".join(names + ["..."] * (len(runs) > _MOST_RUNS))


def _about_neurons(
    name: str, neurons: object, names: Sequence[str] | None, wrong: tuple[str, str], fine: str,
    todo: str,
) -> Finding:  # fmt: skip
    """Name the first five of them, by their names where they have any; `wrong` of one, of many."""
    neurons = tuple(int(i) for i in neurons)
    if not neurons:
        return Finding(name, "ok", fine, value=0.0)
    first = [str(i) if names is None else names[i] for i in neurons[:5]]
    first += ["..."] if len(neurons) > 5 else []
    by = ("number" if names is None else "name") + "s" * (len(neurons) > 1)
    does = wrong[len(neurons) > 1]
    text = f"{counted(len(neurons), 'neuron')} {does} ({by} {', '.join(first)})"
    return Finding(name, "look", text, todo, neurons, float(len(neurons)))


def _same_stretch(recording: Recording) -> np.ndarray:
    """(T - 1,) bool: whether time runs on from each frame to the next."""
    together = np.ones(recording.n_frames - 1, dtype=bool)
    together[recording.discontinuities - 1] = False
    return together


def _lag_one(x: np.ndarray, together: np.ndarray | None = None) -> float:
    """Mean over the columns of the correlation of neighbouring rows that belong together."""
    d = x.astype(np.float32)
    d -= d.mean(axis=0)
    variance = (d**2).mean(axis=0)
    keep = variance > 0
    pairs = d[1:] * d[:-1]
    pairs = pairs if together is None else pairs[together]
    if not keep.any() or not len(pairs):
        return 0.0
    return float(np.mean(pairs.mean(axis=0)[keep] / variance[keep]))


def _states_come_back(spikes: np.ndarray) -> bool:
    """Whether columns find their like far away, as moments in time do and sorted neurons do not.

    The most similar far column is chosen in one half of the rows and judged in the other.
    """
    some = spikes[:4000, :1000].astype(np.float32)
    chosen, judged = (correlations_of_columns(some[half::2]) for half in (0, 1))
    n = len(judged)
    along = np.array([np.diagonal(judged, lag).mean() for lag in range(1, n)])
    apart = np.flatnonzero(along < along[0] / 4)
    if not apart.size or 2 * apart[0] >= n // 2:
        return False
    columns = np.arange(n)
    chosen[np.abs(columns - columns[:, None]) < 2 * (apart[0] + 1)] = -1.0
    return bool(judged[columns, chosen.argmax(axis=1)].mean() > along[0] / 2)


def _repeated(spikes: np.ndarray, together: np.ndarray) -> tuple[float, np.ndarray]:
    """Share of the active frames that repeat the one before, and which frames differ from it."""
    differs = (spikes[1:] != spikes[:-1]).any(axis=1)
    active = spikes[1:].any(axis=1) & together
    return float((active & ~differs).sum() / max(active.sum(), 1)), np.append(True, differs)


def _upsampling(recording: Recording, changes: np.ndarray) -> tuple[int, int] | None:
    """(k, n) if frames only ever change at k places of n, in the longest stretch; else None."""
    bounds = np.concatenate([[0], recording.discontinuities, [recording.n_frames]])
    longest = np.diff(bounds).argmax()
    at = np.flatnonzero(changes[bounds[longest] + 1 : bounds[longest + 1]])
    for n in range(2, _LONGEST_PERIOD):
        used = np.count_nonzero(np.bincount(at % n, minlength=n))
        if used < n and at.size >= 20 * n:  # by chance: n (1 - 1/n)^(20 n), below n e^-20
            return used, n
    return None


def _dead_neurons(spikes: np.ndarray) -> np.ndarray:
    n_frames, dead = len(spikes), []
    for i in range(spikes.shape[1]):
        at = np.flatnonzero(spikes[:, i])
        if at.size < _DEAD_SPIKES:
            continue
        pauses = np.diff(np.concatenate([[-1], at, [n_frames]])) - 1
        second, longest = np.sort(pauses)[-2:]
        expected = longest * at.size / max(n_frames - longest, 1)
        if (
            longest >= _DEAD_SHARE * n_frames
            and expected >= _DEAD_SPIKES
            and longest >= _DEAD_FACTOR * second
        ):
            dead.append(i)
    return np.array(dead, dtype=int)
