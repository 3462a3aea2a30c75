"""Fig. 2I-K, 2-S6 and 2-S7: weights of the cRBM beside principal components and the sparse VAE."""

from __future__ import annotations

import numpy as np

from benchmarks.retrace.compact import quantiles
from benchmarks.retrace.generation import statistics
from benchmarks.retrace.subject import Subject
from benchmarks.vae import N_UPDATES_SHORT, SHOWN_IN_PAPER, rates
from crbm_lite.assemblies.members import effective_regions, strong_weights
from crbm_lite.baselines.pca import fit_components
from crbm_lite.baselines.vae_cache import cached_vae
from crbm_lite.baselines.vae_validation import validate_vae

__all__ = ["pca", "vae"]

_MOST_STRONG = 8  # strong weights of a neuron, from which they are counted together
_TAIL = 10.0 ** np.arange(-4.0, 0.01, 0.25)  # shares of the weights that are larger


def pca(subject: Subject) -> dict:
    """Compare the weights with as many principal components."""
    loadings = fit_components(subject.train, len(subject.used)).loadings
    found = {
        name: _sparsity(weights, subject)
        for name, weights in {"crbm": subject.weights, "pca": loadings}.items()
    }
    ratio = found["pca"]["regions_median"] / found["crbm"]["regions_median"]
    return found | {"regions_ratio": ratio}


def _sparsity(weights: np.ndarray, subject: Subject) -> dict:
    strong = strong_weights(weights, random_state=subject.seed)
    regions = effective_regions(weights, subject.recording.labels)
    size = np.abs(weights).ravel() / weights.std()
    return {
        "zeros": np.mean(weights == 0),
        "connected": 1.0 - strong.fraction_without,
        "connected_excess": strong.fraction_without_shuffled - strong.fraction_without,
        "strong": _shares(strong.per_neuron),
        "strong_of_shuffle": _shares(strong.shuffled),
        "regions_median": np.nanmedian(regions),
        "regions": quantiles(regions),
        "tail": np.quantile(size, 1.0 - _TAIL),
        "tail_shares": _TAIL,
    }


def _shares(counts: np.ndarray) -> np.ndarray:
    counts = counts.ravel().clip(max=_MOST_STRONG)
    return np.bincount(counts, minlength=_MOST_STRONG + 1) / counts.size


def vae(subject: Subject) -> dict:
    """Train the VAE of the paper's figure, for fewer updates at higher rates, and score it."""
    n_hidden, l1 = SHOWN_IN_PAPER
    settings = {"n_updates": N_UPDATES_SHORT, "learning_rate": rates(N_UPDATES_SHORT)}
    model, _ = cached_vae(subject.train, n_hidden, l1, **settings, random_state=subject.seed)
    connected = model.connected()
    found = {
        "n_hidden": n_hidden,
        "l1": l1,
        "n_updates": N_UPDATES_SHORT,
        "disconnected": np.mean(~connected),
    }
    if connected.sum() < 2:  # few neurons share the penalty of a latent: nothing can be generated
        return found
    report = validate_vae(model, subject.train, subject.test, random_state=subject.seed)
    scores = {"nllh": report.nllh.median, "left_out": report.left_out.median}
    return found | statistics(report) | scores
