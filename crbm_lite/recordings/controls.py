r"""The controls of every score: independent neurons, and neurons shifted in time.

Independent neurons are drawn from :math:`v_i(t) \sim \mathrm{Bernoulli}(\langle v_i \rangle)`.
They have the right means and no covariance, and their nLLH is 0 at best. Shifting in time turns
each neuron's own activity in a circle, by its own random number of frames. Its mean, bursts and
autocorrelation stay exactly as they are; what neurons share is gone up to chance. A method that
finds something in shifted data would find it in any data. Each stretch between discontinuities is a
circle of its own, so what neurons share from stretch to stretch (a drift, say) stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_array, as_count, as_generator, as_numbers
from crbm_lite.checks.arrays import as_discontinuities
from crbm_lite.core.spikes import as_spikes

__all__ = ["independent_frames", "shift_time", "shift_traces"]

_CHUNK_BYTES = 2**26  # of uniform numbers in memory at once


def independent_frames(
    activity: np.ndarray, n_frames: int, random_state: int | np.random.Generator | None = None
) -> scipy.sparse.csr_array:
    """Draw frames of neurons that fire independently, each at its own rate.

    Parameters
    ----------
    activity : (N,) array in [0, 1]
        Probability of activity in a frame, for example ``train.activity``.
    n_frames : int
    random_state : int, Generator or None

    Returns
    -------
    (n_frames, N) csr_array of uint8

    Raises
    ------
    ValueError
        If `activity` is not a list of probabilities, or `n_frames` is below 1.

    Examples
    --------
    >>> v = independent_frames([0.0, 0.5, 1.0], 4, random_state=0)
    >>> v.toarray()[:, [0, 2]].tolist()
    [[0, 1], [0, 1], [0, 1], [0, 1]]
    """
    activity = as_numbers(activity, "activity")
    if activity.ndim != 1 or not activity.size or not ((activity >= 0) & (activity <= 1)).all():
        raise ValueError("activity is no list of probabilities: give one in [0, 1] per neuron")
    n_frames = as_count(n_frames, "n_frames")
    rng = as_generator(random_state)
    size = max(1, _CHUNK_BYTES // (8 * len(activity)))
    chunks = [
        scipy.sparse.csr_array(
            (rng.random((min(size, n_frames - start), len(activity))) < activity).astype(np.uint8)
        )
        for start in range(0, n_frames, size)
    ]
    return scipy.sparse.vstack(chunks, format="csr")


def shift_time(
    v: object,
    random_state: int | np.random.Generator | None = None,
    discontinuities: Sequence[int] | np.ndarray | None = None,
) -> scipy.sparse.csr_array:
    """Shift every neuron's activity in a circle, each by its own random number of frames.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Not changed.
    random_state : int, Generator or None
    discontinuities : sequence of int, optional
        Frames before which time jumps; those of the Recording by default.

    Returns
    -------
    (T, N) csr_array of uint8
        Every neuron keeps its spikes and their order.

    Raises
    ------
    ValueError
        If `v` is not binary or is empty, or a discontinuity is no frame of it.

    Examples
    --------
    >>> import numpy as np
    >>> shifted = shift_time(np.eye(6, 2), random_state=0)
    >>> shifted.sum(axis=0).tolist()
    [1, 1]
    """
    spikes = as_spikes(v)
    rng = as_generator(random_state)
    if discontinuities is None:
        discontinuities = getattr(v, "discontinuities", ())
    cuts = as_discontinuities(discontinuities, spikes.n_frames)
    first = np.concatenate([[0], cuts])
    length = np.diff(np.append(first, spikes.n_frames))
    shift = np.array([rng.integers(n, size=spikes.n_neurons) for n in length])
    frames = np.repeat(np.arange(spikes.n_frames), np.diff(spikes.frame_starts))
    stretch = np.searchsorted(cuts, frames, side="right")
    within = frames - first[stretch] + shift[stretch, spikes.neurons]
    frames = first[stretch] + within % length[stretch]
    ones = np.ones(len(frames), dtype=np.uint8)
    return scipy.sparse.csr_array((ones, (frames, spikes.neurons)), shape=spikes.shape)


def shift_traces(
    traces: np.ndarray, random_state: int | np.random.Generator | None = None
) -> np.ndarray:
    """Shift every trace in a circle, each by its own random number of frames.

    Unlike `shift_time` it takes any numbers, such as dF/F, and knows no discontinuities.

    Parameters
    ----------
    traces : (T, N) array
        Not changed.
    random_state : int, Generator or None

    Returns
    -------
    (T, N) array of the same dtype

    Raises
    ------
    ValueError
        If there are no frames, or the traces are not (T, N).

    Examples
    --------
    >>> shift_traces(np.array([[0.5], [2.0]]), random_state=0).sum()
    np.float64(2.5)
    """
    traces = as_array(traces, "traces")
    if traces.ndim != 2 or not len(traces):
        raise ValueError(f"traces has shape {traces.shape}: give (T, N), time first")
    n_frames, n_neurons = traces.shape
    shift = as_generator(random_state).integers(n_frames, size=n_neurons)
    shifted = np.empty_like(traces)
    for i, k in enumerate(shift):
        shifted[k:, i], shifted[:k, i] = traces[: n_frames - k, i], traces[n_frames - k :, i]
    return shifted
