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

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes
from crbm_lite.training.certificate import Certificate, certify, rounds_within, sample_model
from crbm_lite.training.data_side import DataMeans
from crbm_lite.training.hidden_term import HiddenTerm, MixedMeans
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.interruption import StopRequest, stop_request
from crbm_lite.training.model_side import ModelMeans
from crbm_lite.training.monitors import TRIAL_UPDATES, History, MonitoredRun, Save, Trainer
from crbm_lite.training.parameters import TrainedParameters, without_units_of_one_neuron
from crbm_lite.training.search.choice import Choice, Stage, choose, longer
from crbm_lite.training.search.report import SearchReport
from crbm_lite.training.search.stage_end import StageEnd, end_of_stage, stage_ends_of, state_of
from crbm_lite.training.search.validation_blocks import ValidationBlocks
from crbm_lite.training.start import Start, random_start, warm_start
from crbm_lite.training.trainer import NumbaTrainer

__all__ = ["TrainingResult", "TrainingTask", "start_trainer", "train"]

_TRIAL_WINDOW, _TRIAL_RATIO = 30, 1.5
_CERTIFICATE_CHAINS = 2  # chains from data frames for every training chain; rare states want many
_LONG_RUN = 5000  # Gibbs steps
_SAMPLING_FROM_START = 2  # times a training that goes on from a model: it is part of a longer run
_COLLAPSED_WEIGHT = 1e-3
_TRAINED_LONGER = ("not converged", "undetermined")  # verdicts after which more updates may help
_SEARCH = "search/"  # what the names of a search begin with in a state

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


