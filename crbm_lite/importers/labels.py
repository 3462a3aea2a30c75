"""Labels among numbers: numbers of neurons and frames, times, trials, which are no activity.

Activity goes up and down. A column that never falls, from the first frame to the last, is a frame
number, a time or a number of a trial; a first row of increasing whole numbers is the numbers of the
neurons. Read as activity, such a row shifts time by a frame and every threshold with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from crbm_lite.files.errors import RecordingError

__all__ = ["as_left_out", "check_no_labels", "label_columns", "neurons_left", "row_is_labels"]

# Shorter rows and columns can look like labels by chance.
_SURE_ROW, _SURE_COLUMN, _MANY = 8, 10, 20
_CHUNK = 4096  # frames looked at together


def as_left_out(leave_out: object) -> tuple[str | int, ...]:
    """Return the names or numbers of the neurons to leave out as a tuple, empty for None.

    Examples
    --------
    >>> as_left_out(["frame", 3]), as_left_out(None)
    (('frame', 3), ())
    >>> as_left_out("frame")
    Traceback (most recent call last):
    ValueError: leave_out is 'frame': give a list of names, or of numbers from 0
    """
    if leave_out is None:
        return ()
    is_one = isinstance(leave_out, str | bytes | dict) or not isinstance(leave_out, Iterable)
    if is_one or (isinstance(leave_out, np.ndarray) and leave_out.ndim != 1):
        raise ValueError(f"leave_out is {leave_out!r}: give a list of names, or of numbers from 0")
    parts = tuple(x.item() if isinstance(x, np.generic) else x for x in leave_out)
    if not all(isinstance(x, str | int) and not isinstance(x, bool) for x in parts):
        raise ValueError(f"leave_out is {leave_out!r}: give a list of names, or of numbers from 0")
    return parts


def neurons_left(
    leave_out: tuple[str | int, ...], names: Sequence[str] | None, n: int, where: object
) -> np.ndarray:
    """Return the (n,) mask of the neurons that are not left out.

    A text that is no name but a number stands for that number, as on the command line. Where the
    names are numbers themselves, a number is a name.

    Examples
    --------
    >>> neurons_left(("t", 2), ("t", "a", "b", "c"), 4, "a.csv")
    array([False,  True, False,  True])
    """
    keep = np.ones(n, dtype=bool)
    are_numbers = names is not None and all(str(name).isdecimal() for name in names)
    for part in leave_out:
        name = str(part) if are_numbers else part
        if names is not None and name in names:
            keep[list(names).index(name)] = False
        elif not are_numbers and str(part).isdecimal() and int(part) < n:
            keep[int(part)] = False
        else:
            there = ", ".join((names or ())[:10]) or f"the numbers 0 to {n - 1}"
            raise RecordingError(f"{where}: leave_out names {part!r}, which is not there ({there})")
    if not keep.any():
        raise RecordingError(f"{where}: leave_out leaves no neuron")
    return keep


def row_is_labels(row: np.ndarray) -> bool | None:
    """Whether a first row is the numbers of the neurons; None where nobody can tell.

    Examples
    --------
    >>> row_is_labels(np.arange(60.0)), row_is_labels(np.array([0, 2, 0, 1])), row_is_labels([0, 1])
    (True, False, None)
    """
    row = np.asarray(row, dtype=np.float64)
    if not row.size or not np.isfinite(row).all() or (row != np.round(row)).any() or row[0] < 0:
        return False
    consecutive = row[0] <= 1 and bool((np.diff(row) == 1).all())
    if consecutive or (row.size > 2 and (np.diff(row) > 0).all()):
        return True if row.size >= _SURE_ROW or (consecutive and row.size > 3) else None
    return None if row.size >= _MANY and np.unique(row).size == row.size else False


def label_columns(values: np.ndarray) -> np.ndarray:
    """Find the columns of (T, N) values that number frames or trials, or tell times.

    Examples
    --------
    >>> frames = np.arange(12.0)
    >>> label_columns(np.column_stack([frames % 5, frames, 0.4 * frames, frames // 3]))
    array([1, 2, 3])
    """
    n_frames = len(values)
    if n_frames < 3:
        return np.zeros(0, dtype=np.int64)
    left = np.flatnonzero(values[-1] > values[0])
    for start in range(0, n_frames - 1, _CHUNK):
        part = values[start : start + _CHUNK + 1, left]
        left = left[(part[1:] >= part[:-1]).all(axis=0)]
    found = []
    for i in left:
        steps = np.diff(values[:, i].astype(np.float64))
        whole = bool((steps == np.round(steps)).all())
        if (steps == 1).all() or (
            n_frames >= _SURE_COLUMN and ((steps > 0).all() or (whole and (steps > 0).sum() > 1))
        ):
            found.append(i)
    return np.array(found, dtype=np.int64)


def check_no_labels(
    values: np.ndarray, names: Sequence[str] | None, where: str, *, first_row: bool = True
) -> None:
    """Raise a RecordingError if a column, or the first row, of (T, N) activity is labels.

    Parameters
    ----------
    values : (T, N) numbers
    names : sequence of N str, optional
    where : str
        File and key, for the message.
    first_row : bool
        Whether the first row may be labels, too.

    Examples
    --------
    >>> frame, a = np.arange(6), [0, 1, 0, 0, 1, 0]
    >>> check_no_labels(np.column_stack([frame, a]), ("frame", "a"), "a.csv")
    Traceback (most recent call last):
    crbm_lite...RecordingError: a.csv: 'frame' never falls from the first frame to the last, ...
    """
    columns = label_columns(values)
    if columns.size:
        called = [names[i] if names is not None else int(i) for i in columns[:5]]
        raise RecordingError(
            f"{where}: {' and '.join(map(repr, called))} never falls from the first frame to the "
            f"last, like frame numbers or times: leave it out with leave_out={called!r} (or say "
            f"time_column={called[0]!r}, if a column of a table holds seconds), or pass "
            "leave_out=[] if it is activity"
        )
    if first_row and row_is_labels(values[0]):
        raise RecordingError(
            f"{where}: the first frame holds the increasing numbers {values[0, 0]:g}, "
            f"{values[0, 1]:g}, {values[0, 2]:g}, ..., like the numbers of the neurons: take that "
            "row away, or, if it is activity, pass leave_out=[]"
        )
