"""Importer of text tables: one row per frame, one column per neuron.

The first row may hold the names of the neurons, the first column the numbers of the frames, and one
column the times. Labels are never read as activity: where a row or column could be either, the file
is refused with the option that decides.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_flag, as_path, as_text
from crbm_lite.files.csv_cells import text_of_cell
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.memory import check_fits
from crbm_lite.importers.arrays import (
    OF_SPIKE_TIMES,
    ArrayOptions,
    errors_name,
    recording_from_arrays,
)
from crbm_lite.importers.labels import as_left_out, neurons_left, row_is_labels
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

__all__ = ["Table", "check_delimiter", "import_csv", "read_table"]

_OF_NUMBERS = '0123456789.eE+-"\r\n'  # no delimiters
_GAPS = ("na", "n/a", "#n/a", "null", "none", "-", "--", "?", ".")  # how programs write gaps
_NO_NAME = ("", "Unnamed: 0")  # how pandas heads an index
_FLAGS = {"true": "1", "false": "0"}
_EITHER = "could hold names or activity: pass header=True or header=False"


@takes_options_of(ArrayOptions, without=("keys", "coordinate_unit", "trial_axis", *OF_SPIKE_TIMES))
def import_csv(
    path: str | os.PathLike,
    *,
    time_column: str | None = None,
    delimiter: str = ",",
    header: bool | None = None,
    **options: object,
) -> Recording:
    r"""Import a text table of activity: of numbers, or of True and False.

    Parameters
    ----------
    path : path of the file
        UTF-8; one row for each frame. A first column without a name that numbers the frames, as
        pandas writes it, is left out; where it jumps, time does.
    time_column : str, optional
        Name of the column with the times in seconds; the other columns are neurons.
    delimiter : str
        What separates the columns (default ",").
    header : bool, optional
        Whether the first row (with ``time_axis=1`` the first column) holds names. If not given, it
        does where it holds texts or the numbers of the neurons. A file in which that is not
        certain is refused.

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
        blank row, a cell that is no number, a name that occurs twice, times that do not increase,
        a column that looks like frame numbers, activity that is not binary and no word on how to
        make it so.
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
    left_out = as_left_out(given.leave_out)
    with errors_name(path):
        check_fits(4 * path.stat().st_size, f"{path}")  # two characters become eight bytes
        table = read_table(path, delimiter, header, given.time_axis, left_out)
        arrays: dict[str, object] = {"spikes": table.numbers, "names": table.names}
        if time_column is not None:
            as_text(time_column, "time_column", "the name of a column")
            names = table.names or ()
            if time_column not in names:
                there = ", ".join(names[:10]) or "no names"
                raise RecordingError(f"{path}: key {time_column} is no column (it has {there})")
            place, axis = names.index(time_column), 1 - given.time_axis
            arrays["times_s"] = np.take(table.numbers, place, axis)
            arrays["spikes"] = np.delete(table.numbers, place, axis)
            arrays["names"] = names[:place] + names[place + 1 :]
        elif table.index is not None and given.rate_hz is not None and table.index.size > 1:
            step = np.median(np.diff(table.index))
            arrays["times_s"] = (table.index - table.index[0]) / (step * given.rate_hz)
        arrays = {key: values for key, values in arrays.items() if values is not None}
        rest = replace(given, leave_out=None if left_out else given.leave_out)
        return recording_from_arrays(path, arrays, "text table", rest, first_row=False)


@dataclass(frozen=True, eq=False)
class Table:
    """The numbers of a text table, and what its rows and columns are called.

    Parameters
    ----------
    numbers : (rows, columns) float64
    names : tuple of str, optional
        Of the neurons: of the columns, or of the rows where neurons are rows.
    index : float64 array, optional
        The numbers of the frames.
    """

    numbers: np.ndarray
    names: tuple[str, ...] | None
    index: np.ndarray | None = None


