r"""From what a file holds to 0 and 1, in the way that the user names and never silently.

Values that are 0 and 1 already are taken as they are. Everything else needs one of three decisions
of the user, and the provenance says which:

- a threshold: :math:`v_i(t) = 1` if :math:`x_i(t) > \theta_i`;
- a fraction f of each neuron's own amplitude, for deconvolved events :math:`s \ge 0`:
  :math:`v_i(t) = 1` if :math:`s_i(t) > f \sum_t s_i^2 / \sum_t s_i` (the amplitude that
  `crbm_lite.calcium.deconvolution` uses, with f = 1/2);
- the kernel of a calcium indicator, for dF/F: `crbm_lite.calcium.deconvolution.deconvolve`. It may
  be the recording's own, as `crbm_lite.calcium.deconvolution.infer_kernel` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.checks.arguments import as_array, as_flag, as_number, as_numbers
from crbm_lite.files.errors import RecordingError

if TYPE_CHECKING:
    from crbm_lite.calcium.deconvolution import CalciumKernel

__all__ = ["INFER", "Binarised", "ToBinary", "binarise", "neither_0_nor_1"]

INFER = "infer"  # the kernel that a recording's own traces have
_SLIGHTLY = 0.1  # of the highest event


@dataclass(frozen=True, eq=False, kw_only=True)
class ToBinary:
    """How activity that is not 0/1 becomes so: in one of three ways, or not at all.

    Parameters
    ----------
    threshold : float or (N,) float, optional
        A neuron is active where its value exceeds this number, or its own number. Use 0 for spike
        counts.
    amplitude_fraction : float, optional
        For events that another tool has deconvolved, in arbitrary units: a neuron is active where
        its event exceeds this fraction of its own amplitude, such as 0.5.
    kernel : CalciumKernel or "infer", optional
        For dF/F, which is deconvolved with the response of the indicator, such as
        `crbm_lite.calcium.deconvolution.GCAMP6S`, and kept beside the spikes. With "infer" the rise
        and the decay are those that the traces themselves show.
    clip_negative : bool
        Whether slightly negative events become 0, for `amplitude_fraction` (default False).
    """

    threshold: float | np.ndarray | None = None
    amplitude_fraction: float | None = None
    kernel: CalciumKernel | str | None = None
    clip_negative: bool = False

    def __post_init__(self) -> None:
        as_flag(self.clip_negative, "clip_negative")


@dataclass(frozen=True, eq=False)
class Binarised:
    """Binary spikes and how they came about.

    Parameters
    ----------
    spikes : (T, N) array of 0 and 1
    dff : (T, N) float, optional
        The traces, where they were deconvolved.
    note : str
        For the provenance.
    """

    spikes: np.ndarray
    dff: np.ndarray | None
    note: str


def binarise(
    values: np.ndarray,
    where: str,
    rate_hz: float,
    way: ToBinary,
    discontinuities: np.ndarray | tuple = (),
) -> Binarised:
    """Binarise the activity found in a file, in the one way that the user names.

    Parameters
    ----------
    values : (T, N) numbers
    where : str
        File and key, for error messages.
    rate_hz : float
        Frames per second.
    way : ToBinary
    discontinuities : sequence of int
        Frames before which time jumps; each stretch between them is deconvolved on its own.

    Returns
    -------
    Binarised

    Raises
    ------
    ValueError
        If more than one way is named, or a number is not what it must be.
    RecordingError
        A ValueError naming `where`: no way is named and the values are not 0 and 1; they hold NaN
        or infinity; they are negative and cannot be events.

    Examples
    --------
    >>> values = np.array([[0.0, 2.0], [1.5, 0.1]])
    >>> binarise(values, "a.npz: key x", 2.5, ToBinary(threshold=1.0)).spikes
    array([[0, 1],
           [1, 0]], dtype=uint8)
    """
    named = [name for name in (*_WAYS, "kernel") if getattr(way, name) is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} are given: binarise in one way")
    if way.clip_negative and named != ["amplitude_fraction"]:
        raise ValueError("clip_negative is True: give amplitude_fraction, which it is for")
    values = as_array(values, where)
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "biuf":
        raise RecordingError(
            f"{where} has shape {values.shape}, dtype {values.dtype}: give numbers in two "
            "dimensions, frames and neurons"
        )
    if values.dtype.kind == "f":
        _check_finite(values, where)
    if not named:
        _check_binary(values, where)
        return Binarised(values.astype(np.uint8, copy=False), None, "binary in the file")
    if way.clip_negative:
        values = _clipped(values, where)
    if way.kernel is not None:
        return _deconvolved(values, where, rate_hz, way.kernel, discontinuities)
    return _WAYS[named[0]](values, where, getattr(way, named[0]))


def _check_finite(values: np.ndarray, where: str) -> None:
    """Raise if values are missing, and say whether whole frames are, or neurons."""
    finite = np.isfinite(values)
    if finite.all():
        return
    frames = ~finite.any(axis=1)
    neurons = ~finite[~frames].all(axis=0)
    places = []
    if frames.any():
        places.append(f"all neurons of {frames.sum()} of {frames.size} frames ({_runs(frames)})")
    if neurons.any():
        places.append(f"{neurons.sum()} of {neurons.size} neurons ({_runs(neurons)})")
    raise RecordingError(
        f"{where} holds NaN or infinity in {' and in '.join(places)}: leave them out or fill the "
        "gaps before"
    )


def _runs(mask: np.ndarray) -> str:
    """Name the first runs of True: 0 to 2, 7, 9 to 11, ..."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    runs = [f"{a} to {b - 1}" if b - a > 1 else f"{a}" for a, b in edges[:3]]
    return ", ".join(runs) + (", ..." if len(edges) > 3 else "")


