"""Results small enough for a JSON table: four digits, histograms, and pictures as rows of digits.

A picture is a list of texts. Each text is a row, and each of its letters a value from 0 to 9, so
that a joint density of forty by forty bins takes less than 2 kB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["compact", "histogram", "picture", "quantiles", "values_of_picture"]


def compact(value: object) -> object:
    """Turn arrays into lists, round floats to four digits, and write NaN and infinity as null.

    >>> compact({"r": np.float64(0.123456), "n": np.arange(2), "p": float("nan")})
    {'r': 0.1235, 'n': [0, 1], 'p': None}
    """
    if isinstance(value, Mapping):
        return {str(k): compact(x) for k, x in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return compact(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [compact(x) for x in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value


def histogram(values: np.ndarray, low: float, high: float, n_bins: int = 40) -> dict:
    """Count values between low and high; what lies beyond is counted in the outer bins.

    >>> histogram(np.array([0.1, 0.2, 5.0, np.nan]), 0, 1, 2)
    {'low': 0, 'high': 1, 'counts': [2, 1]}
    """
    values = np.asarray(values, dtype=float)
    inside = np.clip(values[np.isfinite(values)], low, high)
    counts = np.histogram(inside, n_bins, (low, high))[0]
    return {"low": low, "high": high, "counts": counts.tolist()}


def quantiles(values: np.ndarray, n: int = 41) -> list[float]:
    """Return n evenly spaced quantiles, NaN left out: the distribution as one curve."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    return np.quantile(values, np.linspace(0, 1, n)).tolist() if values.size else []


def picture(values: np.ndarray, low: float, high: float) -> list[str]:
    """Write a matrix as rows of digits from 0 (low) to 9 (high); NaN is 0.

    >>> picture(np.array([[0.0, 0.5], [1.0, 2.0]]), 0, 1)
    ['05', '99']
    """
    share = (np.nan_to_num(values, nan=low) - low) / (high - low)
    digits = np.floor(10 * share).clip(0, 9).astype(int)
    return ["".join(map(str, row)) for row in digits]


def values_of_picture(rows: Sequence[str]) -> np.ndarray:
    """Read a picture back, as numbers from 0 to 9.

    >>> values_of_picture(["05", "99"])
    array([[0, 5],
           [9, 9]])
    """
    return np.array([[int(digit) for digit in row] for row in rows])