def read_table(
    path: Path,
    delimiter: str = ",",
    header: bool | None = None,
    time_axis: int = 0,
    leave_out: tuple[str | int, ...] = (),
) -> Table:
    r"""Read the numbers of a text table, and the names of its neurons if it has any.

    Parameters
    ----------
    path : pathlib.Path
    delimiter : str
    header : bool, optional
        See `import_csv`.
    time_axis : {0, 1}
        1 if the table has one row for each neuron.
    leave_out : tuple of str or int
        The neurons that are not read.

    Returns
    -------
    Table

    Raises
    ------
    RecordingError
        Naming the file and the row.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text(",a,b\n0,True,False\n1,False,False\n")
    ...     read_table(path)
    Table(numbers=array([[1., 0.],
           [0., 0.]]), names=('a', 'b'), index=array([0., 1.]))
    """
    check_delimiter(delimiter)
    if header is not None:
        as_flag(header, "header")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = _rows(csv.reader(stream, delimiter=delimiter), path)
            if time_axis == 0:
                return _frames_in_rows(rows, path, delimiter, header, leave_out)
            return _neurons_in_rows(rows, path, delimiter, header, leave_out)
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not a text file in UTF-8 ({error})") from error
    except csv.Error as error:
        raise RecordingError(f"{path}: no text table ({error})") from error