def _clipped(values: np.ndarray, where: str) -> np.ndarray:
    lowest, highest = float(values.min()), float(values.max())
    if lowest < -_SLIGHTLY * highest:
        raise RecordingError(
            f"{where} holds values from {lowest:g} to {highest:g}: clip_negative is for events "
            f"that are slightly negative, at most {_SLIGHTLY:.0%} of the highest; traces need a "
            "threshold or a kernel"
        )
    return np.maximum(values, 0)


def neither_0_nor_1(values: np.ndarray) -> np.ndarray | None:
    """Find the first values that are neither 0 nor 1; None if there are none.

    Examples
    --------
    >>> neither_0_nor_1(np.array([[0.0, 1.0], [0.5, 2.0]]))
    array([0.5, 2. ])
    """
    rows = max(1, 2**22 // max(values.shape[1], 1))  # tiles: no float or bool copy of the whole
    tiles = (values[start : start + rows] for start in range(0, len(values), rows))
    return next((x[(x != 0) & (x != 1)] for x in tiles if ((x != 0) & (x != 1)).any()), None)


def _check_binary(values: np.ndarray, where: str) -> None:
    other = neither_0_nor_1(values)
    if other is None:
        return
    whole = values.dtype.kind in "iu" or bool((values == np.round(values)).all())
    raise RecordingError(
        f"{where} holds {other[0]:g} ({values.min():g} to {values.max():g}), not only 0 "
        "and 1, and is never binarised silently: "
        + ("for spike counts pass threshold=0; " if whole and values.min() >= 0 else "")
        + (
            "for deconvolved events pass amplitude_fraction=0.5 or a threshold; "
            if values.min() >= 0
            else ""
        )
        + "for dF/F pass kernel='infer', or that of your indicator, such as "
        "crbm_lite.calcium.deconvolution.GCAMP6S"
    )


def _above_threshold(values: np.ndarray, where: str, threshold: object):
    limit = as_numbers(threshold, "threshold")
    if limit.shape not in ((), values.shape[1:]) or not np.isfinite(limit).all():
        raise ValueError(
            f"threshold has shape {limit.shape}: give one finite number, or one for each of "
            f"the {values.shape[1]} neurons"
        )
    note = f"above threshold {limit:g}" if limit.ndim == 0 else "above a threshold per neuron"
    return Binarised((values > limit).view(np.uint8), None, note)


def _above_own_amplitude(values: np.ndarray, where: str, fraction: object):
    share = "the share of a neuron's amplitude"
    fraction = as_number(fraction, "amplitude_fraction", share, positive=True)
    if values.min() < 0:
        raise RecordingError(
            f"{where} holds {values.min():g}: amplitude_fraction is for deconvolved events, which "
            "are not negative; traces need a threshold or a kernel, and events that are slightly "
            "negative clip_negative=True"
        )
    with np.errstate(over="ignore"):  # an error below
        total = values.sum(axis=0, dtype=np.float64)
        power = np.einsum("tn,tn->n", values, values, dtype=np.float64)
    if not np.isfinite(power).all():
        raise RecordingError(f"{where} holds {values.max():g}: too large for events, divide it")
    limit = fraction * power / np.where(total > 0, total, 1.0)
    note = f"above {fraction:g} of the neuron's own amplitude"
    return Binarised((values > limit).view(np.uint8), None, note)


def _deconvolved(
    values: np.ndarray,
    where: str,
    rate_hz: float,
    kernel: object,
    discontinuities: np.ndarray | tuple,
) -> Binarised:
    from crbm_lite.calcium.deconvolution import CalciumKernel, deconvolve, infer_kernel

    own = isinstance(kernel, str) and kernel == INFER
    if not (own or isinstance(kernel, CalciumKernel)):
        raise ValueError(
            f"kernel is {kernel!r}: give a CalciumKernel, for example GCAMP6S, or {INFER!r}"
        )
    dff = values.astype(np.float32, copy=False)
    try:
        if own:
            kernel = infer_kernel(dff, rate_hz, discontinuities=discontinuities)
        spikes = deconvolve(dff, rate_hz, kernel, discontinuities=discontinuities).spikes
    except ValueError as error:
        raise RecordingError(f"{where}: {error}") from error
    times = f"rise {kernel.rise_s:g} s, decay {kernel.decay_s:g} s"
    note = f"deconvolved, {'its own kernel: ' if own else ''}{times}"
    return Binarised(spikes, dff, note)


_WAYS = {
    "threshold": _above_threshold,
    "amplitude_fraction": _above_own_amplitude,
}
