"""Fetching the data sets of `data_manifest.yml`: find, download, verify.

A file is looked for in this order:

1. the folder named by the environment variable CRBM_LITE_DATA, laid out as <dataset>/<file>;
2. the cache: the folder named by CRBM_LITE_CACHE, else the system's cache folder for crbm_lite;
3. its public address, from which it is downloaded into the cache.

Nothing is used before its sha256 agrees with the manifest. Where the manifest knows no sha256, the
first download is held against the md5, if it knows that; its sha256 is kept beside the file and
checked from then on. A damaged file of the cache
is fetched again. A damaged file in CRBM_LITE_DATA belongs to the user: it is reported and left
alone. A broken download goes on where it stopped (`crbm_lite.datasets.download`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from crbm_lite.datasets.download import ContentRefused, DownloadFailed, download_file
from crbm_lite.datasets.manifest import DatasetEntry, FileEntry, read_manifest
from crbm_lite.files.whole import cache_folder, one_process_at_a_time
from crbm_lite.importers.retinal_waves import import_retinal_waves
from crbm_lite.recordings.files import Recording

__all__ = [
    "Dataset",
    "DatasetCorrupt",
    "DatasetUnavailable",
    "fetch",
    "list_datasets",
    "load_retina",
]


_WHAT_TO_DO = {
    errno.ENOSPC: "make room there (what has arrived is kept)",
    errno.EDQUOT: "make room there (what has arrived is kept)",
    errno.EFBIG: "raise the limit on the size of a file",
}


class DatasetUnavailable(OSError):
    """A data set is neither at hand nor within reach; chapters and tests skip on it."""


class DatasetCorrupt(ValueError):
    """The contents of a file are not what the manifest says."""


@dataclass(frozen=True)
class Dataset:
    """The verified files of a data set on this machine.

    Parameters
    ----------
    entry : DatasetEntry
        What the manifest says: description, licence, citation, ...
    paths : dict of str to pathlib.Path
        By file name.
    """

    entry: DatasetEntry
    paths: dict[str, Path]

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.entry.name

    @property
    def path(self) -> Path:
        """The one file's path.

        Raises
        ------
        ValueError
            If there are several files: use ``paths[file]``.
        """
        if len(self.paths) != 1:
            raise ValueError(
                f"path is one of {len(self.paths)} in data set {self.name}: give paths[name], "
                f"name one of {', '.join(self.paths)}"
            )
        return next(iter(self.paths.values()))


def list_datasets() -> tuple[DatasetEntry, ...]:
    """List the data sets that the book can use.

    Returns
    -------
    tuple of DatasetEntry

    Examples
    --------
    >>> [entry.name for entry in list_datasets()][:3]
    ['retinal-waves', 'zebrafish-tectum', 'zebrafish-regions']
    """
    return tuple(read_manifest().values())


def fetch(
    name: str, *, progress: bool = False, manifest: str | os.PathLike | None = None
) -> Dataset:
    """Find a data set on this machine or download it, and verify it.

    Parameters
    ----------
    name : str
        A data set of the manifest, or one file of it as "dataset/file".
    progress : bool
        Whether to show a progress bar while downloading.
    manifest : path, optional
        Another manifest than the package's own.

    Returns
    -------
    Dataset
        ``.paths[file]``, or ``.path`` where there is one file.

    Raises
    ------
    DatasetUnavailable
        An OSError: the file is not at hand and not within reach, or it cannot be kept. One line
        says where it was looked for, what went wrong and what to do.
    DatasetCorrupt
        A ValueError: what was downloaded, or lies in CRBM_LITE_DATA, is not the file that the
        manifest describes.
    ValueError
        If the name is not in the manifest.

    Examples
    --------
    >>> fetch("retinal-waves/none.h5")
    Traceback (most recent call last):
    ValueError: name is 'retinal-waves/none.h5': give a file that data set retinal-waves has, ...
    """
    entries = read_manifest(manifest)
    if not isinstance(name, str):
        raise ValueError(f"name is {name!r}: give a text, one of {', '.join(entries)}")
    dataset, slash, wanted = name.partition("/")
    if dataset not in entries:
        raise ValueError(f"name is {name!r}: give a data set, one of {', '.join(entries)}")
    entry = entries[dataset]
    files = [file for file in entry.files if not slash or file.name == wanted]
    if not files:
        raise ValueError(
            f"name is {name!r}: give a file that data set {dataset} has, one of "
            f"{', '.join(file.name for file in entry.files)}"
        )
    return Dataset(entry, {file.name: _find(entry, file, progress) for file in files})


def load_retina(
    name: str = "Stafford2009_WT_37C_Dorsal_2008-10-11-0", bin_s: float = 0.5
) -> Recording:
    """Load a recording of retinal waves, binned and binarised.

    Parameters
    ----------
    name : str
        A file of the data set retinal-waves, without its ending.
    bin_s : float
        Width of a bin in seconds. A spike is 1 where a unit has at least one in the bin.

    Returns
    -------
    Recording
        See `crbm_lite.importers.retinal_waves.import_retinal_waves`.

    Raises
    ------
    DatasetUnavailable, DatasetCorrupt, ValueError
        As `fetch` and the importer.

    Examples
    --------
    >>> load_retina("none")
    Traceback (most recent call last):
    ValueError: name is 'retinal-waves/none.h5': give a file that data set retinal-waves has, ...
    """
    dataset = fetch(f"retinal-waves/{name}.h5")
    recording = import_retinal_waves(dataset.path, bin_s)
    origin = {"dataset": dataset.name, "citation": "; ".join(dataset.entry.citation)}
    return replace(recording, provenance=recording.provenance | origin)


def _find(entry: DatasetEntry, file: FileEntry, progress: bool) -> Path:
    named = os.environ.get("CRBM_LITE_DATA")
    if named:
        path = Path(named) / entry.name / file.name  # may be a link: the folder is the user's own
        try:
            wrong = path.exists() and _what_is_wrong(path, file, file.sha256)
        except OSError as error:
            wrong = f"cannot be read ({error.strerror})"
        if wrong:
            raise DatasetCorrupt(
                f"{path} (found through CRBM_LITE_DATA) {wrong}: replace or remove it"
            )
        if path.exists():
            return path
    path = _inside_cache(entry.name, file.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_process_at_a_time(path):  # chapters that run side by side fetch once
            sha256 = file.sha256 or _remembered(path)
            if not path.exists() or _what_is_wrong(path, file, sha256):
                _download(entry, file, path, sha256, progress)
            if sha256 is None:
                with suppress(OSError):  # the file can be used all the same
                    _remember(path)
    except DatasetUnavailable:
        raise
    except OSError as error:
        todo = _WHAT_TO_DO.get(error.errno, "allow it to be written")
        raise DatasetUnavailable(
            f"data set {entry.name}: {file.name} cannot be written to the cache {path.parent} "
            f"({error.strerror or error}): {todo}, or name another folder in CRBM_LITE_CACHE"
        ) from error
    return path


def _download(
    entry: DatasetEntry, file: FileEntry, path: Path, sha256: str | None, progress: bool
) -> None:
    """Download into the cache; the file appears there only if its hash is right."""
    by = "the manifest" if file.sha256 or not sha256 else "its first download"

    def what_is_wrong(part: Path) -> str | None:
        wrong = _what_is_wrong(part, file, sha256)
        return wrong and f"{wrong} (by {by})"

    try:
        download_file(file.url, path, what_is_wrong, n_bytes=file.n_bytes, progress=progress)
    except DownloadFailed as error:
        named = os.environ.get("CRBM_LITE_DATA")
        looked = [
            f"CRBM_LITE_DATA ({named or 'not set'})",
            f"the cache ({path.parent.parent})",
            f"{file.url} ({error})",
        ]
        raise DatasetUnavailable(
            f"data set {entry.name}: {file.name} was not found in {', '.join(looked)}: connect to "
            "the network and try again (what has arrived is kept), or name a folder that holds "
            f"{entry.name}/{file.name} in CRBM_LITE_DATA"
        ) from error
    except ContentRefused as error:
        raise DatasetCorrupt(
            f"data set {entry.name}: {file.name} from {file.url} {error} and was not kept: try "
            "again, and report it if it stays so"
        ) from error


def _inside_cache(dataset: str, file: str) -> Path:
    """Return the path of a file in the cache, which must not leave it through a link either."""
    root = cache_folder()
    path = root / dataset / file
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{path} leads out of {root}: remove the link")
    return path


def _what_is_wrong(path: Path, file: FileEntry, sha256: str | None) -> str | None:
    """Compare a file with what is known of it; None if nothing is wrong."""
    if not path.is_file():  # a folder, or a pipe that would be waited for
        return "is no file"
    state = path.stat()
    if file.n_bytes is not None and state.st_size != file.n_bytes:
        return f"has {state.st_size} bytes, not {file.n_bytes}"
    if sha256 is not None and _sha256(path, state.st_size, state.st_mtime_ns) != sha256:
        return f"does not have the sha256 {sha256}"
    if sha256 is None and file.md5 is not None:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "md5").hexdigest() != file.md5:
                return f"does not have the md5 {file.md5}"
    if sha256 is None and file.name.endswith((".h5", ".hdf5")):
        import h5py

        try:  # a page that says "log in first", or a file whose end is missing
            h5py.File(path).close()
        except OSError as error:
            return f"is no whole HDF5 file ({' '.join(str(error).split())})"
    return None


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hash a file once; it is hashed anew when its size or its time of change differs."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remembered(path: Path) -> str | None:
    """Read the hash of the first download, which is kept where the manifest knows none."""
    note = path.with_name(path.name + ".sha256")
    words = note.read_text(encoding="ascii", errors="replace").split() if note.exists() else []
    return words[0] if words and re.fullmatch("[0-9a-f]{64}", words[0]) else None


def _remember(path: Path) -> None:
    state = path.stat()
    note = path.with_name(path.name + ".sha256")
    digest = _sha256(path, state.st_size, state.st_mtime_ns)
    note.write_text(f"{digest}  {path.name}\n", encoding="ascii")
