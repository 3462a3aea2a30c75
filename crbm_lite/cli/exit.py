"""What the commands share: how help looks, exit codes, one line on stderr, a JSON report."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import click
import numpy as np

import crbm_lite

__all__ = [
    "EXIT_CODES",
    "FILE",
    "Commands",
    "Failed",
    "check_writable",
    "examples",
    "lacks_memory",
    "printable",
    "report_option",
    "say",
    "write_report",
]

FILE = click.Path(path_type=Path)
report_option = click.option(
    "--report", type=FILE, help="Write a JSON report to this file; - is the screen."
)

#: What the exit codes mean.
EXIT_CODES: Mapping[int, str] = {
    0: "done; a training has converged",
    1: "a bug, with a traceback: please report it",
    2: "wrong usage, an impossible hyperparameter, or a package that is not installed",
    3: "a file is missing, damaged, or not what it must be",
    4: "done, but look at it: not converged, a problem found, a score too low",
    5: "a file cannot be written: it exists, no space, no right",
    6: "a data set cannot be had, or is not what the manifest says",
    7: "not enough memory: take fewer frames or neurons, or raise the limit of the process",
    130: "interrupted (Ctrl-C; train also by SIGTERM and SIGHUP): go on with train --resume",
}


_LOOK_AT_IT = 4


def examples(*lines: str) -> str:
    """An epilogue that click does not wrap."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def printable(text: str) -> str:
    r"""Write a text so that a terminal shows it and does nothing else.

    The names of files, keys and neurons may come from anybody, and a terminal obeys some signs.

    Examples
    --------
    >>> printable("Zürich \x1b[2J")
    'Zürich \\x1b[2J'
    """
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode()
        for sign in text
    )


def say(text: object, err: bool = False) -> None:
    """Print a text on the screen, or on stderr."""
    click.echo(printable(str(text)), err=err)


class Failed(click.ClickException):
    """A line for stderr and an exit code."""

    def __init__(self, message: object, exit_code: int) -> None:
        super().__init__(printable(" ".join(str(message).split())))
        self.exit_code = exit_code

    def show(self, file: IO[str] | None = None) -> None:
        """Print the line; what is done is no error."""
        kind = "Note" if self.exit_code == _LOOK_AT_IT else "Error"
        click.echo(f"{kind}: {self.format_message()}", err=file is None, file=file)


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error comes from too little memory, whatever it was turned into on its way."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        error = error.__cause__ or error.__context__
    return False


class Commands(click.Group):
    """Turns the library's errors into exit codes."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Failed("interrupted", 130) from None
        except Exception as error:
            failed = _failure(error)
            if failed is None:
                raise
            raise failed from error


def _failure(error: Exception) -> click.ClickException | None:
    """What to tell of an error; None for a bug."""
    from crbm_lite.datasets.registry import DatasetCorrupt, DatasetUnavailable
    from crbm_lite.training.hyperparameters import HyperparameterError

    if lacks_memory(error):
        return Failed(f"not enough memory: {error}", 7)
    if isinstance(error, click.ClickException):
        error.message = printable(error.message)
        return error
    if isinstance(error, HyperparameterError):
        return click.UsageError(printable(str(error)))
    for kinds, code in (
        (ImportError, 2),  # its text names the pip line
        ((DatasetCorrupt, DatasetUnavailable), 6),
        ((FileNotFoundError, ValueError), 3),
        (OSError, 5),
    ):
        if isinstance(error, kinds):
            return Failed(error, code)
    return None


def check_writable(path: Path | None, *others: Path | None) -> None:
    """Fail before hours of work if a result could not be written; `path` may be - or None.

    `others` are the command's other files, which it must not replace.
    """
    if path is None or str(path) == "-":
        return
    for other in others:
        if other is not None and os.path.realpath(path) == os.path.realpath(other):
            raise Failed(f"{path} is named twice: each file needs a name of its own", 2)
    if path.is_dir() or not path.parent.is_dir():
        raise Failed(f"{path}: name a file in an existing folder", 3)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Failed(f"{path} cannot be written: no right to, or a read-only disk", 5)


def write_report(path: Path | None, values: dict) -> None:
    """Write JSON without NaN, which JSON does not know."""
    if path is None:
        return

    def plain(x: object) -> object:
        if isinstance(x, Mapping):
            return {str(k): plain(v) for k, v in x.items()}
        if isinstance(x, list | tuple | np.ndarray):
            return [plain(v) for v in x]
        if isinstance(x, np.generic):
            x = x.item()
        return None if isinstance(x, float) and not np.isfinite(x) else x

    text = json.dumps(plain({"crbm_lite": crbm_lite.__version__} | values), indent=2)
    if str(path) == "-":
        click.echo(text)
    else:
        path.write_text(text + "\n", encoding="utf-8")
