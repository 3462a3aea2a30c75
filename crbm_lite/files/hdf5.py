"""Reading HDF5 files that may be truncated, damaged, foreign or hostile, and writing sound ones.

Every failure to read becomes an error that names the file and the key. HDF5 gives zeros, without a
word, for what was declared and never written and for what lies in files that are not there; it
follows links into any other file; and a few bytes of a file can declare, or inflate to, more than
any memory. So everything is checked before it is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.files.errors import (
    FAILURES,
    FileError,
    RecordingError,
    check_regular_file,
    named_failures,
    one_line,
)
from crbm_lite.files.heaps import check_heaps, check_texts
from crbm_lite.files.memory import check_fits, check_inflation

if TYPE_CHECKING:
    import h5py

__all__ = [
    "check_sound",
    "find_item",
    "get_dataset",
    "open_hdf5",
    "read_all_arrays",
    "read_array",
    "read_attribute",
    "read_strings",
    "read_text",
    "read_tiles",
    "write_dataset",
]

_TILE = 2**22  # numbers read at once where values have to be checked or cast on the way
_LARGEST_ATTRIBUTE = 2**24  # bytes
_LONGEST_WAY = 16  # links from one to the next
_IS_BOOL = "crbm_lite_bool"  # an attribute: these zeros and ones were truth values


@contextmanager
def open_hdf5(path: Path, kind: type[FileError] = RecordingError) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; every failure becomes an error that names the file.

    The whole file is looked through for damaged texts first, at the speed of the disk.

    Parameters
    ----------
    path : pathlib.Path
    kind : type of FileError
        What a failure becomes, RecordingError by default.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileError
        If the file is not HDF5, truncated, damaged or open in another program, or its contents
        are refused.
    """
    import h5py

    check_regular_file(path, kind)
    try:
        file = h5py.File(path, "r")
    except BlockingIOError as error:  # another program holds HDF5's lock on it
        raise kind(
            f"{path} is open for writing in another program: close it there, or copy the file"
        ) from error
    except (OSError, RuntimeError) as error:
        raise kind(
            f"{path}: not a readable HDF5 file, perhaps truncated ({one_line(error)}); make or "
            "fetch it again"
        ) from error
    with file:
        try:
            check_heaps(path)  # before any text is read: a key's, a cell's or an attribute's
            yield file
        except kind:
            raise
        except FileError as error:
            raise kind(str(error)) from error
        except FAILURES as error:
            raise kind(f"{path}: {one_line(error)}") from error


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
    crbm_lite.files.errors.RecordingError: none.h5: key x was declared and not written to the end...
    """
    if item.is_virtual or item.external:
        raise RecordingError(
            f"{where} lies in other files (a virtual or external dataset), which would be read as "
            "zeros where one is missing: copy the numbers into this file"
        )
    size = math.prod(item.shape or (0,))
    if size and not _is_complete(item):
        raise RecordingError(
            f"{where} was declared and not written to the end: the rest would be read as zeros; "
            "let the program that makes the file finish"
        )
    check_inflation(size * item.dtype.itemsize, item.id.get_storage_size(), where)
    check_fits(size * (item.dtype.itemsize if itemsize is None else itemsize), where)


def _is_complete(item: h5py.Dataset) -> bool:
    if item.chunks is None:
        return item.id.get_storage_size() > 0
    n_chunks = math.prod(-(-n // chunk) for n, chunk in zip(item.shape, item.chunks, strict=True))
    return item.id.get_num_chunks() >= n_chunks


def find_item(group: h5py.Group, key: str) -> h5py.Group | h5py.Dataset | None:
    """Follow a key to what it names in this file; None if there is no such thing.

    Raises
    ------
    RecordingError
        If the way leads into another file, through an external link, or in a circle.

    Examples
    --------
    >>> import h5py
    >>> with h5py.File("none.h5", "w", driver="core", backing_store=False) as file:
    ...     file["x"] = h5py.ExternalLink("other.h5", "/x")
    ...     find_item(file, "x")
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: none.h5: key x is a link into another file: copy ...
    """
    return _follow(group, key, f"{group.file.filename}: key {key}", 0)


def _follow(
    group: h5py.Group, key: str, where: str, n_links: int
) -> h5py.Group | h5py.Dataset | None:
    import h5py

    item = group.file["/"] if key.startswith("/") else group
    for part in filter(None, key.split("/")):
        name = part.encode("utf-8", "surrogatepass")
        if not isinstance(item, h5py.Group) or not item.id.links.exists(name):
            return None
        kind = item.id.links.get_info(name).type
        if kind == h5py.h5l.TYPE_SOFT:
            if n_links == _LONGEST_WAY:
                raise RecordingError(f"{where} is a link that leads in a circle: remove it")
            target = item.id.links.get_val(name).decode("utf-8", "surrogatepass")
            item = _follow(item, target, where, n_links + 1)
        elif kind == h5py.h5l.TYPE_HARD:
            item = item[part]
        else:
            raise RecordingError(
                f"{where} is a link into another file: copy what it names into this file"
            )
    return item


def get_dataset(file: h5py.Group, key: str) -> h5py.Dataset:
    """Find a dataset, or raise a RecordingError that names the file and the key."""
    import h5py

    where = f"{file.file.filename}: key {file.name.rstrip('/')}/{key}"
    with named_failures(where):
        item = find_item(file, key)
    if not isinstance(item, h5py.Dataset):
        raise RecordingError(
            f"{where} is missing: this is not a recording in a known layout, or "
            "the file is incomplete"
        )
    check_sound(item, where, itemsize=1)
    return item


def read_attribute(item: h5py.Group | h5py.Dataset, name: str) -> object | None:
    """Read an attribute; None if there is none."""
    if name not in item.attrs:
        return None
    attribute = item.attrs.get_id(name)
    if attribute.get_storage_size() > _LARGEST_ATTRIBUTE:
        raise RecordingError(
            f"{item.file.filename}: attribute {name} asks for "
            f"{attribute.get_storage_size() / 1e6:,.0f} MB: the file is damaged"
        )
    return item.attrs[name]


def read_text(item: h5py.Group | h5py.Dataset, name: str) -> str:
    """Read an attribute that must be a text, or raise a RecordingError that names it.

    Examples
    --------
    >>> import h5py
    >>> with h5py.File("none.h5", "w", driver="core", backing_store=False) as file:
    ...     file.attrs["format"] = np.bytes_("crbm_lite recording")
    ...     read_text(file, "format")
    'crbm_lite recording'
    """
    value = read_attribute(item, name)
    if isinstance(value, str | bytes):
        return _as_text(value)
    raise RecordingError(
        f"{item.file.filename}: attribute {name} is {value!r}: expected a text; the file is "
        "damaged, or no file of this kind"
    )


def read_all_arrays(file: h5py.File) -> dict[str, np.ndarray]:
    """Read every dataset of a file, all of which must be numbers, by its key.

    Links are not followed.

    Raises
    ------
    RecordingError
        If a dataset is not sound, or all together are too many for the memory.
    """
    import h5py

    n_bytes: dict[str, int] = {}

    def note(key: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            n_bytes[key] = math.prod(item.shape or (0,)) * item.dtype.itemsize

    file.visititems(note)
    total = sum(n_bytes.values())
    check_inflation(total, Path(file.filename).stat().st_size, file.filename)
    check_fits(total, file.filename)
    return {key: read_array(file, key) for key in n_bytes}


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
        values = item[()]
        return np.asarray(values, bool) if _IS_BOOL in item.attrs else values


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
        return tuple(_as_text(x) for x in values)


def _as_text(value: object) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else str(value)


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

    Texts are written as UTF-8 of fixed length, since HDF5 cannot checksum those of any length.
    """
    array = np.asarray(values)
    is_bool = array.dtype == bool
    if is_bool:  # HDF5 has no such numbers, and h5py would write an enumeration
        array = array.view(np.uint8)
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8", "surrogatepass")
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
    written = group.create_dataset(key, data=array, **options)
    if is_bool:
        written.attrs[_IS_BOOL] = 1
