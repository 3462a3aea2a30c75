"""Train the stages of a search and what it ends with, save them, and go on where one was left."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.training.interruption import StopRequest
from crbm_lite.training.monitors import MonitoredRun, Save
from crbm_lite.training.search.choice import Choice, Stage, choose, longer
from crbm_lite.training.search.report import SearchReport
from crbm_lite.training.search.stage_end import StageEnd, end_of_stage, stage_ends_of, state_of
from crbm_lite.training.search.validation_blocks import ValidationBlocks
from crbm_lite.training.task import (
    SampledEnd,
    TaskEnd,
    TrainingResult,
    TrainingTask,
    first_trainer,
    make_updates,
    result_of,
    sample_end,
    take_end,
)

__all__ = ["SearchRun"]

_TRAINED_LONGER = ("not converged", "undetermined")  # verdicts after which more updates may help
_SEARCH = "search/"  # what the names of a search begin with in a state


class _InterruptedSearch(Exception):
    """A stage of a search was interrupted; the model is the one that it had by then."""

    def __init__(self, task: TrainingTask, run: MonitoredRun, sampled: SampledEnd) -> None:
        super().__init__("interrupted")
        self.task, self.run, self.sampled = task, run, sampled


class SearchRun:
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
        self._state_of_stage = {k: x for k, x in state.items() if not k.startswith(_SEARCH)} or None
        self._n_asked = 0

    def train(self, auto: Collection[str]) -> TrainingResult:
        """Choose what is named; train with all frames, and longer where that has not converged."""
        try:
            choice = self._choose(auto)
        except _InterruptedSearch as interrupted:
            return result_of(interrupted.task, interrupted.run, interrupted.sampled)
        result, last = None, choice.last
        n_longer = len(self._ends) - self._n_asked
        for end in self._ends[self._n_asked :]:
            last = longer(last, end)
        while True:
            task, run = self._task_of(last), self._run_of(last)
            if choice.is_empty:
                end, chains = take_end(task, "no structure", first_trainer(task))
            else:
                end, chains = self._updates(task, run)
            before, result = result, result_of(
                task, run, sample_end(task, end, chains), _told(choice.report, last, n_longer),
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

    def _updates(self, task: TrainingTask, run: MonitoredRun) -> tuple[TaskEnd, GibbsChains]:
        """Make the updates of a stage; an interrupted one leaves the ends of those before it."""
        state, self._state_of_stage = self._state_of_stage, None
        end, chains = make_updates(task, run, state)
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
            raise _InterruptedSearch(task, run, sample_end(task, end, chains))
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
