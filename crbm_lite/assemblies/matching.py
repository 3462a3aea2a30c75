r"""Which assemblies are the same: between runs, over several seeds, and across the midline.

Two assemblies are compared by Pearson's r of their weights over neurons. Pairs are chosen one to
one so that the sum of |r| is largest (Hungarian method). The sign does not count, because h and -h
say the same.

No neuron has a partner on the other side, so weights are averaged over the k neurons nearest to a
place: :math:`\bar w_\mu(x_i)` at each neuron's place, and :math:`\bar w_\mu(x_i')` at its mirror
image across the plane x = midline. Assembly nu is the image of mu as far as the two correlate:

.. math:: r_{\mu\nu} = \frac12\bigl[\mathrm{corr}_i(\bar w_\mu(x_i), \bar w_\nu(x_i'))
          + \mathrm{corr}_i(\bar w_\nu(x_i), \bar w_\mu(x_i'))\bigr].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_count, as_number
from crbm_lite.checks.arrays import finite_places, finite_weights
from crbm_lite.measures import correlations_of_columns

__all__ = [
    "AssemblyMatch",
    "Stability",
    "SymmetricPairs",
    "match_assemblies",
    "stability",
    "symmetric_pairs",
]


@dataclass(frozen=True, eq=False)
class AssemblyMatch:
    """Pairs of assemblies of two runs, best first.

    Parameters
    ----------
    first, second : (K,) int
        Columns of the first and the second weights.
    correlation : (K,) float64
        Signed Pearson correlation over neurons; a pair of opposite sign is the same assembly.
    """

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray


def match_assemblies(first: np.ndarray, second: np.ndarray) -> AssemblyMatch:
    """Match assemblies one to one so that the sum of |correlation| is largest (Hungarian method).

    Parameters
    ----------
    first : (N, M) float
    second : (N, K) float
        Weights of another run, or the planted ones, ``truth.effects``.

    Returns
    -------
    AssemblyMatch
        The smaller of M and K pairs.

    Raises
    ------
    ValueError
        If the numbers of neurons differ.

    Examples
    --------
    >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> match_assemblies(w, -w[:, ::-1]).correlation.round(6)
    array([-1., -1.])
    """
    from scipy.optimize import linear_sum_assignment

    first, second = finite_weights(first, "first"), finite_weights(second, "second")
    if len(first) != len(second):
        raise ValueError(
            f"first has {len(first)} neurons, second {len(second)}: give the same neurons in both"
        )
    r = correlations_of_columns(first, second)
    rows, columns = linear_sum_assignment(-np.abs(r))
    best = np.argsort(-np.abs(r[rows, columns]), kind="stable")
    rows, columns = rows[best], columns[best]
    return AssemblyMatch(rows, columns, r[rows, columns])


@dataclass(frozen=True, eq=False)
class Stability:
    """How well each assembly of each run is found again in every other run.

    Parameters
    ----------
    correlation : (K, K, M) float64
        Entry [a, b, mu] is |r| of assembly mu of run a with its match in run b, 0 if it has none.
        It is NaN for a = b and for hidden units without weights.
    """

    correlation: np.ndarray

    @property
    def per_assembly(self) -> np.ndarray:
        """(K, M) mean |r| over the other runs; NaN for hidden units without weights."""
        others = self.correlation.shape[0] - 1
        return np.nansum(self.correlation, axis=1) / np.where(self._used, others, np.nan)

    @property
    def _used(self) -> np.ndarray:
        return np.isfinite(self.correlation).any(axis=1)

    def fraction_above(self, correlation: float = 0.5) -> float:
        """Give the fraction of the assemblies of all runs whose mean |r| is larger; NaN if none."""
        if not self._used.any():
            return float("nan")
        return float((self.per_assembly[self._used] > correlation).mean())


def stability(runs: Sequence[np.ndarray]) -> Stability:
    """Match the assemblies of each run with those of every other, for instance over five seeds.

    Parameters
    ----------
    runs : sequence of K arrays (N, M)
        Weights. A run with fewer hidden units than the largest counts as if it had empty ones.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If there are fewer than two runs, or their neurons differ in number.

    Examples
    --------
    >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> stability([w, w[:, ::-1], -w]).per_assembly.round(6)
    array([[1., 1.],
           [1., 1.],
           [1., 1.]])
    """
    runs = [finite_weights(w, f"runs[{k}]") for k, w in enumerate(runs)]
    if len(runs) < 2:
        raise ValueError(f"runs holds {len(runs)}: give the weights of two runs or more")
    largest = max(w.shape[1] for w in runs)
    result = np.full((len(runs), len(runs), largest), np.nan)
    for a, first in enumerate(runs):
        used = np.flatnonzero((first != 0).any(axis=0))
        for b in range(len(runs)):
            if a != b:
                match = match_assemblies(first, runs[b])
                found = np.zeros(first.shape[1])
                found[match.first] = np.abs(match.correlation)
                result[a, b, used] = found[used]
    return Stability(result)


@dataclass(frozen=True, eq=False)
class SymmetricPairs:
    """Assemblies that are mirror images of each other, or of themselves.

    Parameters
    ----------
    pairs : (P, 2) int
        Each assembly of a pair is the best image of the other. The best pair comes first, and of a
        pair the one further left.
    correlation : (P,) float64
        r of each pair.
    bilateral : (B,) int
        Assemblies that are their own best image, the most symmetric first.
    image_correlation : (M, M) float64
        r of all pairs, as in the module's docstring; symmetric, and 0 for units without weights.
    """

    pairs: np.ndarray
    correlation: np.ndarray
    bilateral: np.ndarray
    image_correlation: np.ndarray


def symmetric_pairs(
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    midline: float | None = None,
    min_correlation: float = 0.5,
    n_neighbours: int = 10,
) -> SymmetricPairs:
    """Find left/right pairs of assemblies, and assemblies that are symmetric themselves.

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float
        x runs from left to right.
    midline : float, optional
        x of the plane of symmetry, in the unit of the coordinates (default their median).
    min_correlation : float
        Least r of a pair or of a symmetric assembly (default 0.5).
    n_neighbours : int
        Neurons over which weights are averaged, at most N of them (default 10).

    Returns
    -------
    SymmetricPairs

    Raises
    ------
    ValueError
        If there are no coordinates, they do not fit or are not finite, all neurons share one x, so
        that there are no sides, the midline is not finite, or n_neighbours is not positive.

    Examples
    --------
    >>> x = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    >>> places = np.c_[x, np.zeros((6, 2))]
    >>> w = np.c_[x == 3, x == -3, np.abs(x) == 1].astype(float)
    >>> found = symmetric_pairs(w, places, n_neighbours=1)
    >>> found.pairs.tolist(), found.bilateral.tolist()
    ([[1, 0]], [2])
    """
    from scipy.spatial import cKDTree

    weights = finite_weights(weights, "weights").astype(np.float64)
    places = finite_places(coordinates, len(weights))
    n_neighbours = as_count(n_neighbours, "n_neighbours")
    min_correlation = as_number(min_correlation, "min_correlation", "the least r of a pair")
    if midline is not None:
        midline = as_number(midline, "midline", "the x of the plane of symmetry")
    if np.ptp(places[:, 0]) == 0:
        raise ValueError("coordinates has one x only: give neurons on the left and on the right")
    image = places.copy()
    image[:, 0] = 2 * (np.median(places[:, 0]) if midline is None else midline) - image[:, 0]
    n, k = len(places), min(n_neighbours, len(places))
    tree = cKDTree(places)
    smooth = []
    for points in (places, image):
        near = tree.query(points, k)[1].reshape(n, k)
        average = (np.full(n * k, 1 / k), near.ravel(), np.arange(0, n * k + 1, k))
        smooth.append(scipy.sparse.csr_array(average, shape=(n, n)) @ weights)
    r = correlations_of_columns(*smooth)
    r = (r + r.T) / 2
    best = r.argmax(axis=1)
    units = np.arange(len(r))
    good = r[units, best] >= min_correlation
    bilateral = units[good & (best == units)]
    pairs = np.array(
        [(a, best[a]) for a in units if good[a] and best[best[a]] == a and a < best[a]], dtype=int
    ).reshape(-1, 2)
    strength = np.abs(weights)
    centre_x = (places[:, 0] @ strength) / np.maximum(strength.sum(axis=0), 1e-300)
    pairs = np.take_along_axis(pairs, np.argsort(centre_x[pairs], axis=1), axis=1)
    value = r[tuple(pairs.T)]
    order = np.argsort(-value, kind="stable")
    bilateral = bilateral[np.argsort(-r[bilateral, bilateral], kind="stable")]
    return SymmetricPairs(pairs[order], value[order], bilateral, r)
