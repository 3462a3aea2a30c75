"""Fig. 5E, 5F, 5-S1 and 6: what the fish have in common, and how function follows structure.

It is computed from what `connectivity` has stored of each fish, and trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.retrace.compact import histogram
from benchmarks.retrace.connectivity import METHODS
from crbm_lite.connectivity.region_statistics import (
    compare,
    conservation,
    log_normality,
    region_pairs,
)
from crbm_lite.connectivity.structure import average_connectivity
from crbm_lite.datasets.atlas import Atlas

__all__ = ["matrix_of", "measure"]

_LEVELS = np.geomspace(0.1, 10.0, 21)  # times the median of all pairs


def matrix_of(part: dict, method: str, n_regions: int) -> np.ndarray:
    """Put the stored pairs of regions back into a matrix; NaN for regions that the fish lacks.

    >>> matrix_of({"regions": [0, 2], "matrices": {"crbm": [1.0, 2.0, None]}}, "crbm", 3)[0]
    array([ 1., nan,  2.])
    """
    values = np.array(part["matrices"][method], dtype=float)
    regions = np.array(part["regions"])
    one, other = (regions[pair] for pair in region_pairs(len(regions)))
    matrix = np.full((n_regions, n_regions), np.nan)
    matrix[one, other] = matrix[other, one] = values
    return matrix


def measure(parts: Sequence[dict], n_frames: Sequence[int], atlas: Atlas) -> dict:
    """Compare the fish with each other, and their average with the structural matrix."""
    n, used = len(atlas.names), atlas.used_regions()
    counts = np.zeros((len(parts), n))
    for row, part in zip(counts, parts, strict=True):
        row[part["regions"]] = part["n_of_region"]
    inside = np.ix_(used, used)
    found = {"n_fish": len(parts), "n_regions": len(used), "of": {}}
    for method in METHODS:
        if any(method not in part["matrices"] for part in parts):
            continue
        stack = [matrix_of(part, method, n) for part in parts]
        average = average_connectivity(stack, counts, n_frames)[inside]
        found["of"][method] = _of_method(np.array(stack), average, atlas.structure[inside])
        if method == "crbm":
            found["two_fish"] = _two_fish(stack)
    return found


def _two_fish(stack: Sequence[np.ndarray]) -> dict:
    """Set the couplings of the first two fish side by side."""
    pairs = region_pairs(len(stack[0]))
    one, other = stack[0][pairs], stack[1][pairs]
    both = (one > 0) & (other > 0)  # False for NaN
    return {"log10_first": np.log10(one[both]), "log10_second": np.log10(other[both])}


def _of_method(stack: np.ndarray, average: np.ndarray, structure: np.ndarray) -> dict:
    alike, alike_off = conservation(stack), conservation(stack, within=False)
    with_self = compare(average, structure)
    between = compare(average, structure, within=False)
    pairs = region_pairs(len(average), within=False)
    function, axons = average[pairs], structure[pairs]
    shape = log_normality(average[region_pairs(len(average))])
    linked = np.isfinite(function) & (function > 0) & (axons > 0)
    return {
        "conserved": alike.mean(),
        "conserved_with_self": alike.mean(with_self=True),
        "conserved_between_regions": alike_off.mean(),
        "conserved_r": alike.pearson_r,
        "structure_r_s": with_self.spearman_r,
        "structure_r_s_between": between.spearman_r,
        "structure_ks": between.ks_statistic,
        "structure_ks_p": between.ks_p,
        "n_connected": between.n_connected,
        "n_unconnected": between.n_unconnected,
        "log_normal_gain": shape.gain_over_normal,
        "log10_structure": np.log10(axons[linked]),
        "log10_function": np.log10(function[linked]),
        "log10_connected": _logs(function[axons > 0]),
        "log10_unconnected": _logs(function[axons == 0]),
        "evidence_levels": _LEVELS,
        "evidence": between.evidence_ratio(_LEVELS * np.nanmedian(function)),
    }


def _logs(values: np.ndarray) -> dict:
    return histogram(np.log10(values[values > 0]), -6.0, 0.0)
