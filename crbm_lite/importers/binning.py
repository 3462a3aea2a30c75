r"""Spike times to bins: 1 where a neuron has at least one spike.

Binning: :math:`v_i(t) = 1` if neuron i has at least one spike in
:math:`[t_0 + t\,\Delta, t_0 + (t + 1)\,\Delta)`, with complete bins only. What binarising loses,
bins with several spikes, is counted and reported in the provenance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_number
from crbm_lite.files.hdf5 import RecordingError

__all__ = ["BinnedSpikes", "as_bin_s", "bin_spike_times"]

# Bins of all neurons for each spike, and in all: a damaged time must not fill the memory.
_MOST_PER_SPIKE, _MOST_NUMBERS = 10**5, 2**34


def as_bin_s(bin_s: object) -> float:
    """Return the width of a bin as a float; ValueError unless it is positive and finite."""
    return as_number(bin_s, "bin_s", "the width of a bin in seconds", positive=True)


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
    bin_s = as_bin_s(bin_s)
    start_s = None if start_s is None else as_number(start_s, "start_s", "seconds")
    stop_s = None if stop_s is None else as_number(stop_s, "stop_s", "seconds")
    times_s = np.asarray(times_s)
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
    first_s = 0.0 if start_s is None else start_s
    duration_s = (float(times_s.max()) if stop_s is None else stop_s) - first_s
    n_bins = duration_s / bin_s + 1e-9
    most = min(_MOST_NUMBERS, _MOST_PER_SPIKE * times_s.size) // n_neurons
    if not 1 <= n_bins <= max(most, 1):
        raise RecordingError(
            f"{where}: {duration_s:g} s from start_s to stop_s in bins of bin_s = {bin_s:g} s are "
            f"{n_bins:.3g} bins of {n_neurons} neurons with {times_s.size} spikes: choose another "
            "bin_s=..., or correct the times"
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


def _whose(neuron: object, n_neurons: object, n_spikes: int) -> tuple[np.ndarray, int]:
    """Check whose spikes they are."""
    number = np.asarray(n_neurons)
    if number.ndim or number.dtype.kind not in "iu" or number < 1:
        raise ValueError(f"n_neurons is {n_neurons!r}: give the number of neurons")
    index = np.asarray(neuron)
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
