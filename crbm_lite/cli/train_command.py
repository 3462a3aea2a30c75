"""`crbm-lite train`: a run that can be left alone, killed, and gone on with.

This needs the package click.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click
import numba
import numpy as np

import crbm_lite
from crbm_lite.assemblies.similar import similar_assemblies
from crbm_lite.cli.exit import (
    FILE,
    Failed,
    check_writable,
    examples,
    report_option,
    say,
    write_report,
)
from crbm_lite.cli.import_command import load
from crbm_lite.cli.words import (
    as_typed,
    settings_line,
    similar_lines,
    verdict_line,
)
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.files import frames_of_model, write_model
from crbm_lite.training.checkpoint import FORMAT
from crbm_lite.training.hyperparameters import BACKENDS, checked_schedule

__all__ = ["left_alone", "train"]


class _JumpEvery(click.ParamType):
    """An integer, or a word that the model judges."""

    name = "auto or integer"

    def convert(self, value: object, param: object, ctx: object) -> object:
        text = str(value)
        return int(text) if text.isdecimal() else text


# A bar is drawn ten times a second on a screen; a night of that is too much for a log.
_SECONDS_IN_A_LOG = "10"
_HDF5 = b"\x89HDF\r\n\x1a\n"  # how such files begin


class NumberOrAuto(click.ParamType):
    """A number, or "auto" for one that the training chooses.

    Parameters
    ----------
    kind : {int, float}
    """

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = f"{'integer' if kind is int else 'number'} or auto"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float | str:
        """Read the text of the option."""
        if value == "auto":
            return "auto"
        try:
            return self.kind(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r}: give a number, or auto", param, ctx)


@click.command(
    epilog=examples(
        "crbm-lite train larva.h5 model.h5",
        "crbm-lite train larva.h5 model.h5 --resume",
        "crbm-lite train larva.h5 model.h5 --n-hidden 100 --l1 0.01 --n-updates 5000",
        "crbm-lite train larva.h5 m1.h5 --seed 1 --threads 2 --quiet --report m1.json",
        "crbm-lite train larva.h5 m2.h5 --backend jax",
    )
)
@click.argument("recording", type=FILE)
@click.argument("model", type=FILE)
@click.option("--n-hidden", default="auto", show_default=True, type=NumberOrAuto(int),
              help="Hidden units M.")  # fmt: skip
@click.option("--l1", default="auto", show_default=True, type=NumberOrAuto(float),
              help="Penalty lambda on sum |w|.")  # fmt: skip
@click.option("--n-updates", default="auto", show_default=True, type=NumberOrAuto(int),
              help="Gradient updates.")  # fmt: skip
@click.option("--batch-size", default=100, show_default=True, help="Frames per batch.")
@click.option("--n-chains", default=100, show_default=True, help="Persistent chains.")
@click.option("--n-gibbs", default=6, show_default=True, help="Gibbs steps per update.")
@click.option("--learning-rate", default=5e-3, show_default=True)
@click.option("--final-learning-rate", default=1e-4, show_default=True)
@click.option(
    "--jump-every",
    default="auto",
    show_default=True,
    type=_JumpEvery(),
    help="Gibbs steps between two sweeps of jumps, or auto.",
)
@click.option("--refit", default="auto", show_default=True, type=NumberOrAuto(float),
              help="Share of updates without penalty.")  # fmt: skip
@click.option("--average-from", default=0.5, show_default=True, help="Share of the updates.")
@click.option("--init", default="auto", show_default=True,
              type=click.Choice(["auto", "pca", "nmf", "random"]))  # fmt: skip
@click.option("--backend", default="numba", show_default=True, type=click.Choice(BACKENDS),
              help="The CPU, or all devices of JAX.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0),
              help="Same seed, same bits.")  # fmt: skip
@click.option("--all-frames", is_flag=True, help="Train on the test frames, too.")
@click.option("--threads", type=click.IntRange(1), help="Cores to use; by default all.")
@click.option("--checkpoint", type=FILE, help="By default MODEL.checkpoint.")
@click.option("--checkpoint-every", default=1000, show_default=True, type=click.IntRange(1),
              help="Updates.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with a run that was killed or interrupted.")
@click.option("--overwrite", is_flag=True, help="Replace MODEL, and begin again.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@report_option
def train(
    recording: Path, model: Path, seed: int, all_frames: bool, threads: int | None,
    checkpoint: Path | None, checkpoint_every: int, resume: bool, overwrite: bool, quiet: bool,
    report: Path | None, **hyperparameters: object,
) -> None:  # fmt: skip
    """Train on RECORDING and write the file MODEL.

    The test frames (3 of 10 segments, always the same) are left for validate. A checkpoint is
    written on the way and deleted when MODEL is finished: after a crash the same command with
    --resume goes on to the same bits. Ctrl-C, SIGTERM or a closed terminal ends the update in hand
    and leaves MODEL as it is by then, and its checkpoint; a second Ctrl-C leaves the checkpoint
    only. A run that is finished is not done again. The last line says which lambda the model has,
    how many hidden units are in use, and whether they were refitted without penalty. Exit code 4 if
    the training has not converged: MODEL is written all the same.
    """
    from crbm_lite.model.model import CRBM
    from crbm_lite.recordings.splits import split_train_test

    is_other = checkpoint is not None and checkpoint.is_file() and not _is_checkpoint(checkpoint)
    checkpoint = checkpoint or model.with_name(f"{model.name}.checkpoint")
    former = Path(f"{checkpoint}.previous")
    check_writable(model, recording)
    check_writable(report, recording, model, checkpoint)
    if os.path.realpath(checkpoint) in map(os.path.realpath, (recording, model)):
        raise Failed(f"--checkpoint {checkpoint} is named twice: give it a name of its own", 2)
    if is_other:
        raise Failed(f"{checkpoint} is no checkpoint: give --checkpoint another name", 5)
    estimator = CRBM(**hyperparameters, random_state=seed, progress=not quiet)
    checked_schedule(estimator)
    kept = None if overwrite or not model.exists() else CRBM.load(model)
    if kept is not None and not resume:
        raise Failed(f"{model} exists: go on with --resume, or --overwrite it", 5)
    if kept is not None and (others := _other_settings(kept, estimator)):
        raise Failed(f"{model} has {others}: give the same, or --overwrite it", 5)
    if not (resume or overwrite) and (checkpoint.is_file() or former.is_file()):
        raise Failed(f"{checkpoint} is there: go on with --resume, or begin again: --overwrite", 5)
    data = load(recording)
    data = data if all_frames else split_train_test(data)[0]
    if kept is not None and len(kept.fields_) != data.n_neurons:
        raise Failed(f"{model} is of another recording: it has {len(kept.fields_)} neurons", 3)
    frames = as_spikes(data).sha256()
    if kept is not None and frames_of_model(model) not in (None, frames):
        raise Failed(
            f"{model} was trained on other frames than these: give another name for the model, or "
            "--overwrite it", 3,
        )  # fmt: skip
    began, told, after = time.perf_counter(), [], ""
    if getattr(kept, "verdict_", "interrupted") != "interrupted":
        estimator = kept
    else:
        if overwrite and not resume:
            for path in (checkpoint, former):
                path.unlink(missing_ok=True)
        if threads:
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            with left_alone():
                told = _fit(estimator, data, checkpoint, checkpoint_every, resume)
                _save(estimator, model, frames)
            after = f" after {_duration(time.perf_counter() - began)}"
        except KeyboardInterrupt:  # a second one
            raise Failed(f"interrupted, {model} is not written; go on with --resume", 130) from None
    certificate, history = estimator.certificate_, estimator.history_
    values = {
        "recording": str(recording), "model": str(model), "verdict": estimator.verdict_,
        "frames": data.n_frames, "neurons": data.n_neurons, "all_frames": all_frames,
        "seconds": time.perf_counter() - began, "events": history.events,
        "density": np.mean(estimator.weights_ != 0), "certificate": asdict(certificate),
        "hyperparameters": estimator.get_params(), "warnings": told,
        "search": asdict(estimator.report_) if hasattr(estimator, "report_") else None,
        "similar_assemblies": similar_assemblies(estimator.weights_),
    }  # fmt: skip
    ended = ":" if after else " is finished:"
    say(f"{model}{ended} {estimator.verdict_}{after}", err=str(report) == "-")
    is_chosen = hasattr(estimator, "report_")
    lines = [as_typed(reason) for reason in estimator.report_.reasons] if is_chosen else []
    lines += similar_lines(estimator.weights_)
    lines.append(f"{'chosen' if is_chosen else 'set'}: {settings_line(estimator)}")
    for line in lines:
        say(f"  {line}", err=str(report) == "-")
    if estimator.verdict_ != "interrupted":
        for path in (checkpoint, former):
            path.unlink(missing_ok=True)
    write_report(report, values)
    _judge(estimator)


def _is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint, or may be what is left of one."""
    import h5py

    try:
        with h5py.File(path) as file:
            return file.attrs.get("format") == FORMAT.encode()
    except OSError:  # cut short, or no HDF5 at all
        with path.open("rb") as file:
            return file.read(len(_HDF5)) in (b"", _HDF5)


