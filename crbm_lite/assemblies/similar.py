"""Assemblies of different hidden units that share most of their members: perhaps they are one.

No equations. With more units than assemblies, two units may describe one assembly. Whether they do
is a question for other trainings (`crbm_lite.validation.stability`); this says which to look at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crbm_lite.assemblies.agreement import shared_members
from crbm_lite.assemblies.members import assemblies_of_weights

__all__ = ["SimilarAssemblies", "similar_assemblies"]

_MOST_SHARED = 0.5  # of the members of two assemblies together


class SimilarAssemblies(NamedTuple):
    """Two assemblies by their names, and how many neurons are in both, and in one or both."""

    first: str
    second: str
    n_in_both: int
    n_in_either: int


def similar_assemblies(
    weights: np.ndarray, threshold: float | str = 0.0
) -> list[SimilarAssemblies]:
    """Find the pairs of assemblies that share more than half of their members.

    Parameters
    ----------
    weights : (N, M) float
    threshold : float or "strong"
        As in `crbm_lite.assemblies.members.assemblies_of_weights`.

    Returns
    -------
    list of SimilarAssemblies
        The pairs that are most alike come first.

    Examples
    --------
    >>> (pair,) = similar_assemblies(np.array([[1.0, 0.5], [1.0, 0.7], [0.9, 0.0]]))
    >>> pair.first, pair.second, pair.n_in_both, pair.n_in_either
    ('HU 0', 'HU 1', 2, 3)
    """
    found = assemblies_of_weights(weights, threshold)
    shared = np.triu(shared_members(found.members, found.members), 1)
    pairs = np.argwhere(shared > _MOST_SHARED)
    pairs = pairs[np.argsort(-shared[tuple(pairs.T)], kind="stable")]
    return [
        SimilarAssemblies(
            found.names[a], found.names[b],
            int(found.members[:, [a, b]].all(axis=1).sum()),
            int(found.members[:, [a, b]].any(axis=1).sum()),
        )
        for a, b in pairs
    ]  # fmt: skip
