"""`crbm-lite inspect`: the page of `crbm_lite.inspection`, with what to type next.

This needs the package click.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from crbm_lite.cli.exit import (
    FILE,
    Failed,
    check_writable,
    examples,
    report_option,
    say,
    write_report,
)
from crbm_lite.cli.import_command import POSITIVE, import_line, imported_path, load
from crbm_lite.cli.words import as_typed
from crbm_lite.inspection.findings import Finding, runs_of_frames

__all__ = ["inspect"]


@click.command(
    epilog=examples(
        "crbm-lite inspect larva.h5",
        "crbm-lite inspect larva.h5 --no-cost --report findings.json",
        "crbm-lite inspect mine.csv --rate-hz 2.5",
    )
)
@click.argument("recording", type=FILE)
@click.option("--n-hidden", type=int, help="Number of hidden units M that you have in mind.")
@click.option("--cost/--no-cost", default=True, help="Measure the expected minutes and memory.")
@click.option("--rate-hz", type=POSITIVE, help="Frames per second, where the file has none.")
@report_option
def inspect(
    recording: Path, n_hidden: int | None, cost: bool, rate_hz: float | None, report: Path | None
) -> None:
    """Look RECORDING over before training: findings, and what to do about them.

    The last line is the training to type next. Exit code 4 if a problem is found.
    """
    from crbm_lite.inspection.report import check_recording

    check_writable(report, recording)
    found = check_recording(load(recording, rate_hz, traces=True), n_hidden, measure_cost=cost)
    typed = [_typed(finding, recording, rate_hz) for finding in found.findings]
    found = replace(found, findings=tuple(typed))
    if str(report) != "-":
        say(found.page(_training(recording, n_hidden, rate_hz)))
    write_report(report, {"recording": str(recording), "worst": found.worst, **asdict(found)})
    if found.worst == "problem":
        raise Failed("a problem was found", 4)


def _typed(finding: Finding, recording: Path, rate_hz: float | None) -> Finding:
    """Say what to do in options and commands, in place of Python."""
    code = ""
    if finding.code and finding.frames:
        line = import_line(recording, rate_hz, "_clean")
        code = f"{line} --leave-out-frames {_ranges(finding.frames)}"
    return replace(finding, todo=as_typed(finding.todo), code=code)


def _ranges(frames: Sequence[int]) -> str:
    """Write frames as --leave-out-frames takes them.

    Examples
    --------
    >>> _ranges([7, 1500, 1501, 1502])
    '7,1500:1503'
    """
    runs = runs_of_frames(frames)
    return ",".join(f"{a}:{b}" if b - a > 1 else f"{a}" for a, b in runs)


def _training(recording: Path, n_hidden: int | None, rate_hz: float | None) -> str:
    """Write the commands that train on a file, with a name for the model that is not taken."""
    lines = []
    if rate_hz is not None:  # train takes no rate
        lines.append(import_line(recording, rate_hz))
        recording = imported_path(recording)
    model = recording.parent / "model.h5"
    model = recording.parent / f"{recording.stem}_model.h5" if model.exists() else model
    words = ["crbm-lite", "train", str(recording), str(model)]
    words += [] if n_hidden is None else ["--n-hidden", str(n_hidden)]
    return "\n".join([*lines, shlex.join(words)])
