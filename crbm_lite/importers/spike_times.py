r"""Importer of spike times: bins of a chosen width, 1 where a neuron has at least one spike.

Binning: :math:`v_i(t) = 1` if neuron i has at least one spike in
:math:`[t_0 + t\,\Delta, t_0 + (t + 1)\,\Delta)`, with complete bins only. What binarising loses,
bins with several spikes, is counted and reported in the provenance.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crbm_lite.hdf5 import RecordingError, as_path
from crbm_lite.importers.arrays import errors_name
from crbm_lite.importers.csv_file import check_delimiter
from crbm_lite.recordings import Recording

__all__ = ["BinnedSpikes", "bin_spike_times", "import_spike_times", "recording_from_spike_times"]

# Bins of all neurons for each spike, and in all: a damaged time must not fill the memory.
_MOST_PER_SPIKE, _MOST_NUMBERS = 10**5, 2**34


@dataclass(frozen=True, eq=False)
class BinnedSpikes:
    """Binned spike times, and what binning left out.

    Parameters
    ----------
    spikes : (T, N) uint8
    n_bins_with_spikes : int
    n_bins_with_several : int
        Bins, over all neurons, that held more than one spike.
    n_spikes_left_out : int
        Spikes outside the complete bins.
    """

    spikes: np.ndarray
    n_bins_with_spikes: int
    n_bins_with_several: int
    n_spikes_left_out: int

    def provenance(self, bin_s: float) -> dict[str, float | int]:
        """For the provenance of a recording."""
        return {
            "bin_s": bin_s,
            "bins_with_spikes": self.n_bins_with_spikes,
            "bins_with_several_spikes": self.n_bins_with_several,
            "spikes_outside_complete_bins": self.n_spikes_left_out,
        }


def bin_spike_times(
    times_s: np.ndarray,
    neuron: np.ndarray,
    n_neurons: int,
    bin_s: float,
    *,
    start_s: float | None = None,
    stop_s: float | None = None,
    where: str = "times_s",
) -> BinnedSpikes:
    """Bin the spike times of many neurons.

    Parameters
    ----------
    times_s : (S,) float
        Times in seconds, in any order across neurons, not decreasing within one.
    neuron : (S,) int
        Whose spike it is, 0..N-1.
    n_neurons : int
    bin_s : float
        Width of a bin in seconds.
    start_s : float, optional
        Where the first bin begins. If it is given, earlier spikes are left out; if not, it is 0
        and a negative time is an error.
    stop_s : float, optional
        End of the recording; the last spike if not given.
    where : str
        File and key, for error messages.

    Returns
    -------
    BinnedSpikes

    Raises
    ------
    ValueError
        If `bin_s` is not positive.
    RecordingError
        A ValueError naming `where`: no spikes, NaN, negative or unsorted times, or a number of
        bins that is zero or would not fit in memory.

    Examples
    --------
    >>> binned = bin_spike_times(np.array([0.1, 0.2, 0.7]), np.array([0, 0, 1]), 2, bin_s=0.5,
    ...                          stop_s=1.0)
    >>> binned.spikes.tolist(), binned.n_bins_with_several
    ([[1, 0], [0, 1]], 1)
    """
    if not (isinstance(bin_s, int | float | np.number) and 0 < bin_s < np.inf):
        raise ValueError(f"bin_s is {bin_s!r}: give the width of a bin in seconds, positive")
    times_s = np.asarray(times_s)
    if times_s.size == 0:
        raise RecordingError(f"{where} is empty: there are no spikes")
    if times_s.ndim != 1 or times_s.dtype.kind not in "iuf":
        raise RecordingError(f"{where} has shape {times_s.shape}, dtype {times_s.dtype}: expected "
                             "times in seconds")  # fmt: skip
    times_s = times_s.astype(np.float64)
    if not np.isfinite(times_s).all():
        raise RecordingError(f"{where} holds times that are NaN or infinity")
    if start_s is None and times_s.min() < 0:
        raise RecordingError(
            f"{where} holds negative times (down to {times_s.min():g} s): say where the first bin "
            "begins with start_s=..., or correct them"
        )
    _check_sorted(times_s, neuron, where)
    first_s = 0.0 if start_s is None else float(start_s)
    duration_s = (float(times_s.max()) if stop_s is None else float(stop_s)) - first_s
    n_bins = duration_s / bin_s + 1e-9
    most = min(_MOST_NUMBERS, _MOST_PER_SPIKE * times_s.size) // n_neurons
    if not 1 <= n_bins <= max(most, 1):
        raise RecordingError(
            f"{where}: {duration_s:g} s in bins of bin_s = {bin_s} s are {n_bins:.3g} bins of "
            f"{n_neurons} neurons with {times_s.size} spikes: choose another bin_s=..., or correct "
            "the times"
        )
    n_bins = int(n_bins)
    index = np.floor((times_s - first_s) / bin_s)
    kept = (index >= 0) & (index < n_bins)
    flat = index[kept].astype(np.int64) * n_neurons + neuron[kept]
    occupied, spikes_in_bin = np.unique(flat, return_counts=True)
    spikes = np.zeros(n_bins * n_neurons, dtype=np.uint8)
    spikes[occupied] = 1
    return BinnedSpikes(
        spikes.reshape(n_bins, n_neurons),
        int(occupied.size),
        int((spikes_in_bin > 1).sum()),
        int((~kept).sum()),
    )


def _check_sorted(times_s: np.ndarray, neuron: np.ndarray, where: str) -> None:
    order = np.argsort(neuron, kind="stable")
    same = np.diff(neuron[order]) == 0
    back = (np.diff(times_s[order]) < 0) & same
    if back.any():
        raise RecordingError(
            f"{where} is not sorted within each neuron (first: neuron "
            f"{neuron[order][1:][back][0]}): the times may be in other units, or not belong to it"
        )


def recording_from_spike_times(
    times_s: Mapping[str, Sequence[float]] | Sequence[Sequence[float]],
    bin_s: float,
    *,
    start_s: float | None = None,
    stop_s: float | None = None,
    coordinates: np.ndarray | None = None,
    source: str = "spike times",
) -> Recording:
    """Make a Recording of one list of spike times for each neuron.

    Parameters
    ----------
    times_s : mapping from names to times, or sequence of times
        Spike times of each neuron in seconds, not decreasing; a neuron may have none.
    bin_s : float
        Width of a bin in seconds; ``rate_hz`` becomes 1 / bin_s.
    start_s, stop_s : float, optional
        Of the recording; see `bin_spike_times`.
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
        As `bin_spike_times`, naming the neuron; if there is no neuron.

    Examples
    --------
    >>> recording = recording_from_spike_times({"a": [0.1, 0.2, 1.4], "b": [0.7]}, bin_s=0.5,
    ...                                        stop_s=1.5)
    >>> recording.spikes.T.tolist(), recording.provenance["bins_with_several_spikes"]
    ([[1, 0, 1], [0, 1, 0]], 1)
    """
    names = tuple(map(str, times_s)) if isinstance(times_s, Mapping) else None
    lists = list(times_s.values()) if isinstance(times_s, Mapping) else list(times_s)
    if not lists:
        raise RecordingError(f"{source}: there are no neurons")
    arrays = []
    for i, values in enumerate(lists):
        array = np.asarray(values)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
            raise RecordingError(
                f"{source}: neuron {names[i] if names else i} has times of shape {array.shape}, "
                f"dtype {array.dtype}: expected a list of seconds"
            )
        arrays.append(array.astype(np.float64))
    times, neuron = np.concatenate(arrays), np.repeat(np.arange(len(arrays)), [*map(len, arrays)])
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
    bin_s: float,
    *,
    delimiter: str = ",",
    start_s: float | None = None,
    stop_s: float | None = None,
) -> Recording:
    r"""Import a list of spikes, a row each: the neuron's name and the time in seconds.

    Parameters
    ----------
    path : path of a text file
        Two columns; a first row whose second cell is no number holds their titles.
    bin_s : float
        Width of a bin in seconds.
    delimiter : str
        What separates the columns.
    start_s, stop_s : float, optional
        Of the recording; see `bin_spike_times`. Without `stop_s` it ends with the last spike.

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
        times_s: dict[str, list[float]] = {}
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
                if cells == [""]:
                    continue
                if len(cells) != 2 or not cells[0]:
                    raise RecordingError(
                        f"{path}: row {number} has {len(cells)} cells separated by {delimiter!r}, "
                        "or no name: expected the neuron's name and the time in seconds"
                    )
                try:
                    time_s = float(cells[1])
                except ValueError:
                    if number == 1:
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
