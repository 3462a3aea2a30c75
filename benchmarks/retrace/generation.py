"""Fig. 2C-G and the cRBM of 2H: the five statistics of generated frames, and the nLLH."""

from __future__ import annotations

import numpy as np

import crbm_lite as cl
from benchmarks.retrace.compact import histogram, picture
from benchmarks.retrace.subject import Subject
from crbm_lite.validation.comparison import STATISTICS
from crbm_lite.validation.likelihood import nllh_given_probabilities
from crbm_lite.validation.nrmse import StatisticScore
from crbm_lite.validation.report import ValidationReport

__all__ = ["measure", "statistics"]

_POOL = 2  # bins of a density that become one
_NUMBERS = ("pearson_r", "pearson_r_optimal", "nrmse", "nrmse_error", "n_entries")


def _density(score: StatisticScore) -> dict:
    density = score.density
    n = len(density.counts) // _POOL
    pooled = density.counts.reshape(n, _POOL, n, _POOL).sum(axis=(1, 3))
    logs = np.log10(1.0 + pooled)
    return {
        "low": density.edges[0],
        "high": density.edges[-1],
        "log10_most": logs.max(),
        "rows": picture(logs, 0.0, max(logs.max(), 1e-9)),
    }


def statistics(report: ValidationReport) -> dict:
    """The five statistics, each with its scores and its density, data by model."""
    of = {name: getattr(report, name) for name in STATISTICS}
    return {
        name: {k: getattr(x, k) for k in _NUMBERS} | {"density": _density(x)}
        for name, x in of.items()
    }


def measure(subject: Subject) -> dict:
    """Let the model generate frames and compare them with the test frames."""
    report = cl.validate(subject.model, subject.train, subject.test, random_state=subject.seed)
    found = statistics(report) | {
        "nllh": report.nllh.median,
        "left_out": report.left_out.median,
        "nllh_histogram": histogram(report.nllh.nllh, -0.5, 1.0, 60),
    }
    truth = subject.test.truth
    if truth is not None:
        found["nllh_of_truth"] = nllh_given_probabilities(subject.test, truth.probability).median
    return found
