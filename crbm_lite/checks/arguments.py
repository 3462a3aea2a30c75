"""What single arguments must be: a number, a flag, a text, a path, numbers, texts.

No equations. Each function returns the argument, or raises a ValueError that names it, shows what
was given and says what to give.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

__all__ = ["as_array", "as_flag", "as_number", "as_numbers", "as_path", "as_text", "as_texts"]


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


def as_array(values: object, name: str) -> np.ndarray:
    """Return rows of one length, none of them masked, as an array.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "coordinates").shape
    (2, 2)
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries: fill them, or leave them out")
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
    return tuple(str(x) for x in values)
