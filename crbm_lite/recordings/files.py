"""Recordings and their files: loading and saving HDF5, whole or not at all.

The layouts are those of `crbm_lite.recordings.layouts`. What a recording holds, and what can be
selected from it, is in `crbm_lite.recordings.recording`.
"""

from __future__ import annotations

import os
from pathlib import Path

from crbm_lite.checks.arguments import as_flag, as_path
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import find_item, open_hdf5, read_attribute
from crbm_lite.files.whole import whole_hdf5
from crbm_lite.recordings.layouts import (
    FORMAT,
    read_native,
    read_published,
    write_native,
    write_published,
)
from crbm_lite.recordings.recording import Recording, as_recording

__all__ = ["load_recording", "save_recording"]


def load_recording(path: str | os.PathLike, *, dff: bool = True) -> Recording:
    """Load a recording from HDF5, in our layout or in the published one (`recordings.layouts`).

    The layout is recognised by its keys. Of the published layout the neurons with at least one
    label are kept, and coordinates become micrometres; the provenance says so.

    Parameters
    ----------
    path : path of the file
    dff : bool
        Whether to load the calcium traces too, if there are any: 4 T N bytes of memory on top of
        the T N bytes of the spikes.

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError: the file is truncated, damaged or foreign, or was written by another version;
        the message names the file and the key.

    Examples
    --------
    >>> import tempfile
    >>> recording = Recording([[0, 1], [1, 0]], rate_hz=2.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_recording(Path(folder) / "small.h5", recording)
    ...     load_recording(path)
    Recording(2 frames x 2 neurons, 2.5 Hz, 0.8 s, activity 0.500)
    """
    path = as_path(path)
    as_flag(dff, "dff")
    with open_hdf5(path) as file:
        if read_attribute(file, "format") == FORMAT.encode():
            fields = read_native(file, dff)
        elif find_item(file, "Data/Brain") is not None:
            fields = read_published(file, dff)
        else:
            keys = ", ".join(sorted(file)[:5]) or "none"
            raise RecordingError(
                f"{path}: not a recording in a known layout: the attribute format is not "
                f"{FORMAT!r} and there is no key /Data/Brain (its keys: {keys}); build a "
                "Recording from the arrays, see crbm_lite.importers"
            )
        return Recording(**fields)


def save_recording(
    path: str | os.PathLike,
    recording: Recording,
    *,
    layout: str = "crbm_lite",
    overwrite: bool = False,
) -> Path:
    """Save a recording to HDF5, compressed, with a checksum on every dataset.

    The file appears whole or not at all: it is written under a temporary name beside `path` and
    then renamed.

    Parameters
    ----------
    path : path of the file to make
    recording : Recording
    layout : {"crbm_lite", "published"}
        Our layout, which keeps everything, or that of the published zebrafish recordings; see
        `crbm_lite.recordings.layouts`.
    overwrite : bool
        Whether to replace a file that is already there.

    Returns
    -------
    pathlib.Path
        The file made.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    ValueError
        If the layout is unknown, or lacks something that it requires.
    OSError
        If there is no room or no right to write; a file that was there is still there.
    """
    writers = {"crbm_lite": write_native, "published": write_published}
    if not isinstance(layout, str) or layout not in writers:
        raise ValueError(f"layout is {layout!r}: give one of {', '.join(writers)}")
    path = as_path(path)
    as_recording(recording)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: it is a folder; name a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: the file exists; choose another name or overwrite=True")
    # The newer file format checksums its own metadata.
    with whole_hdf5(path, libver=("v110", "latest")) as file:
        writers[layout](file, recording)
    return path
