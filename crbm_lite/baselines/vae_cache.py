"""Train a VAE once and use it in many places, as `crbm_lite.model.cache` does for the cRBM.

Hyperparameters, spikes, the code that trains and the versions of Keras and JAX determine the arrays
of a VAE. The sha256 of them all names its file. That is an npz without pickled objects, which also
holds this key and how many seconds the training took.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import numpy as np

import crbm_lite
from crbm_lite.baselines.vae import VAE, fit_vae
from crbm_lite.baselines.vae_network import keras_on_jax
from crbm_lite.checks.arguments import as_count, as_number
from crbm_lite.core.spikes import as_spikes
from crbm_lite.files.source_code import source_digest
from crbm_lite.files.whole import cache_folder, one_process_at_a_time, write_whole

__all__ = ["cached_vae"]

_TRAINING_SOURCES = ("baselines/vae.py", "baselines/vae_network.py", "core/spikes.py")
_PACKAGES = ("keras", "jax", "numpy")


def cached_vae(
    v: object,
    n_hidden: int,
    l1: float,
    *,
    n_updates: int,
    learning_rate: tuple[float, float],
    random_state: int = 0,
    folder: str | os.PathLike | None = None,
) -> tuple[VAE, float]:
    """Fit a VAE, or read it from the cache if the same run was done before.

    A file that cannot be read, or is of another run, is made anew. If two processes want the same
    VAE at the same time, one trains and the other waits.

    Parameters
    ----------
    v, n_hidden, l1, n_updates, learning_rate
        As in `crbm_lite.baselines.vae.fit_vae`.
    random_state : int
        Seed (default 0): a run without a fixed seed could not be found again.
    folder : path, optional
        By default ``models`` in the cache folder, as for `crbm_lite.model.cache.cached_fit`.

    Returns
    -------
    vae : VAE
    seconds : float
        How long its training took when it was trained.

    Raises
    ------
    ValueError, ImportError, RuntimeError
        As `fit_vae`.
    OSError
        If the folder cannot be made or written.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((200, 6)) < 0.3
    >>> vae, seconds = cached_vae(
    ...     v, 2, 0.01, n_updates=50, learning_rate=(1e-3, 1e-4), folder="vaes"
    ... )  # doctest: +SKIP
    """
    keras_on_jax()  # says what is missing before its version is asked for
    spikes = as_spikes(v)
    training = {
        "n_hidden": as_count(n_hidden, "n_hidden"), "l1": as_number(l1, "l1", "lambda"),
        "n_updates": as_count(n_updates, "n_updates"),
        "learning_rate": tuple(float(rate) for rate in learning_rate),
        "random_state": as_count(random_state, "random_state", 0),
    }  # fmt: skip
    packages = [crbm_lite.__version__, *map(version, _PACKAGES)]
    run = (packages, source_digest(*_TRAINING_SOURCES), training, spikes.sha256())
    key = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()
    path = Path(folder or cache_folder() / "models") / f"vae-{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(path):
        found = _read(path, key)
        if found is None:
            began = time.perf_counter()
            vae = fit_vae(spikes, **training)
            found = vae, time.perf_counter() - began
            _write(path, key, *found)
    return found


def _read(path: Path, key: str) -> tuple[VAE, float] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        if str(arrays.pop("run")) != key:
            return None
        seconds, l1 = float(arrays.pop("seconds")), float(arrays.pop("l1"))
        return VAE(**arrays, l1=l1), seconds
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None


def _write(path: Path, key: str, vae: VAE, seconds: float) -> None:
    arrays = {f.name: np.asarray(getattr(vae, f.name)) for f in fields(vae)}
    image = io.BytesIO()
    np.savez(image, run=np.array(key), seconds=np.float64(seconds), **arrays)
    write_whole(path, image.getbuffer())
