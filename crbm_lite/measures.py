r"""Pearson correlations between columns, of which some may be constant.

.. math:: r_{ab} = \frac{\sum_t (x_{ta} - \bar x_a)(y_{tb} - \bar y_b)}
                        {\lVert x_a - \bar x_a \rVert\,\lVert y_b - \bar y_b \rVert}

numpy's ``corrcoef`` gives NaN for a constant column; a hidden unit without weights, or one that
never changes, is here uncorrelated with everything.
"""

from __future__ import annotations

import numpy as np

__all__ = ["correlations_of_columns"]


def correlations_of_columns(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """Pearson correlations of the columns of x with those of y, or with each other.

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
    centred = x - np.mean(x, axis=0, dtype=np.float64)
    norm = np.linalg.norm(centred, axis=0)
    return centred / np.where(norm > 0, norm, 1.0)
