"""Recordings whose assemblies nobody knows: what a list of members tells of a cell left out.

- *Stability*: the members shared by what a method finds in either half of the frames.
- *Left out*: for a cell, the mean activity of the other members of each assembly is the input of a
  logistic regression on the training frames (L2 with scikit-learn's C = 1, inputs of unit
  variance). Its score on the test frames is that of Eq. 18. The regression is the same for all
  methods, so the score judges the members alone. One hundred cells stand for all.

"published" are the members that Triplett et al. (2018) give for the tectum. They were found with
all frames, the test frames among them, and have no stability.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

import crbm_lite as cl
from benchmarks.any_recording import recordings
from crbm_lite.core.spikes import evenly_spread
from crbm_lite.validation.likelihood import nllh_given_probabilities

__all__ = ["NAMES", "PUBLISHED", "frames", "left_out", "published_members"]

NAMES = ("tectum", "dorsal", "nasal", "maccione")
PUBLISHED = "published"
_N_CELLS = 100
_ASSIGNMENTS = "zf_20151104-f1_assembly_assignments.csv"


def frames(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Training and test frames of a recording, (T, N) uint8 each."""
    train, test = cl.split_train_test(recordings.load(name))
    return train.spikes, test.spikes


def published_members(name: str, n_neurons: int) -> np.ndarray:
    """The published members (N, K) bool; for the tectum only."""
    if name != "tectum":
        raise SystemExit(f"{name} has no published assemblies: the tectum has")
    lines = cl.fetch("zebrafish-tectum").paths[_ASSIGNMENTS].read_text().splitlines()
    members = np.zeros((n_neurons, len(lines)), dtype=bool)
    for k, line in enumerate(lines):
        members[np.array(line.split(","), dtype=int) - 1, k] = True
    return members


def left_out(members: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict:
    """Score a list of members (N, K) by the cells that it predicts; medians over cells."""
    cells = evenly_spread(train.shape[1], _N_CELLS)
    p = np.stack([_probability(members, train, test, cell) for cell in cells], axis=1)
    score = nllh_given_probabilities(test[:, cells], p)
    return {"left_out": round(score.median, 5), "n_cells": len(cells)}


def _probability(members: np.ndarray, train: np.ndarray, test: np.ndarray, cell: int) -> np.ndarray:
    """P(cell is active) in the test frames, given the activity of the assemblies without it."""
    known = train[:, cell]
    others = members.copy()
    others[cell] = False
    others = others[:, others.any(axis=0)].astype(float)
    if known.min() == known.max() or not others.shape[1]:
        return np.full(len(test), known.mean())
    x, x_test = (v @ (others / others.sum(axis=0)) for v in (train, test))
    mean, sd = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    fitted = LogisticRegression(max_iter=1000).fit((x - mean) / sd, known)
    return fitted.predict_proba((x_test - mean) / sd)[:, 1]
