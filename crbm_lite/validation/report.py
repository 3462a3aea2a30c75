"""Validate a model: how well it generates what the brain does, and predicts each neuron.

`validate` lets a fitted model generate frames and compares their five statistics with those of test
data (`crbm_lite.validation.comparison`, with the moments of `crbm_lite.validation.moments` and the
nRMSE of `crbm_lite.validation.nrmse`). It also scores every neuron
(`crbm_lite.validation.likelihood`).

The frames are generated as in the paper: 300 chains start at random training frames, run for 100
saves that are forgotten, and are then saved 50 times, 20 Gibbs steps apart. That makes 15,000
frames. They are generated a few saves at a time and kept as bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crbm_lite.core.spikes import as_spikes
from crbm_lite.validation.comparison import MomentScores, compare_moments, l1_variance_term
from crbm_lite.validation.likelihood import NormalisedLikelihood, left_out_nllh, nllh

__all__ = ["ValidationReport", "generated_frames", "validate"]

_SAMPLE_BYTES = 2**26  # of generated uint8 frames in memory at once


@dataclass(frozen=True, eq=False, kw_only=True)
class ValidationReport(MomentScores):
    """What `validate` returns: the scores of the five statistics and those of every neuron.

    Attributes
    ----------
    left_out : NormalisedLikelihood
        Prediction of each neuron from all the others, on the test frames. Compare models by it.
    nllh : NormalisedLikelihood
        Reconstruction of the test frames, neuron by neuron (the paper's score).
    l1 : float
        lambda of the correction of <v h>.
    n_train, n_test, n_generated : int
        Frames behind the averages.
    """

    left_out: NormalisedLikelihood
    nllh: NormalisedLikelihood
    l1: float
    n_train: int
    n_test: int
    n_generated: int

    def table(self) -> str:
        """Plain text: one line per statistic, then the nLLH and the frames that were compared."""
        n_scored = len(self.nllh.nllh) - self.nllh.n_left_out
        return "\n".join(
            [
                super().table(),
                "",
                f"median nLLH {self.left_out.median:.4f} with the neuron left out, "
                f"{self.nllh.median:.4f} reconstructed, over {n_scored:,} neurons "
                f"({self.nllh.n_left_out:,} silent or always active in test do not count)",
                f"frames: {self.n_test:,} test, {self.n_train:,} train, "
                f"{self.n_generated:,} generated; lambda = {self.l1:g}",
            ]
        )

    def plot(self):
        """Draw six panels like Fig. 2C-H: five densities of data against model, and the nLLH.

        Returns
        -------
        numpy.ndarray of matplotlib.axes.Axes, shape (6,)
        """
        from crbm_lite.plotting.figures import plot_validation

        return plot_validation(self)


def generated_frames(
    model,
    start: np.ndarray,
    *,
    n_saved: int = 50,
    n_steps: int = 20,
    burn_in: int = 100,
    random_state: int | np.random.Generator | None = None,
) -> Iterator[np.ndarray]:
    """Let a cRBM generate frames, a few saves of all chains at a time.

    Parameters
    ----------
    model : CRBM
    start : (n_chains, N) uint8
        Where the chains start.
    n_saved : int
        States saved of each chain (default 50).
    n_steps : int
        Gibbs steps between two saves (default 20).
    burn_in : int
        Saves that are forgotten at first (default 100).
    random_state : int, Generator or None

    Yields
    ------
    (k * n_chains, N) uint8
        `n_saved` x n_chains frames in all, at most 64 MB (or one save of all chains) at once.
    """
    rng = np.random.default_rng(random_state)
    n_chains, n_neurons = start.shape
    saves_at_once = max(1, _SAMPLE_BYTES // (n_chains * n_neurons))
    while n_saved > 0:
        saves = min(saves_at_once, n_saved)
        frames = model.sample(
            saves * n_chains,
            n_chains=n_chains,
            n_steps=n_steps,
            burn_in=burn_in,
            start=start,
            random_state=rng,
        )
        yield frames
        start, burn_in, n_saved = frames[-n_chains:], 0, n_saved - saves


def validate(
    model,
    train: object,
    test: object,
    random_state: int | np.random.Generator | None = None,
    *,
    l1: float | None = None,
    n_chains: int = 300,
    n_saved: int = 50,
    n_steps: int = 20,
    burn_in: int = 100,
    n_scatter: int = 20_000,
) -> ValidationReport:
    """Validate a fitted cRBM on test data: five statistics, and each neuron's nLLH (Fig. 2C-H).

    Parameters
    ----------
    model : CRBM
        Fitted, or made by `CRBM.from_parameters`.
    train, test : (T, N) array of 0/1, scipy.sparse matrix or Recording
        The frames that the model was fitted to, and frames that it has not seen.
    random_state : int, Generator or None
        Chooses where the chains start, drives them, and picks the points of the scatter plots.
    l1 : float, optional
        lambda of the correction of <v h> (default: the model's own `l1`, and 0 after a refit or for
        a model without one).
    n_chains : int
        Chains from random training frames (default 300), drawn without replacement where there are
        enough.
    n_saved, n_steps, burn_in : int
        States saved of each chain (default 50), Gibbs steps between two saves (default 20), and
        saves that are forgotten at first (default 100).
    n_scatter : int
        Entries in a scatter plot, at most (default 20,000).

    Returns
    -------
    ValidationReport
        `print(report)` shows its table, `report.plot()` its figure.

    Raises
    ------
    ValueError
        If data are empty or not binary, do not fit the model, or a count is not positive.
    """
    rng = np.random.default_rng(random_state)
    for name, value in (("n_chains", n_chains), ("n_saved", n_saved), ("n_steps", n_steps)):
        if value < 1:
            raise ValueError(f"{name} is {value}: give at least 1")
    if burn_in < 0:
        raise ValueError(f"burn_in is {burn_in}: give 0 or more")
    n_neurons = len(model.weights_)
    train = as_spikes(train, "train", n_neurons)
    test = as_spikes(test, "test", n_neurons)
    if l1 is None:  # after a refit the weights that are left are stationary without penalty
        l1 = 0.0 if getattr(model, "refit", 0.0) else getattr(model, "l1", 0.0)
    l1 = float(l1)
    n_train = train.n_frames
    first = rng.choice(n_train, n_chains, replace=n_chains > n_train)
    frames = generated_frames(
        model,
        train.dense(first),
        n_saved=n_saved,
        n_steps=n_steps,
        burn_in=burn_in,
        random_state=rng,
    )
    scores = compare_moments(
        test,
        train,
        frames,
        mean_h=model.mean_h_given_v,
        weights=model.weights_,
        l1=l1,
        variance_term=l1_variance_term(model, train, l1) if l1 else np.zeros(model.weights_.shape),
        random_state=rng,
        n_scatter=n_scatter,
    )
    return ValidationReport(
        **vars(scores),
        left_out=left_out_nllh(model, test),
        nllh=nllh(model, test),
        l1=l1,
        n_train=n_train,
        n_test=test.n_frames,
        n_generated=n_chains * n_saved,
    )
