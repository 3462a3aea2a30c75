r"""Scores of one statistic: RMSE, normalised RMSE, Pearson correlation and joint density.

A statistic (a mean for every neuron, a covariance for every pair, ...) is three lists of entries: x
from the test data, y from the model and z from the training data. With
:math:`\mathrm{RMSE}(x, y) = \sqrt{\langle (x-y)^2 \rangle}` over the entries,

.. math::

    \mathrm{nRMSE} = 1 - \frac{\mathrm{RMSE}(x, y) - \mathrm{RMSE}_\mathrm{shuffled}}
                              {\mathrm{RMSE}(x, z) - \mathrm{RMSE}_\mathrm{shuffled}}:

0 is as good as train against test data, 1 as bad as shuffled entries, negative better than the
training data. Shuffled means the entries of y paired at random with those of x (a permutation
across units or pairs, not of time). The mean square over all permutations is known without making
any,

.. math::

    \mathrm{RMSE}_\mathrm{shuffled}^2 = \mathrm{Var}(x) + \mathrm{Var}(y) + (\bar x - \bar y)^2,

so that is what is used: the root of the exact average over permutations, free of the noise of a
single one (which fades as entries become many) and of any array of all pairs.

Entries arrive in tiles. A tile is summed in two passes (its means, then the deviations from them),
and the tiles are merged in a fixed order, all in float64: nothing cancels, and the result does not
depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numba
import numpy as np
from numba import njit

__all__ = ["JointDensity", "StatisticScore", "empty_score", "score_entries", "score_tiles"]

Tile = tuple[np.ndarray, np.ndarray, np.ndarray]

_N_BINS = 100
_ENTRY_TILE = 2**17


@dataclass(frozen=True, eq=False)
class JointDensity:
    """Where the entries of a statistic lie, data against model; what a scatter plot shows.

    Attributes
    ----------
    data, model : (K,) float64
        A random subsample of the entries (all of them if there are few), data and model side.
    edges : (B + 1,) float64
        Bin edges, the same for data and model.
    counts : (B, B) int64
        Entries by [data bin, model bin], over all entries.
    n_outside : int
        Entries beyond the edges, which span the subsample and a margin.
    """

    data: np.ndarray
    model: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    n_outside: int


@dataclass(frozen=True, eq=False)
class StatisticScore:
    """How well a model reproduces one statistic of test data; equations in this module.

    Attributes
    ----------
    rmse : float
        Test data against model, in the unit of the statistic.
    rmse_optimal : float
        Test data against training data: the noise floor of the recording.
    rmse_shuffled : float
        Test data against the model's entries in random order (exact average over permutations).
    nrmse : float
        0 at `rmse_optimal`, 1 at `rmse_shuffled`; NaN where the two are equal.
    pearson_r, pearson_r_optimal : float
        Correlation of test data with model, and with training data; NaN for constant entries.
    n_entries : int
        Neurons, units or pairs compared; without any, every number is NaN.
    density : JointDensity
        What the scatter plot shows.
    """

    rmse: float
    rmse_optimal: float
    rmse_shuffled: float
    nrmse: float
    pearson_r: float
    pearson_r_optimal: float
    n_entries: int
    density: JointDensity = field(repr=False)


@njit(nogil=True, cache=True)
def _tile_sums(x, y, z, low, bins_per_unit, histogram, out):
    """Fill `out` with what `_merge` needs of one tile, and add its entries to the histogram."""
    n = x.size
    sum_x = sum_y = sum_z = 0.0
    for k in range(n):  # from the first entry, so that constant entries have no variance at all
        sum_x += x[k] - x[0]
        sum_y += y[k] - y[0]
        sum_z += z[k] - z[0]
    mean_x, mean_y, mean_z = x[0] + sum_x / n, y[0] + sum_y / n, z[0] + sum_z / n
    xx = yy = zz = xy = xz = model = optimal = 0.0
    n_bins = histogram.shape[0]
    for k in range(n):
        dx, dy, dz = x[k] - mean_x, y[k] - mean_y, z[k] - mean_z
        xx += dx * dx
        yy += dy * dy
        zz += dz * dz
        xy += dx * dy
        xz += dx * dz
        model += (x[k] - y[k]) ** 2
        optimal += (x[k] - z[k]) ** 2
        at_x, at_y = (x[k] - low) * bins_per_unit, (y[k] - low) * bins_per_unit
        if 0.0 <= at_x < n_bins and 0.0 <= at_y < n_bins:
            histogram[int(at_x), int(at_y)] += 1
    out[0], out[1], out[2], out[3] = n, mean_x, mean_y, mean_z
    out[4], out[5], out[6], out[7], out[8] = xx, yy, zz, xy, xz
    out[9], out[10] = model, optimal


def _merge(table: np.ndarray, density: JointDensity) -> StatisticScore:
    """Score from the sums of all tiles, one a row of `table`."""
    table = table[table[:, 0] > 0]
    n_tile, means = table[:, 0], table[:, 1:4]
    n = n_tile.sum()
    mean = means[0] + (n_tile[:, None] * (means - means[0])).sum(axis=0) / n
    dx, dy, dz = (means - mean).T
    var_x, var_y, var_z, cov_xy, cov_xz = (
        (table[:, column] + n_tile * a * b).sum() / n
        for column, a, b in ((4, dx, dx), (5, dy, dy), (6, dz, dz), (7, dx, dy), (8, dx, dz))
    )
    rmse, rmse_optimal = np.sqrt(table[:, 9].sum() / n), np.sqrt(table[:, 10].sum() / n)
    rmse_shuffled = np.sqrt(var_x + var_y + (mean[0] - mean[1]) ** 2)
    spread = rmse_optimal - rmse_shuffled
    return StatisticScore(
        rmse=float(rmse),
        rmse_optimal=float(rmse_optimal),
        rmse_shuffled=float(rmse_shuffled),
        nrmse=float(1.0 - (rmse - rmse_shuffled) / spread) if spread != 0 else float("nan"),
        pearson_r=_correlation(cov_xy, var_x, var_y),
        pearson_r_optimal=_correlation(cov_xz, var_x, var_z),
        n_entries=int(n),
        density=density,
    )


def _correlation(covariance: float, var_a: float, var_b: float) -> float:
    if var_a <= 0 or var_b <= 0:
        return float("nan")
    return float(np.clip(covariance / np.sqrt(var_a * var_b), -1.0, 1.0))


def _edges(data: np.ndarray, model: np.ndarray) -> np.ndarray:
    low, high = min(data.min(), model.min()), max(data.max(), model.max())
    margin = 0.05 * (high - low) if high > low else 0.5 * max(abs(high), 1.0)
    return np.linspace(low - margin, high + margin, _N_BINS + 1)


def empty_score() -> StatisticScore:
    """Score of a statistic without entries: NaN everywhere."""
    nothing = np.empty(0)
    counts = np.zeros((_N_BINS, _N_BINS), dtype=np.int64)
    density = JointDensity(nothing, nothing, np.linspace(0.0, 1.0, _N_BINS + 1), counts, 0)
    nan = float("nan")
    return StatisticScore(nan, nan, nan, nan, nan, nan, 0, density)


def score_tiles(
    tile: Callable[[int], Tile], n_tiles: int, data: np.ndarray, model: np.ndarray
) -> StatisticScore:
    """Score entries that are made tile by tile and forgotten.

    Parameters
    ----------
    tile : callable
        Returns the entries (test data, model, training data) of tile 0 .. n_tiles - 1, 1-D float64
        arrays of one length; called from several threads.
    n_tiles : int
    data, model : (K,) float64
        Subsample of the entries for the scatter plot, which also sets the range of the histogram.

    Returns
    -------
    StatisticScore
    """
    edges = _edges(data, model)
    low, bins_per_unit = edges[0], _N_BINS / (edges[-1] - edges[0])
    table = np.zeros((n_tiles, 11))
    n_workers = max(1, min(numba.get_num_threads(), n_tiles))
    histograms = np.zeros((n_workers, _N_BINS, _N_BINS), dtype=np.int64)

    def work(worker: int) -> None:
        for k in range(worker, n_tiles, n_workers):
            x, y, z = tile(k)
            if x.size:
                _tile_sums(x, y, z, low, bins_per_unit, histograms[worker], table[k])

    with ThreadPoolExecutor(n_workers) as pool:
        list(pool.map(work, range(n_workers)))
    counts = histograms.sum(axis=0)
    n_outside = int(table[:, 0].sum()) - int(counts.sum())
    return _merge(table, JointDensity(data, model, edges, counts, n_outside))


def score_entries(
    data: np.ndarray,
    model: np.ndarray,
    train: np.ndarray,
    rng: np.random.Generator,
    *,
    n_scatter: int = 20_000,
) -> StatisticScore:
    """Score a statistic whose entries fit in memory (means, <v h>, covariances of hidden units).

    Parameters
    ----------
    data, model, train : (n,) float64
        The entries of the test data, the model and the training data.
    rng : numpy.random.Generator
        Chooses the subsample of the scatter plot; no number depends on it.
    n_scatter : int
        Entries in that subsample; at most all.

    Returns
    -------
    StatisticScore

    Raises
    ------
    ValueError
        If the three differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([0.1, 0.2, 0.3, 0.4])
    >>> score = score_entries(x, x + 0.01, x - 0.02, np.random.default_rng(0))
    >>> print(f"{score.rmse:.3f} {score.rmse_optimal:.3f} {score.pearson_r:.3f} {score.nrmse:.3f}")
    0.010 0.020 1.000 -0.072
    """
    x, y, z = (np.ascontiguousarray(entry, dtype=np.float64) for entry in (data, model, train))
    if not x.shape == y.shape == z.shape == (x.size,):
        raise ValueError(
            f"data, model and train must have one shape (n,): got {x.shape}, {y.shape}, {z.shape}."
        )
    if x.size == 0:
        return empty_score()
    chosen = np.arange(x.size)
    if x.size > n_scatter:
        chosen = np.sort(rng.choice(x.size, n_scatter, replace=False, shuffle=False))

    def tile(k: int) -> Tile:
        part = slice(k * _ENTRY_TILE, (k + 1) * _ENTRY_TILE)
        return x[part], y[part], z[part]

    return score_tiles(tile, -(-x.size // _ENTRY_TILE), x[chosen], y[chosen])
