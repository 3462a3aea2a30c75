"""Reading HDF5 files that may be truncated, damaged or foreign, and writing sound ones.

Every failure to read becomes an error that names the file and the key. HDF5 gives zeros, without a
word, for what was declared and never written and for what lies in files that are not there; and a
few bytes of a file can declare, or inflate to, more than any memory. So a dataset is checked before
it is read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.files.errors import FAILURES, RecordingError, named_failures, one_line
from crbm_lite.files.heaps import check_heaps, check_texts

if TYPE_CHECKING:
    import h5py

__all__ = [
    "check_fits",
    "check_sound",
    "get_dataset",
    "open_hdf5",
    "read_array",
    "read_attribute",
    "read_strings",
    "read_tiles",
    "write_dataset",
]

_TILE = 2**22  # numbers read at once where values have to be checked or cast on the way
# Bytes declared for each byte stored: deflate reaches 1,032. Small arrays are left alone.
_MOST_INFLATION, _SMALL_BYTES = 2000, 2**26


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; every failure becomes a RecordingError naming the file.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        If the file is not HDF5, truncated or damaged, or its contents are refused.
    """
    import h5py

    try:
        path.open("rb").close()  # the system says more plainly than HDF5 why it cannot be opened
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise RecordingError(
            f"{path}: not a readable HDF5 file, perhaps truncated ({one_line(error)}); make or "
            "fetch it again"
        ) from error
    with file:
        try:
            yield file
        except RecordingError:
            raise
        except FAILURES as error:
            raise RecordingError(f"{path}: {one_line(error)}") from error


def check_fits(n_bytes: int, where: str) -> None:
    """Raise a RecordingError if an array takes more than half of this machine's memory.

    Examples
    --------
    >>> check_fits(10**18, "a.npz: key spikes")
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: a.npz: key spikes declares 1,000,000,000.0 GB, more
    than ...
    """
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not told, as on Windows
        memory = 2**36
    if n_bytes > memory / 2:
        raise RecordingError(
            f"{where} declares {n_bytes / 1e9:,.1f} GB, more than half of this machine's memory "
            f"({memory / 1e9:.1f} GB): it is damaged, or take a part of it"
        )


def check_sound(item: h5py.Dataset, where: str, itemsize: int | None = None) -> None:
    """Raise a RecordingError if a dataset's numbers are not in its file, or are too many.

    Parameters
    ----------
    item : h5py.Dataset
    where : str
        File and key, for the message.
    itemsize : int, optional
        Bytes for each number once it is read; those of the file's own numbers by default.

    Examples
    --------
    >>> import h5py
    >>> with h5py.File("none.h5", "w", driver="core", backing_store=False) as file:
    ...     check_sound(file.create_dataset("x", (9, 9), "u1", chunks=(3, 3)), "none.h5: key x")
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: none.h5: key x was declared and never written, ...
    """
    if item.is_virtual or item.external:
        raise RecordingError(
            f"{where} lies in other files (a virtual or external dataset), which would be read as "
            "zeros where one is missing: copy the numbers into this file"
        )
    size = math.prod(item.shape or (0,))
    stored = item.id.get_storage_size()
    if size and not stored:
        raise RecordingError(
            f"{where} was declared and never written, and would be read as zeros: the program that "
            "wrote the file did not finish"
        )
    declared = size * item.dtype.itemsize
    if declared > max(_SMALL_BYTES, _MOST_INFLATION * stored):
        raise RecordingError(
            f"{where} declares {declared / 1e9:,.1f} GB and holds {stored:,} bytes: it is damaged, "
            "or was not written to the end"
        )
    check_fits(size * (item.dtype.itemsize if itemsize is None else itemsize), where)


def get_dataset(file: h5py.Group, key: str) -> h5py.Dataset:
    """Find a dataset, or raise a RecordingError that names the file and the key."""
    import h5py

    where = f"{file.file.filename}: key {file.name.rstrip('/')}/{key}"
    with named_failures(where):
        item = file.get(key)
    if not isinstance(item, h5py.Dataset):
        raise RecordingError(
            f"{where} is missing: this is not a recording in a known layout, or "
            "the file is incomplete"
        )
    check_sound(item, where, itemsize=1)
    return item


