r"""Importer of a suite2p output folder: spks, F, Fneu, iscell, stat, ops.

Fluorescence is corrected for the neuropil, :math:`F - \alpha F_{neu}`, and becomes dF/F by
`crbm_lite.calcium.preprocessing.delta_f_over_f`. suite2p need not be installed. Its stat.npy,
ops.npy and settings.npy are pickled objects, which are not unpickled: see
`crbm_lite.importers.plain_objects`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_number, as_path
from crbm_lite.files.errors import RecordingError
from crbm_lite.importers.arrays import errors_name
from crbm_lite.importers.binarisation import neither_0_nor_1
from crbm_lite.importers.cells import CellOptions, recording_of_cells
from crbm_lite.importers.labels import as_left_out
from crbm_lite.importers.numpy_file import load_npy
from crbm_lite.importers.options import takes_options_of
from crbm_lite.importers.plain_objects import as_numbers, read_objects
from crbm_lite.recordings.recording import Recording

__all__ = ["import_suite2p"]

_MOSAIC = (
    "left out: the planes lie side by side here; pass um_per_pixel and um_per_plane, and keep the "
    "folders plane0, plane1, ... beside combined"
)


@takes_options_of(CellOptions)
def import_suite2p(
    folder: str | os.PathLike,
    *,
    traces: str = "spks",
    neuropil: float = 0.7,
    um_per_plane: float | None = None,
    leave_out: Sequence[int | str] = (),
    **options: object,
) -> Recording:
    """Import the output of suite2p, of one plane or of several combined.

    Parameters
    ----------
    folder : path
        The folder that holds F.npy (plane0, combined, ...), or the one above it. Of its planes that
        is ``combined``, where suite2p has joined them, or the only one.
    traces : {"spks", "F"}
        suite2p's deconvolved events, which need `amplitude_fraction` or `threshold`; or
        the fluorescence, as dF/F, which needs `kernel` (or `threshold`).
    neuropil : float
        Share of Fneu that is subtracted from F (default 0.7).
    um_per_plane : float, optional
        Distance of neighbouring planes, for the folder ``combined``: z is the plane's number times
        this.
    leave_out : sequence of int
        suite2p's numbers of ROIs that are left out, cells or not; none by default.

    Returns
    -------
    Recording
        Coordinates (x, y, 0) from stat's "med"; names are suite2p's numbers of the ROIs. The folder
        ``combined`` lays its planes side by side: there x and y are those of the folders of the
        planes. Without these, or without `um_per_plane` and `um_per_pixel`, there are no
        coordinates: a warning and the provenance say so.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RecordingError
        A ValueError naming the file: missing, truncated, damaged, of other lengths than the
        others, without a cell, without a rate; or no word on how to binarise.
    ValueError
        If an argument is not what it must be, or a kernel is given for deconvolved events.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, values in {"F": np.ones((3, 4)), "spks": [[0, 9, 0, 0]] * 3,
    ...                          "iscell": [[1, 0.9], [0, 0.2], [1, 0.8]]}.items():
    ...         np.save(Path(folder) / f"{name}.npy", values)
    ...     import_suite2p(folder, rate_hz=10.0, amplitude_fraction=0.5).spikes.tolist()
    [[0, 0], [1, 1], [0, 0], [0, 0]]
    """
    if traces not in ("spks", "F"):
        raise ValueError(f"traces is {traces!r}: give 'spks' or 'F'")
    neuropil = as_number(neuropil, "neuropil", "the share of Fneu to subtract")
    if um_per_plane is not None:
        distance = "the distance of neighbouring planes in um"
        um_per_plane = as_number(um_per_plane, "um_per_plane", distance, positive=True)
    left_out = as_left_out(leave_out)
    given, folder = CellOptions(**options), as_path(folder, "folder")
    if traces == "spks" and given.kernel is not None:
        raise ValueError(
            "kernel is given, and traces is 'spks', which are deconvolved already: pass "
            "traces='F', or amplitude_fraction=0.5 in place of the kernel"
        )
    with errors_name(folder):
        plane = _plane(folder)
        path = plane / f"{traces}.npy"
        raw = _matrix(path)
        n_rois = raw.shape[0]
        keep = _cells(plane / "iscell.npy", n_rois) if given.accepted_only else np.arange(n_rois)
        keep = _without(keep, left_out, n_rois)
        rate_hz = _rate(plane) if given.rate_hz is None else given.rate_hz
        provenance = {
            "source": f"{plane.parent.name}/{plane.name}",
            "layout": "suite2p",
            "traces": traces,
            "neurons": f"{keep.size} of {n_rois} ROIs kept"
            + (": those that iscell.npy calls cells" if given.accepted_only else ""),
        }
        if left_out:
            provenance["left out"] = "ROIs " + ", ".join(map(str, left_out))
        values = raw[keep]
        if values.dtype.kind == "f" and not (finite := np.isfinite(values).all(axis=1)).all():
            rois = ", ".join(map(str, keep[~finite]))
            raise RecordingError(
                f"{path} holds NaN or infinity in ROIs {rois}: pass leave_out=[{rois}], or fill "
                "the gaps before"
            )
        if traces == "F":
            values = _dff(plane, values, keep, raw.shape, rate_hz, neuropil)
            provenance["neuropil"] = neuropil
        elif (plane / "F.npy").exists():
            _check_way(values, path, given)
        positions, planes = _positions(plane / "stat.npy", n_rois)
        if len(set(planes)) > 1:
            positions = None
            if um_per_plane is not None and given.um_per_pixel is not None:
                positions = _apart(plane.parent, planes, um_per_plane / given.um_per_pixel)
            provenance["coordinates"] = _MOSAIC if positions is None else "planes apart"
            if positions is None:
                warnings.warn(f"{plane}: coordinates are {_MOSAIC}", UserWarning, stacklevel=2)
        return recording_of_cells(
            values.T, f"{path} (as dF/F)" if traces == "F" else f"{path}", rate_hz, given,
            keep=keep, positions=positions, provenance=provenance, is_dff=traces == "F",
        )  # fmt: skip


def _plane(folder: Path) -> Path:
    """Find the folder with F.npy."""
    if (folder / "F.npy").exists() or (folder / "spks.npy").exists():
        return folder
    planes = sorted({file.parent for file in folder.glob("*/F.npy")})
    if folder / "combined" in planes:
        return folder / "combined"
    if len(planes) != 1:
        there = ", ".join(plane.name for plane in planes) or "none"
        raise RecordingError(
            f"{folder}: no F.npy, and the folders in it that have one are: {there}; name the "
            "folder of one plane, or let suite2p join them (its setting combined)"
        )
    return planes[0]


def _matrix(path: Path) -> np.ndarray:
    array = _load(path)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "iuf":
        raise RecordingError(
            f"{path} has shape {array.shape}, dtype {array.dtype}: give (ROIs, frames)"
        )
    return array


def _load(path: Path) -> np.ndarray:
    if not path.exists():
        raise RecordingError(f"{path}: no such file in this suite2p folder")
    return load_npy(path)


def _cells(path: Path, n_rois: int) -> np.ndarray:
    array = _load(path)
    if array.ndim != 2 or array.shape[0] != n_rois or not np.isin(array[:, 0], (0, 1)).all():
        raise RecordingError(
            f"{path} has shape {array.shape}: give one row for each of {n_rois} ROIs that begins "
            "with 0 or 1 (pass accepted_only=False to keep all)"
        )
    keep = np.flatnonzero(array[:, 0])
    if keep.size == 0:
        raise RecordingError(f"{path} calls no ROI a cell: pass accepted_only=False to keep all")
    return keep


def _check_way(values: np.ndarray, path: Path, given: CellOptions) -> None:
    """Raise for events that nothing says how to binarise, where the fluorescence is there, too."""
    named = given.threshold is not None or given.amplitude_fraction is not None
    if not named and neither_0_nor_1(values) is not None:
        raise RecordingError(
            f"{path} holds events in arbitrary units, not only 0 and 1, and is never binarised "
            "silently: pass traces='F', kernel='infer' for the fluorescence beside it, whose noise "
            "can be told (the better way), or amplitude_fraction=0.5 for these events"
        )


def _without(keep: np.ndarray, left_out: tuple[str | int, ...], n_rois: int) -> np.ndarray:
    """Take ROIs out of those that are kept."""
    rois = []
    for roi in left_out:
        if not str(roi).isdecimal() or int(roi) >= n_rois:
            raise ValueError(f"leave_out holds {roi!r}: give numbers of ROIs, 0 to {n_rois - 1}")
        rois.append(int(roi))
    left = keep[~np.isin(keep, rois)]
    if not left.size:
        raise ValueError(f"leave_out holds all {keep.size} ROIs that are kept: leave some in")
    return left


def _rate(plane: Path) -> float:
    """Read fs, which older releases keep in ops.npy and newer ones in settings.npy too."""
    for path in (plane / "ops.npy", plane / "settings.npy"):
        if not path.exists():
            continue
        objects = read_objects(path)
        settings = objects[0] if objects else None
        if isinstance(settings, dict) and "fs" in settings:
            try:
                rate_hz = float(as_numbers(settings["fs"]).item())
            except (ValueError, OverflowError) as error:
                raise RecordingError(
                    f"{path}: key fs is no rate ({error}): pass rate_hz=..."
                ) from error
            if not 0 < rate_hz < np.inf:
                raise RecordingError(f"{path}: key fs is {rate_hz}: pass rate_hz=...")
            return rate_hz
    raise RecordingError(
        f"{plane}: key fs is in neither ops.npy nor settings.npy: pass rate_hz=..."
    )


def _dff(
    plane: Path,
    fluorescence: np.ndarray,
    keep: np.ndarray,
    shape: tuple[int, int],
    rate_hz: float,
    neuropil: float,
) -> np.ndarray:
    """dF/F (kept ROIs, frames) of the fluorescence less a share of the neuropil's."""
    from crbm_lite.calcium.preprocessing import NoBaselineError, delta_f_over_f

    if neuropil:
        path = plane / "Fneu.npy"
        around = _matrix(path)
        if around.shape != shape:
            raise RecordingError(f"{path} has shape {around.shape}, F.npy {shape}")
        fluorescence = fluorescence - neuropil * around[keep]
    try:
        return delta_f_over_f(fluorescence.T, rate_hz).T
    except NoBaselineError as error:
        rois = ", ".join(str(keep[i]) for i in error.neurons)
        raise RecordingError(
            f"{plane / 'F.npy'} less {neuropil:g} Fneu: the baseline of suite2p's ROI"
            f"{'s' * (len(error.neurons) > 1)} {rois} is not above 0, so there is no dF/F. Such "
            "ROIs are probably dead: without light, or darker than the neuropil around them. Pass "
            f"leave_out=[{rois}], or a smaller neuropil"
        ) from error
    except ValueError as error:
        raise RecordingError(f"{plane / 'F.npy'} less {neuropil:g} Fneu: {error}") from error


