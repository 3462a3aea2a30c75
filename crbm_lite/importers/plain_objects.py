"""Numbers and texts out of pickled .npy files, without unpickling them.

A pickle is a program: loading one can run anything. suite2p stores its settings and
its cells as pickled dictionaries all the same, so here the stream is read opcode by opcode (with
`pickletools`, which executes nothing) onto a stack of our own. Lists, tuples, dictionaries, numbers
and texts are built as they are, and arrays and scalars of NumPy from their bytes. Whatever else
the stream names (a function, a class, a path) is never looked up, imported or called: an `Opaque`
stands in its place. The module `pickle` is not used.
"""

from __future__ import annotations

import pickletools
from pathlib import Path

import numpy as np

from crbm_lite.files.errors import RecordingError, check_regular_file
from crbm_lite.files.memory import check_fits

__all__ = ["Opaque", "as_numbers", "read_objects"]

_PUSH = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8", "STRING", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# suite2p's settings take 1,000 steps and some for each file of the movie, a cell takes 300.
_MOST_STEPS, _STEPS_PER_OBJECT = 500_000, 600
_KEYS = (str, int, float, bytes, type(None))


class Opaque:
    """Stands where a stream names something that is not plain data; it can do nothing."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Dtype:
    """A dtype on its way: its code, then its byte order."""

    def __init__(self, code: object) -> None:
        self.code, self.order = code, "="

    def build(self, state: object) -> None:
        if not isinstance(state, tuple) or any(part is not None for part in state[2:5]):
            raise ValueError("an array of records or subarrays")
        self.order = str(state[1])

    def dtype(self) -> np.dtype:
        dtype = np.dtype(str(self.code)).newbyteorder(self.order.replace("|", "="))
        if dtype.kind not in "biufSU" or dtype.itemsize == 0:
            raise ValueError(f"an array of dtype {dtype}")
        return dtype


class _Array:
    """An array on its way: nothing, then its numbers or a list of objects."""

    def __init__(self) -> None:
        self.value: np.ndarray | list = []

    def build(self, state: object) -> None:
        _, shape, dtype, fortran, data = state
        if isinstance(data, list):
            self.value = data
        else:
            raw = data.encode("latin1") if isinstance(data, str) else data
            flat = np.frombuffer(raw, dtype=dtype.dtype())
            self.value = flat.reshape(shape, order="F" if fortran else "C")


def read_objects(path: Path, n_objects: int = 1) -> list:
    """Read the objects of a pickled .npy file as plain data.

    Parameters
    ----------
    path : pathlib.Path
    n_objects : int
        How many objects there may be. A stream with many more steps than these take is refused:
        each step can ask for a hundred times its own size.

    Returns
    -------
    list
        The objects of the array in their order; one for an array without axes.

    Raises
    ------
    RecordingError
        If the file is truncated, damaged, or no .npy of objects.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ops.npy"
    ...     np.save(path, {"fs": 10.0, "nplanes": 1})
    ...     read_objects(path)
    [{'fs': 10.0, 'nplanes': 1}]
    """
    check_regular_file(path)
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                version, np.lib.format.read_array_header_2_0
            )
            _, _, dtype = read(stream)
            if not dtype.hasobject:
                raise ValueError(f"it holds {dtype}, not objects")
            check_fits(path.stat().st_size, f"{path}")
            found = _run(stream.read(), _MOST_STEPS + _STEPS_PER_OBJECT * n_objects)
        if not isinstance(found, _Array) or not isinstance(found.value, list):
            raise ValueError("it holds no array of objects")
        return found.value
    except (OSError, RecordingError):
        raise
    except Exception as error:  # a damaged stream can break any rule of the format
        raise RecordingError(
            f"{path}: not a readable .npy file of objects, truncated or damaged ({error})"
        ) from error


def as_numbers(value: object) -> np.ndarray:
    """Turn a number, or an array, list or tuple of numbers that was read, into float64.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    value = value.value if isinstance(value, _Array) else value
    parts = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(part, (int, float, np.generic, np.ndarray)) for part in parts):
        raise ValueError("it is not a number or a list of numbers")
    return np.asarray(value, dtype=np.float64)


def _run(stream: bytes, most_steps: int) -> object:
    """Carry out a pickle's stack machine with plain data only."""
    stack: list = []
    marks: list[list] = []
    memo: dict[int, object] = {}

    def items() -> list:
        nonlocal stack
        above, stack = stack, marks.pop()
        return above

    for step, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
        if step == most_steps:
            raise ValueError(f"more than {most_steps:,} steps")
        name = opcode.name
        if name in _PUSH:
            stack.append(arg)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name in _TUPLES:
            parts = tuple(stack[-_TUPLES[name] :])
            del stack[-_TUPLES[name] :]
            stack.append(parts)
        elif name == "MARK":
            marks.append(stack)
            stack = []
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[arg] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[arg])
        elif name == "TUPLE":
            parts = tuple(items())
            stack.append(parts)
        elif name in ("LIST", "FROZENSET"):
            parts = items()
            stack.append(parts)
        elif name == "DICT":
            parts = items()
            stack.append({})
            _set(stack[-1], parts)
        elif name in ("APPENDS", "ADDITEMS"):
            parts = items()
            stack[-1].extend(parts)
        elif name == "APPEND":
            part = stack.pop()
            stack[-1].append(part)
        elif name in ("SETITEM", "SETITEMS"):
            parts = items() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _set(stack[-1], parts)
        elif name == "GLOBAL":
            stack.append(Opaque(arg.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(Opaque(f"{module}.{attribute}"))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], (_Array, _Dtype)):
                stack[-1].build(state)
        elif name in ("POP", "DUP"):
            stack.append(stack[-1]) if name == "DUP" else stack.pop()
        elif name == "POP_MARK":
            items()
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"opcode {name}")
    raise ValueError("no end")


def _set(target: object, parts: list) -> None:
    """Fill a dictionary; a key is a text or a number (others could be costly to hash)."""
    if not isinstance(target, dict) or len(parts) % 2:
        raise ValueError("items of no dictionary")
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if not isinstance(key, _KEYS):
            raise ValueError("a key that is no text or number")
        target[key] = value


def _made(function: object, arguments: object) -> object:
    """What a call stands for: an array, a dtype, a scalar, bytes, or something opaque."""
    name = function.name if isinstance(function, Opaque) else "unknown"
    last = name.rpartition(".")[2]
    if name in ("numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct"):
        return _Array()
    if name == "numpy.dtype":
        return _Dtype(arguments[0])
    if name in ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar"):
        dtype, raw = arguments
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        return np.frombuffer(raw, dtype=dtype.dtype()).item()
    if name == "_codecs.encode" and arguments[1:] == ("latin1",):
        return arguments[0].encode("latin1")
    if last == "_frombuffer" and name.startswith("numpy."):
        raw, dtype, shape, order = arguments
        array = _Array()
        array.build((1, shape, dtype, order == "F", bytes(raw)))
        return array
    return Opaque(name)
