"""Windows: pieces of a recording in which time is continuous, all of about the same length.

The hidden units of the first frame of a window have no past that the model knows. No window crosses
a discontinuity, and every frame is in one window. A stretch between two discontinuities is cut into
as few windows of nearly equal length as the wanted length allows.

All windows advance together, one frame at a time. So arrays of the windows stand in *step order*:
first the first frames of all windows, then their second frames, and so on, longest windows first.
Then the frames of a step, and those before them, are slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import is_integer
from crbm_lite.checks.arrays import as_discontinuities

__all__ = ["Windows", "cut_windows"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of consecutive frames, the longest ones first.

    Parameters
    ----------
    starts, lengths : (W,) int64
        First frame and number of frames of every window.
    """

    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def frames(self) -> np.ndarray:
        """The frames of the windows in step order."""
        longest = int(self.lengths.max(initial=0))
        steps = [self.starts[self.lengths > step] + step for step in range(longest)]
        return np.concatenate([*steps, np.empty(0, np.int64)])

    def steps(self) -> list[tuple[slice, slice]]:
        """The rows of every step in step order, and those of the frames before them.

        No frames stand before those of the first step.

        Examples
        --------
        >>> cut_windows(5, [2]).steps()
        [(slice(0, 2, None), slice(0, 0, None)), (slice(2, 4, None), slice(0, 2, None)), \
(slice(4, 5, None), slice(2, 3, None))]
        """
        out, last, before = [], 0, 0
        for step in range(int(self.lengths.max(initial=0))):
            n = int((self.lengths > step).sum())
            out.append((slice(last, last + n), slice(before, before + (n if step else 0))))
            before, last = last, last + n
        return out

    def take(self, windows: np.ndarray) -> Windows:
        """Choose windows by their numbers."""
        kept = np.sort(windows)  # stays in the order of the lengths
        return Windows(self.starts[kept], self.lengths[kept])


def cut_windows(
    n_frames: int, discontinuities: np.ndarray = (), window: int | None = None
) -> Windows:
    """Cut frames into windows.

    Parameters
    ----------
    n_frames : int
    discontinuities : sequence of int
        Frames d such that time jumps between d - 1 and d (default none).
    window : int, optional
        The most frames of a window; by default as many as time is continuous for.

    Raises
    ------
    ValueError
        If `window` is below 2, if no two frames follow each other, or a discontinuity is not one
        of the frames.

    Examples
    --------
    >>> windows = cut_windows(10, discontinuities=[7], window=4)
    >>> windows.starts, windows.lengths
    (array([3, 0, 7]), array([4, 3, 3]))
    """
    if window is not None and (not is_integer(window) or window < 2):
        raise ValueError(f"window is {window!r}: give 2 frames or more, since one has no past")
    cuts = as_discontinuities(discontinuities, n_frames)
    borders = np.concatenate([[0], cuts, [n_frames]]).astype(np.int64)
    if np.diff(borders).max() < 2:
        raise ValueError(
            f"no two of the {n_frames} frames follow each other: give frames that are continuous "
            "in time, and name where it jumps in discontinuities"
        )
    edges = [np.zeros(1, np.int64)]
    for first, last in zip(borders[:-1], borders[1:], strict=True):
        n_windows = 1 if window is None else -(-(last - first) // window)
        edges.append(first + (np.arange(1, n_windows + 1) * (last - first)) // n_windows)
    edges = np.concatenate(edges)
    starts, lengths = edges[:-1], np.diff(edges)
    order = np.argsort(-lengths, kind="stable")
    return Windows(starts[order], lengths[order])
