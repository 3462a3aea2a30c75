"""`crbm-lite import`: from a file of your laboratory to a recording that every command reads.

The options are the arguments of `crbm_lite.importers`, and messages that name an argument name the
option instead. This needs the package click.
"""

from __future__ import annotations

import re
import shlex
import warnings
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

import crbm_lite
from crbm_lite.cli.exit import (
    FILE,
    Failed,
    check_writable,
    examples,
    report_option,
    say,
    write_report,
)
from crbm_lite.importers.any_file import FORMATS, format_of
from crbm_lite.importers.arrays import FIELDS
from crbm_lite.importers.binarisation import INFER
from crbm_lite.inspection.findings import counted, runs_of_frames

__all__ = ["POSITIVE", "import_file", "import_line", "imported_path", "load"]

# How the importers call the choice of all cells.
_ALL = {"published": {"keep_unlabelled": True}} | {
    tool: {"accepted_only": False} for tool in ("suite2p", "caiman", "nwb", "phy")
}
_ENDINGS = (".h5", ".hdf5")


class _Number(click.ParamType):
    """A finite number, perhaps a positive one."""

    name = "number"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(self, value: object, param: object, ctx: object) -> float:
        number = click.FLOAT.convert(value, param, ctx)
        if not np.isfinite(number) or (self.positive and number <= 0):
            self.fail(f"{value} is no{' positive' * self.positive} number", param, ctx)
        return number


class _Key(click.ParamType):
    """What is where: spikes=session/events."""

    name = "name=key"

    def convert(self, value: object, param: object, ctx: object) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        field, _, key = str(value).partition("=")
        if field not in FIELDS or not key:
            self.fail(f"{value}: give NAME=KEY, NAME one of {', '.join(FIELDS)}", param, ctx)
        return field, key


class _Kernel(click.ParamType):
    """An indicator by name, its two time constants, or the word for the recording's own."""

    name = "kernel"

    def convert(self, value: object, param: object, ctx: object) -> object:
        from crbm_lite.calcium import deconvolution

        known = {
            "gcamp6s": deconvolution.GCAMP6S, "gcamp6f": deconvolution.GCAMP6F, INFER: INFER
        }  # fmt: skip
        if not isinstance(value, str) or value.lower() in known:
            return known.get(str(value).lower(), value)
        try:
            rise_s, decay_s = map(float, value.split(","))
            return deconvolution.CalciumKernel(rise_s, decay_s)
        except ValueError as error:
            self.fail(f"{value}: give {', '.join(known)} or RISE_S,DECAY_S ({error})", param, ctx)


class _Frames(click.ParamType):
    """Ranges of frames, from 0 and without their last one: 1500:1505, or 7,1500:1505,2990:."""

    name = "a:b"

    def convert(self, value: object, param: object, ctx: object) -> tuple:
        if isinstance(value, tuple):
            return value
        found = [re.fullmatch(r"\s*(\d*)(:?)(\d*)\s*", text) for text in str(value).split(",")]
        if not all(match and match[0].strip(" :") for match in found):
            self.fail(f"{value}: give frames such as 1500:1505, or 7,1500:1505", param, ctx)
        return tuple((int(m[1] or 0), _end(m)) for m in found)


def _end(found: re.Match) -> int | None:
    """Where a range ends; None for the end of the recording."""
    if not found[2]:
        return int(found[1]) + 1
    return int(found[3]) if found[3] else None


NUMBER, POSITIVE = _Number(), _Number(positive=True)


