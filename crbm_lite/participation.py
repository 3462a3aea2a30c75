r"""The effective number of entries: n times the participation ratio.

.. math:: n\,PR(x) = \frac{(\sum_k x_k^2)^2}{\sum_k x_k^4},

1 if all weight is on one entry, n if it is spread evenly. Of occupancies it counts regions, of
hidden activity above its inactive peak it counts active units, m(t).
"""

from __future__ import annotations

import numpy as np

__all__ = ["effective_number"]


def effective_number(x: np.ndarray, axis: int) -> np.ndarray:
    """Effective number of entries along an axis; NaN where all of them are 0.

    Parameters
    ----------
    x : ndarray of float
    axis : int

    Returns
    -------
    ndarray of float64
        Of the shape of x without the axis.

    Examples
    --------
    >>> import numpy as np
    >>> effective_number(np.array([[2.0, 0.0], [3.0, 3.0], [0.0, 0.0]]), axis=1)
    array([ 1.,  2., nan])
    """
    square = np.asarray(x, dtype=np.float64) ** 2
    fourth = (square**2).sum(axis=axis)
    total = square.sum(axis=axis) ** 2
    return np.divide(total, fourth, out=np.full(total.shape, np.nan), where=fourth > 0)
