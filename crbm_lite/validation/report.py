"""Validate a model: how well it generates what the brain does, and predicts each neuron.

`validate` lets a fitted model generate frames and compares their five statistics with those of test
data (`crbm_lite.validation.comparison`, with the moments of `crbm_lite.validation.moments` and the
nRMSE of `crbm_lite.validation.nrmse`). It also scores every neuron
(`crbm_lite.validation.likelihood`).

The frames are generated as in the paper: 300 chains start at random training frames, run for 100
saves that are forgotten, and are then saved 50 times, 20 Gibbs steps apart. That makes 15,000
frames. They are generated a few saves at a time and kept as bits.

Frames of one chain resemble each other, so 15,000 frames may say less than it seems. The error that
this leaves in every nRMSE is estimated from ten groups of chains: each group gives an nRMSE of its
own, and their spread divided by the root of ten is the standard error of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from crbm_lite.checks.arguments import as_count, as_generator, as_number
from crbm_lite.core.spikes import evenly_spread, spikes_of_model
from crbm_lite.validation.comparison import MomentScores, compare_moments, l1_variance_term
from crbm_lite.validation.likelihood import NormalisedLikelihood, left_out_nllh, nllh
from crbm_lite.validation.moments import MomentSums, SampleMoments, sample_moments
from crbm_lite.validation.nrmse import StatisticScore

__all__ = ["GroupsOfChains", "ValidationReport", "generated_frames", "validate"]

_SAMPLE_BYTES = 2**26  # of generated uint8 frames in memory at once
_N_GROUPS = 10  # of chains, whose spread gives the sampling error
_N_NEURONS = 1000  # in the groups' moments, spread evenly over the recording
_USUAL_STEPS, _MOST_STEPS = 20, 60  # Gibbs steps between two saves
_MIXINGS = 3  # a chain runs for so many times as the slowest unit takes to mix


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
                f"{self.n_generated:,} generated; lambda of the weights' condition {self.l1:g}"
                + ("" if self.l1 else " (none, or refitted without it)"),
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
    rng = as_generator(random_state)
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


class GroupsOfChains:
    """Moments of groups of chains, summed up while the generated frames pass by.

    Parameters
    ----------
    n_chains : int
        Frames come in whole saves of all chains, chain after chain.
    n_neurons : int
    mean_h : callable
        As in `crbm_lite.validation.moments.sample_moments`.
    """

    def __init__(
        self, n_chains: int, n_neurons: int, mean_h: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self.n_chains = n_chains
        self.neurons = evenly_spread(n_neurons, _N_NEURONS)
        n_groups = min(_N_GROUPS, n_chains)
        self.sums = [MomentSums(mean_h, "generated", self.neurons) for _ in range(n_groups)]

    def watch(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass the pieces on, and add every chain's frames to the sums of its group."""
        for frames in pieces:
            group = np.arange(len(frames)) % self.n_chains % len(self.sums)
            for g, sums in enumerate(self.sums):
                sums.add(frames[group == g])
            yield frames

    def with_errors(
        self,
        scores: MomentScores,
        test: SampleMoments,
        train: SampleMoments,
        weights: np.ndarray,
        variance_term: np.ndarray | None = None,
        l1: float = 0.0,
    ) -> MomentScores:
        """Add the standard error of every nRMSE to the scores of all chains.

        The other parameters are those that made the scores (`compare_moments`).
        """
        if len(self.sums) < 2:
            return scores
        some = self.neurons
        options = {"weights": weights[some], "l1": l1, "n_scatter": 1, "random_state": 0}
        if variance_term is not None:
            options["variance_term"] = variance_term[some]
        data = test.of_neurons(some), train.of_neurons(some)
        groups = [compare_moments(*data, sums.moments(), **options) for sums in self.sums]

        def with_error(name: str, score: StatisticScore | None) -> StatisticScore | None:
            if score is None:
                return None
            nrmse = [getattr(group, name).nrmse for group in groups]
            return replace(score, nrmse_error=float(np.std(nrmse, ddof=1) / np.sqrt(len(nrmse))))

        return MomentScores(**{k: with_error(k, score) for k, score in vars(scores).items()})


def validate(
    model,
    train: object,
    test: object,
    random_state: int | np.random.Generator | None = None,
    *,
    l1: float | None = None,
    n_chains: int = 300,
    n_saved: int = 50,
    n_steps: int | None = None,
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
    n_saved, burn_in : int
        States saved of each chain (default 50), and saves that are forgotten at first (default
        100).
    n_steps : int, optional
        Gibbs steps between two saves. The default is 20, and up to 60 where the certificate of the
        model says that a unit takes long to mix: a chain then runs three times as long as that.
    n_scatter : int
        Entries in a scatter plot, at most (default 20,000).

    Returns
    -------
    ValidationReport
        `print(report)` shows its table, `report.plot()` its figure.

    Raises
    ------
    ValueError
        If data are empty or not binary, do not fit the model, it is not fitted or no CRBM, or a
        count is not positive.
    """
    rng = as_generator(random_state)
    n_chains, n_saved = as_count(n_chains, "n_chains"), as_count(n_saved, "n_saved")
    n_steps = _steps_between(model, n_saved) if n_steps is None else as_count(n_steps, "n_steps")
    burn_in, n_scatter = as_count(burn_in, "burn_in", 0), as_count(n_scatter, "n_scatter", 0)
    train = spikes_of_model(model, train, "train")
    test = spikes_of_model(model, test, "test")
    if not hasattr(model, "hidden_input"):
        raise ValueError(f"model is a {type(model).__name__}: give a CRBM")
    if l1 is None:  # after a refit the weights that are left are stationary without penalty
        l1 = getattr(model, "l1_", getattr(model, "l1", 0.0))
        l1 = 0.0 if getattr(model, "refit_", 0.0) else l1
    l1 = as_number(l1, "l1", "lambda, 0 or more")
    if l1 < 0:
        raise ValueError(f"l1 is {l1}: give lambda, 0 or more")
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
    term = l1_variance_term(model, train, l1) if l1 else np.zeros(model.weights_.shape)
    conditions = {"weights": model.weights_, "l1": l1, "variance_term": term}
    mean_h = model.mean_h_given_v
    data = sample_moments(test, mean_h, name="test"), sample_moments(train, mean_h, name="train")
    groups = GroupsOfChains(n_chains, test.n_neurons, mean_h)
    generated = sample_moments(groups.watch(frames), mean_h, name="generated")
    scores = compare_moments(*data, generated, **conditions, random_state=rng, n_scatter=n_scatter)
    scores = groups.with_errors(scores, *data, **conditions)
    return ValidationReport(
        **vars(scores),
        left_out=left_out_nllh(model, test),
        nllh=nllh(model, test),
        l1=l1,
        n_train=n_train,
        n_test=test.n_frames,
        n_generated=n_chains * n_saved,
    )


def _steps_between(model: object, n_saved: int) -> int:
    """Gibbs steps between saves, by the time that the slowest unit takes to mix if it is known."""
    times = getattr(getattr(model, "certificate_", None), "mixing_times", np.empty(0))
    slowest = np.nan_to_num(times, posinf=np.inf).max(initial=0.0)
    return int(np.clip(np.ceil(_MIXINGS * slowest / n_saved), _USUAL_STEPS, _MOST_STEPS))
