"""Importer of spike sorters' output in the folder layout of phy, which Kilosort writes too.

Files: ``spike_times.npy``, the sample of each spike; ``spike_clusters.npy`` (or
``spike_templates.npy``, before phy has seen the folder), its unit; ``params.py`` with the
``sample_rate``, which is read as a text and never run; tables of what the units are: ``group`` of
``cluster_group.tsv`` or ``cluster_info.tsv``, set by hand, and ``KSLabel`` of
``cluster_KSLabel.tsv``, set by Kilosort.

A unit is good if its group says so; a unit without a group, if Kilosort says so. Spike times are
binned by `crbm_lite.importers.binning`.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_flag, as_number, as_path
from crbm_lite.files.errors import RecordingError, check_regular_file
from crbm_lite.importers.arrays import errors_name
from crbm_lite.importers.binning import as_bin_s, bin_spike_times
from crbm_lite.importers.numpy_file import load_npy
from crbm_lite.recordings.recording import Recording

__all__ = ["import_phy", "is_phy"]

_TABLES = ("cluster_info.tsv", "cluster_group.tsv", "cluster_groups.csv", "cluster_KSLabel.tsv")
_MOST_TEXT = 2**24  # bytes of a table or of params.py
_RATE = re.compile(r"^\s*sample_rate\s*=\s*([0-9][0-9_.eE+]*)\s*(?:#.*)?$", re.MULTILINE)


def import_phy(
    folder: str | os.PathLike,
    bin_s: float | None = None,
    *,
    accepted_only: bool = True,
    sample_rate_hz: float | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
) -> Recording:
    r"""Import the units of a folder of phy or Kilosort, binned.

    Parameters
    ----------
    folder : path
        The folder with spike_times.npy, or a file in it.
    bin_s : float
        Width of a bin in seconds. Without it there is an error that recommends a width.
    accepted_only : bool
        Whether to keep only the units that are good (default True).
    sample_rate_hz : float, optional
        Samples per second; ``sample_rate`` of params.py if not given.
    start_s, stop_s : float, optional
        Of the recording; see `crbm_lite.importers.binning.bin_spike_times`. Without `stop_s` it
        ends with the last spike of a unit that is kept.

    Returns
    -------
    Recording
        Names are the numbers of the units. Coordinates, in um, are those of the units' channels
        where cluster_info.tsv and channel_positions.npy say them.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RecordingError
        A ValueError naming the file: missing, damaged, of other lengths than the others, without a
        sample rate, without a good unit.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "spike_times.npy", np.array([3000, 6000, 21000, 33000]))
    ...     np.save(Path(folder) / "spike_clusters.npy", np.array([7, 2, 7, 5]))
    ...     _ = (Path(folder) / "params.py").write_text("sample_rate = 30000.\n")
    ...     table = "cluster_id\tgroup\n2\tgood\n5\tnoise\n7\tgood\n"
    ...     _ = (Path(folder) / "cluster_group.tsv").write_text(table)
    ...     recording = import_phy(folder, bin_s=0.5, stop_s=1.5)
    >>> recording.spikes.tolist(), recording.names
    ([[1, 1], [0, 1], [0, 0]], ('2', '7'))
    """
    folder = as_path(folder, "folder")
    as_flag(accepted_only, "accepted_only")
    bin_s = None if bin_s is None else as_bin_s(bin_s)
    with errors_name(folder):
        folder = _folder(folder)
        rate_hz = _sample_rate(folder / "params.py") if sample_rate_hz is None else as_number(
            sample_rate_hz, "sample_rate_hz", "the samples per second", positive=True
        )  # fmt: skip
        times = folder / "spike_times.npy"
        sample = _numbers(times)
        name = "spike_clusters.npy"
        name = name if (folder / name).exists() else "spike_templates.npy"
        unit = _numbers(folder / name)
        if unit.size != sample.size or unit.dtype.kind not in "iu":
            raise RecordingError(
                f"{folder / name} has {unit.size} units of dtype {unit.dtype}, {times.name} "
                f"{sample.size} spikes: give the unit of each spike"
            )
        units, neuron = np.unique(unit, return_inverse=True)
        table = _cluster_table(folder)
        keep = np.ones(units.size, dtype=bool)
        if accepted_only:
            keep = _is_good(folder, units, table)
        kept_spikes = keep[neuron]
        binned = bin_spike_times(
            sample[kept_spikes] / rate_hz, (np.cumsum(keep) - 1)[neuron[kept_spikes]],
            int(keep.sum()), bin_s, start_s=start_s, stop_s=stop_s, where=f"{times}",
        )  # fmt: skip
        return Recording(
            binned.spikes,
            rate_hz=1.0 / bin_s,
            names=[str(i) for i in units[keep]],
            coordinates=_channel_places(folder, units[keep], table),
            provenance={
                "source": folder.name,
                "layout": "phy",
                "neurons": f"{int(keep.sum())} of {units.size} units kept"
                + (": those that are good" if accepted_only else ""),
                "sample_rate_hz": rate_hz,
                **binned.provenance(bin_s),
            },
        )


def is_phy(path: Path) -> bool:
    """Whether a path is a folder of phy, or the spike times or units in it."""
    folder = path if path.is_dir() else path.parent
    is_part = path.is_dir() or path.name in ("spike_times.npy", "spike_clusters.npy", "params.py")
    units = [folder / f"spike_{what}.npy" for what in ("clusters", "templates")]
    return is_part and (folder / "spike_times.npy").exists() and any(x.exists() for x in units)


def _folder(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    if not (folder / "spike_times.npy").exists():
        raise RecordingError(f"{path}: no spike_times.npy: name the folder that phy opens")
    return folder


def _numbers(path: Path) -> np.ndarray:
    if not path.exists():
        raise RecordingError(f"{path}: no such file in this folder of phy")
    array = load_npy(path)
    if array.size != max(array.shape, default=1) or array.dtype.kind not in "iuf":
        raise RecordingError(
            f"{path} has shape {array.shape}, dtype {array.dtype}: give one number for each spike"
        )
    return array.ravel()


def _text(path: Path) -> str:
    check_regular_file(path)
    if path.stat().st_size > _MOST_TEXT:
        raise RecordingError(f"{path} has {path.stat().st_size:,} bytes: it is no table of units")
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _sample_rate(path: Path) -> float:
    """Read the sample rate of params.py, which is a program and is not run."""
    found = _RATE.findall(_text(path)) if path.exists() else []
    rate_hz = float(found[-1]) if found else 0.0
    if not 0 < rate_hz < np.inf:
        raise RecordingError(f"{path} has no line sample_rate = ...: pass sample_rate_hz=...")
    return rate_hz


def _cluster_table(folder: Path) -> dict[int, dict[str, str]]:
    """Merge the tables of units: what each says of a unit, by its number."""
    merged: dict[int, dict[str, str]] = {}
    for path in (folder / name for name in _TABLES):
        if not path.exists():
            continue
        lines = _text(path).splitlines()
        delimiter = "\t" if lines and "\t" in lines[0] else ","
        for row in csv.DictReader(lines, delimiter=delimiter):
            number = row.get("cluster_id") or row.get("id") or ""
            if not number.isdecimal():
                raise RecordingError(f"{path}: {number!r} is no cluster_id, a whole number")
            said = {key: value.strip() for key, value in row.items() if key and value}
            merged[int(number)] = merged.get(int(number), {}) | said
    return merged


def _is_good(folder: Path, units: np.ndarray, table: dict[int, dict[str, str]]) -> np.ndarray:
    """(units,) mask of the good ones: by hand, else by Kilosort."""
    if not any("group" in row or "KSLabel" in row for row in table.values()):
        raise RecordingError(
            f"{folder}: no group and no KSLabel in {', '.join(_TABLES)}: pass accepted_only=False "
            "to keep all units"
        )
    good = np.zeros(units.size, dtype=bool)
    for i, unit in enumerate(units.tolist()):
        said = table.get(unit, {})
        group = said.get("group", "").lower()
        good[i] = (group if group not in ("", "unsorted", "nan") else said.get("KSLabel", "")) == (
            "good"
        )
    if not good.any():
        raise RecordingError(f"{folder}: no unit is good: pass accepted_only=False to keep all")
    return good


def _channel_places(
    folder: Path, units: np.ndarray, table: dict[int, dict[str, str]]
) -> np.ndarray | None:
    """(N, 3) x, y, 0 of the units' channels in um; None where the files do not say."""
    channels = [table.get(unit, {}).get("ch", "") for unit in units.tolist()]
    places, numbers = folder / "channel_positions.npy", folder / "channel_map.npy"
    if not (places.exists() and numbers.exists() and all(map(str.isdecimal, channels))):
        return None
    position_um, number = load_npy(places), _numbers(numbers)
    if position_um.shape != (number.size, 2) or position_um.dtype.kind not in "iuf":
        raise RecordingError(
            f"{places} has shape {position_um.shape}, dtype {position_um.dtype}: give "
            f"({number.size}, 2), one place for each channel of {numbers.name}"
        )
    index = {int(n): i for i, n in enumerate(number.tolist())}
    missing = [channel for channel in channels if int(channel) not in index]
    if missing:
        raise RecordingError(f"{numbers} has no channel {missing[0]}, which a unit lies on")
    chosen = position_um[[index[int(channel)] for channel in channels]]
    return np.column_stack([chosen, np.zeros(len(chosen))])
