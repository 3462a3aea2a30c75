"""What the commands share: how help looks, exit codes, one line on stderr, a JSON report."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

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
    "report_option",
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
    130: "interrupted (Ctrl-C; train also by SIGTERM and SIGHUP): go on with train --resume",
}


def examples(*lines: str) -> str:
    """An epilogue that click does not wrap."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class Failed(click.ClickException):
    """A line for stderr and an exit code."""

    def __init__(self, message: object, exit_code: int) -> None:
        super().__init__(" ".join(str(message).split()))
        self.exit_code = exit_code


class Commands(click.Group):
    """Turns the library's errors into exit codes."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        from crbm_lite.datasets.registry import DatasetCorrupt, DatasetUnavailable
        from crbm_lite.training.hyperparameters import HyperparameterError

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Failed("interrupted", 130) from None
        except HyperparameterError as error:
            raise click.UsageError(str(error)) from error
        except ImportError as error:  # its text names the pip line
            raise Failed(error, 2) from error
        except (DatasetCorrupt, DatasetUnavailable) as error:
            raise Failed(error, 6) from error
        except (FileNotFoundError, ValueError) as error:
            raise Failed(error, 3) from error
        except OSError as error:
            raise Failed(error, 5) from error


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
