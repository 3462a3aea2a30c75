"""Fig. 5A-D and 5-S1: couplings of neurons and of regions, from repeats, beside the baselines.

Couplings of the repeats are averaged before the absolute value is taken, as in the paper. The
baselines need all pairs of neurons at once, so they are those of up to `_MOST_OF_A_REGION` neurons
of a region; `crbm_few` and `planted_few` have the same neurons.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import linregress
from sklearn.base import clone

import crbm_lite as cl
from benchmarks.retrace.compact import quantiles
from benchmarks.retrace.subject import Subject
from crbm_lite.assemblies.matching import stability
from crbm_lite.baselines.ising import fit_ising
from crbm_lite.connectivity.couplings import (
    coupling,
    factor_of_covariance,
    factor_of_models,
    kept_by_weight_spread,
    mean_conditional_variance,
)
from crbm_lite.connectivity.region_statistics import log_normality, region_pairs
from crbm_lite.connectivity.regions import (
    RegionConnectivity,
    aggregate_regions,
    region_connectivity,
)

__all__ = ["METHODS", "fit_repeats", "measure"]

METHODS = ("crbm", "planted", "crbm_few", "covariance", "correlation", "ising")
_MOST_OF_A_REGION = {"correlation": 100, "ising": 20}
_FAILED = ("collapsed", "diverged", "no structure")
_PAIRS_OF_A_UNIT = 20


def fit_repeats(subject: Subject, n_repeats: int) -> list[cl.CRBM]:
    """Train several models on all frames; for 0 take the one of the training frames."""
    if n_repeats == 0:
        return [subject.model]
    seeds = range(subject.seed, subject.seed + n_repeats)
    return [
        cl.cached_fit(clone(subject.estimator).set_params(random_state=s), subject.recording)
        for s in seeds
    ]


def measure(subject: Subject, n_repeats: int) -> dict:
    """Train the repeats, keep those that did not fail, and aggregate their couplings by region."""
    recording, repeats = subject.recording, fit_repeats(subject, n_repeats)
    kept = [m for m in repeats if m.verdict_ not in _FAILED]
    if not kept:
        raise SystemExit(f"{subject.key}: all repeats failed, {[m.verdict_ for m in repeats]}")
    found = {
        "n_repeats": n_repeats,
        "n_kept": len(kept),
        "n_kept_by_paper": len(kept_by_weight_spread(repeats)),
        "std_w": [m.weights_.std() for m in repeats],
        "verdicts": [m.verdict_ for m in repeats],
        "n_used": [int((m.weights_ != 0).any(axis=0).sum()) for m in repeats],
        "eq17": _approximation(kept[0], recording, subject.seed),
    }
    if n_repeats > 1:
        alike = stability([m.weights_ for m in repeats])
        found["repeats_r"] = np.nanmedian(alike.per_assembly)
    matrices = _matrices(subject, kept)
    pairs = region_pairs(len(recording.label_names))
    values = matrices["crbm"].values[pairs]
    shape = log_normality(values)
    used = np.flatnonzero(np.isfinite(np.diag(matrices["crbm"].values)))
    some = region_pairs(len(used))
    return found | {
        "log10": quantiles(np.log10(values[values > 0])),
        "log_normal_gain": shape.gain_over_normal,
        "log_normal_r2": shape.probability_plot_r2,
        "regions": used,
        "n_of_region": matrices["crbm"].n_neurons[used],
        "matrices": {name: x.values[np.ix_(used, used)][some] for name, x in matrices.items()},
    }


def _approximation(model: cl.CRBM, recording: cl.Recording, seed: int) -> dict:
    """Hold Eq. 17 against Eq. 16 on pairs of neurons that share an assembly."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(w) for w in model.weights_.T if np.count_nonzero(w) > 1]
    pairs = [rng.choice(m, 2, replace=False) for m in members for _ in range(_PAIRS_OF_A_UNIT)]
    i, j = np.transpose(pairs)
    exact = coupling(model, recording, i, j)
    variance = mean_conditional_variance(model, recording)
    approximate = (model.weights_[i] * model.weights_[j]) @ variance
    line = linregress(exact, approximate)
    shown = slice(None, None, -(-len(exact) // 300))
    return {
        "r": line.rvalue,
        "slope": line.slope,
        "exact": exact[shown],
        "approximate": approximate[shown],
    }


def _few(subject: Subject, most: int) -> np.ndarray:
    rng = np.random.default_rng(subject.seed)
    labels = subject.recording.labels
    return np.unique(
        np.concatenate([rng.permutation(np.flatnonzero(column))[:most] for column in labels.T])
    )


def _matrices(subject: Subject, models: list[cl.CRBM]) -> dict[str, RegionConnectivity]:
    recording, least = subject.recording, {"min_neurons": subject.min_neurons}
    weights, scales = factor_of_models(models, recording)
    few = _few(subject, _MOST_OF_A_REGION["correlation"])
    some = recording.select_neurons(few)
    found = {
        "crbm": region_connectivity(weights, scales, recording.labels, **least),
        "crbm_few": region_connectivity(weights[few], scales, some.labels, **least),
    }
    for name in ("covariance", "correlation"):
        factor, frames = factor_of_covariance(some, correlation=name == "correlation")
        matrix = _product(factor, frames)
        found[name] = aggregate_regions(matrix, some.labels, **least)
    fewer = recording.select_neurons(_few(subject, _MOST_OF_A_REGION["ising"]))
    found["ising"] = aggregate_regions(fit_ising(fewer).couplings, fewer.labels, **least)
    if recording.truth is not None:
        planted = recording.truth.coupling_factor()
        found["planted"] = region_connectivity(*planted, recording.labels, **least)
    return found


def _product(factor: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return ((factor * scales.astype(factor.dtype)) @ factor.T).astype(np.float64)
