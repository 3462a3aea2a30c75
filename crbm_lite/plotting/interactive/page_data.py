r"""What the 3-D viewer carries: the outline of a brain, and arrays in few bytes.

Quantisation: coordinates become 16-bit integers over their range, so that with 65,536 steps over a
millimetre a place is right to 0.01 um; weights and traces become 8-bit integers,
:math:`q = \mathrm{round}(127\,x / \max|x|)`, each assembly by its own maximum, so that a value is
right to :math:`\max|x| / 254`. Weights that round to 0 are left out. Arrays are little-endian and
travel as base64.
"""

from __future__ import annotations

import base64
import json

import numpy as np
import scipy.sparse

__all__ = [
    "brain_outline",
    "encode",
    "quantise_columns",
    "quantise_places",
    "quantise_weights",
    "script_json",
]

_CELLS = 40  # of the longer side of a section


def brain_outline(coordinates: np.ndarray, n_sections: int = 8) -> np.ndarray:
    """Outline the recorded volume in horizontal sections.

    In each section, the contour that holds 97 % of its neurons in a smoothed density.

    Parameters
    ----------
    coordinates : (N, 3) float, um
    n_sections : int
        Most sections, of equal height. There are fewer where each would have less than 400
        neurons, and a single one where all neurons share one z.

    Returns
    -------
    (P, 3) float64, um
        Closed lines, a row of NaN after each; empty where there are too few neurons.

    Examples
    --------
    >>> places = np.random.default_rng(0).uniform(size=(3000, 3)) * [300, 600, 0]
    >>> line = brain_outline(places)[:-1]
    >>> bool(np.ptp(line[:, 0]) > 250 and np.ptp(line[:, 1]) > 550)
    True
    """
    from contourpy import contour_generator
    from scipy.ndimage import gaussian_filter, map_coordinates

    places = np.asarray(coordinates, dtype=np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    n_sections = min(n_sections, max(len(places) // 400, 1)) if high[2] > low[2] else 1
    edges = np.linspace(low[2], high[2], n_sections + 1)
    section = np.clip(np.searchsorted(edges, places[:, 2], side="right") - 1, 0, n_sections - 1)
    cell = max(*(high - low)[:2], 1e-9) / _CELLS
    lines = []
    for k in range(n_sections):
        inside = places[section == k][:, :2]
        if len(inside) < 10:
            continue
        sigma = np.clip(_CELLS / np.sqrt(len(inside)), 1.2, 4.0)  # cells
        pad = int(4 * sigma) + 1
        shape = np.ceil((high - low)[:2] / cell).astype(int) + 2 * pad + 1
        at = (inside - low[:2]) / cell + pad
        counts = np.zeros(shape)
        np.add.at(counts, tuple(np.round(at).astype(int).T), 1.0)
        density = gaussian_filter(counts, sigma)
        level = np.quantile(map_coordinates(density, at.T, order=1), 0.03)
        axes = [low[d] + cell * (np.arange(shape[d]) - pad) for d in (0, 1)]
        for line in contour_generator(*axes, density.T).lines(level):
            z = np.full(len(line), (edges[k] + edges[k + 1]) / 2)
            lines += [np.c_[line, z], np.full((1, 3), np.nan)]
    return np.concatenate(lines) if lines else np.empty((0, 3))


def quantise_places(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantise coordinates to 16 bits.

    Returns
    -------
    steps : (N, 3) uint16
    low, step : (3,) float64, um
        A place is ``low + step * steps``.

    Examples
    --------
    >>> steps, low, step = quantise_places(np.array([[0.0, 1.0, 5.0], [65.535, 1.0, 4.0]]))
    >>> (low + step * steps).round(3).tolist()
    [[0.0, 1.0, 5.0], [65.535, 1.0, 4.0]]
    """
    places = np.asarray(coordinates, dtype=np.float64)
    low = places.min(axis=0)
    step = np.maximum(np.ptp(places, axis=0), 1e-9) / 65535
    return np.round((places - low) / step).astype("<u2"), low, step


def quantise_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise each column to 8 bits; NaN becomes 0.

    Returns
    -------
    steps : (n, M) int8
    step : (M,) float64

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
    """Quantise each assembly's weights to 8 bits and keep those that are not 0.

    Returns
    -------
    steps : scipy.sparse.csc_array of int8, shape (N, M)
    step : (M,) float64

    Examples
    --------
    >>> steps, step = quantise_weights(np.array([[1.27, 0.0], [0.001, -2.54]]))
    >>> (steps.toarray() * step).round(3).tolist()
    [[1.27, 0.0], [0.0, -2.54]]
    """
    steps, step = quantise_columns(weights)
    return scipy.sparse.csc_array(steps), step


def encode(array: np.ndarray, kind: str) -> str:
    """Base64 of an array as "u1", "i1", "u2", "u4" (integers) or "f4", little-endian.

    Examples
    --------
    >>> encode(np.array([1, 2]), "u2")
    'AQACAA=='
    """
    return base64.b64encode(np.ascontiguousarray(array, dtype=f"<{kind}").tobytes()).decode()


def script_json(value: object) -> str:
    r"""JSON without spaces that may stand inside an HTML script: no ``</`` ends it.

    Examples
    --------
    >>> script_json({"note": "</script>"})
    '{"note":"<\\/script>"}'
    """
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
