"""Importer of HDF5 files of any layout: the user names the keys.

Keys are paths, such as ``session/traces``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.hdf5 import find_item, get_dataset, open_hdf5, read_array, read_strings
from crbm_lite.importers.arrays import (
    OF_SPIKE_TIMES,
    ArrayOptions,
    errors_name,
    recording_from_arrays,
)
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

if TYPE_CHECKING:
    import h5py

__all__ = ["import_hdf5"]

_MOST_KEYS = 1000  # that messages may name


@takes_options_of(ArrayOptions, without=OF_SPIKE_TIMES)
def import_hdf5(path: str | os.PathLike, **options: object) -> Recording:
    """Import an HDF5 file with named keys.

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
        A ValueError naming the file and the key: truncated, damaged, a key is missing or does not
        fit the others, activity that is not binary and no word on how to make it so.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.h5"
    ...     with h5py.File(path, "w") as file:
    ...         file["session/events"] = [[0.0, 0.9], [0.3, 0.0], [0.1, 0.0]]
    ...         file["session/clock"] = [0.0, 0.4, 0.8]
    ...     names = {"spikes": "session/events", "times_s": "session/clock"}
    ...     import_hdf5(path, keys=names, threshold=0.2).spikes
    array([[0, 1],
           [1, 0],
           [0, 0]], dtype=uint8)
    """
    path, given = as_path(path), ArrayOptions(**options)
    with errors_name(path), open_hdf5(path) as file:
        return recording_from_arrays(path, _Datasets(file), "HDF5 with named keys", given)


class _Datasets(Mapping):
    """The datasets of an open HDF5 file, read when asked for."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def __contains__(self, key: object) -> bool:
        import h5py

        return isinstance(find_item(self._file, str(key)), h5py.Dataset)

    def __getitem__(self, key: str) -> object:
        if get_dataset(self._file, key).dtype.kind in "SO":
            return list(read_strings(self._file, key))
        return read_array(self._file, key)

    def __iter__(self) -> Iterator[str]:
        import h5py

        names: list[str] = []

        def note(name: str, item: object) -> bool | None:
            if isinstance(item, h5py.Dataset):
                names.append(name)
            return len(names) >= _MOST_KEYS or None  # anything but None ends the visit

        self._file.visititems(note)
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)
