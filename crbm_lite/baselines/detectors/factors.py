r"""Nonnegative matrix factorisation, with its rank chosen by entries that it has not seen.

.. math:: x_{ti} \approx \sum_k a_{tk} s_{ik}, \qquad a, s \ge 0

For the rank, a tenth of the entries is hidden at random. Multiplicative updates (Lee & Seung 1999)
in which these entries have no weight fit the others. A rank is scored by the fraction of the
variance of the hidden entries about the cells' means that it predicts. The least rank within a
standard error of the best is taken, with the means as rank 0.

Members are those of the common rule, Otsu's threshold: NMF itself has none.
"""

from __future__ import annotations

import warnings

import numpy as np

from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    as_number_told,
    members_by_otsu,
)
from crbm_lite.checks.arguments import as_generator

__all__ = ["detect_by_nmf", "predicted_given_rank"]

_HIDDEN = 0.1  # of the entries, for the choice of the rank
_MOST_ENTRIES = 2**20  # that are looked at
_TINY = np.float32(1e-9)


def _nonnegative(x: np.ndarray) -> np.ndarray:
    """Binary activity as it is; traces without what is below 0, each over its own deviation."""
    if ((x == 0) | (x == 1)).all():
        return x
    x = np.maximum(x, 0.0)
    sd = x.std(axis=0)
    return x / np.where(sd > 1e-12, sd, 1.0)


def _factorise(
    x: np.ndarray, rank: int, seed: int, max_iter: int = 400
) -> tuple[np.ndarray, np.ndarray]:
    """Activity (T, K) and scores (K, N) of scikit-learn's NMF."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    nmf = NMF(rank, init="nndsvda", max_iter=max_iter, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what they give is used
        activity = nmf.fit_transform(x)
    return activity, nmf.components_


def predicted_given_rank(
    x: np.ndarray, rank: int, rng: np.random.Generator, n_iterations: int = 100
) -> float:
    """Return the fraction of the variance of hidden entries that a factorisation predicts.

    Parameters
    ----------
    x : (T, N) float, not negative
    rank : int
    rng : numpy.random.Generator
        Chooses the hidden entries and the start.
    n_iterations : int
        Multiplicative updates (default 100).

    Returns
    -------
    float
        1 if all is predicted, 0 if no more than by the means of the cells, negative if less.

    Examples
    --------
    >>> x = np.outer(np.arange(40.0), np.arange(20.0))
    >>> predicted_given_rank(x, 1, np.random.default_rng(0)) > 0.99
    True
    """
    error, about_mean = _hidden_errors(x, rank, rng, n_iterations)
    total = about_mean.sum()
    return float(1.0 - error.sum() / total) if total > 0 else 0.0


def _hidden_errors(
    x: np.ndarray, rank: int, rng: np.random.Generator, n_iterations: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of the hidden entries, by a factorisation and by the cells' means."""
    x = x.astype(np.float32)
    hidden = rng.random(x.shape, dtype=np.float32) < _HIDDEN
    seen = np.where(hidden, np.float32(0), x)
    mean = seen.sum(axis=0) / np.maximum((~hidden).sum(axis=0), 1)
    start = _factorise(seen, rank, int(rng.integers(2**31)), max_iter=20)
    activity, scores = (y.astype(np.float32) + np.float32(0.01) * y.mean() + _TINY for y in start)
    for _ in range(n_iterations):
        fit = np.where(hidden, np.float32(0), activity @ scores)
        activity *= (seen @ scores.T) / np.maximum(fit @ scores.T, _TINY)
        fit = np.where(hidden, np.float32(0), activity @ scores)
        scores *= (activity.T @ seen) / np.maximum(activity.T @ fit, _TINY)
    errors = ((x - y)[hidden][:_MOST_ENTRIES].astype(np.float64) for y in (activity @ scores, mean))
    return tuple(error**2 for error in errors)


def detect_by_nmf(
    x: object,
    n_assemblies: int | None = None,
    *,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies as nonnegative factors.

    Parameters
    ----------
    x : (T, N) array of 0/1 or traces, scipy.sparse matrix or Recording
        Of traces the negative part is cut off, and each is divided by its standard deviation.
    n_assemblies : int, optional
        K; by default the least that predicts hidden entries as well as the best. Tried are 1, 2, 3,
        4, 6, 8, 11, 16, ... until two are worse than the best, and then its neighbours.
    random_state : int or numpy.random.Generator

    Returns
    -------
    DetectedAssemblies
        Factors without members are left out.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.1, 8, axis=1)
    >>> v = rng.random((800, 50)) < np.where(np.pad(on, ((0, 0), (0, 26))), 0.7, 0.03)
    >>> detect_by_nmf(v, 3).members.sum(axis=0)
    array([8, 8, 8])
    """
    rng = as_generator(random_state)
    x = _nonnegative(as_activity(x))
    most = min(x.shape) // 2
    n_assemblies = as_number_told(n_assemblies, min(x.shape))
    if n_assemblies is None:
        n_assemblies = _best_rank(x, most, rng)
    if not n_assemblies:
        empty = np.empty((x.shape[1], 0))
        return DetectedAssemblies("NMF", empty > 0, empty, np.empty((len(x), 0)))
    activity, scores = _factorise(x, n_assemblies, int(rng.integers(2**31)))
    norm = np.linalg.norm(scores, axis=1)
    scores = scores.T / np.where(norm > 0, norm, 1.0)
    found = DetectedAssemblies("NMF", members_by_otsu(scores), scores, activity * norm)
    return found.select(found.members.any(axis=0))


def _best_rank(x: np.ndarray, most: int, rng: np.random.Generator) -> int:
    """The least rank within a standard error of the one that predicts most; 0 are the means."""
    seed = int(rng.integers(2**31))  # the same hidden entries for every rank
    errors: dict[int, np.ndarray] = {}

    def total(rank: int) -> float:
        if rank not in errors:
            errors[rank], errors[0] = _hidden_errors(x, rank, np.random.default_rng(seed))
        return float(errors[rank].sum())

    n_worse = 0
    for rank in np.unique(np.round(2.0 ** np.arange(0.0, np.log2(most) + 0.01, 0.5)).astype(int)):
        better = total(int(rank)) <= min(map(total, errors))
        n_worse = 0 if better else n_worse + 1
        if n_worse == 2 and (rank >= 8 or min(errors, key=total)):
            break
    while True:  # ranks between the best and its neighbours, half way, until there are none
        best, ranks = min(errors, key=total), sorted(errors)
        near = ranks[max(ranks.index(best) - 1, 0) : ranks.index(best) + 2]
        between = [(a + b) // 2 for a, b in zip(near, near[1:]) if b - a > 1]
        if not best or not between:
            break
        for rank in between:
            total(rank)
    chosen = best
    while chosen:
        total(chosen - 1)
        more = errors[chosen - 1] - errors[best]
        if more.sum() > np.sqrt(more.size) * more.std():
            break
        chosen -= 1
    return chosen
