r"""Arrays in few bytes, for pages that carry them.

Coordinates become 16-bit integers over their range: over a millimetre, 65,536 steps place a neuron
within 0.01 um. Weights and traces become 8-bit integers, :math:`q = \mathrm{round}(127\,x / \max
|x|)`, each column by its own maximum, so that a value is right to :math:`\max|x| / 254`. Weights
that round to 0 are left out. Values of an explorer become 16-bit integers between their limits.
Arrays are little-endian and travel as base64.
"""

from __future__ import annotations

import base64

import numpy as np
import scipy.sparse

__all__ = [
    "encode",
    "quantise_between",
    "quantise_columns",
    "quantise_places",
    "quantise_weights",
]

_STEPS = 65534  # between limits; 65,535 stands for NaN


def encode(array: np.ndarray, kind: str) -> str:
    """Write an array of integers ("u1", "i1", "u2", "u4") or floats ("f4") as base64.

    Examples
    --------
    >>> encode(np.array([1, 2]), "u2")
    'AQACAA=='
    """
    return base64.b64encode(np.ascontiguousarray(array, dtype=f"<{kind}").tobytes()).decode()


def quantise_between(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Quantise values between limits to 16 bits; NaN becomes 65,535.

    Parameters
    ----------
    values : array of float
        What lies outside the limits is moved to them.
    limits : (float, float)

    Returns
    -------
    array of uint16, same shape
        Steps of 1/65,534 of the range.

    Examples
    --------
    >>> quantise_between(np.array([-1.0, 0.0, 1.0, 9.0, np.nan]), (-1.0, 1.0))
    array([    0, 32767, 65534, 65534, 65535], dtype=uint16)
    """
    low, high = limits
    steps = np.rint(np.clip((values - low) / (high - low), 0, 1) * _STEPS)
    return np.where(np.isnan(values), _STEPS + 1, steps).astype(np.uint16)


def quantise_places(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantise coordinates to 16 bits.

    Returns
    -------
    steps : (N, 3) uint16
    low, step : (3,) float64
        A place is ``low + step * steps``.

    Examples
    --------
    >>> steps, low, step = quantise_places(np.array([[0.0, 1.0, 5.0], [65.535, 1.0, 4.0]]))
    >>> (low + step * steps).round(3).tolist()
    [[0.0, 1.0, 5.0], [65.535, 1.0, 4.0]]
    """
    low = coordinates.min(axis=0)
    step = np.maximum(np.ptp(coordinates, axis=0), 1e-9) / 65535
    return np.round((coordinates - low) / step).astype("<u2"), low, step


def quantise_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise each column to 8 bits; NaN becomes 0.

    Returns
    -------
    steps : (n, M) int8
    step : (M,) float64
        A value is ``step * steps``.

    Examples
    --------
    >>> steps, step = quantise_columns(np.array([[1.27, 0.0], [-0.01, np.nan]]))
    >>> (steps * step).round(3).tolist()
    [[1.27, 0.0], [-0.01, 0.0]]
    """
    values = np.nan_to_num(np.asarray(values, dtype=np.float64))
    step = np.abs(values).max(axis=0, initial=0.0) / 127
    steps = np.round(values / np.where(step > 0, step, 1.0))
    return steps.astype(np.int8), step


def quantise_weights(weights: np.ndarray) -> tuple[scipy.sparse.csc_array, np.ndarray]:
    """Quantise the weights of each hidden unit to 8 bits; none that is not 0 becomes 0.

    Returns
    -------
    steps : scipy.sparse.csc_array of int8, shape (N, M)
    step : (M,) float64
        A weight is ``step * steps``.

    Examples
    --------
    >>> steps, step = quantise_weights(np.array([[1.27, 0.0], [0.001, -2.54]]))
    >>> (steps.toarray() * step).round(3).tolist()
    [[1.27, 0.0], [0.01, -2.54]]
    """
    steps, step = quantise_columns(weights)
    signs = np.sign(weights).astype(np.int8)
    return scipy.sparse.csc_array(np.where(steps == 0, signs, steps)), step
