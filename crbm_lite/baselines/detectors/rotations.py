r"""Rotated principal components: ICA, promax and varimax.

All begin with the eigenvectors of the correlation matrix whose eigenvalues noise would not reach:

- ``"mp"``: above :math:`(1 + \sqrt{N/T})^2`, the edge for independent Gaussian frames
  (Marchenko & Pastur 1967). Frames of calcium are not independent, so it may be too low.
- ``"shifts"``: above the 95th percentile of the largest eigenvalue when every cell is shifted in
  time by itself. This keeps each cell's own course.

*ICA* (Lopes-dos-Santos et al. 2013) makes the time courses independent. A cell is a member if its
entry in the unit vector of an assembly exceeds the mean of the absolute entries by two standard
deviations, which no assembly of more than a fifth of the cells can fulfil. With ``"mp"``, vectors
whose entries pass as normal are dropped, as in the comparison of Molter et al. (2018).

*Promax* (Romano et al. 2015) rotates to sparse loadings by varimax, and then obliquely towards
their fourth powers. The z-scored loadings of each cell have a largest one; cells with a small
largest one are left out, up to the first minimum of its density. Assemblies with similar loadings
are merged, and those whose members are not correlated beyond chance are dropped. The edge of
``"mp"`` gets the margin :math:`N^{-2/3}`.

*Varimax* is the rotation alone, with the members of ICA.

Departures: 100 shifts by default, where 500 were published; the significance of an assembly is that
of the variance of its members' mean, against shifts.
"""

from __future__ import annotations

import warnings

import numpy as np

from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    as_number_told,
    mean_of_members,
    standardised,
)
from crbm_lite.checks.arguments import as_count, as_generator
from crbm_lite.recordings.controls import shift_traces
from crbm_lite.training.linear_units import varimax

__all__ = [
    "detect_by_ica",
    "detect_by_promax",
    "detect_by_varimax",
    "largest_shifted_eigenvalue",
    "principal_axes",
]

_NULL = 1e-10  # of the largest eigenvalue, below which one is rounding
_NORMAL = 1e-10  # p of a Kolmogorov-Smirnov test above which a vector is held to be noise
_FALLBACK_CUT = 2.0  # where the density of z-scored loadings has no minimum
_MERGE = 0.6  # dot product of unit loadings from which two assemblies are one


def principal_axes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (n,), falling, and eigenvectors (N, n) of the correlations of z (T, N).

    With more cells than frames the eigenvectors come from the frames, n = min(N, T) in all.

    Examples
    --------
    >>> z = standardised(np.random.default_rng(0).normal(size=(50, 80)))
    >>> values, vectors = principal_axes(z)
    >>> vectors.shape, round(float(values.sum()), 6)
    ((80, 50), 80.0)
    """
    n_frames, n_cells = z.shape
    if n_cells <= n_frames:
        values, vectors = np.linalg.eigh(z.T @ z / n_frames)
        return np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    values, courses = np.linalg.eigh(z @ z.T / n_frames)
    values, courses = np.maximum(values[::-1], 0.0), courses[:, ::-1]
    vectors = z.T @ courses
    return values, vectors / np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)


def largest_shifted_eigenvalue(
    z: np.ndarray, rng: np.random.Generator, n_shifts: int = 100, quantile: float = 0.95
) -> float:
    """Return a quantile of the largest eigenvalue when the columns of z are shifted in time.

    Examples
    --------
    >>> z = standardised(np.random.default_rng(0).normal(size=(400, 100)))
    >>> edge = (1 + np.sqrt(100 / 400)) ** 2
    >>> value = largest_shifted_eigenvalue(z, np.random.default_rng(1), 20)
    >>> bool(0.9 * edge < value < 1.1 * edge)
    True
    """
    from scipy.sparse.linalg import svds

    if not z.any():  # no cell varies
        return 0.0
    n_shifts = as_count(n_shifts, "n_shifts")
    z = np.asarray(z, dtype=np.float32, order="F")  # a cell's course in one piece, to be shifted
    largest = []
    for _ in range(n_shifts):
        start = rng.standard_normal(min(z.shape)).astype(np.float32)
        shifted = shift_traces(z, rng)
        singular = svds(shifted, 1, tol=1e-3, v0=start, return_singular_vectors=False)
        largest.append(float(singular[0]) ** 2 / len(z))
    return float(np.quantile(largest, quantile))


def _significant_axes(
    z: np.ndarray,
    n_assemblies: int | None,
    null: str,
    n_shifts: int,
    margin: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues and eigenvectors to be rotated, those told or those above noise."""
    if null not in ("shifts", "mp"):
        raise ValueError(f"null is {null!r}: give 'shifts' or 'mp'")
    values, vectors = principal_axes(z)
    if n_assemblies is not None:
        rank = int((values > _NULL * values[0]).sum())  # axes beyond it are rounding
        if not rank:
            raise ValueError("x has no cell that changes: give activity that does")
        n_assemblies = as_number_told(n_assemblies, rank)
        return values[:n_assemblies], vectors[:, :n_assemblies]
    if null == "mp":
        edge = (1 + np.sqrt(z.shape[1] / len(z))) ** 2 + margin
    else:
        edge = largest_shifted_eigenvalue(z, rng, n_shifts)
    n = int((values > edge).sum())
    return values[:n], vectors[:, :n]


