"""Where a training run begins: anew, at a checkpoint, or where `fit` was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.checkpoint import CheckpointFile, refuse_other_run, run_identity

__all__ = ["FoundRun", "find_run"]

_UPDATE = "trainer/update"


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


def find_run(
    hyperparameters: Mapping[str, object],
    spikes: Spikes,
    checkpoint: str | os.PathLike | None,
    checkpoint_every: int,
    resume: bool,
    interrupted: tuple[dict, Mapping[str, np.ndarray]] | None,
) -> FoundRun:
    """Find where a run on these spikes was left; begin a new one if it was not.

    Of a checkpoint and an interrupted run in memory, the one with more updates counts. Without an
    integer ``random_state`` the seed of what is found is used.

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
        If what is found is damaged or belongs to another run.
    FileExistsError
        If there is a checkpoint and `resume` is False.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> run = find_run({"random_state": 0}, as_spikes(np.eye(3)), None, 1000, False, None)
    >>> run.state is None and run.save is None
    True
    """
    wanted = run_identity(hyperparameters, spikes)
    file = None if checkpoint is None else CheckpointFile(checkpoint, checkpoint_every)
    found = None
    if resume:
        found = file.read(wanted) if file else None
        if interrupted is not None:
            identity, state = interrupted
            if found is None or found[1][_UPDATE] < state[_UPDATE]:
                refuse_other_run(identity, wanted, "The interrupted run of this model")
                found = interrupted
    elif file and file.exists():
        raise FileExistsError(
            f"there is a checkpoint {file.path} already: go on with resume=True, give another "
            f"path, or delete it and {file.previous.name}"
        )
    if found is None:
        random_state = hyperparameters["random_state"]
        seed = int(np.random.default_rng(random_state).integers(2**63))
        identity, state = wanted | {"seed": seed}, None
    else:
        identity, state = found
    save = None if file is None else partial(file.try_write, identity)
    return FoundRun(identity, identity["seed"], state, save)
