"""A surface as triangles: naive surface nets.

Where a density on a grid crosses a level, every cell of the grid that the surface passes through
gets one vertex, in the middle of the crossings of its edges; every edge that crosses the level is
surrounded by four such cells, which make two triangles. There are no tables of cases, and the
triangles are of even size.
"""

from __future__ import annotations

import itertools

import numpy as np

from crbm_lite.checks.arguments import as_numbers

__all__ = ["surface_of"]


def surface_of(density: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the surface on which a density has a level.

    Parameters
    ----------
    density : (X, Y, Z) float
        Below the level on all six faces of the box, so that the surface is closed.
    level : float

    Returns
    -------
    vertices : (V, 3) float64
        In cells of the grid.
    triangles : (F, 3) int64
        Indices of vertices, counter-clockwise as seen from below the level.

    Raises
    ------
    ValueError
        If the density is not (X, Y, Z), or reaches the level on a face of the box.

    Examples
    --------
    >>> x, y, z = np.mgrid[-5:6, -5:6, -5:6]
    >>> vertices, triangles = surface_of(-np.sqrt(x**2 + y**2 + z**2), -3.0)
    >>> radius = np.linalg.norm(vertices - 5, axis=1)
    >>> bool((2.8 < radius).all() and (radius < 3.2).all())
    True
    """
    density = as_numbers(density, "density")
    if density.ndim != 3 or min(density.shape) < 2:
        raise ValueError(f"density has shape {density.shape}: give (X, Y, Z), two cells or more")
    above = density >= level
    faces = [above.take(end, axis) for axis in range(3) for end in (0, -1)]
    if any(face.any() for face in faces):
        raise ValueError("density reaches the level on a face of its box: pad it with lower values")
    total = np.zeros((*(n - 1 for n in density.shape), 3))
    crossings = np.zeros(total.shape[:3])
    edges = []
    for axis in range(3):
        low, high = _ends(density, axis)
        edges.append((low >= level) != (high >= level))
        at = np.zeros((*low.shape, 3))
        at += np.moveaxis(np.indices(low.shape), 0, -1)
        at[..., axis] += np.divide(level - low, high - low, where=edges[-1], out=np.zeros_like(low))
        at[~edges[-1]] = 0.0
        others = [a for a in range(3) if a != axis]
        for shift in itertools.product((0, 1), repeat=2):  # the four edges of a cell on this axis
            part = [slice(None)] * 3
            for a, s in zip(others, shift, strict=True):
                part[a] = slice(s, s + total.shape[a])
            total += at[tuple(part)]
            crossings += edges[-1][tuple(part)]
    number = np.full(crossings.shape, -1)
    used = crossings > 0
    number[used] = np.arange(used.sum())
    triangles = [_around(number, edge, above, axis) for axis, edge in enumerate(edges)]
    return total[used] / crossings[used][:, None], np.concatenate(triangles)


def _ends(density: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the values at both ends of every edge of the grid along an axis."""
    n = density.shape[axis]
    return density.take(range(n - 1), axis), density.take(range(1, n), axis)


def _around(number: np.ndarray, edge: np.ndarray, above: np.ndarray, axis: int) -> np.ndarray:
    """Make two triangles of the four cells around every edge that crosses the level."""
    at = np.argwhere(edge)
    one, two = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]]
    a, b, c, d = (number[tuple((at - shift).T)] for shift in (one + two, two, 0 * one, one))
    leaving = above[tuple(at.T)]  # the density falls along the edge
    quads = np.where(leaving[:, None], np.c_[a, b, c, d], np.c_[d, c, b, a])
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
