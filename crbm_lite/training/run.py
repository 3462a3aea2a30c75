"""A training from its arguments: of numbers that are given, or one that chooses by evidence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.interruption import stop_request
from crbm_lite.training.monitors import MonitoredRun, Save
from crbm_lite.training.search.run import SearchRun
from crbm_lite.training.start import Start
from crbm_lite.training.task import (
    MakeTrainer,
    TrainingResult,
    TrainingTask,
    make_updates,
    result_of,
    sample_end,
)
from crbm_lite.training.trainer import NumbaTrainer

__all__ = ["train"]


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
            return SearchRun(task, progress, stop, save, save_every, state).train(auto)
        run = MonitoredRun(float(spikes.activity().mean()), progress, stop, save, save_every)
        return result_of(task, run, sample_end(task, *make_updates(task, run, state)))


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
