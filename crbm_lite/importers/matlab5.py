"""Reader of MATLAB files of version 5 (``save -v6`` and ``-v7``) that no file can harm.

SciPy's reader trusts the file: indices of a sparse matrix that point outside it overwrite memory,
and damaged cells end the process. Here every element is looked at before it is used: it lies inside
the element that holds it, an array has as many numbers as its dimensions say, indices are inside
their matrix, and what is compressed is only inflated if it fits in memory. A variable is read when
it is asked for; the rest of the file is skipped.

The format: a header of 128 bytes, then elements. An element is a tag (kind, number of bytes), its
bytes, and a padding to 8. A variable is an element of kind 14, or such a one compressed (kind 15).
It holds flags and a class, dimensions, a name, and what its class asks for.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.sparse

from crbm_lite.files.errors import RecordingError
from crbm_lite.files.memory import check_fits, check_inflation

__all__ = ["Matlab5File", "as_cell"]

_HEADER = 128
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CODECS = {2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _OPAQUE = 1, 2, 3, 4, 5, 17
_IS_COMPLEX, _IS_LOGICAL = 0x800, 0x200
_HEAD = 2**10  # bytes in which the name of a variable is found
_PIECE = 2**20  # bytes that are inflated at once


@dataclass(frozen=True)
class _Matrix:
    """A variable, a cell or a field: its head, and its bytes from where the head ends."""

    kind: int
    is_complex: bool
    is_logical: bool
    shape: tuple[int, ...]
    name: str
    rest: _Elements
    cells: list[_Matrix] | None = None


class _Elements:
    """Elements one after the other in the bytes of the element that holds them."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.data, self.order, self.place = data, order, 0

    def next(self) -> tuple[int, memoryview]:
        """Return the kind and the bytes of the next element."""
        start = self.place + 8
        if start > len(self.data):
            raise ValueError("it ends too early")
        kind, size = struct.unpack_from(f"{self.order}II", self.data, self.place)
        if kind >> 16:  # a small element: its bytes are the second half of the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, self.place + 4
            self.place += 8
            if size > 4:
                raise ValueError("a small element of more than 4 bytes")
        else:
            self.place = min(start + size + (-size) % 8, max(len(self.data), start + size))
        if start + size > len(self.data):
            raise ValueError("an element is longer than what holds it")
        return kind, self.data[start : start + size]

    def numbers(self) -> np.ndarray:
        kind, data = self.next()
        if kind not in _NUMBERS:
            raise ValueError(f"an element of kind {kind} in the place of numbers")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if len(data) % dtype.itemsize:
            raise ValueError("a part of a number")
        return np.frombuffer(data, dtype)

    def matrix(self) -> _Matrix:
        kind, data = self.next()
        if kind != _MATRIX:
            raise ValueError(f"an element of kind {kind} in the place of an array")
        return _matrix(_Elements(data, self.order))


def _matrix(parts: _Elements) -> _Matrix:
    if not len(parts.data):
        return _Matrix(9, False, False, (0, 0), "", parts)  # [] in a cell or field
    flags = parts.numbers()
    if flags.size != 2:
        raise ValueError("no flags of an array")
    word = int(flags[0])
    shape = () if word & 0xFF == _OPAQUE else tuple(int(n) for n in parts.numbers())
    if any(n < 0 for n in shape):
        raise ValueError("negative dimensions")
    name = bytes(parts.next()[1]).decode("latin1")
    flags = (bool(word & bit) for bit in (_IS_COMPLEX, _IS_LOGICAL))
    return _Matrix(word & 0xFF, *flags, shape, name, parts)


