"""From named arrays to a Recording: what npz, MATLAB, HDF5 and CSV files have in common.

A file is a mapping from its keys to arrays. Which key is what, the user says with `keys`, a mapping
from the names below to the file's own. A name that is left out is looked for under itself. Only the
spikes must be there.

=========== ===================================================================
spikes      (T, N) activity: 0/1, or what `crbm_lite.importers.binarise` takes
dff         (T, N) calcium traces to keep beside binary spikes
coordinates (N, 3) or (N, 2) positions
labels      (N, R) 0/1;  label_names (R,) texts
names       (N,) texts
times_s     (T,) time of each frame in seconds: the rate, and gaps in time
rate_hz     frames per second
=========== ===================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_array, as_rate_hz, as_text, check_not_masked
from crbm_lite.checks.sparse import as_dense, as_sparse
from crbm_lite.files.errors import RecordingError, check_regular_file
from crbm_lite.files.memory import check_fits
from crbm_lite.importers.binarisation import ToBinary, binarise
from crbm_lite.importers.binning import BinnedSpikes, bin_spike_times
from crbm_lite.importers.labels import as_left_out, check_no_labels, neurons_left
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

__all__ = [
    "FIELDS",
    "OF_SPIKE_TIMES",
    "ArrayOptions",
    "errors_name",
    "rate_given_times",
    "recording_from_arrays",
]

FIELDS = (
    "spikes", "dff", "coordinates", "labels", "label_names", "names", "times_s", "rate_hz",
)  # fmt: skip
OF_SPIKE_TIMES = ("bin_s", "start_s", "stop_s")  # which only MATLAB's cells can hold
_RATES_AGREE = 0.02  # relative difference of a stated rate and the one of the times


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while reading `path` into a RecordingError that names it.

    Parsers of other projects raise anything on damaged files. So only those errors pass unchanged
    that say already what is wrong: RecordingError, FileNotFoundError, ImportError.
    """
    try:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if not path.is_dir():
            check_regular_file(path)
        yield
    except (RecordingError, FileNotFoundError, ImportError):
        raise
    except Exception as error:
        text = " ".join(_text_of(error).split())
        raise RecordingError(
            f"{path}: {text or 'cannot be read: it is truncated or damaged'}"
            + ("" if type(error) is ValueError else f" ({type(error).__name__})")
        ) from error


