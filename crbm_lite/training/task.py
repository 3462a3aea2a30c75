"""One training: start, updates under watch, certificate, verdict.

The warm start is tried by training itself. If after a hundred updates the chains have not kept the
data's activity (as where units overlap too much to be started as independent ones, in waves), the
run begins again from small random weights. During the run the chains are watched, and a run that
diverges is rewound (`crbm_lite.training.monitors`). Every run ends with a verdict
(`crbm_lite.training.certificate`). The state between two updates can be
written to a checkpoint (`crbm_lite.training.checkpoint`), from which the run goes on to the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes
from crbm_lite.training.certificate import Certificate, certify, rounds_within, sample_model
from crbm_lite.training.data_side import DataMeans
from crbm_lite.training.hidden_term import HiddenTerm, MixedMeans
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.model_side import ModelMeans
from crbm_lite.training.monitors import TRIAL_UPDATES, History, MonitoredRun, Trainer
from crbm_lite.training.parameters import TrainedParameters, without_units_of_one_neuron
from crbm_lite.training.search.report import SearchReport
from crbm_lite.training.start import Start, random_start, warm_start

__all__ = [
    "SampledEnd",
    "TaskEnd",
    "TrainingResult",
    "TrainingTask",
    "first_trainer",
    "make_updates",
    "result_of",
    "sample_end",
    "start_trainer",
    "take_end",
]

_TRIAL_WINDOW, _TRIAL_RATIO = 30, 1.5
_CERTIFICATE_CHAINS = 2  # chains from data frames for every training chain; rare states want many
_LONG_RUN = 5000  # Gibbs steps
_SAMPLING_FROM_START = 2  # times a training that goes on from a model: it is part of a longer run
_COLLAPSED_WEIGHT = 1e-3

MakeTrainer = Callable[[Spikes, Start, Schedule, np.random.Generator], Trainer]


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves.

    Attributes
    ----------
    weights : ndarray of float32, shape (N, M)
        Units whose weights have a negative sum are flipped.
    fields : ndarray, shape (N,)
    potential : ndarray, shape (4, M)
        gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13, theta uncentred.
    chains : ndarray of uint8, shape (chains, N)
    history : History
    verdict : str
        A key of `crbm_lite.training.certificate.ADVICE`.
    certificate : Certificate
    state : dict or None
        What `train` needs to go on after an interruption.
    l1 : float
        The penalty that chose the weights.
    refit : float
        The share of the updates, at the end, without it.
    report : SearchReport or None
        What was chosen by evidence, and why.
    """

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    chains: np.ndarray
    history: History
    verdict: str
    certificate: Certificate
    state: dict[str, np.ndarray] | None
    l1: float
    refit: float
    report: SearchReport | None = None


def result_of(
    task: TrainingTask, run: MonitoredRun, sampled: SampledEnd, report: SearchReport | None = None,
    l1_is_chosen: bool = False,
) -> TrainingResult:  # fmt: skip
    """Certify a model and put together what the run leaves."""
    schedule, end = task.schedule, sampled.end
    certificate = certify(
        end.parameters, sampled.data, sampled.model, schedule.l1, schedule.l1_nonzero
    )
    weights, potential = end.parameters.weights, end.parameters.potential
    if not task.keeps_signs:
        weights, potential = _flipped(end.parameters)
    verdict = _verdict(end.how, weights, certificate, l1_is_chosen)
    return TrainingResult(
        weights, end.parameters.fields.copy(), potential, end.spikes, run.history(), verdict,
        certificate, end.state, schedule.l1, schedule.refit, report,
    )  # fmt: skip


@dataclass(frozen=True)
class TrainingTask:
    """What is to be trained, and by what.

    `make_trainer` makes a trainer of spikes, a start, a schedule and random numbers. Without a
    `start` the run makes one as `init` says. `hidden` is the term that the trainers have, too.
    """

    spikes: Spikes
    n_hidden: int
    schedule: Schedule
    init: str
    seed: int
    make_trainer: MakeTrainer
    start: Start | None = None
    hidden: HiddenTerm | None = None
    keeps_signs: bool = False

    def rng(self) -> np.random.Generator:
        """Random numbers of a start: the warm and the random one see the same."""
        return np.random.default_rng(self.seed)

    @property
    def is_long(self) -> bool:
        """Whether the run is worth more sampling at its end than a short one has itself."""
        return self.schedule.n_updates * self.schedule.n_gibbs >= _LONG_RUN


@dataclass(frozen=True)
class TaskEnd:
    """How the updates ended, and with what.

    They have "finished", "interrupted" or "diverged", or there is "no structure" to be trained.
    """

    how: str
    parameters: TrainedParameters
    spikes: np.ndarray  # of the chains
    state: dict[str, np.ndarray] | None = None  # of a run that was interrupted


@dataclass(frozen=True)
class SampledEnd:
    """The end of the updates, and both sides of its certificate."""

    end: TaskEnd
    data: DataMeans | MixedMeans
    model: ModelMeans


# Arrays as large as W are the unit of memory. A trainer holds several, and the chains more than
# one, so each lives in the scope of one of the next functions and is gone when that returns.


