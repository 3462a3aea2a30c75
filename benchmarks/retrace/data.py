"""Methods: what the filters leave, and how the frames are split."""

from __future__ import annotations

import numpy as np

from benchmarks.retrace.compact import histogram
from benchmarks.retrace.subject import Subject

__all__ = ["measure"]


def measure(subject: Subject) -> dict:
    """Count neurons and frames, before and after."""
    recording, activity = subject.recording, subject.recording.activity
    return {
        "n_whole": subject.whole.n_neurons,
        "n_unlabelled": subject.filtered.n_unlabelled[0],
        "activity": subject.filtered.activity[0],
        "passes_activity": bool(subject.filtered.kept),
        "n_neurons": recording.n_neurons,
        "n_regions": int(recording.labels.any(axis=0).sum()),
        "n_frames": recording.n_frames,
        "rate_hz": recording.rate_hz,
        "duration_s": recording.duration_s,
        "n_splits": len(subject.split.choices),
        "split": subject.split.index + 1,
        "n_train": subject.train.n_frames,
        "n_test": subject.test.n_frames,
        "log10_activity": histogram(np.log10(activity), -4, 0),
    }
