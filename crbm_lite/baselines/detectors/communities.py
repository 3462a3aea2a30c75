r"""Detectors that cut a graph of cells: k-means, Louvain and Ising communities; and Louvain itself.

Louvain (Blondel et al. 2008) makes the modularity of a graph with weights A large,

.. math:: Q = \frac{1}{2m} \sum_{ij} \Bigl(A_{ij} - \gamma \frac{d_i d_j}{2m}\Bigr)
          \delta_{c_i c_j}, \qquad d_i = \sum_j A_{ij}, \quad 2m = \sum_i d_i.

Every node moves to the community of its neighbours that raises Q most until none moves; then
communities become nodes, and it begins again. It takes forty lines, so no package is required.

*k-means* clusters the rows of the correlation matrix; the number of clusters has the largest
silhouette. *Louvain* cuts the graph of correlations, and *Ising* that of the positive couplings of
an Ising model. An edge of these is larger than what a cell would exceed with 0.1 others by chance,
as seen when cells are shifted in time, so that noise has no large components. All three make N x N
arrays, and each cell is in one assembly at most.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    as_number_told,
    chance_correlation,
    event_raster,
    labels_by_silhouette,
    mean_of_members,
    numbers_to_try,
    standardised,
)
from crbm_lite.checks.arguments import as_count, as_generator
from crbm_lite.checks.sparse import as_sparse
from crbm_lite.core.compilation import cached_njit
from crbm_lite.measures import correlations_of_columns
from crbm_lite.recordings.controls import shift_traces

__all__ = [
    "detect_by_ising",
    "detect_by_kmeans",
    "detect_by_louvain",
    "louvain_communities",
]

_FALSE_EDGES = 0.1  # of a cell, by chance
_RESOLUTIONS = np.geomspace(0.25, 32.0, 29)  # tried where the number of communities is told


@cached_njit()
def _move_nodes(starts, nodes, weights, degree, total, resolution, order, community):
    """Move nodes to the best community of their neighbours until none moves; whether any did."""
    n = len(degree)
    strength = np.zeros(n)
    for i in range(n):
        strength[community[i]] += degree[i]
    link = np.zeros(n)
    any_moved, moved = False, True
    for _ in range(100):
        if not moved:
            break
        moved = False
        for i in order:
            own = community[i]
            strength[own] -= degree[i]
            for e in range(starts[i], starts[i + 1]):
                if nodes[e] != i:
                    link[community[nodes[e]]] += weights[e]
            best = own
            gain = link[own] - resolution * degree[i] * strength[own] / total
            for e in range(starts[i], starts[i + 1]):
                c = community[nodes[e]]
                value = link[c] - resolution * degree[i] * strength[c] / total
                if nodes[e] != i and value > gain + 1e-12:
                    best, gain = c, value
            for e in range(starts[i], starts[i + 1]):
                link[community[nodes[e]]] = 0.0
            strength[best] += degree[i]
            if best != own:
                community[i] = best
                moved = any_moved = True
    return any_moved


def louvain_communities(
    graph: object, resolution: float = 1.0, random_state: int | np.random.Generator = 0
) -> np.ndarray:
    """Cut a graph into communities of large modularity.

    Parameters
    ----------
    graph : (n, n) array or scipy.sparse matrix
        Symmetric weights, not negative; the diagonal does not count.
    resolution : float
        gamma; communities become smaller where it is larger (default 1).
    random_state : int or numpy.random.Generator
        Of the order in which nodes move.

    Returns
    -------
    (n,) int
        The community of every node, the largest first; a node without edges is alone.

    Examples
    --------
    >>> blocks = np.kron(np.eye(2), np.ones((3, 3)))
    >>> blocks[2, 3] = blocks[3, 2] = 0.5
    >>> labels = louvain_communities(blocks)
    >>> bool(labels[0] == labels[2] != labels[3] == labels[5])
    True
    """
    rng = as_generator(random_state)
    graph = as_sparse(graph, "graph").astype(np.float64)  # a copy
    graph.setdiag(0.0)
    graph.eliminate_zeros()
    labels = np.arange(graph.shape[0])
    total = graph.sum()
    while total > 0:
        community = np.arange(graph.shape[0])
        degree, order = np.asarray(graph.sum(axis=1)).ravel(), rng.permutation(len(community))
        arrays = (graph.indptr, graph.indices, graph.data, degree, total, resolution)
        if not _move_nodes(*arrays, order, community):
            break
        community = np.unique(community, return_inverse=True)[1]
        labels = community[labels]
        ones = np.ones(len(community))
        belongs = scipy.sparse.csr_array((ones, (np.arange(len(community)), community)))
        graph = scipy.sparse.csr_array(belongs.T @ graph @ belongs)
    _, label, size = np.unique(labels, return_inverse=True, return_counts=True)
    return np.argsort(np.argsort(-size, kind="stable"))[label]


def _of_labels(
    method: str, labels: np.ndarray, similarity: np.ndarray, z: np.ndarray, least: int
) -> DetectedAssemblies:
    """Communities of `least` cells or more; the score is the mean similarity with the others."""
    size = np.bincount(labels)
    member = np.eye(len(size), dtype=bool)[labels][:, size >= least]
    count = member.sum(axis=0) - member
    scores = (similarity @ member) / np.maximum(count, 1)
    return DetectedAssemblies(method, member, scores, mean_of_members(z, member))


def _cut(
    method: str,
    graph: np.ndarray,
    z: np.ndarray,
    n_assemblies: int | None,
    least: int,
    rng: np.random.Generator,
) -> DetectedAssemblies:
    """Communities of a graph: those of modularity, or at the resolution that gives so many."""
    least = as_count(least, "least")
    sparse = scipy.sparse.csr_array(graph)
    if n_assemblies is None:
        return _of_labels(method, louvain_communities(sparse, 1.0, rng), graph, z, least)
    cuts = [louvain_communities(sparse, gamma, rng) for gamma in _RESOLUTIONS]
    off = [abs(int((np.bincount(labels) >= least).sum()) - n_assemblies) for labels in cuts]
    return _of_labels(method, cuts[int(np.argmin(off))], graph, z, least)


def detect_by_louvain(
    x: object,
    n_assemblies: int | None = None,
    *,
    least: int = 5,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies as communities of the graph of correlations beyond chance.

    Parameters
    ----------
    x : (T, N) array of 0/1 or traces, scipy.sparse matrix or Recording
    n_assemblies : int, optional
        K. The resolution is then that of 29 from 1/4 to 32 whose number comes nearest; by default
        it is 1.
    least : int
        Cells of the smallest assembly (default 5).
    random_state : int or numpy.random.Generator

    Returns
    -------
    DetectedAssemblies
        Scores are mean weights of the edges to the members, activity is their mean.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.1, 8, axis=1)
    >>> v = rng.random((800, 50)) < np.where(np.pad(on, ((0, 0), (0, 26))), 0.7, 0.03)
    >>> detect_by_louvain(v).members.sum(axis=0)
    array([8, 8, 8])
    """
    n_assemblies = as_number_told(n_assemblies)
    rng, z = as_generator(random_state), standardised(as_activity(x))
    r = correlations_of_columns(z)
    graph = np.where(r > max(chance_correlation(z, _FALSE_EDGES / len(r), rng), 0.0), r, 0.0)
    np.fill_diagonal(graph, 0.0)
    return _cut("Louvain", graph, z, n_assemblies, least, rng)


