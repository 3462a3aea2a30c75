"""Importer of MATLAB files: version 5 (``save -v6``, ``-v7``) and version 7.3 (``save -v7.3``).

Version 7.3 is HDF5 with MATLAB's conventions: axes are reversed, texts are arrays of uint16, cells
are arrays of references, and sparse matrices are groups. A field of a struct is named by a path,
``session/spikes``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import check_sound, find_item, open_hdf5, read_array, read_attribute
from crbm_lite.files.heaps import check_texts
from crbm_lite.importers.arrays import ArrayOptions, errors_name, recording_from_arrays
from crbm_lite.importers.matlab5 import Matlab5File, as_cell
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

if TYPE_CHECKING:
    import h5py


__all__ = ["import_matlab"]


@takes_options_of(ArrayOptions)
def import_matlab(path: str | os.PathLike, **options: object) -> Recording:
    """Import a MATLAB file; its axes are those that MATLAB shows.

    Parameters
    ----------
    path : path of the .mat file

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError naming the file and the variable: truncated, damaged, of version 4, a variable
        is missing or does not fit the others, activity that is not binary and no word on how to
        make it so.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> import tempfile, scipy.io
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.mat"
    ...     scipy.io.savemat(path, {"raster": [[0, 1, 1], [1, 0, 0]], "fps": 2.5})
    ...     import_matlab(path, keys={"spikes": "raster", "rate_hz": "fps"}, time_axis=1)
    Recording(3 frames x 2 neurons, 2.5 Hz, 1.2 s, activity 0.500)
    """
    path, given = as_path(path), ArrayOptions(**options)
    with errors_name(path):
        with path.open("rb") as stream:
            head = stream.read(128)
        if head.startswith(b"MATLAB 5.0 MAT-file") and head[126:128] in (b"IM", b"MI"):
            return recording_from_arrays(path, Matlab5File(path), "MATLAB v5", given)
        if head.startswith((b"MATLAB 7.3 MAT-file", b"\x89HDF\r\n\x1a\n")):
            with open_hdf5(path) as file:
                return recording_from_arrays(path, _Version73(file), "MATLAB v7.3", given)
        raise RecordingError(
            f"{path}: no MATLAB file of version 5 or 7.3 (truncated, empty, or version 4): save "
            "it in MATLAB with save(..., '-v7') or '-v7.3'"
        )


class _Version73(Mapping):
    """The variables of an open version 7.3 file, read when asked for."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def __contains__(self, key: object) -> bool:
        return not str(key).startswith("#") and find_item(self._file, str(key)) is not None

    def __getitem__(self, key: str) -> object:
        import h5py

        where = f"{self._file.filename}: key {key}"
        try:
            item = find_item(self._file, key)
            if read_attribute(item, "MATLAB_sparse") is not None:
                return _sparse(item)
            if isinstance(item, h5py.Group):
                fields = ", ".join(f"{key}/{field}" for field in list(item)[:5])
                raise RecordingError(f"{where} is a struct: name its field, such as {fields}")
            if h5py.check_ref_dtype(item.dtype) is None:
                return _value(item)
            check_sound(item, where)
            return as_cell([_value(self._file[ref]) for ref in item[()].T.ravel()])
        except RecordingError:
            raise
        except Exception as error:
            raise RecordingError(f"{where} cannot be read ({error})") from error

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._file if not name.startswith("#"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _value(item: h5py.Dataset) -> np.ndarray:
    """Read numbers with MATLAB's order of axes, or texts, one for each row."""
    where = f"{item.file.filename}: key {item.name}"
    check_sound(item, where)
    kind = read_attribute(item, "MATLAB_class") or b""
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    is_text = kind == "char" or (item.dtype == np.uint16 and not kind)
    if item.dtype.kind == "O":
        check_texts(item)
    values = np.asarray(item[()])
    if read_attribute(item, "MATLAB_empty"):
        return np.array([""]) if is_text else np.empty(tuple(int(n) for n in values.ravel()))
    if not is_text:
        return values.T
    rows = [values.ravel()] if 1 in values.shape else np.atleast_2d(values.T)
    return np.array(["".join(map(chr, row)) for row in rows])


def _sparse(group: h5py.Group) -> scipy.sparse.csc_array:
    """Read a sparse matrix: columns of values (data), rows (ir) and where columns begin (jc)."""
    starts = read_array(group, "jc").ravel()
    shape = (int(read_attribute(group, "MATLAB_sparse")), starts.size - 1)
    parts = [
        read_array(group, key).ravel() if find_item(group, key) is not None else ()
        for key in ("data", "ir")
    ]
    matrix = scipy.sparse.csc_array((parts[0], np.asarray(parts[1], np.int64),
                                     starts.astype(np.int64)), shape=shape)  # fmt: skip
    matrix.check_format(full_check=True)
    return matrix
