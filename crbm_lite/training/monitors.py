"""The watch over a training run: monitors, the state to go back to, checkpoints, Ctrl-C.

On NaN, or when the chains leave the data's activity, the last good state comes back with half the
learning rate. What the rest of a run depends on is given as named arrays, and a run that is
restored from them ends in the same bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.training.interruption import StopRequest
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.update_plan import UpdatePlan

__all__ = ["History", "MonitoredRun", "Save", "Trainer"]

TRIAL_UPDATES = 100  # a run is not judged before
_N_RECORDS = 200  # over a run
_N_SNAPSHOTS = 40
_LEAST_BETWEEN_SNAPSHOTS = 25  # updates
_N_RECENT = 5  # records that the chains' activity is averaged over
_LOST_RATIO = 4.0  # chains this far from the data's activity have left it
_MOST_REWINDS = 8

Save = Callable[[dict[str, np.ndarray]], object]  # receives a state


class Trainer(Protocol):
    """What a run asks of a trainer, whatever it computes with.

    Attributes
    ----------
    plan : UpdatePlan
    """

    plan: UpdatePlan

    def one_update(self, measure: bool = False) -> float | None:
        """Move the parameters once; if asked, return the effective share of the chains."""

    def activity_of_chains(self) -> float:
        """Return the spikes per neuron and chain."""

    def density(self) -> float:
        """Return the share of weights that are not zero."""

    def is_finite(self) -> bool:
        """Say whether all parameters are finite."""

    def jumping(self) -> np.ndarray | None:
        """Say which units need jumps (M,), or None where that was not to be found out."""

    def snapshot(self) -> dict[str, object]:
        """Copy everything that a rewind needs, the number of the update among it."""

    def rewind(self, snapshot: Mapping[str, object]) -> None:
        """Go back to a snapshot with half the learning rate."""

    def state(self) -> dict[str, object]:
        """Return everything on which the updates to come depend."""

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state` as if nothing had happened in between."""

    def finish(self) -> tuple[TrainedParameters, GibbsChains]:
        """Return the parameters of the run, and the chains under them."""


@dataclass(frozen=True)
class History:
    """Monitors of a run: arrays with one entry per record, and the events in words.

    Attributes
    ----------
    update : ndarray of int
    learning_rate, l1 : ndarray
    activity_chains : ndarray
        Spikes per neuron and chain; the data's is ``activity_data``.
    density : ndarray
        Share of non-zero weights.
    effective_chains : ndarray
        Effective share of the chains after one update (importance weights); near 1 in equilibrium.
    seconds : ndarray
        Since the start of training.
    activity_data : float
    events : tuple of str
        Start, rewinds and their reasons.
    """

    update: np.ndarray
    learning_rate: np.ndarray
    l1: np.ndarray
    activity_chains: np.ndarray
    density: np.ndarray
    effective_chains: np.ndarray
    seconds: np.ndarray
    activity_data: float
    events: tuple[str, ...]


class _Record(NamedTuple):
    """The arrays of a `History` at one update."""

    update: int
    learning_rate: float
    l1: float
    activity_chains: float
    density: float
    effective_chains: float
    seconds: float


