"""Importer of text tables: one row per frame, one column per neuron.

The first row may hold the names of the neurons, and one column the times of the frames.
"""

from __future__ import annotations

import csv
import os
import warnings
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_path, as_text
from crbm_lite.files.hdf5 import RecordingError
from crbm_lite.importers.arrays import ArrayOptions, errors_name, recording_from_arrays
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

__all__ = ["check_delimiter", "import_csv", "read_table"]

_OF_NUMBERS = '0123456789.eE+-"\r\n'  # no delimiters
_GAPS = ("na", "n/a", "#n/a", "null", "none", "-", "--", "?", ".")  # how programs write gaps


@takes_options_of(ArrayOptions, without=("keys", "coordinate_unit"))
def import_csv(
    path: str | os.PathLike,
    *,
    time_column: str | None = None,
    delimiter: str = ",",
    **options: object,
) -> Recording:
    r"""Import a text table of activity.

    Parameters
    ----------
    path : path of the file
        UTF-8; one row for each frame. A first row with a text in it holds the names.
    time_column : str, optional
        Name of the column with the times in seconds; the other columns are neurons.
    delimiter : str
        What separates the columns.

    Returns
    -------
    Recording
        Positions can be added with ``dataclasses.replace(recording, coordinates=...)``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError naming the file and the row or column: empty, rows of different lengths, a
        cell that is no number, a name that occurs twice, times that do not increase, activity that
        is not binary and no word on how to make it so.
    ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("t,left,right\n0.0,0,1\n0.5,1,1\n1.0,0,0\n")
    ...     recording = import_csv(path, time_column="t")
    >>> recording, recording.names
    (Recording(3 frames x 2 neurons, 2 Hz, 1.5 s, activity 0.500), ('left', 'right'))
    """
    path, given = as_path(path), ArrayOptions(**options)
    with errors_name(path):
        header, table = read_table(path, delimiter)
        arrays: dict[str, object] = {}
        if time_column is not None:
            as_text(time_column, "time_column", "the name of a column")
            if header is None or time_column not in header:
                there = ", ".join((header or ())[:10]) or "no names"
                raise RecordingError(f"{path}: key {time_column} is no column (it has {there})")
            column = header.index(time_column)
            arrays["times_s"] = table[:, column]
            table = np.delete(table, column, axis=1)
            header = header[:column] + header[column + 1 :]
        arrays["spikes"] = table
        if header is not None:
            arrays["names"] = header
        return recording_from_arrays(path, arrays, "text table", given)


def read_table(path: Path, delimiter: str) -> tuple[tuple[str, ...] | None, np.ndarray]:
    """Read the names (None if the first row is numbers) and the numbers of a text table.

    Raises
    ------
    RecordingError
        Naming the file and the row.
    """
    check_delimiter(delimiter)
    try:
        with path.open(encoding="utf-8-sig", newline=None) as stream:
            first = stream.readline()
            if not first.strip():
                raise RecordingError(f"{path}: row 1 is empty: give a table with one row per frame")
            row = csv.reader([first.rstrip("\n")], delimiter=delimiter)
            cells = tuple(cell.strip().strip('"') for cell in next(row))
            header = None if all(map(_is_number, cells)) else cells
            if header is None:
                stream.seek(0)
            elif any(_is_number(cell.replace(",", ".")) for cell in cells if "," in cell):
                raise RecordingError(
                    f"{path}: row 1 has numbers with decimal commas ({cells[0]}): write points"
                )
            if header is not None and _is_gap(cells):
                raise RecordingError(
                    f"{path}: row 1 holds numbers and gaps ({_is_gap(cells)}), not names: leave "
                    "such frames or neurons out, or fill the gaps"
                )
            if header is not None and "" in header:
                raise RecordingError(
                    f"{path}: row 1, column {header.index('') + 1} is empty: give each column a "
                    "name, or no column"
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # no rows: an error below
                table = np.loadtxt(
                    stream, delimiter=delimiter, comments=None, ndmin=2, quotechar='"'
                )
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not a text file in UTF-8 ({error})") from error
    except ValueError as error:
        if isinstance(error, RecordingError):
            raise
        where = " (rows counted after the names)" if header else ""
        text = str(error).split("; use")[0].rstrip(".")  # without numpy's advice on its options
        hint = "; a list of spikes (neuron, time) needs format='spike_times'"
        raise RecordingError(
            f"{path}: {text}{where}; every row must have one number for each column, separated "
            f"by {delimiter!r}{hint if len(cells) == 2 else ''}"
        ) from error
    if table.size == 0:
        raise RecordingError(f"{path}: it holds no row of numbers")
    if header is not None and len(header) != table.shape[1]:
        raise RecordingError(
            f"{path}: row 1 has {len(header)} names for {table.shape[1]} columns, separated by "
            f"{delimiter!r}"
        )
    return header, table


def check_delimiter(delimiter: object) -> None:
    """Raise ValueError unless it is a single character."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in _OF_NUMBERS:
        raise ValueError(f"delimiter is {delimiter!r}: give the one character between columns")


def _is_gap(cells: tuple[str, ...]) -> str:
    """Return the first cell that stands for a gap among numbers, such as NA."""
    gaps = [cell for cell in cells if cell.lower() in _GAPS]
    return gaps[0] if gaps and any(map(_is_number, cells)) else ""


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
