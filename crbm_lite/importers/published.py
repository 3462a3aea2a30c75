"""Importer of the published zebrafish recordings (HDF5, layout in `crbm_lite.recordings.layouts`).

`crbm_lite.recordings.files.load_recording` recognises this layout by itself and makes the choices
of the paper. Here you can make others.
"""

from __future__ import annotations

import os

from crbm_lite.checks.arguments import as_flag, as_path
from crbm_lite.files.hdf5 import open_hdf5
from crbm_lite.recordings.layouts import read_published
from crbm_lite.recordings.recording import Recording

__all__ = ["import_published"]


def import_published(
    path: str | os.PathLike,
    *,
    coordinates: str = "ZBrainCoordinates",
    keep_unlabelled: bool = False,
    dff: bool = True,
) -> Recording:
    """Import a recording in the published layout.

    Parameters
    ----------
    path : path of the HDF5 file
    coordinates : {"ZBrainCoordinates", "Coordinates"}
        Positions in the reference brain, common to all animals, or in the microscope; converted
        from mm to um.
    keep_unlabelled : bool
        Whether to keep neurons that lie in no region. The paper left them out.
    dff : bool
        Whether to load the calcium traces too, if there are any (4 T N bytes).

    Returns
    -------
    Recording
        ``rate_hz`` from the median step of Times; steps longer than 1.5 times the median become
        discontinuities. ``provenance`` says which neurons and coordinates were used.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError: the file is truncated, damaged or foreign; the message names the key.
    ValueError
        If `coordinates` is neither of the two.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> from crbm_lite.recordings.files import save_recording
    >>> from crbm_lite.recordings.recording import Recording
    >>> fish = Recording([[0, 1], [1, 0]], 2.5, coordinates=[[0, 0, 0], [10, 20, 30]],
    ...                  labels=[[1], [0]], label_names=["tectum"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_recording(Path(folder) / "fish.h5", fish, layout="published")
    ...     import_published(path).n_neurons, import_published(path, keep_unlabelled=True).n_neurons
    (1, 2)
    """
    if coordinates not in ("ZBrainCoordinates", "Coordinates"):
        raise ValueError(
            f"coordinates is {coordinates!r}: give 'ZBrainCoordinates' or 'Coordinates'"
        )
    as_flag(keep_unlabelled, "keep_unlabelled")
    as_flag(dff, "dff")
    with open_hdf5(as_path(path)) as file:
        return Recording(**read_published(file, dff, coordinates, keep_unlabelled))
