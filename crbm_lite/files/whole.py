"""Writing files whole or not at all, by one process at a time, and the folder of what is kept."""

from __future__ import annotations

import io
import os
import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

__all__ = [
    "cache_folder",
    "new_hdf5",
    "one_process_at_a_time",
    "synchronise",
    "whole_hdf5",
    "write_whole",
]


_SILENT_S = 5.0  # waiting for another process is not worth a word before


def cache_folder() -> Path:
    """Return the folder for downloads and trained models.

    It is the one named by the environment variable CRBM_LITE_CACHE, else the system's cache folder
    for crbm_lite.
    """
    import platformdirs

    return Path(os.environ.get("CRBM_LITE_CACHE") or platformdirs.user_cache_dir("crbm_lite"))


@contextmanager
def one_process_at_a_time(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Let one process at a time make a file; the others wait until it has done so.

    The lock is a file beside it, ``<name>.lock``, which is removed at the end. The system frees the
    lock of a process however that ends, so nothing has to time out. Where there are no locks
    (Windows, some network disks), or where nothing can be written, nobody waits.

    Parameters
    ----------
    path : path
    wait : bool, default True
        Whether to wait for another process that makes the file.

    Raises
    ------
    BlockingIOError
        If another process makes the file and ``wait`` is False.

    Warns
    -----
    UserWarning
        If it waits for longer than five seconds; the warning names the other process.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with one_process_at_a_time(Path(folder) / "model.h5"):
    ...         os.listdir(folder)
    ['model.h5.lock']
    """
    lock = path.with_name(f"{path.name}.lock")
    handle = _locked(lock, wait)
    try:
        yield
    finally:
        if handle is not None:
            lock.unlink(missing_ok=True)
            os.close(handle)


def _locked(lock: Path, wait: bool) -> int | None:
    """Take a lock and return the open file that holds it; None where there can be no lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # a disk or folder that may only be read
            return None
        try:
            until = time.monotonic() + (_SILENT_S if wait else 0.0)
            while not _is_taken(handle):
                if time.monotonic() < until:
                    time.sleep(0.02)
                    continue
                if not wait:
                    raise BlockingIOError
                warnings.warn(
                    f"{lock.with_suffix('')} is being made by process {_owner(handle)}: waiting "
                    "until it is done",
                    stacklevel=4,
                )
                fcntl.flock(handle, fcntl.LOCK_EX)
                break
            # Whoever held it has removed its file: a lock on that one would exclude nobody.
            if os.path.samestat(os.fstat(handle), lock.stat()):
                os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)
                return handle
        except FileNotFoundError:  # removed, and not made again
            pass
        except BlockingIOError:
            os.close(handle)
            raise
        except OSError:  # a file system without locks
            return handle
        os.close(handle)


def _is_taken(handle: int) -> bool:
    """Take the lock if nobody has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(handle: int) -> str:
    return os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"


@contextmanager
def _replaced(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name beside a file, whose name it gets at the end, or nothing is left.

    A link is followed: the file that it names is replaced, and the link stays.
    """
    real = Path(os.path.realpath(path))
    part = real.with_name(f"{secrets.token_hex(8)}.part")
    try:
        yield part
        synchronise(part)
        os.replace(part, real)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:  # the name that the user knows
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    synchronise(real.parent)


def write_whole(path: str | os.PathLike, content: bytes | memoryview) -> None:
    """Write a file whole or not at all: under a temporary name, onto the disk, then renamed.

    A link is followed: the file that it names is replaced, and the link stays.

    Raises
    ------
    OSError
        If there is no room, no folder, or no right to write; what was there is still there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "text", b"all of it")
    ...     (Path(folder) / "text").read_bytes()
    b'all of it'
    """
    with _replaced(path) as part:
        part.write_bytes(content)


@contextmanager
def whole_hdf5(path: str | os.PathLike, **options: object) -> Iterator[h5py.File]:
    """Open an HDF5 file to fill, which appears whole at the end, or not at all.

    Parameters
    ----------
    path : path
    **options
        As `h5py.File` takes them, such as ``libver``.

    Raises
    ------
    OSError
        As `write_whole`.

    Examples
    --------
    >>> import h5py, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_hdf5(Path(folder) / "one.h5") as file:
    ...         file["x"] = 7
    ...     int(h5py.File(Path(folder) / "one.h5")["x"][()])
    7
    """
    with _replaced(path) as part, new_hdf5(part, **options) as file:
        yield file


@contextmanager
def new_hdf5(path: str | os.PathLike, **options: object) -> Iterator[h5py.File]:
    """Make an HDF5 file to fill; a failure to write it is raised after HDF5 has closed it.

    HDF5 itself fails untidily on a full disk, or where a quota or a limit of file size is met, and
    may take the process with it. So it is not told of a failure while it writes.

    Raises
    ------
    OSError
        If the file exists, or cannot be written.
    """
    import h5py

    with _QuietFile(path, "x+") as stream:
        try:
            with h5py.File(stream, "w", **options) as file:
                yield file
        finally:
            if stream.failure is not None:
                raise stream.failure


class _QuietFile(io.FileIO):
    """A file that keeps its first failure to itself, and is silent from then on."""

    failure: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        left = view
        while left and self.failure is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return 0


def synchronise(path: Path) -> None:
    """Force a file, or the names in a folder, onto the disk."""
    if path.is_dir() and os.name != "posix":
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
