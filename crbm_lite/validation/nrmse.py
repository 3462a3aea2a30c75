r"""The nRMSE of one statistic, with its RMSEs, Pearson correlations and joint density.

A statistic is a list of entries: one mean per neuron, one covariance per pair, and so on. It comes
three times: x from the test data, y from the model and z from the training data. With
:math:`\mathrm{RMSE}(x, y) = \sqrt{\langle (x-y)^2 \rangle}` over the entries,

.. math::

    \mathrm{nRMSE} = 1 - \frac{\mathrm{RMSE}(x, y) - \mathrm{RMSE}_\mathrm{shuffled}}
                              {\mathrm{RMSE}(x, z) - \mathrm{RMSE}_\mathrm{shuffled}}.

It is 0 where the model is as near to the test data as the training data are, 1 where it is as far
as shuffled entries are, and negative where it is nearer than the training data. Shuffled means that
the entries of y are paired at random with those of x: units or pairs are permuted, not frames. The
mean square over all permutations is known without making any,

.. math::

    \mathrm{RMSE}_\mathrm{shuffled}^2 = \mathrm{Var}(x) + \mathrm{Var}(y) + (\bar x - \bar y)^2.

Its root is what is used here. A single permutation would add noise, and would need an array of all
pairs.

Where shuffled entries are hardly farther from the test data than the training data are, the nRMSE
divides by next to nothing and has no scale (`StatisticScore.has_scale`).

Entries arrive in tiles. A tile is summed in two passes: its means, then the deviations from them.
The tiles are merged in a fixed order, all in float64, so nothing cancels and the result does not
depend on the number of threads. For the covariances of all pairs of neurons (1.25e9 pairs for
50,000 neurons) a tile is a block of neurons against another, made by
`crbm_lite.validation.moments` when it is needed and then forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numba
import numpy as np

from crbm_lite.checks.arguments import as_numbers
from crbm_lite.core.compilation import cached_njit
from crbm_lite.validation.moments import SampleMoments

__all__ = ["JointDensity", "StatisticScore", "score_covariances_vv", "score_entries"]

Tile = tuple[np.ndarray, np.ndarray, np.ndarray]

_N_BINS = 100
_ENTRY_TILE = 2**17
_LEAST_STANDARD_ERRORS = 5.0  # of the log of an RMSE, below which two of them do not differ


@dataclass(frozen=True, eq=False)
class JointDensity:
    """Where the entries of a statistic lie, data against model: what a scatter plot shows.

    Attributes
    ----------
    data, model : (K,) float64
        A random subsample of the entries (all of them if there are few).
    edges : (B + 1,) float64
        Bin edges, the same for data and model.
    counts : (B, B) int64
        Number of entries by [data bin, model bin], over all entries.
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
    """How well a model reproduces one statistic of the test data.

    The equations are in `crbm_lite.validation.nrmse`.

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
        Correlation of the test data with the model, and with the training data. NaN for constant
        entries.
    n_entries : int
        Neurons, units or pairs that were compared. Without any, every number is NaN.
    density : JointDensity
        What the scatter plot shows.
    nrmse_error : float
        Standard error of `nrmse` from the finite number of generated frames; NaN where it was not
        estimated.
    """

    rmse: float
    rmse_optimal: float
    rmse_shuffled: float
    nrmse: float
    pearson_r: float
    pearson_r_optimal: float
    n_entries: int
    density: JointDensity = field(repr=False)
    nrmse_error: float = float("nan")

    @property
    def has_scale(self) -> bool:
        """Whether shuffled entries are clearly farther from the test data than training data are.

        The logarithms of the two RMSEs must differ by five standard errors, each 1 / sqrt(2 n) for
        n entries. Without a scale the nRMSE is next to 0/0, and `rmse` must be read against
        `rmse_optimal` instead.
        """
        least = _LEAST_STANDARD_ERRORS / np.sqrt(2.0 * max(self.n_entries, 1))
        return bool(self.rmse_shuffled > np.exp(least) * self.rmse_optimal)


@cached_njit(nogil=True)
def _sum_tile(x, y, z, low, bins_per_unit, histogram, out):
    """Fill `out` with the sums that `_score_given_sums` needs, and add to the histogram."""
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


def _score_given_sums(sums: np.ndarray, density: JointDensity) -> StatisticScore:
    """Merge the sums of all tiles, one row per tile, into a score."""
    sums = sums[sums[:, 0] > 0]
    n_tile, means = sums[:, 0], sums[:, 1:4]
    n = n_tile.sum()
    if n == 0:
        return StatisticScore(*[float("nan")] * 6, 0, density)
    mean = means[0] + (n_tile[:, None] * (means - means[0])).sum(axis=0) / n
    dx, dy, dz = (means - mean).T
    var_x, var_y, var_z, cov_xy, cov_xz = (
        (sums[:, column] + n_tile * a * b).sum() / n
        for column, a, b in ((4, dx, dx), (5, dy, dy), (6, dz, dz), (7, dx, dy), (8, dx, dz))
    )
    rmse, rmse_optimal = np.sqrt(sums[:, 9].sum() / n), np.sqrt(sums[:, 10].sum() / n)
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
    if data.size == 0:
        return np.linspace(0.0, 1.0, _N_BINS + 1)
    low, high = min(data.min(), model.min()), max(data.max(), model.max())
    margin = 0.05 * (high - low) if high > low else 0.5 * max(abs(high), 1.0)
    return np.linspace(low - margin, high + margin, _N_BINS + 1)


