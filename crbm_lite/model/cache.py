"""Train once, use in many places: a cache of trained models keyed by what determines them.

No equations. A training run is determined by its hyperparameters (an integer ``random_state`` among
them), its spikes and the code that trains, so the sha256 of the three names the file of a trained
model. Whoever asks for the same run again, in another chapter or another process, gets that file; a
change in any of the three gives another name, so nothing in the cache is ever out of date. The file
holds this key, too: one that was renamed or copied to another key is not taken for that run.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import crbm_lite
from crbm_lite.checks.arguments import is_integer
from crbm_lite.core.spikes import as_spikes
from crbm_lite.files.source_code import source_digest
from crbm_lite.files.whole import cache_folder, one_process_at_a_time
from crbm_lite.training.hyperparameters import run_hyperparameters

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["cached_fit", "model_key"]

_TRAINING_FOLDERS = ("core", "training", "model")  # all that a training run executes


def model_key(model: CRBM, recording: object) -> str:
    """Name what determines a training run: hyperparameters, spikes and the code that trains.

    Parameters
    ----------
    model : CRBM
        Fitted or not; only its hyperparameters count. ``random_state`` must be an integer, and
        ``progress`` has no effect.
    recording : Recording, (T, N) array of 0/1 or scipy.sparse matrix
        Only its spikes count; the same spikes give the same key in every form.

    Returns
    -------
    str
        A sha256, 64 hexadecimal digits.

    Raises
    ------
    ValueError
        If ``random_state`` is not an integer, since such a run cannot be repeated; if the spikes
        are not binary.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite import CRBM
    >>> v = np.eye(4)
    >>> key = model_key(CRBM(n_hidden=2, random_state=0), v)
    >>> key == model_key(CRBM(n_hidden=2, random_state=0, progress=False), v.astype(bool))
    True
    >>> key == model_key(CRBM(n_hidden=2, random_state=1), v)
    False
    """
    seed = model.random_state
    if not is_integer(seed):
        raise ValueError(
            f"random_state of the model is {seed!r}: give an integer, a run without a fixed seed "
            "cannot be found again"
        )
    spikes = as_spikes(recording, "recording")
    run = (
        crbm_lite.__version__,
        source_digest(*_TRAINING_FOLDERS),
        run_hyperparameters(model.get_params()),
        spikes.sha256(),
        spikes.names,
    )
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()


def cached_fit(model: CRBM, recording: object, folder: str | os.PathLike | None = None) -> CRBM:
    """Fit a model, or read it from the cache if the same run was done before.

    A model whose file cannot be read, or is that of another run, is trained anew and the file
    replaced. Of two processes that
    want the same model at the same time one trains and the other waits for it (where there
    are no locks, as on Windows, both train, and both write a whole file).

    Parameters
    ----------
    model : CRBM
        Hyperparameters of the run; ``random_state`` must be an integer. It is not changed.
    recording : Recording, (T, N) array of 0/1 or scipy.sparse matrix
        What to train on.
    folder : path, optional
        Where trained models are kept, made if need be. By default ``models`` in the folder named by
        CRBM_LITE_CACHE, else in the system's cache folder for crbm_lite.

    Returns
    -------
    CRBM
        As ``clone(model).fit(recording)`` returns it, with history, certificate and verdict.

    Raises
    ------
    ValueError
        If ``random_state`` is not an integer, or as ``CRBM.fit``.
    OSError
        If the folder cannot be made or written.

    Warns
    -----
    ConvergenceWarning
        From the training itself. A model from the cache carries its ``verdict_``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from crbm_lite import CRBM
    >>> model = CRBM(n_hidden=2, l1=0.0, n_updates=20, batch_size=8, random_state=0)
    >>> v = np.tile(np.eye(4), (10, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = cached_fit(model, v, folder)
    ...     second = cached_fit(model, v, folder)  # read, not trained
    >>> bool((first.weights_ == second.weights_).all())
    True
    """
    from sklearn.base import clone

    from crbm_lite.model.files import ModelFileError, read_model, write_model

    key = model_key(model, recording)
    path = Path(folder or cache_folder() / "models") / f"{key}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)  # before the training: it may be refused

    def kept() -> CRBM | None:
        try:
            arrays, attributes = read_model(path)
            if attributes.get("run") != key:
                return None
            found = type(model)._of_contents(path, arrays, attributes)
            return found.set_params(**model.get_params())
        except (FileNotFoundError, ModelFileError):
            return None

    found = kept()
    if found is not None:
        return found
    with one_process_at_a_time(path):
        found = kept()  # trained by another process in the meantime
        if found is not None:
            return found
        fitted = clone(model).fit(recording)
        if fitted.verdict_ == "interrupted":  # half a run must not pass for the whole
            raise KeyboardInterrupt
        arrays, attributes = fitted._contents()
        write_model(path, arrays, attributes | {"run": key})
    return fitted
