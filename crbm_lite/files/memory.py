"""How much memory this process may have, so that no file can ask for more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from crbm_lite.files.errors import RecordingError

__all__ = ["check_fits", "check_inflation", "memory_limit"]

_CGROUPS, _GROUPS_OF_PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# Bytes for each byte stored. Deflate reaches 1,032 on zeros; spikes at 0.1 % activity reach 250.
# Small arrays may inflate as they like.
_MOST_INFLATION, _SMALL_BYTES = 500, 2**26
_UNKNOWN = 2**36  # where the system does not say, as on Windows


def memory_limit() -> int:
    """Return how many bytes this process may have at most.

    That is the least of the machine's memory, of the limits of the process (``ulimit -v`` and
    ``-d``) and of the limits of its control groups, which containers and batch systems set.

    Examples
    --------
    >>> memory_limit() > 2**20
    True
    """
    return min(_limits(), default=_UNKNOWN)


def _limits() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            yield soft
    yield from _limits_of_control_groups()


def _limits_of_control_groups() -> Iterator[int]:
    """Yield the limits of the process's own groups and of those around them, version 2 and 1."""
    try:
        lines = _GROUPS_OF_PROCESS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        root, file = _CGROUPS, "memory.max"
        if controllers:
            root, file = _CGROUPS / "memory", "memory.limit_in_bytes"
            if "memory" not in controllers.split(","):
                continue
        folder = root / name.lstrip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(root):
                try:
                    yield int((group / file).read_text(encoding="ascii"))
                except (OSError, ValueError):  # no such group here, or "max"
                    continue


def check_fits(n_bytes: int, where: str) -> None:
    """Raise a RecordingError if an array takes more than half of the memory of this process.

    Examples
    --------
    >>> check_fits(10**18, "a.npz: key spikes")
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: a.npz: key spikes asks for 1,000,000,000.0 GB, more than
    half of the memory ...
    """
    limit = memory_limit()
    if n_bytes > limit / 2:
        raise RecordingError(
            f"{where} asks for {n_bytes / 1e9:,.1f} GB, more than half of the memory that this "
            f"process may have ({limit / 1e9:.1f} GB): the file is damaged, or take a part of it"
        )


def check_inflation(n_bytes: int, n_stored: int, where: str) -> None:
    """Raise a RecordingError if few stored bytes become more than any recording does.

    Examples
    --------
    >>> check_inflation(10**9, 10**6, "a.npz: key spikes")
    Traceback (most recent call last):
    crbm_lite.files.errors.RecordingError: a.npz: key spikes asks for 1.0 GB and holds 1,000,000 ...
    """
    if n_bytes > max(_SMALL_BYTES, _MOST_INFLATION * n_stored):
        raise RecordingError(
            f"{where} asks for {n_bytes / 1e9:,.1f} GB and holds {n_stored:,} bytes: it is damaged"
        )
