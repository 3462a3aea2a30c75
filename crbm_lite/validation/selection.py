r"""Choose M and lambda: a grid of many runs, each saved as it ends, and the rules that choose.

A run trains one model on one part of a recording and scores it on the rest. Give the training
frames only: `grid_search` cuts them again, and the test frames are looked at once, after the
choice. Two scores choose:

- the mean left-out log-likelihood (`crbm_lite.validation.likelihood.left_out_log_likelihood`),
  over frames and neurons, in nats. It needs no sampling and no normalisation Z.
- the rule of the published code, the smallest of the five

  .. math:: \min_{x \in \{v, h, vh, vv, hh\}} \bigl(1 - \mathrm{nRMSE}_x\bigr),

  which is 1 where the model is as good as the training data and 0 where it is worthless
  (`crbm_lite.validation.comparison.MomentScores.score`).

A cell (M, lambda) of the grid has the median over its seeds and recordings, and the best cell is
chosen. The paper's text names the median nLLH beside the five statistics: `GridSearch.table` shows
all three choices.

Runs go through joblib, so they spread over the cores of one machine or, inside
``joblib.parallel_config(backend="dask")``, over a cluster that shares the folder. The frames lie in
the folder too: a run is sent as a path, and when a worker is lost another one does its run again. A
run that raises an error does not stop the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_count, as_number, as_path
from crbm_lite.files.source_code import source_digest
from crbm_lite.files.whole import write_whole
from crbm_lite.model.cache import cached_fit, model_key
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import Recording, RecordingError, load_recording, save_recording
from crbm_lite.recordings.splits import split_train_test
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.validation.comparison import STATISTICS
from crbm_lite.validation.report import validate

__all__ = ["GridSearch", "Run", "RunsFailed", "grid_search"]

_SCORING = ("validation", "measures.py")  # the code, beside that of a training, that a run executes
_QUANTITIES = ("score", "left_out_log_likelihood", "median_nllh", "density", "seconds")
_RULES = {
    "left_out_log_likelihood": "left-out log-likelihood",
    "score": "min (1 - nRMSE)",
    "median_nllh": "median nLLH",
}


@dataclass(frozen=True)
class Run:
    """One trained and validated model of the grid.

    Parameters
    ----------
    recording : str
        Name of the recording.
    n_hidden, l1, seed : int, float, int
        M, lambda and the seed of training and validation.
    nrmse, nrmse_error : tuple of 5 floats
        Of v, h, vh, vv and hh, and its sampling error: how much other chains would change it.
    has_scale : tuple of 5 bools
        Whether each nRMSE has a scale (`crbm_lite.validation.comparison.StatisticScore`).
    score : float
        Smallest of 1 - nRMSE among those with a scale; -inf where it is not defined.
    left_out_log_likelihood : float
        Mean over held-out frames and all neurons, in nats.
    median_nllh : float
    density : float
        Share of the weights that are not 0.
    verdict : str
        The fitted model's ``verdict_``.
    seconds : float
        Wall time of training and validation together.
    """

    recording: str
    n_hidden: int
    l1: float
    seed: int
    nrmse: tuple[float, float, float, float, float]
    nrmse_error: tuple[float, float, float, float, float]
    has_scale: tuple[bool, bool, bool, bool, bool]
    score: float
    left_out_log_likelihood: float
    median_nllh: float
    density: float
    verdict: str
    seconds: float


@dataclass(frozen=True, repr=False)
class GridSearch:
    """All runs of a grid.

    Parameters
    ----------
    runs : tuple of Run
        In the order recordings, n_hidden, l1, seeds.
    n_hidden, l1 : tuple
        The axes of the grid, ascending.
    n_computed : int
        Runs that this call computed because they were not in the folder.
    """

    runs: tuple[Run, ...]
    n_hidden: tuple[int, ...]
    l1: tuple[float, ...]
    n_computed: int

    def __repr__(self) -> str:
        return (
            f"GridSearch({len(self.runs)} runs, {len(self.n_hidden)} x {len(self.l1)} cells, "
            f"{self.n_computed} computed now)"
        )

    def surface(self, quantity: str = "score") -> np.ndarray:
        """Take the median over seeds and recordings in every cell.

        Of two middle values it is the worse one: the higher nRMSE, else the lower value. An nRMSE
        without a scale says nothing and is left out; a cell in which none has one is NaN.

        Parameters
        ----------
        quantity : str
            "score" (default), "left_out_log_likelihood", "median_nllh", "density", "seconds" or,
            for its nRMSE, one of the five statistics.

        Returns
        -------
        (len(n_hidden), len(l1)) float64

        Raises
        ------
        ValueError
            If there is no such quantity.
        """
        sign, told = 1.0, [True] * len(self.runs)  # the sign of what is better
        if quantity in STATISTICS:
            place = STATISTICS.index(quantity)
            values, sign = [run.nrmse[place] for run in self.runs], -1.0
            told = [run.has_scale[place] for run in self.runs]
        elif quantity in _QUANTITIES:
            values = [getattr(run, quantity) for run in self.runs]
        else:
            raise ValueError(
                f"quantity is {quantity!r}: give one of {', '.join((*_QUANTITIES, *STATISTICS))}"
            )
        cells = {cell: [] for cell in product(self.n_hidden, self.l1)}
        for run, value, says in zip(self.runs, values, told, strict=True):
            cells[run.n_hidden, run.l1] += [sign * value] if says else []
        # not the mean of two middle values, of which one may be infinite
        medians = [
            sorted(x, key=_nan_first)[(len(x) - 1) // 2] if x else np.nan for x in cells.values()
        ]
        return sign * np.array(medians).reshape(len(self.n_hidden), len(self.l1))

    def best(self, by: str = "left_out_log_likelihood") -> tuple[int, float]:
        """Choose the cell with the largest surface: (n_hidden, l1).

        Parameters
        ----------
        by : {"left_out_log_likelihood", "score", "median_nllh"}
            The first one is the default.

        Raises
        ------
        ValueError
            If `by` is none of them, or no cell has a finite value.
        """
        if by not in _RULES:
            raise ValueError(f"by is {by!r}: give one of {', '.join(_RULES)}")
        surface = self.surface(by)
        surface = np.where(np.isfinite(surface), surface, -np.inf)
        if np.isneginf(surface).all():
            raise ValueError(
                f"{by} is not defined in any cell: all models lost their weights, or no statistic "
                "has a scale; give a smaller l1 or more frames"
            )
        row, column = np.unravel_index(np.argmax(surface), surface.shape)
        return self.n_hidden[row], self.l1[column]

    def table(self) -> str:
        """Plain text of fixed width: one line per cell, then what each rule chooses.

        A dash stands for an nRMSE without a scale in all runs of a cell.
        """
        surfaces = [
            self.surface(q)
            for q in (*STATISTICS, "score", "left_out_log_likelihood", "median_nllh", "density")
        ]
        lines = [
            "   M    lambda  nRMSE" + "".join(f"{name:>6} " for name in STATISTICS)
            + "   score  left out  nLLH  density"
        ]  # fmt: skip
        for i, j in product(range(len(self.n_hidden)), range(len(self.l1))):
            *nrmse, score, left_out, nllh, density = (s[i, j] for s in surfaces)
            cells = "".join(f"{'-':>6} " if np.isnan(x) else f"{x:6.2f} " for x in nrmse)
            lines.append(
                f"{self.n_hidden[i]:>4} {self.l1[j]:>9g}       {cells} {score:6.2f} "
                f"{left_out:9.5f} {nllh:5.2f} {density:7.2f}"
            )
        for by, name in _RULES.items():
            try:
                n_hidden, l1 = self.best(by)
                lines.append(f"best by {name}: M = {n_hidden}, lambda = {l1:g}")
            except ValueError as error:
                lines.append(f"none by {name}: {error}")
        return "\n".join(lines)


def _nan_first(value: float) -> tuple[bool, float]:
    return (value == value, value)


class RunsFailed(RuntimeError):
    """Runs of a grid raised an error; all others are saved in the folder."""


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

    A finished run is a JSON file in ``folder``; its model lies in ``folder/models``, the frames in
    ``folder/frames``. The file is named by what determines the run: spikes, hyperparameters, code
    and options of the validation. A restarted search reads what is there and computes the rest. A
    damaged file is computed anew.

    Parameters
    ----------
    model : CRBM
        Gives the other hyperparameters. It is not changed.
    recordings : Recording or mapping of name to Recording
        The frames to choose on: training frames only. Each recording is cut by
        `crbm_lite.recordings.splits.split_train_test` into frames that are fitted and frames that
        score.
    n_hidden, l1, seeds : sequences
        The grid. No value may occur twice.
    folder : path
        Where results are kept. It is made if need be.
    n_jobs : int, optional
        Processes at a time, as in joblib, -1 for all cores (default: what
        ``joblib.parallel_config`` says, else 1). On a Dask cluster leave it out, and give the
        workers one thread each.
    validation : mapping, optional
        Options of `crbm_lite.validation.report.validate` (n_chains, n_saved, n_steps, burn_in).

    Returns
    -------
    GridSearch

    Raises
    ------
    ValueError
        If an axis of the grid is empty or repeats a value, if there is no recording, if one cannot
        be split, or if a hyperparameter is impossible. This is raised before the first run.
    RunsFailed
        If runs raised an error, or their worker was killed twice. It is raised after all other runs
        are done, and names the failed ones. The same call, or one without them, finds the others
        done.
    OSError
        If the folder cannot be made or written, or is full. This is raised at once.

    Warns
    -----
    UserWarning
        If a worker was killed, for instance for want of memory. It names the runs that were lost,
        which are computed again.

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
    from sklearn.base import clone

    axes = {
        "n_hidden": tuple(as_count(m, "n_hidden") for m in n_hidden),
        "l1": tuple(as_number(x, "l1", "lambda, 0 or more") for x in l1),
        "seeds": tuple(as_count(seed, "seeds", 0) for seed in seeds),
    }
    for name, values in axes.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} is {values}: give at least one value, each once")
    if isinstance(recordings, Recording):
        recordings = {"recording": recordings}
    if not recordings:
        raise ValueError("recordings is empty: give at least one")
    folder = as_path(folder, "folder")
    folder.mkdir(parents=True, exist_ok=True)
    validation = dict(validation or {})
    splits = {name: _split(name, recording) for name, recording in recordings.items()}
    jobs = []
    for name, m, lam, seed in product(splits, *(sorted(axis) for axis in axes.values())):
        train, test = splits[name]
        run_model = clone(model).set_params(
            n_hidden=m, l1=float(lam), random_state=seed, progress=False
        )
        checked_schedule(run_model)
        what = [name, validation, model_key(run_model, test), source_digest(*_SCORING)]
        options = json.dumps(what, sort_keys=True)
        key = hashlib.sha256((model_key(run_model, train) + options).encode()).hexdigest()
        jobs.append((folder / f"{key}.json", run_model, name, validation))
    missing = [job for job in jobs if _read_run(*job[:3]) is None]
    frames = {
        name: [_store_frames(half, folder / "frames") for half in splits[name]]
        for name in {name for _, _, name, _ in missing}
    }
    failed = _compute_runs([(*job, *frames[job[2]]) for job in missing], n_jobs)
    if failed:
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise RunsFailed(
            f"{len(failed)} of {len(jobs)} runs failed, the others are saved in {folder}: "
            f"{'; '.join(failed[:5])}{more}"
        )
    return GridSearch(
        tuple(_read_run(*job[:3]) for job in jobs),
        tuple(sorted(axes["n_hidden"])),
        tuple(sorted(float(x) for x in axes["l1"])),
        len(missing),
    )


def _split(name: str, recording: Recording) -> tuple[Recording, Recording]:
    try:
        return split_train_test(recording)
    except ValueError as error:
        raise ValueError(f"recording {name!r}: {error}") from error


def _store_frames(recording: Recording, folder: Path) -> Path:
    """Write what a run needs of a recording, once, to a file named by its spikes."""
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


def _compute_runs(jobs: list[tuple], n_jobs: int | None) -> list[str]:
    """Compute runs in parallel; return what went wrong, a text for each that failed.

    joblib gives all up if the system kills a worker. So each run that was under way is started
    again alone, and given up if that happens to it a second time. Then the others go on.
    """
    from joblib import Parallel, delayed

    def compute(some: list[tuple]) -> list[str]:
        texts = Parallel(n_jobs=n_jobs)(delayed(_compute_run)(*job) for job in some)
        return [text for text in texts if text]

    failed: list[str] = []
    while jobs:
        try:
            return failed + compute(jobs)
        except BrokenProcessPool:
            lost = [job for job in jobs if _mark(job[0]).exists()]
            if not lost:  # nobody is known to have been at work: do not try for ever
                raise
        cells = "; ".join(_cell(*job[1:3]) for job in lost)
        warnings.warn(
            f"a worker was killed, and with it went these runs, which start again: {cells}",
            stacklevel=3,
        )
        for job in lost:
            try:
                failed += compute([job])
            except BrokenProcessPool:
                failed.append(
                    f"{_cell(*job[1:3])}: its worker was killed twice; was there too little memory?"
                )
            _mark(job[0]).unlink(missing_ok=True)
        tried = {job[0] for job in lost}
        jobs = [job for job in jobs if job[0] not in tried and _read_run(*job[:3]) is None]
    return failed


def _cell(model: CRBM, name: str) -> str:
    """Name a run for messages."""
    return f"{name}, M = {model.n_hidden}, lambda = {model.l1:g}, seed {model.random_state}"


def _mark(path: Path) -> Path:
    """The file that says that a run is under way."""
    return path.with_suffix(".running")


def _compute_run(
    path: Path, model: CRBM, name: str, validation: dict, train_path: Path, test_path: Path
) -> str:
    """Train, validate and save one run; return what went wrong, or an empty text."""
    began = time.perf_counter()
    _mark(path).touch()
    try:
        train, test = _load_frames(train_path), _load_frames(test_path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the verdict is saved
            fitted = cached_fit(model, train, path.parent / "models")
            report = validate(fitted, train, test, random_state=model.random_state, **validation)
    except OSError:  # without the folder no run can be saved
        raise
    except Exception as error:
        _mark(path).unlink(missing_ok=True)
        return f"{_cell(model, name)}: {type(error).__name__}: {error}"
    scores = [getattr(report, name) for name in STATISTICS]
    run = Run(
        recording=name,
        n_hidden=model.n_hidden,
        l1=model.l1,
        seed=model.random_state,
        nrmse=tuple(float(score.nrmse) for score in scores),
        nrmse_error=tuple(float(score.nrmse_error) for score in scores),
        has_scale=tuple(bool(score.n_entries and score.has_scale) for score in scores),
        score=report.score,
        left_out_log_likelihood=float(report.left_out.log_likelihood.mean()),
        median_nllh=float(report.nllh.median),
        density=float(np.mean(fitted.weights_ != 0)),
        verdict=fitted.verdict_,
        seconds=time.perf_counter() - began,
    )
    write_whole(path, json.dumps(asdict(run)).encode())
    _mark(path).unlink(missing_ok=True)
    return ""


def _read_run(path: Path, model: CRBM, name: str) -> Run | None:
    """Read a finished run; None if there is none, or the file is damaged or of another run."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        run = Run(**values)
        run = replace(
            run, nrmse=tuple(map(float, run.nrmse)), has_scale=tuple(map(bool, run.has_scale)),
            nrmse_error=tuple(map(float, run.nrmse_error)),
        )  # fmt: skip
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    wanted = (name, model.n_hidden, model.l1, model.random_state)
    fives = {len(run.nrmse), len(run.nrmse_error), len(run.has_scale)}
    whole = fives == {len(STATISTICS)}
    return run if whole and (run.recording, run.n_hidden, run.l1, run.seed) == wanted else None
