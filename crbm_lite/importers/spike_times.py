"""Importer of spike times, in memory or in a text file; `crbm_lite.importers.binning` bins them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from crbm_lite.checks.arguments import as_array, as_flag, as_path
from crbm_lite.files.errors import RecordingError
from crbm_lite.importers.arrays import errors_name
from crbm_lite.importers.binning import as_bin_s, bin_spike_times
from crbm_lite.importers.csv_file import check_delimiter
from crbm_lite.recordings.recording import Recording

__all__ = ["import_spike_times", "recording_from_spike_times"]


def recording_from_spike_times(
    times_s: Mapping[str, Sequence[float]] | Sequence[Sequence[float]],
    bin_s: float | None = None,
    *,
    start_s: float | None = None,
    stop_s: float | None = None,
    coordinates: np.ndarray | None = None,
    source: str = "spike times",
) -> Recording:
    """Make a Recording of one list of spike times per neuron.

    Parameters
    ----------
    times_s : mapping from names to times, or sequence of times
        Spike times of each neuron in seconds, not decreasing; a neuron may have none.
    bin_s : float
        Width of a bin in seconds; ``rate_hz`` becomes 1 / bin_s. Without it there is an error that
        recommends a width.
    start_s, stop_s : float, optional
        Of the recording; see `crbm_lite.importers.binning.bin_spike_times`.
    coordinates : (N, 3) float, optional
    source : str
        For the provenance and error messages.

    Returns
    -------
    Recording
        ``provenance["bins_with_several_spikes"]`` of ``provenance["bins_with_spikes"]`` bins held
        more than one spike.

    Raises
    ------
    ValueError
        As `crbm_lite.importers.binning.bin_spike_times`, naming the neuron; if there is no neuron.

    Examples
    --------
    >>> recording = recording_from_spike_times({"a": [0.1, 0.2, 1.4], "b": [0.7]}, bin_s=0.5,
    ...                                        stop_s=1.5)
    >>> recording.spikes.T.tolist(), recording.provenance["bins_with_several_spikes"]
    ([[1, 0, 1], [0, 1, 0]], 1)
    """
    bin_s = None if bin_s is None else as_bin_s(bin_s)
    if isinstance(times_s, (str, bytes)) or not np.iterable(times_s):
        raise ValueError(
            f"times_s is {times_s!r}: give {{name: times in seconds}}, or a list of times for each "
            "neuron"
        )
    names = tuple(map(str, times_s)) if isinstance(times_s, Mapping) else None
    lists = list(times_s.values()) if isinstance(times_s, Mapping) else list(times_s)
    if not lists:
        raise RecordingError(f"{source}: there are no neurons")
    arrays = []
    for i, values in enumerate(lists):
        try:
            array = as_array(values, f"{source}: neuron {names[i] if names else i}")
        except ValueError as error:
            raise RecordingError(str(error)) from error
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
            raise RecordingError(
                f"{source}: neuron {names[i] if names else i} has times of shape {array.shape}, "
                f"dtype {array.dtype}: give a list of seconds"
            )
        arrays.append(array)
    filled = [array for array in arrays if array.size]  # an empty list would change the dtype
    times, neuron = (
        np.concatenate(filled or [np.zeros(0)]),
        np.repeat(np.arange(len(arrays)), [*map(len, arrays)]),
    )
    limits = {"start_s": start_s, "stop_s": stop_s}
    binned = bin_spike_times(times, neuron, len(arrays), bin_s, where=source, **limits)
    return Recording(
        binned.spikes,
        rate_hz=1.0 / bin_s,
        coordinates=coordinates,
        names=names,
        provenance={"source": source, "layout": "spike times", **binned.provenance(bin_s)},
    )


def import_spike_times(
    path: str | os.PathLike,
    bin_s: float | None = None,
    *,
    delimiter: str = ",",
    header: bool | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
) -> Recording:
    r"""Import a list of spikes, one row each: the neuron's name and the time in seconds.

    Parameters
    ----------
    path : path of a text file
        Two columns.
    bin_s : float
        Width of a bin in seconds. Without it there is an error that recommends a width.
    delimiter : str
        What separates the columns (default ",").
    header : bool, optional
        Whether the first row holds the titles of the columns. If not given, it does where its
        second cell is no number; a first row of 0 and 1, as pandas writes, is refused.
    start_s, stop_s : float, optional
        Of the recording; see `crbm_lite.importers.binning.bin_spike_times`. Without
        `stop_s` it ends with the last spike.

    Returns
    -------
    Recording
        Neurons in the order of their first row; see `recording_from_spike_times`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError naming the file and the row: empty, other than two columns, a time that is no
        number, negative, NaN or earlier than the neuron's last.
    ValueError
        If `bin_s` is not positive.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("unit,time_s\nu3,0.1\nu7,0.7\nu3,0.2\nu3,1.5\n")
    ...     import_spike_times(path, bin_s=0.5).spikes.tolist()
    [[1, 0], [0, 1], [0, 0]]
    """
    path = as_path(path)
    with errors_name(path):
        check_delimiter(delimiter)
        if path.suffix.lower() in (".npy", ".npz"):
            raise RecordingError(
                f"{path}: a list of spikes is a text file: import the folder of a spike sorter "
                "with format='phy', or give arrays to recording_from_spike_times"
            )
        if header is not None:
            as_flag(header, "header")
        times_s: dict[str, list[float]] = {}
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
                if cells == [""] or (number == 1 and header):
                    continue
                if number == 1 and header is None and cells == ["0", "1"]:
                    raise RecordingError(
                        f"{path}: row 1 is 0, 1: the titles that pandas writes, or a spike of "
                        "neuron 0 at 1 s: pass header=True or header=False"
                    )
                if len(cells) != 2 or not cells[0]:
                    raise RecordingError(
                        f"{path}: row {number} has {len(cells)} cells separated by {delimiter!r}, "
                        "or no name: give the neuron's name and the time in seconds"
                    )
                try:
                    time_s = float(cells[1].replace("_", "x"))  # to Python 1_0 is 10
                except ValueError:
                    if number == 1 and header is None:
                        continue
                    raise RecordingError(
                        f"{path}: row {number}: time {cells[1]!r} is no number"
                    ) from None
                times_s.setdefault(cells[0], []).append(time_s)
        if not times_s:
            raise RecordingError(f"{path}: it is empty: there are no spikes")
        recording = recording_from_spike_times(
            times_s, bin_s, start_s=start_s, stop_s=stop_s, source=str(path)
        )
        return Recording(
            recording.spikes, recording.rate_hz, names=recording.names,
            provenance=recording.provenance | {"source": path.name},
        )  # fmt: skip
