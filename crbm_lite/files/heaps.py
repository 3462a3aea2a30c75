"""A guard before HDF5 reads texts of any length from a file that may be damaged.

No equations. Such texts lie in the file's global heaps (signature GCOL), each a row of objects with
their sizes. The HDF5 library walks along the sizes, and where damage has made one zero it stands
still for ever, deaf to signals. So the heaps are walked here first, as the library would: 16 bytes
of header, then objects of a header of 16 bytes (index, references, size) and a body padded to 8,
or of free space (index 0), whose size includes its header. The library also reserves the memory
that a text's length asks for, up to 4 GB, before it finds that the text is not so long.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

__all__ = ["check_heaps", "check_texts"]

_SIGNATURE, _HEADER, _WRAP = b"GCOL\x01", 16, 2**64


def check_heaps(path: Path) -> None:
    r"""Raise if a global heap of an HDF5 file could not be walked to its end.

    Parameters
    ----------
    path : pathlib.Path
        The whole file is searched for heaps, at the speed of the disk.

    Raises
    ------
    ValueError
        Naming the file, if a heap is damaged.

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
    ValueError: ...heap.h5: the texts of the file are damaged (the heap at byte 0)
    """
    size = path.stat().st_size
    if size == 0:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        start = view.find(_SIGNATURE)
        while start >= 0:
            if not _can_be_walked(view, start, size):
                raise ValueError(
                    f"{path}: the texts of the file are damaged (the heap at byte {start})"
                )
            start = view.find(_SIGNATURE, start + 1)


def check_texts(dataset: h5py.Dataset) -> None:
    """Raise if a dataset of texts of any length cannot be read without harm.

    Parameters
    ----------
    dataset : h5py.Dataset

    Raises
    ------
    ValueError
        If a heap of the file is damaged, or a text is longer than the file.
    """
    path = Path(dataset.file.filename)
    check_heaps(path)
    n_bytes = _HEADER * dataset.size  # each text: its length (4), its heap (8), its index (4)
    start = dataset.id.get_offset()  # None unless it lies in one piece
    if start is None or dataset.file.userblock_size or dataset.id.get_storage_size() != n_bytes:
        return
    with path.open("rb") as stream:
        stream.seek(start)
        lengths = np.frombuffer(stream.read(n_bytes), dtype="<u4")[::4]
    if lengths.size and lengths.max() > path.stat().st_size:
        raise ValueError(f"{path}: a text of {lengths.max()} bytes in a smaller file")


def _can_be_walked(view: mmap.mmap, start: int, size: int) -> bool:
    if start + _HEADER > size:
        return True  # the library refuses it
    end = start + struct.unpack_from("<Q", view, start + 8)[0]
    if end > size:
        return True  # as it refuses what goes beyond the end of the file
    place = start + _HEADER
    while place + _HEADER <= end:
        index, length = struct.unpack_from("<H6xQ", view, place)
        step = length if index == 0 else (_HEADER + (length + 7) // 8 * 8) % _WRAP
        if step == 0 or place + step > end:
            return False
        place += step
    return True