def sample_end(task: TrainingTask, end: TaskEnd, chains: GibbsChains) -> SampledEnd:
    """Sample the model that the updates end with.

    The samples are those of the run's chains and, after a long run, of more that start from data.
    Sampling takes as many steps of a chain as the updates did, at most, and few where these were
    cut short. From a start that is given, as after a search, it may take twice as many.
    """
    n_more = _CERTIFICATE_CHAINS * chains.n_chains if task.is_long else 0
    frames = task.rng().integers(task.spikes.n_frames, size=n_more)
    more_chains = chains.joined_by(task.spikes.dense(frames))
    n_steps = task.schedule.n_updates * task.schedule.n_gibbs * chains.n_chains
    if task.start is not None:
        n_steps *= _SAMPLING_FROM_START
    n_rounds = rounds_within(n_steps / more_chains.n_chains) if end.how == "finished" else 1
    data = (
        DataMeans(task.spikes, end.parameters)
        if task.hidden is None
        else MixedMeans(task.spikes, end.parameters, task.hidden, task.rng())
    )
    return SampledEnd(end, data, sample_model(end.parameters, more_chains, data, n_rounds))


def make_updates(
    task: TrainingTask, run: MonitoredRun, state: Mapping[str, np.ndarray] | None
) -> tuple[TaskEnd, GibbsChains]:
    """Start a trainer, or restore it from a state, and update it to the end."""
    if state is None:
        trainer = start_trainer(task, run)
    else:
        trainer = first_trainer(task)
        run.restore(trainer, state)
        run.progress.update(trainer.plan.update)
    if state is None and run.stop.made:
        how, left = "interrupted", None  # a start that was cut short is made again
    else:
        how = run.train(trainer)
        left = run.state(trainer) if how == "interrupted" else None
    run.forget_snapshot()
    return take_end(task, how, trainer, left)


def take_end(
    task: TrainingTask, how: str, trainer: Trainer, state: dict[str, np.ndarray] | None = None
) -> tuple[TaskEnd, GibbsChains]:
    """Take from a trainer what is needed after it.

    Units of one neuron go, but for those of a run with values of h among its data.
    """
    parameters, chains = trainer.finish()
    if how == "finished" and task.hidden is None:
        parameters = without_units_of_one_neuron(parameters)
        chains.set_weights(parameters.weights)
        chains.update_inputs()
    return TaskEnd(how, parameters, chains.spikes(), state), chains


def start_trainer(task: TrainingTask, run: MonitoredRun) -> Trainer:
    """Return a trainer with the warm start if that is asked for and works, else a random start."""
    if task.start is not None:
        return first_trainer(task)
    trainer = _tried_warm_trainer(task, run) if task.init in ("auto", "pca") else None
    return first_trainer(task) if trainer is None else trainer


def first_trainer(task: TrainingTask) -> Trainer:
    """Return a trainer at the start of the task, which by default is a random one."""
    rng = task.rng()
    start = task.start or random_start(task.spikes, task.n_hidden, rng)
    return task.make_trainer(task.spikes, start, task.schedule, rng)


def _tried_warm_trainer(task: TrainingTask, run: MonitoredRun) -> Trainer | None:
    """Return a trainer that has begun well from the warm start; None if there is no such."""
    trainer, n_units = _warm_trainer(task)
    if trainer is None:
        run.events.append("no principal component above the noise; random start")
        return None
    if not _starts_well(trainer, run):
        run.progress.update(-trainer.plan.update)
        run.events.append("warm start left the data's activity; begun again at random")
        return None
    run.events.append(f"warm start from {n_units} rotated principal components")
    return trainer


def _warm_trainer(task: TrainingTask) -> tuple[Trainer | None, int]:
    """Return a trainer at the warm start, or None, and the number of linear units in it."""
    rng = task.rng()
    start = warm_start(task.spikes, task.n_hidden, task.schedule.l1, rng)
    if start is None:
        return None, 0
    return task.make_trainer(task.spikes, start, task.schedule, rng), start.n_linear_units


def _starts_well(trainer: Trainer, run: MonitoredRun) -> bool:
    """Train a little from a warm start; say whether the chains keep the data's activity."""
    activities = []
    for _ in range(min(TRIAL_UPDATES, trainer.plan.schedule.n_updates)):
        trainer.one_update()
        run.progress.update(1)
        if run.stop.made:
            return True
        activities.append(trainer.activity_of_chains())
    ratio = np.mean(activities[-_TRIAL_WINDOW:]) / max(run.activity, 1e-12)
    return bool(1.0 / _TRIAL_RATIO < ratio < _TRIAL_RATIO and trainer.is_finite())


def _flipped(parameters: TrainedParameters) -> tuple[np.ndarray, np.ndarray]:
    """Weights and potential in which no unit has weights of a negative sum."""
    flip = parameters.weights.sum(axis=0) < 0
    gamma_plus, gamma_minus, theta_plus, theta_minus = parameters.potential
    flipped = np.stack([gamma_minus, gamma_plus, -theta_minus, -theta_plus])
    signs = np.where(flip, np.float32(-1.0), np.float32(1.0))
    return parameters.weights * signs, np.where(flip, flipped, parameters.potential)


def _verdict(how: str, weights: np.ndarray, certificate: Certificate, l1_is_chosen: bool) -> str:
    if how in ("interrupted", "no structure"):
        return how
    if certificate.n_units_alive == 0 or np.abs(weights).max() < _COLLAPSED_WEIGHT:
        # nobody has set a penalty that is too large where it was chosen
        return "no structure" if l1_is_chosen else "collapsed"
    if how == "diverged":
        return how
    return certificate.verdict
