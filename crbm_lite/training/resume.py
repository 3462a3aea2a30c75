"""Where a training run begins: anew, at a checkpoint, or where `fit` was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np

from crbm_lite.checks.arguments import as_generator
from crbm_lite.core.spikes import Spikes
from crbm_lite.training.checkpoint import CheckpointFile, refuse_other_run, run_identity

__all__ = ["FoundRun", "find_run"]


@dataclass(frozen=True)
class FoundRun:
    """A run to train.

    Attributes
    ----------
    identity : dict
        See `crbm_lite.training.checkpoint.run_identity`.
    seed : int
    state : mapping or None
        Where to go on; None to begin.
    save : callable or None
        Writes a state to the checkpoint.
    """

    identity: dict
    seed: int
    state: Mapping[str, np.ndarray] | None
    save: Callable[[dict[str, np.ndarray]], object] | None


@contextmanager
def find_run(
    hyperparameters: Mapping[str, object],
    spikes: Spikes,
    checkpoint: str | os.PathLike | None,
    checkpoint_every: int,
    resume: bool,
    interrupted: tuple[dict, Mapping[str, np.ndarray]] | None,
) -> Iterator[FoundRun]:
    """Find where a run on these spikes was left; begin a new one if it was not.

    As long as the block lasts, no other run can write to the checkpoint. Of a checkpoint and an
    interrupted run in memory, the one with more updates counts. Without an integer ``random_state``
    the seed of what is found is used.

    Parameters
    ----------
    hyperparameters : mapping
        Those of `crbm_lite.CRBM` by name, ``random_state`` among them.
    spikes : Spikes
    checkpoint : path or None
    checkpoint_every : int
        Updates from one checkpoint to the next.
    resume : bool
    interrupted : tuple of identity and state, or None
        What an interrupted ``fit`` left in memory.

    Raises
    ------
    CheckpointError
        If what is found is damaged or belongs to another run, or if another run is writing there.
    FileExistsError
        If there is a checkpoint and `resume` is False.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> with find_run({"random_state": 0}, as_spikes(np.eye(3)), None, 1000, False, None) as run:
    ...     run.state is None and run.save is None
    True
    """
    wanted = run_identity(hyperparameters, spikes)
    file = None if checkpoint is None else CheckpointFile(checkpoint, checkpoint_every)
    with nullcontext() if file is None else file.held():
        identity, state = _found(wanted, file, resume, interrupted)
        if "seed" not in identity:
            generator = as_generator(hyperparameters["random_state"])
            identity = identity | {"seed": int(generator.integers(2**63))}
        save = None if file is None else partial(file.try_write, identity)
        yield FoundRun(identity, identity["seed"], state, save)


def _found(
    wanted: dict,
    file: CheckpointFile | None,
    resume: bool,
    interrupted: tuple[dict, Mapping[str, np.ndarray]] | None,
) -> tuple[dict, Mapping[str, np.ndarray] | None]:
    """Identity and state of the run to go on with; the wanted identity and None for a new one."""
    found = None
    if resume:
        found = file.read(wanted) if file else None
        if interrupted is not None:
            identity, state = interrupted
            if found is None or _progress(found[1]) < _progress(state):
                refuse_other_run(identity, wanted, "The interrupted run of this model")
                found = interrupted
    elif file and file.exists():
        raise FileExistsError(
            f"there is a checkpoint {file.path} already: go on with resume=True, give another "
            f"path, or delete it and {file.previous.name}"
        )
    return found or (wanted, None)


def _progress(state: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Say how far a run is: stages of its search, and updates after them."""
    return int(state.get("search/n_stages", 0)), int(state.get("trainer/update", 0))
