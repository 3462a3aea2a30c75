"""Importer of Neurodata Without Borders files (NWB 2), read with pynwb.

Two kinds of activity are found wherever they are in a file: traces of ROIs (RoiResponseSeries,
alone or in Fluorescence and DfOverF), and the spike times of Units, which are binned by
`crbm_lite.importers.binning`. pynwb is optional: ``pip install pynwb``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_path, as_text
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import check_sound, open_hdf5
from crbm_lite.files.memory import check_inflation
from crbm_lite.importers.arrays import errors_name, rate_given_times
from crbm_lite.importers.cells import CellOptions, centres_given_footprints, recording_of_cells
from crbm_lite.importers.options import takes_options_of
from crbm_lite.importers.spike_times import recording_from_spike_times
from crbm_lite.recordings.recording import Recording

if TYPE_CHECKING:
    import h5py
    import pynwb

__all__ = ["import_nwb"]

# Columns by which tools and their users accept ROIs and units, the most decisive first.
_ACCEPTED = ("keep", "iscell", "is_cell", "valid_roi", "accepted", "rejected")
_QUALITIES = ("quality", "group", "kslabel", "ks_label")
# Groups whose numbers pynwb leaves on the disk; they may be as large as they like.
_READ_LATER = ("/acquisition", "/analysis", "/processing", "/scratch", "/stimulus", "/units")
_UM_PER_UNIT = {"meters": 1e6, "millimeters": 1e3, "micrometers": 1.0, "um": 1.0, "microns": 1.0}


@takes_options_of(CellOptions)
def import_nwb(
    path: str | os.PathLike,
    *,
    series: str | None = None,
    bin_s: float | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
    time_axis: int = 0,
    **options: object,
) -> Recording:
    """Import the activity of an NWB file.

    Parameters
    ----------
    path : path of the file
    series : str, optional
        Which activity, if the file has several: the end of its path, such as "units" or
        "DfOverF/RoiResponseSeries". The error lists what there is.
    bin_s : float, optional
        Width of a bin in seconds; needed for units, and for nothing else.
    start_s, stop_s : float, optional
        Of the recording, for units; see `crbm_lite.importers.binning.bin_spike_times`.
    time_axis : {0, 1}
        Which axis of the traces is time (default 0, as NWB asks); 1 for files that put ROIs first.

    Returns
    -------
    Recording
        Of ROIs: coordinates are the centres of their masks, in um where the imaging plane gives
        its grid spacing. Names are the ids of the table. ROIs are accepted by its column keep,
        iscell, valid_roi, accepted or rejected; units by quality, group or KSLabel.

    Raises
    ------
    ImportError
        If pynwb is not installed.
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError naming the file and the series: truncated, damaged, not NWB 2, no activity or
        several and none named, lengths that do not fit, times that do not increase; or no word on
        how to binarise.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> import_nwb("none.nwb")
    Traceback (most recent call last):
    FileNotFoundError: none.nwb: no such file or folder
    """
    path, given = as_path(path), CellOptions(**options)
    if time_axis not in (0, 1):
        raise ValueError(f"time_axis is {time_axis!r}: give 0 (frames first) or 1")
    with errors_name(path):
        try:
            import pynwb
        except ImportError as error:
            raise ImportError("NWB files are read with pynwb: pip install pynwb") from error
        with open_hdf5(path) as file:  # says why it cannot be opened, and checks its heaps
            _check_tree(file, path)
        with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as stream:
            found = _activity(stream.read())
            name = _chosen(path, found, series)
            units = {"bin_s": bin_s, "start_s": start_s, "stop_s": stop_s}
            traces = {key: value for key, value in options.items() if key != "accepted_only"}
            are_units = isinstance(found[name], pynwb.misc.Units)
            for option, value in (traces if are_units else units).items():
                if value is not None:
                    what = "are spike times" if are_units else "has frames already"
                    other = "traces" if are_units else "units"
                    raise RecordingError(f"{path}: {name} {what}: {option} is for {other}")
            if are_units:
                return _of_units(path, name, found[name], given.accepted_only, units)
            return _of_traces(path, name, found[name], time_axis, given)


def _check_tree(file: h5py.File, path: Path) -> None:
    """Raise where pynwb, which follows all links and reads all small parts itself, would not end.

    That is a link to what is no file, where it would wait; a link back to a group that holds it,
    where it goes on until the stack ends; and a part that declares gigabytes and holds none.
    """
    import h5py

    def is_trap(name: str, link: object) -> str | None:
        if isinstance(link, h5py.ExternalLink):
            for place in (path.parent / link.filename, Path(link.filename)):
                if place.exists() and not place.is_file():
                    return name
        return None

    trap = file.visititems_links(is_trap)
    if trap is not None:
        raise RecordingError(f"{path}: key {trap} is a link to a pipe or folder: remove it")
    number = h5py.h5o.get_info(file.id).fileno
    above: set[int] = set()  # addresses of the groups that hold the one that is looked at
    done: set[int] = set()

    def look_below(group: h5py.Group, name: str) -> None:
        address = h5py.h5o.get_info(group.id).addr
        if address in above:
            raise RecordingError(f"{path}: key {name} leads back to a group that holds it")
        if address in done:
            return
        above.add(address)
        for key in group:
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink) and not _is_same(path.parent, link, path):
                continue
            item = group.get(key)
            if item is None or h5py.h5o.get_info(item.id).fileno != number:
                continue
            if isinstance(item, h5py.Group):
                look_below(item, f"{name}/{key}")
            elif isinstance(item, h5py.Dataset) and not name.startswith(_READ_LATER):
                n_bytes = math.prod(item.shape or (0,)) * item.dtype.itemsize
                check_inflation(n_bytes, item.id.get_storage_size(), f"{path}: key {name}/{key}")
        above.remove(address)
        done.add(address)

    look_below(file, "")


def _is_same(folder: Path, link: h5py.ExternalLink, path: Path) -> bool:
    return os.path.realpath(folder / link.filename) == os.path.realpath(path)


def _read(part: object, where: str) -> np.ndarray:
    """Read a dataset of the file, once it is known to be sound; or an array, as it is."""
    if hasattr(part, "is_virtual"):
        _check_here(part, where)
    return np.asarray(part[()] if hasattr(part, "shape") else part)


def _check_here(dataset: h5py.Dataset, where: str, itemsize: int | None = None) -> None:
    """Raise unless a dataset is sound and in the file itself; pynwb follows every link."""
    path = where.partition(": ")[0]
    if os.path.realpath(dataset.file.filename) != os.path.realpath(path):
        raise RecordingError(
            f"{where} is a link into another file: copy what it names into this file"
        )
    check_sound(dataset, where, itemsize)


def _cut(column: object, where: str) -> list[np.ndarray]:
    """Cut the values of an indexed column of a table into those of each row."""
    stop, values = _read(column.data, f"{where}_index"), _read(column.target.data, where)
    if stop.dtype.kind not in "iu" or (stop.size and int(stop[-1]) != len(values)):
        raise RecordingError(
            f"{where}_index ends with {stop[-1:]}, and there are {len(values)} values: it is "
            "damaged"
        )
    stop = stop.astype(np.int64)
    if (np.diff(stop, prepend=0) < 0).any():
        raise RecordingError(f"{where}_index must not decrease")
    return np.split(values, stop[:-1]) if stop.size else []


def _activity(file: pynwb.NWBFile) -> dict[str, object]:
    """Find what holds activity, by its path in the file."""
    from pynwb.misc import Units
    from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

    groups = {"acquisition": file.acquisition, "analysis": file.analysis, "scratch": file.scratch}
    for module in file.processing.values():
        groups[f"processing/{module.name}"] = module.data_interfaces
    found: dict[str, object] = {}
    for group, items in groups.items():
        for key, item in items.items():
            if isinstance(item, (RoiResponseSeries, Units)):
                found[f"{group}/{key}"] = item
            elif isinstance(item, (Fluorescence, DfOverF)):
                found |= {f"{group}/{key}/{k}": x for k, x in item.roi_response_series.items()}
    if file.units is not None:
        found["units"] = file.units
    return found


def _chosen(path: Path, found: dict[str, object], series: str | None) -> str:
    if series is not None and as_text(series, "series", "the end of a path") in found:
        return series
    fitting = [name for name in found if series is None or f"/{name}".endswith(f"/{series}")]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(found) or "none"
    if series is not None:
        raise RecordingError(
            f"{path}: series {series!r} is {'not there' if not fitting else 'there several times'}"
            f"; the file's activity: {there}"
        )
    raise RecordingError(
        f"{path}: name one activity with series=...: {there}"
        if found
        else f"{path}: it holds no activity, neither RoiResponseSeries nor units"
    )


def _of_units(
    path: Path, name: str, units: object, accepted_only: bool, binning: dict[str, float | None]
) -> Recording:
    where = f"{path}: {name}"
    if "spike_times" not in units.colnames:
        raise RecordingError(f"{where} has no column spike_times")
    ids = [str(i) for i in _read(units.id.data, f"{where}/id")]
    if len(set(ids)) != len(ids):
        raise RecordingError(f"{where}: an id occurs twice: {', '.join(ids[:20])}")
    times_s = _cut(units["spike_times"], f"{where}/spike_times")
    if len(times_s) != len(ids):
        raise RecordingError(f"{where} has {len(ids)} ids and {len(times_s)} lists of spike times")
    keep, note = np.ones(len(ids), dtype=bool), ""
    if accepted_only:
        keep, note = _good_units(units, where)
    kept = {ids[i]: times_s[i] for i in np.flatnonzero(keep)}
    recording = recording_from_spike_times(kept, **binning, source=f"{where}/spike_times")
    return Recording(
        recording.spikes,
        rate_hz=recording.rate_hz,
        names=recording.names,
        provenance=recording.provenance
        | {
            "source": path.name,
            "layout": "NWB",
            "series": name,
            "neurons": f"{len(kept)} of {len(ids)} units kept{note}",
        },
    )


def _good_units(units: object, where: str) -> tuple[np.ndarray, str]:
    """Mask of the units that a sorter or its user calls good, and by which column."""
    for column in _QUALITIES:
        for name in units.colnames:
            if name.lower() == column:
                values = _read(units[name].data, f"{where}/{name}")
                texts = [x.decode() if isinstance(x, bytes) else str(x) for x in values.ravel()]
                good = np.array([text.lower() == "good" for text in texts])
                if good.any():
                    return good, f": those whose {name} is good"
    return np.ones(len(units.id), dtype=bool), ""


def _accepted_rois(table: object, where: str) -> tuple[np.ndarray, str]:
    """Mask of the table's rows that the tool or its user accepted, and by which column."""
    for column in _ACCEPTED:
        for name in table.colnames:
            if name.lower() == column:
                values = _read(table[name].data, f"{where}/{name}")
                values = values[:, 0] if values.ndim == 2 and values.shape[1] else values
                if values.shape != (len(table.id),) or not np.isin(values, (0, 1)).all():
                    raise RecordingError(
                        f"{where}: the column {name} of the ROIs holds other than 0 and 1: pass "
                        "accepted_only=False to keep all"
                    )
                accepted = (values == 0) if column == "rejected" else (values == 1)
                if not accepted.any():
                    raise RecordingError(
                        f"{where}: the column {name} accepts no ROI: pass accepted_only=False to "
                        "keep all"
                    )
                return accepted, f": those that {name} accepts"
    return np.ones(len(table.id), dtype=bool), ""


