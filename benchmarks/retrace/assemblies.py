"""Fig. 1C, 3, 2-S4 and 2-S6: who is in an assembly, where assemblies lie, and mirror pairs."""

from __future__ import annotations

import numpy as np

from benchmarks.retrace.compact import quantiles
from benchmarks.retrace.subject import Subject
from crbm_lite.assemblies.matching import symmetric_pairs
from crbm_lite.assemblies.members import (
    assembly_sizes,
    compactness,
    effective_regions,
    embedding,
    regional_occupancy,
)

__all__ = ["measure"]

_THRESHOLDS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
_DRAWN = 800  # neurons
_PAIRS = 4  # that are drawn, of so many members at most
_MEMBERS = 100


def measure(subject: Subject) -> dict:
    """Describe the assemblies of the units in use."""
    weights, recording = subject.weights, subject.recording
    regions = {
        how: effective_regions(weights, recording.labels, how)
        for how in ("mean_absolute", "signed_sum")
    }
    _, p = compactness(weights != 0, recording.coordinates, random_state=subject.seed)
    mirror = symmetric_pairs(weights, recording.coordinates)
    names = [name.lower() for name in recording.label_names]
    tectum = [k for k, name in enumerate(names) if name.startswith(("tectum", "optic tectum"))]
    occupancy = regional_occupancy(weights, recording.labels)
    found = {
        "thresholds": _THRESHOLDS,
        "embedding": [embedding(weights, x) for x in _THRESHOLDS],
        "in_several": [embedding(weights, x, 2) for x in _THRESHOLDS],
        "embedding_of_any_weight": embedding(weights),
        "embedding_above_0_1": embedding(weights, 0.1),
        "sizes": quantiles(assembly_sizes(weights)),
        "size_median": np.median(assembly_sizes(weights)),
        "regions_median": np.nanmedian(regions["mean_absolute"]),
        "regions_5_to_95": np.nanquantile(regions["mean_absolute"], (0.05, 0.95)),
        "regions_signed_median": np.nanmedian(regions["signed_sum"]),
        "regions_signed": quantiles(regions["signed_sum"]),
        "compact_share": np.mean(p < 0.05),
        "n_pairs": len(mirror.pairs),
        "n_bilateral": len(mirror.bilateral),
        "n_tectal": int((occupancy[tectum].sum(axis=0) > 0.5).sum()),
        "n_units": len(subject.used),
        "pair_r": mirror.correlation,
        "drawn": _drawn(subject),
        "pairs_drawn": [_pair(pair, subject) for pair in mirror.pairs[:_PAIRS]],
    }
    truth = recording.truth
    if truth is not None:
        found["embedding_of_truth"] = 1.0 - truth.unassigned.size / truth.n_neurons
        found["sizes_of_truth"] = quantiles((truth.membership > 0).sum(axis=0))
        planted = effective_regions((truth.membership > 0).astype(float), recording.labels)
        found["regions_of_truth"] = np.nanmedian(planted)
    return found


def _places(subject: Subject, neurons: np.ndarray) -> dict:
    x, y = subject.recording.coordinates[neurons, :2].T.round().astype(int)
    return {"x_um": x, "y_um": y}


def _drawn(subject: Subject) -> dict:
    """Choose some neurons for the picture; say each one's strongest unit, -1 below |w| = 0.1."""
    n = subject.recording.n_neurons
    some = np.sort(np.random.default_rng(subject.seed).permutation(n)[:_DRAWN])
    size = np.abs(subject.weights[some])
    strongest = np.where(size.max(axis=1) > 0.1, size.argmax(axis=1), -1)
    return _places(subject, some) | {"unit": strongest}


def _pair(pair: np.ndarray, subject: Subject) -> list[dict]:
    """The strongest members of both assemblies of a pair."""
    sides = []
    for w in np.abs(subject.weights[:, pair].T):
        members = np.argsort(-w)[: min(_MEMBERS, np.count_nonzero(w))]
        sides.append(_places(subject, members))
    return sides