def train(
    spikes: Spikes,
    n_hidden: int,
    schedule: Schedule,
    init: str,
    seed: int,
    progress: object,
    *,
    auto: Collection[str] = (),
    start: Start | None = None,
    hidden: HiddenTerm | None = None,
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
    init : {"auto", "pca", "nmf", "random"}
        Where nothing is chosen, "auto" is "pca", and there is no "nmf".
    seed : int
    progress : tqdm or alike
        Something with ``update`` and ``set_postfix_str``; for a search with ``n``, ``total`` and
        ``set_description_str``, too.
    auto : collection of "n_hidden", "l1", "n_updates", "refit", optional
        What is chosen by evidence (`crbm_lite.training.search`) instead of taken from `n_hidden`
        and `schedule`.
    start : Start, optional
        Where to begin, instead of what `init` says. The signs of its units are kept.
    hidden : HiddenTerm, optional
        Values of the hidden units that count as data, too.
    backend : {"numba", "jax"}, default "numba"
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
    make_trainer = _trainer_of(backend)
    if hidden is not None:
        make_trainer = partial(make_trainer, hidden=hidden)
    task = TrainingTask(
        spikes, n_hidden, schedule, init, seed, make_trainer, start, hidden, start is not None
    )
    with stop_request() as stop:
        if auto:
            return _Search(task, progress, stop, save, save_every, state).train(auto)
        run = MonitoredRun(float(spikes.activity().mean()), progress, stop, save, save_every)
        return _result(task, run, _updates_and_samples(task, run, state))


def _result(
    task: TrainingTask, run: MonitoredRun, sampled: _Sampled, report: SearchReport | None = None,
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
class _End:
    """How the updates ended, and with what.

    They have "finished", "interrupted" or "diverged", or there is "no structure" to be trained.
    """

    how: str
    parameters: TrainedParameters
    spikes: np.ndarray  # of the chains
    state: dict[str, np.ndarray] | None = None  # of a run that was interrupted


@dataclass(frozen=True)
class _Sampled:
    """The end of the updates, and both sides of its certificate."""

    end: _End
    data: DataMeans | MixedMeans
    model: ModelMeans


def _trainer_of(backend: str) -> MakeTrainer:
    """What makes the trainers of a run; JAX is imported only where it is asked for."""
    if backend == "numba":
        return NumbaTrainer
    try:
        from crbm_lite.training.accelerator.devices import warn_without_accelerator
        from crbm_lite.training.accelerator.trainer import JaxTrainer
    except ImportError as error:
        raise ImportError(
            f"backend is {backend!r} and JAX is missing ({error}): pip install 'crbm_lite[jax]', "
            "or leave backend='numba'"
        ) from error
    warn_without_accelerator()
    return JaxTrainer


# Arrays as large as W are the unit of memory. A trainer holds several, and the chains more than
# one, so each lives in the scope of one of the next functions and is gone when that returns.


def _updates_and_samples(
    task: TrainingTask, run: MonitoredRun, state: Mapping[str, np.ndarray] | None
) -> _Sampled:
    """Make the updates, then sample the model that they end with."""
    return _sampled(task, *_updates(task, run, state))


def _sampled(task: TrainingTask, end: _End, chains: GibbsChains) -> _Sampled:
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
    return _Sampled(end, data, sample_model(end.parameters, more_chains, data, n_rounds))


def _updates(
    task: TrainingTask, run: MonitoredRun, state: Mapping[str, np.ndarray] | None
) -> tuple[_End, GibbsChains]:
    """Start a trainer, or restore it from a state, and update it to the end."""
    if state is None:
        trainer = start_trainer(task, run)
    else:
        trainer = _first_trainer(task)
        run.restore(trainer, state)
        run.progress.update(trainer.plan.update)
    if state is None and run.stop.made:
        how, left = "interrupted", None  # a start that was cut short is made again
    else:
        how = run.train(trainer)
        left = run.state(trainer) if how == "interrupted" else None
    run.forget_snapshot()
    return _ended(task, how, trainer, left)


def _ended(
    task: TrainingTask, how: str, trainer: Trainer, state: dict[str, np.ndarray] | None = None
) -> tuple[_End, GibbsChains]:
    """Take from a trainer what is needed after it.

    Units of one neuron go, but for those of a run with values of h among its data.
    """
    parameters, chains = trainer.finish()
    if how == "finished" and task.hidden is None:
        parameters = without_units_of_one_neuron(parameters)
        chains.set_weights(parameters.weights)
        chains.update_inputs()
    return _End(how, parameters, chains.spikes(), state), chains


def start_trainer(task: TrainingTask, run: MonitoredRun) -> Trainer:
    """Return a trainer with the warm start if that is asked for and works, else a random start."""
    if task.start is not None:
        return _first_trainer(task)
    trainer = _tried_warm_trainer(task, run) if task.init in ("auto", "pca") else None
    return _first_trainer(task) if trainer is None else trainer


def _first_trainer(task: TrainingTask) -> Trainer:
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


class _InterruptedSearch(Exception):
    """A stage of a search was interrupted; the model is the one that it had by then."""

    def __init__(self, task: TrainingTask, run: MonitoredRun, sampled: _Sampled) -> None:
        super().__init__("interrupted")
        self.task, self.run, self.sampled = task, run, sampled


class _Search:
    """Train the stages of a search, save them on the way, and go on where one was left.

    Parameters
    ----------
    task : TrainingTask
        Its M, lambda and number of updates count where they are not to be chosen.
    progress, stop, save, save_every
        As in `crbm_lite.training.monitors.MonitoredRun`.
    state : mapping or None
        What a search left: the ends of its stages, and the state of the stage under way.

    """

    def __init__(
        self,
        task: TrainingTask,
        progress: object,
        stop: StopRequest,
        save: Save | None,
        save_every: int,
        state: Mapping[str, np.ndarray] | None,
    ) -> None:
        self._task, self._progress, self._stop = task, progress, stop
        self._save, self._save_every = save, save_every
        state = state or {}
        n = len(_SEARCH)
        self._ends = stage_ends_of({k[n:]: x for k, x in state.items() if k.startswith(_SEARCH)})
        self._state_of_stage = (
            {k: x for k, x in state.items() if not k.startswith(_SEARCH)} or None
        )
        self._n_asked = 0

    def train(self, auto: Collection[str]) -> TrainingResult:
        """Choose what is named; then train with all frames, and longer if that has not converged."""
        try:
            choice = self._choose(auto)
        except _InterruptedSearch as interrupted:
            return _result(interrupted.task, interrupted.run, interrupted.sampled)
        result, last = None, choice.last
        n_longer = len(self._ends) - self._n_asked
        for end in self._ends[self._n_asked :]:
            last = longer(last, end)
        while True:
            task, run = self._task_of(last), self._run_of(last)
            if choice.is_empty:
                end, chains = _ended(task, "no structure", _first_trainer(task))
            else:
                end, chains = self._updates(task, run)
            before, result = result, _result(
                task, run, _sampled(task, end, chains), _told(choice.report, last, n_longer),
                "l1" in auto,
            )  # fmt: skip
            if before is not None and result.verdict == "diverged":
                return before
            if n_longer == choice.most_longer or result.verdict not in _TRAINED_LONGER:
                return result
            n_longer += 1
            self._ends.append(end_of_stage(end.parameters, end.spikes, np.empty(0)))
            last = longer(last, self._ends[-1])

    def _choose(self, auto: Collection[str]) -> Choice:
        """Choose what is named; the rest is that of the task."""
        task, schedule = self._task, self._task.schedule
        return choose(
            task.spikes, schedule, init=task.init, seed=task.seed, train_stage=self._train,
            n_hidden=None if "n_hidden" in auto else task.n_hidden,
            l1=None if "l1" in auto else schedule.l1,
            n_updates=None if "n_updates" in auto else schedule.n_updates,
            refit=None if "refit" in auto else schedule.refit,
        )  # fmt: skip

    def _task_of(self, stage: Stage) -> TrainingTask:
        """Make a task of a stage, and tell the progress bar."""
        bar = self._progress
        bar.total = bar.n + stage.n_expected
        bar.set_description_str(stage.what)
        # every stage has random numbers of its own, and so has the training after them
        number = len(self._ends) + 1
        seed = int(np.random.default_rng([self._task.seed, number]).integers(2**63))
        return replace(
            self._task, spikes=stage.spikes, schedule=stage.schedule, start=stage.start, seed=seed
        )

    def _run_of(self, stage: Stage) -> MonitoredRun:
        """Make the run of a stage, which saves the ends of those before it with its state."""
        save = self._save and (lambda state: self._save(state | _named(self._ends)))
        activity = float(stage.spikes.activity().mean())
        return MonitoredRun(activity, self._progress, self._stop, save, self._save_every)

    def _updates(self, task: TrainingTask, run: MonitoredRun) -> tuple[_End, GibbsChains]:
        """Make the updates of a stage; an interrupted one leaves the ends of those before it."""
        state, self._state_of_stage = self._state_of_stage, None
        end, chains = _updates(task, run, state)
        if end.how == "interrupted":
            end = replace(end, state=(end.state or {}) | _named(self._ends) or None)
        return end, chains

    def _train(self, stage: Stage, blocks: ValidationBlocks) -> StageEnd:
        self._n_asked += 1
        if self._n_asked <= len(self._ends):
            self._progress.update(stage.schedule.n_updates)
            return self._ends[self._n_asked - 1]
        task, run = self._task_of(stage), self._run_of(stage)
        end, chains = self._updates(task, run)
        if end.how == "interrupted":
            raise _InterruptedSearch(task, run, _sampled(task, end, chains))
        if end.how == "finished":
            gain = blocks.gain(end.parameters)
        else:
            gain = np.full(len(blocks.blocks), -np.inf)
        self._ends.append(end_of_stage(end.parameters, end.spikes, gain))
        return self._ends[-1]


def _told(report: SearchReport, last: Stage, n_longer: int) -> SearchReport:
    """Let the report say how often the training with all frames went on."""
    if not n_longer:
        return report
    reason = (
        f"the training with all frames had not converged, so it went on {n_longer} "
        f"{'time' if n_longer == 1 else 'times'}, at last with {last.schedule.n_gibbs} Gibbs steps"
    )
    return replace(report, reasons=(*report.reasons, reason))


def _named(ends: list[StageEnd]) -> dict[str, np.ndarray]:
    """The ends of the stages of a search, as a state names them; nothing without a search."""
    return {f"{_SEARCH}{name}": x for name, x in state_of(ends).items()} if ends else {}


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