def _of_traces(
    path: Path, name: str, series: object, time_axis: int, given: CellOptions
) -> Recording:
    where = f"{path}: {name}"
    values = _read(series.data, f"{where}/data")
    values = values[:, None] if values.ndim == 1 else values
    values = values.T if time_axis == 1 else values
    rows = _read(series.rois.data, f"{where}/rois").astype(np.int64)
    if values.ndim != 2 or values.shape[1] != rows.size:
        hint = ""
        if values.shape[:1] == rows.shape:
            hint = f": it looks transposed, pass time_axis={1 - time_axis}"
        raise RecordingError(
            f"{where}/data has shape {series.data.shape}: give (frames, {rows.size} ROIs){hint}"
        )
    if values.dtype.kind not in "biuf":
        raise RecordingError(f"{where}/data has dtype {values.dtype}: give numbers")
    table = series.rois.table
    if rows.min() < 0 or rows.max() >= len(table.id):
        raise RecordingError(f"{where}/rois points beyond the table's {len(table.id)} rows")
    keep, note = np.arange(rows.size), ""
    if given.accepted_only:
        accepted, note = _accepted_rois(table, where)
        keep = np.flatnonzero(accepted[rows])
        if not keep.size:
            raise RecordingError(f"{where}: no ROI of it is accepted: pass accepted_only=False")
    values = values[:, keep]
    if series.conversion != 1.0 or series.offset != 0.0:
        values = values * series.conversion + series.offset
    breaks: np.ndarray | tuple = ()
    if series.rate is not None:
        rate_hz = float(series.rate)
        if not 0 < rate_hz < np.inf:
            raise RecordingError(f"{where}/starting_time: the rate is {rate_hz}")
    else:
        times_s = _read(series.timestamps, f"{where}/timestamps")
        rate_hz, breaks = rate_given_times(times_s, f"{where}/timestamps", values.shape)
    positions, um_per_pixel = _positions(where, table, rows)
    ids = _read(table.id.data, f"{where}/id")
    return recording_of_cells(
        values, where, rate_hz if given.rate_hz is None else given.rate_hz, given,
        keep=keep, positions=positions, um_per_pixel=um_per_pixel, discontinuities=breaks,
        names=[str(i) for i in ids[rows]],
        provenance={
            "source": path.name,
            "layout": "NWB",
            "series": name,
            "neurons": f"{keep.size} of {rows.size} ROIs kept{note}",
        },
    )  # fmt: skip


