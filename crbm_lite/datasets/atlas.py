"""The atlas of the paper's eight fish: regions of their neurons and the structural matrix of 2019.

The matrix and the labels list the regions in different orders and spellings: the medial
octavolateral nucleus comes before the stripes of the medulla in one and after them in the other.
They are joined by name.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np

__all__ = ["Atlas", "load_atlas"]

# In the paper's order of fish, 1 to 8.
_RUNS = (
    "20180706_Run04", "20180911_Run01", "20180912-Run01", "20180913_Run01",
    "20190109_Run04", "20181206_Run03", "20190102_Run01", "20181206_Run05",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Atlas:
    """Regions of the neurons of eight fish, and structural connectivity.

    Attributes
    ----------
    names, short_names : tuple of R str
        Regions, left and right in turn.
    labels : tuple of eight ndarrays of int64, shape (N,)
        Region of each neuron of each fish, -1 where it has none.
    structure : ndarray, shape (R, R)
        The matrix of 2019 (Eq. 21, zero diagonal) in the order of ``names``.
    """

    names: tuple[str, ...]
    short_names: tuple[str, ...]
    labels: tuple[np.ndarray, ...]
    structure: np.ndarray

    @property
    def n_neurons(self) -> np.ndarray:
        """Number of neurons by fish and region, shape (8, R)."""
        return np.array([np.bincount(x[x >= 0], minlength=len(self.names)) for x in self.labels])

    def used_regions(self, min_neurons: float = 5) -> np.ndarray:
        """Return the regions that have enough neurons on both sides, on average over the fish."""
        mean = self.n_neurons.mean(axis=0)
        enough = np.minimum(mean[::2], mean[1::2]) >= min_neurons
        return np.flatnonzero(np.repeat(enough, 2))


def _name_in_matrix(name: str) -> str:
    return name.lower().replace("teberculum", "tuberculum")


def load_atlas(*, progress: bool = False) -> Atlas:
    """Fetch the atlas (3.5 MB) and join its parts by name.

    Raises
    ------
    DatasetUnavailable
        If the atlas is neither at hand nor within reach.
    ValueError
        If the matrix and the labels do not name the same regions.
    """
    from crbm_lite.datasets.registry import fetch

    paths = fetch("zebrafish-atlas", progress=progress).paths
    lines = paths["region_names_baier_abbreviations.txt"].read_text(encoding="utf-8").split("\n")
    names, short = zip(*(line.rsplit(" ", 1) for line in lines if line.strip()), strict=True)
    with open(paths["connectivity_matrix.csv"], newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    place = {_name_in_matrix(name): k for k, name in enumerate(header[1:])}
    keys = [_name_in_matrix(name) for name in names]
    if set(keys) != set(place) or [_name_in_matrix(row[0]) for row in rows] != list(place):
        raise ValueError(
            "connectivity_matrix.csv and the labels name different regions: fetch the atlas again"
        )
    order = [place[key] for key in keys]
    matrix = np.array([row[1:] for row in rows], np.float64)[np.ix_(order, order)]
    files = {run: next(p for name, p in paths.items() if run in name) for run in _RUNS}
    labels = tuple(np.load(files[run]).astype(np.int64) - 1 for run in _RUNS)
    return Atlas(names, short, labels, matrix)
