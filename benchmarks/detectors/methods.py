"""The competitors: each is called with activity (T, N), the number K or None, and a seed.

Those of `benchmarks.detectors.doors` are among them where their packages are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.detectors.doors import DOORS
from crbm_lite.baselines import detectors as d
from crbm_lite.baselines.detectors.detection import DetectedAssemblies

Method = Callable[[object, int | None, int], DetectedAssemblies]


def _with(detect: Callable, **options: object) -> Method:
    return lambda x, k, seed: detect(x, k, random_state=seed, **options)


METHODS: Mapping[str, Method] = {
    "cRBM": _with(d.detect_by_crbm),
    "SGC": _with(d.detect_by_sgc),
    "ICA-CS": _with(d.detect_by_ica),
    "ICA-MP": _with(d.detect_by_ica, null="mp"),
    "promax-CS": _with(d.detect_by_promax),
    "promax-MP": _with(d.detect_by_promax, null="mp"),
    "NMF": _with(d.detect_by_nmf),
    "varimax": _with(d.detect_by_varimax),
    "Louvain": _with(d.detect_by_louvain),
    "k-means": _with(d.detect_by_kmeans),
    "CORE": _with(d.detect_by_core),
    "SVD": _with(d.detect_by_svd),
    "Ising": _with(d.detect_by_ising),
    **DOORS,
}
BINARY = ("cRBM",)  # takes spikes only
# Methods that make arrays of all pairs of cells, or fit a regression to each, stop here.
MOST_CELLS: Mapping[str, int] = {"Ising": 600, "FIM-X": 600, "Louvain": 12_000, "k-means": 12_000}


def suits(method: str, what: str, n_cells: int) -> bool:
    """Whether a method can be given this input, "spikes" or "traces", of so many cells."""
    return not (what == "traces" and method in BINARY) and n_cells <= MOST_CELLS.get(method, 10**9)
