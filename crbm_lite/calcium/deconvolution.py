r"""From dF/F to binary spikes: deconvolution with the kernel of a calcium indicator.

A trace is modelled as :math:`y_t = b + \sum_{t'} k_{t-t'} s_{t'} + \sigma \xi_t`, where
:math:`s \ge 0` and the kernel of the calcium indicator is

.. math:: k_j \propto e^{-(j + 1/2)/(f \tau_d)} - e^{-(j + 1/2)/(f \tau_r)}, \qquad \max_j k_j = 1,

at f frames per second. (On average a spike falls in the middle of its frame.) Deconvolution finds

.. math:: \min_{s \ge 0,\, b} \; \tfrac12 \sum_t (y_t - b - (k * s)_t)^2
          + z \sigma \lVert k \rVert \sum_t s_t .

Sigma is estimated from the trace, and z is the size, in standard deviations of the noise, that a
lone event must exceed. `crbm_lite.calcium.solver` solves this.

**Stretches.** A recording begins while calcium is up, and so does every stretch after a gap. Each
stretch between two discontinuities therefore has its own baseline b and its own events before the
first frame, and all of these are part of the minimum. In the norm of k only those frames count that
lie before the end of the stretch. A spike in the first frame can hardly be told from one just
before, so most of those are missed. Where a stretch is not much longer than the decay, its
baseline can hardly be told from what older events left.

**Threshold.** A spike is an s above half of the neuron's own amplitude,
:math:`\sum s^2 / \sum s`, and above :math:`2 \sigma / \lVert k \rVert`, which is twice the error of
the size of a lone event. Sigma and the amplitude belong to the whole trace.

**BSD.** The paper used BSD (Tubiana et al. 2020). Both methods convolve spikes with a kernel that
rises and decays, both have an L2 misfit and an L1 penalty, both set hyperparameters from the noise
of each neuron, and both can infer the constants of the kernel. They differ in this: here s >= 0 is
made binary by a threshold afterwards, with a rule of our own, so that the problem is convex; the
noise is estimated once beforehand, where BSD sets its hyperparameters while it solves; b is part of
the minimum; and the penalty is z sigma ||k||.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crbm_lite.calcium.preprocessing import as_finite_traces
from crbm_lite.calcium.solver import solve_traces
from crbm_lite.checks.arguments import as_count, as_number, as_rate_hz
from crbm_lite.checks.arrays import as_discontinuities

__all__ = ["GCAMP6F", "GCAMP6S", "CalciumKernel", "Deconvolution", "deconvolve", "infer_kernel"]

_TILE = 256  # neurons solved at a time
_MAD_OF_GAUSSIAN = 0.6744897501960817  # median absolute deviation of a standard Gaussian


@dataclass(frozen=True)
class CalciumKernel:
    """Response of a calcium indicator to one spike.

    Parameters
    ----------
    rise_s, decay_s : float
        Its two time constants, 0 < rise_s < decay_s.

    Examples
    --------
    >>> GCAMP6S.response(rate_hz=2.5, n_frames=4).round(2)
    array([0.73, 1.  , 0.94, 0.85])
    """

    rise_s: float
    decay_s: float

    def __post_init__(self) -> None:
        for name in ("rise_s", "decay_s"):
            number = as_number(getattr(self, name), name, "a time constant in s", positive=True)
            object.__setattr__(self, name, number)
        if not self.rise_s < self.decay_s:
            raise ValueError(
                f"rise_s is {self.rise_s} and decay_s {self.decay_s}: give 0 < rise_s < decay_s"
            )

    def decays_per_frame(self, rate_hz: float) -> tuple[float, float]:
        """Return what a frame leaves of each exponential: (of the decay, of the rise)."""
        return math.exp(-1 / (self.decay_s * rate_hz)), math.exp(-1 / (self.rise_s * rate_hz))

    def response(self, rate_hz: float, n_frames: int | None = None) -> np.ndarray:
        """Return the kernel from the frame of the spike on, with peak 1.

        Parameters
        ----------
        rate_hz : float
        n_frames : int, optional
            Length of the result; by default until nothing is left.
        """
        n_full = math.ceil(20 * self.decay_s * rate_hz) + 2
        lag_s = (np.arange(max(n_full, n_frames or 0)) + 0.5) / rate_hz
        response = np.exp(-lag_s / self.decay_s) - np.exp(-lag_s / self.rise_s)
        return (response / response.max())[:n_frames]


#: The paper's constants of GCaMP6s and GCaMP6f.
GCAMP6S = CalciumKernel(rise_s=0.2, decay_s=3.55)
GCAMP6F = CalciumKernel(rise_s=0.15, decay_s=1.6)
_FRAMES_SHOW_RISE = 0.5  # frames in a rise, above which a kernel without one could win
_SPARSITY_OF_RISE = 3.0
_LEAST_DECAYS = 10  # in the longest stretch, for a decay to be found


@dataclass(frozen=True, eq=False, repr=False)
class Deconvolution:
    """What `deconvolve` made of the traces.

    Parameters
    ----------
    spikes : (T, N) uint8
        Binary spikes.
    events_dff : (T, N) float32
        The non-negative solution s: the peak response to what happened in a frame, in dF/F.
    baseline_dff : (S, N) float64
        b, one row per stretch between discontinuities.
    before_dff : (S, 2, N) float64
        Two events in the frames just before each stretch, which stand for all that came earlier.
        The second may be negative, where earlier events have finished to rise.
    noise_dff, amplitude_dff, threshold_dff : (N,) float64
        sigma, the amplitude sum s^2 / sum s, and what s had to exceed (more near the end of a
        stretch, where less of the response is seen).
    objective : float
        Sum over neurons of the minimum reached, each in units of its sigma^2.
    kernel : CalciumKernel
    rate_hz : float
    discontinuities : (S - 1,) int64
    """

    spikes: np.ndarray
    events_dff: np.ndarray
    baseline_dff: np.ndarray
    before_dff: np.ndarray
    noise_dff: np.ndarray
    amplitude_dff: np.ndarray
    threshold_dff: np.ndarray
    objective: float
    kernel: CalciumKernel
    rate_hz: float
    discontinuities: np.ndarray

    def __repr__(self) -> str:
        n_frames, n_neurons = self.spikes.shape
        return (
            f"Deconvolution({n_frames} frames x {n_neurons} neurons, rise {self.kernel.rise_s:g} "
            f"s, decay {self.kernel.decay_s:g} s, activity {self.spikes.mean():.3f})"
        )

    def reconstruction_dff(self, neuron: int) -> np.ndarray:
        """Return the noiseless trace of a neuron, b + k * s, (T,)."""
        from scipy.signal import fftconvolve

        response = self.kernel.response(self.rate_hz)
        parts = []
        for j, events in enumerate(np.split(self.events_dff[:, neuron], self.discontinuities)):
            events = np.concatenate([self.before_dff[j, :, neuron], events])
            parts.append(
                self.baseline_dff[j, neuron] + fftconvolve(events, response)[2 : len(events)]
            )
        return np.concatenate(parts)


def _noise_given_traces(traces: np.ndarray, discontinuities: np.ndarray) -> np.ndarray:
    """Robust standard deviation of the white noise of traces (N, T), from their differences."""
    steps = np.delete(np.diff(traces, axis=1), discontinuities - 1, axis=1)
    if not steps.shape[1]:
        raise ValueError(
            "discontinuities leaves no two frames together: give stretches of several frames"
        )
    steps -= np.median(steps, axis=1, keepdims=True)
    noise = np.median(np.abs(steps), axis=1) / (_MAD_OF_GAUSSIAN * math.sqrt(2))
    # Where most steps are equal (coarsely digitised traces) the median sees nothing.
    return np.where(noise > 0, noise, steps.std(axis=1) / math.sqrt(2))


def deconvolve(
    dff: np.ndarray,
    rate_hz: float,
    kernel: CalciumKernel = GCAMP6S,
    *,
    sparsity: float = 1.0,
    discontinuities: Sequence[int] | np.ndarray = (),
) -> Deconvolution:
    """Deconvolve calcium traces into binary spikes, by the equations of the module.

    Parameters
    ----------
    dff : (T, N) float
        Relative change of fluorescence, T >= 10.
    rate_hz : float
        Frames per second.
    kernel : CalciumKernel
        That of the indicator: GCAMP6S (default), GCAMP6F, or what `infer_kernel` found.
    sparsity : float
        z, the penalty in standard deviations of the noise, > 0; default 1.
    discontinuities : sequence of int
        Frames d such that time jumps between d - 1 and d, such as ``recording.discontinuities``;
        none by default.

    Returns
    -------
    Deconvolution

    Raises
    ------
    ValueError
        If the traces are not finite, too short or not (T, N), a number is not positive, or a
        discontinuity is no frame of the traces.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spikes = rng.random((500, 3)) < 0.05
    >>> trace = [np.convolve(v, GCAMP6F.response(2.5))[:500] for v in spikes.T]
    >>> dff = np.transpose(trace) + 0.02 * rng.standard_normal((500, 3))
    >>> found = deconvolve(dff, rate_hz=2.5, kernel=GCAMP6F)
    >>> bool((found.spikes[1:] == spikes[1:]).all())
    True
    """
    traces = as_finite_traces(dff, "dff", n_frames=10)
    rate_hz = as_rate_hz(rate_hz)
    sparsity = as_number(sparsity, "sparsity", "the penalty", positive=True)
    n_frames, n_neurons = traces.shape
    cuts = as_discontinuities(discontinuities, n_frames)
    bounds = np.concatenate([[0], cuts, [n_frames]])
    n_stretches = bounds.size - 1
    if not isinstance(kernel, CalciumKernel):
        raise ValueError(f"kernel is {kernel!r}: give a CalciumKernel, for example GCAMP6S")
    decay, rise = kernel.decays_per_frame(rate_hz)
    response = kernel.response(rate_hz)
    norm_given_seen = np.sqrt(np.cumsum(response**2))
    n_seen = np.concatenate([np.arange(n, 0, -1) for n in np.diff(bounds)])
    norm = norm_given_seen[np.minimum(n_seen, response.size) - 1]  # of what is seen of each event
    events_dff = np.empty((n_frames, n_neurons), dtype=np.float32)
    spikes = np.empty((n_frames, n_neurons), dtype=np.uint8)
    baseline_dff = np.empty((n_stretches, n_neurons))
    before_dff = np.empty((n_stretches, 2, n_neurons))
    noise_dff, amplitude_dff, threshold_dff = np.empty((3, n_neurons))
    objective = 0.0
    for start in range(0, n_neurons, _TILE):
        tile = slice(start, start + _TILE)
        y = np.array(traces[:, tile].T, dtype=np.float64, order="C")
        noise = _noise_given_traces(y, cuts)
        constant = noise == 0
        unit = np.where(constant, 1.0, noise)
        y /= unit[:, None]
        events, value = np.empty_like(y), np.empty(len(y))
        before, baseline = np.empty((len(y), n_stretches, 2)), np.empty((len(y), n_stretches))
        solve_traces(
            y, bounds, decay, rise, response[0], sparsity * norm_given_seen,
            events, before, baseline, value,
        )  # fmt: skip
        events[constant], before[constant] = 0.0, 0.0
        total = events.sum(axis=1)
        amplitude = (events**2).sum(axis=1) / np.where(total > 0, total, 1.0)
        half = 0.5 * amplitude
        spikes[:, tile] = (events > np.maximum(2.0 / norm, half[:, None])).T
        events_dff[:, tile] = (events * noise[:, None]).T
        baseline_dff[:, tile] = (baseline * unit[:, None]).T
        before_dff[..., tile] = np.moveaxis(before * noise[:, None, None], 0, -1)
        noise_dff[tile], amplitude_dff[tile] = noise, noise * amplitude
        threshold_dff[tile] = noise * np.maximum(2.0 / norm_given_seen[-1], half)
        objective += float(value[~constant].sum())
    return Deconvolution(
        spikes, events_dff, baseline_dff, before_dff, noise_dff, amplitude_dff, threshold_dff,
        objective, kernel, rate_hz, cuts,
    )  # fmt: skip


def infer_kernel(
    dff: np.ndarray,
    rate_hz: float,
    start: CalciumKernel = GCAMP6S,
    *,
    n_neurons: int = 50,
    discontinuities: Sequence[int] | np.ndarray = (),
) -> CalciumKernel:
    """Find the rise and decay time that many traces share, where the objective is smallest.

    A rise that is much shorter than a frame leaves no trace in the data, but the decay is found all
    the same. Where frames are shorter than two rises of ``start``, events cost three times as much
    in this objective as in that of `deconvolve`: else a kernel without a rise wins, since with it
    single events fit the noise.

    Parameters
    ----------
    dff : (T, N) float
    rate_hz : float
    start : CalciumKernel
        Where the search (Nelder-Mead over the logarithms) begins; GCAMP6S by default.
    n_neurons : int
        How many traces are used, at most; default 50. They are taken from weak to strong (ratio of
        standard deviation to noise) in equal steps of rank. In the strongest alone events pile up,
        which would give too long a decay.
    discontinuities : sequence of int
        As in `deconvolve`. Stretches should last 30 decays or more: each has a baseline of its own,
        which makes the decay of short ones too short (by a fifth at 7 decays).

    Returns
    -------
    CalciumKernel

    Raises
    ------
    ValueError
        Where `deconvolve` raises one, and if no trace varies.

    Warns
    -----
    UserWarning
        If the traces do not determine a decay: it is that of two frames or fewer, or no stretch
        lasts ten of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> events = rng.random(2000) < 0.05
    >>> trace = np.convolve(events, GCAMP6F.response(2.5))[:2000] + 0.05 * rng.standard_normal(2000)
    >>> kernel = infer_kernel(trace[:, None], rate_hz=2.5)
    >>> 1.4 < kernel.decay_s < 1.8
    True
    """
    from scipy.optimize import minimize

    traces = as_finite_traces(dff, "dff", n_frames=10)
    rate_hz = as_rate_hz(rate_hz)
    cuts = as_discontinuities(discontinuities, len(traces))
    if not isinstance(start, CalciumKernel):
        raise ValueError(f"start is {start!r}: give a CalciumKernel, for example GCAMP6S")
    n_neurons = as_count(n_neurons, "n_neurons")
    noise = _noise_given_traces(np.array(traces.T, dtype=np.float64), cuts)
    varying = np.flatnonzero(noise > 0)
    if not varying.size:
        raise ValueError("dff is constant in every neuron: give traces that vary")
    signal = traces[:, varying].std(axis=0) / noise[varying]
    ranked = varying[np.argsort(signal, kind="stable")]
    rank = np.linspace(0, ranked.size - 1, min(n_neurons, ranked.size)).round().astype(int)
    used = traces[:, ranked[rank]]
    shortest_s = 0.1 / rate_hz
    sparsity = _SPARSITY_OF_RISE if rate_hz * start.rise_s > _FRAMES_SHOW_RISE else 1.0

    def kernel_given(logs: np.ndarray) -> CalciumKernel:
        decay_s = float(np.clip(np.exp(logs[1]), 2 * shortest_s, used.shape[0] / rate_hz))
        return CalciumKernel(float(np.clip(np.exp(logs[0]), shortest_s, 0.9 * decay_s)), decay_s)

    def objective_given(logs: np.ndarray) -> float:
        found = deconvolve(
            used, rate_hz, kernel_given(logs), discontinuities=cuts, sparsity=sparsity
        )
        return found.objective / used.size

    result = minimize(
        objective_given,
        np.log([start.rise_s, start.decay_s]),
        method="Nelder-Mead",
        options={"xatol": 0.02, "fatol": 1e-5, "maxfev": 80},
    )
    kernel = kernel_given(result.x)
    longest_s = np.diff([0, *cuts, len(traces)]).max() / rate_hz
    if kernel.decay_s * rate_hz <= 2 or longest_s < _LEAST_DECAYS * kernel.decay_s:
        warnings.warn(
            f"the traces do not determine how calcium decays: {kernel.decay_s:.2g} s was found "
            f"with frames of {1 / rate_hz:.2g} s in stretches of at most {longest_s:.3g} s; give "
            "the kernel of the indicator, such as GCAMP6S", UserWarning, stacklevel=2,
        )  # fmt: skip
    return kernel
