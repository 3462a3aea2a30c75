"""Which parts of the default training matter: each taken out alone, on the same frames.

A model without the penalty has weights everywhere, and at full size takes days. So a simulated fish
has a tenth of its neurons here, or fewer.
"""

from __future__ import annotations

from dataclasses import replace

from sklearn.base import clone

import crbm_lite as cl
from benchmarks import command
from benchmarks.any_recording.scores import gain_over_independent, of_assemblies
from benchmarks.retrace.subject import Subject
from crbm_lite.validation.comparison import STATISTICS

__all__ = ["ABLATIONS", "measure"]

_MOST = 0.1  # of the neurons
ABLATIONS = {
    "nothing": {},
    "the penalty": {"l1": 0.0},
    "the refit": {"refit": 0.0},
    "the jumps": {"jump_every": 0},
    "the start from data": {"init": "random"},
    "half of the units": {},  # how many these are, the model with nothing taken out says
}


def measure(subject: Subject) -> dict:
    """Train without each part, and score what is generated, predicted and found."""
    if subject.is_simulated:
        subject = replace(subject, scale=min(subject.scale, _MOST))
    found = {"scale": subject.scale}
    for name, changes in ABLATIONS.items():
        if name == "half of the units":
            changes = {"n_hidden": max(2, len(subject.used) // 2)}
        with command.timed() as elapsed:
            model = cl.cached_fit(clone(subject.estimator).set_params(**changes), subject.train)
        found[name] = _scores(model, subject) | {"cpu_s": elapsed.cpu_s}
    return found


def _scores(model: cl.CRBM, subject: Subject) -> dict:
    train, test = subject.train, subject.test
    report = cl.validate(model, train, test, random_state=subject.seed)
    found = {
        "verdict": model.verdict_,
        "n_used": int((model.weights_ != 0).any(axis=0).sum()),
        "gain_nats": gain_over_independent(model, train, test),
        "nllh": report.nllh.median,
        "nrmse": {name: getattr(report, name).nrmse for name in STATISTICS},
        "pearson_r": {name: getattr(report, name).pearson_r for name in STATISTICS},
    }
    truth = train.truth
    return found | ({} if truth is None else of_assemblies(model.weights_, truth))