def _positions(path: Path, n_rois: int) -> tuple[np.ndarray | None, list[int]]:
    """(ROIs, 3) x, y, 0 in pixels and the plane of each, if there is a stat.npy."""
    if not path.exists():
        return None, []
    objects = read_objects(path, n_rois)
    if len(objects) != n_rois:
        raise RecordingError(f"{path} describes {len(objects)} ROIs, the traces have {n_rois}")
    positions, planes = np.zeros((n_rois, 3)), []
    for i, roi in enumerate(objects):
        try:
            y, x = as_numbers(roi["med"])
            planes.append(int(as_numbers(roi.get("iplane", 0)).item()))
        except Exception as error:
            raise RecordingError(
                f"{path}: key med or iplane of ROI {i} is no (y, x) pair and no number"
            ) from error
        positions[i, :2] = x, y
    return positions, planes


def _apart(folder: Path, planes: list[int], step: float) -> np.ndarray | None:
    """(ROIs, 3) x, y in each one's own plane, and z; None if the planes' folders do not fit."""
    found = np.zeros((len(planes), 3))
    for plane in set(planes):
        rows = np.flatnonzero(np.array(planes) == plane)
        path = folder / f"plane{plane}" / "stat.npy"
        if not path.exists():
            return None
        own, _ = _positions(path, rows.size)
        found[rows] = own + [0.0, 0.0, step * plane]
    return found
