"""Importer of CaImAn's results (HDF5, as ``cnm.save`` writes them).

Keys: ``estimates/S`` (deconvolved events), ``F_dff`` (dF/F) and ``C`` (denoised
fluorescence), all (components, frames); ``estimates/A`` the footprints (sparse, pixels in order F),
``estimates/idx_components`` the accepted components; ``params/data/fr`` the frame rate and
``params/data/dims``. What is missing, CaImAn writes as the text NoneType. CaImAn need not be
installed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import find_item, open_hdf5, read_array, read_strings
from crbm_lite.importers.arrays import errors_name
from crbm_lite.importers.cells import CellOptions, centres_given_footprints, recording_of_cells
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

if TYPE_CHECKING:
    import h5py

__all__ = ["import_caiman"]


@takes_options_of(CellOptions)
def import_caiman(path: str | os.PathLike, *, traces: str = "S", **options: object) -> Recording:
    """Import a results file of CaImAn.

    Parameters
    ----------
    path : path of the HDF5 file
    traces : {"S", "F_dff", "C"}
        Deconvolved events, which need `amplitude_fraction` or `threshold`; dF/F, which needs
        `kernel` (or `threshold`); denoised fluorescence in arbitrary units, which needs
        `threshold`.

    Returns
    -------
    Recording
        Coordinates are the footprints' centres of mass; names are CaImAn's numbers of components.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError naming the file and the key: truncated, damaged, foreign, a key is missing or
        does not fit the others, or no word on how to binarise.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "results.hdf5"
    ...     with h5py.File(path, "w") as file:
    ...         file["estimates/S"] = [[0.0, 0.8, 0.1], [0.0, 0.0, 2.0]]
    ...         file["estimates/idx_components"] = b"NoneType"
    ...         file["params/data/fr"] = 30
    ...     import_caiman(path, amplitude_fraction=0.5)
    Recording(3 frames x 2 neurons, 30 Hz, 0.1 s, activity 0.333)
    """
    if traces not in ("S", "F_dff", "C"):
        raise ValueError(f"traces is {traces!r}: give 'S', 'F_dff' or 'C'")
    path, given = as_path(path), CellOptions(**options)
    if traces != "F_dff" and given.kernel is not None:
        raise ValueError(
            f"kernel is given, and traces is {traces!r}, which is deconvolved already: pass "
            "traces='F_dff', or another way in place of the kernel"
        )
    with errors_name(path), open_hdf5(path) as file:
        key = f"estimates/{traces}"
        if not _is_given(file, key) and find_item(file, "estimates") is not None:
            there = [name for name in ("S", "F_dff", "C") if _is_given(file, f"estimates/{name}")]
            raise RecordingError(
                f"{path}: key {key} is missing or NoneType; there is {', '.join(there) or 'none'}"
            )
        values = read_array(file, key, 2)
        keep = np.arange(values.shape[0])
        if given.accepted_only and not _is_none(file, "estimates/idx_components"):
            keep = _accepted(file, values.shape[0])
        rate_hz = given.rate_hz
        if rate_hz is None:
            rate = read_array(file, "params/data/fr")
            rate_hz = float(rate) if rate.size == 1 else np.nan
            if not 0 < rate_hz < np.inf:
                raise RecordingError(f"{path}: key params/data/fr is no rate: pass rate_hz=...")
        positions = None
        if hasattr(find_item(file, "estimates/A"), "keys"):  # a group, not the text NoneType
            positions = _positions(file, values.shape[0])
        provenance = {
            "source": path.name,
            "layout": "CaImAn",
            "traces": traces,
            "neurons": f"{keep.size} of {values.shape[0]} components kept",
        }
        return recording_of_cells(
            values[keep].T, f"{path}: key {key}", rate_hz, given,
            keep=keep, positions=positions, provenance=provenance,
        )  # fmt: skip


def _is_given(file: h5py.File, key: str) -> bool:
    """Whether a key is there and holds numbers, not the text NoneType."""
    item = find_item(file, key)
    return item is not None and getattr(item, "dtype", np.dtype("O")).kind in "biuf"


def _is_none(file: h5py.File, key: str) -> bool:
    """Whether a key is absent, or holds the text NoneType."""
    parent, _, name = key.rpartition("/")
    if name not in list(find_item(file, parent)):
        return True
    item = find_item(file, key)
    is_text = getattr(item, "dtype", np.dtype(float)).kind in "SO" and item.shape == ()
    return is_text and read_strings(file, key) == ("NoneType",)


def _accepted(file: h5py.File, n_components: int) -> np.ndarray:
    where = f"{file.filename}: key estimates/idx_components"
    index = np.asarray(read_array(file, "estimates/idx_components")).ravel()
    if index.size == 0:
        raise RecordingError(f"{where} accepts none: pass accepted_only=False to keep all")
    if index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= n_components:
        raise RecordingError(f"{where} must hold numbers of components, 0..{n_components - 1}")
    if np.unique(index).size != index.size:
        raise RecordingError(f"{where} names a component twice")
    return index


def _positions(file: h5py.File, n_components: int) -> np.ndarray:
    """(components, 3) centres of the footprints in pixels."""
    dims = "params/data/dims" if _is_given(file, "params/data/dims") else "estimates/dims"
    group = find_item(file, "estimates/A")
    parts = [read_array(group, name, 1) for name in ("data", "indices", "indptr", "shape")]
    try:
        shape = tuple(int(n) for n in parts[3])
        matrix = scipy.sparse.csc_array(tuple(parts[:3]), shape=shape)
        matrix.check_format(full_check=True)
        if shape[1] != n_components:
            raise ValueError(f"{shape[1]} footprints for {n_components} components")
        return centres_given_footprints(matrix, tuple(read_array(file, dims, 1)))
    except RecordingError:
        raise
    except Exception as error:
        raise RecordingError(f"{file.filename}: key estimates/A: {error}") from error
