"""A whole training run: start, updates under watch, certificate, verdict.

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
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.interruption import stop_request
from crbm_lite.training.model_side import ModelMeans
from crbm_lite.training.monitors import TRIAL_UPDATES, History, MonitoredRun, Save, Trainer
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.start import Start, random_start, warm_start
from crbm_lite.training.trainer import NumbaTrainer

__all__ = ["TrainingResult", "TrainingTask", "start_trainer", "train"]

_TRIAL_WINDOW, _TRIAL_RATIO = 30, 1.5
_CERTIFICATE_CHAINS = 2  # chains from data frames for every training chain; rare states want many
_LONG_RUN = 5000  # Gibbs steps
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
    """

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    chains: np.ndarray
    history: History
    verdict: str
    certificate: Certificate
    state: dict[str, np.ndarray] | None


def train(
    spikes: Spikes,
    n_hidden: int,
    schedule: Schedule,
    init: str,
    seed: int,
    progress: object,
    *,
    backend: str = "numba",
    state: Mapping[str, np.ndarray] | None = None,
    save: Save | None = None,
    save_every: int = 1,
) -> TrainingResult:
    """Train a cRBM.

    Parameters
    ----------
    spikes : Spikes
    n_hidden : int
    schedule : Schedule
    init : {"pca", "random"}
    seed : int
    progress : tqdm or alike
        Something with ``update`` and ``set_postfix_str``.
    backend : {"numba", "jax", "jax-tf32", "jax-bf16"}, default "numba"
    state : mapping, optional
        Where to go on: what a run of the same arguments gave to `save`, or left when interrupted.
    save : callable, optional
        Called with the state every `save_every` updates, at the end, and when interrupted.
    save_every : int, default 1

    Returns
    -------
    TrainingResult

    Examples
    --------
    >>> from tqdm import tqdm
    >>> from crbm_lite.core.spikes import as_spikes
    >>> spikes = as_spikes(np.random.default_rng(0).random((60, 12)) < 0.2)
    >>> schedule = Schedule(n_updates=5, batch_size=10, n_chains=4, n_gibbs=1, jump_every=0,
    ...     l1=0.02, learning_rate=0.01, final_learning_rate=0.01, decay_start=0.0, ramp=0.0,
    ...     average_from=0.5, beta2=0.9, epsilon=1e-6)
    >>> result = train(spikes, 3, schedule, "random", 0, tqdm(disable=True))
    >>> result.weights.shape, result.chains.shape
    ((12, 3), (4, 12))
    """
    task = TrainingTask(spikes, n_hidden, schedule, init, seed, _trainer_of(backend))
    with stop_request() as stop:
        activity = float(spikes.activity().mean())
        run = MonitoredRun(activity, progress, stop, save, save_every)
        end, model = _updates_and_samples(task, run, state)
        certificate = certify(spikes, end.parameters, schedule.l1, schedule.l1_nonzero, model)
    weights, potential = _flipped(end.parameters)
    verdict = _verdict(end.how, weights, certificate)
    return TrainingResult(
        weights, end.parameters.fields.copy(), potential, end.spikes, run.history(), verdict,
        certificate, end.state,
    )  # fmt: skip


@dataclass(frozen=True)
class TrainingTask:
    """What is to be trained, and by what.

    `make_trainer` makes a trainer of spikes, a start, a schedule and random numbers.
    """

    spikes: Spikes
    n_hidden: int
    schedule: Schedule
    init: str
    seed: int
    make_trainer: MakeTrainer

    def rng(self) -> np.random.Generator:
        """Random numbers of a start: the warm and the random one see the same."""
        return np.random.default_rng(self.seed)

    @property
    def is_long(self) -> bool:
        """Whether the run is worth more sampling at its end than a short one has itself."""
        return self.schedule.n_updates * self.schedule.n_gibbs >= _LONG_RUN


@dataclass(frozen=True)
class _End:
    """How the updates ended: "finished", "interrupted" or "diverged", and with what."""

    how: str
    parameters: TrainedParameters
    spikes: np.ndarray  # of the chains
    state: dict[str, np.ndarray] | None


def _trainer_of(backend: str) -> MakeTrainer:
    """What makes the trainers of a run; JAX is imported only where it is asked for."""
    if backend == "numba":
        return NumbaTrainer
    try:
        from crbm_lite.training.accelerator.trainer import trainer_given_backend
    except ImportError as error:
        raise ImportError(
            f"backend is {backend!r} and JAX is missing ({error}): pip install 'crbm_lite[jax]', "
            "or leave backend='numba'"
        ) from error
    return trainer_given_backend(backend)


# Arrays as large as W are the unit of memory. A trainer holds several, and the chains more than
# one, so each lives in the scope of one of the next functions and is gone when that returns.


def _updates_and_samples(
    task: TrainingTask, run: MonitoredRun, state: Mapping[str, np.ndarray] | None
) -> tuple[_End, ModelMeans]:
    """Make the updates, then sample the model that they end with.

    The samples are those of the run's chains and, after a long run, of more that start from data.
    Sampling takes as many steps of a chain as the updates did, at most, and few where these were
    cut short.
    """
    end, chains = _updates(task, run, state)
    n_more = _CERTIFICATE_CHAINS * chains.n_chains if task.is_long else 0
    frames = task.rng().integers(task.spikes.n_frames, size=n_more)
    more_chains = chains.joined_by(task.spikes.dense(frames))
    n_steps = task.schedule.n_updates * task.schedule.n_gibbs * chains.n_chains
    n_rounds = rounds_within(n_steps / more_chains.n_chains) if end.how == "finished" else 1
    return end, sample_model(end.parameters, more_chains, task.spikes, n_rounds)


def _updates(
    task: TrainingTask, run: MonitoredRun, state: Mapping[str, np.ndarray] | None
) -> tuple[_End, GibbsChains]:
    """Start a trainer, or restore it from a state, and update it to the end."""
    if state is None:
        trainer = start_trainer(task, run)
    else:
        trainer = _random_trainer(task)
        run.restore(trainer, state)
        run.progress.update(trainer.plan.update)
    if state is None and run.stop.made:
        how, left = "interrupted", None  # a start that was cut short is made again
    else:
        how = run.train(trainer)
        left = run.state(trainer) if how == "interrupted" else None
    run.forget_snapshot()
    parameters, chains = trainer.finish()
    return _End(how, parameters, chains.spikes(), left), chains


def start_trainer(task: TrainingTask, run: MonitoredRun) -> Trainer:
    """Return a trainer with the warm start if that is asked for and works, else a random start."""
    trainer = _tried_warm_trainer(task, run) if task.init == "pca" else None
    return _random_trainer(task) if trainer is None else trainer


def _random_trainer(task: TrainingTask) -> Trainer:
    rng = task.rng()
    start = random_start(task.spikes, task.n_hidden, rng)
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
    weights = np.where(flip, -parameters.weights, parameters.weights)
    return weights, np.where(flip, flipped, parameters.potential)


def _verdict(how: str, weights: np.ndarray, certificate: Certificate) -> str:
    if how in ("interrupted", "no structure"):
        return how
    if certificate.n_units_alive == 0 or np.abs(weights).max() < _COLLAPSED_WEIGHT:
        return "collapsed"
    if how == "diverged":
        return how
    return certificate.verdict
