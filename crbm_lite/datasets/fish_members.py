"""The members of each assembly in one fish, and what the assembly adds to their log-odds.

A blob takes the neurons of its region that are nearest to its centre, with a ragged edge. From
fish to fish the centre moves a little, and its share of the region varies. A few neurons belong to
no assembly. Any other that no blob has taken joins the nearest blob of its region. A neuron without
a region does as its nearest labelled neighbour, unless it is one of the few. An assembly of the
antiphasic pair silences the members of the other. Effects on a neuron shrink with the square root
of the number of its assemblies.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.spatial import cKDTree

from crbm_lite.datasets.fish_plan import FishAssembly

__all__ = ["draw_members", "effects_given_members"]

_EFFECT = (2.0, 3.5)  # log-odds that an active assembly adds to a member
_CROSS_EFFECT = (-2.0, -1.0)  # what it adds to the members of its antiphasic partner
_JITTER_UM = 8.0
_RAGGED = 0.2
_OF_FISH = 0.5  # spread of the logarithm of a blob's share from fish to fish


def draw_members(
    plans: list[FishAssembly],
    coordinates: np.ndarray,
    labels: np.ndarray,
    unassigned: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose the members of each assembly.

    Parameters
    ----------
    plans : list of K FishAssembly
    coordinates : (N, 3) float64, um
    labels : (N,) int
        Region of each neuron, -1 where it has none.
    unassigned : float in [0, 1)
        Share of the neurons that belong to none.
    rng : numpy.random.Generator

    Returns
    -------
    (N, K) bool
    """
    member = np.zeros((labels.size, len(plans)), dtype=bool)
    eligible = np.ones(labels.size, dtype=bool)
    eligible[rng.permutation(labels.size)[: round(unassigned * labels.size)]] = False
    labelled = labels >= 0
    free = eligible & labelled
    blobs: dict[int, list[tuple[int, np.ndarray, float]]] = {}
    for k, plan in enumerate(plans):
        shift = rng.normal(0, _JITTER_UM, size=3)
        shares = plan.shares * np.exp(rng.normal(0, _OF_FISH, size=plan.shares.size))
        if plan.kind == "dispersed":
            member[:, k] = free & (rng.random(labels.size) < shares[0])
            continue
        for r, centre, share in zip(plan.regions, plan.centres_um + shift, shares, strict=True):
            blobs.setdefault(r, []).append((k, centre, share))
    for r in np.unique(labels[free]):
        inside = np.flatnonzero(free & (labels == r))
        _fill_region(member, inside, coordinates[inside], blobs.get(int(r), []), plans, rng)
    if labelled.any():
        _, nearest = cKDTree(coordinates[free]).query(coordinates[eligible & ~labelled])
        member[eligible & ~labelled] = member[np.flatnonzero(free)[nearest]]
    return member


def _fill_region(member, inside, places, blobs, plans, rng) -> None:
    """Give the neurons of a region to its blobs, and those left over to the nearest blob."""
    if not blobs:  # a region that the plan leaves out: its neurons join what lies nearest
        spots = np.concatenate([plan.centres_um for plan in plans])
        owner = np.concatenate([np.full(len(p.regions), k) for k, p in enumerate(plans)])
        member[inside, owner[cKDTree(spots).query(places)[1]]] = True
        return
    distance = np.stack([np.linalg.norm(places - centre, axis=1) for _, centre, _ in blobs])
    distance *= np.exp(rng.normal(0, _RAGGED, size=distance.shape))
    for (k, _, share), far in zip(blobs, distance, strict=True):
        n = min(max(1, round(share * inside.size)), inside.size)
        member[inside[np.argsort(far, kind="stable")[:n]], k] = True
    alone = ~member[inside].any(axis=1)
    size = np.cbrt([share for *_, share in blobs])[:, None]
    nearest = np.argmin(distance[:, alone] / size, axis=0)
    member[inside[alone], np.array([k for k, *_ in blobs])[nearest]] = True


def effects_given_members(
    member: np.ndarray, plans: list[FishAssembly], rng: np.random.Generator
) -> scipy.sparse.csr_array:
    """Draw what each assembly adds to the log-odds of a spike, (N, K)."""
    n_of_neuron = np.maximum(member.sum(axis=1, keepdims=True), 1)
    effects = np.where(member, rng.uniform(*_EFFECT, size=member.shape) / np.sqrt(n_of_neuron), 0.0)
    pair = [k for k, plan in enumerate(plans) if plan.kind == "antiphasic"]
    for k, partner in (pair, pair[::-1]):
        silenced = member[:, partner] & ~member[:, k]
        effects[silenced, k] = rng.uniform(*_CROSS_EFFECT, size=silenced.sum())
    return scipy.sparse.csr_array(effects)
