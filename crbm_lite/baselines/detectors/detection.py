r"""What the detectors share: the form of their result, and how activity comes in.

- Traces are standardised, :math:`z_{ti} = (x_{ti} - \bar x_i) / s_i`; a constant cell is 0.
- The *event raster* of traces says where they exceed their mean by two standard deviations; binary
  activity is its own raster.
- The *coactivity* of a frame is its number of active cells. If every cell is permuted in time by
  itself, it is a sum of independent Bernoulli variables with the cells' rates, so its quantiles
  are known without a shuffle. *Candidate frames* are peaks of the coactivity above a quantile.
- *Chance correlation* is a quantile of the correlation between cells that are shifted in time.
- The *common rule* for members is the threshold of Otsu (1979) on the scores, with 0 in place of
  negative ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crbm_lite.checks.arguments import as_array, is_integer
from crbm_lite.checks.sparse import as_dense
from crbm_lite.measures import correlations_of_columns
from crbm_lite.recordings.controls import shift_traces

__all__ = [
    "DetectedAssemblies",
    "as_activity",
    "as_number_told",
    "candidate_frames",
    "chance_coactivity",
    "chance_correlation",
    "event_raster",
    "labels_by_silhouette",
    "mean_of_members",
    "members_by_otsu",
    "numbers_to_try",
    "otsu_threshold",
    "standardised",
]


@dataclass(frozen=True, eq=False)
class DetectedAssemblies:
    """What a detector found: K assemblies of N cells over T frames.

    Attributes
    ----------
    method : str
    members : (N, K) bool
        By the method's own rule.
    scores : (N, K) float64
        How much each cell belongs to each assembly; higher is more.
    activity : (T, K) float64
        How active each assembly is in each frame.
    """

    method: str
    members: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    activity: np.ndarray = field(repr=False)

    @property
    def n_assemblies(self) -> int:
        """How many were found, K."""
        return self.members.shape[1]

    def select(self, assemblies: np.ndarray) -> DetectedAssemblies:
        """Keep some assemblies (indices or a mask)."""
        kept = (x[:, assemblies] for x in (self.members, self.scores, self.activity))
        return DetectedAssemblies(self.method, *kept)

    def by_common_rule(self) -> DetectedAssemblies:
        """The same assemblies, with the members that Otsu's threshold takes of the scores."""
        return replace(self, members=members_by_otsu(self.scores))


def as_activity(x: object, dtype: type = np.float64) -> np.ndarray:
    """Return activity (T, N) as numbers: an array, a sparse matrix or a Recording's spikes.

    Raises
    ------
    ValueError
        If it is not a matrix of finite numbers with two frames and two cells at least.

    Examples
    --------
    >>> as_activity([[0, 1], [1, 1]])
    array([[0., 1.],
           [1., 1.]])
    """
    x = getattr(x, "spikes", x)
    array = as_array(as_dense(x, "x"), "x")
    if array.ndim != 2 or min(array.shape) < 2:
        raise ValueError(f"x has shape {array.shape}: give (T, N), time first, at least (2, 2)")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError("x holds NaN, infinity or no numbers: give finite activity")
    return array.astype(dtype, copy=False)


def as_number_told(n_assemblies: object, most: int | None = None) -> int | None:
    """Return the number of assemblies that a detector is told to find, or None.

    Raises
    ------
    ValueError
        If it is neither None nor an integer of 1 or more, or it is above the most.

    Examples
    --------
    >>> as_number_told(0)
    Traceback (most recent call last):
    ValueError: n_assemblies is 0: give an integer of 1 or more, or None
    """
    if n_assemblies is None:
        return None
    if is_integer(n_assemblies) and 1 <= n_assemblies <= (most or n_assemblies):
        return int(n_assemblies)
    wanted = f"an integer from 1 to {most}" if most else "an integer of 1 or more"
    raise ValueError(f"n_assemblies is {n_assemblies!r}: give {wanted}, or None")


def standardised(x: np.ndarray) -> np.ndarray:
    """Bring every column to mean 0 and variance 1; constant ones become 0."""
    x = x - x.mean(axis=0)
    sd = x.std(axis=0)
    return x / np.where(sd > 1e-12, sd, np.inf)


