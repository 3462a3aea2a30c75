r"""Measures of arrays that several parts of the book share: correlations, effective numbers.

.. math::

    r_{ab} = \frac{\sum_t (x_{ta} - \bar x_a)(y_{tb} - \bar y_b)}
                  {\lVert x_a - \bar x_a \rVert\,\lVert y_b - \bar y_b \rVert},
    \qquad n\,PR(x) = \frac{(\sum_k x_k^2)^2}{\sum_k x_k^4}
"""

from __future__ import annotations

import numpy as np

from crbm_lite.checks.arguments import as_array, as_numbers

__all__ = ["centred_columns", "correlations_of_columns", "effective_number"]


def centred_columns(x: np.ndarray) -> np.ndarray:
    """Subtract the mean over the rows; a column that is constant becomes 0 exactly.

    The mean of a constant column may differ from it by rounding, which is no variance.

    Parameters
    ----------
    x : ndarray, shape (n,) or (n, A)

    Returns
    -------
    ndarray of float64, of the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> x = np.full(300, 0.1)
    >>> bool((x - x.mean()).any()), bool(centred_columns(x).any())
    (True, False)
    """
    constant = (x == x[:1]).all(axis=0)
    return np.where(constant, 0.0, x - np.mean(x, axis=0, dtype=np.float64))


def correlations_of_columns(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """Correlate the columns of x with those of y, or with each other (Pearson).

    numpy's ``corrcoef`` gives NaN for a constant column. Here a hidden unit without weights, or one
    that never changes, is uncorrelated with everything.

    Parameters
    ----------
    x : ndarray, shape (n, A)
    y : ndarray, shape (n, B), optional

    Returns
    -------
    ndarray of float64, shape (A, B) or (A, A)
        0 where a column is constant, with itself too.

    Examples
    --------
    >>> import numpy as np
    >>> correlations_of_columns(np.array([[0, 5, 1], [1, 5, 0]])).round(6)
    array([[ 1.,  0., -1.],
           [ 0.,  0.,  0.],
           [-1.,  0.,  1.]])
    """
    first = _unit_columns(x)
    return first.T @ (first if y is None else _unit_columns(y))


def _unit_columns(x: np.ndarray) -> np.ndarray:
    centred = centred_columns(as_array(x, "x"))
    norm = np.linalg.norm(centred, axis=0)
    return centred / np.where(norm > 0, norm, 1.0)


def effective_number(x: np.ndarray, axis: int) -> np.ndarray:
    """Count the entries that matter along an axis: n times the participation ratio.

    It is 1 if all weight lies on one entry and n if the weight is spread evenly. Of occupancies it
    counts regions; of hidden activity above its inactive peak it counts active units, m(t).

    Parameters
    ----------
    x : ndarray of float
    axis : int

    Returns
    -------
    ndarray of float64
        The shape of x without the axis; NaN where all entries are 0.

    Examples
    --------
    >>> import numpy as np
    >>> effective_number(np.array([[2.0, 0.0], [3.0, 3.0], [0.0, 0.0]]), axis=1)
    array([ 1.,  2., nan])
    """
    square = as_numbers(x, "x") ** 2
    fourth = (square**2).sum(axis=axis)
    total = square.sum(axis=axis) ** 2
    return np.divide(total, fourth, out=np.full(total.shape, np.nan), where=fourth > 0)
