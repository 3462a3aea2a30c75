"""Short trainings that several tests make, and what is the same in two that are alike."""

import sys
import warnings

import numpy as np

from crbm_lite.model.model import CRBM

PARAMETERS = ("weights_", "fields_", "gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_")


def fit(v, **changes):
    """Fit a small model, whatever its verdict."""
    options = {
        "n_hidden": 8, "l1": 0.01, "n_updates": 400, "batch_size": 100, "n_chains": 50,
        "n_gibbs": 5, "random_state": 0, "progress": False,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CRBM(**options | changes).fit(v)


def bits(model):
    """Everything that a run leaves, as bytes; clocks are left out."""
    history = {k: x for k, x in vars(model.history_).items() if k != "seconds"}
    rest = (history, model.certificate_, model.verdict_)
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        arrays = [getattr(model, name).tobytes() for name in (*PARAMETERS, "chains_")]
        return [*arrays, repr(rest)]


def correlations_with_truth(weights, truth):
    """|r| of every planted assembly (rows) with every unit's weights (columns)."""
    members = np.asarray(truth.effects.todense() != 0, dtype=float)
    with np.errstate(invalid="ignore"):  # a unit without weights has no correlation
        both = np.corrcoef(members.T, weights.T)
    return np.nan_to_num(np.abs(both[: members.shape[1], members.shape[1] :]))
