r"""Spike times to bins: 1 where a neuron has at least one spike.

Binning: :math:`v_i(t) = 1` if neuron i has at least one spike in
:math:`[t_0 + t\,\Delta, t_0 + (t + 1)\,\Delta)`, with complete bins only. What binarising loses,
bins with several spikes, is counted and reported in the provenance.

A spike on the edge of two bins belongs to the later one. Times in seconds are rounded: 0.15 and
0.05 are not exact, and 0.15 / 0.05 comes out below 3. So a time that is within its own rounding, or
within a nanosecond, of an edge lies on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_array, as_number
from crbm_lite.files.errors import RecordingError

__all__ = ["BinnedSpikes", "as_bin_s", "bin_spike_times"]

_WIDTHS_S = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # that may be recommended
_FEW = 0.05  # of the bins with spikes, those that may hold several

# Bins of all neurons for each spike, and in all: a damaged time must not fill the memory.
_MOST_PER_SPIKE, _MOST_NUMBERS = 10**5, 2**34
_SAME_S = 1e-9  # sums of many steps are so far off; no clock of spikes is finer


def as_bin_s(bin_s: object) -> float:
    """Return the width of a bin as a float; ValueError unless it is positive and finite."""
    return as_number(bin_s, "bin_s", "the width of a bin in seconds", positive=True)


def _missing_width(times_s: np.ndarray, neuron: np.ndarray, where: str) -> RecordingError:
    """Ask for the width of a bin, and recommend the widest that loses little."""
    order = np.lexsort((times_s, neuron))
    neuron = neuron[order]
    for width_s in _WIDTHS_S:
        index = np.floor(times_s[order] / width_s)
        last = np.append((np.diff(index) != 0) | (np.diff(neuron) != 0), True)
        several = float(np.mean(np.diff(np.flatnonzero(last), prepend=-1) > 1))
        if several <= _FEW:
            break
    return RecordingError(
        f"{where}: spike times are counted in bins: pass bin_s=..., in seconds. In bins of bin_s = "
        f"{width_s:g} s, {several:.1%} of those with spikes would hold several, which 0 and 1 "
        "cannot tell apart"
    )


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
    bin_s: float | None,
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
    bin_s : float or None
        Width of a bin in seconds; None is an error that recommends one.
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
    bin_s = None if bin_s is None else as_bin_s(bin_s)
    start_s = None if start_s is None else as_number(start_s, "start_s", "seconds")
    stop_s = None if stop_s is None else as_number(stop_s, "stop_s", "seconds")
    times_s = as_array(times_s, where)
    rounding = np.finfo(times_s.dtype).eps if times_s.dtype.kind == "f" else 0.0
    if times_s.size == 0:
        raise RecordingError(f"{where} is empty: there are no spikes")
    if times_s.ndim != 1 or times_s.dtype.kind not in "iuf":
        raise RecordingError(f"{where} has shape {times_s.shape}, dtype {times_s.dtype}: give "
                             "times in seconds")  # fmt: skip
    neuron, n_neurons = _whose(neuron, n_neurons, times_s.size)
    times_s = times_s.astype(np.float64)
    if not np.isfinite(times_s).all():
        raise RecordingError(f"{where} holds times that are NaN or infinity")
    if start_s is None and times_s.min() < 0:
        raise RecordingError(
            f"{where} holds negative times (down to {times_s.min():g} s): say where the first bin "
            "begins with start_s=..., or correct them"
        )
    _check_sorted(times_s, neuron, where)
    if bin_s is None:
        raise _missing_width(times_s, neuron, where)
    first_s = 0.0 if start_s is None else start_s
    last_s = float(times_s.max()) if stop_s is None else stop_s
    n_bins = float(_bins(np.float64(last_s), first_s, bin_s, rounding))
    most = min(_MOST_NUMBERS, _MOST_PER_SPIKE * times_s.size) // n_neurons
    if not 1 <= n_bins <= max(most, 1):
        raise RecordingError(
            f"{where}: {last_s - first_s:g} s from start_s to stop_s in bins of bin_s = {bin_s:g} "
            f"s are {n_bins:.3g} bins of {n_neurons} neurons with {times_s.size} spikes: choose "
            "another bin_s=..., or correct the times"
        )
    n_bins = int(n_bins)
    index = _bins(times_s, first_s, bin_s, rounding)
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


def _bins(times_s: np.ndarray, first_s: float, bin_s: float, rounding: float) -> np.ndarray:
    """Return the bin of each time, as a float; a time on an edge belongs to the later bin."""
    place = (times_s - first_s) / bin_s
    edge = np.rint(place)
    off_s = _SAME_S + 2 * max(rounding, 2**-52) * (np.abs(times_s) + abs(first_s))
    on_edge = np.abs(place - edge) <= np.minimum(off_s / bin_s, 0.25)
    return np.where(on_edge, edge, np.floor(place))


def _whose(neuron: object, n_neurons: object, n_spikes: int) -> tuple[np.ndarray, int]:
    """Check whose spikes they are."""
    number = as_array(n_neurons, "n_neurons")
    if number.ndim or number.dtype.kind not in "iu" or number < 1:
        raise ValueError(f"n_neurons is {n_neurons!r}: give the number of neurons")
    index = as_array(neuron, "neuron")
    if index.shape != (n_spikes,) or index.dtype.kind not in "iu":
        raise ValueError(
            f"neuron has shape {index.shape}, dtype {index.dtype}: give the neuron of each of "
            f"{n_spikes} spikes, a whole number"
        )
    if index.min() < 0 or index.max() >= number:
        raise ValueError(f"neuron holds {index.min()}..{index.max()}: give 0..{number - 1}")
    return index.astype(np.int64), int(number)


def _check_sorted(times_s: np.ndarray, neuron: np.ndarray, where: str) -> None:
    order = np.argsort(neuron, kind="stable")
    same = np.diff(neuron[order]) == 0
    back = (np.diff(times_s[order]) < 0) & same
    if back.any():
        raise RecordingError(
            f"{where} is not sorted within each neuron (first: neuron "
            f"{neuron[order][1:][back][0]}): the times may be in other units, or not belong to it"
        )
