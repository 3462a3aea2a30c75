"""Importer of multi-electrode recordings of retinal waves (HDF5 of Eglen et al. 2014).

Keys: ``spikes``, the spike times in seconds of all units one after the other; ``sCount``, the
number of spikes of each unit; ``epos`` (2, N), electrode positions in micrometres; ``names``; and
``summary/duration`` in seconds.

The spike times are binned by `crbm_lite.importers.binning`.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import find_item, open_hdf5, read_array, read_strings
from crbm_lite.importers.binning import as_bin_s, bin_spike_times
from crbm_lite.recordings.recording import Recording

__all__ = ["import_retinal_waves"]


def import_retinal_waves(path: str | os.PathLike, bin_s: float = 0.5) -> Recording:
    """Import a retinal-wave recording, binned and binarised.

    Parameters
    ----------
    path : path of the HDF5 file
    bin_s : float
        Width of a bin in seconds.

    Returns
    -------
    Recording
        ``rate_hz`` is 1 / bin_s; coordinates are the (x, y) of the electrodes, with z = 0;
        units that share an electrode's name get a suffix. ``provenance`` says how many bins held
        more than one spike, which binarising loses.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError: truncated, damaged or foreign file, counts that do not add up, spike times
        that are negative, not finite or not sorted within a unit.
    ValueError
        If `bin_s` is not positive, longer than the recording, or so short that the spikes would
        not fit in memory.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "retina.h5"
    ...     with h5py.File(path, "w") as file:
    ...         file["spikes"] = [0.1, 0.2, 1.4, 0.7]
    ...         file["sCount"] = [3, 1]
    ...         file["epos"] = [[0.0, 60.0], [0.0, 0.0]]
    ...         file["summary/duration"] = [1.5]
    ...     import_retinal_waves(path, bin_s=0.5).spikes
    array([[1, 0],
           [0, 1],
           [1, 0]], dtype=uint8)
    """
    path = as_path(path)
    bin_s = as_bin_s(bin_s)
    with open_hdf5(path) as file:
        times_s = read_array(file, "spikes", 1)
        counts = read_array(file, "sCount", 1)
        position_um = read_array(file, "epos", 2)
        stop_s = None
        if find_item(file, "summary/duration") is not None:
            duration_s = read_array(file, "summary/duration")
            if duration_s.size != 1 or not 0 < duration_s.item() < np.inf:
                raise RecordingError(
                    f"{file.filename}: key /summary/duration must be one positive number in seconds"
                )
            stop_s = float(duration_s.item())
        names = read_strings(file, "names") if find_item(file, "names") is not None else None
        where = f"{file.filename}: key /spikes"
        _check(file.filename, times_s, counts, position_um)
        if stop_s is not None:
            stop_s = max(stop_s, float(times_s.max()))  # the stated duration may be rounded down
        unit = np.repeat(np.arange(counts.size), counts)
        binned = bin_spike_times(times_s, unit, counts.size, bin_s, stop_s=stop_s, where=where)
        return Recording(
            binned.spikes,
            rate_hz=1.0 / bin_s,
            coordinates=np.column_stack([position_um.T, np.zeros(counts.size)]),
            names=None if names is None else _unique(names),
            provenance={
                "source": path.name,
                "layout": "retinal waves (Eglen et al. 2014)",
                **binned.provenance(bin_s),
            },
        )


def _check(filename: str, times_s: np.ndarray, counts: np.ndarray, position: np.ndarray) -> None:
    """Raise a RecordingError naming the key if the arrays do not fit together."""
    if counts.dtype.kind not in "iu" or (counts < 0).any() or counts.sum() != times_s.size:
        raise RecordingError(
            f"{filename}: key /sCount must hold the number of spikes of each "
            f"unit; they add up to {counts.sum()}, key /spikes has {times_s.size}"
        )
    if times_s.size == 0:
        raise RecordingError(f"{filename}: key /spikes is empty")
    if position.shape != (2, counts.size):
        raise RecordingError(
            f"{filename}: key /epos has shape {position.shape}: give "
            f"(2, {counts.size}), one electrode for each entry of sCount"
        )


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Number the units that share a name: a, b, b becomes a, b:1, b:2."""
    total, seen, out = Counter(names), Counter(), []
    for name in names:
        seen[name] += 1
        out.append(f"{name}:{seen[name]}" if total[name] > 1 else name)
    return tuple(out)
