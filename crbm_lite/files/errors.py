"""What goes wrong with a file, and one way to say it: an error that names the file on one line."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "FAILURES",
    "FileError",
    "RecordingError",
    "check_regular_file",
    "named_failures",
    "one_line",
]

# What readers raise on a damaged file. Whatever else they raise is a mistake of ours.
FAILURES = (
    OSError, RuntimeError, TypeError, LookupError, ValueError, ArithmeticError, AttributeError,
    MemoryError,
)  # fmt: skip


class FileError(ValueError):
    """A file that cannot be used; the message names the file and, where there is one, the key."""


class RecordingError(FileError):
    """A file that is not a readable recording; the message names the file and the key."""


def one_line(error: BaseException) -> str:
    r"""Return the text of an error on one line, without the quotes that KeyError adds.

    Examples
    --------
    >>> one_line(KeyError("there is no\nkey"))
    'there is no key'
    """
    quoted = isinstance(error, KeyError) and error.args
    return " ".join(str(error.args[0] if quoted else error).split())


def check_regular_file(path: Path, kind: type[FileError] = RecordingError) -> None:
    """Raise unless a path leads to a regular file that may be read.

    A named pipe would let the reader wait for ever.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileError
        Of that kind, if it is something else or may not be read.

    Examples
    --------
    >>> check_regular_file(Path("/dev/null"))
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: /dev/null is no regular file: give the path of a file
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()  # the system says more plainly than HDF5 why it cannot
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except OSError as error:
        raise kind(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise kind(f"{path}: Is a directory: give the path of a file")
    if not stat.S_ISREG(mode):
        raise kind(f"{path} is no regular file: give the path of a file")


@contextmanager
def named_failures(where: str, kind: type[FileError] = RecordingError) -> Iterator[None]:
    """Turn every failure to read a file into an error of one kind that says where it happened.

    Parameters
    ----------
    where : str
        The file, and the key in it.
    kind : type of FileError
        What a failure becomes, RecordingError by default. A FileError that is raised inside knows
        already where it happened and keeps its text.

    Examples
    --------
    >>> with named_failures("mine.h5: key /spikes"):
    ...     {}["shape"]
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: mine.h5: key /spikes cannot be read (shape)
    """
    try:
        yield
    except FileError as error:
        if isinstance(error, kind):
            raise
        raise kind(str(error)) from error
    except FAILURES as error:
        raise kind(f"{where} cannot be read ({one_line(error)})") from error
