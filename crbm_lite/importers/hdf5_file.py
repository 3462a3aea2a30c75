"""Importer of HDF5 files of any layout: the user names the keys.

No equations. Keys are paths, such as ``session/traces``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.hdf5 import get_dataset, open_hdf5, read_array, read_strings
from crbm_lite.importers.arrays import errors_name, recording_from_arrays
from crbm_lite.recordings.files import Recording

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from crbm_lite.calcium.deconvolution import CalciumKernel

__all__ = ["import_hdf5"]

_MOST_KEYS = 1000  # of a file's keys, those that messages may name


def import_hdf5(
    path: str | os.PathLike,
    *,
    keys: Mapping[str, str] | None = None,
    rate_hz: float | None = None,
    time_axis: int = 0,
    coordinate_unit: str = "um",
    threshold: float | np.ndarray | None = None,
    amplitude_fraction: float | None = None,
    kernel: CalciumKernel | None = None,
) -> Recording:
    """Import an HDF5 file with named keys.

    Parameters
    ----------
    path : path of the file
    keys : mapping, optional
        Which key is what, see `crbm_lite.importers.arrays`.
    rate_hz : float, optional
        Frames per second, where the file holds neither rate_hz nor times_s.
    time_axis : {0, 1}
        1 if the file has neurons first.
    coordinate_unit : str
    threshold, amplitude_fraction, kernel
        How activity that is not 0/1 becomes so, see `crbm_lite.importers.binarise.binarise`.

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
    path = as_path(path)
    with errors_name(path), open_hdf5(path) as file:
        return recording_from_arrays(
            path, _Datasets(file), "HDF5 with named keys",
            keys=keys, rate_hz=rate_hz, time_axis=time_axis, coordinate_unit=coordinate_unit,
            threshold=threshold, amplitude_fraction=amplitude_fraction, kernel=kernel,
        )  # fmt: skip


class _Datasets(Mapping):
    """The datasets of an open HDF5 file, read when asked for."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def __contains__(self, key: object) -> bool:
        import h5py

        return isinstance(self._file.get(str(key)), h5py.Dataset)

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