def _text_of(error: Exception) -> str:
    """Return the error's text, without the number of an OSError and the quotes of a KeyError."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error)


@takes_options_of(ToBinary)
@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayOptions(ToBinary):
    """What the user says on the arrays of a file.

    Parameters
    ----------
    keys : mapping, optional
        Which key of the file is what, see `crbm_lite.importers.arrays`.
    rate_hz : float, optional
        Frames per second, where the file holds neither rate_hz nor times_s.
    time_axis : {0, 1}
        Which axis of spikes and dff is time (default 0); 1 for files that put neurons first.
    coordinate_unit : str
        Unit of the positions (default "um").
    leave_out : sequence of str or int, optional
        Names, or numbers from 0, of columns of the activity that are no neurons. If not given, a
        file with a column like frame numbers or times is refused; ``[]`` says that all are neurons.
    trial_axis : {0, 1, 2}, optional
        Which axis of an array with three axes counts trials. They are joined, with a jump in time
        before each; `time_axis` is of the two axes that are left.
    bin_s : float, optional
        Width of a bin in seconds, where spikes are lists of spike times, one for each neuron.
    start_s, stop_s : float, optional
        Of the recording, for spike times; see `crbm_lite.importers.binning.bin_spike_times`.
    """

    keys: Mapping[str, str] | None = None
    rate_hz: float | None = None
    time_axis: int = 0
    coordinate_unit: str = "um"
    leave_out: Sequence[str | int] | None = None
    trial_axis: int | None = None
    bin_s: float | None = None
    start_s: float | None = None
    stop_s: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_axis not in (0, 1):
            raise ValueError(f"time_axis is {self.time_axis!r}: give 0 (frames first) or 1")
        if self.trial_axis not in (None, 0, 1, 2):
            raise ValueError(f"trial_axis is {self.trial_axis!r}: give 0, 1 or 2")


def recording_from_arrays(
    path: Path,
    arrays: Mapping[str, object],
    layout: str,
    options: ArrayOptions,
    *,
    first_row: bool = True,
) -> Recording:
    """Make a Recording of the arrays of a file.

    Parameters
    ----------
    path : pathlib.Path
        For messages and the provenance.
    arrays : mapping from the file's keys to arrays, lists of arrays, texts or sparse matrices
    layout : str
        For the provenance.
    options : ArrayOptions
    first_row : bool
        Whether the first row could be labels (default True).

    Returns
    -------
    Recording

    Raises
    ------
    RecordingError
        A ValueError naming the file and the key.
    ValueError
        If an option is not what it must be.

    Examples
    --------
    >>> arrays = {"S": np.eye(3), "t": np.array([0.0, 0.5, 1.0])}
    >>> options = ArrayOptions(keys={"spikes": "S", "times_s": "t"})
    >>> recording_from_arrays(Path("a.npz"), arrays, "npz", options)
    Recording(3 frames x 3 neurons, 2 Hz, 1.5 s, activity 0.333)
    """
    rate_hz = None if options.rate_hz is None else as_rate_hz(options.rate_hz)
    used = _used_keys(path, arrays, options.keys)
    found = {field: arrays[key] for field, key in used.items()}
    for field, value in found.items():
        check_not_masked(value, f"{path}: key {used[field]}")
    provenance = {"source": path.name, "layout": layout, "keys": used}
    where = f"{path}: key {used['spikes']}"
    if _are_spike_times(found["spikes"], where, options):
        binned = _binned(found["spikes"], where, options)
        values, starts, rate_hz = binned.spikes, (), 1.0 / options.bin_s
        provenance |= binned.provenance(options.bin_s)
    else:
        values, starts = _frames(found["spikes"], where, options)
    names = _texts(path, used, found, "names")
    keep = neurons_left(as_left_out(options.leave_out), names, values.shape[1], where)
    names = tuple(map(str, range(keep.size))) if names is None and not keep.all() else names
    values, names = _kept(values.T, keep).T, _kept(names, keep)
    if options.leave_out is None or not keep.all():
        check_no_labels(values, names, where, first_row=first_row)
    breaks = np.asarray(starts, dtype=np.int64)
    if rate_hz is None and "rate_hz" in found:
        rate_hz = _rate(found["rate_hz"], f"{path}: key {used['rate_hz']}")
    one_frame_trials = len(starts) > 0 and len(values) == len(starts) + 1
    if one_frame_trials and np.size(found.get("times_s")) == 1:
        del found["times_s"]  # one time for all trials tells no rate
    if "times_s" in found and options.bin_s is None:
        times_where = f"{path}: key {used['times_s']}"
        times_s = _times_of_trials(np.asarray(found["times_s"]), len(values), starts)
        rate_of_times, jumps = rate_given_times(times_s, times_where, values.shape)
        rate_hz = _agreed_rate(rate_hz, rate_of_times, times_where)
        breaks = np.union1d(breaks, jumps)
    if rate_hz is None:
        raise RecordingError(
            f"{path}: the frame rate is unknown: pass rate_hz=..., or say where it, or the "
            "times, can be found with keys={'rate_hz': ...} or keys={'times_s': ...}"
        )
    binary = binarise(values, where, rate_hz, options, breaks)
    dff = binary.dff
    if "dff" in found and dff is None:
        dff = _kept(_frames(found["dff"], f"{path}: key {used['dff']}", options)[0].T, keep).T
    try:
        return Recording(
            binary.spikes,
            rate_hz=rate_hz,
            coordinates=_kept(_positions(path, used, found, keep.size), keep),
            coordinate_unit=options.coordinate_unit,
            labels=_kept(found.get("labels"), keep),
            label_names=_texts(path, used, found, "label_names"),
            names=names,
            discontinuities=breaks,
            dff=dff,
            provenance=provenance | {"spikes": binary.note},
        )  # fmt: skip
    except RecordingError:
        raise
    except ValueError as error:
        raise RecordingError(f"{path}: {error} (keys used: {used})") from error


def rate_given_times(
    times_s: object, where: str, shape: tuple[int, int]
) -> tuple[float, np.ndarray]:
    """Return the rate, from the median step, and the frames before which time jumps.

    A jump is a step longer than 1.5 times the median. `shape` is the (T, N) of the spikes.

    Raises
    ------
    RecordingError
        If the times are not T finite numbers that increase.
    """
    times = as_array(times_s, where)
    if times.dtype.kind not in "iuf" or times.size != max(times.shape, default=0):
        raise RecordingError(f"{where} has shape {times.shape}, dtype {times.dtype}: give "
                             "the time of each frame in seconds")  # fmt: skip
    times = times.astype(np.float64).ravel()
    if times.size != shape[0]:
        hint = ": the spikes look transposed, try time_axis=1" if times.size == shape[1] else ""
        raise RecordingError(f"{where} has {times.size} times for {shape[0]} frames{hint}")
    step_s = np.diff(times)
    if times.size < 2 or not np.isfinite(times).all() or times[0] < 0 or (step_s <= 0).any():
        wrong = "are fewer than two, negative, NaN or infinite"
        if times.size > 1 and np.isfinite(times).all() and times[0] >= 0:
            wrong = f"do not increase at frame {int((step_s <= 0).argmax()) + 1}"
        raise RecordingError(f"{where}: the times {wrong}: give increasing times in seconds")
    median_s = float(np.median(step_s))
    return 1.0 / median_s, np.flatnonzero(step_s > 1.5 * median_s) + 1


def _rate(value: object, where: str) -> float:
    rate = np.asarray(value).ravel()
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not 0 < rate[0] < np.inf:
        raise RecordingError(f"{where} is no rate: give one number")
    return float(rate[0])


def _agreed_rate(rate_hz: float | None, rate_of_times: float, where: str) -> float:
    if rate_hz is None:
        return rate_of_times
    if not abs(rate_hz / rate_of_times - 1) < _RATES_AGREE:
        raise RecordingError(
            f"{where} steps by {1 / rate_of_times:g} ({rate_of_times:g} Hz if in seconds), "
            f"rate_hz is {rate_hz:g}: correct one of them, or pass rate_hz=... as the times say"
        )
    return float(rate_hz)


def _used_keys(
    path: Path, arrays: Mapping[str, object], keys: Mapping[str, str] | None
) -> dict[str, str]:
    """Return {name: key} of what is there; what the user named must be."""
    if keys is not None and not isinstance(keys, Mapping):
        raise ValueError(f"keys is {keys!r}: give a mapping, for example {{'spikes': 'S'}}")
    keys = dict(keys or {})
    for field, key in keys.items():
        if field not in FIELDS:
            raise ValueError(f"keys names {field!r}: give some of {', '.join(FIELDS)}")
        as_text(key, f"keys[{field!r}]", "a key of the file")
    used = {}
    for field in FIELDS:
        key = keys.get(field, field)
        if key in arrays:
            used[field] = key
        elif field in keys or field == "spikes":
            names = (name if name.isprintable() else repr(name) for name in list(arrays)[:10])
            there = ", ".join(names) or "none"
            raise RecordingError(
                f"{path}: key {key} is missing (the file's keys: {there}): say which is the "
                f"{field} with keys={{{field!r}: ...}}"
            )
    return used


def _are_spike_times(values: object, where: str, options: ArrayOptions) -> bool:
    """Whether the spikes are lists of times; that they are is said by `bin_s`."""
    is_list = isinstance(values, list) and all(_is_vector(np.asarray(x)) for x in values)
    if options.bin_s is None:
        if is_list and len({np.size(x) for x in values}) > 1:
            _binned(values, where, options)  # asks for the width of a bin
        for name in OF_SPIKE_TIMES:
            if getattr(options, name) is not None:
                raise RecordingError(f"{where}: {name} is for spike times: pass bin_s=..., too")
        return False
    if not is_list:
        raise RecordingError(
            f"{where} has shape {np.shape(values)}: bin_s is for spike times, one list for each "
            "neuron"
        )
    if options.rate_hz is not None:
        raise RecordingError(f"{where}: rate_hz is given, and the rate is 1 / bin_s: give one")
    return True


def _binned(lists: list, where: str, options: ArrayOptions) -> BinnedSpikes:
    times_s = [np.asarray(x).ravel() for x in lists]
    neuron = np.repeat(np.arange(len(lists)), [x.size for x in times_s])
    return bin_spike_times(
        np.concatenate(times_s), neuron, len(lists), options.bin_s,
        start_s=options.start_s, stop_s=options.stop_s, where=where,
    )  # fmt: skip


def _is_vector(array: np.ndarray) -> bool:
    return array.dtype.kind in "biuf" and (not array.size or array.size == max(array.shape))


def _frames(values: object, where: str, options: ArrayOptions) -> tuple[np.ndarray, np.ndarray]:
    """Return activity as (T, N), frames first, and the frames with which later trials begin."""
    if scipy.sparse.issparse(values):
        if 0 in values.shape:
            raise RecordingError(f"{where} is sparse of shape {values.shape}")
        check_fits(math.prod(values.shape) * values.dtype.itemsize, where)
        values = as_dense(values, where)
    is_list = isinstance(values, list)
    parts = [as_array(x, where) for x in values] if is_list else [as_array(values, where)]
    if is_list and parts and all(map(_is_vector, parts)):  # one trace for each neuron
        return np.column_stack([part.ravel() for part in parts]), np.zeros(0, dtype=np.int64)
    if not is_list and parts[0].ndim == 3:
        if options.trial_axis is None:
            raise RecordingError(
                f"{where} has shape {parts[0].shape}: say which axis counts trials with "
                "trial_axis=...; they are joined, with a jump in time before each"
            )
        parts = list(np.moveaxis(parts[0], options.trial_axis, 0))
    elif options.trial_axis is not None:
        raise RecordingError(f"{where} has no three axes: trial_axis is for three")
    parts = [part.T if options.time_axis == 1 else part for part in parts]
    if (
        not parts
        or any(part.ndim != 2 or part.dtype.kind not in "biuf" for part in parts)
        or len({part.shape[1] for part in parts}) > 1
    ):
        shapes = ", ".join(f"{np.shape(x)} {np.asarray(x).dtype}" for x in parts[:5]) or "nothing"
        raise RecordingError(
            f"{where} holds {shapes}: give numbers in two dimensions, frames and neurons"
        )
    starts = np.cumsum([len(part) for part in parts])[:-1]
    return parts[0] if len(parts) == 1 else np.concatenate(parts), starts


def _times_of_trials(times_s: np.ndarray, n_frames: int, starts: np.ndarray) -> np.ndarray:
    """Let the times of one trial stand for all, where trials are equally long."""
    n_trials = len(starts) + 1
    if n_trials > 1 and times_s.size * n_trials == n_frames and times_s.dtype.kind in "iuf":
        times_s = times_s.astype(np.float64).ravel()
        length_s = 2 * (times_s[-1] - times_s[0]) + 1
        return (times_s + length_s * np.arange(n_trials)[:, None]).ravel()
    return times_s


def _kept(rows: object, keep: np.ndarray) -> object:
    """Leave out rows, if there is one for each neuron, kept or not."""
    if rows is None or keep.all() or np.shape(rows)[:1] != keep.shape:
        return rows
    rows = as_sparse(rows, "rows") if scipy.sparse.issparse(rows) else rows
    return tuple(x for x, k in zip(rows, keep) if k) if isinstance(rows, tuple) else rows[keep]


def _positions(
    path: Path, used: dict[str, str], found: dict[str, object], n_neurons: int
) -> np.ndarray | None:
    if "coordinates" not in found:
        return None
    array = found["coordinates"]
    if scipy.sparse.issparse(array):
        check_fits(math.prod(array.shape) * 8, f"{path}: key {used['coordinates']}")
        array = as_dense(array, f"{path}: key {used['coordinates']}")
    array = np.asarray(array)
    if array.dtype.kind not in "iuf" or array.ndim != 2 or array.shape[1] not in (2, 3):
        hint = "; it looks transposed" if array.shape in ((2, n_neurons), (3, n_neurons)) else ""
        raise RecordingError(
            f"{path}: key {used['coordinates']} has shape {array.shape}, dtype {array.dtype}: "
            f"give ({n_neurons}, 3) or ({n_neurons}, 2), one row for each neuron{hint}"
        )
    return np.pad(array.astype(np.float64), ((0, 0), (0, 3 - array.shape[1])))


def _texts(
    path: Path, used: dict[str, str], found: dict[str, object], field: str
) -> tuple[str, ...] | None:
    if field not in found:
        return None
    array = np.atleast_1d(np.asarray(found[field]))
    if array.dtype.kind == "f" and (array == np.round(array)).all():  # MATLAB's numbers
        array = array.astype(np.int64)
    if array.dtype.kind not in "USOiu" or array.size != max(array.shape):
        raise RecordingError(
            f"{path}: key {used[field]} has shape {array.shape}, dtype {array.dtype}: give a "
            "list of texts"
        )
    texts = (x.decode("utf-8") if isinstance(x, bytes) else str(x) for x in array.ravel())
    return tuple(text.strip() for text in texts)
