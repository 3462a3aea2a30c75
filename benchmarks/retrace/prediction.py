"""Fig. 2H and 2-S2: the cRBM against a generalised linear model of some of the neurons.

Every neuron is predicted from all others. The regressions are fitted in blocks of neurons, so that
their weights need not all be in memory.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import mannwhitneyu

from benchmarks.retrace.compact import histogram
from benchmarks.retrace.subject import Subject
from crbm_lite.baselines.glm import fit_glm, sweep_l2
from crbm_lite.validation.likelihood import left_out_nllh, nllh

__all__ = ["measure"]

_BLOCK = 500
_OF_SWEEP = 50
_L2 = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def measure(subject: Subject, n_most: int) -> dict:
    """Score cRBM and GLM on the same neurons, by both scores of the cRBM."""
    train, test = subject.train, subject.test
    rng = np.random.default_rng(subject.seed)
    some = np.sort(rng.permutation(train.n_neurons)[:n_most])
    sweep = sweep_l2(train, _L2, neurons=rng.choice(some, min(_OF_SWEEP, len(some)), replace=False))
    blocks = np.array_split(some, -(-len(some) // _BLOCK))
    glm = np.concatenate(
        [left_out_nllh(fit_glm(train, sweep.best, neurons=b, tol=1e-3), test).nllh for b in blocks]
    )
    scores = {
        "glm": glm,
        "crbm_left_out": left_out_nllh(subject.model, test).nllh[some],
        "crbm": nllh(subject.model, test).nllh[some],
    }
    both = np.isfinite(glm) & np.isfinite(scores["crbm"])
    found = {
        "n_most": n_most,
        "n_neurons": int(both.sum()),
        "l2": sweep.best,
        "l2_at_edge": sweep.at_edge,
    }
    for name, score in scores.items():
        found[f"{name}_median"] = np.median(score[both])
        found[f"{name}_histogram"] = histogram(score[both], -0.5, 1.0, 60)
    for name in ("crbm_left_out", "crbm"):
        greater = mannwhitneyu(scores[name][both], glm[both], alternative="greater")
        found[f"{name}_difference"] = found[f"{name}_median"] - found["glm_median"]
        found[f"{name}_p"] = greater.pvalue
        found[f"{name}_better_share"] = np.mean(scores[name][both] > glm[both])
    return found
