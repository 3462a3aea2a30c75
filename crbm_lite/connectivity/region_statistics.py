"""Statistics of region matrices: structure against function, log-normality, conservation.

All of them count every pair of regions once (the upper triangle), with or without the pairs of a
region with itself. The paper's numbers depend on that choice (r_S is 0.39 with them, 0.30 without),
and on whether animals are correlated with themselves (0.69 with, 0.60 without).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_count, as_numbers
from crbm_lite.connectivity.region_matrices import as_squares

__all__ = [
    "Conservation",
    "LogNormality",
    "StructureComparison",
    "compare",
    "conservation",
    "log_normality",
    "region_pairs",
]


def region_pairs(n_regions: int, *, within: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """List row and column of the upper triangle, with (default) or without the diagonal.

    Examples
    --------
    >>> region_pairs(2, within=False)
    (array([0]), array([1]))
    """
    return np.triu_indices(as_count(n_regions, "n_regions", 0), 0 if within else 1)


@dataclass(frozen=True)
class StructureComparison:
    """How functional and structural connectivity compare over the pairs of regions.

    Attributes
    ----------
    spearman_r, spearman_p : float
        Rank correlation over the pairs with structure > 0.
    ks_statistic, ks_p : float
        Two-sided Kolmogorov-Smirnov test between pairs with and without structure.
    mean_connected, mean_unconnected, width : float
        Means of log10 of the functional values, and the standard deviation common to both groups.
    n_connected, n_unconnected : int
        Number of pairs with structure > 0, and with structure 0.
    within : bool
        Whether pairs of a region with itself are counted.
    """

    spearman_r: float
    spearman_p: float
    ks_statistic: float
    ks_p: float
    mean_connected: float
    mean_unconnected: float
    width: float
    n_connected: int
    n_unconnected: int
    within: bool

    def evidence_ratio(self, functional: object) -> np.ndarray:
        """Compute how much likelier pairs of these functional values are connected than not.

        The two groups are Gaussians of log10 with common amplitude and width. The logarithm of the
        ratio is linear in log10 of the value, and 0 halfway between the two means. The ratio is NaN
        without a width, and for values not above 0, which have no logarithm.

        Examples
        --------
        >>> fit = StructureComparison(0.4, 0.01, 0.3, 0.01, -2.0, -3.0, 1.0, 9, 9, True)
        >>> fit.evidence_ratio([10**-2.5, 10**-1.5]).round(3).tolist()
        [1.0, 2.718]
        """
        middle = (self.mean_connected + self.mean_unconnected) / 2
        values = as_numbers(functional, "functional")
        logs = np.log10(values, out=np.full(values.shape, np.nan), where=values > 0)
        if not self.width > 0:
            return np.full(values.shape, np.nan)
        slope = (self.mean_connected - self.mean_unconnected) / self.width**2
        return np.exp(slope * (logs - middle))


def compare(
    functional: np.ndarray, structural: np.ndarray, *, within: bool = True
) -> StructureComparison:
    """Compare functional with structural connectivity over the pairs of regions.

    Parameters
    ----------
    functional, structural : ndarray, shape (R, R)
        Symmetric, in the same order. Pairs where either value is not finite are left out.
    within : bool
        Count the pairs of a region with itself, as the paper does (default True; r_S is 0.39 with
        them, 0.30 without). A structural diagonal that is 0 because it was never measured counts as
        unconnected: make it NaN, or leave these pairs out.

    Returns
    -------
    StructureComparison
        Fields that need a larger group are NaN. The ranks need three connected pairs that are not
        all alike, the test needs one pair of each group, and the Gaussians need two of each, where
        values of 0 are left out.

    Raises
    ------
    ValueError
        If the matrices differ in shape, are not symmetric, or a structural value is negative.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> c = np.triu(rng.exponential(size=(9, 9)) * (rng.random((9, 9)) < 0.6), 1)
    >>> c = c + c.T
    >>> result = compare(c + 0.1, c, within=False)
    >>> round(result.spearman_r, 6), result.n_connected + result.n_unconnected
    (1.0, 36)
    """
    from scipy.stats import ks_2samp, spearmanr

    f, c = as_numbers(functional, "functional"), as_numbers(structural, "structural")
    if f.ndim != 2 or f.shape != f.T.shape or f.shape != c.shape:
        raise ValueError(
            f"functional has shape {f.shape}, structural {c.shape}: give (R, R) for both"
        )
    for name, matrix in (("functional", f), ("structural", c)):
        if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=0, equal_nan=True):
            raise ValueError(f"{name} is not symmetric: give (A + A.T) / 2")
    if (c < 0).any():
        raise ValueError(f"structural holds {np.nanmin(c):g}: give 0 or more")
    pairs = region_pairs(len(f), within=within)
    x, y = f[pairs], c[pairs]
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    linked, free = x[y > 0], x[y == 0]
    nan = float("nan")
    varied = linked.size > 2 and np.ptp(linked) > 0 and np.ptp(y[y > 0]) > 0
    rank = spearmanr(linked, y[y > 0]) if varied else (nan, nan)
    test = ks_2samp(linked, free) if linked.size and free.size else (nan, nan)
    means, width = (nan, nan), nan
    logs = np.log10(linked[linked > 0]), np.log10(free[free > 0])
    if min(z.size for z in logs) > 1:
        means = tuple(float(z.mean()) for z in logs)
        residuals = sum(((z - z.mean()) ** 2).sum() for z in logs)
        width = float(np.sqrt(residuals / (logs[0].size + logs[1].size - 2)))
    return StructureComparison(
        float(rank[0]), float(rank[1]), float(test[0]), float(test[1]), *means, width,
        linked.size, free.size, within,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LogNormality:
    """How nearly positive values are log-normal.

    Attributes
    ----------
    quantiles_normal, log10_values : ndarray, shape (n,)
        The probability plot, both ascending.
    probability_plot_r2 : float
        Squared correlation of the plot. It is 1 for a perfect log-normal, and near 1 for much else.
    shapiro_w, shapiro_p : float
        Shapiro-Wilk test of the logarithms. Above 5,000 values its p is not defined: NaN.
    dagostino_p : float
        D'Agostino and Pearson's test of the skewness and kurtosis of the logarithms; NaN below 20
        values.
    skewness, excess_kurtosis : float
        Of the logarithms, both 0 for a log-normal. Where n is large they say more than a p value.
    gain_over_normal : float
        Mean log-likelihood of the values under the fitted log-normal minus that under the fitted
        normal, in nats per value. It is positive where the log-normal describes them better.
    """

    quantiles_normal: np.ndarray
    log10_values: np.ndarray
    probability_plot_r2: float
    shapiro_w: float
    shapiro_p: float
    dagostino_p: float
    skewness: float
    excess_kurtosis: float
    gain_over_normal: float


def log_normality(values: object) -> LogNormality:
    """Test whether values are log-normal; NaN and values not above 0 are left out.

    Parameters
    ----------
    values : array_like
        Of a region matrix give the `region_pairs`: the whole matrix counts each pair twice.

    Raises
    ------
    ValueError
        If fewer than 8 values are left, or all are alike.

    Examples
    --------
    >>> import numpy as np
    >>> values = 10 ** np.random.default_rng(0).normal(-3, 0.5, 500)
    >>> log_normality(values).probability_plot_r2 > 0.99
    True
    """
    import warnings

    from scipy.stats import kurtosis, normaltest, probplot, shapiro, skew

    flat = as_numbers(values, "values").ravel()
    flat = flat[np.isfinite(flat) & (flat > 0)]
    logs = np.log10(flat)
    if logs.size < 8:
        raise ValueError(f"values has {logs.size} positive finite entries: give 8 or more")
    if not np.ptp(logs) > 0:
        raise ValueError(f"values are all {flat[0]:g}: give values that differ")
    (quantiles, ordered), (_, _, r) = probplot(logs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the p that is left out
        w, p = shapiro(logs)
    p = p if logs.size <= 5000 else np.nan
    p_moments = normaltest(logs).pvalue if logs.size >= 20 else np.nan
    # Both Gaussians have their entropy as mean log-likelihood; dx = x ln(10) d(log10 x).
    gain = np.log(flat.std() / logs.std()) - np.log(flat * np.log(10)).mean()
    return LogNormality(
        quantiles, ordered, float(r) ** 2, float(w), float(p), float(p_moments),
        float(skew(logs)), float(kurtosis(logs)), float(gain),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Conservation:
    """How alike the region matrices of animals are.

    Attributes
    ----------
    pearson_r : ndarray, shape (A, A)
        Correlation of log10 over the pairs of regions that both animals have; diagonal 1. NaN for
        fewer than 3 pairs, and where all are alike.
    n_pairs : ndarray of int64, shape (A, A)
        Number of region pairs that were compared.
    """

    pearson_r: np.ndarray
    n_pairs: np.ndarray

    def mean(self, *, with_self: bool = False) -> float:
        """Average over the pairs of animals that can be compared, each once; NaN without any.

        With ``with_self`` (default False) the 1 of each animal with itself is averaged in. For
        eight animals at 0.60 that makes (8 + 28 x 0.60) / 36 = 0.69, the paper's number.
        """
        found = self.pearson_r[np.triu_indices(len(self.pearson_r), 0 if with_self else 1)]
        found = found[np.isfinite(found)]
        return float(found.mean()) if found.size else float("nan")


def conservation(matrices: Sequence[np.ndarray], *, within: bool = True) -> Conservation:
    """Correlate region matrices between animals.

    Parameters
    ----------
    matrices : sequence of A arrays, shape (R, R)
        NaN for regions that an animal lacks. Entries not above 0 are left out.
    within : bool
        Count the pairs of a region with itself (default True).

    Raises
    ------
    ValueError
        If the matrices differ in shape, are not square or symmetric, or hold infinity.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.exp(np.random.default_rng(0).normal(size=(6, 6)))
    >>> a = a + a.T
    >>> conservation([a, 3 * a]).mean().__round__(6)
    1.0
    """
    stack = as_squares(matrices, "matrices", symmetric=True)
    pairs = region_pairs(stack.shape[1], within=within)
    values = stack[:, pairs[0], pairs[1]]
    logs = np.log10(values, out=np.full_like(values, np.nan), where=values > 0)
    n = len(stack)
    r, counts = np.full((n, n), np.nan), np.zeros((n, n), np.int64)
    for a in range(n):
        for b in range(a, n):
            both = ~np.isnan(logs[a]) & ~np.isnan(logs[b])
            counts[a, b] = counts[b, a] = both.sum()
            if both.sum() > 2 and np.ptp(logs[a, both]) > 0 and np.ptp(logs[b, both]) > 0:
                r[a, b] = r[b, a] = np.corrcoef(logs[a, both], logs[b, both])[0, 1]
    return Conservation(r, counts)