@click.command(
    "import",
    epilog=examples(
        "crbm-lite import mine.npz mine.h5 --key spikes=S --rate-hz 2.5",
        "crbm-lite import mine.mat mine.h5 --key spikes=session/raster --time-axis 1",
        "crbm-lite import mine.csv mine.h5 --time-column t",
        "crbm-lite import suite2p/plane0 mine.h5 --traces F --kernel infer",
        "crbm-lite import suite2p/plane0 mine.h5 --traces F --kernel infer --leave-out 9,43",
        "crbm-lite import suite2p/plane0 mine.h5 --amplitude-fraction 0.5",
        "crbm-lite import mine.h5 clean.h5 --leave-out-frames 1500:1505,2210",
        "crbm-lite import mine.nwb mine.h5 --series units --bin-s 0.05",
        "crbm-lite import sorted/ mine.h5 --bin-s 0.02",
        "crbm-lite import spikes.csv mine.h5 --format spike_times --bin-s 0.05",
    ),
)
@click.argument("source", type=FILE)
@click.argument("recording", type=FILE)
@click.option("--format", type=click.Choice(list(FORMATS)),
              help="By default found from the ending and, for HDF5, from the keys.")  # fmt: skip
@click.option("--rate-hz", type=POSITIVE, help="Frames per second, where SOURCE has none.")
@click.option("--key", "keys", type=_Key(), multiple=True,
              help=f"Where SOURCE keeps what; NAME is one of {', '.join(FIELDS)}.")  # fmt: skip
@click.option("--time-axis", type=click.IntRange(0, 1), help="1 if SOURCE has neurons first.")
@click.option("--threshold", type=NUMBER, help="Active above it; 0 for spike counts.")
@click.option("--amplitude-fraction", type=POSITIVE, help="For deconvolved events, such as 0.5.")
@click.option("--clip-negative", is_flag=True, default=None,
              help="Slightly negative events become 0.")  # fmt: skip
@click.option("--kernel", type=_Kernel(),
              help="For dF/F: gcamp6s, gcamp6f, RISE_S,DECAY_S, or infer.")  # fmt: skip
@click.option("--traces", help="suite2p: spks or F. CaImAn: S, F_dff or C.")
@click.option("--all-cells", is_flag=True, help="Also cells that the tool rejected, or that lie in "
              "no region.")  # fmt: skip
@click.option("--neuropil", type=NUMBER, help="suite2p: share of Fneu to subtract from F.")
@click.option("--um-per-pixel", type=POSITIVE, help="suite2p, CaImAn: makes um of pixels.")
@click.option("--um-per-plane", type=POSITIVE, help="suite2p's combined: makes z of planes.")
@click.option("--coordinate-unit", help="Of the positions, um by default.")
@click.option("--series", help="NWB: which activity; units are spike times.")
@click.option("--bin-s", type=POSITIVE, help="Spike times: width of a bin in seconds.")
@click.option("--start-s", type=NUMBER, help="Spike times: where the first bin begins.")
@click.option("--stop-s", type=NUMBER, help="Spike times: where the recording ends.")
@click.option("--sample-rate-hz", type=POSITIVE, help="phy: samples per second.")
@click.option("--time-column", help="CSV: the column with the times in seconds.")
@click.option("--header/--no-header", default=None,
              help="CSV: whether the first row holds names.")  # fmt: skip
@click.option("--leave-out", multiple=True, metavar="NAME",
              help="CSV: a column that is no neuron, its name or number from 0. suite2p: the "
              "number of an ROI. Numbers may be a list, such as 9,43.")  # fmt: skip
@click.option("--leave-out-frames", type=_Frames(), multiple=True, metavar="A:B",
              help="Frames A to B - 1, counted from 0, or a list such as 7,1500:1505. Time is "
              "broken where they were.")  # fmt: skip
