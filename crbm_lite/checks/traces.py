"""What traces over time, their rate and their time constants must be.

No equations. Checked arrays, or an error that names the argument and says what to do; nothing is
changed in place.
"""

from __future__ import annotations

import numpy as np

__all__ = ["as_durations_s", "as_rate_hz", "as_traces"]


def as_traces(values: object, name: str, n_columns: int = 1) -> np.ndarray:
    """Traces as (T, M) float64, NaN allowed.

    Raises
    ------
    ValueError
        If they are not numbers, not of at least 2 frames and `n_columns` columns, or infinite.

    Examples
    --------
    >>> as_traces([[0, 1], [1, 0]], "h").dtype
    dtype('float64')
    """
    try:
        values = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no array: give (T, M) numbers, time first") from error
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {values.dtype}: give (T, M) numbers, time first")
    if values.ndim != 2 or len(values) < 2 or values.shape[1] < n_columns:
        raise ValueError(
            f"{name} has shape {values.shape}: give (T, M) traces, time first, of at least 2 "
            f"frames and {n_columns} column(s)"
        )
    values = values.astype(np.float64)
    if np.isinf(values).any():
        raise ValueError(f"{name} holds infinity: leave out the frames or units concerned")
    return values


def as_rate_hz(rate_hz: object) -> float:
    """The frames per second as a float; ValueError unless it is positive and finite.

    Examples
    --------
    >>> as_rate_hz(0)
    Traceback (most recent call last):
    ValueError: rate_hz is 0: give the frames per second, a positive number
    """
    number = np.asarray(rate_hz)
    if number.ndim or number.dtype.kind not in "fiu" or not 0 < number < np.inf:
        raise ValueError(f"rate_hz is {rate_hz!r}: give the frames per second, a positive number")
    return float(number)


def as_durations_s(values: object, name: str) -> np.ndarray:
    """The durations among values that are not NaN, as float64; ValueError unless positive.

    Examples
    --------
    >>> as_durations_s([2, float("nan")], "neurons_s")
    array([2.])
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} has dtype {values.dtype}: give durations in seconds")
    values = values[~np.isnan(values)].astype(np.float64)
    if not ((values > 0) & np.isfinite(values)).all():
        wrong = values[~((values > 0) & np.isfinite(values))][0]
        raise ValueError(f"{name} holds {wrong:g}: durations in seconds are positive and finite")
    return values
