"""Doors to packages that the user may install; none is required, and none is under `METHODS` else.

- "FIM-X" needs pyfim (MIT): closed sets of cells that are active together in six candidate frames
  or more, and more often than any set of their size in 200 shuffles of these frames (a pattern
  spectrum filter), after the reduction of sets by each other. For a few hundred cells at most.
- "Rastermap" needs rastermap (GPL-3): its k-means clusters, K of them or a tenth of the cells, at
  most 100. Each cell is in one cluster, and every cluster counts, so nothing is ever significant.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    candidate_frames,
    event_raster,
    standardised,
)

_SUPPORT, _LEAST, _SURROGATES = 6, 3, 200


def _of_sets(method: str, x: object, members: np.ndarray) -> DetectedAssemblies:
    """The mean activity of the members, and how much each cell correlates with it."""
    z = standardised(as_activity(x))
    activity = z @ (members / np.maximum(members.sum(axis=0), 1))
    scores = z.T @ standardised(activity) / len(z)
    return DetectedAssemblies(method, members, scores, activity)


def _frames(patterns: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(v).tolist() for v in patterns]


def item_sets(x: object, n_assemblies: int | None = None, seed: int = 0) -> DetectedAssemblies:
    """FIM-X; told K, the sets that occur in most frames."""
    import fim

    rng, raster = np.random.default_rng(seed), event_raster(x)
    patterns = raster[candidate_frames(raster)]
    options = {"target": "c", "zmin": _LEAST, "supp": -_SUPPORT}
    support = np.zeros(raster.shape[1] + 1)  # the largest by chance of sets of each size
    for _ in range(_SURROGATES):
        spectrum = fim.fpgrowth(_frames(rng.permuted(patterns, axis=0)), report="#", **options)
        for size, count in spectrum:
            support[size] = max(support[size], count)
    support = np.maximum.accumulate(support[::-1])[::-1]  # a larger set is as rare as a smaller
    border = (support + 1).tolist()
    found = fim.fpgrowth(_frames(patterns), report="a", **options)
    found = [(cells, count) for cells, count in found if count >= border[len(cells)]]
    found = fim.patred(found, method="S", border=border) if found else []
    found = sorted(found, key=lambda pattern: -pattern[1])[:n_assemblies]
    members = np.zeros((raster.shape[1], len(found)), dtype=bool)
    for k, (cells, _) in enumerate(found):
        members[list(cells), k] = True
    return _of_sets("FIM-X", x, members)


def rastermap(x: object, n_assemblies: int | None = None, seed: int = 0) -> DetectedAssemblies:
    """The clusters of Rastermap."""
    from rastermap import Rastermap

    x = as_activity(x)
    n_clusters = n_assemblies or max(2, min(100, x.shape[1] // 10))
    n_axes = min(200, min(x.shape) - 1)
    fitted = Rastermap(n_clusters=n_clusters, n_PCs=n_axes, random_state=seed, verbose=False).fit(
        np.ascontiguousarray(x.T, dtype=np.float32)
    )
    labels = np.asarray(fitted.embedding_clust).astype(int)
    return _of_sets("Rastermap", x, labels[:, None] == np.unique(labels[labels >= 0]))


DOORS = {
    name: detect
    for name, module, detect in (("FIM-X", "fim", item_sets), ("Rastermap", "rastermap", rastermap))
    if find_spec(module)
}
