r"""Nonnegative matrix factorisation, with its rank chosen by entries that it has not seen.

.. math:: x_{ti} \approx \sum_k a_{tk} s_{ik}, \qquad a, s \ge 0

For the rank, frames and cells are each cut in halves, which makes four blocks (bi-cross-validation,
Owen & Perry 2009). A factorisation of one block gives scores of its cells and activity in its
frames. With them the blocks beside it give the activity of the other frames and the scores of the
other cells, and these predict the block across. A rank is scored by the fraction of the variance
about the cells' means that is predicted in the four blocks. If no rank predicts anything, there are
no assemblies.

Members are those of the common rule, Otsu's threshold: NMF itself has none.
"""

from __future__ import annotations

import warnings

import numpy as np

from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    members_by_otsu,
)

__all__ = ["detect_by_nmf", "predicted_given_rank"]


def _nonnegative(x: np.ndarray) -> np.ndarray:
    """Binary activity as it is; traces without what is below 0, each over its own deviation."""
    if ((x == 0) | (x == 1)).all():
        return x
    x = np.maximum(x, 0.0)
    sd = x.std(axis=0)
    return x / np.where(sd > 1e-12, sd, 1.0)


def _factorise(x: np.ndarray, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Activity (T, K) and scores (K, N) of scikit-learn's NMF."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    nmf = NMF(rank, init="nndsvda", max_iter=400, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what 400 iterations give is used
        activity = nmf.fit_transform(x)
    return activity, nmf.components_


def predicted_given_rank(x: np.ndarray, rank: int, rng: np.random.Generator) -> float:
    """Return the fraction of the variance of unseen entries that a factorisation predicts.

    Parameters
    ----------
    x : (T, N) float, not negative
    rank : int
        At most half of the frames and half of the cells.
    rng : numpy.random.Generator
        Cuts cells and frames in halves; frames in twenty stretches, so that neighbours stay
        together.

    Returns
    -------
    float
        1 if all is predicted, 0 if no more than by the means, negative if less.
    """
    from sklearn.decomposition import non_negative_factorization

    def given(y: np.ndarray, h: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of iterations, as above
            return non_negative_factorization(y, H=h, update_H=False, max_iter=200)[0]

    stretches = np.array_split(np.arange(len(x)), min(20, len(x)))
    order = rng.permutation(len(stretches))
    frames = [np.sort(np.concatenate([stretches[s] for s in half])) for half in (order[::2],
              order[1::2])]  # fmt: skip
    cells = np.array_split(rng.permutation(x.shape[1]), 2)
    error = total = 0.0
    for f in (0, 1):
        for c in (0, 1):
            seen = x[np.ix_(frames[f], cells[c])]
            activity, scores = _factorise(seen, rank, int(rng.integers(2**31)))
            new_activity = given(x[np.ix_(frames[1 - f], cells[c])], scores)
            new_scores = given(x[np.ix_(frames[f], cells[1 - c])].T, activity.T.copy())
            across = x[np.ix_(frames[1 - f], cells[1 - c])]
            mean = x[np.ix_(frames[f], cells[1 - c])].mean(axis=0)
            error += ((across - new_activity @ new_scores.T) ** 2).sum()
            total += ((across - mean) ** 2).sum()
    return float(1.0 - error / total) if total > 0 else 0.0


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
        K; by default the best of 1, 2, 3, 4, 6, 8, 11, 16, ... for entries not seen. The search
        ends after two ranks that are worse than the best.
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
    rng = np.random.default_rng(random_state)
    x = _nonnegative(as_activity(x))
    most = min(x.shape) // 2
    if n_assemblies is None:
        n_assemblies = _best_rank(x, most, rng)
    elif not 1 <= n_assemblies <= min(x.shape):
        raise ValueError(f"n_assemblies is {n_assemblies}: give 1 to {min(x.shape)}, or None")
    if not n_assemblies:
        empty = np.empty((x.shape[1], 0))
        return DetectedAssemblies("NMF", empty > 0, empty, np.empty((len(x), 0)))
    activity, scores = _factorise(x, n_assemblies, int(rng.integers(2**31)))
    norm = np.linalg.norm(scores, axis=1)
    scores = scores.T / np.where(norm > 0, norm, 1.0)
    found = DetectedAssemblies("NMF", members_by_otsu(scores), scores, activity * norm)
    return found.select(found.members.any(axis=0))


def _best_rank(x: np.ndarray, most: int, rng: np.random.Generator) -> int:
    """The rank that predicts most, 0 if none predicts anything."""
    seed = int(rng.integers(2**31))  # the same halves for every rank
    score = {0: 0.0}

    def worse_than_best(rank: int) -> bool:
        score[rank] = predicted_given_rank(x, rank, np.random.default_rng(seed))
        return score[rank] < max(score.values())

    n_worse = 0
    for rank in np.unique(np.round(2.0 ** np.arange(0.0, np.log2(most) + 0.01, 0.5)).astype(int)):
        n_worse = n_worse + 1 if worse_than_best(int(rank)) else 0
        if n_worse == 2 and (max(score.values()) > 0 or rank >= 8):
            break
    while True:  # ranks between the best and its neighbours, half way, until there are none
        best, ranks = max(score, key=score.get), sorted(score)
        near = ranks[max(ranks.index(best) - 1, 0) : ranks.index(best) + 2]
        between = [(a + b) // 2 for a, b in zip(near, near[1:]) if b - a > 1]
        if not best or not between:
            return best
        for rank in between:
            worse_than_best(rank)
