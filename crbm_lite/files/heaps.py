"""A guard before HDF5 reads texts of any length from a file that may be damaged.

Such texts lie in the file's global heaps (signature GCOL), each of which is a row of objects with
their sizes. The HDF5 library walks along the sizes, and where damage has made one zero it stands
still for ever, deaf to signals. So the heaps are walked here first, as the library would: 16 bytes
of header, then objects with a header of 16 bytes (index, references, size) and a body padded to a
multiple of 8, or free space (index 0), whose size includes its header. The library also reserves
the memory that a text's length asks for, up to 4 GB, before it finds that the text is shorter.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.files.errors import RecordingError

if TYPE_CHECKING:
    import h5py

__all__ = ["check_heaps", "check_texts"]

_SIGNATURE, _HEADER, _WRAP = b"GCOL\x01", 16, 2**64
_UNREADABLE = (
    "{}: the texts {} are stored in a form that cannot be looked through: write them as h5py does "
    "by default"
)


def check_heaps(path: Path) -> None:
    r"""Raise if a global heap of an HDF5 file could not be walked to its end.

    Parameters
    ----------
    path : pathlib.Path
        The whole file is searched for heaps at the speed of the disk, once for as long as it does
        not change.

    Raises
    ------
    RecordingError
        Naming the file, if a heap is damaged, or if heaps overlap.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "heap.h5"
    ...     _ = path.write_bytes(b"GCOL" + struct.pack("<4xQ", 64) + bytes(48))
    ...     check_heaps(path)
    ...     _ = path.write_bytes(b"GCOL\x01" + struct.pack("<3xQ", 64) + bytes(48))
    ...     check_heaps(path)
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: ...heap.h5: the texts of the file are damaged ...
    """
    found = path.stat()
    damaged = _damaged_heap(path, found.st_ino, found.st_size, found.st_mtime_ns)
    if damaged is not None:
        raise RecordingError(
            f"{path}: the texts of the file are damaged (the heap at byte {damaged})"
        )


@lru_cache(maxsize=64)
def _damaged_heap(path: Path, inode: int, size: int, mtime_ns: int) -> int | None:
    """Find the first damaged heap; the answer is remembered until the file changes."""
    if size == 0:
        return None
    n_left = size // _HEADER  # objects: there can be no more unless heaps overlap
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        start = view.find(_SIGNATURE)
        while start >= 0:
            n_objects = _count_objects(view, start, size, n_left)
            if n_objects is None:
                return start
            n_left -= n_objects
            start = view.find(_SIGNATURE, start + 1)
    return None


def _count_objects(view: mmap.mmap, start: int, size: int, most: int) -> int | None:
    """Walk a heap; None if it cannot be walked to its end, or has too many objects."""
    if start + _HEADER > size:
        return 0  # the library refuses it
    end = start + struct.unpack_from("<Q", view, start + 8)[0]
    if end > size:
        return 0  # as it refuses what goes beyond the end of the file
    place, n_objects = start + _HEADER, 0
    while place + _HEADER <= end:
        index, length = struct.unpack_from("<H6xQ", view, place)
        step = length if index == 0 else (_HEADER + (length + 7) // 8 * 8) % _WRAP
        n_objects += 1
        if step == 0 or place + step > end or n_objects > most:
            return None
        place += step
    return n_objects


def check_texts(dataset: h5py.Dataset) -> None:
    """Raise if a dataset of texts of any length cannot be read without harm.

    Parameters
    ----------
    dataset : h5py.Dataset

    Raises
    ------
    RecordingError
        If a heap of the file is damaged, if a text is longer than the file, or if the texts are
        stored in a form that cannot be looked through.
    """
    path = Path(dataset.file.filename)
    check_heaps(path)
    size = path.stat().st_size
    for references in _references(dataset, path):
        # each text: its length (4), its heap (8), its index there (4)
        lengths = np.frombuffer(references, "<u4", count=len(references) // _HEADER * 4)[::4]
        if lengths.size and lengths.max() > size:
            raise RecordingError(f"{path}: a text of {lengths.max()} bytes in a smaller file")


def _references(dataset: h5py.Dataset, path: Path) -> Iterator[bytes]:
    """Yield the references to the heaps that a dataset of texts holds, as they lie in the file."""
    import h5py

    plan = dataset.id.get_create_plist()
    if not dataset.size or not dataset.id.get_storage_size():
        return
    if plan.get_layout() == h5py.h5d.CONTIGUOUS:
        with path.open("rb") as stream:
            stream.seek(dataset.id.get_offset())
            yield stream.read(dataset.id.get_storage_size())
        return
    if not dataset.chunks:  # within the header of the dataset
        raise RecordingError(_UNREADABLE.format(path, dataset.name))
    filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    n_bytes = _HEADER * math.prod(dataset.chunks)
    for k in range(dataset.id.get_num_chunks()):
        skipped, data = dataset.id.read_direct_chunk(dataset.id.get_chunk_info(k).chunk_offset)
        used = [name for bit, name in enumerate(filters) if not skipped >> bit & 1]
        if used == [h5py.h5z.FILTER_DEFLATE]:
            data, used = zlib.decompressobj().decompress(data, n_bytes), []
        if used:
            raise RecordingError(_UNREADABLE.format(path, dataset.name))
        yield data
