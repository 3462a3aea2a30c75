"""Assemblies in files that other programs open: a table of neurons as CSV, arrays as HDF5.

Both hold for each neuron: its number and its name, its coordinates in the unit that they have, the
names of its regions, the assemblies it belongs to (`crbm_lite.assemblies.members`), and its weight
in every hidden unit.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from crbm_lite.assemblies.members import assemblies_of_weights
from crbm_lite.checks.arguments import as_path, as_text
from crbm_lite.checks.arrays import (
    check_unique,
    finite_places,
    finite_weights,
    neuron_names,
    region_members,
    region_names,
)
from crbm_lite.files.csv_cells import cell_of_text
from crbm_lite.files.whole import whole_hdf5, write_whole

__all__ = ["export_csv", "export_hdf5"]


@dataclass(frozen=True)
class _Neurons:
    """What is known about each neuron; its name is "" and its regions () if there are none."""

    weights: np.ndarray
    coordinates: np.ndarray
    unit: str
    names: tuple[str, ...]
    regions: list[tuple[str, ...]]
    assemblies: list[str]  # their names, separated by semicolons


def _checked(
    weights, coordinates, labels, label_names, names, coordinate_unit, threshold
) -> _Neurons:
    weights = finite_weights(weights)
    n = len(weights)
    places = np.full((n, 3), np.nan) if coordinates is None else finite_places(coordinates, n)
    regions: list[tuple[str, ...]] = [()] * n
    if labels is not None:
        member = region_members(labels, n)
        label_names = _writable(region_names(label_names, member.shape[1]), "label_names")
        check_unique(label_names, "label_names")
        for name in label_names:
            if ";" in name:
                raise ValueError(
                    f"label_names holds {name!r}: give names without a semicolon, which separates "
                    "the regions of a neuron"
                )
        per_neuron = np.split(member.indices, member.indptr[1:-1])
        regions = [tuple(label_names[r] for r in sorted(found)) for found in per_neuron]
    names = _writable(neuron_names(names, n) or ("",) * n, "names")
    unit = as_text(coordinate_unit, "coordinate_unit", 'a unit, such as "um"')
    _writable((unit,), "coordinate_unit")
    found = assemblies_of_weights(weights, threshold)
    assembly_names = found.names
    belongs = [";".join(compress(assembly_names, row)) for row in found.members]
    return _Neurons(weights, places, unit, names, regions, belongs)


def _writable(texts: tuple[str, ...], argument: str) -> tuple[str, ...]:
    for text in texts:
        if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise ValueError(
                f"{argument} holds {text!r}: give texts that a file can hold, in UTF-8 and without "
                "a zero byte"
            )
    return texts


def export_csv(
    path: str | os.PathLike,
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    labels: object = None,
    label_names: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    coordinate_unit: str = "um",
    threshold: float = 0.0,
) -> Path:
    """Write a CSV table with one row for each neuron; the file appears whole or not at all.

    Its columns are neuron (the number, from 0), name, x, y and z with their unit (x_um), region,
    assemblies ("HU 0;HU 3", with the sign if a unit has two), and the weight in each hidden unit
    (w0, w1, ...). A spreadsheet program would run a text that
    begins with =, +, - or @; such a text has an apostrophe in front, which
    `crbm_lite.files.csv_cells.text_of_cell` takes off.

    Parameters
    ----------
    path : path of the file to make
    weights : (N, M) float
    coordinates : (N, 3) float or None
        Without coordinates the three columns are nan.
    labels : (N, R) bool or scipy.sparse, optional
        Without them the column region is empty; several regions are separated by a semicolon.
    label_names : sequence of R str, optional
        Default "region 0", "region 1" and so on.
    names : sequence of N str, optional
        ``recording.names``; the column name is empty without them.
    coordinate_unit : str
        ``recording.coordinate_unit`` (default "um").
    threshold : float
        Size that the weights of members exceed, as in
        `crbm_lite.assemblies.members.assemblies_of_weights` (default 0). The columns of weights
        hold all of them.

    Returns
    -------
    pathlib.Path
        The file made.

    Raises
    ------
    ValueError
        If the shapes do not fit together, weights or coordinates are not finite, a name occurs
        twice or cannot be written, a region has a semicolon in its name, or the threshold is
        negative.
    OSError
        If the file cannot be written; what stood there before is still there.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "assemblies.csv"
    >>> path = export_csv(
    ...     file, [[0.5, 0.0]], np.zeros((1, 3)), [[True]], ["tectum"], names=["roi 7"])
    >>> path.read_text().splitlines()
    ['neuron,name,x_um,y_um,z_um,region,assemblies,w0,w1', '0,roi 7,0,0,0,tectum,HU 0,0.5,0']
    """
    path = as_path(path)
    table = _checked(weights, coordinates, labels, label_names, names, coordinate_unit, threshold)
    places = [f"{axis}_{table.unit}" for axis in "xyz"]
    columns = [f"w{k}" for k in range(table.weights.shape[1])]
    lines = [_csv_line(["neuron", "name", *places, "region", "assemblies", *columns])]
    rows = zip(
        table.names, table.coordinates, table.regions, table.assemblies, table.weights, strict=True
    )
    for i, (name, place, regions, belongs, row) in enumerate(rows):
        region = ";".join(map(cell_of_text, regions))
        numbers = (f"{x + 0.0:.9g}" for x in row)  # -0 becomes 0
        cells = [i, cell_of_text(name), *(f"{x:.9g}" for x in place), region, belongs, *numbers]
        lines.append(_csv_line(cells))
    write_whole(path, "".join(lines).encode())
    return path


def _csv_line(cells: list[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # ends in \r\n, so that it quotes cells with either sign
    return line.getvalue().removesuffix("\r\n") + "\n"


def export_hdf5(
    path: str | os.PathLike,
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    labels: object = None,
    label_names: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    coordinate_unit: str = "um",
    threshold: float = 0.0,
) -> Path:
    """Write the same as arrays into an HDF5 file, which appears whole or not at all.

    Its datasets are neuron (N,), name (N,), coordinates (N, 3) with the attribute "unit", region
    (N,), assemblies (N,) and weights (N, M).

    Parameters
    ----------
    path, weights, coordinates, labels, label_names, names, coordinate_unit, threshold
        As in `export_csv`.

    Returns
    -------
    pathlib.Path
        The file made.

    Raises
    ------
    ValueError, OSError
        As in `export_csv`.

    Examples
    --------
    >>> import h5py, tempfile
    >>> path = export_hdf5(Path(tempfile.mkdtemp()) / "assemblies.h5", [[0.5]], np.zeros((1, 3)))
    >>> with h5py.File(path) as file:
    ...     sorted(file), file["coordinates"].attrs["unit"]
    (['assemblies', 'coordinates', 'name', 'neuron', 'region', 'weights'], 'um')
    """
    import h5py

    from crbm_lite.files.hdf5 import write_dataset

    path = as_path(path)
    table = _checked(weights, coordinates, labels, label_names, names, coordinate_unit, threshold)
    with whole_hdf5(path) as file:
        file.attrs["format"] = "crbm_lite assemblies"
        write_dataset(file, "neuron", np.arange(len(table.weights)))
        write_dataset(file, "coordinates", table.coordinates)
        file["coordinates"].attrs["unit"] = table.unit
        write_dataset(file, "weights", table.weights)
        texts = h5py.string_dtype()
        file["name"] = np.array(table.names, dtype=texts)
        file["assemblies"] = np.array(table.assemblies, dtype=texts)
        file["region"] = np.array([";".join(regions) for regions in table.regions], dtype=texts)
    return path