def mean_of_members(z: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Average activity z (T, N) over the members (N, K) of each assembly, (T, K); 0 without any.

    Examples
    --------
    >>> mean_of_members(np.array([[1.0, 3.0, 5.0]]), np.array([[True], [True], [False]]))
    array([[2.]])
    """
    return z @ (members / np.maximum(members.sum(axis=0), 1))


def numbers_to_try(most: int) -> np.ndarray:
    """Return the numbers of clusters 2, 3, 4, 6, 8, 11, ... up to the most.

    Examples
    --------
    >>> numbers_to_try(12).tolist()
    [2, 3, 4, 6, 8, 11]
    """
    return np.unique(np.round(2.0 ** np.arange(1.0, np.log2(most) + 0.01, 0.5)).astype(int))


def labels_by_silhouette(
    x: np.ndarray, numbers: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Cluster rows by k-means, with the number of clusters that has the largest silhouette.

    Parameters
    ----------
    x : (n, d) float
    numbers : sequence of int
        Numbers of clusters to try; those above the number of different rows are left out.
    rng : numpy.random.Generator

    Returns
    -------
    (n,) int
        All 0 where no number can be tried.

    Examples
    --------
    >>> x = np.repeat(np.eye(3), 4, axis=0)
    >>> len(set(labels_by_silhouette(x, [2, 3], np.random.default_rng(0)).tolist()))
    3
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    n_unique = len(np.unique(x.round(9), axis=0))
    seed, best, labels = int(rng.integers(2**31)), -np.inf, np.zeros(len(x), dtype=int)
    for k in (k for k in numbers if k <= n_unique):
        cut = KMeans(int(k), n_init=10, random_state=seed).fit(x).labels_
        fits = len(numbers) > 1 and 1 < len(np.unique(cut)) < len(x)
        value = silhouette_score(x, cut) if fits else 0.0
        if value > best:
            best, labels = value, cut
    return labels


def event_raster(x: object, n_sd: float = 2.0) -> np.ndarray:
    """Return the event raster (T, N) of traces, uint8; binary activity stays as it is.

    Parameters
    ----------
    x : (T, N) array of 0/1 or numbers, scipy.sparse matrix or Recording
    n_sd : float
        Standard deviations above the mean that an event exceeds (default 2).

    Examples
    --------
    >>> event_raster(np.c_[[0.0, 0.1, 0.0, 0.1, 0.0, 9.0], [0, 0, 1, 0, 1, 1]]).T
    array([[0, 0, 0, 0, 0, 1],
           [0, 0, 0, 0, 0, 0]], dtype=uint8)
    """
    x = as_activity(x)
    if not ((x == 0) | (x == 1)).all():
        x = standardised(x) > n_sd
    return x.astype(np.uint8)


def chance_coactivity(rates: np.ndarray, quantile: float = 0.95) -> int:
    """Return the quantile of the number of active cells, were cells independent.

    Parameters
    ----------
    rates : (N,) float
        The probability of each cell to be active in a frame.
    quantile : float
        Default 0.95.

    Returns
    -------
    int
        The least n that the coactivity does not exceed with this probability.

    Examples
    --------
    >>> chance_coactivity(np.full(4, 0.5), 0.9)  # P(n <= 2) = 11/16, P(n <= 3) = 15/16
    3
    """
    mean, sd = rates.sum(), np.sqrt((rates * (1 - rates)).sum())
    pmf = np.zeros(min(rates.size, int(mean + 12 * sd) + 12) + 1)
    pmf[0] = 1.0
    for p in rates[rates > 0]:  # one cell after the other
        pmf[1:] = (1 - p) * pmf[1:] + p * pmf[:-1]
        pmf[0] *= 1 - p
    return int(np.searchsorted(np.cumsum(pmf), quantile - 1e-12))


def candidate_frames(raster: np.ndarray, quantile: float = 0.95) -> np.ndarray:
    """Return the frames in which more cells are active than by chance, peaks of coactivity only.

    Parameters
    ----------
    raster : (T, N) array of 0/1
    quantile : float
        Of the coactivity by chance (default 0.95).

    Returns
    -------
    (n,) int
        Peaks have a prominence of 5 % of the largest coactivity or more.

    Examples
    --------
    >>> raster = np.zeros((9, 40))
    >>> raster[[2, 6], 10:20] = 1
    >>> candidate_frames(raster)
    array([2, 6])
    """
    from scipy.signal import find_peaks

    coactivity = raster.sum(axis=1, dtype=np.float64)
    least = chance_coactivity(raster.mean(axis=0), quantile) + 1
    padded = np.concatenate([[0.0], coactivity, [0.0]])  # the first frame may be a peak
    prominence = 0.05 * max(coactivity.max(), 1.0)
    return find_peaks(padded, height=least, prominence=prominence)[0] - 1


def chance_correlation(
    x: np.ndarray, probability: float, rng: np.random.Generator, n_most: int = 2000
) -> float:
    """Return the correlation that a pair of cells exceeds by chance with some probability.

    Parameters
    ----------
    x : (T, N) float
    probability : float
    rng : numpy.random.Generator
        Of the shifts in time.
    n_most : int
        Cells that are looked at (default 2,000).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 50))
    >>> bool(0.06 < chance_correlation(x, 0.05, np.random.default_rng(1)) < 0.11)
    True
    """
    some = np.sort(rng.permutation(x.shape[1])[:n_most])
    r = correlations_of_columns(shift_traces(x[:, some], rng))
    return float(np.quantile(r[np.triu_indices(len(some), 1)], 1 - probability))


def otsu_threshold(x: np.ndarray) -> float:
    """Return the value that splits numbers in two groups of the largest variance between them.

    Numbers are above it, or not; with fewer than two different numbers none is (Otsu 1979).

    Parameters
    ----------
    x : (n,) float

    Examples
    --------
    >>> otsu_threshold(np.array([1.0, 1.1, 5.0]))
    1.1
    """
    x = np.sort(x)
    n = np.arange(1, x.size)
    if not n.size or x[0] == x[-1]:
        return np.inf
    below = np.cumsum(x)[:-1]
    between = n * (x.size - n) * (below / n - (x.sum() - below) / (x.size - n)) ** 2
    return float(x[between.argmax()])


def members_by_otsu(scores: np.ndarray) -> np.ndarray:
    """Say which cells are members by the common rule, (N, K) bool, given the scores (N, K).

    Examples
    --------
    >>> members_by_otsu(np.array([[0.9], [1.0], [0.1], [-3.0]])).T
    array([[ True,  True, False, False]])
    """
    above = np.maximum(scores, 0.0)
    return above > np.array([otsu_threshold(column) for column in above.T])
