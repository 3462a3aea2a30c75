r"""Connectivity of regions: the mean :math:`|J_{ij}|` over the pairs of neurons of two regions.

J is given by a factor W (N, K) and scales s (K,), :math:`J_{ij} = \sum_k w_{ik} s_k w_{jk}`
(Eq. 17, `crbm_lite.connectivity.couplings`). It is never held as a whole. With a sparse W, one row
of J at a time is made from the neurons that share a hidden unit; with a dense W, BLAS makes tiles.
A diagonal block is the average over the N(N-1)/2 distinct pairs. The paper's Methods divide by N^2
there: both are offered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_array, as_numbers, is_integer
from crbm_lite.checks.sparse import as_dense, as_sparse
from crbm_lite.core.compilation import items_of, parallel_njit

__all__ = ["RegionConnectivity", "aggregate_regions", "region_connectivity", "region_given_neuron"]

_TILE = 2048
_MOST_REGIONS = 10_000  # a larger number is an atlas's identifier, not a row of a matrix
_DENSE_ABOVE = 0.15  # density of W from which BLAS beats the walk over shared hidden units


@dataclass(frozen=True, eq=False)
class RegionConnectivity:
    """The mean absolute couplings between regions.

    Attributes
    ----------
    values : ndarray of float64, shape (R, R)
        Exactly symmetric; NaN in rows and columns of regions with too few neurons.
    n_neurons : ndarray of int64, shape (R,)
        Number of neurons in each region.
    diagonal : str
        How blocks within a region were divided: "pairs" or "squares".
    """

    values: np.ndarray
    n_neurons: np.ndarray
    diagonal: str


def region_given_neuron(labels: object) -> tuple[np.ndarray, int]:
    """Find the one region of each neuron, from a vector or from a membership matrix.

    Parameters
    ----------
    labels : array_like of int (N,), or 0/1 matrix (N, R), dense or scipy.sparse
        A vector holds regions numbered from 0 on, and -1 for none.

    Returns
    -------
    region : ndarray of int64, shape (N,)
    n_regions : int

    Raises
    ------
    ValueError
        If a neuron has several regions, the matrix holds other numbers than 0 and 1, or the vector
        does not hold whole numbers from -1 on, up to 9,999.

    Examples
    --------
    >>> region_given_neuron([[0, 1], [0, 0], [1, 0]])
    (array([ 1, -1,  0]), 2)
    """
    if scipy.sparse.issparse(labels) or np.ndim(labels) == 2:
        sparse = scipy.sparse.issparse(labels)
        values = as_sparse(labels, "labels") if sparse else as_array(labels, "labels")
        numbers = values.data if sparse else values
        if values.dtype.kind not in "biuf" or not np.isin(numbers, (0, 1)).all():
            raise ValueError(
                "labels holds other numbers than 0 and 1: give 1 where a neuron is in a region"
            )
        member = scipy.sparse.csr_array(values) != 0
        count = np.asarray(member.sum(axis=1)).ravel()
        if (count > 1).any():
            raise ValueError(
                f"labels puts neuron {int(np.argmax(count > 1))} into several regions: give "
                "columns that do not overlap"
            )
        region = np.full(member.shape[0], -1, np.int64)
        rows, columns = member.nonzero()
        region[rows] = columns
        return region, member.shape[1]
    vector = as_array(labels, "labels")
    if vector.ndim != 1 or vector.size == 0 or vector.dtype.kind not in "iuf":
        raise ValueError(
            f"labels has shape {vector.shape} and dtype {vector.dtype}: give a vector of regions, "
            "or a 0/1 matrix (neurons, regions)"
        )
    region = vector.astype(np.int64) if np.isfinite(vector).all() else None
    if region is None or (region != vector).any() or (region < -1).any():
        raise ValueError(
            "labels holds other numbers than regions: give whole numbers, -1 for no region"
        )
    if region.max(initial=-1) >= _MOST_REGIONS:
        raise ValueError(
            f"labels holds region {region.max()}: number regions from 0 on, for instance by "
            "np.unique(labels, return_inverse=True)"
        )
    return region, int(region.max(initial=-1)) + 1


@parallel_njit(fastmath={"reassoc"})
def _row_sums(
    thread, row_starts, units, row_values, unit_starts, neurons, values, scales, region_starts, out
):
    """Sum |J_ij| over j > i in each region, row by row; ``out`` is (N, R)."""
    n, n_regions = out.shape
    for k in items_of(thread, n):
        i = k // 2 if k % 2 == 0 else n - 1 - k // 2  # short and long rows for every thread
        row = np.zeros(n, row_values.dtype)
        for p in range(row_starts[i], row_starts[i + 1]):
            mu = units[p]
            c = row_values[p] * scales[mu]
            first = unit_starts[mu]
            last = unit_starts[mu + 1]
            first += np.searchsorted(neurons[first:last], i + 1)
            for q in range(first, last):
                row[neurons[q]] += c * values[q]
        for r in range(n_regions):
            total = 0.0
            for j in range(max(i + 1, region_starts[r]), region_starts[r + 1]):
                total += abs(row[j])
            out[i, r] = total


def _sparse_sums(weights: np.ndarray, scales: np.ndarray, starts: np.ndarray) -> np.ndarray:
    rows = scipy.sparse.csr_array(weights)
    columns = rows.tocsc()
    columns.sort_indices()
    out = np.empty((weights.shape[0], len(starts) - 1))
    _row_sums(
        rows.indptr, rows.indices, rows.data, columns.indptr, columns.indices, columns.data,
        scales, starts, out,
    )  # fmt: skip
    blocks = [out[a:b].sum(axis=0) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return np.array(blocks)


def _dense_sums(weights: np.ndarray, scales: np.ndarray, starts: np.ndarray) -> np.ndarray:
    n_regions = len(starts) - 1
    out = np.zeros((n_regions, n_regions))
    for a in range(n_regions):
        for top in range(starts[a], starts[a + 1], _TILE):
            bottom = min(top + _TILE, starts[a + 1])
            scaled = weights[top:bottom] * scales
            for b in range(a, n_regions):
                for left in range(starts[b] if b > a else top, starts[b + 1], _TILE):
                    right = min(left + _TILE, starts[b + 1])
                    tile = scaled @ weights[left:right].T
                    np.abs(tile, out=tile)
                    if left == top:
                        tile = np.triu(tile, 1)
                    out[a, b] += tile.sum(axis=1).sum(dtype=np.float64)
    return out


def region_connectivity(
    weights: np.ndarray,
    mean_variance: np.ndarray,
    labels: object,
    *,
    n_regions: int | None = None,
    min_neurons: int = 5,
    diagonal: str = "pairs",
) -> RegionConnectivity:
    """Average |J_ij| over the pairs of neurons of every two regions.

    Parameters
    ----------
    weights : ndarray or scipy.sparse of float32 or float64, shape (N, K)
        From `crbm_lite.connectivity.couplings.factor_of_models` for repeated models, from
        ``factor_of_covariance`` for covariances.
    mean_variance : ndarray, shape (K,)
        The scales.
    labels : vector (N,) or matrix (N, R)
        See `region_given_neuron`. Neurons without a region are left out.
    n_regions : int, optional
        R, if the labels are a vector that does not name every region.
    min_neurons : int
        Regions with fewer neurons are NaN (default 5, at least 2).
    diagonal : {"pairs", "squares"}
        Divide the sum over i != j of a region by N(N-1) (default), or by N^2 as the paper's Methods
        do.

    Returns
    -------
    RegionConnectivity

    Raises
    ------
    ValueError
        If shapes disagree, or an option is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([[1.0], [1.0], [2.0], [-2.0]])
    >>> region_connectivity(weights, np.ones(1), [0, 0, 1, 1], min_neurons=2).values
    array([[1., 2.],
           [2., 4.]])
    """
    region, n_found = region_given_neuron(labels)
    n_regions = n_found if n_regions is None else n_regions
    weights, scales = as_dense(weights, "weights"), as_array(mean_variance, "mean_variance")
    if weights.dtype.kind not in "fiub" or scales.dtype.kind not in "fiub":
        raise ValueError(
            f"weights has dtype {weights.dtype}, mean_variance {scales.dtype}: give real numbers"
        )
    if weights.dtype not in (np.float32, np.float64):
        weights = weights.astype(np.float64)
    scales = scales.astype(weights.dtype)
    if weights.ndim != 2 or len(weights) != len(region) or scales.shape != weights.shape[1:]:
        raise ValueError(
            f"weights has shape {weights.shape}, mean_variance {scales.shape}, and labels is for "
            f"{len(region)} neurons: give (N, K), (K,) and N"
        )
    if not (np.isfinite(weights).all() and np.isfinite(scales).all()):
        raise ValueError("weights or mean_variance holds NaN or infinity: give finite numbers")
    check_region_options(n_found, n_regions, min_neurons, diagonal)
    counts = np.bincount(region[region >= 0], minlength=n_regions)
    used = np.flatnonzero(counts >= min_neurons)
    position = np.full(n_regions + 1, -1)
    position[used] = np.arange(len(used))
    place = position[region]
    order = np.argsort(place, kind="stable")[(place < 0).sum() :]
    starts = np.concatenate([[0], np.cumsum(counts[used])])
    sorted_weights = np.ascontiguousarray(weights[order])
    density = np.count_nonzero(sorted_weights) / max(sorted_weights.size, 1)
    sums = (_dense_sums if density > _DENSE_ABOVE else _sparse_sums)(sorted_weights, scales, starts)
    return _averaged(sums, used, counts, diagonal)


def aggregate_regions(
    matrix: np.ndarray,
    labels: object,
    *,
    n_regions: int | None = None,
    min_neurons: int = 5,
    diagonal: str = "pairs",
) -> RegionConnectivity:
    """Average couplings that are given as a matrix (N, N) over regions: pairwise baselines.

    The upper triangle counts. Parameters, Raises: see `region_connectivity`.

    Examples
    --------
    >>> import numpy as np
    >>> aggregate_regions(np.full((4, 4), -3.0), [0, 0, 1, 1], min_neurons=2).values
    array([[3., 3.],
           [3., 3.]])
    """
    region, n_found = region_given_neuron(labels)
    n_regions = n_found if n_regions is None else n_regions
    matrix = as_numbers(matrix, "matrix")
    if matrix.shape != (len(region),) * 2:
        raise ValueError(f"matrix has shape {matrix.shape}: give (N, N), N = {len(region)}")
    if not np.isfinite(matrix).all():
        raise ValueError(
            "matrix holds NaN or infinity: give finite numbers, or leave those neurons out"
        )
    check_region_options(n_found, n_regions, min_neurons, diagonal)
    counts = np.bincount(region[region >= 0], minlength=n_regions)
    used = np.flatnonzero(counts >= min_neurons)
    member = (region[:, None] == used).astype(np.float64)
    upper = member.T @ np.triu(np.abs(matrix), 1) @ member
    sums = np.triu(upper + np.tril(upper, -1).T)
    return _averaged(sums, used, counts, diagonal)


def check_region_options(n_found: int, n_regions: int, min_neurons: int, diagonal: str) -> None:
    """Raise ValueError unless the options of `region_connectivity` make sense."""
    for name, value in (("n_regions", n_regions), ("min_neurons", min_neurons)):
        if not is_integer(value):
            raise ValueError(f"{name} is {value!r}: give a whole number")
    if n_regions < n_found:
        raise ValueError(f"n_regions is {n_regions}: give at least {n_found}, as labels names them")
    if min_neurons < 2:
        raise ValueError(f"min_neurons is {min_neurons}: give 2 or more, a pair")
    if diagonal not in ("pairs", "squares"):
        raise ValueError(f'diagonal is {diagonal!r}: give "pairs" or "squares"')


def _averaged(
    sums: np.ndarray, used: np.ndarray, counts: np.ndarray, diagonal: str
) -> RegionConnectivity:
    """Divide the sums (upper triangle, i < j within a region) by the numbers of pairs."""
    n = counts[used].astype(np.float64)
    pairs = np.outer(n, n)
    within = n * (n - 1) / 2 if diagonal == "pairs" else n**2 / 2
    pairs[np.diag_indices(len(n))] = within
    upper = np.triu(sums) / pairs
    values = np.full((len(counts),) * 2, np.nan)
    values[np.ix_(used, used)] = upper + np.triu(upper, 1).T
    return RegionConnectivity(values, counts, diagonal)
