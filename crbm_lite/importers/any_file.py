"""One way in for every format: `import_recording` finds out what a file is and calls its importer.

No equations. A folder is suite2p's; the endings .npy, .npz, .mat, .csv, .nwb tell their own format;
an HDF5 file is told by its keys.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from crbm_lite.hdf5 import open_hdf5
from crbm_lite.importers.arrays import errors_name
from crbm_lite.recordings import Recording

__all__ = ["FORMATS", "import_recording"]

#: Each format's importer: module of `crbm_lite.importers` and function.
FORMATS = {
    "numpy": ("numpy_file", "import_numpy"),
    "matlab": ("matlab", "import_matlab"),
    "csv": ("csv_file", "import_csv"),
    "hdf5": ("hdf5_file", "import_hdf5"),
    "suite2p": ("suite2p", "import_suite2p"),
    "caiman": ("caiman", "import_caiman"),
    "nwb": ("nwb", "import_nwb"),
    "spike_times": ("spike_times", "import_spike_times"),
    "published": ("published", "import_published"),
    "retinal_waves": ("retinal_waves", "import_retinal_waves"),
}
_ENDINGS = {
    ".npy": "numpy", ".npz": "numpy", ".mat": "matlab", ".csv": "csv", ".txt": "csv",
    ".tsv": "csv", ".nwb": "nwb",
}  # fmt: skip
_HDF5_ENDINGS = (".h5", ".hdf5", ".hdf")


def import_recording(
    path: str | os.PathLike, format: str | None = None, **options: object
) -> Recording:
    r"""Import a recording of any known format.

    Parameters
    ----------
    path : path of the file, or of suite2p's folder
    format : str, optional
        A key of `FORMATS`. If not given, it is told from the ending and, for HDF5, from the keys;
        a list of spike times in a text file must be named, as "spike_times".
    **options
        Those of the format's own importer; the most important are ``rate_hz``, ``keys`` and the
        way in which activity becomes 0/1: ``threshold``, ``amplitude_fraction`` or ``kernel``.

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If the format is unknown, or as the importer.
    TypeError
        If the importer has no such option.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("0,1\n1,1\n0,0\n")
    ...     import_recording(path, rate_hz=2.5)
    Recording(3 frames x 2 neurons, 2.5 Hz, 1.2 s, activity 0.500)
    """
    path = Path(path)
    if format is None:
        format = _format_of(path)
    if format == "crbm_lite":
        from crbm_lite.recordings import load_recording

        return load_recording(path, **options)
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}: expected one of {', '.join(FORMATS)}")
    module, function = FORMATS[format]
    importer = getattr(importlib.import_module(f"crbm_lite.importers.{module}"), function)
    return importer(path, **options)


def _format_of(path: Path) -> str:
    with errors_name(path):
        if path.is_dir():
            return "suite2p"
        ending = path.suffix.lower()
        if ending in _ENDINGS:
            return _ENDINGS[ending]
        if ending not in _HDF5_ENDINGS:
            known = ", ".join([*_ENDINGS, *_HDF5_ENDINGS])
            raise ValueError(f"the ending {ending!r} tells no format ({known}): pass format")
        with open_hdf5(path) as file:
            if "format" in file.attrs:
                return "crbm_lite"
            for key, format in (
                ("Data/Brain", "published"), ("estimates", "caiman"), ("sCount", "retinal_waves"),
            ):  # fmt: skip
                if key in file:
                    return format
            return "hdf5"
