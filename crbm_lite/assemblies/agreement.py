r"""How well detected assemblies agree with the true ones: sets of cells against sets of cells.

*Best match* (Molter et al. 2018). With :math:`d(A, B) = 1 - |A \cap B| / |A \cup B|`, detected
assemblies A and true ones B score

.. math:: 1 - \frac{\sum_A \min_B d(A, B) + \sum_B \min_A d(A, B)}{K_A + K_B}.

By chance, where sets of the same sizes are drawn anew, the overlap of A with each of the others is
hypergeometric, independently given A. The least distance therefore has the mean
:math:`\int_0^1 \prod_B P(d(A, B) > x)\, dx`, which is computed exactly.

Best match mixes inaccurate members with assemblies that are split or missed. So the sets are also
matched one to one so that the sum of :math:`1 - d` is largest. Then

- a true assembly is *found* if its match has d of at most one half;
- it is *split* if two detected ones or more lie in it with more than half of their cells, and none
  of them finds it;
- a detected assembly is *merged* if it holds more than half of two true ones or more, and finds
  none of them;
- it is *false* if no true assembly holds more than half of its cells, and it holds more than half
  of none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_array, as_count, as_numbers
from crbm_lite.measures import correlations_of_columns

__all__ = [
    "Agreement",
    "agreement",
    "best_match",
    "best_match_by_chance",
    "mean_shared",
    "shared_members",
]

_HALF = 0.5


def shared_members(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return shared members over all members, 1 - d, of each assembly with each other.

    Parameters
    ----------
    first : (N, A) bool
    second : (N, B) bool

    Returns
    -------
    (A, B) float64
        0 where both are empty.

    Raises
    ------
    ValueError
        If they are not matrices of the same cells.

    Examples
    --------
    >>> shared_members(np.array([[True], [True]]), np.array([[True, False], [False, False]]))
    array([[0.5, 0. ]])
    """
    first, second = _sets(first, "first"), _sets(second, "second")
    if len(first) != len(second):
        raise ValueError(
            f"first has {len(first)} cells, second {len(second)}: give the same cells in both"
        )
    shared = first.T.astype(np.float64) @ second
    either = np.add.outer(first.sum(axis=0), second.sum(axis=0)) - shared
    return shared / np.maximum(either, 1.0)


def _sets(members: np.ndarray, name: str) -> np.ndarray:
    members = as_array(members, name)
    if members.dtype.kind not in "biu":
        raise ValueError(f"{name} has dtype {members.dtype}: give members, True or False")
    if members.ndim != 2:
        raise ValueError(f"{name} has shape {members.shape}: give (N, K) members, True or False")
    return members != 0


def best_match(detected: np.ndarray, truth: np.ndarray) -> float:
    """Score detected assemblies by the published best match.

    Parameters
    ----------
    detected : (N, A) bool
    truth : (N, B) bool

    Returns
    -------
    float
        1 where they are the same, NaN where one has no assembly.

    Examples
    --------
    >>> truth = np.kron(np.eye(2), np.ones((3, 1))) > 0
    >>> best_match(truth[:, ::-1], truth), round(best_match(truth[:, :1], truth), 3)
    (1.0, 0.667)
    """
    shared = shared_members(detected, truth)
    if 0 in shared.shape:
        return float("nan")
    return float((shared.max(axis=1).sum() + shared.max(axis=0).sum()) / sum(shared.shape))


def best_match_by_chance(
    detected_sizes: np.ndarray, true_sizes: np.ndarray, n_neurons: int
) -> float:
    """Return the mean best match of sets of these sizes drawn at random, exactly.

    Parameters
    ----------
    detected_sizes : (A,) int
    true_sizes : (B,) int
        From 1 to N.
    n_neurons : int
        N.

    Returns
    -------
    float
        NaN where one has no assembly.

    Examples
    --------
    Two sets of one cell among four are the same in one case of four:

    >>> best_match_by_chance([1], [1], 4)
    0.25
    """
    n_neurons = as_count(n_neurons, "n_neurons")
    a, b = as_array(detected_sizes, "detected_sizes"), as_array(true_sizes, "true_sizes")
    if not a.size or not b.size:
        return float("nan")
    if min(a.min(), b.min()) < 1 or max(a.max(), b.max()) > n_neurons:
        raise ValueError(f"an assembly is empty, or larger than {n_neurons}: give sizes from 1 on")
    total = 0.0
    for sizes, others in ((a, b), (b, a)):
        for size, n in zip(*np.unique(sizes, return_counts=True)):
            total += n * _mean_largest_shared(int(size), others, n_neurons)
    return float(total / (a.size + b.size))


def _mean_largest_shared(size: int, others: np.ndarray, n_neurons: int) -> float:
    """Mean of the largest 1 - d of a set with random sets: the integral of P(largest > x)."""
    from scipy.stats import hypergeom

    values, below = [], []
    for other, n in zip(*np.unique(others, return_counts=True)):
        overlap = np.arange(max(0, size + other - n_neurons), min(size, other) + 1)
        values.append(overlap / (size + other - overlap))
        below.append((hypergeom.cdf(overlap, n_neurons, size, other), int(n)))
    grid = np.unique(np.concatenate([[0.0], *values]))
    at_most = np.ones(grid.size)  # P(largest <= x) from each value of the grid to the next
    for own, (cdf, n) in zip(values, below):
        step = np.searchsorted(own, grid, side="right") - 1
        at_most *= np.where(step >= 0, cdf[np.maximum(step, 0)], 0.0) ** n
    return float(((1.0 - at_most[:-1]) * np.diff(grid)).sum())


