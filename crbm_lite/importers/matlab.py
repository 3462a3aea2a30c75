"""Importer of MATLAB files: version 5 (``save -v6``, ``-v7``) and version 7.3 (``save -v7.3``).

Version 7.3 is HDF5 with MATLAB's conventions: axes are reversed, texts are arrays of uint16, cells
are arrays of references, and sparse matrices are groups. A field of a struct is named by a path,
``session/spikes``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.hdf5 import RecordingError, open_hdf5
from crbm_lite.files.soundness import check_sound
from crbm_lite.importers.arrays import ArrayOptions, errors_name, recording_from_arrays
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
            return recording_from_arrays(path, _Version5(path), "MATLAB v5", given)
        if head.startswith((b"MATLAB 7.3 MAT-file", b"\x89HDF\r\n\x1a\n")):
            with open_hdf5(path) as file:
                return recording_from_arrays(path, _Version73(file), "MATLAB v7.3", given)
        raise RecordingError(
            f"{path}: no MATLAB file of version 5 or 7.3 (truncated, empty, or version 4): save "
            "it in MATLAB with save(..., '-v7') or '-v7.3'"
        )


class _Version5(Mapping):
    """The variables of a version 5 file, read when asked for."""

    def __init__(self, path: Path) -> None:
        import scipy.io

        self._path = path
        self._names = tuple(name for name, _, _ in scipy.io.whosmat(path))

    def __contains__(self, key: object) -> bool:
        root, *fields = str(key).split("/")
        if root not in self._names:
            return False
        return not fields or self._find(str(key)) is not None

    def __getitem__(self, key: str) -> object:
        value = self._find(key)
        if value is None:
            raise RecordingError(f"{self._path}: key {key} is missing")
        if scipy.sparse.issparse(value):
            return value
        if value.dtype.names:
            raise RecordingError(
                f"{self._path}: key {key} is a struct: name its field, such as "
                f"{key}/{value.dtype.names[0]}"
            )
        if value.dtype == object:
            if not all(isinstance(x, np.ndarray) and x.size == 1 for x in value.ravel()):
                raise RecordingError(f"{self._path}: key {key} is a cell of other than texts")
            value = np.array([x.item() for x in value.ravel()])
        return value

    def _find(self, key: str) -> object:
        import scipy.io

        root, *fields = key.split("/")
        try:
            value = scipy.io.loadmat(self._path, variable_names=[root])[root]
        except Exception as error:  # zlib, struct, the parser: whatever a damaged file sets off
            raise RecordingError(f"{self._path}: key {root} cannot be read ({error})") from error
        for field in fields:
            if scipy.sparse.issparse(value) or not value.dtype.names or value.size != 1:
                return None
            if field not in value.dtype.names:
                return None
            value = value.ravel()[0][field]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Version73(Mapping):
    """The variables of an open version 7.3 file, read when asked for."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def __contains__(self, key: object) -> bool:
        return not str(key).startswith("#") and self._file.get(str(key)) is not None

    def __getitem__(self, key: str) -> object:
        import h5py

        where = f"{self._file.filename}: key {key}"
        try:
            item = self._file[key]
            kind = item.attrs.get("MATLAB_class", b"")
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
            if "MATLAB_sparse" in item.attrs:
                return _sparse(item)
            if isinstance(item, h5py.Group):
                fields = ", ".join(f"{key}/{field}" for field in list(item)[:5])
                raise RecordingError(f"{where} is a struct: name its field, such as {fields}")
            check_sound(item, where)
            if item.attrs.get("MATLAB_empty"):
                return np.empty(tuple(int(n) for n in item[()]))
            if kind == "cell" or h5py.check_ref_dtype(item.dtype) is not None:
                return np.array([_text(self._file[reference]) for reference in item[()].T.ravel()])
            return np.array(_text(item)) if kind == "char" else item[()].T
        except RecordingError:
            raise
        except Exception as error:
            raise RecordingError(f"{where} cannot be read ({error})") from error

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._file if not name.startswith("#"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _text(item: h5py.Dataset) -> str:
    """Read a char array, or a number in its place."""
    check_sound(item, f"{item.file.filename}: key {item.name}")
    values = np.asarray(item[()])
    if item.attrs.get("MATLAB_empty"):
        return ""
    if values.dtype == np.uint16:
        return "".join(map(chr, values.T.ravel()))
    if values.size == 1 and values.dtype.kind in "iuf":
        return f"{values.item():g}"
    raise ValueError("a cell of other than texts")


def _sparse(group: h5py.Group) -> scipy.sparse.csc_array:
    """Read a sparse matrix: columns of values (data), rows (ir) and where columns begin (jc)."""
    for part in group.values():
        check_sound(part, f"{group.file.filename}: key {part.name}")
    starts = np.asarray(group["jc"][()]).ravel()
    shape = (int(group.attrs["MATLAB_sparse"]), starts.size - 1)
    parts = [np.asarray(group[k][()]).ravel() if k in group else () for k in ("data", "ir")]
    matrix = scipy.sparse.csc_array((parts[0], np.asarray(parts[1], np.int64),
                                     starts.astype(np.int64)), shape=shape)  # fmt: skip
    matrix.check_format(full_check=True)
    return matrix
