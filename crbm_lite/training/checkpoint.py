"""Checkpoints of a training run: one HDF5 file, whole or not at all, and the one before it.

A checkpoint holds everything on which the rest of a run depends (parameters, optimiser, chains,
random counters, monitors, the state that a rewind goes back to) and what the run is: its
hyperparameters, its seed and a sha256 of its spikes. A damaged file is found by a sha256 over all
of it. A new checkpoint is written to ``<name>.part``, forced to the disk and only then renamed; the
former one is kept as ``<name>.previous``. Whenever the process dies, one of the two is whole. One
run at a time holds a checkpoint.

Version 3 has the root attributes ``format``, ``version``, ``identity`` (JSON) and ``sha256``, and
one dataset for each named array.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_count
from crbm_lite.core.spikes import Spikes
from crbm_lite.files.errors import FileError, check_regular_file, one_line
from crbm_lite.files.hdf5 import open_hdf5, read_all_arrays, read_attribute, read_text
from crbm_lite.files.whole import new_hdf5, one_process_at_a_time, synchronise
from crbm_lite.training.hyperparameters import run_hyperparameters

__all__ = ["CheckpointError", "CheckpointFile", "CheckpointWarning", "run_identity"]

FORMAT, VERSION = "crbm_lite checkpoint", 3


class CheckpointError(FileError):
    """A checkpoint that cannot be used: damaged, in use, of another run or another version."""


class CheckpointWarning(UserWarning):
    """A checkpoint that could not be written, or a damaged one whose predecessor is used."""


def run_identity(hyperparameters: Mapping[str, object], spikes: Spikes) -> dict[str, object]:
    """Say what makes a run the same run: hyperparameters and data, as JSON can hold them.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> run_identity({"n_hidden": 2}, as_spikes(np.eye(3)))["frames, neurons"]
    [3, 3]
    """
    return run_hyperparameters(hyperparameters) | {
        "frames, neurons": list(spikes.shape), "sha256 of the spikes": spikes.sha256()
    }  # fmt: skip


def _checksum(identity: str, state: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(identity.encode())
    for name in sorted(state):
        array = np.asarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


@dataclass
class CheckpointFile:
    """Write and read the checkpoint of one run and its predecessor.

    Parameters
    ----------
    path : path
        The newest checkpoint; the one before lies beside it as ``<name>.previous``.
    every : int
        Updates from one checkpoint to the next.

    Raises
    ------
    ValueError
        If `every` is not a positive integer.
    OSError
        If the folder does not exist or nothing can be written there.
    CheckpointError
        If the path leads to something else than a file, such as a pipe.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = CheckpointFile(Path(folder) / "run.h5", every=100)
    ...     file.write({"seed": 1}, {"weights": np.arange(3)})
    ...     identity, state = file.read()
    >>> identity, state["weights"]
    ({'seed': 1}, array([0, 1, 2]))
    """

    path: Path
    every: int
    _newest_is_good: bool = field(default=False, init=False)
    _newest: tuple[int, ...] | None = field(default=None, init=False)  # as last seen

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        if self.path.is_symlink():  # renaming would replace the link, not what it names
            self.path = self.path.resolve()
        as_count(self.every, "checkpoint_every")
        if self.path.is_dir():
            raise IsADirectoryError(f"checkpoint {self.path} is a folder: name a file in it")
        if self.path.exists():
            check_regular_file(self.path, CheckpointError)
        probe = self._beside(f"{secrets.token_hex(4)}.part")  # not that of a run under way
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise type(error)(
                error.errno,
                f"no checkpoint can be written ({error.strerror}): name a file in a folder that "
                "exists and that you may write to",
                str(self.path),
            ) from error
        self._newest = _mark(self.path)

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    @property
    def _part(self) -> Path:
        return self._beside("part")

    @property
    def previous(self) -> Path:
        """The checkpoint before the newest."""
        return self._beside("previous")

    def exists(self) -> bool:
        """Say whether there is a checkpoint, or one before it."""
        return self.path.exists() or self.previous.exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs from writing to this checkpoint as long as the block lasts.

        The system ends this when the process dies, however it does. Where there are no locks, as on
        Windows, `write` warns when it finds that another run has written.

        Raises
        ------
        CheckpointError
            If another run holds the checkpoint.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(one_process_at_a_time(self.path, wait=False))
            except BlockingIOError as error:
                raise CheckpointError(
                    f"checkpoint {self.path} is in use by another run: give each run its own, or "
                    "wait until the other has ended"
                ) from error
            yield

    def try_write(self, identity: Mapping, state: Mapping[str, np.ndarray]) -> bool:
        """Write a checkpoint; where that fails, warn and leave the former ones as they are.

        Warns
        -----
        CheckpointWarning
            If the disk is full, or the folder is gone or cannot be written any more.
        """
        try:
            self.write(identity, state)
        except (OSError, RuntimeError) as error:
            warnings.warn(
                f"checkpoint {self.path} could not be written ({one_line(error)}). Training goes "
                "on, and the next checkpoint will be tried in its turn: make room, or give back "
                "the right to write",
                CheckpointWarning,
                stacklevel=2,
            )
            return False
        return True

    def write(self, identity: Mapping, state: Mapping[str, np.ndarray]) -> None:
        """Write a checkpoint, whole or not at all; the former one becomes `previous`.

        Raises
        ------
        OSError
            If there is no room, or no right to write.

        Warns
        -----
        CheckpointWarning
            If the former one was changed by something else. It does not become `previous`.
        """
        try:
            self._write_part(json.dumps(identity), state)
            found = _mark(self.path)
            if found not in (None, self._newest):
                warnings.warn(
                    f"checkpoint {self.path} was changed by something else since this run looked "
                    "at it: if another run writes there, give each its own checkpoint",
                    CheckpointWarning,
                    stacklevel=3,
                )
            elif found is not None and self._newest_is_good:
                os.replace(self.path, self.previous)
            os.replace(self._part, self.path)
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise
        self._newest_is_good, self._newest = True, _mark(self.path)
        synchronise(self.path.parent)

    def _write_part(self, identity: str, state: Mapping[str, np.ndarray]) -> None:
        self._part.unlink(missing_ok=True)
        with new_hdf5(self._part) as file:
            file.attrs["format"], file.attrs["version"] = np.bytes_(FORMAT), VERSION
            file.attrs["identity"] = np.bytes_(identity)
            file.attrs["sha256"] = np.bytes_(_checksum(identity, state))
            for name, array in state.items():
                file.create_dataset(name, data=array)
        synchronise(self._part)

    def read(self, wanted: Mapping | None = None) -> tuple[dict, dict[str, np.ndarray]] | None:
        """Return identity and state of the newest undamaged checkpoint; None if there is none.

        Parameters
        ----------
        wanted : mapping, optional
            Identity that the run must have; a value None agrees with everything.

        Raises
        ------
        CheckpointError
            If no checkpoint is undamaged, if the newest is open for writing in another program, or
            if it is of another run. The message then names what differs.

        Warns
        -----
        CheckpointWarning
            If the newest is damaged or missing and its predecessor is used.
        """
        if not self.exists():
            return None
        self._newest = _mark(self.path)
        try:
            found = _read(self.path)
            self._newest_is_good = True
        except CheckpointError as error:
            if isinstance(error.__cause__, BlockingIOError):
                raise  # it is whole: nothing would be won by going back to the one before
            try:
                found = _read(self.previous)
            except CheckpointError as second:
                raise CheckpointError(
                    f"{error}. The one before is no better: {second}. Without either the run "
                    "cannot go on: move them away to begin again"
                ) from error
            warnings.warn(
                f"{error}. The checkpoint before it, {self.previous}, is used instead",
                CheckpointWarning,
                stacklevel=2,
            )
        refuse_other_run(found[0], wanted or {}, str(self.path))
        return found


def refuse_other_run(found: Mapping, wanted: Mapping, name: str) -> None:
    """Raise a CheckpointError that names what differs between two identities, if anything does."""
    other = [
        f"{key} is {found.get(key)!r} there and {value!r} here"
        for key, value in wanted.items()
        if value is not None and found.get(key, "") != value
    ]
    if other:
        raise CheckpointError(
            f"{name} belongs to another run: {'; '.join(other)}. Fit with what it was begun with, "
            "or give another checkpoint"
        )


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Identity and state of one file, its checksum compared."""
    if not path.exists():
        raise CheckpointError(f"checkpoint {path} is missing")
    with open_hdf5(path, CheckpointError) as file:
        if read_text(file, "format") != FORMAT:
            raise CheckpointError(f"{path} is an HDF5 file but not a {FORMAT}")
        version = read_attribute(file, "version")
        if version != VERSION:
            raise CheckpointError(
                f"{path} has checkpoint version {version}; this crbm_lite reads {VERSION}: finish "
                "the run with the release that began it"
            )
        identity, checksum = read_text(file, "identity"), read_text(file, "sha256")
        state = read_all_arrays(file)
        if _checksum(identity, state) != checksum:
            raise CheckpointError(f"checkpoint {path} is damaged: its checksum is wrong")
        return json.loads(identity), state


def _mark(path: Path) -> tuple[int, ...] | None:
    """What tells one version of a file from another, without reading it; None without a file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
