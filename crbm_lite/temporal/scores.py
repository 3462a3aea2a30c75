r"""How much the past tells: likelihood per frame beyond the cRBM, and covariances at a lag.

.. math::

    \log P(v_t | \mathrm{past}) - \log P_{cRBM}(v_t) = \sum_\mu [\Gamma_\mu(I_\mu + c_\mu)
    - \Gamma_\mu(I_\mu)] - \log \frac{Z(c)}{Z(0)},

so that no absolute log Z is asked for. Z(c)/Z(0) comes from importance weights where the effective
sample is large enough and from annealing elsewhere. Where all parameters were trained, the
difference of the two undriven models is added, each from `crbm_lite.validation.frame_likelihood`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crbm_lite.checks.arguments import as_count, as_generator, as_traces
from crbm_lite.recordings.recording import Recording, as_recording
from crbm_lite.temporal.annealing import annealed_log_ratio
from crbm_lite.temporal.equilibrium import draw_equilibrium, tilt
from crbm_lite.temporal.temporal_crbm import TemporalCRBM
from crbm_lite.temporal.windows import cut_windows
from crbm_lite.validation.frame_likelihood import log_likelihood

__all__ = [
    "LikelihoodGain",
    "block_interval",
    "lagged_covariances",
    "likelihood_gain",
    "scored_frames",
]

_WARM_UP = 5  # frames after a jump of time, whose past the model hardly knows
_N_BOOTSTRAP = 2000


@dataclass(frozen=True, eq=False)
class LikelihoodGain:
    """log P(v_t | past) - log P_cRBM(v_t), in nats per frame.

    Attributes
    ----------
    per_frame : (T,) float64
        NaN in the first frames after a jump of time, which do not count.
    mean : float
    interval : (float, float)
        95 %, from resampled blocks of frames.
    gap : float
        Backward minus forward annealing, averaged over all frames: the mean is known to half of it.
    annealed_share : float
        The share of the frames that needed annealing.
    """

    per_frame: np.ndarray = field(repr=False)
    mean: float
    interval: tuple[float, float]
    gap: float
    annealed_share: float


def likelihood_gain(
    temporal: TemporalCRBM,
    recording: Recording,
    *,
    block: int = 20,
    n_temperatures: int = 50,
    n_replicas: int = 4,
    random_state: int | np.random.Generator | None = None,
) -> LikelihoodGain:
    """Compute how much likelier frames are given their past than under the cRBM alone.

    Parameters
    ----------
    temporal : TemporalCRBM
    recording : Recording
        Frames that it was not trained on, of the same rate and neurons.
    block : int, default 20
        Frames of a block of the bootstrap: longer than what is correlated.
    n_temperatures, n_replicas : int, default 50 and 4
        As in `crbm_lite.temporal.annealing.annealed_log_ratio`.
    random_state : int, numpy.random.Generator or None

    Raises
    ------
    ValueError
        If the recording has another frame rate or other neurons, or too few frames in a row, or
        a number is below 1.
    LikelihoodRefused
        If all parameters were trained and the two models cannot be compared without a drive.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> model = CRBM.from_parameters(4 * np.eye(2), [-2, -2], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> alternating = Recording(np.tile([[1, 0], [0, 1]], (50, 1)), rate_hz=2.0)
    >>> temporal = TemporalCRBM(model, n_updates=100, random_state=0, progress=False)
    >>> likelihood_gain(temporal.fit(alternating), alternating, random_state=0).mean > 0.5
    True
    """
    block = as_count(block, "block")
    n_temperatures = as_count(n_temperatures, "n_temperatures")
    n_replicas = as_count(n_replicas, "n_replicas")
    rng = as_generator(random_state)
    found = temporal.filter(recording)
    model = temporal.without_past()
    scored = scored_frames(recording)
    inputs, drive = model.hidden_input(recording)[scored], found.drive[scored]
    sample = draw_equilibrium(model, temporal.n_samples, rng)
    log_ratio, share = np.empty((2, len(scored)))
    for some in range(0, len(scored), 1000):  # rows of weights together
        part = tilt(drive[some : some + 1000], sample.h)
        log_ratio[some : some + 1000] = part.log_ratio
        share[some : some + 1000] = part.effective_share
    far = np.flatnonzero(share < temporal.min_effective_share)
    gap = 0.0
    if far.size:
        forward, backward = annealed_log_ratio(
            model, drive[far], sample, rng, n_temperatures, n_replicas
        )
        log_ratio[far] = 0.5 * (forward + backward)
        gap = float((backward - forward).sum() / len(scored))
    cumulant = model.units.cumulant
    gain = (cumulant(inputs + drive) - cumulant(inputs)).sum(axis=1) - log_ratio
    if model is not temporal.static_:
        here, before = (
            log_likelihood(m, recording, random_state=rng) for m in (model, temporal.static_)
        )
        gain += (here.per_frame - before.per_frame)[scored]
    per_frame = np.full(recording.n_frames, np.nan)
    per_frame[scored] = gain
    interval = block_interval(gain, scored, block, rng)
    return LikelihoodGain(
        per_frame, float(gain.mean()), interval, gap, float(far.size / len(scored))
    )


def scored_frames(recording: Recording) -> np.ndarray:
    """List the frames that have five others or more before them without a jump of time.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> scored_frames(Recording(np.ones((13, 1)), 1.0, discontinuities=[6]))
    array([ 5, 11, 12])
    """
    windows = cut_windows(as_recording(recording).n_frames, recording.discontinuities)
    frames = [
        np.arange(start + _WARM_UP, start + length)
        for start, length in zip(windows.starts, windows.lengths)
    ]
    frames = np.sort(np.concatenate(frames))
    if not frames.size:
        raise ValueError(
            f"the longest stretch has {windows.lengths.max()} frames: give one of more than "
            f"{_WARM_UP}, since the first ones have too short a past"
        )
    return frames


def block_interval(
    values: np.ndarray, frames: np.ndarray, block: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Compute a 95 % interval of the mean of values by resampling blocks of frames.

    Parameters
    ----------
    values : (n,) float64
    frames : (n,) int
        The frame of each value; a block is the values of `block` consecutive frames.
    block : int
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        If `block` is no integer of 1 or more.

    Examples
    --------
    >>> low, high = block_interval(np.ones(10), np.arange(10), 2, np.random.default_rng(0))
    >>> float(low), float(high)
    (1.0, 1.0)
    """
    _, number = np.unique(frames // as_count(block, "block"), return_inverse=True)
    total, count = np.bincount(number, values), np.bincount(number)
    drawn = rng.integers(len(total), size=(_N_BOOTSTRAP, len(total)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def lagged_covariances(x: np.ndarray, n_lags: int, discontinuities: np.ndarray = ()) -> np.ndarray:
    """Compute Cov(x_a(t + k), x_b(t)) at the lags k = 0 .. n_lags, within stretches of time.

    Parameters
    ----------
    x : (T, K) float
        Traces, for instance of hidden units.
    n_lags : int
        The largest lag, in frames.
    discontinuities : sequence of int
        Where time jumps (default nowhere).

    Returns
    -------
    (n_lags + 1, K, K) float64
        Rows are the later ones, as in A.

    Raises
    ------
    ValueError
        If the largest lag is no integer of 0 or more, or no stretch is longer.

    Examples
    --------
    >>> alternating = np.tile([[0.0], [1.0]], (50, 1))
    >>> lagged_covariances(alternating, 2).ravel().round(2)
    array([ 0.25, -0.25,  0.25])
    """
    x = as_traces(x, "x")
    windows = cut_windows(len(x), discontinuities)
    n_lags = as_count(n_lags, "n_lags", 0)
    if n_lags >= windows.lengths.max():
        raise ValueError(
            f"n_lags is {n_lags}: give 0 to {windows.lengths.max() - 1}, less than the longest "
            "stretch of frames"
        )
    centred = x - x.mean(axis=0)
    out = np.zeros((n_lags + 1, x.shape[1], x.shape[1]))
    for lag in range(n_lags + 1):
        n_pairs = 0
        for start, length in zip(windows.starts, windows.lengths):
            if length > lag:
                part = centred[start : start + length]
                out[lag] += part[lag:].T @ part[: length - lag]
                n_pairs += length - lag
        out[lag] /= n_pairs
    return out
