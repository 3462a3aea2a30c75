"""Windows cover every frame once, and none crosses a jump of time."""

import numpy as np
import pytest

from crbm_lite.temporal.windows import cut_windows


@pytest.mark.parametrize("window", [None, 2, 5, 7])
def test_windows_cover_every_frame_once_and_cross_no_jump(window):
    cuts = np.array([1, 9, 30])
    windows = cut_windows(41, cuts, window)
    assert np.array_equal(np.sort(windows.frames), np.arange(41))
    for start, length in zip(windows.starts, windows.lengths, strict=True):
        assert not ((cuts > start) & (cuts < start + length)).any()
        assert window is None or length <= window
    assert (np.diff(windows.lengths) <= 0).all()


def test_each_step_stands_one_frame_after_the_rows_before_it():
    windows = cut_windows(41, [1, 9, 30], 7)
    frames = windows.frames
    for now, before in windows.steps()[1:]:
        assert np.array_equal(frames[now], frames[before] + 1)
    chosen = windows.take(np.array([3, 0]))
    assert chosen.starts.tolist() == windows.starts[[0, 3]].tolist()


def test_windows_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="window is 1: give 2 frames or more"):
        cut_windows(10, window=1)
    with pytest.raises(ValueError, match="no two of the 3 frames"):
        cut_windows(3, [1, 2])
