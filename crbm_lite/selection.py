r"""The grid over (M, lambda): many runs, each saved as it ends, and the rule that chooses.

A run trains one model on the training frames of one recording and validates it on the test frames.
Its score is the smallest of the five

.. math:: \min_{x \in \{v, h, vh, vv, hh\}} \bigl(1 - \mathrm{nRMSE}_x\bigr),

1 where the model is as good as the training data and 0 where it is worthless; a score that is not
defined, as of a model that lost all weights, counts as minus infinity. A cell (M, lambda) of the
grid has the median over its seeds and recordings, and the best cell is chosen. The paper's text
names the median nLLH beside the five: `GridSearch.table` shows both choices.

Runs go through joblib, so they spread over the cores of one machine or, inside
``joblib.parallel_config(backend="dask")``, over a cluster that shares the folder.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from crbm_lite.model import CRBM
from crbm_lite.model_cache import cached_fit, model_key
from crbm_lite.recordings import Recording
from crbm_lite.splits import split_train_test
from crbm_lite.statistics import validate

__all__ = ["STATISTICS", "GridSearch", "Run", "grid_search"]

#: The five statistics, in the order of `Run.nrmse`.
STATISTICS: tuple[str, ...] = ("v", "h", "vh", "vv", "hh")


@dataclass(frozen=True)
class Run:
    """One trained and validated model of the grid.

    Parameters
    ----------
    recording : str
        Name of the recording.
    n_hidden, l1, seed : int, float, int
        M, lambda and the seed of training and validation.
    nrmse : tuple of 5 floats
        In the order of `STATISTICS`.
    median_nllh : float
    density : float
        Share of weights that are not 0.
    verdict : str
        As ``CRBM.verdict_``.
    seconds : float
        Wall time of training and validation together.
    """

    recording: str
    n_hidden: int
    l1: float
    seed: int
    nrmse: tuple[float, float, float, float, float]
    median_nllh: float
    density: float
    verdict: str
    seconds: float

    @property
    def score(self) -> float:
        """Minimum of 1 - nRMSE over the five statistics, -inf where one is not defined."""
        score = 1 - np.max(self.nrmse)
        return float(score) if np.isfinite(score) else -math.inf


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
        Runs of this call that were not found in the folder.
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
        """Median over seeds and recordings in every cell (the lower one of an even number).

        Parameters
        ----------
        quantity : "score", "median_nllh", "density", "seconds" or one of `STATISTICS`
            For a statistic its nRMSE.

        Returns
        -------
        (len(n_hidden), len(l1)) float64

        Raises
        ------
        ValueError
            If there is no such quantity.
        """
        if quantity in STATISTICS:
            values = [run.nrmse[STATISTICS.index(quantity)] for run in self.runs]
        elif quantity in ("score", "median_nllh", "density", "seconds"):
            values = [getattr(run, quantity) for run in self.runs]
        else:
            raise ValueError(
                f"quantity is {quantity!r}: give score, median_nllh, density, seconds or one of "
                f"{', '.join(STATISTICS)}"
            )
        cells = {cell: [] for cell in product(self.n_hidden, self.l1)}
        for run, value in zip(self.runs, values, strict=True):
            cells[run.n_hidden, run.l1].append(value)
        # The lower of two middle values: a median of two must not average with an infinity.
        medians = [sorted(x, key=_nan_first)[(len(x) - 1) // 2] for x in cells.values()]
        return np.array(medians).reshape(len(self.n_hidden), len(self.l1))

    def best(self, by: str = "score") -> tuple[int, float]:
        """Choose the cell with the largest surface: (n_hidden, l1).

        Parameters
        ----------
        by : {"score", "median_nllh"}

        Raises
        ------
        ValueError
            If `by` is neither, or no cell has a finite value.
        """
        if by not in ("score", "median_nllh"):
            raise ValueError(f"by is {by!r}: give 'score' or 'median_nllh'")
        surface = self.surface(by)
        surface = np.where(np.isfinite(surface), surface, -np.inf)
        if np.isneginf(surface).all():
            raise ValueError(
                f"no cell of the grid has a {by}: all models lost their weights, try a smaller l1"
            )
        row, column = np.unravel_index(np.argmax(surface), surface.shape)
        return self.n_hidden[row], self.l1[column]

    def table(self) -> str:
        """Plain text of fixed width: one cell a line, then what either rule chooses."""
        surfaces = [self.surface(q) for q in (*STATISTICS, "score", "median_nllh", "density")]
        lines = [
            "   M    lambda  nRMSE" + "".join(f"{name:>6} " for name in STATISTICS)
            + "   score  nLLH  density"
        ]  # fmt: skip
        for i, j in product(range(len(self.n_hidden)), range(len(self.l1))):
            *nrmse, score, nllh, density = (s[i, j] for s in surfaces)
            cells = "".join(f"{x:6.2f} " for x in nrmse)
            lines.append(
                f"{self.n_hidden[i]:>4} {self.l1[j]:>9g}       {cells} {score:6.2f} {nllh:5.2f} "
                f"{density:7.2f}"
            )
        for by, name in (("score", "min (1 - nRMSE)"), ("median_nllh", "median nLLH")):
            n_hidden, l1 = self.best(by)
            lines.append(f"best by {name}: M = {n_hidden}, lambda = {l1:g}")
        return "\n".join(lines)


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

    A finished run is a JSON file in ``folder`` (its model lies in ``folder/models``), named by what
    determines it: spikes, hyperparameters, code and options of the validation. A restarted search
    reads what is there and computes the rest; a damaged file is computed anew.

    Parameters
    ----------
    model : CRBM
        The other hyperparameters; it is not changed.
    recordings : Recording or mapping of name to Recording
        Each is split by `crbm_lite.splits.split_train_test`.
    n_hidden, l1, seeds : sequences
        The grid; each without repetition.
    folder : path
        Where results are kept, made if need be.
    n_jobs : int, optional
        As joblib's: processes at a time, -1 for all cores; by default what
        ``joblib.parallel_config`` says, else 1.
    validation : mapping, optional
        Options of `crbm_lite.statistics.validate` (n_chains, n_saved, n_steps, burn_in).

    Returns
    -------
    GridSearch

    Raises
    ------
    ValueError
        If an axis of the grid is empty or repeats itself, if there is no recording, or as the
        split, the training or the validation.
    OSError
        If the folder cannot be made or written.

    Examples
    --------
    >>> from crbm_lite.planted import plant_recording
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
    splits = {name: split_train_test(recording) for name, recording in recordings.items()}
    jobs = []
    for name, m, lam, seed in product(splits, *(sorted(axis) for axis in axes.values())):
        train, test = splits[name]
        run_model = clone(model).set_params(
            n_hidden=int(m), l1=float(lam), random_state=int(seed), progress=False
        )
        options = json.dumps([name, validation, model_key(run_model, test)], sort_keys=True)
        key = hashlib.sha256((model_key(run_model, train) + options).encode()).hexdigest()
        jobs.append((folder / f"{key}.json", run_model, name, train, test, validation))
    missing = [job for job in jobs if _read_run(job[0]) is None]
    Parallel(n_jobs=n_jobs)(delayed(_compute_run)(*job) for job in missing)
    return GridSearch(
        tuple(_read_run(job[0]) for job in jobs),
        tuple(sorted(int(m) for m in axes["n_hidden"])),
        tuple(sorted(float(x) for x in axes["l1"])),
        len(missing),
    )


def _nan_first(value: float) -> tuple[bool, float]:
    return (value == value, value)


def _compute_run(
    path: Path, model: CRBM, name: str, train: Recording, test: Recording, validation: dict
) -> None:
    """Train, validate and save one run; the file appears whole or not at all."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the verdict is saved
        fitted = cached_fit(model, train, path.parent / "models")
        report = validate(fitted, train, test, random_state=model.random_state, **validation)
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
    handle, temporary = tempfile.mkstemp(suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(asdict(run), stream)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_run(path: Path) -> Run | None:
    """Read a finished run; None if there is none or the file is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Run(**(values | {"nrmse": tuple(values["nrmse"])}))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
