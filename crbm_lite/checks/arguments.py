"""What single arguments must be: a number, a flag, a text, a path, an array, texts.

No equations. Each function returns the argument, or raises a ValueError that names it, shows what
was given and says what to give. Arrays of a user come in by `as_array`, so that no value under a
mask is read.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

__all__ = [
    "as_array",
    "as_count",
    "as_durations_s",
    "as_flag",
    "as_generator",
    "as_number",
    "as_numbers",
    "as_path",
    "as_rate_hz",
    "as_text",
    "as_texts",
    "as_traces",
    "check_not_masked",
    "is_integer",
]


def as_number(value: object, name: str, what: str = "it", *, positive: bool = False) -> float:
    """Return a finite number as a float.

    Parameters
    ----------
    value : object
    name : str
        Of the argument.
    what : str
        What the number is, for the message.
    positive : bool
        Whether it must be.

    Examples
    --------
    >>> as_number(0, "bin_s", "the width of a bin in seconds", positive=True)
    Traceback (most recent call last):
    ValueError: bin_s is 0: give the width of a bin in seconds, a positive number
    """
    scalar = np.isscalar(value) or (isinstance(value, np.ndarray) and value.ndim == 0)
    real = scalar and np.asarray(value).dtype.kind in "iuf" and np.isfinite(value)
    if real and (value > 0 or not positive):
        return float(value)
    kind = "a positive number" if positive else "a finite number"
    raise ValueError(f"{name} is {value!r}: give {what}, {kind}")


def is_integer(value: object) -> bool:
    """Say whether a value is one whole number; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def as_count(value: object, name: str, least: int = 1) -> int:
    """Return an integer that is not below the least.

    Examples
    --------
    >>> as_count(2.5, "n_steps")
    Traceback (most recent call last):
    ValueError: n_steps is 2.5: give an integer of 1 or more
    """
    if is_integer(value) and value >= least:
        return int(value)
    raise ValueError(f"{name} is {value!r}: give an integer of {least} or more")


def as_generator(random_state: object, name: str = "random_state") -> np.random.Generator:
    """Return the generator of a seed: itself, one of an integer, or another one each time for None.

    Examples
    --------
    >>> as_generator(-1)
    Traceback (most recent call last):
    ValueError: random_state is -1: give an integer of 0 or more, a numpy.random.Generator or None
    """
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is {random_state!r}: give an integer of 0 or more, a numpy.random.Generator "
            "or None"
        ) from error


def as_flag(value: object, name: str) -> bool:
    """Return True or False; a text such as "no" is neither."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{name} is {value!r}: give True or False")


def as_text(value: object, name: str, what: str = "a text") -> str:
    """Return a text that is not empty."""
    if isinstance(value, str) and value:
        return str(value)
    raise ValueError(f"{name} is {value!r}: give {what}")


def as_path(path: object, name: str = "path") -> Path:
    """Return a Path of a text or a path.

    Examples
    --------
    >>> as_path(None)
    Traceback (most recent call last):
    ValueError: path is None: give the path of a file, as text or pathlib.Path
    """
    if isinstance(path, (str, os.PathLike)) and str(path) and "\0" not in str(path):
        return Path(path)
    raise ValueError(f"{name} is {path!r}: give the path of a file, as text or pathlib.Path")


def check_not_masked(values: object, name: str) -> None:
    """Raise if an array, or one in a list of them, hides entries under a mask."""
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(f"{name} has masked entries: fill them, or leave them out")
    elif isinstance(values, list | tuple | np.ndarray) and getattr(values, "dtype", "O") == "O":
        for part in values.flat if isinstance(values, np.ndarray) else values:
            check_not_masked(part, name)


def as_array(values: object, name: str) -> np.ndarray:
    """Return rows of one length, none of them masked, as an array.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "coordinates").shape
    (2, 2)
    >>> as_array([np.ma.array([1, 2], mask=[0, 1])], "coordinates")
    Traceback (most recent call last):
    ValueError: coordinates has masked entries: fill them, or leave them out
    """
    check_not_masked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is no array: its rows have different lengths") from error
    if array.dtype == object and hasattr(values, "dtypes"):  # a table of pandas, of its own types
        kinds = {getattr(dtype, "kind", "O") for dtype in np.atleast_1d(values.dtypes)}
        if kinds <= set("biuf"):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def as_numbers(values: object, name: str, dtype: type = np.float64) -> np.ndarray:
    """Return real numbers as an array of a dtype, not copied if it is one already.

    Examples
    --------
    >>> as_numbers([[1, 2], [3]], "coordinates")
    Traceback (most recent call last):
    ValueError: coordinates is no array: its rows have different lengths
    """
    array = as_array(values, name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}: give numbers")
    return array.astype(dtype, copy=False)


def as_texts(values: object, name: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple; a single text, or a mapping, is none.

    Examples
    --------
    >>> as_texts(["left", 7], "names")
    ('left', '7')
    """
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping)):
        raise ValueError(f"{name} is {values!r}: give a list of texts")
    check_not_masked(values, name)
    return tuple(str(x) for x in values)


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
    values = as_array(values, name)
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
    number = as_array(rate_hz, "rate_hz")
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
    values = as_array(values, name)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} has dtype {values.dtype}: give durations in seconds")
    values = values[~np.isnan(values)].astype(np.float64)
    if not ((values > 0) & np.isfinite(values)).all():
        wrong = values[~((values > 0) & np.isfinite(values))][0]
        raise ValueError(f"{name} holds {wrong:g}: durations in seconds are positive and finite")
    return values
