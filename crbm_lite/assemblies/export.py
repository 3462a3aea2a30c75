"""Assemblies in files that other programs open: a table of neurons as CSV, arrays as HDF5.

No equations. Both hold, neuron by neuron: its number, coordinates in micrometres, the names of its
regions, and its weight in every assembly.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crbm_lite.checks.arrays import finite_places, finite_weights, region_members, region_names
from crbm_lite.files.whole import whole_hdf5, write_whole

__all__ = ["export_csv", "export_hdf5"]


def _region_of_neuron(
    n_neurons: int, labels: object, label_names: Sequence[str] | None
) -> list[str]:
    """Names of each neuron's regions, several joined by a semicolon, none as an empty string."""
    if labels is None:
        return [""] * n_neurons
    member = region_members(labels, n_neurons)
    names = region_names(label_names, member.shape[1])
    starts = member.indptr
    return [
        ";".join(names[r] for r in sorted(member.indices[starts[i] : starts[i + 1]]))
        for i in range(n_neurons)
    ]


def _checked(weights: np.ndarray, coordinates: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    weights = finite_weights(weights)
    if coordinates is None:
        return weights, np.full((len(weights), 3), np.nan)
    return weights, finite_places(coordinates, len(weights))


def export_csv(
    path: str | os.PathLike,
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    labels: object = None,
    label_names: Sequence[str] | None = None,
) -> Path:
    """Write neuron, x_um, y_um, z_um, region and each assembly's weight to a CSV file.

    The file appears whole or not at all.

    Parameters
    ----------
    path : path of the file to make
    weights : (N, M) float
    coordinates : (N, 3) float, um, or None
        Without coordinates the three columns are nan.
    labels : (N, R) bool or scipy.sparse, optional
        Without them the column region is empty; several regions are joined by a semicolon.
    label_names : sequence of R str, optional

    Returns
    -------
    pathlib.Path
        The file made.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or weights or coordinates are not finite.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "assemblies.csv"
    >>> path = export_csv(file, [[0.5, 0.0]], np.zeros((1, 3)), [[True]], ["tectum"])
    >>> path.read_text().splitlines()
    ['neuron,x_um,y_um,z_um,region,w0,w1', '0,0,0,0,tectum,0.5,0']
    """
    weights, places = _checked(weights, coordinates)
    regions = _region_of_neuron(len(weights), labels, label_names)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"w{k}" for k in range(weights.shape[1])]
    writer.writerow(["neuron", "x_um", "y_um", "z_um", "region", *columns])
    for i, (place, region, row) in enumerate(zip(places, regions, weights, strict=True)):
        numbers = (f"{x + 0.0:.9g}" for x in row)  # -0 becomes 0
        writer.writerow([i, *(f"{x:.9g}" for x in place), region, *numbers])
    write_whole(path, text.getvalue().encode())
    return Path(path)


def export_hdf5(
    path: str | os.PathLike,
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    labels: object = None,
    label_names: Sequence[str] | None = None,
) -> Path:
    """Write the same as arrays: neuron (N,), coordinates_um (N, 3), region (N,), weights (N, M).

    Parameters, Raises: see `export_csv`. An existing file is replaced.

    Returns
    -------
    pathlib.Path
        The file made.

    Examples
    --------
    >>> import h5py, tempfile
    >>> path = export_hdf5(Path(tempfile.mkdtemp()) / "assemblies.h5", [[0.5]], np.zeros((1, 3)))
    >>> with h5py.File(path) as file:
    ...     sorted(file)
    ['coordinates_um', 'neuron', 'region', 'weights']
    """
    import h5py

    from crbm_lite.files.hdf5 import write_dataset

    weights, places = _checked(weights, coordinates)
    regions = _region_of_neuron(len(weights), labels, label_names)
    with whole_hdf5(path) as file:
        file.attrs["format"] = "crbm_lite assemblies"
        write_dataset(file, "neuron", np.arange(len(weights)))
        write_dataset(file, "coordinates_um", places)
        write_dataset(file, "weights", weights)
        file["region"] = np.array(regions, dtype=h5py.string_dtype())
    return Path(path)