class MonitoredRun:
    """Keep the books of one run: monitors, snapshots, events.

    Parameters
    ----------
    activity : float
        Spikes per neuron and frame in the data.
    progress : tqdm or alike
    stop : StopRequest
    save : callable, optional
        Called with the state every `save_every` updates, at the end, and when interrupted.
    save_every : int, default 1

    Attributes
    ----------
    activity, progress, stop
        As given.
    events : list of str
        What has happened so far.
    """

    def __init__(
        self,
        activity: float,
        progress: object,
        stop: StopRequest,
        save: Save | None = None,
        save_every: int = 1,
    ) -> None:
        self.activity, self.progress, self.stop = activity, progress, stop
        self._save, self._save_every = save, save_every
        self.events: list[str] = []
        self._records: list[_Record] = []
        self._began = time.perf_counter()
        self._n_rewinds = 0
        self._snapshot: dict[str, object] | None = None
        self._saved_at = -1  # update

    def train(self, trainer: Trainer) -> str:
        """Update to the end; return "finished", "interrupted" or "diverged"."""
        plan, n_updates = trainer.plan, trainer.plan.schedule.n_updates
        record_every = max(n_updates // _N_RECORDS, 1)
        if self._snapshot is None:
            self._snapshot = trainer.snapshot()
        while plan.update < n_updates:
            if plan.update % self._save_every == 0 or self.stop.made:
                self._save_once(trainer)
            if self.stop.made:
                return "interrupted"
            is_recorded = (plan.update + 1) % record_every == 0
            effective_share = trainer.one_update(measure=is_recorded)
            self.progress.update(1)
            if not is_recorded:
                continue
            reason = self._record(trainer, effective_share)
            if reason is None:
                self._take_snapshot(trainer)
            elif not self._rewind(trainer, reason):
                return "diverged"
        self._save_once(trainer)
        if (jumping := trainer.jumping()) is not None:
            self.events.append(f"{jumping.sum()} of {len(jumping)} units jump")
        return "finished"

    def _record(self, trainer: Trainer, effective_share: float) -> str | None:
        """Append a record; return the reason if the run has diverged."""
        if not trainer.is_finite():
            return "parameters are no longer finite"
        plan = trainer.plan
        record = _Record(
            plan.update, plan.learning_rate, plan.schedule.l1_at(plan.update),
            trainer.activity_of_chains(), trainer.density(), effective_share,
            time.perf_counter() - self._began,
        )  # fmt: skip
        self._records.append(record)
        self.progress.set_postfix_str(
            f"lr {record.learning_rate:.1e}, activity {record.activity_chains:.3f}"
            f"/{self.activity:.3f}, W {record.density:.1%}",
            refresh=False,  # the bar shows it at its own pace
        )
        if plan.update > TRIAL_UPDATES and not self._is_healthy():
            recent = self._recent_activity()
            return f"the chains' activity {recent:.3f} has left the data's {self.activity:.3f}"
        return None

    def _recent_activity(self) -> float:
        return float(np.mean([r.activity_chains for r in self._records[-_N_RECENT:]]))

    def _is_healthy(self) -> bool:
        """Say whether the chains' recent activity is within a factor of the data's."""
        ratio = self._recent_activity() / max(self.activity, 1e-12)
        return 1.0 / _LOST_RATIO < ratio < _LOST_RATIO

    def _take_snapshot(self, trainer: Trainer) -> None:
        """Replace the snapshot if it is old and the run is well."""
        every = max(trainer.plan.schedule.n_updates // _N_SNAPSHOTS, _LEAST_BETWEEN_SNAPSHOTS)
        is_old = trainer.plan.update - self._snapshot["update"] >= every
        if is_old and self._is_healthy():
            self._snapshot = None  # it is as large as all parameters: make room for the new one
            self._snapshot = trainer.snapshot()

    def _rewind(self, trainer: Trainer, reason: str) -> bool:
        """Go back to the snapshot; return whether the run may go on from there."""
        lost_at = trainer.plan.update
        self._n_rewinds += 1
        trainer.rewind(self._snapshot)
        # what was lost must not count against the stretch that follows
        self._records = [r for r in self._records if r.update <= trainer.plan.update]
        if self._n_rewinds > _MOST_REWINDS:
            self.events.append(f"update {lost_at}: {reason}; no rewind left")
            return False
        self.progress.update(trainer.plan.update - lost_at)
        self.events.append(
            f"update {lost_at}: {reason}; back to update {trainer.plan.update} with learning rate "
            f"x {trainer.plan.learning_rate_factor:g}"
        )
        return True

    def _save_once(self, trainer: Trainer) -> None:
        """Save the state unless that of this update is saved already."""
        if self._save is not None and trainer.plan.update != self._saved_at:
            self._saved_at = trainer.plan.update
            self._save(self.state(trainer))

    def state(self, trainer: Trainer) -> dict[str, np.ndarray]:
        """Return what the rest of the run depends on, as named arrays that are not copied."""
        run = {
            "records": np.array(self._records, dtype=np.float64).reshape(-1, len(_Record._fields)),
            "events": json.dumps(self.events),
            "n_rewinds": self._n_rewinds,
            "seconds": time.perf_counter() - self._began,
        }
        groups = {"trainer": trainer.state(), "snapshot": self._snapshot, "run": run}
        return {
            f"{group}/{name}": np.frombuffer(x.encode(), np.uint8) if isinstance(x, str)
            else np.asarray(x)
            for group, values in groups.items() for name, x in values.items()
        }  # fmt: skip

    def restore(self, trainer: Trainer, state: Mapping[str, np.ndarray]) -> None:
        """Bring run and trainer to where `state` was taken."""
        groups: dict[str, dict[str, object]] = {"trainer": {}, "snapshot": {}, "run": {}}
        for key, array in state.items():
            group, _, name = key.partition("/")
            groups[group][name] = array.item() if array.ndim == 0 else array
        for group, name in (("trainer", "rng"), ("run", "events")):
            groups[group][name] = groups[group][name].tobytes().decode()
        trainer.restore(groups["trainer"])
        self._snapshot, run = deepcopy(groups["snapshot"]), groups["run"]
        self._records = [_Record(int(row[0]), *row[1:].tolist()) for row in run["records"]]
        self.events, self._n_rewinds = json.loads(run["events"]), run["n_rewinds"]
        self._began -= run["seconds"]
        self._saved_at = trainer.plan.update

    def forget_snapshot(self) -> None:
        """Let go of the snapshot, which is as large as all parameters."""
        self._snapshot = None

    def history(self) -> History:
        """Return the monitors so far."""
        columns = zip(*self._records, strict=True) if self._records else [()] * len(_Record._fields)
        return History(*(np.array(c) for c in columns), self.activity, tuple(self.events))
