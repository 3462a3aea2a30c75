"""Whether a dataset holds the numbers that it declares, before they are read.

No equations. HDF5 gives zeros, without a word, for what was declared and never written and for what
lies in files that are not there; and a few bytes of a file can declare, or inflate to, more than
any memory.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

__all__ = ["RecordingError", "check_fits", "check_sound"]

# Bytes declared for each byte stored: deflate reaches 1,032. Small arrays are let alone.
_MOST_INFLATION, _SMALL_BYTES = 2000, 2**26


class RecordingError(ValueError):
    """A file that is not a readable recording; the message names the file and the key."""


def check_fits(n_bytes: int, where: str) -> None:
    """Raise a RecordingError if an array takes more than half of this machine's memory.

    Examples
    --------
    >>> check_fits(10**18, "a.npz: key spikes")
    Traceback (most recent call last):
    crbm_lite.files.soundness.RecordingError: a.npz: key spikes declares 1,000,000,000.0 GB, more
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
    crbm_lite.files.soundness.RecordingError: none.h5: key x was declared and never written, ...
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