def _with_signs(vectors: np.ndarray) -> np.ndarray:
    """Give unit length, and the sign by which the largest entry is positive."""
    if not vectors.size:
        return vectors
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)[0]
    return vectors / (np.where(largest < 0, -1.0, 1.0) * np.linalg.norm(vectors, axis=0))


def _of_vectors(method: str, z: np.ndarray, vectors: np.ndarray, n_sd: float) -> DetectedAssemblies:
    """Members whose absolute entry exceeds mean + n_sd standard deviations."""
    size = np.abs(vectors)
    members = size > size.mean(axis=0) + n_sd * size.std(axis=0)
    return DetectedAssemblies(method, members, vectors, z @ vectors)


def detect_by_ica(
    x: object,
    n_assemblies: int | None = None,
    *,
    null: str = "shifts",
    n_shifts: int = 100,
    n_sd: float = 2.0,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies by ICA within the significant principal components.

    Parameters
    ----------
    x : (T, N) array of 0/1 or traces, scipy.sparse matrix or Recording
    n_assemblies : int, optional
        K, at most the rank of the correlations; by default the eigenvalues above noise are counted.
    null : {"shifts", "mp"}
        What noise would reach: circular shifts (default) or Marchenko-Pastur.
    n_shifts : int
        Default 100.
    n_sd : float
        Standard deviations of the absolute entries that a member exceeds (default 2).
    random_state : int or numpy.random.Generator

    Returns
    -------
    DetectedAssemblies
        Scores are the vectors of unit length, activity is the standardised x projected on them.

    Raises
    ------
    ValueError
        If x is not finite numbers (T, N), `null` is unknown, or `n_assemblies` is no integer or out
        of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.1, 8, axis=1)
    >>> v = rng.random((800, 100)) < np.where(np.pad(on, ((0, 0), (0, 76))), 0.7, 0.03)
    >>> detect_by_ica(v).members.sum(axis=0)
    array([8, 8, 8])
    """
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    rng = as_generator(random_state)
    z = standardised(as_activity(x))
    values, axes = _significant_axes(z, n_assemblies, null, n_shifts, 0.0, rng)
    if axes.shape[1] > 1:
        white = z @ axes / np.sqrt(values)  # unit variance, so that ICA is a rotation of the axes
        ica = FastICA(whiten=False, max_iter=500, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what 500 iterations give is used
            ica.fit(white)
        axes = axes / np.sqrt(values) @ ica.components_.T  # the published weights, those that unmix
    vectors = _with_signs(axes)
    if n_assemblies is None and null == "mp":
        vectors = vectors[:, ~_pass_as_normal(vectors)]
    name = "ICA-CS" if null == "shifts" else "ICA-MP"
    return _of_vectors(name, z, vectors, n_sd)


def _pass_as_normal(vectors: np.ndarray) -> np.ndarray:
    """Tell which columns a Kolmogorov-Smirnov test cannot tell from normal numbers, (K,) bool."""
    from scipy.stats import kstest

    return np.array([kstest(x, "norm").pvalue > _NORMAL for x in standardised(vectors).T], bool)


def detect_by_varimax(
    x: object,
    n_assemblies: int | None = None,
    *,
    null: str = "mp",
    n_shifts: int = 100,
    n_sd: float = 2.0,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies by rotating the significant principal components with varimax.

    Parameters and result are those of `detect_by_ica`, but for the default of `null`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.1, 8, axis=1)
    >>> v = rng.random((800, 100)) < np.where(np.pad(on, ((0, 0), (0, 76))), 0.7, 0.03)
    >>> detect_by_varimax(v).n_assemblies
    3
    """
    rng = as_generator(random_state)
    z = standardised(as_activity(x))
    values, axes = _significant_axes(z, n_assemblies, null, n_shifts, 0.0, rng)
    loadings = axes * np.sqrt(values)
    return _of_vectors("varimax", z, _with_signs(loadings @ varimax(loadings)), n_sd)


