"""Where a training run begins: anew, at a checkpoint, or where `fit` was interrupted.

No equations.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.training.checkpoint import CheckpointFile, refuse_other_run, run_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from crbm_lite.core.spikes import Spikes
    from crbm_lite.model.model import CRBM

__all__ = ["KeptRun", "find_run"]

_UPDATE = "trainer/update"


@dataclass(frozen=True)
class KeptRun:
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
    model: CRBM,
    spikes: Spikes,
    checkpoint: str | os.PathLike | None,
    checkpoint_every: int,
    resume: bool,
    left: tuple[dict, Mapping[str, np.ndarray]] | None,
) -> KeptRun:
    """Find where a model's run on these spikes was left; begin a new one if it was not.

    Of a checkpoint and an interrupted run in memory the further one counts. Without an integer
    ``random_state`` the seed of what is found is used.

    Parameters
    ----------
    model : CRBM
        Its hyperparameters count.
    spikes : Spikes
    checkpoint : path or None
    checkpoint_every : int
        Updates.
    resume : bool
    left : tuple of identity and state, or None
        What an interrupted ``fit`` of the model left in memory.

    Raises
    ------
    CheckpointError
        If what is found is damaged or belongs to another run.
    FileExistsError
        If there is a checkpoint and `resume` is False.
    """
    wanted = run_identity(model.get_params(), spikes)
    file = None if checkpoint is None else CheckpointFile(checkpoint, checkpoint_every)
    found = None
    if resume:
        found = file.read(wanted) if file else None
        if left is not None and (found is None or found[1][_UPDATE] < left[1][_UPDATE]):
            refuse_other_run(left[0], wanted, "The interrupted run of this model")
            found = left
    elif file and file.exists():
        raise FileExistsError(
            f"there is a checkpoint {file.path} already: go on with resume=True, give another "
            f"path, or delete it and {file.previous.name}"
        )
    if found is None:
        seed = int(np.random.default_rng(model.random_state).integers(2**63))
        identity, state = wanted | {"seed": seed}, None
    else:
        identity, state = found
    save = None if file is None else partial(file.try_write, identity)
    return KeptRun(identity, identity["seed"], state, save)