class Matlab5File(Mapping):
    """The variables of a MATLAB file of version 5, read when asked for.

    Fields of a struct are named by a path. Texts become arrays of texts, cells of numbers lists of
    arrays, sparse matrices `scipy.sparse.csc_array`.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    RecordingError
        If the file is damaged, or a variable does not fit in memory.

    Examples
    --------
    >>> import tempfile, scipy.io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.mat"
    ...     scipy.io.savemat(path, {"session": {"spikes": [[0, 1], [1, 0]], "unit": "um"}})
    ...     file = Matlab5File(path)
    ...     list(file), file["session/spikes"].tolist(), file["session/unit"].tolist()
    (['session'], [[0, 1], [1, 0]], ['um'])
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int, int]] = {}
        with path.open("rb") as stream:
            self._order = "<" if stream.read(_HEADER)[126:128] == b"IM" else ">"
            place, end = _HEADER, path.stat().st_size
            while place < end:
                stream.seek(place)
                kind, size = self._tag(stream.read(8))
                if place + 8 + size > end or kind not in (_MATRIX, _COMPRESSED):
                    raise RecordingError(f"{path} is truncated or damaged at byte {place:,}")
                head = stream.read(min(size, _HEAD))
                if kind == _COMPRESSED:
                    head = zlib.decompressobj().decompress(head, _HEAD)[8:]
                name = _matrix(_Elements(memoryview(head), self._order)).name
                if name.isidentifier():  # MATLAB's own notes have no name
                    self._places[name] = (place, kind, size)
                place += 8 + size + ((-size) % 8 if kind == _MATRIX else 0)

    def _tag(self, data: bytes) -> tuple[int, int]:
        if len(data) != 8:
            raise RecordingError(f"{self._path} is truncated")
        return struct.unpack(f"{self._order}II", data)

    def __contains__(self, key: object) -> bool:
        root, *fields = str(key).split("/")
        return root in self._places and (not fields or self._found(str(key)) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: str) -> object:
        where = f"{self._path}: key {key}"
        try:
            matrix = self._found(key)
            if matrix is None:
                raise RecordingError(f"{where} is missing")
            if matrix.kind in (_STRUCT, _OBJECT):
                field = next(iter(_fields(matrix)), "...")
                raise RecordingError(f"{where} is a struct: name its field, such as {key}/{field}")
            return _value(matrix)
        except RecordingError:
            raise
        except Exception as error:  # whatever damage sets off in the decoders
            raise RecordingError(f"{where} cannot be read ({error})") from error

    def _found(self, key: str) -> _Matrix | None:
        root, *fields = key.split("/")
        if root not in self._places:
            return None
        with self._path.open("rb") as stream:
            matrix = _Elements(self._inflated(stream, root), self._order).matrix()
        for field in fields:
            if matrix is None or matrix.kind not in (_STRUCT, _OBJECT):
                return None
            matrix = _fields(matrix).get(field)
        return matrix

    def _inflated(self, stream: BinaryIO, name: str) -> memoryview:
        """Return a variable's element, tag and bytes."""
        place, kind, size = self._places[name]
        where = f"{self._path}: key {name}"
        stream.seek(place)
        if kind == _MATRIX:
            check_fits(size, where)
            return memoryview(stream.read(8 + size))
        stream.seek(place + 8)
        left, inflater = size, zlib.decompressobj()
        out, done = np.empty(8, np.uint8), 0
        while not inflater.eof and left + len(inflater.unconsumed_tail):
            piece = inflater.unconsumed_tail or stream.read(min(left, _PIECE))
            left -= 0 if inflater.unconsumed_tail else len(piece)
            got = inflater.decompress(piece, min(_PIECE, out.size - done) if done < 8 else _PIECE)
            if done + len(got) > out.size:
                raise RecordingError(f"{where} inflates to more than it declares: it is damaged")
            out[done : done + len(got)] = np.frombuffer(got, np.uint8)
            done += len(got)
            if done == 8 == out.size:
                n_bytes = self._tag(out.tobytes())[1]
                check_inflation(n_bytes, size, where)
                check_fits(n_bytes, where)
                tag, out = out, np.empty(8 + n_bytes, np.uint8)
                out[:8] = tag
        if done < out.size or not inflater.eof:  # the checksum comes last
            raise RecordingError(f"{where} is truncated or damaged")
        return out.data


def _fields(matrix: _Matrix) -> dict[str, _Matrix]:
    """Return the fields of a struct; those of an array of structs are cells."""
    parts = _Elements(matrix.rest.data, matrix.rest.order)
    parts.place = matrix.rest.place
    if matrix.kind == _OBJECT:
        parts.next()  # the name of the class
    length = int(parts.numbers()[0])
    names = bytes(parts.next()[1])
    if length < 1:
        raise ValueError("field names of no length")
    names = [names[i : i + length].split(b"\0")[0] for i in range(0, len(names), length)]
    n = math.prod(matrix.shape)
    found = [parts.matrix() for _ in _at_most(n * len(names), parts)]
    return {
        name.decode("latin1"): found[i]
        if n == 1
        else replace(matrix, kind=_CELL, cells=found[i :: len(names)])
        for i, name in enumerate(names)
    }