def detect_by_promax(
    x: object,
    n_assemblies: int | None = None,
    *,
    null: str = "shifts",
    n_shifts: int = 100,
    power: float = 4.0,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies by an oblique rotation of the significant principal components.

    Parameters
    ----------
    x, n_assemblies, null, n_shifts, random_state
        As in `detect_by_ica`. Merging and the test of significance may leave fewer assemblies than
        `n_assemblies`.
    power : float
        Of the loadings towards which promax rotates (default 4).

    Returns
    -------
    DetectedAssemblies
        Scores are z-scored loadings, activity is the mean standardised activity of the members.

    Raises
    ------
    ValueError
        As in `detect_by_ica`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.1, 8, axis=1)
    >>> v = rng.random((800, 100)) < np.where(np.pad(on, ((0, 0), (0, 76))), 0.7, 0.03)
    >>> detect_by_promax(v).members.sum(axis=0)
    array([8, 8, 8])
    """
    rng = as_generator(random_state)
    z = standardised(as_activity(x))
    margin = z.shape[1] ** (-2 / 3)
    values, axes = _significant_axes(z, n_assemblies, null, n_shifts, margin, rng)
    name = "promax-CS" if null == "shifts" else "promax-MP"
    if not values.size:
        return DetectedAssemblies(name, np.empty(axes.shape, dtype=bool), axes, z @ axes)
    scores = standardised(_with_signs(_promax(axes * np.sqrt(values), power)))
    members = scores > _cut(scores.max(axis=1))
    scores, members = _merged(scores, members)
    kept = _coactive(z, members, rng) & (members.sum(axis=0) > 1)
    scores, members = scores[:, kept], members[:, kept]
    return DetectedAssemblies(name, members, scores, mean_of_members(z, members))


def _promax(loadings: np.ndarray, power: float) -> np.ndarray:
    """Rotate by varimax, then by least squares towards the signed powers of the loadings."""
    rotated = loadings @ varimax(loadings)
    target = rotated * np.abs(rotated) ** (power - 1)
    turn = np.linalg.lstsq(rotated, target, rcond=None)[0]
    return rotated @ turn


def _cut(largest: np.ndarray) -> float:
    """Find the first minimum of the density of each cell's largest z-scored loading."""
    from scipy.stats import gaussian_kde

    if np.ptp(largest) < 1e-9:
        return _FALLBACK_CUT
    density = gaussian_kde(largest)
    density.set_bandwidth(density.factor / 2)
    grid = np.linspace(largest.min(), largest.max(), 512)
    y = density(grid)
    dips = np.flatnonzero((y[1:-1] < y[:-2]) & (y[1:-1] <= y[2:])) + 1
    dips = dips[dips > y[: 512 // 2].argmax()]  # after the mode of the cells that are left out
    return float(grid[dips[0]]) if dips.size else _FALLBACK_CUT


def _merged(scores: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge the pair of most similar loadings until none is more similar than 0.6."""
    while scores.shape[1] > 1:
        unit = np.where(members, scores, 0.0)
        unit = unit / np.maximum(np.linalg.norm(unit, axis=0), 1e-12)
        similar = np.triu(unit.T @ unit, 1)
        a, b = np.unravel_index(similar.argmax(), similar.shape)
        if similar[a, b] <= _MERGE:
            break
        scores[:, a] = np.maximum(scores[:, a], scores[:, b])
        members[:, a] |= members[:, b]
        scores, members = np.delete(scores, b, axis=1), np.delete(members, b, axis=1)
    return scores, members


def _coactive(
    z: np.ndarray, members: np.ndarray, rng: np.random.Generator, n_shifts: int = 100
) -> np.ndarray:
    """Tell for which assemblies the members' mean varies more than in 95 % of shifts, (K,)."""
    significant = np.zeros(members.shape[1], dtype=bool)
    for k, column in enumerate(members.T):
        if column.any():
            own = z[:, column]
            chance = [shift_traces(own, rng).mean(axis=1).var() for _ in range(n_shifts)]
            significant[k] = own.mean(axis=1).var() > np.quantile(chance, 0.95)
    return significant
