"""One way in for every format: `import_recording` finds out what a file is and calls its importer.

A folder is phy's if it holds spike_times.npy, else suite2p's. The endings .npy, .npz, .mat, .csv
and .nwb say their own format. An HDF5 file of any other ending is recognised by its keys.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.hdf5 import find_item, open_hdf5, read_attribute
from crbm_lite.importers.arrays import errors_name
from crbm_lite.importers.phy import is_phy
from crbm_lite.recordings.recording import Recording

__all__ = ["FORMATS", "format_of", "import_recording"]

#: Each format's importer: module of `crbm_lite.importers` and function.
FORMATS = {
    "numpy": ("numpy_file", "import_numpy"),
    "matlab": ("matlab", "import_matlab"),
    "csv": ("csv_file", "import_csv"),
    "hdf5": ("hdf5_file", "import_hdf5"),
    "suite2p": ("suite2p", "import_suite2p"),
    "caiman": ("caiman", "import_caiman"),
    "nwb": ("nwb", "import_nwb"),
    "phy": ("phy", "import_phy"),
    "spike_times": ("spike_times", "import_spike_times"),
    "published": ("published", "import_published"),
    "retinal_waves": ("retinal_waves", "import_retinal_waves"),
}
_ENDINGS = {
    ".npy": "numpy", ".npz": "numpy", ".mat": "matlab", ".csv": "csv", ".txt": "csv",
    ".tsv": "csv", ".nwb": "nwb",
}  # fmt: skip
_HDF5_ENDINGS = (".h5", ".hdf5", ".hdf")
_OWN = "crbm_lite"  # the format of save_recording, beside those that have an importer


def import_recording(
    path: str | os.PathLike, format: str | None = None, **options: object
) -> Recording:
    r"""Import a recording of any known format.

    Parameters
    ----------
    path : path of the file, or of the folder of suite2p or phy
    format : str, optional
        A key of `FORMATS`. If not given, it is found from the ending and, for HDF5, from the
        keys. Only a list of spike times in a text file must be named, as "spike_times".
    **options
        The options of the format's own importer. The most important are ``rate_hz``, ``keys`` and
        the way in which activity becomes 0/1: ``threshold``, ``amplitude_fraction``, ``kernel``.

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If the format is unknown, a bin width is missing, or the importer refuses the file.
    TypeError
        If the importer has no such option.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("1,0\n1,1\n0,0\n")
    ...     import_recording(path, rate_hz=2.5)
    Recording(3 frames x 2 neurons, 2.5 Hz, 1.2 s, activity 0.500)
    """
    path = as_path(path)
    if format is None:
        format = format_of(path)
    if format == _OWN and set(options) - {"dff"}:
        raise TypeError(
            f"{path}: it is a recording already, with its rate and its spikes: leave out "
            f"{', '.join(sorted(set(options) - {'dff'}))}"
        )
    importer = _importer(format)
    known = inspect.signature(importer).parameters
    for name in options:
        if name not in known:
            there = ", ".join(list(known)[1:])
            raise TypeError(f"{path}: the format {format} has no option {name} (it has {there})")
    for name, parameter in list(known.items())[1:]:
        if parameter.default is parameter.empty and name not in options:
            raise ValueError(f"{path}: the format {format} needs {name}: pass {name}=...")
    return importer(path, **options)


def format_of(path: str | os.PathLike) -> str:
    """Find the format of a file from its ending and, for HDF5, from its keys.

    Parameters
    ----------
    path : path of the file, or of the folder of suite2p or phy

    Returns
    -------
    str
        A key of `FORMATS`, or "crbm_lite" for a file of the package itself.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    RecordingError
        A ValueError: the file is damaged, or its ending belongs to no format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     format_of(folder)
    'suite2p'
    """
    path = as_path(path)
    with errors_name(path):
        if is_phy(path):
            return "phy"
        if path.is_dir():
            return "suite2p"
        ending = path.suffix.lower()
        if ending in _ENDINGS:
            return _ENDINGS[ending]
        if ending not in _HDF5_ENDINGS and not _is_hdf5(path):
            known = ", ".join([*_ENDINGS, *_HDF5_ENDINGS])
            raise ValueError(
                f"the ending {ending!r} belongs to no format ({known}): pass format=..."
            )
        with open_hdf5(path) as file:
            mark = read_attribute(file, "format")
            if isinstance(mark, bytes) and mark.startswith(_OWN.encode()):
                return _OWN
            for key, format in (
                ("Data/Brain", "published"), ("estimates", "caiman"), ("sCount", "retinal_waves"),
            ):  # fmt: skip
                if find_item(file, key) is not None:
                    return format
            return "hdf5"


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def _importer(format: str) -> Callable[..., Recording]:
    """Find the function that reads a format."""
    if format == _OWN:
        from crbm_lite.recordings.files import load_recording

        return load_recording
    if not isinstance(format, str) or format not in FORMATS:
        raise ValueError(f"format is {format!r}: give one of {', '.join(FORMATS)}")
    module, function = FORMATS[format]
    return getattr(importlib.import_module(f"crbm_lite.importers.{module}"), function)