def mean_shared(first: np.ndarray, second: np.ndarray) -> float:
    """Match two sets of assemblies one to one; return the mean 1 - d over the larger set.

    It measures stability: 1 if two halves of a recording give the same assemblies.

    Parameters
    ----------
    first : (N, A) bool
    second : (N, B) bool

    Returns
    -------
    float
        NaN if both have no assembly, 0 if one has none.

    Examples
    --------
    >>> blocks = np.kron(np.eye(2), np.ones((3, 1))) > 0
    >>> mean_shared(blocks, blocks[:, :1])
    0.5
    """
    shared = shared_members(first, second)
    if not max(shared.shape):
        return float("nan")
    rows, columns = _matched(shared)
    return float(shared[rows, columns].sum() / max(shared.shape))


def _matched(shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-shared)
    some = shared[rows, columns] > 0
    return rows[some], columns[some]


@dataclass(frozen=True)
class Agreement:
    """Scores of detected assemblies against the true ones, see the module.

    Attributes
    ----------
    n_true, n_detected : int
    n_found, n_split : int
        Of the true assemblies.
    n_merged, n_false : int
        Of the detected ones.
    precision, recall : float
        Of the members, averaged over matched pairs; NaN where there are none.
    best_match, by_chance : float
        The published score and its chance level; NaN where nothing was detected.
    activity_r : float
        Correlation of the activity with the true states, averaged over the true assemblies, 0 for
        those without a match. NaN without activity and states.
    """

    n_true: int
    n_detected: int
    n_found: int
    n_split: int
    n_merged: int
    n_false: int
    precision: float
    recall: float
    best_match: float
    by_chance: float
    activity_r: float


def agreement(
    detected: np.ndarray,
    truth: np.ndarray,
    activity: np.ndarray | None = None,
    states: np.ndarray | None = None,
) -> Agreement:
    """Score detected assemblies against the true ones.

    Parameters
    ----------
    detected : (N, A) bool
        Assemblies without members do not count.
    truth : (N, B) bool
    activity : (T, A) float, optional
        Of the detected assemblies.
    states : (T, B) bool, optional
        Whether a true assembly is active.

    Returns
    -------
    Agreement

    Raises
    ------
    ValueError
        If members are not (N, K) of the same cells, there is no true assembly, or activity and
        states are not of the same frames and of these assemblies.

    Examples
    --------
    >>> truth = np.kron(np.eye(2), np.ones((4, 1))) > 0
    >>> found = agreement(truth[:, :1], truth)
    >>> found.n_found, found.precision, found.n_false
    (1, 1.0, 0)
    """
    detected, truth = _sets(detected, "detected"), _sets(truth, "truth")
    if not truth.shape[1] or not truth.any(axis=0).all():
        raise ValueError("truth has no assembly, or an empty one: give (N, K) members with K >= 1")
    used = detected.any(axis=0)
    detected = detected[:, used]
    shared = shared_members(detected, truth)
    rows, columns = _matched(shared)
    both = detected.T.astype(np.float64) @ truth
    inside = both / detected.sum(axis=0)[:, None]  # share of a detected one that lies in a true one
    holds = both / truth.sum(axis=0)  # share of a true one that a detected one holds
    finds = np.zeros(shared.shape, dtype=bool)
    finds[rows, columns] = shared[rows, columns] >= _HALF
    found, finder = finds.any(axis=0), finds.any(axis=1)
    most_inside, most_held = inside > _HALF, holds > _HALF
    r = float("nan")
    if activity is not None and states is not None:
        activity, states = as_numbers(activity, "activity"), as_numbers(states, "states")
        if activity.shape[1:] != used.shape or states.shape != (len(activity), truth.shape[1]):
            raise ValueError(
                f"activity has shape {activity.shape} and states {states.shape}: give "
                f"(T, {used.size}) and (T, {truth.shape[1]}), one column for each assembly"
            )
        course = correlations_of_columns(activity[:, used], states)
        r = float(course[rows, columns].sum() / truth.shape[1])
    sizes = detected.sum(axis=0), truth.sum(axis=0)
    return Agreement(
        n_true=truth.shape[1],
        n_detected=detected.shape[1],
        n_found=int(found.sum()),
        n_split=int(((most_inside.sum(axis=0) > 1) & ~found).sum()),
        n_merged=int(((most_held.sum(axis=1) > 1) & ~finder).sum()),
        n_false=int((~most_inside.any(axis=1) & ~most_held.any(axis=1)).sum()),
        precision=float(inside[rows, columns].mean()) if rows.size else float("nan"),
        recall=float(holds[rows, columns].mean()) if rows.size else float("nan"),
        best_match=best_match(detected, truth),
        by_chance=best_match_by_chance(*sizes, len(truth)),
        activity_r=r,
    )