def _value(matrix: _Matrix) -> object:
    n = math.prod(matrix.shape)
    if matrix.is_complex:
        raise ValueError("complex numbers")
    if matrix.kind == _CELL:
        cells = matrix.cells or [matrix.rest.matrix() for _ in _at_most(n, matrix.rest)]
        if any(cell.kind == _CELL for cell in cells):
            raise ValueError("a cell in a cell")
        return as_cell([_value(cell) for cell in cells])
    if matrix.kind == _CHAR:
        return _texts(matrix)
    if matrix.kind == _SPARSE:
        return _sparse(matrix)
    if not 6 <= matrix.kind <= 15:
        raise ValueError(f"an array of class {matrix.kind}, neither numbers nor texts")
    if not n:
        return np.zeros(matrix.shape)
    numbers = matrix.rest.numbers()
    if numbers.size != n:
        raise ValueError(f"{numbers.size} numbers for the shape {matrix.shape}")
    return numbers.reshape(matrix.shape, order="F")


def as_cell(values: list) -> np.ndarray | list[np.ndarray]:
    """Return the contents of a cell: an array of texts, or a list of arrays of numbers.

    Examples
    --------
    >>> as_cell([np.array(["a"]), np.array(["b"])]).tolist()
    ['a', 'b']
    """
    if not all(isinstance(x, np.ndarray) for x in values):
        raise ValueError("a cell of other than texts or numbers")
    if not any(x.dtype.kind == "U" for x in values):
        return values
    if any(x.size != 1 for x in values):
        raise ValueError("a cell of other than single texts")
    return np.array([f"{x.item():g}" if x.dtype.kind != "U" else x.item() for x in values])


def _at_most(n: int, parts: _Elements) -> range:
    """Count to n, unless there cannot be n elements of 8 bytes or more."""
    if n > (len(parts.data) - parts.place) // 8:
        raise ValueError(f"{n} cells in {len(parts.data):,} bytes")
    return range(n)


def _texts(matrix: _Matrix) -> np.ndarray:
    """Read characters: one text for each row."""
    if not math.prod(matrix.shape):
        return np.array([""])
    kind, data = matrix.rest.next()
    if kind not in _CODECS:
        raise ValueError(f"an element of kind {kind} in the place of texts")
    suffix = {"<": "-le", ">": "-be"}[matrix.rest.order] if kind not in (2, 16) else ""
    text = bytes(data).decode(_CODECS[kind] + suffix)
    rows = matrix.shape[0]
    if len(matrix.shape) != 2 or len(text) != math.prod(matrix.shape):
        if rows != 1:
            raise ValueError(f"{len(text)} characters for the shape {matrix.shape}")
        return np.array([text])
    return np.array([text[row::rows] for row in range(rows)])


def _sparse(matrix: _Matrix) -> scipy.sparse.csc_array:
    """Read a sparse matrix, whose indices are checked before anything follows them."""
    indices, starts = (matrix.rest.numbers() for _ in range(2))
    kind, data = matrix.rest.next()
    if matrix.is_logical:  # written as bytes under the tag of doubles
        kind = 2 if len(data) < 8 * indices.size else kind
    values = np.frombuffer(data, matrix.rest.order + _NUMBERS[kind])
    if len(matrix.shape) != 2 or indices.dtype.kind not in "iu" or starts.dtype.kind not in "iu":
        raise ValueError("no sparse matrix of two dimensions")
    n_rows, n_columns = matrix.shape
    starts = starts.astype(np.int64)
    if starts.size != n_columns + 1 or starts[0] != 0 or (np.diff(starts) < 0).any():
        raise ValueError("columns of a sparse matrix that do not follow each other")
    n = int(starts[-1])
    indices, values = indices[:n].astype(np.int64), values[:n]
    if (
        indices.size != n
        or values.size != n
        or (n and not 0 <= indices.min() <= indices.max() < n_rows)
    ):
        raise ValueError("indices outside the sparse matrix")
    return scipy.sparse.csc_array((values, indices, starts), shape=matrix.shape)
