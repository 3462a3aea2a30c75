"""2-S1, Methods: the M and lambda that `CRBM()` chose, how the training ended, what it found."""

from __future__ import annotations

from benchmarks.any_recording.scores import of_assemblies
from benchmarks.retrace.subject import Subject

__all__ = ["measure"]


def measure(subject: Subject) -> dict:
    """Describe the model of the training frames and, if the truth is known, what it found of it."""
    model, report = subject.model, subject.model.report_
    found = {
        "verdict": model.verdict_,
        "n_hidden": report.chosen_n_hidden,
        "n_used": len(subject.used),
        "l1": report.chosen_l1,
        "is_refit": report.chosen_refit,
        "start": report.chosen_start,
        "std_w": model.weights_.std(),
        "zeros": (model.weights_ == 0).mean(),
        "path": {
            "start": report.starts,
            "l1": report.l1,
            "is_refit": report.is_refit,
            "n_updates": report.n_updates,
            "n_alive": report.n_alive,
            "gain": report.gain,
            "gain_error": report.gain_error,
        },
    }
    truth = subject.recording.truth
    return found | ({} if truth is None else {"truth": of_assemblies(model.weights_, truth)})