def _score_tiles(
    tile: Callable[[int], Tile], n_tiles: int, data: np.ndarray, model: np.ndarray
) -> StatisticScore:
    """Score entries that are made tile by tile and forgotten.

    Parameters
    ----------
    tile : callable
        Returns the entries (test data, model, training data) of tile 0 .. n_tiles - 1: 1-D float64
        arrays of one length. It is called from several threads.
    n_tiles : int
    data, model : (K,) float64
        Subsample of the entries for the scatter plot, which also sets the range of the histogram.
    """
    edges = _edges(data, model)
    low, bins_per_unit = edges[0], _N_BINS / (edges[-1] - edges[0])
    sums = np.zeros((n_tiles, 11))
    n_workers = max(1, min(numba.get_num_threads(), n_tiles))
    histograms = np.zeros((n_workers, _N_BINS, _N_BINS), dtype=np.int64)

    def work(worker: int) -> None:
        for k in range(worker, n_tiles, n_workers):
            x, y, z = tile(k)
            if x.size:
                _sum_tile(x, y, z, low, bins_per_unit, histograms[worker], sums[k])

    with ThreadPoolExecutor(n_workers) as pool:
        list(pool.map(work, range(n_workers)))
    counts = histograms.sum(axis=0)
    n_outside = int(sums[:, 0].sum()) - int(counts.sum())
    return _score_given_sums(sums, JointDensity(data, model, edges, counts, n_outside))


def score_entries(
    data: np.ndarray,
    model: np.ndarray,
    train: np.ndarray,
    rng: np.random.Generator,
    *,
    n_scatter: int = 20_000,
) -> StatisticScore:
    """Score a statistic whose entries fit in memory: means, <v h>, covariances of hidden units.

    Parameters
    ----------
    data, model, train : (n,) float64
        The entries of the test data, the model and the training data.
    rng : numpy.random.Generator
        Chooses the subsample of the scatter plot. No number depends on it.
    n_scatter : int
        Entries in that subsample, at most (default 20,000).

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
    x, y, z = (
        np.ascontiguousarray(as_numbers(entry, name))
        for entry, name in ((data, "data"), (model, "model"), (train, "train"))
    )
    if not x.shape == y.shape == z.shape == (x.size,):
        raise ValueError(
            f"data, model and train have shapes {x.shape}, {y.shape} and {z.shape}: "
            "give three lists of one length"
        )
    chosen = np.arange(x.size)
    if x.size > n_scatter:
        chosen = np.sort(rng.choice(x.size, n_scatter, replace=False, shuffle=False))

    def tile(k: int) -> Tile:
        part = slice(k * _ENTRY_TILE, (k + 1) * _ENTRY_TILE)
        return x[part], y[part], z[part]

    return _score_tiles(tile, -(-x.size // _ENTRY_TILE), x[chosen], y[chosen])


def _random_pairs(n: int, n_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs i < j of 0..n-1: all if there are at most `n_pairs`, else drawn with replacement."""
    if n * (n - 1) // 2 <= n_pairs:
        return np.triu_indices(n, 1)
    first = rng.integers(0, n, n_pairs)
    second = rng.integers(0, n - 1, n_pairs)
    second += second >= first
    return np.minimum(first, second), np.maximum(first, second)


def _blocks_of_pairs(n: int, size: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, n, size):
        for column in range(row, n, size):
            yield slice(row, min(row + size, n)), slice(column, min(column + size, n))


def score_covariances_vv(
    test: SampleMoments,
    train: SampleMoments,
    generated: SampleMoments,
    rng: np.random.Generator,
    *,
    n_scatter: int = 20_000,
    tile_size: int = 256,
) -> StatisticScore:
    r"""Score :math:`\langle v_i v_j \rangle - \langle v_i \rangle \langle v_j \rangle`, all i < j.

    Tiles of `tile_size` x `tile_size` pairs are made, scored and forgotten, in parallel on as many
    threads as numba uses. 256 x 256 pairs of three sources fit in a core's own cache.

    Parameters
    ----------
    test, train, generated : SampleMoments
        Of the same N neurons, from `crbm_lite.validation.moments.sample_moments`.
    rng : numpy.random.Generator
        Chooses the subsample of the scatter plot. No number depends on it.
    n_scatter : int
        Pairs in that subsample, at most (default 20,000); drawn with replacement.
    tile_size : int
        Neurons on the side of a tile (default 256). It changes results by rounding only.

    Returns
    -------
    StatisticScore

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite.validation.moments import sample_moments
    >>> rng = np.random.default_rng(0)
    >>> a, b, c = (sample_moments(rng.random((500, 9)) < 0.2) for _ in range(3))
    >>> score_covariances_vv(a, b, c, rng).n_entries
    36
    """
    sources = (test, generated, train)
    first, second = _random_pairs(test.n_neurons, n_scatter, rng)
    blocks = list(_blocks_of_pairs(test.n_neurons, tile_size))

    def tile(k: int) -> Tile:
        rows, columns = blocks[k]
        covariances = [source.covariance_tile(rows, columns) for source in sources]
        if rows == columns:
            upper = np.triu_indices(len(covariances[0]), 1)
            return tuple(covariance[upper] for covariance in covariances)
        return tuple(covariance.ravel() for covariance in covariances)

    return _score_tiles(
        tile,
        len(blocks),
        test.covariance_of_pairs(first, second),
        generated.covariance_of_pairs(first, second),
    )
