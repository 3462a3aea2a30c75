"""Importer of Neurodata Without Borders files (NWB 2), read with pynwb.

Two kinds of activity are found wherever they are in a file: traces of ROIs (RoiResponseSeries,
alone or in Fluorescence and DfOverF), and the spike times of Units, which are binned by
`crbm_lite.importers.binning`. pynwb is optional: ``pip install pynwb``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.hdf5 import RecordingError, open_hdf5
from crbm_lite.files.heaps import check_heaps
from crbm_lite.files.soundness import check_sound
from crbm_lite.importers.arrays import errors_name, rate_given_times
from crbm_lite.importers.binarisation import ToBinary, binarise
from crbm_lite.importers.cells import centres_given_footprints
from crbm_lite.importers.options import takes_options_of
from crbm_lite.importers.spike_times import recording_from_spike_times
from crbm_lite.recordings.recording import Recording

if TYPE_CHECKING:
    import pynwb

__all__ = ["import_nwb"]


@takes_options_of(ToBinary)
def import_nwb(
    path: str | os.PathLike,
    *,
    series: str | None = None,
    bin_s: float | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
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

    Returns
    -------
    Recording
        Of ROIs: coordinates are the centres of their masks, in um where the imaging plane gives
        its grid spacing, else in pixels; names are the ids of the table.

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
    path, given = as_path(path), ToBinary(**options)
    with errors_name(path):
        try:
            import pynwb
        except ImportError as error:
            raise ImportError("NWB files are read with pynwb: pip install pynwb") from error
        check_heaps(path)
        _check_datasets(path)
        with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as stream:
            found = _activity(stream.read())
            name = _chosen(path, found, series)
            units = {"bin_s": bin_s, "start_s": start_s, "stop_s": stop_s}
            for option, value in (options if name == "units" else units).items():
                if value is not None:
                    what = "are spike times" if name == "units" else "has frames already"
                    other = "traces" if name == "units" else "units"
                    raise RecordingError(f"{path}: {name} {what}: {option} is for {other}")
            if name == "units":
                if bin_s is None:
                    raise RecordingError(
                        f"{path}: units hold spike times: pass bin_s=..., in seconds"
                    )
                return _of_units(path, found[name], bin_s, start_s, stop_s)
            return _of_traces(path, name, found[name], given)


def _check_datasets(path: Path) -> None:
    """Raise if what may be read is not in the file, or more than any memory."""
    import h5py

    def check(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name.startswith(("units/", "processing/")):
            check_sound(item, f"{path}: {name}", itemsize=1)

    with open_hdf5(path) as file:
        file.visititems(check)


def _activity(file: pynwb.NWBFile) -> dict[str, object]:
    """Find what holds activity, by its path in the file."""
    from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

    places = {f"acquisition/{k}": x for k, x in file.acquisition.items()}
    for module in file.processing.values():
        places |= {f"processing/{module.name}/{k}": x for k, x in module.data_interfaces.items()}
    found: dict[str, object] = {}
    for place, item in places.items():
        if isinstance(item, RoiResponseSeries):
            found[place] = item
        elif isinstance(item, (Fluorescence, DfOverF)):
            found |= {f"{place}/{k}": x for k, x in item.roi_response_series.items()}
    if file.units is not None:
        found["units"] = file.units
    return found


def _chosen(path: Path, found: dict[str, object], series: str | None) -> str:
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
    path: Path, units: object, bin_s: float, start_s: float | None, stop_s: float | None
) -> Recording:
    if "spike_times" not in units.colnames:
        raise RecordingError(f"{path}: units has no column spike_times")
    ids = [str(i) for i in units.id[:]]
    if len(set(ids)) != len(ids):
        raise RecordingError(f"{path}: units: an id occurs twice: {', '.join(ids[:20])}")
    times_s = {name: np.asarray(units["spike_times"][i]) for i, name in enumerate(ids)}
    recording = recording_from_spike_times(
        times_s, bin_s, start_s=start_s, stop_s=stop_s, source=f"{path}: units/spike_times"
    )
    return Recording(
        recording.spikes,
        rate_hz=recording.rate_hz,
        names=recording.names,
        provenance=recording.provenance | {"source": path.name, "layout": "NWB", "series": "units"},
    )


def _of_traces(path: Path, name: str, series: object, way: ToBinary) -> Recording:
    where = f"{path}: {name}"
    for key, part in (("data", series.data), ("timestamps", series.timestamps)):
        if hasattr(part, "is_virtual"):  # a dataset of the file, not an array
            check_sound(part, f"{where}/{key}")
    values = np.asarray(series.data[()])
    values = values[:, None] if values.ndim == 1 else values
    rows = np.asarray(series.rois.data[:], dtype=np.int64)
    if values.ndim != 2 or values.shape[1] != rows.size:
        hint = ": it looks transposed" if values.shape[:1] == rows.shape else ""
        raise RecordingError(
            f"{where}/data has shape {values.shape}: give (frames, {rows.size} ROIs){hint}"
        )
    if values.dtype.kind not in "biuf":
        raise RecordingError(f"{where}/data has dtype {values.dtype}: give numbers")
    if series.conversion != 1.0 or series.offset != 0.0:
        values = values * series.conversion + series.offset
    breaks: np.ndarray | tuple = ()
    if series.rate is not None:
        rate_hz = float(series.rate)
        if not 0 < rate_hz < np.inf:
            raise RecordingError(f"{where}/starting_time: the rate is {rate_hz}")
    else:
        times_s = np.asarray(series.timestamps[()])
        rate_hz, breaks = rate_given_times(times_s, f"{where}/timestamps", values.shape)
    binary = binarise(values, where, rate_hz, way, breaks)
    table = series.rois.table
    if rows.min() < 0 or rows.max() >= len(table.id):
        raise RecordingError(f"{where}/rois points beyond the table's {len(table.id)} rows")
    coordinates, unit = _positions(where, table, rows)
    return Recording(
        binary.spikes,
        rate_hz=rate_hz,
        coordinates=coordinates,
        coordinate_unit=unit,
        names=[str(i) for i in np.asarray(table.id[:])[rows]],
        discontinuities=breaks,
        dff=binary.dff,
        provenance={
            "source": path.name, "layout": "NWB", "series": name, "spikes": binary.note,
        },
    )  # fmt: skip


def _positions(where: str, table: object, rows: np.ndarray) -> tuple[np.ndarray | None, str]:
    """(N, 3) centres of the ROIs' masks and their unit."""
    kind = next((k for k in ("pixel_mask", "voxel_mask", "image_mask") if k in table.colnames), "")
    if not kind:
        return None, "um"
    centres = np.zeros((rows.size, 3))
    for i, row in enumerate(rows):
        mask = table[kind][int(row)]
        if kind == "image_mask":
            image = np.asarray(mask)
            flat = scipy.sparse.csc_array(image.ravel(order="F")[:, None])
            centres[i] = centres_given_footprints(flat, image.shape)[0, [1, 0, 2]]  # x comes first
            continue
        points = np.array([tuple(point) for point in mask], dtype=np.float64)
        axes = points.shape[1] - 1 if points.ndim == 2 else 0
        if axes < 2 or not (points[:, -1] >= 0).all() or not points[:, -1].sum() > 0:
            raise RecordingError(f"{where}/rois: the {kind} of row {row} is empty or negative")
        centres[i, :axes] = points[:, -1] @ points[:, :axes] / points[:, -1].sum()
    spacing = getattr(table.imaging_plane, "grid_spacing", None)
    per_unit = {"meters": 1e6, "millimeters": 1e3, "micrometers": 1.0, "um": 1.0, "microns": 1.0}
    scale = per_unit.get(str(getattr(table.imaging_plane, "grid_spacing_unit", "")).lower())
    if spacing is None or scale is None:
        return centres, "pixel"
    step_um = scale * np.asarray(spacing[:], dtype=np.float64)
    if step_um.size not in (2, 3) or not ((step_um > 0) & np.isfinite(step_um)).all():
        raise RecordingError(f"{where}: the imaging plane's grid_spacing is {step_um}")
    return centres * np.pad(step_um, (0, 3 - step_um.size), constant_values=1.0), "um"
