"""Importer of NumPy files: a .npz of named arrays, or a .npy of the activity alone.

Arrays of numbers and of texts of fixed length are all that is read. Pickled objects are never
loaded (``allow_pickle=False``).
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.errors import RecordingError, check_regular_file
from crbm_lite.files.memory import check_fits, check_inflation
from crbm_lite.importers.arrays import (
    OF_SPIKE_TIMES,
    ArrayOptions,
    errors_name,
    recording_from_arrays,
)
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

__all__ = ["import_numpy", "load_npy"]


@takes_options_of(ArrayOptions, without=OF_SPIKE_TIMES)
def import_numpy(path: str | os.PathLike, **options: object) -> Recording:
    """Import a .npz or .npy file; the one array of a .npy is the spikes.

    Parameters
    ----------
    path : path of the file

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError naming the file and the key: truncated, damaged, pickled, a key is missing or
        does not fit the others, activity that is not binary and no word on how to make it so.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.npz"
    ...     np.savez(path, counts=[[0, 2], [1, 0], [0, 0]])
    ...     import_numpy(path, keys={"spikes": "counts"}, rate_hz=2.5, threshold=0)
    Recording(3 frames x 2 neurons, 2.5 Hz, 1.2 s, activity 0.333)
    """
    path, given = as_path(path), ArrayOptions(**options)
    with errors_name(path):
        with path.open("rb") as stream:
            magic = stream.read(6)
        if magic == b"\x93NUMPY":
            arrays, layout = {"spikes": load_npy(path)}, "npy"
        elif magic[:2] == b"PK":
            arrays, layout = _Archive(path), "npz"
        else:
            raise RecordingError(f"{path}: neither a .npz nor a .npy file, or it is empty")
        return recording_from_arrays(path, arrays, layout, given)


def load_npy(path: Path) -> np.ndarray:
    """Read the array of a .npy file, never a pickled one.

    The file is mapped before it is read, so that a damaged header cannot ask for more than it has.

    Raises
    ------
    RecordingError
        If it is truncated, damaged or holds pickled objects.
    """
    check_regular_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive")
        if not array.dtype.itemsize:
            raise ValueError("it holds texts of no length")
        check_fits(array.nbytes, f"{path}")
        return np.array(array)
    except RecordingError:
        raise
    except Exception as error:  # the header is a Python literal: any error of the parser is damage
        raise RecordingError(f"{path}: not a readable .npy array ({error})") from error


class _Archive(Mapping):
    """The arrays of a .npz, read when asked for and only as large as they say."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as archive:
            members = [x for x in archive.infolist() if x.filename.endswith(".npy")]
        self._members = {x.filename.removesuffix(".npy"): x for x in members}
        if len(self._members) != len(members):
            twice = ", ".join(x.filename for x in members)
            raise RecordingError(f"{path}: a key occurs twice: {twice}")

    def __getitem__(self, key: str) -> np.ndarray:
        where, member = f"{self._path}: key {key}", self._members[key]
        try:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise RecordingError(f"{where} is compressed in a way that NumPy does not use")
            with zipfile.ZipFile(self._path) as archive:
                with archive.open(member) as stream:
                    n_bytes = _declared_bytes(stream)
                if n_bytes > member.file_size:
                    raise ValueError(f"{n_bytes:,} bytes declared, {member.file_size:,} there")
                check_inflation(n_bytes, member.compress_size, where)
                check_fits(n_bytes, where)
                with archive.open(member) as stream:
                    return np.lib.format.read_array(stream, allow_pickle=False)
        except RecordingError:
            raise
        except Exception as error:  # zip, zlib and the header's parser each have their own
            raise RecordingError(f"{where} cannot be read ({error})") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _declared_bytes(stream: BinaryIO) -> int:
    """Return the bytes of the array whose header a stream begins with."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return math.prod(shape) * dtype.itemsize
