"""What every model is judged by, as numbers that a JSON table can hold."""

from __future__ import annotations

import numpy as np

import crbm_lite as cl
from crbm_lite.baselines.independent import fit_independent
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.validation.comparison import STATISTICS
from crbm_lite.validation.likelihood import left_out_log_likelihood

FOUND = 0.5  # |r| of a planted assembly and what is matched to it, from which it counts as found


def gain_over_independent(model: object, train: object, test: object) -> float:
    """Left-out log-likelihood above that of the rates in training, in nats per test frame."""
    floor = fit_independent(train)
    at, of = (left_out_log_likelihood(x, test).sum() for x in (model, floor))
    return float(at - of)


def of_prediction(model: cl.CRBM, train: cl.Recording, test: cl.Recording) -> dict:
    """The gain, the units alive, the verdict and, of planted assemblies, what is found."""
    found = {
        "gain_nats": gain_over_independent(model, train, test),
        "units_alive": int((model.weights_ != 0).any(axis=0).sum()),
        "verdict": model.verdict_,
    }
    return found | ({} if test.truth is None else of_assemblies(model.weights_, test.truth))


def of_generation(model: cl.CRBM, train: cl.Recording, test: cl.Recording, seed: int) -> dict:
    """The five statistics of what the model generates, each with its nRMSE and RMSE."""
    report = cl.validate(model, train, test, random_state=seed)
    kept = ("nrmse", "nrmse_error", "rmse", "rmse_optimal", "has_scale")
    of = {name: getattr(report, name) for name in STATISTICS}
    return {"statistics": {name: {k: getattr(x, k) for k in kept} for name, x in of.items()}}


def of_assemblies(weights: np.ndarray, truth: GroundTruth) -> dict:
    """How many planted assemblies are found, and the mean |r| over all of them.

    A planted assembly is the effects by which it excites neurons. Each sign of a unit may be an
    assembly, since a unit with two wells can stand for two that exclude each other. The matching is
    one to one, and an assembly without a match has r = 0.
    """
    planted = np.maximum(truth.effects.toarray(), 0.0)
    one_sided = np.hstack([np.maximum(weights, 0.0), np.maximum(-weights, 0.0)])
    r = cl.match_assemblies(planted, one_sided).correlation
    return {
        "n_found": int((r > FOUND).sum()),
        "mean_r": float(np.maximum(r, 0.0).sum() / truth.n_assemblies),
        "n_planted": truth.n_assemblies,
    }