@click.option("--delimiter", help="CSV: what separates columns; \\t is a tabulator.")
@click.option("--overwrite", is_flag=True, help="Replace RECORDING.")
@report_option
def import_file(
    source: Path, recording: Path, format: str | None, keys: tuple, all_cells: bool,
    leave_out_frames: tuple, overwrite: bool, report: Path | None, **options: object,
) -> None:  # fmt: skip
    """Read SOURCE, a file of another program, and write RECORDING, which every command reads.

    SOURCE is a NumPy, MATLAB, CSV, HDF5 or NWB file, results of CaImAn, a folder of suite2p or phy,
    a list of spike times, or a recording of an earlier import. RECORDING ends in .h5 and appears
    whole or not at all. What is not 0 and 1 becomes so only as you say: --threshold,
    --amplitude-fraction or --kernel.
    """
    if recording.suffix not in _ENDINGS:
        raise click.UsageError(f"{recording} must end in {' or '.join(_ENDINGS)}")
    check_writable(report, source, recording)
    if report is not None and source.is_dir() and source.resolve() in report.resolve().parents:
        raise Failed(f"{report} lies in {source}: write the report elsewhere", 2)
    check_writable(recording)
    if recording.exists():
        if source.exists() and recording.samefile(source):
            raise Failed(f"{recording} is the source itself: choose another name", 5)
        if not overwrite:
            raise Failed(f"{recording} exists: --overwrite it, or choose another name", 5)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "leave_out" in given:
        given["leave_out"] = [x for name in given["leave_out"] if name for x in _listed(name)]
    if keys:
        given["keys"] = dict(keys)
    if options["delimiter"] == "\\t":
        given["delimiter"] = "\t"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        data = _imported(source, format, all_cells, given)
    for warning in told:
        say(f"Warning: {as_options(warning.message)}", err=True)
    n_before = data.n_frames
    data = _without_frames(data, [ab for ranges in leave_out_frames for ab in ranges])
    crbm_lite.save_recording(recording, data, overwrite=overwrite)
    notes = _bins_with_several(data.provenance) or data.provenance.get("spikes", "")
    say(f"{recording}: {data!r}", err=str(report) == "-")
    if data.n_frames < n_before:
        say(f"left out: {counted(n_before - data.n_frames, 'frame')}", err=str(report) == "-")
    if notes:
        say(notes, err=str(report) == "-")
    values = {
        "source": str(source), "recording": str(recording), "frames": data.n_frames,
        "neurons": data.n_neurons, "rate_hz": data.rate_hz, "activity": data.activity.mean(),
        "coordinate_unit": None if data.coordinates is None else data.coordinate_unit,
        "discontinuities": data.discontinuities, "provenance": data.provenance,
    }  # fmt: skip
    write_report(report, values)


def _listed(name: str) -> list[str]:
    """Take a list of numbers apart; any other text is one name, which may hold a comma."""
    parts = [part.strip() for part in name.split(",")]
    return parts if all(part.isdecimal() for part in parts) else [name]


def _without_frames(data: crbm_lite.Recording, ranges: list) -> crbm_lite.Recording:
    """Leave ranges of frames out; time is broken where they were."""
    if not ranges:
        return data
    n, keep = data.n_frames, np.ones(data.n_frames, dtype=bool)
    for start, stop in ranges:
        stop = n if stop is None else stop
        if not start < stop <= n:
            raise Failed(
                f"--leave-out-frames {start}:{stop}: give A:B with A below B, and B {n} at most: "
                f"the frames are 0 to {n - 1}", 2,
            )  # fmt: skip
        keep[start:stop] = False
    if not keep.any():
        raise Failed(f"--leave-out-frames names all {n} frames: leave some in", 2)
    before = data.provenance.get("frames left out")
    now = ", ".join(f"{a}:{b}" for a, b in runs_of_frames(np.flatnonzero(~keep)))
    notes = {"frames left out": now if before is None else f"{before}, and of the rest {now}"}
    return replace(data.select_frames(keep), provenance=data.provenance | notes)