def detect_by_ising(
    x: object,
    n_assemblies: int | None = None,
    *,
    least: int = 5,
    l2: float = 100.0,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies as communities of the positive couplings of an Ising model.

    Parameters
    ----------
    x, n_assemblies, least, random_state
        As in `detect_by_louvain`. Of traces the event raster is taken. The time grows with the
        square of the number of cells, and faster.
    l2 : float
        Penalty of `crbm_lite.baselines.ising.fit_ising` (default 100).

    Returns
    -------
    DetectedAssemblies

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 2)) < 0.1, 6, axis=1)
    >>> v = rng.random((800, 30)) < np.where(np.pad(on, ((0, 0), (0, 18))), 0.7, 0.05)
    >>> detect_by_ising(v).members.sum(axis=0)
    array([6, 6])
    """
    from crbm_lite.baselines.ising import fit_ising

    n_assemblies = as_number_told(n_assemblies)
    rng, raster = as_generator(random_state), event_raster(x)
    varies = np.flatnonzero(np.ptp(raster, axis=0) > 0)
    graph = np.zeros((raster.shape[1],) * 2)
    if varies.size > 1:
        v = raster[:, varies]
        couplings = fit_ising(v, l2).couplings
        shifted = fit_ising(shift_traces(v, rng), l2).couplings
        chance = shifted[np.triu_indices(varies.size, 1)]
        edge = max(float(np.quantile(chance, 1 - _FALSE_EDGES / varies.size)), 0.0)
        graph[np.ix_(varies, varies)] = np.where(couplings > edge, couplings, 0.0)
    z = standardised(as_activity(x))
    return _cut("Ising", graph, z, n_assemblies, least, rng)


def detect_by_kmeans(
    x: object,
    n_assemblies: int | None = None,
    *,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies by k-means on the rows of the correlation matrix.

    A cell belongs to its cluster if its mean correlation with the cluster exceeds what a pair of
    cells shifted in time exceeds in 5 % of cases. Clusters of fewer than two such cells are left
    out.

    Parameters
    ----------
    x : (T, N) array of 0/1 or traces, scipy.sparse matrix or Recording
    n_assemblies : int, optional
        K; by default the number of clusters of the largest silhouette among 2, 3, 4, 6, 8, 11, ...,
        at most a quarter of the cells. One cluster more is made, for the cells of no assembly.
    random_state : int or numpy.random.Generator

    Returns
    -------
    DetectedAssemblies
        Scores are mean correlations with the clusters, activity is the mean of the members.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.1, 8, axis=1)
    >>> v = rng.random((800, 50)) < np.where(np.pad(on, ((0, 0), (0, 26))), 0.7, 0.03)
    >>> detect_by_kmeans(v, 3).members.sum(axis=0)
    array([8, 8, 8])
    """
    n_assemblies = as_number_told(n_assemblies)
    rng, z = as_generator(random_state), standardised(as_activity(x))
    r = correlations_of_columns(z)
    grid = numbers_to_try(max(3, len(r) // 4))
    numbers = grid if n_assemblies is None else [min(n_assemblies + 1, len(r))]
    labels = labels_by_silhouette(r, numbers, rng)
    np.fill_diagonal(r, 0.0)
    all_found = _of_labels("k-means", labels, r, z, 2)
    members = all_found.members & (all_found.scores > max(chance_correlation(z, 0.05, rng), 0.0))
    kept = members.sum(axis=0) > 1
    members, scores = members[:, kept], all_found.scores[:, kept]
    return DetectedAssemblies("k-means", members, scores, mean_of_members(z, members))