def read_attribute(item: h5py.Group | h5py.Dataset, name: str) -> object | None:
    """Read an attribute, None if there is none; a text of any length only from sound heaps."""
    if name not in item.attrs:
        return None
    if item.attrs.get_id(name).dtype.kind == "O":
        check_heaps(Path(item.file.filename))
    return item.attrs[name]


def read_array(file: h5py.Group, key: str, ndim: int | None = None) -> np.ndarray:
    """Read a numeric dataset, or raise a RecordingError that names the file and the key.

    Parameters
    ----------
    file : h5py.File or h5py.Group
    key : str
    ndim : int, optional
        Number of dimensions that the dataset must have.

    Returns
    -------
    numpy.ndarray
    """
    item = get_dataset(file, key)
    where = f"{file.file.filename}: key {item.name}"
    with named_failures(where):
        if item.dtype.kind not in "biuf":
            raise RecordingError(f"{where} has dtype {item.dtype}: expected numbers")
        if ndim is not None and item.ndim != ndim:
            raise RecordingError(f"{where} has shape {item.shape}: expected {ndim} dimensions")
        check_sound(item, where)
        return item[()]


def read_strings(file: h5py.Group, key: str) -> tuple[str, ...]:
    """Read a 1-D dataset of strings, or raise a RecordingError that names the file and the key."""
    item = get_dataset(file, key)
    where = f"{file.file.filename}: key {item.name}"
    with named_failures(where):
        if item.ndim > 1 or item.dtype.kind not in "SO":
            raise RecordingError(
                f"{where} has dtype {item.dtype}, shape {item.shape}: expected a list of strings"
            )
        if item.dtype.kind == "O":
            check_texts(item)
        check_sound(item, where)
        values = np.atleast_1d(item[()])
        return tuple(x.decode("utf-8") if isinstance(x, bytes) else str(x) for x in values)


def read_tiles(
    file: h5py.Group, key: str, columns: np.ndarray | None = None, dtype: type = np.uint8
) -> np.ndarray:
    """Read a (T, N) dataset tile by tile, keeping some columns; uint8 must hold only 0 and 1."""
    item = get_dataset(file, key)
    where = f"{file.file.filename}: key {item.name}"
    if item.ndim != 2 or 0 in item.shape or item.dtype.kind not in "biuf":
        raise RecordingError(
            f"{where} has shape {item.shape}, dtype {item.dtype}: expected two "
            "dimensions of numbers"
        )
    check_sound(item, where, np.dtype(dtype).itemsize)
    n = item.shape[1] if columns is None else columns.size
    with named_failures(where):
        out = np.empty((item.shape[0], n), dtype=dtype)
        rows = max(1, _TILE // item.shape[1])
        for start in range(0, item.shape[0], rows):
            tile = item[start : start + rows]
            tile = tile if columns is None else tile[:, columns]
            if dtype is np.uint8 and not ((tile == 0) | (tile == 1)).all():
                raise RecordingError(f"{where} holds other values than 0 and 1 (or NaN)")
            out[start : start + rows] = tile
    return out


def write_dataset(group: h5py.Group, key: str, values: object) -> None:
    """Write one dataset with compression and a checksum (an empty one cannot have them).

    Strings are written as UTF-8 of fixed length, since HDF5 cannot checksum those of any length.
    """
    array = np.asarray(values)
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8")
    options: dict = {}
    if array.size:
        chunks = tuple(min(n, limit) for n, limit in zip(array.shape, (256, 4096), strict=False))
        chunks = (min(array.size, 2**20),) if array.ndim == 1 else chunks
        options |= {
            "chunks": chunks,
            "fletcher32": True,
            "compression": "gzip",
            "compression_opts": 1,
            "shuffle": True,
        }
    group.create_dataset(key, data=array, **options)
