r"""The grid over (M, lambda): many runs, each saved as it ends.

A run trains one model on the training frames of one recording and validates it on the test frames;
`crbm_lite.validation.grid_results` compares the runs and chooses.

Runs go through joblib, so they spread over the cores of one machine or, inside
``joblib.parallel_config(backend="dask")``, over a cluster that shares the folder. The frames lie in
the folder, too: a run is sent as a path, and what a lost worker was at is done by another. A run
that raises does not keep the others from being done.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from crbm_lite.files.whole import write_whole
from crbm_lite.model.cache import cached_fit, model_key
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import Recording, RecordingError, load_recording, save_recording
from crbm_lite.recordings.splits import split_train_test
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.validation.grid_results import STATISTICS, GridSearch, Run
from crbm_lite.validation.report import validate

__all__ = ["STATISTICS", "GridSearch", "Run", "RunsFailed", "grid_search"]


class RunsFailed(RuntimeError):
    """Runs of a grid that raised an error; all others are saved in the folder."""


def grid_search(
    model: CRBM,
    recordings: Recording | Mapping[str, Recording],
    n_hidden: Sequence[int],
    l1: Sequence[float],
    seeds: Sequence[int],
    folder: str | os.PathLike,
    *,
    n_jobs: int | None = None,
    validation: Mapping[str, int] | None = None,
) -> GridSearch:
    """Train and validate a model for every (recording, M, lambda, seed).

    A finished run is a JSON file in ``folder`` (its model lies in ``folder/models``, the frames in
    ``folder/frames``), named by what determines it: spikes, hyperparameters, code and options of
    the validation. A restarted search reads what is there and computes the rest; a damaged file is
    computed anew.

    Parameters
    ----------
    model : CRBM
        The other hyperparameters; it is not changed.
    recordings : Recording or mapping of name to Recording
        Each is split by `crbm_lite.recordings.splits.split_train_test`.
    n_hidden, l1, seeds : sequences
        The grid; each without repetition.
    folder : path
        Where results are kept, made if need be.
    n_jobs : int, optional
        As joblib's: processes at a time, -1 for all cores; by default what
        ``joblib.parallel_config`` says, else 1. On a Dask cluster leave it out, and let the
        workers have one thread each.
    validation : mapping, optional
        Options of `crbm_lite.validation.report.validate` (n_chains, n_saved, n_steps, burn_in).

    Returns
    -------
    GridSearch

    Raises
    ------
    ValueError
        If an axis of the grid is empty or repeats itself, if there is no recording, if one cannot
        be split, or if a hyperparameter is impossible: before the first run.
    RunsFailed
        If runs raised an error, after all others; each is named. The same call, or one without
        them, finds the others done.
    OSError
        If the folder cannot be made or written, or is full: at once.

    Examples
    --------
    >>> import tempfile
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(30, 2, size_range=(10, 15), n_frames=300, n_unassigned=0)
    >>> model = CRBM(n_updates=20, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     search = grid_search(model, recording, [2], [0.01], [0, 1], folder,
    ...                          validation={"n_saved": 2, "burn_in": 1})
    ...     again = grid_search(model, recording, [2], [0.01], [0, 1, 2], folder,
    ...                         validation={"n_saved": 2, "burn_in": 1})
    >>> search.n_computed, again.n_computed, again.runs[:2] == search.runs
    (2, 1, True)
    """
    from joblib import Parallel, delayed
    from sklearn.base import clone

    axes = {"n_hidden": tuple(n_hidden), "l1": tuple(l1), "seeds": tuple(seeds)}
    for name, values in axes.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} is {values}: give at least one value, each once")
    if isinstance(recordings, Recording):
        recordings = {"recording": recordings}
    if not recordings:
        raise ValueError("recordings is empty: give at least one")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    validation = dict(validation or {})
    splits = {name: _split(name, recording) for name, recording in recordings.items()}
    jobs = []
    for name, m, lam, seed in product(splits, *(sorted(axis) for axis in axes.values())):
        train, test = splits[name]
        run_model = clone(model).set_params(
            n_hidden=int(m), l1=float(lam), random_state=int(seed), progress=False
        )
        checked_schedule(run_model)
        options = json.dumps([name, validation, model_key(run_model, test)], sort_keys=True)
        key = hashlib.sha256((model_key(run_model, train) + options).encode()).hexdigest()
        jobs.append((folder / f"{key}.json", run_model, name, validation))
    missing = [job for job in jobs if _read_run(*job[:3]) is None]
    frames = {
        name: [_store_frames(half, folder / "frames") for half in splits[name]]
        for name in {name for _, _, name, _ in missing}
    }
    told = Parallel(n_jobs=n_jobs)(delayed(_compute_run)(*job, *frames[job[2]]) for job in missing)
    failed = [text for text in told if text]
    if failed:
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise RunsFailed(
            f"{len(failed)} of {len(jobs)} runs failed, the others are saved in {folder}: "
            f"{'; '.join(failed[:5])}{more}"
        )
    return GridSearch(
        tuple(_read_run(*job[:3]) for job in jobs),
        tuple(sorted(int(m) for m in axes["n_hidden"])),
        tuple(sorted(float(x) for x in axes["l1"])),
        len(missing),
    )


def _split(name: str, recording: Recording) -> tuple[Recording, Recording]:
    try:
        return split_train_test(recording)
    except ValueError as error:
        raise ValueError(f"recording {name!r}: {error}") from error


def _store_frames(recording: Recording, folder: Path) -> Path:
    """Write what a run needs of a recording, once; the file is named by its spikes."""
    spikes = recording.spikes
    digest = hashlib.sha256(repr((spikes.shape, recording.rate_hz)).encode())
    digest.update(np.packbits(spikes))
    path = folder / f"{digest.hexdigest()}.h5"
    try:
        load_recording(path)
    except (FileNotFoundError, RecordingError):  # a damaged one is written anew
        folder.mkdir(exist_ok=True)
        save_recording(path, Recording(spikes, recording.rate_hz), overwrite=True)
    return path


_load_frames = lru_cache(maxsize=2)(load_recording)  # the runs of a recording follow each other


def _compute_run(
    path: Path, model: CRBM, name: str, validation: dict, train_path: Path, test_path: Path
) -> str:
    """Train, validate and save one run; return what went wrong, if anything did."""
    began = time.perf_counter()
    try:
        train, test = _load_frames(train_path), _load_frames(test_path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the verdict is saved
            fitted = cached_fit(model, train, path.parent / "models")
            report = validate(fitted, train, test, random_state=model.random_state, **validation)
    except OSError:  # without the folder no run can be saved
        raise
    except Exception as error:
        return (
            f"{name}, M = {model.n_hidden}, lambda = {model.l1:g}, seed {model.random_state}: "
            f"{type(error).__name__}: {error}"
        )
    run = Run(
        recording=name,
        n_hidden=model.n_hidden,
        l1=model.l1,
        seed=model.random_state,
        nrmse=tuple(float(getattr(report, x).nrmse) for x in STATISTICS),
        median_nllh=float(report.nllh.median),
        density=float(np.mean(fitted.weights_ != 0)),
        verdict=fitted.verdict_,
        seconds=time.perf_counter() - began,
    )
    write_whole(path, json.dumps(asdict(run)).encode())
    return ""


def _read_run(path: Path, model: CRBM, name: str) -> Run | None:
    """Read a finished run; None if there is none, or the file is damaged or of another run."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        run = Run(**(values | {"nrmse": tuple(map(float, values["nrmse"]))}))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    wanted = (name, model.n_hidden, model.l1, model.random_state)
    whole = len(run.nrmse) == len(STATISTICS)
    return run if whole and (run.recording, run.n_hidden, run.l1, run.seed) == wanted else None
