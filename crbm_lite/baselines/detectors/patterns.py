r"""Detectors that compare frames: similarity-graph clustering (SGC), CORE and SVD ensembles.

All take the frames in which more cells are active than by chance. A frame belongs to one assembly
at most. So these methods suit recordings in which assemblies are active one at a time, and where
several always are, they find the combinations.

*SGC* (Avitan et al. 2017; Molter et al. 2018) clusters the graph of similar frames. Each frame is
linked with the k nearest by cosine, k being the least from ceil(ln n) on that leaves the graph in
as few pieces as it can be. The frames are clustered on the first eigenvectors of the normalised
Laplacian. Clusters of few frames are dropped. The core of a cluster are the cells that are active
in more than a fifth of its frames. Cores that lie within each other by two thirds are merged. Then
every frame goes to the core nearest by cosine, if it covers half of the core, and cores are made
again.

*CORE* gives every frame a core of its own, the cells that are active in at least half of the frames
that correlate with it beyond chance, and clusters these cores by k-means.

*SVD ensembles* (Carrillo-Reid et al. 2016) weigh cells down that are active in many frames
(tf-idf), compare frames by cosine, and take the singular vectors of the binary map of similar
frames as states.

Departures: SGC takes the number of groups from the modularity of the graph in place of the
posterior of a block model by Monte Carlo, which is the same quantity up to its prior (Newman 2016).
CORE tries fewer numbers of clusters and ten starts. SVD states are told apart by the share of a
frame's own similarity that a singular vector explains, more than a half.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from crbm_lite.baselines.detectors.communities import louvain_communities
from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    as_number_told,
    candidate_frames,
    event_raster,
    labels_by_silhouette,
    mean_of_members,
    numbers_to_try,
    standardised,
)
from crbm_lite.checks.arguments import as_generator
from crbm_lite.measures import correlations_of_columns

__all__ = ["detect_by_core", "detect_by_sgc", "detect_by_svd", "similarity_graph"]

_CORE = 0.2  # of a group's frames in which a cell of its core is active, SGC
_MERGE = 2 / 3  # of each of two cores that lies in the other, from which they are one
_COVERED = 0.5  # of a core that a frame of it must cover
_STATE = 0.025  # of the frames that an SVD state must have
_LEAST_FRAMES = 5


def _unit_rows(patterns: np.ndarray) -> np.ndarray:
    return patterns / np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1e-12)


def _assemblies(
    method: str, x: object, members: list[np.ndarray], scores: list[np.ndarray]
) -> DetectedAssemblies:
    """The result; activity is the mean standardised activity of the members."""
    z = standardised(as_activity(x))
    empty = np.empty((0, z.shape[1]))
    member = np.array(members or empty, dtype=bool).T
    scores = np.array(scores or empty, dtype=np.float64).T
    return DetectedAssemblies(method, member, scores, mean_of_members(z, member))


def similarity_graph(patterns: np.ndarray) -> scipy.sparse.csr_array:
    """Link every pattern with its k nearest by cosine, ties included, k as in the module.

    Parameters
    ----------
    patterns : (n, N) array of 0/1
        n frames, each with an active cell.

    Returns
    -------
    (n, n) csr_array of 0 and 1, symmetric

    Examples
    --------
    >>> patterns = np.repeat(np.eye(2), [3, 2], axis=0)
    >>> similarity_graph(patterns).toarray().sum(axis=1).tolist()
    [2.0, 2.0, 2.0, 1.0, 1.0]
    """
    from scipy.sparse.csgraph import connected_components

    unit = _unit_rows(patterns.astype(np.float64))
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, 0.0)
    similarity[similarity < 1e-12] = 0.0
    least = connected_components(scipy.sparse.csr_array(similarity), directed=False)[0]
    ranked = -np.sort(-similarity, axis=1)
    for k in range(max(1, int(np.ceil(np.log(len(unit))))), len(unit)):
        near = (similarity >= ranked[:, k - 1 : k] - 1e-12) & (similarity > 0)
        graph = scipy.sparse.csr_array((near | near.T).astype(np.float64))
        if connected_components(graph, directed=False)[0] == least:
            break
    return graph


def _spectral_groups(
    graph: scipy.sparse.csr_array, n_groups: int, rng: np.random.Generator
) -> np.ndarray:
    """Cluster the nodes on the first eigenvectors of the normalised Laplacian, (n,) int."""
    from sklearn.cluster import KMeans

    inverse = 1.0 / np.sqrt(np.maximum(graph.sum(axis=1), 1.0))
    similar = inverse[:, None] * graph.toarray() * inverse
    vectors = np.linalg.eigh(similar)[1][:, -n_groups:]
    seed = int(rng.integers(2**31))
    return KMeans(n_groups, n_init=100, random_state=seed).fit(_unit_rows(vectors)).labels_


def _large_groups(groups: list[np.ndarray]) -> list[np.ndarray]:
    """Keep groups of frames that are not much smaller than the others."""
    if not groups:
        return groups
    size = np.array([len(g) for g in groups])
    return [g for g in groups if len(g) >= max(_LEAST_FRAMES, size.mean() - 1.5 * size.std())]


def _merged_cores(patterns: np.ndarray, groups: list[np.ndarray]) -> list[np.ndarray]:
    """Merge groups while two cores lie within each other; return the core of each, bool."""
    while True:
        cores = [patterns[g].mean(axis=0) > _CORE for g in groups]
        groups = [g for g, core in zip(groups, cores) if core.any()]
        core = np.array([c for c in cores if c.any()], dtype=np.float64)
        if len(groups) < 2:
            return list(core > 0)
        within = core @ core.T / core.sum(axis=1)
        mutual = np.triu(np.minimum(within, within.T), 1)
        a, b = np.unravel_index(mutual.argmax(), mutual.shape)
        if mutual[a, b] <= _MERGE:
            return list(core > 0)
        groups[a] = np.concatenate([groups[a], groups[b]])
        del groups[b]


def detect_by_sgc(
    x: object,
    n_assemblies: int | None = None,
    *,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies by clustering the graph of similar frames.

    Parameters
    ----------
    x : (T, N) array of 0/1 or traces, scipy.sparse matrix or Recording
        Of traces the event raster is taken.
    n_assemblies : int, optional
        The number of groups of frames; by default that of the largest modularity. Dropping and
        merging may leave fewer assemblies.
    random_state : int or numpy.random.Generator

    Returns
    -------
    DetectedAssemblies
        Scores are the fractions of an assembly's frames in which a cell is active. Activity is the
        mean standardised activity of the members.

    Raises
    ------
    ValueError
        If x is not finite numbers (T, N), or `n_assemblies` is no integer of 1 or more.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.05, 8, axis=1)
    >>> v = rng.random((800, 50)) < np.where(np.pad(on, ((0, 0), (0, 26))), 0.7, 0.02)
    >>> detect_by_sgc(v).members.sum(axis=0)
    array([8, 8, 8])
    """
    n_assemblies = as_number_told(n_assemblies)
    rng, raster = as_generator(random_state), event_raster(x)
    patterns = raster[candidate_frames(raster)].astype(np.float64)
    if len(patterns) < 2 * _LEAST_FRAMES:
        return _assemblies("SGC", x, [], [])
    graph = similarity_graph(patterns)
    labels = louvain_communities(graph, 1.0, rng)
    n_groups = n_assemblies or len(np.unique(labels))
    labels = _spectral_groups(graph, min(n_groups, len(patterns)), rng)
    groups = _large_groups([np.flatnonzero(labels == k) for k in np.unique(labels)])
    cores = _merged_cores(patterns, groups)
    if not cores:
        return _assemblies("SGC", x, [], [])
    core = np.array(cores, dtype=np.float64)
    cosine = _unit_rows(patterns) @ _unit_rows(core).T
    nearest, size = cosine.argmax(axis=1), core.sum(axis=1)
    covers = (patterns * core[nearest]).sum(axis=1) > _COVERED * size[nearest]
    fits = covers & (patterns.sum(axis=1) > size[nearest] / 2)
    groups = _large_groups([np.flatnonzero(fits & (nearest == k)) for k in range(len(core))])
    scores = [patterns[g].mean(axis=0) for g in groups]
    found = [(s > _CORE, s) for s in scores if (s > _CORE).any()]
    return _assemblies("SGC", x, [m for m, _ in found], [s for _, s in found])


