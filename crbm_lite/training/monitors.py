"""The watch over a training run: monitors, the state to go back to, checkpoints, Ctrl-C.

No equations. On NaN, or when the chains leave the data's activity, the last good state comes back
with half the learning rate. What the rest of a run depends on is given as named arrays, and a run
that is restored from them ends in the same bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from crbm_lite.training.interruption import StopRequest
from crbm_lite.training.trainer import Trainer

TRIAL_UPDATES = 100  # a run is not judged before
_N_RECORDS = 200  # monitors over a run
_N_SNAPSHOTS = 40
_LOST_RATIO = 4.0  # chains this far from the data's activity have left it
_MAX_REWINDS = 8

Save = Callable[[dict[str, np.ndarray]], object]  # receives a state


@dataclass(frozen=True)
class History:
    """Monitors of a run: arrays with one entry a record, and the events in words.

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


class MonitoredRun:
    """Book-keeping of one run: monitors, snapshots, events.

    Parameters
    ----------
    activity : float
        Spikes per neuron and frame in the data.
    progress : tqdm or alike
    stop : StopRequest
    """

    def __init__(self, activity: float, progress: object, stop: StopRequest) -> None:
        self.activity, self.progress, self.stop = activity, progress, stop
        self.records: list[tuple] = []
        self.events: list[str] = []
        self.began = time.perf_counter()
        self.n_rewinds = 0
        self.snapshot: dict[str, object] | None = None
        self.saved_at = -1  # update

    def train(self, trainer: Trainer, save: Save | None, save_every: int) -> str:
        """Update to the end; return "finished", "interrupted" or "diverged"."""
        schedule = trainer.schedule
        every = max(schedule.n_updates // _N_RECORDS, 1)
        snapshot_every = max(schedule.n_updates // _N_SNAPSHOTS, 25)
        if self.snapshot is None:
            self.snapshot = trainer.snapshot()
        while trainer.update < schedule.n_updates:
            if trainer.update % save_every == 0 or self.stop.made:
                self._save(trainer, save)
            if self.stop.made:
                return "interrupted"
            record = (trainer.update + 1) % every == 0
            share = trainer.one_update(measure=record)
            self.progress.update(1)
            if not record:
                continue
            reason = self._record(trainer, share)
            if reason is None:
                recent = trainer.update - self.snapshot["update"] < snapshot_every
                if not recent and self._is_healthy():
                    self.snapshot = None  # as large as all parameters: room for the new one
                    self.snapshot = trainer.snapshot()
                continue
            self.n_rewinds += 1
            if self.n_rewinds > _MAX_REWINDS:
                self.events.append(f"update {trainer.update}: {reason}; no rewind left")
                trainer.rewind(self.snapshot)
                return "diverged"
            lost = trainer.update - self.snapshot["update"]
            trainer.rewind(self.snapshot)
            self.progress.update(-lost)
            self.events.append(
                f"update {trainer.update + lost}: {reason}; back to update {trainer.update} with "
                f"learning rate x {trainer.learning_rate_factor:g}"
            )
        self._save(trainer, save)
        return "finished"

    def _save(self, trainer: Trainer, save: Save | None) -> None:
        """Save the state unless that of this update is saved already."""
        if save is not None and trainer.update != self.saved_at:
            self.saved_at = trainer.update
            save(self.state(trainer))

    def state(self, trainer: Trainer) -> dict[str, np.ndarray]:
        """What the rest of the run depends on, as named arrays (not copied)."""
        run = {
            "records": np.array(self.records, dtype=np.float64).reshape(-1, 7),
            "events": json.dumps(self.events),
            "n_rewinds": self.n_rewinds,
            "seconds": time.perf_counter() - self.began,
        }
        groups = {"trainer": trainer.state(), "snapshot": self.snapshot, "run": run}
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
        for values, name in ((groups["trainer"], "rng"), (groups["run"], "events")):
            values[name] = values[name].tobytes().decode()
        trainer.restore(groups["trainer"])
        self.snapshot, run = deepcopy(groups["snapshot"]), groups["run"]
        self.records = [(int(row[0]), *row[1:].tolist()) for row in run["records"]]
        self.events, self.n_rewinds = json.loads(run["events"]), run["n_rewinds"]
        self.began -= run["seconds"]
        self.saved_at = trainer.update

    def _record(self, trainer: Trainer, share: float) -> str | None:
        """Append a record; return the reason if the run has diverged."""
        now = trainer.now
        finite = np.isfinite(now.size).all() and np.isfinite(now.fields).all()
        if not (finite and np.isfinite(now.hidden).all()):
            return "parameters are no longer finite"
        activity = float(trainer.chains.v[:, : trainer.chains.n_chains].mean())
        rate = trainer.learning_rate
        self.records.append(
            (
                trainer.update,
                rate,
                trainer.schedule.l1_at(trainer.update),
                activity,
                now.density,
                share,
                time.perf_counter() - self.began,
            )
        )
        self.progress.set_postfix_str(
            f"lr {rate:.1e}, activity {activity:.3f}/{self.activity:.3f}, W {now.density:.1%}"
        )
        if trainer.update > TRIAL_UPDATES and not self._is_healthy():
            recent = self._recent_activity()
            return f"the chains' activity {recent:.3f} has left the data's {self.activity:.3f}"
        return None

    def _recent_activity(self) -> float:
        return float(np.mean([r[3] for r in self.records[-5:]]))

    def _is_healthy(self) -> bool:
        """Whether the chains' recent activity is within a factor of the data's."""
        ratio = self._recent_activity() / max(self.activity, 1e-12)
        return 1.0 / _LOST_RATIO < ratio < _LOST_RATIO

    def history(self) -> History:
        """The monitors so far."""
        columns = zip(*self.records, strict=True) if self.records else [()] * 7
        return History(*(np.array(c) for c in columns), self.activity, tuple(self.events))
