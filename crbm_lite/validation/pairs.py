r"""Score of the covariances of all pairs of neurons, tile by tile.

The statistic is :math:`\langle v_i v_j \rangle - \langle v_i \rangle \langle v_j \rangle` for all
i < j: 1.25e9 pairs for 50,000 neurons, of which no array is ever made. A tile is a block of neurons
against another (or its own upper triangle); 256 x 256 pairs of three sources fit in a core's own
cache. The sums over a tile and their merging are those of `crbm_lite.validation.scores`, the
covariances those of `crbm_lite.validation.moments`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crbm_lite.validation.moments import SampleMoments
from crbm_lite.validation.scores import StatisticScore, Tile, empty_score, score_tiles

__all__ = ["score_covariances_vv"]


def _random_pairs(n: int, n_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs i < j of 0..n-1: all if there are at most `n_pairs`, else drawn with replacement."""
    if n * (n - 1) // 2 <= n_pairs:
        return np.triu_indices(n, 1)
    first = rng.integers(0, n, n_pairs)
    second = rng.integers(0, n - 1, n_pairs)
    second += second >= first
    return np.minimum(first, second), np.maximum(first, second)


def _tiles(n: int, size: int) -> Iterator[tuple[slice, slice]]:
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
    """Score the covariances of all pairs of neurons i < j, never all of them in memory.

    Tiles of `tile_size` x `tile_size` pairs are made, scored and forgotten, in parallel on as many
    threads as numba uses. The subsample of the scatter plot is drawn with replacement.

    Parameters
    ----------
    test, train, generated : SampleMoments
        Of the same N neurons; from `sample_moments`.
    rng : numpy.random.Generator
        Chooses the subsample of the scatter plot; no number depends on it.
    n_scatter : int
        Pairs in that subsample; at most all.
    tile_size : int
        Neurons on the side of a tile; changes results by rounding only.

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
    if first.size == 0:
        return empty_score()
    tiles = list(_tiles(test.n_neurons, tile_size))

    def tile(k: int) -> Tile:
        rows, columns = tiles[k]
        covariances = [source.covariance_tile(rows, columns) for source in sources]
        if rows == columns:
            upper = np.triu_indices(len(covariances[0]), 1)
            return tuple(covariance[upper] for covariance in covariances)
        return tuple(covariance.ravel() for covariance in covariances)

    return score_tiles(
        tile,
        len(tiles),
        test.covariance_of_pairs(first, second),
        generated.covariance_of_pairs(first, second),
    )
