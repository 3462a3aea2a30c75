"""Recordings in which time is undone: frames in random order, and frames backwards.

A gain that outlives the first control does not come from time; one that is the same in the second
does not know the arrow of time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crbm_lite.checks.arguments import as_generator, is_integer
from crbm_lite.recordings.recording import Recording, as_recording
from crbm_lite.temporal.windows import cut_windows

__all__ = ["reversed_in_time", "shuffled_in_blocks"]


def shuffled_in_blocks(
    recording: Recording,
    block: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> Recording:
    """Bring the frames of every block into a random order.

    Parameters
    ----------
    recording : Recording
    block : int, optional
        The most frames of a block; changes that are slower stay. By default a block lasts until
        time jumps, and no order is left.
    random_state : int, numpy.random.Generator or None

    Examples
    --------
    >>> recording = Recording(np.eye(5), 1.0, discontinuities=[2])
    >>> shuffled_in_blocks(recording, random_state=0).spikes.argmax(axis=1)
    array([1, 0, 4, 2, 3])
    """
    if block is not None and not (is_integer(block) and block >= 2):
        raise ValueError(f"block is {block!r}: give 2 frames or more, or None for all")
    rng = as_generator(random_state)
    windows = cut_windows(as_recording(recording).n_frames, recording.discontinuities, block)
    order = np.arange(recording.n_frames)
    for start, length in zip(windows.starts, windows.lengths):
        order[start : start + length] = start + rng.permutation(length)
    return _reordered(recording, order, recording.discontinuities)


def reversed_in_time(recording: Recording) -> Recording:
    """Play a recording backwards.

    Examples
    --------
    >>> backwards = reversed_in_time(Recording(np.eye(4), 1.0, discontinuities=[1]))
    >>> backwards.spikes.argmax(axis=1), backwards.discontinuities
    (array([3, 2, 1, 0]), array([3]))
    """
    order = np.arange(as_recording(recording).n_frames)[::-1]
    return _reordered(recording, order, recording.n_frames - recording.discontinuities[::-1])


def _reordered(recording: Recording, order: np.ndarray, cuts: np.ndarray) -> Recording:
    return replace(
        recording,
        spikes=recording.spikes[order],
        discontinuities=cuts,
        dff=None if recording.dff is None else recording.dff[order],
        truth=None if recording.truth is None else recording.truth.select_frames(order),
    )