def load(path: Path, rate_hz: float | None = None, *, traces: bool = False) -> crbm_lite.Recording:
    """Load any recording that needs no option, with its calcium traces only if these are asked for.

    The traces of a file in the published layout are never loaded.

    Raises
    ------
    Failed
        With the line of ``crbm-lite import`` to type, if a foreign file needs an option.
    """
    given = {} if rate_hz is None else {"rate_hz": rate_hz}
    try:
        format = format_of(path)
        if format in ("crbm_lite", "published"):
            given["dff"] = traces and format == "crbm_lite"
        return crbm_lite.import_recording(path, format, **given)
    except FileNotFoundError:
        raise
    except TypeError as error:
        raise click.UsageError(as_options(error)) from error
    except ValueError as error:
        text = as_options(error)
        needed = re.search(r"--[\w-]+ [^\s;,):]+(?: --[\w-]+ [^\s;,):]+)*", text)  # the first ones
        if needed is None:
            raise
        raise Failed(f"{text}; so type: {import_line(path, rate_hz)} {needed[0]}", 3) from error


def import_line(path: Path, rate_hz: float | None = None, ending: str = "") -> str:
    """Make the command that turns a file into a recording, so far as it is known."""
    target = imported_path(path, ending)
    line = shlex.join(["crbm-lite", "import", str(path), str(target)])
    return line if rate_hz is None else f"{line} --rate-hz {rate_hz:g}"


def imported_path(path: Path, ending: str = "") -> Path:
    """Name the recording that an import of a file could write: one that is not there yet."""
    name = Path(path.stem or path.resolve().name)
    target = path.parent / f"{name}{ending}.h5"
    return path.parent / f"{name}{ending}_recording.h5" if target.exists() else target


def _imported(source: Path, format: str | None, all_cells: bool, given: dict) -> object:
    """Import, with errors in the words of the command line."""
    try:
        format = format or format_of(source)
        if all_cells and format not in _ALL:
            raise TypeError(f"{source}: the format {format} has no option --all-cells")
        return crbm_lite.import_recording(
            source, format, **given, **(_ALL[format] if all_cells else {})
        )
    except FileNotFoundError:
        raise
    except TypeError as error:
        raise click.UsageError(as_options(error)) from error
    except ValueError as error:
        raise Failed(as_options(error), 3) from error


def as_options(error: Exception) -> str:
    """Name options where a message of the library names arguments.

    Examples
    --------
    >>> as_options(ValueError("pass threshold=0 or keys={'spikes': ...}, with time_axis=1"))
    'pass --threshold 0 or --key spikes=..., with --time-axis 1'
    """
    text = re.sub(r"keys=\{'(\w+)': \.\.\.\}", r"--key \1=...", str(error))
    text = re.sub(r"leave_out=\[(.*?)\]", _leave_out, text)
    text = text.replace("header=True", "--header").replace("header=False", "--no-header")
    text = text.replace("clip_negative=True", "--clip-negative")
    text = text.replace("a smaller neuropil", "a smaller --neuropil")
    text = re.sub(r"accepted_only=False|keep_unlabelled=True", "--all-cells", text)
    text = text.replace("traces='F', kernel=", "traces='F' kernel=")
    text = re.sub(r"kernel=[\w.]*(?=GCAMP6[SF])", "kernel=", text)
    text = re.sub(r"(?<![\w.])(?:\w+\.)*(GCAMP6[SF])\b", lambda m: m[1].lower(), text)
    text = re.sub(r"(?<== )'(\w+)'|(?<==)'(\w+)'", lambda m: m[1] or m[2], text)
    names = "|".join(p.name for p in import_file.params if p.opts[0].startswith("--"))
    pattern = rf"(?<!--key )(?<![-\w])({names})=(?=\S)"
    return re.sub(pattern, lambda found: f"--{found[1].replace('_', '-')} ", text)


def _leave_out(found: re.Match) -> str:
    names = found[1].split(", ") if found[1] else ["''"]
    if all(name.isdecimal() for name in names):
        return f"--leave-out {','.join(names)}"
    return " ".join(f"--leave-out {name}" for name in names)


def _bins_with_several(provenance: dict) -> str:
    """Tell what binning lost, if anything was binned."""
    if "bins_with_spikes" not in provenance:
        return ""
    several, bins = provenance["bins_with_several_spikes"], provenance["bins_with_spikes"]
    return f"{several:,} of {bins:,} bins with spikes held more than one ({several / bins:.1%})"
