r"""From the neurons of one animal to those of another, through the space that they share.

A neuron at x gets the mean of the neurons of the other animal around it,

.. math:: (S f)(x) = \frac{\sum_j k(|x - x_j|)\, f_j}{\sum_j k(|x - x_j|)}, \qquad
          k(d) = e^{-d^2 / 2\sigma^2} \text{ for } d \le 3\sigma,

over at most 64 of them, the nearest. S is a sparse matrix, made of lists of neighbours: it takes
memory in proportion to the neurons, and no grid of voxels. A neuron without neighbours gets 0.

How far a map can be carried over is read off the animal itself. Without a neuron's own value, its
neighbours predict it as far as the map is smooth; the scale

.. math:: \beta_\mu = \frac{\langle w_\mu, S' w_\mu \rangle}{\langle S' w_\mu, S' w_\mu \rangle},
          \qquad 0 \le \beta_\mu \le 1,

is the one at which S' w, S without a neuron itself, is nearest to w. The width sigma, where none is
given, is the one of a few at which the neighbours predict best.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.spatial import cKDTree

__all__ = ["chosen_width_um", "interpolation", "map_scale", "reach", "spacing_um"]

CUT = 3.0  # widths
_MOST_NEIGHBOURS = 64
_WIDTHS = (0.5, 1.0, 2.0, 4.0)  # in median distances to the nearest neighbour


def interpolation(
    from_um: np.ndarray, to_um: np.ndarray, sigma_um: float, *, leave_out_self: bool = False
) -> scipy.sparse.csr_array:
    """Make the operator S that carries values at some places over to others.

    Parameters
    ----------
    from_um, to_um : ndarray, shapes (n, 3) and (m, 3)
        Places in um.
    sigma_um : float
        Width of the kernel.
    leave_out_self : bool, default False
        Whether a place gets nothing from the place with its own index: for ``to_um`` the same
        places as ``from_um``.

    Returns
    -------
    scipy.sparse.csr_array, shape (m, n)
        Rows have the sum 1, or 0 where nothing is within three widths.

    Examples
    --------
    >>> line = np.array([[0.0, 0, 0], [10, 0, 0], [99, 0, 0]])
    >>> interpolation(line, np.array([[5.0, 0, 0], [50, 0, 0]]), 5.0).toarray()
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 0. ]])
    """
    n, m = len(from_um), len(to_um)
    most = min(_MOST_NEIGHBOURS + leave_out_self, n)
    distance, neighbour = cKDTree(from_um).query(
        to_um, k=np.arange(1, most + 1), distance_upper_bound=CUT * sigma_um
    )
    row = np.broadcast_to(np.arange(m)[:, None], distance.shape)
    counts = np.isfinite(distance)
    if leave_out_self:
        counts &= neighbour != row
    kernel = np.where(counts, np.exp(-0.5 * (distance / sigma_um) ** 2), 0.0)
    total = kernel.sum(axis=1, keepdims=True)
    kernel /= np.where(total > 0.0, total, 1.0)
    return scipy.sparse.csr_array((kernel[counts], (row[counts], neighbour[counts])), shape=(m, n))


def spacing_um(places_um: np.ndarray) -> float:
    """Return the median distance of a neuron to its nearest neighbour.

    Examples
    --------
    >>> spacing_um(np.array([[0.0, 0, 0], [3, 0, 0], [9, 0, 0]]))
    3.0
    """
    if len(places_um) < 2:
        raise ValueError(f"places_um has {len(places_um)} neurons: give two or more")
    return float(np.median(cKDTree(places_um).query(places_um, k=2)[0][:, 1]))


def map_scale(weights: np.ndarray, places_um: np.ndarray, sigma_um: float) -> np.ndarray:
    """Compute beta, (M,): how far neighbours predict a unit's weights, from 0 to 1.

    Examples
    --------
    >>> places = np.array([[float(x), 0, 0] for x in range(8)])
    >>> smooth, rough = np.ones(8), np.array([1.0, -1] * 4)
    >>> map_scale(np.stack([smooth, rough], axis=1), places, 1.0)
    array([1., 0.])
    """
    around = interpolation(places_um, places_um, sigma_um, leave_out_self=True) @ weights
    power = (around * around).sum(axis=0)
    overlap = (around * weights).sum(axis=0)
    return np.clip(np.divide(overlap, power, out=np.zeros_like(power), where=power > 0), 0.0, 1.0)


def chosen_width_um(weights: np.ndarray, places_um: np.ndarray) -> float:
    """Choose the width at which neighbours predict the weights best, over all units alike.

    The candidates are 0.5, 1, 2 and 4 times the median distance to the nearest neighbour.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> places = rng.uniform(0, 100, (400, 3))
    >>> wide = np.exp(-((places - 50) ** 2).sum(axis=1, keepdims=True) / 2 / 40**2)
    >>> noisy = wide + 0.3 * rng.normal(size=wide.shape)
    >>> chosen_width_um(wide, places) < chosen_width_um(noisy, places)
    True
    """
    weights = weights[:, (weights != 0).any(axis=0)].astype(np.float64)
    spacing = spacing_um(places_um)
    if not weights.size or spacing == 0.0:
        raise ValueError("weights are all zero, or neurons lie in one place: give a map in space")
    norm = np.sqrt((weights**2).sum(axis=0))
    losses = []
    for width in _WIDTHS:
        sigma_um = width * spacing
        around = interpolation(places_um, places_um, sigma_um, leave_out_self=True) @ weights
        left = map_scale(weights, places_um, sigma_um) * around - weights
        losses.append(float((np.square(left / norm)).sum(axis=0).mean()))
    return _WIDTHS[int(np.argmin(losses))] * spacing


def reach(
    weights: np.ndarray, from_um: np.ndarray, to_um: np.ndarray, distance_um: float
) -> np.ndarray:
    """Compute the share of a unit's weights, by |w|, that has a neuron of the other animal near.

    Parameters
    ----------
    weights : ndarray, shape (n, M)
    from_um, to_um : ndarray, shapes (n, 3) and (m, 3)
        Places of the neurons that have the weights, and of the others.
    distance_um : float

    Returns
    -------
    ndarray, shape (M,)
        0 for a unit without weights.

    Examples
    --------
    >>> places = np.array([[0.0, 0, 0], [50, 0, 0]])
    >>> reach(np.array([[3.0, 0], [-1, 2]]), places, places[:1] + 4.0, distance_um=8.0)
    array([0.75, 0.  ])
    """
    is_near = np.isfinite(cKDTree(to_um).query(from_um, distance_upper_bound=distance_um)[0])
    size = np.abs(weights).astype(np.float64)
    total = size.sum(axis=0)
    return np.divide(is_near @ size, total, out=np.zeros_like(total), where=total > 0)