def detect_by_core(
    x: object,
    n_assemblies: int | None = None,
    *,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies by clustering the cores of frames.

    Parameters
    ----------
    x, random_state
        As in `detect_by_sgc`.
    n_assemblies : int, optional
        K; by default the number of clusters of the largest silhouette among 2, 3, 4, 6, 8, ..., at
        most a quarter of the candidate frames.

    Returns
    -------
    DetectedAssemblies
        Scores are the fractions of a cluster's cores in which a cell is.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < 0.05, 8, axis=1)
    >>> v = rng.random((800, 50)) < np.where(np.pad(on, ((0, 0), (0, 26))), 0.7, 0.02)
    >>> detect_by_core(v, 3).members.sum(axis=0)
    array([8, 8, 8])
    """
    n_assemblies = as_number_told(n_assemblies)
    rng, raster = as_generator(random_state), event_raster(x)
    patterns = raster[candidate_frames(raster)].astype(np.float64)
    if len(patterns) < 2 * _LEAST_FRAMES:
        return _assemblies("CORE", x, [], [])
    correlation = correlations_of_columns(patterns.T)
    shuffled = correlations_of_columns(rng.permuted(patterns, axis=0).T)
    chance = np.quantile(shuffled[np.triu_indices(len(patterns), 1)], 0.95)
    similar = (correlation > max(chance, 0.0)).astype(np.float64)
    share = similar @ patterns / np.maximum(similar.sum(axis=1, keepdims=True), 1.0)
    cores = ((share >= 0.5) & (share > raster.mean(axis=0))).astype(np.float64)
    cores = cores[cores.any(axis=1)]
    n_unique = len(np.unique(cores, axis=0))
    if n_unique < 2:
        found = [cores.mean(axis=0)] * n_unique
        return _assemblies("CORE", x, [c >= 0.5 for c in found], found)
    grid = numbers_to_try(max(2, len(cores) // 4))
    numbers = grid if n_assemblies is None else [min(n_assemblies, n_unique)]
    labels = labels_by_silhouette(cores, numbers, rng)
    found = [cores[labels == k].mean(axis=0) for k in np.unique(labels)]
    found = [c for c in found if (c >= 0.5).any()]
    return _assemblies("CORE", x, [c >= 0.5 for c in found], found)


def detect_by_svd(
    x: object,
    n_assemblies: int | None = None,
    *,
    random_state: int | np.random.Generator = 0,
) -> DetectedAssemblies:
    """Detect assemblies as states of the map of similar frames, by a singular value decomposition.

    Parameters
    ----------
    x, random_state
        As in `detect_by_sgc`. Candidate frames exceed the 99th percentile of the coactivity.
    n_assemblies : int, optional
        The largest states, K of them; by default those with 2.5 % of the candidate frames or more.

    Returns
    -------
    DetectedAssemblies
        Scores are mean tf-idf over the frames of a state. Members exceed the cut from 0.01 to 0.1
        with which the share of active members tells the frames of the state best (AUC).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((800, 3)) < [0.03, 0.05, 0.07], 8, axis=1)
    >>> v = rng.random((800, 50)) < np.where(np.pad(on, ((0, 0), (0, 26))), 0.9, 0.002)
    >>> detect_by_svd(v, 3).members.sum(axis=0)
    array([8, 8, 8])
    """
    from sklearn.metrics import roc_auc_score

    n_assemblies = as_number_told(n_assemblies)
    rng, raster = as_generator(random_state), event_raster(x)
    patterns = raster[candidate_frames(raster, 0.99)].astype(np.float64)
    if len(patterns) < 2 * _LEAST_FRAMES:
        return _assemblies("SVD", x, [], [])
    weighted = _tf_idf(patterns)
    unit, mixed = _unit_rows(weighted), _unit_rows(_tf_idf(rng.permuted(patterns, axis=0)))
    pairs = np.triu_indices(len(patterns), 1)
    similar = (unit @ unit.T > np.quantile((mixed @ mixed.T)[pairs], 0.98)).astype(np.float64)
    shared, size = similar @ similar, similar.sum(axis=1)
    jaccard = shared / np.maximum(np.add.outer(size, size) - shared, 1.0)
    left, singular, _ = np.linalg.svd((jaccard > 0.5) * similar)
    own = left**2 * singular  # of each frame's similarity with itself, what a vector explains
    state, certain = own.argmax(axis=1), own.max(axis=1) > 0.5
    frames = [np.flatnonzero(certain & (state == k)) for k in range(len(patterns))]
    frames = sorted(frames, key=len, reverse=True)[: n_assemblies or len(frames)]
    least = 2 if n_assemblies else max(2.0, _STATE * len(patterns))
    members, scores = [], []
    for group in (g for g in frames if len(g) >= least):
        mean, inside = weighted[group].mean(axis=0), np.isin(np.arange(len(patterns)), group)
        cuts = [mean > cut for cut in np.linspace(0.01, 0.1, 10)]
        cuts = [cut for cut in cuts if cut.any()]
        if cuts and not inside.all():
            told = [roc_auc_score(inside, patterns[:, cut].mean(axis=1)) for cut in cuts]
            members.append(cuts[int(np.argmax(told))])
            scores.append(mean)
    return _assemblies("SVD", x, members, scores)


def _tf_idf(patterns: np.ndarray) -> np.ndarray:
    """Share of a frame's active cells, times the log of how rarely the cell is active."""
    n_active = patterns.sum(axis=0)
    rare = np.log(len(patterns) / np.maximum(n_active, 1))
    return patterns / np.maximum(patterns.sum(axis=1, keepdims=True), 1) * rare
