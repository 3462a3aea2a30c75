"""A whole training run: start, updates, monitors, rewind on divergence, certificate, verdict.

The warm start is tried by training itself: if after a hundred updates the chains have not kept the
data's activity (units that overlap too much to be started as independent ones, as in waves), the
run begins again from small random weights. During the run the chains are watched; on NaN or when
they leave the data's activity, the last good state comes back with half the learning rate
(`crbm_lite.training.monitors`). Every run ends with a verdict: converged, not converged, collapsed,
diverged or, after Ctrl-C, interrupted. The state between two updates can be written to a checkpoint
(`crbm_lite.training.checkpoint`), from which the run goes on to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.certificate import Certificate, certify
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.interruption import stop_request
from crbm_lite.training.linear_units import linear_units
from crbm_lite.training.monitors import TRIAL_UPDATES, History, MonitoredRun, Save
from crbm_lite.training.start import random_start, warm_start
from crbm_lite.training.trainer import Trainer

_TRIAL_WINDOW, _TRIAL_RATIO = 30, 1.5
_CERTIFICATE_CHAINS = 2  # chains from data frames for every training chain; rare states want many
_CERTIFICATE_ROUNDS, _LONG_RUN = 3, 5000  # rounds of saving at most; Gibbs steps
_COLLAPSED_WEIGHT = 1e-3


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: parameters, chains, history, verdict and certificate.

    ``state`` is what `train` needs to go on after an interruption, and None otherwise.
    """

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    chains: np.ndarray  # (chains, N) uint8
    history: History
    verdict: str
    certificate: Certificate
    state: dict[str, np.ndarray] | None


def _starts_well(trainer: Trainer, run: MonitoredRun) -> bool:
    """Train a little from a warm start; whether the chains keep the data's activity."""
    activities = []
    for _ in range(min(TRIAL_UPDATES, trainer.schedule.n_updates)):
        trainer.one_update()
        run.progress.update(1)
        if run.stop.made:
            return True
        activities.append(trainer.chains.v[:, : trainer.chains.n_chains].mean())
    recent = np.mean(activities[-_TRIAL_WINDOW:]) / max(trainer.activity.mean(), 1e-12)
    return bool(1.0 / _TRIAL_RATIO < recent < _TRIAL_RATIO and np.isfinite(trainer.now.size).all())


def _trainer_of(backend: str) -> Callable[..., Trainer]:
    """What makes the trainers of a run; JAX is imported only where it is asked for."""
    if backend == "numba":
        return Trainer
    try:
        from crbm_lite.training.accelerator.trainer import trainer_given_backend
    except ImportError as error:
        raise ImportError(
            f"backend={backend!r} needs JAX ({error}): pip install 'crbm_lite[jax]', or leave "
            "backend='numba'."
        ) from error
    return trainer_given_backend(backend)


def _started_trainer(
    make_trainer: Callable[..., Trainer], spikes: Spikes, n_hidden: int, schedule: Schedule,
    init: str, seed: int, run: MonitoredRun,
) -> Trainer:  # fmt: skip
    """A trainer with the warm start if it works, else with a random one."""

    def rng() -> np.random.Generator:
        return np.random.default_rng(seed)  # both starts see the same random numbers

    if init == "pca":
        generator = rng()
        units = linear_units(spikes, n_hidden, schedule.l1, generator)
        n_units = units.h.shape[1]
        if n_units > 0:
            start = warm_start(spikes, units, n_hidden, generator)
            del units
            trainer = make_trainer(spikes, start, schedule, generator)
            del start
            if _starts_well(trainer, run):
                run.events.append(f"warm start from {n_units} rotated principal components")
                return trainer
            run.progress.update(-trainer.update)
            del trainer
            run.events.append("warm start left the data's activity; begun again at random")
        else:
            run.events.append("no principal component above the noise; random start")
    generator = rng()
    return make_trainer(spikes, random_start(spikes, n_hidden, generator), schedule, generator)


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
    backend : {"numba", "jax", "jax-tf32", "jax-bf16"}
    state : mapping, optional
        Where to go on: what a run of the same arguments gave to `save`, or left when interrupted.
    save : callable, optional
        Called with the state every `save_every` updates, at the end, and when interrupted.
    save_every : int

    Returns
    -------
    TrainingResult
        Units with negative summed weight are flipped; theta is uncentred.
    """
    make_trainer = _trainer_of(backend)
    with stop_request() as stop:
        run = MonitoredRun(float(spikes.activity().mean()), progress, stop)
        if state is None:
            trainer = _started_trainer(make_trainer, spikes, n_hidden, schedule, init, seed, run)
        else:
            generator = np.random.default_rng(seed)
            overwritten = random_start(spikes, n_hidden, generator)
            trainer = make_trainer(spikes, overwritten, schedule, generator)
            del overwritten
            run.restore(trainer, state)
            progress.update(trainer.update)
        in_start = state is None and stop.made
        ended = "interrupted" if in_start else run.train(trainer, save, save_every)
        # a start that was cut short is made again rather than gone on with
        kept = run.state(trainer) if ended == "interrupted" and not in_start else None
        if kept is not None:  # the chains are given other weights below
            inputs = {"trainer/partial_input"} & set(kept)
            kept |= {name: kept[name].copy() for name in inputs}
        run.snapshot = None  # all these are as large as W: room for the certificate
        weights, fields, potential = trainer.finish()
        mean_h, chains = trainer.now.mean_h, trainer.chains
        del trainer
        # a short run is not worth more sampling than it had itself
        is_long = schedule.n_updates * schedule.n_gibbs >= _LONG_RUN
        n_more = _CERTIFICATE_CHAINS * chains.n_chains if is_long else 0
        more = np.random.default_rng(seed).integers(spikes.n_frames, size=n_more)
        joined, last_chains = [chains.joined_by(spikes.dense(more))], chains.spikes()
        del chains
        # handed over, not lent: the certificate frees the chains when it has sampled
        certificate = certify(
            spikes, weights, fields, potential, mean_h, schedule.l1, schedule.l1_nonzero,
            joined.pop(), n_rounds=_CERTIFICATE_ROUNDS if is_long else 1,
        )  # fmt: skip
    flip = weights.sum(axis=0) < 0
    weights = np.where(flip, -weights, weights)
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    flipped = np.stack([gamma_minus, gamma_plus, -theta_minus, -theta_plus])
    if ended == "interrupted":
        verdict = ended
    elif certificate.n_units_alive == 0 or np.abs(weights).max() < _COLLAPSED_WEIGHT:
        verdict = "collapsed"
    elif ended == "diverged":
        verdict = ended
    else:
        verdict = "not converged" if certificate.failed else "converged"
    return TrainingResult(
        weights, fields.copy(), np.where(flip, flipped, potential), last_chains,
        run.history(), verdict, certificate, kept,
    )  # fmt: skip