def _positions(
    where: str, table: object, rows: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(ROIs, 3) centres of the masks in pixels, and the um of a pixel; None where unknown."""
    kind = next((k for k in ("pixel_mask", "voxel_mask", "image_mask") if k in table.colnames), "")
    if not kind:
        return None, None
    centres = np.zeros((rows.size, 3))
    masks = _masks(table[kind], f"{where}/{kind}")
    for i, row in enumerate(rows):
        if kind == "image_mask":
            image = np.asarray(masks[row])
            flat = scipy.sparse.csc_array(image.ravel(order="F")[:, None])
            centres[i] = centres_given_footprints(flat, image.shape)[0, [1, 0, 2]]  # x comes first
            continue
        points = np.array([tuple(point) for point in masks[row]], dtype=np.float64)
        axes = points.shape[1] - 1 if points.ndim == 2 else 0
        if axes < 2 or not (points[:, -1] >= 0).all() or not points[:, -1].sum() > 0:
            raise RecordingError(f"{where}/rois: the {kind} of row {row} is empty or negative")
        centres[i, :axes] = points[:, -1] @ points[:, :axes] / points[:, -1].sum()
    spacing = getattr(table.imaging_plane, "grid_spacing", None)
    scale = _UM_PER_UNIT.get(str(getattr(table.imaging_plane, "grid_spacing_unit", "")).lower())
    if spacing is None or scale is None:
        return centres, None
    step_um = scale * np.asarray(spacing[:], dtype=np.float64)
    if step_um.size not in (2, 3) or not ((step_um > 0) & np.isfinite(step_um)).all():
        raise RecordingError(f"{where}: the imaging plane's grid_spacing is {step_um}")
    return centres, np.pad(step_um, (0, 3 - step_um.size), constant_values=1.0)


def _masks(column: object, where: str) -> Sequence:
    """Return the mask of each row; those of images are read one at a time."""
    if hasattr(column, "target"):
        return _cut(column, where)
    _check_here(column.data, where, itemsize=1)
    return column.data