def _duration(seconds: float) -> str:
    """Tell seconds as a person would."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _other_settings(kept: crbm_lite.CRBM, wanted: crbm_lite.CRBM) -> str:
    """Name the hyperparameters in which two models differ; files of version 1 have no seed."""
    there, here = kept.get_params(), wanted.get_params()
    unknown = {"progress"} | ({"random_state"} if kept.random_state is None else set())
    return ", ".join(
        f"{'seed' if name == 'random_state' else name} {there[name]} where {here[name]} is asked"
        for name in here if name not in unknown and there[name] != here[name]
    )  # fmt: skip


def _fit(
    estimator: crbm_lite.CRBM, data: crbm_lite.Recording, checkpoint: Path, every: int, resume: bool
) -> list[str]:
    """Fit, print each warning once on stderr as it comes, and return the warnings."""
    from sklearn.exceptions import ConvergenceWarning

    told: dict[str, str] = {}

    def tell(message: Warning, *_: object, **__: object) -> None:
        text = as_typed(" ".join(str(message).split()))
        kind = re.sub(r"[0-9.]+", "#", text)
        if kind not in told:  # a full disk is found full at every checkpoint of a night
            told[kind] = text
            say(f"Warning: {text}", err=True)

    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", _SECONDS_IN_A_LOG)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)  # the verdict is told at the end
        warnings.showwarning = tell
        estimator.fit(data, checkpoint=checkpoint, checkpoint_every=every, resume=resume)
    return list(told.values())


def _save(estimator: crbm_lite.CRBM, model: Path, frames: str) -> None:
    """Save the model and what it was trained on.

    Where it does not fit, it is kept among the temporary files, and an error says where.
    """
    arrays, attributes = estimator._contents()
    try:
        write_model(model, arrays, attributes | {"frames": frames})
    except OSError as error:
        rescued = Path(tempfile.mkdtemp(prefix="crbm-lite-")) / model.name
        try:
            estimator.save(rescued)
        except OSError:
            rescued.parent.rmdir()
            raise error from None
        raise Failed(f"{error}; the model is kept as {rescued}: move it in time", 5) from error


def _judge(model: crbm_lite.CRBM) -> None:
    """Exit code of a training."""
    if model.verdict_ == "interrupted":
        raise Failed("interrupted; go on with --resume", 130)
    if not model.converged_:
        raise Failed(f"the verdict is {verdict_line(model)}", 4)


@contextmanager
def left_alone() -> Iterator[None]:
    """Let a long run do without its terminal, and be stopped by a cluster as by Ctrl-C.

    Progress and warnings are lost, and nothing else, where stderr is closed, its reader is gone
    or its disk full. The first SIGTERM or SIGHUP counts as a Ctrl-C, and more of them do nothing:
    a closed terminal sends several. What is ignored, as under nohup, stays ignored.
    """
    asked = []

    def stop(*_: object) -> None:
        if not asked:
            asked.append(True)
            signal.raise_signal(signal.SIGINT)

    former = {}
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                former[number] = signal.signal(number, stop)
    try:
        with redirect_stderr(_Lasting(sys.stderr)):
            yield
    finally:
        for number, action in former.items():
            signal.signal(number, action)


class _Lasting:
    """A text stream that never fails."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
