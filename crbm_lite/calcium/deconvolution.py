r"""From dF/F to binary spikes: deconvolution with the kernel of a calcium indicator.

A trace is modelled as :math:`y_t = b + \sum_{t'} k_{t-t'} s_{t'} + \sigma \xi_t` with
:math:`s \ge 0` and the kernel of a calcium indicator

.. math:: k_j \propto e^{-(j + 1/2)/(f \tau_d)} - e^{-(j + 1/2)/(f \tau_r)}, \qquad \max_j k_j = 1,

at f frames a second (a spike falls, on average, in the middle of its frame). Deconvolution is

.. math:: \min_{s \ge 0,\, b} \; \tfrac12 \sum_t (y_t - b - (k * s)_t)^2
          + z \sigma \lVert k \rVert \sum_t s_t ,

with sigma estimated from the trace: z is the size, in standard deviations of the noise, that a lone
event must exceed (solved by `crbm_lite.calcium.solver`).

An s above half of the neuron's own amplitude, :math:`\sum s^2 / \sum s`, and above
:math:`2 \sigma / \lVert k \rVert`, twice the error of a lone event's size, is a spike.

Beside BSD (Tubiana et al. 2020), which the paper used. Alike: binary spikes convolved with a kernel
that rises and decays, an L2 misfit, an L1 penalty, hyperparameters set from each neuron's noise,
kernel constants that can be inferred. What is minimised over is s >= 0, a convex problem, and the
threshold makes it binary. Different: BSD sets its hyperparameters online, while it solves; here the
noise is estimated once beforehand, b is part of the minimum, the penalty is z sigma ||k||, and the
rule of the threshold is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crbm_lite.calcium.preprocessing import as_traces, check_positive
from crbm_lite.calcium.solver import solve_traces

__all__ = [
    "GCAMP6F",
    "GCAMP6S",
    "CalciumKernel",
    "Deconvolution",
    "deconvolve",
    "infer_kernel",
]

_TILE = 256  # neurons solved at a time
_MAD_OF_GAUSSIAN = 0.6744897501960817


@dataclass(frozen=True)
class CalciumKernel:
    """Response of a calcium indicator to one spike: rise and decay time, 0 < rise_s < decay_s.

    Examples
    --------
    >>> GCAMP6S.response(rate_hz=2.5, n_frames=4).round(2)
    array([0.73, 1.  , 0.94, 0.85])
    """

    rise_s: float
    decay_s: float

    def __post_init__(self) -> None:
        if not 0 < self.rise_s < self.decay_s < math.inf:
            raise ValueError(
                f"rise_s is {self.rise_s} and decay_s {self.decay_s}: expected 0 < rise_s < decay_s"
            )

    def decays_per_frame(self, rate_hz: float) -> tuple[float, float]:
        """Return what is left of each exponential after a frame: (of the decay, of the rise)."""
        return math.exp(-1 / (self.decay_s * rate_hz)), math.exp(-1 / (self.rise_s * rate_hz))

    def response(self, rate_hz: float, n_frames: int | None = None) -> np.ndarray:
        """(n_frames,) the kernel from the frame of the spike on, peak 1; until it has gone."""
        n_full = math.ceil(20 * self.decay_s * rate_hz) + 2
        lag_s = (np.arange(max(n_full, n_frames or 0)) + 0.5) / rate_hz
        response = np.exp(-lag_s / self.decay_s) - np.exp(-lag_s / self.rise_s)
        return (response / response.max())[:n_frames]


#: The paper's constants of GCaMP6s and GCaMP6f.
GCAMP6S = CalciumKernel(rise_s=0.2, decay_s=3.55)
GCAMP6F = CalciumKernel(rise_s=0.15, decay_s=1.6)


@dataclass(frozen=True, eq=False, repr=False)
class Deconvolution:
    """What `deconvolve` made of the traces.

    Parameters
    ----------
    spikes : (T, N) uint8
        Binary spikes.
    events_dff : (T, N) float32
        The non-negative solution s: peak response to what happened in a frame, in dF/F.
    baseline_dff, noise_dff, amplitude_dff, threshold_dff : (N,) float64
        b, sigma, the amplitude sum s^2 / sum s, and what s had to exceed.
    objective : float
        Sum over neurons of the minimum reached, each in units of its sigma^2.
    kernel : CalciumKernel
    rate_hz : float
    """

    spikes: np.ndarray
    events_dff: np.ndarray
    baseline_dff: np.ndarray
    noise_dff: np.ndarray
    amplitude_dff: np.ndarray
    threshold_dff: np.ndarray
    objective: float
    kernel: CalciumKernel
    rate_hz: float

    def __repr__(self) -> str:
        n_frames, n_neurons = self.spikes.shape
        return (
            f"Deconvolution({n_frames} frames x {n_neurons} neurons, rise {self.kernel.rise_s:g} "
            f"s, decay {self.kernel.decay_s:g} s, activity {self.spikes.mean():.3f})"
        )

    def reconstruction_dff(self, neuron: int) -> np.ndarray:
        """(T,) the noiseless trace of a neuron, b + k * s."""
        from scipy.signal import fftconvolve

        events = self.events_dff[:, neuron].astype(np.float64)
        response = self.kernel.response(self.rate_hz, len(events))
        return self.baseline_dff[neuron] + fftconvolve(events, response)[: len(events)]


def _noise_given_traces(traces: np.ndarray) -> np.ndarray:
    """Robust standard deviation of the white noise of traces (N, T), from their differences."""
    steps = np.diff(traces, axis=1)
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
) -> Deconvolution:
    """Deconvolve calcium traces into binary spikes (the module's equations).

    Parameters
    ----------
    dff : (T, N) float
        Relative change of fluorescence, T >= 10.
    rate_hz : float
        Frames per second.
    kernel : CalciumKernel
        The indicator's, GCAMP6S or GCAMP6F, or what `infer_kernel` found.
    sparsity : float
        z, the penalty in standard deviations of the noise, > 0.

    Returns
    -------
    Deconvolution

    Raises
    ------
    ValueError
        If the traces are not finite, too short or not (T, N), or a number is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spikes = rng.random((500, 3)) < 0.05
    >>> trace = [np.convolve(v, GCAMP6F.response(2.5))[:500] for v in spikes.T]
    >>> dff = np.transpose(trace) + 0.02 * rng.standard_normal((500, 3))
    >>> found = deconvolve(dff, rate_hz=2.5, kernel=GCAMP6F)
    >>> bool((found.spikes == spikes).all())
    True
    """
    traces = as_traces(dff, "dff", n_frames=10)
    check_positive(rate_hz, "rate_hz")
    check_positive(sparsity, "sparsity")
    n_frames, n_neurons = traces.shape
    decay, rise = kernel.decays_per_frame(rate_hz)
    response = kernel.response(rate_hz)
    norm = float(np.linalg.norm(response))
    gain = response[0]
    events_dff = np.empty((n_frames, n_neurons), dtype=np.float32)
    spikes = np.empty((n_frames, n_neurons), dtype=np.uint8)
    per_neuron = np.zeros((4, n_neurons))
    objective = 0.0
    for start in range(0, n_neurons, _TILE):
        tile = slice(start, start + _TILE)
        y = np.array(traces[:, tile].T, dtype=np.float64, order="C")
        noise = _noise_given_traces(y)
        constant = noise == 0
        offset = y.mean(axis=1)
        y -= offset[:, None]
        y /= np.where(constant, 1.0, noise)[:, None]
        events, baseline, value = np.empty_like(y), np.empty(len(y)), np.empty(len(y))
        solve_traces(y, decay, rise, gain, sparsity * norm, events, baseline, value)
        events[constant] = 0.0
        total = events.sum(axis=1)
        amplitude = (events**2).sum(axis=1) / np.where(total > 0, total, 1.0)
        threshold = np.maximum(2.0 / norm, 0.5 * amplitude)
        spikes[:, tile] = (events > threshold[:, None]).T
        events_dff[:, tile] = (events * noise[:, None]).T
        per_neuron[:, tile] = (
            offset + noise * baseline, noise, noise * amplitude, noise * threshold
        )  # fmt: skip
        objective += float(value[~constant].sum())
    return Deconvolution(spikes, events_dff, *per_neuron, objective, kernel, float(rate_hz))


def infer_kernel(
    dff: np.ndarray,
    rate_hz: float,
    start: CalciumKernel = GCAMP6S,
    *,
    n_neurons: int = 50,
) -> CalciumKernel:
    """Find the rise and decay time common to many traces: the minimum of the objective.

    A rise much shorter than a frame leaves no trace in the data; the decay is found all the same.

    Parameters
    ----------
    dff : (T, N) float
    rate_hz : float
    start : CalciumKernel
        Where the search (Nelder-Mead over the logarithms) begins.
    n_neurons : int
        Only so many traces are used, from weak to strong (ratio of standard deviation to noise) in
        equal steps of rank: the strongest alone, whose events pile up, would give too long a decay.

    Returns
    -------
    CalciumKernel

    Raises
    ------
    ValueError
        As `deconvolve`; if no trace varies.

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

    traces = as_traces(dff, "dff", n_frames=10)
    check_positive(rate_hz, "rate_hz")
    if n_neurons < 1:
        raise ValueError(f"n_neurons is {n_neurons}: give at least 1")
    noise = _noise_given_traces(np.array(traces.T, dtype=np.float64))
    varying = np.flatnonzero(noise > 0)
    if not varying.size:
        raise ValueError("dff is constant in every neuron: there is no kernel to find")
    signal = traces[:, varying].std(axis=0) / noise[varying]
    ranked = varying[np.argsort(signal, kind="stable")]
    rank = np.linspace(0, ranked.size - 1, min(n_neurons, ranked.size)).round().astype(int)
    used = traces[:, ranked[rank]]
    shortest_s = 0.1 / rate_hz

    def kernel_given(logs: np.ndarray) -> CalciumKernel:
        decay_s = float(np.clip(np.exp(logs[1]), 2 * shortest_s, used.shape[0] / rate_hz))
        return CalciumKernel(float(np.clip(np.exp(logs[0]), shortest_s, 0.9 * decay_s)), decay_s)

    result = minimize(
        lambda logs: deconvolve(used, rate_hz, kernel_given(logs)).objective / used.size,
        np.log([start.rise_s, start.decay_s]),
        method="Nelder-Mead",
        options={"xatol": 0.02, "fatol": 1e-5, "maxfev": 80},
    )
    return kernel_given(result.x)