def _rows(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each row; only at the end may rows be blank."""
    blank, any_row = 0, False
    for cells in reader:
        cells = [text_of_cell(cell.strip()) for cell in cells]
        if cells in ([], [""]):
            blank = blank or reader.line_num
        elif blank and any_row:
            raise RecordingError(
                f"{path}: row {blank} is blank, and time would jump there: fill it, or remove it "
                "and give the times of the frames with time_column=..."
            )
        elif blank:
            break
        else:
            any_row = True
            yield reader.line_num, cells
    if not any_row:
        raise RecordingError(f"{path}: row 1 is empty: give a table, one row per frame")


def _frames_in_rows(
    rows: Iterator[tuple[int, list[str]]],
    path: Path,
    delimiter: str,
    header: bool | None,
    leave_out: tuple[str | int, ...],
) -> Table:
    first = next(rows)
    heads = None
    if _is_header(first[1], path) if header is None else header:
        heads = [first[1][0].lstrip("# "), *first[1][1:]]  # numpy writes "# a,b"
        heads = [text_of_cell(head) for head in heads]
    second = first if heads is None else next(rows, None)
    if second is None:
        raise RecordingError(f"{path}: it holds no row of numbers")
    n_columns = len(second[1])
    if heads is not None and len(heads) == n_columns - 1 and second[1][-1]:  # as R writes
        heads = ["", *heads]
    if heads is not None and len(heads) != n_columns:
        raise RecordingError(
            f"{path}: row 1 has {len(heads)} names for {n_columns} columns, separated by "
            f"{delimiter!r}"
        )
    has_index = heads is not None and heads[0] in _NO_NAME and n_columns > 1
    names = heads[has_index:] if heads else None
    keep = neurons_left(leave_out, names, n_columns - has_index, path)
    columns = np.flatnonzero(keep) + has_index
    names = tuple(heads[i] for i in columns) if heads else None
    if names and "" in names:
        raise RecordingError(
            f"{path}: row 1, column {columns[names.index('')] + 1} is empty: give each column a "
            "name, or no column"
        )
    numbers, index = [], []
    for number, cells in chain([second], rows):
        _check_length(cells, n_columns, path, number, delimiter)
        numbers.append(_as_numbers(cells, columns, path, number, delimiter))
        index += cells[:has_index]
    return Table(np.array(numbers), names, _frame_numbers(index, path))


def _neurons_in_rows(
    rows: Iterator[tuple[int, list[str]]],
    path: Path,
    delimiter: str,
    header: bool | None,
    leave_out: tuple[str | int, ...],
) -> Table:
    first = next(rows)
    frames = [cell for cell in first[1][1:] if _is_number(cell)]
    has_frames = len(frames) < len(first[1]) - 1 or bool(row_is_labels(_floats(frames)))
    second = next(rows, None) if has_frames else first
    if second is None:
        raise RecordingError(f"{path}: it holds no row of numbers")
    n_columns = len(second[1])
    if header is None:
        header = (has_frames and first[1][0] in _NO_NAME) or not _is_number(second[1][0])
        in_doubt = not header
    else:
        in_doubt = False
    names, numbers = [], []
    for number, cells in chain([second], rows):
        _check_length(cells, n_columns, path, number, delimiter)
        if not header or cells[0] not in leave_out:  # a row of texts can be left out by its name
            names += map(text_of_cell, cells[:header])
            numbers.append(
                _as_numbers(cells, np.arange(header, n_columns), path, number, delimiter)
            )
    table = np.array(numbers)
    if in_doubt and table.shape[1] > 1:
        header = row_is_labels(table[:, 0])
        if header is None:
            raise RecordingError(f"{path}: the first column {_EITHER}")
        names = [f"{x:g}" for x in table[:, 0]] if header else []
        table = table[:, int(header) :]
    left = tuple(x for x in leave_out if isinstance(x, int) or x in names or x.isdecimal())
    keep = neurons_left(left, names or None, len(table), path)
    names = tuple(name for name, kept in zip(names, keep, strict=False) if kept)
    index = first[1][-table.shape[1] :] if has_frames and len(frames) >= table.shape[1] else []
    return Table(table[keep], names or None, _frame_numbers(index, path))


def _is_header(cells: list[str], path: Path) -> bool:
    """Whether a first row holds the names of the neurons."""
    texts = [cell for cell in cells if not _is_number(cell)]
    is_labels = row_is_labels(_floats([cell for cell in cells if _is_number(cell)]))
    if not texts:
        if is_labels is None:
            raise RecordingError(f"{path}: row 1 ({', '.join(cells[:9])}) {_EITHER}")
        return is_labels
    if any(_is_number(cell.replace(",", ".")) for cell in texts if "," in cell):
        raise RecordingError(
            f"{path}: row 1 has numbers with decimal commas ({texts[0]}): write points"
        )
    gaps = [cell for cell in texts if cell.lower() in _GAPS]
    if texts == [""] and is_labels is False and len(cells) > 1:  # no numbers of neurons beside it
        gaps = ["an empty cell"]
    if gaps and len(texts) < len(cells):
        raise RecordingError(
            f"{path}: row 1 holds numbers and gaps ({gaps[0]}), not names: leave such frames or "
            "neurons out, or fill the gaps"
        )
    return True


def _check_length(cells: list[str], n: int, path: Path, row: int, delimiter: str) -> None:
    if len(cells) != n:
        raise RecordingError(
            f"{path}: row {row} has {len(cells)} columns, separated by {delimiter!r}, and the rows "
            f"before have {n}: give one number for each column"
        )


def _as_numbers(
    cells: list[str], columns: np.ndarray, path: Path, row: int, delimiter: str
) -> np.ndarray:
    try:
        return _floats([cells[i] for i in columns])
    except ValueError:
        place = next(i for i in columns if not _is_number(cells[i]))
        todo = f"give numbers, separated by {delimiter!r}, or leave it out with leave_out=[...]"
        if len(cells) == 2 and place == 0:
            todo = "a list of spikes (neuron, time) needs format='spike_times'"
        raise RecordingError(
            f"{path}: row {row}, column {place + 1} holds {cells[place]!r}: {todo}"
        ) from None


def _floats(cells: list[str]) -> np.ndarray:
    if "_" in "".join(cells):  # to Python 1_0 is 10
        raise ValueError("1_0 is no number")
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        return np.array([_FLAGS.get(cell.lower(), cell) for cell in cells], dtype=np.float64)


def _is_number(cell: str) -> bool:
    try:
        _floats([cell])
    except ValueError:
        return False
    return True


def _frame_numbers(index: list[str], path: Path) -> np.ndarray | None:
    """Return the frames of an index without a name; None if there is none, or it holds texts."""
    if not index or not all(map(_is_number, index)):
        return None
    frames = _floats(index)
    steps = np.diff(frames)
    if not (steps > 0).all() or (frames != np.round(frames)).any():
        raise RecordingError(
            f"{path}: the column (or row) without a name holds {', '.join(index[:3])}, ..., which "
            "do not number the frames: give it a name, and pass time_column=... if it holds times "
            "in seconds, or leave_out=[...] if it is no activity"
        )
    return frames


def check_delimiter(delimiter: object) -> None:
    """Raise ValueError unless it is a single character that is no part of a number."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in _OF_NUMBERS:
        raise ValueError(f"delimiter is {delimiter!r}: give the one character between columns")
