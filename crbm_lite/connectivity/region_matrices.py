"""Matrices of regions by name: from a list of pairs, or in another order of the regions.

Published tables list some of the regions, in their own order, and each pair once. A pair that is
not listed is NaN here, never 0, and the statistics of `crbm_lite.connectivity.region_statistics`
leave it out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crbm_lite.checks.arguments import as_array
from crbm_lite.checks.arrays import check_unique

__all__ = ["as_squares", "matrix_given_pairs", "matrix_in_order"]

_SYMMETRIC = 1e-6  # relative; published values are rounded


def as_squares(matrices: Sequence[np.ndarray], name: str, *, symmetric: bool = False) -> np.ndarray:
    """Check that these are one or more matrices of one square shape; return (A, R, R) float64.

    NaN is allowed, infinity is not.

    Examples
    --------
    >>> as_squares([np.eye(2)], "matrices").shape
    (1, 2, 2)
    """
    shapes = [np.shape(matrix) for matrix in (matrices if matrices is not None else ())]
    if len(set(shapes)) > 1:
        raise ValueError(f"{name} has different shapes {shapes}: give the same regions in each")
    stack = as_array(matrices, name)
    if stack.ndim != 3 or stack.shape[0] == 0 or stack.shape[1] != stack.shape[2]:
        raise ValueError(f"{name} has shape {stack.shape}: give one or more matrices (R, R)")
    if stack.dtype.kind not in "fiub" or np.isinf(stack).any():
        raise ValueError(f"{name} holds infinity or no numbers: give NaN for what is not known")
    stack = stack.astype(np.float64)
    if symmetric:
        for k, matrix in enumerate(stack):
            if not np.allclose(matrix, matrix.T, rtol=_SYMMETRIC, atol=0, equal_nan=True):
                raise ValueError(f"{name}[{k}] is not symmetric: give (A + A.T) / 2")
    return stack


def matrix_given_pairs(
    first: Sequence[str],
    second: Sequence[str],
    values: Sequence[float],
    names: Sequence[str] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Make the symmetric matrix of a list of pairs of regions.

    Parameters
    ----------
    first, second : sequence of P str
        The two regions of each pair, in either order.
    values : sequence of P float
    names : sequence of R str, optional
        Order of the regions (default: that of their first appearance).

    Returns
    -------
    matrix : ndarray, shape (R, R)
        NaN for pairs that are not listed.
    names : tuple of R str

    Raises
    ------
    ValueError
        If lengths differ, a value is no number or infinite, a region is not among `names` or named
        twice there, or a pair is listed twice with different values.

    Examples
    --------
    >>> matrix_given_pairs(["a", "b"], ["b", "b"], [0.5, 2.0])[0]
    array([[nan, 0.5],
           [0.5, 2. ]])
    """
    first, second = [str(x) for x in first], [str(x) for x in second]
    numbers = as_array(values, "values")
    if not len(first) == len(second) == numbers.size or numbers.ndim != 1 or not first:
        raise ValueError(
            f"first has {len(first)}, second {len(second)} regions, values shape {numbers.shape}: "
            "give three lists, one entry for each pair"
        )
    if numbers.dtype.kind not in "fiub" or np.isinf(numbers).any():
        raise ValueError("values holds infinity or no numbers: give NaN for what is not known")
    seen = tuple(dict.fromkeys(name for pair in zip(first, second, strict=True) for name in pair))
    names = seen if names is None else tuple(str(name) for name in names)
    check_unique(names, "names")
    unknown = [name for name in seen if name not in names]
    if unknown:
        raise ValueError(f"names lacks {', '.join(unknown[:5])}: give every region of the pairs")
    place = {name: k for k, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    for a, b, value in zip(first, second, numbers.astype(np.float64), strict=True):
        before = matrix[place[a], place[b]]
        if not np.isnan(before) and not np.isclose(before, value, rtol=_SYMMETRIC, atol=0):
            raise ValueError(
                f"values holds {before:g} and {value:g} for {a} and {b}: give a pair once"
            )
        matrix[place[a], place[b]] = matrix[place[b], place[a]] = value
    return matrix, names


def matrix_in_order(matrix: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Bring a region matrix into another order of regions; NaN for regions that it lacks.

    Parameters
    ----------
    matrix : ndarray, shape (R, R)
    names : sequence of R str
        Regions of its rows and columns.
    wanted : sequence of Q str
        The regions that you want, in their order. Others are left out.

    Returns
    -------
    ndarray, shape (Q, Q)

    Raises
    ------
    ValueError
        If the matrix is not (R, R), a name occurs twice, or no region is common.

    Examples
    --------
    >>> matrix_in_order([[1.0, 2.0], [2.0, 3.0]], ["a", "b"], ["b", "c", "a"])
    array([[ 3., nan,  2.],
           [nan, nan, nan],
           [ 2., nan,  1.]])
    """
    square = as_squares([matrix], "matrix")[0]
    names, wanted = tuple(map(str, names)), tuple(map(str, wanted))
    check_unique(names, "names")
    check_unique(wanted, "wanted")
    if len(names) != len(square):
        raise ValueError(
            f"names has {len(names)} entries: give one for each of {len(square)} regions"
        )
    place = {name: k for k, name in enumerate(names)}
    common = [(k, place[name]) for k, name in enumerate(wanted) if name in place]
    if not common:
        raise ValueError(
            f"wanted has no region of names ({wanted[:3]} and {names[:3]} ...): give common ones"
        )
    to, at = np.array(common).T
    out = np.full((len(wanted), len(wanted)), np.nan)
    out[np.ix_(to, to)] = square[np.ix_(at, at)]
    return out
