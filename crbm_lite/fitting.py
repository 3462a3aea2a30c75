"""A whole training run: start, updates, monitors, rewind on divergence, certificate, verdict.

The warm start is tried by training itself: if after a hundred updates the chains have not kept the
data's activity (units that overlap too much to be started as independent ones, as in waves), the
run begins again from small random weights. During the run the chains are watched; on NaN or when
they leave the data's activity, the last good state comes back with half the learning rate. Every
run ends with a verdict: converged, not converged, collapsed or diverged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from crbm_lite.certificate import Certificate, certify
from crbm_lite.spikes import Spikes
from crbm_lite.training import Schedule, Trainer
from crbm_lite.warm_start import linear_units, random_start, warm_start

_N_RECORDS = 200  # monitors over a run
_N_SNAPSHOTS = 40
_TRIAL_UPDATES, _TRIAL_WINDOW, _TRIAL_RATIO = 100, 30, 1.5
_LOST_RATIO = 4.0  # chains this far from the data's activity have left it
_MAX_REWINDS = 8
_COLLAPSED_WEIGHT = 1e-3


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


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: parameters, chains, history, verdict and certificate."""

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    chains: np.ndarray  # (chains, N) uint8
    history: History
    verdict: str
    certificate: Certificate


class _Run:
    """Book-keeping of one run: monitors, snapshots, events."""

    def __init__(self, activity: float, progress: object) -> None:
        self.activity, self.progress = activity, progress
        self.records: list[tuple] = []
        self.events: list[str] = []
        self.began = time.perf_counter()
        self.n_rewinds = 0

    def train(self, trainer: Trainer, last: int) -> bool:
        """Update until ``last``; return whether the run survived."""
        schedule = trainer.schedule
        every = max(schedule.n_updates // _N_RECORDS, 1)
        snapshot_every = max(schedule.n_updates // _N_SNAPSHOTS, 25)
        snapshot = trainer.snapshot()
        while trainer.update < last:
            record = (trainer.update + 1) % every == 0
            share = trainer.one_update(measure=record)
            self.progress.update(1)
            if not record:
                continue
            reason = self._record(trainer, share)
            if reason is None:
                if trainer.update - snapshot[2] >= snapshot_every and self._is_healthy():
                    snapshot = trainer.snapshot()
                continue
            self.n_rewinds += 1
            if self.n_rewinds > _MAX_REWINDS:
                self.events.append(f"update {trainer.update}: {reason}; no rewind left")
                trainer.rewind(snapshot)
                return False
            lost = trainer.update - snapshot[2]
            trainer.rewind(snapshot)
            self.progress.update(-lost)
            self.events.append(
                f"update {trainer.update + lost}: {reason}; back to update {trainer.update} with "
                f"learning rate x {trainer.learning_rate_factor:g}"
            )
        return True

    def _record(self, trainer: Trainer, share: float) -> str | None:
        """Append a record; return the reason if the run has diverged."""
        now = trainer.now
        finite = np.isfinite(now.size).all() and np.isfinite(now.fields).all()
        if not (finite and np.isfinite(now.hidden).all()):
            return "parameters are no longer finite"
        activity = float(trainer.chains.v[:, : trainer.chains.n_chains].mean())
        rate = trainer.schedule.learning_rate_at(trainer.update) * trainer.learning_rate_factor
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
        if trainer.update > _TRIAL_UPDATES and not self._is_healthy():
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
        columns = zip(*self.records, strict=True) if self.records else [()] * 7
        return History(*(np.array(c) for c in columns), self.activity, tuple(self.events))


def _starts_well(trainer: Trainer, progress: object) -> bool:
    """Train a little from a warm start; whether the chains keep the data's activity."""
    activities = []
    for _ in range(min(_TRIAL_UPDATES, trainer.schedule.n_updates)):
        trainer.one_update()
        progress.update(1)
        activities.append(trainer.chains.v[:, : trainer.chains.n_chains].mean())
    recent = np.mean(activities[-_TRIAL_WINDOW:]) / max(trainer.activity.mean(), 1e-12)
    return bool(1.0 / _TRIAL_RATIO < recent < _TRIAL_RATIO and np.isfinite(trainer.now.size).all())


def _started_trainer(
    spikes: Spikes, n_hidden: int, schedule: Schedule, init: str, seed: int, run: _Run
) -> Trainer:
    """A trainer with the warm start if it works, else with a random one."""

    def rng() -> np.random.Generator:
        return np.random.default_rng(seed)  # both starts see the same random numbers

    if init == "pca":
        generator = rng()
        units = linear_units(spikes, n_hidden, schedule.l1, generator)
        n_units = units.h.shape[1]
        if n_units > 0:
            start = warm_start(spikes, units, n_hidden, generator)
            trainer = Trainer(spikes, start, schedule, generator)
            if _starts_well(trainer, run.progress):
                run.events.append(f"warm start from {n_units} rotated principal components")
                return trainer
            run.progress.update(-trainer.update)
            run.events.append("warm start left the data's activity; begun again at random")
        else:
            run.events.append("no principal component above the noise; random start")
    generator = rng()
    return Trainer(spikes, random_start(spikes, n_hidden, generator), schedule, generator)


def train(
    spikes: Spikes, n_hidden: int, schedule: Schedule, init: str, seed: int, progress: object
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

    Returns
    -------
    TrainingResult
        Units with negative summed weight are flipped; theta is uncentred.
    """
    run = _Run(float(spikes.activity().mean()), progress)
    trainer = _started_trainer(spikes, n_hidden, schedule, init, seed, run)
    survived = run.train(trainer, schedule.n_updates)
    now, potential = trainer.now, trainer.potential
    certificate = certify(
        spikes, now.weights, now.fields, potential, now.mean_h, schedule.l1, trainer.chains
    )
    flip = now.weights.sum(axis=0) < 0
    weights = np.where(flip, -now.weights, now.weights)
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    flipped = np.stack([gamma_minus, gamma_plus, -theta_minus, -theta_plus])
    if certificate.n_units_alive == 0 or np.abs(weights).max() < _COLLAPSED_WEIGHT:
        verdict = "collapsed"
    elif not survived:
        verdict = "diverged"
    else:
        verdict = "not converged" if certificate.failed else "converged"
    return TrainingResult(
        weights, now.fields, np.where(flip, flipped, potential), trainer.chains.spikes(),
        run.history(), verdict, certificate,
    )  # fmt: skip
