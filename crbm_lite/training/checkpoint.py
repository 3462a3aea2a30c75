"""Checkpoints of a training run: one HDF5 file, whole or not at all, and the one before it.

No equations. A checkpoint holds everything on which the rest of a run depends (parameters,
optimiser, chains, random counters, monitors, the state that a rewind goes back to) and what the run
is: its hyperparameters, its seed and a sha256 of its spikes. A sha256 over all of it tells a
damaged file. A new checkpoint is written to ``<name>.part``, forced to the disk and only then
renamed; the former one is kept as ``<name>.previous``. Whenever the process dies, one of the two is
whole.

Layout of version 3: root attributes ``format``, ``version``, ``identity`` (JSON) and ``sha256``;
one dataset for each named array.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.files.errors import FileError, one_line
from crbm_lite.files.hdf5 import open_hdf5, read_all_arrays, read_attribute, read_text
from crbm_lite.files.whole import new_hdf5, synchronise
from crbm_lite.training.hyperparameters import run_hyperparameters

__all__ = ["CheckpointError", "CheckpointFile", "CheckpointWarning", "run_identity"]

FORMAT, VERSION = "crbm_lite checkpoint", 3


class CheckpointError(FileError):
    """A checkpoint that cannot be used: damaged, of another run, or of another version."""


class CheckpointWarning(UserWarning):
    """A checkpoint that could not be written, or a damaged one whose predecessor is used."""


def run_identity(hyperparameters: Mapping[str, object], spikes: Spikes) -> dict[str, object]:
    """What makes a run the same run: hyperparameters and data, as JSON-able values.

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
    """The checkpoint of one run and its predecessor.

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
        if isinstance(self.every, bool) or not isinstance(self.every, int | np.integer):
            raise ValueError(f"checkpoint_every must be an integer, got {self.every!r}.")
        if self.every < 1:
            raise ValueError(f"checkpoint_every must be 1 or more updates, got {self.every}.")
        if self.path.is_dir():
            raise IsADirectoryError(f"checkpoint {self.path} is a folder: name a file in it")
        try:
            self._part.touch()
            self._part.unlink()
        except OSError as error:
            raise type(error)(
                error.errno,
                f"no checkpoint can be written ({error.strerror}): checkpoint must lie in an "
                "existing folder that you may write to",
                str(self.path),
            ) from error
        self._newest = _mark(self.path)

    @property
    def _part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def previous(self) -> Path:
        """The checkpoint before the newest."""
        return self.path.with_name(f"{self.path.name}.previous")

    def exists(self) -> bool:
        """Whether there is a checkpoint, or one before it."""
        return self.path.exists() or self.previous.exists()

    def try_write(self, identity: Mapping, state: Mapping[str, np.ndarray]) -> bool:
        """Write a checkpoint; where that fails, say so and leave the former ones as they are.

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
                "on, and the next one is tried in its turn; make room or give back the right to "
                "write.",
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
            If the former one was changed by somebody else; it does not become `previous`.
        """
        try:
            self._write_part(json.dumps(identity), state)
            found = _mark(self.path)
            if found not in (None, self._newest):
                warnings.warn(
                    f"checkpoint {self.path} was changed by something else since this run looked "
                    "at it. If another run writes there, give each its own checkpoint.",
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
        """Identity and state of the newest undamaged checkpoint; None if there is no checkpoint.

        Parameters
        ----------
        wanted : mapping, optional
            Identity that the run must have; a value None agrees with everything.

        Raises
        ------
        CheckpointError
            If no checkpoint is undamaged, or if it is of another run; the message names what
            differs.

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
            try:
                found = _read(self.previous)
            except CheckpointError as second:
                raise CheckpointError(
                    f"{error} The one before is no better: {second} Without either the run cannot "
                    "go on; move them away to begin again."
                ) from error
            warnings.warn(
                f"{error} The checkpoint before it, {self.previous}, is used instead.",
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
        if value is not None and found.get(key) != value
    ]
    if other:
        raise CheckpointError(
            f"{name} belongs to another run: {'; '.join(other)}. Fit with what it was begun with, "
            "or give another checkpoint."
        )


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Identity and state of one file, its checksum compared."""
    if not path.exists():
        raise CheckpointError(f"checkpoint {path} is missing.")
    with open_hdf5(path, CheckpointError) as file:
        if read_text(file, "format") != FORMAT:
            raise CheckpointError(f"{path} is an HDF5 file but not a {FORMAT}.")
        version = read_attribute(file, "version")
        if version != VERSION:
            raise CheckpointError(
                f"{path} has checkpoint version {version}; this crbm_lite reads "
                f"{VERSION}: finish the run with the release that began it."
            )
        identity, checksum = read_text(file, "identity"), read_text(file, "sha256")
        state = read_all_arrays(file)
        if _checksum(identity, state) != checksum:
            raise CheckpointError(f"checkpoint {path} is damaged: its checksum is wrong.")
        return json.loads(identity), state


def _mark(path: Path) -> tuple[int, ...] | None:
    """What tells one version of a file from another, without reading it; None without a file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
