"""Fetching the data sets of `data_manifest.yml`: find, download, verify.

No equations. A file is looked for in this order:

1. the folder named by the environment variable CRBM_LITE_DATA, laid out as <dataset>/<file>;
2. the cache: the folder named by CRBM_LITE_CACHE, else the system's cache folder for crbm_lite;
3. its public address, downloaded into the cache.

Nothing is used before its sha256 agrees with the manifest; where the manifest knows none, that of
the first download is kept beside the file and checked from then on. A damaged file of the cache is
fetched again; a damaged file in CRBM_LITE_DATA is the user's, so it is reported and left alone. A
broken download goes on where it stopped (`crbm_lite.datasets.download`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from crbm_lite.datasets.download import ContentRefused, DownloadFailed, download
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


class DatasetUnavailable(OSError):
    """A data set that is neither at hand nor within reach; chapters and tests skip on it."""


class DatasetCorrupt(ValueError):
    """A file whose contents are not what the manifest says."""


@dataclass(frozen=True)
class Dataset:
    """The files of a data set on this machine, verified.

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
                f"data set {self.name} has {len(self.paths)} files: use paths[name] "
                f"with one of {', '.join(self.paths)}"
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
        An OSError: not at hand and not within reach; one line says where it was looked for and
        what to do.
    DatasetCorrupt
        A ValueError: what was downloaded, or lies in CRBM_LITE_DATA, is not the file that the
        manifest describes.
    ValueError
        If the name is not in the manifest.

    Examples
    --------
    >>> fetch("retinal-waves/none.h5")
    Traceback (most recent call last):
    ValueError: name is 'retinal-waves/none.h5': data set retinal-waves has the files ...
    """
    entries = read_manifest(manifest)
    if not isinstance(name, str):
        raise ValueError(f"name is {name!r}: give a text, one of {', '.join(entries)}")
    dataset, slash, wanted = name.partition("/")
    if dataset not in entries:
        raise ValueError(f"name is {name!r}: no such data set, choose one of {', '.join(entries)}")
    entry = entries[dataset]
    files = [file for file in entry.files if not slash or file.name == wanted]
    if not files:
        raise ValueError(
            f"name is {name!r}: data set {dataset} has the files "
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
        Width of a bin in seconds; 1 where a unit has at least one spike in the bin.

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
    ValueError: name is 'retinal-waves/none.h5': data set retinal-waves has the files ...
    """
    dataset = fetch(f"retinal-waves/{name}.h5")
    recording = import_retinal_waves(dataset.path, bin_s)
    origin = {"dataset": dataset.name, "citation": "; ".join(dataset.entry.citation)}
    return replace(recording, provenance=recording.provenance | origin)


def _find(entry: DatasetEntry, file: FileEntry, progress: bool) -> Path:
    named = os.environ.get("CRBM_LITE_DATA")
    if named:
        path = Path(named) / entry.name / file.name  # may be a link: the folder is the user's own
        if path.exists():
            wrong = _what_is_wrong(path, file, file.sha256)
            if wrong:
                raise DatasetCorrupt(
                    f"{path} (found through CRBM_LITE_DATA) {wrong}: replace or remove it"
                )
            return path
    path = _inside_cache(entry.name, file.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_process_at_a_time(path):  # chapters that run side by side fetch once
            sha256 = file.sha256 or _remembered(path)
            if not path.exists() or _what_is_wrong(path, file, sha256):
                _download(entry, file, path, sha256, progress)
            if sha256 is None:
                _remember(path)
    except DatasetUnavailable:
        raise
    except OSError as error:
        raise DatasetUnavailable(
            f"data set {entry.name}: {file.name} cannot be written to the cache "
            f"{path.parent} ({error}): make room there, or name another folder in CRBM_LITE_CACHE"
        ) from error
    return path


def _download(
    entry: DatasetEntry, file: FileEntry, path: Path, sha256: str | None, progress: bool
) -> None:
    """Download into the cache; the file appears there only if its hash is right."""
    by = "the manifest" if file.sha256 or not sha256 else "its first download"

    def what_is_wrong(part: Path) -> str | None:
        wrong = _what_is_wrong(part, file, sha256)
        return wrong and f"{wrong} (of {by})"

    try:
        download(file.url, path, what_is_wrong, n_bytes=file.n_bytes, progress=progress)
    except DownloadFailed as error:
        named = os.environ.get("CRBM_LITE_DATA")
        looked = [
            f"CRBM_LITE_DATA ({named or 'not set'})",
            f"the cache ({path.parent.parent})",
            f"{file.url} ({error})",
        ]
        raise DatasetUnavailable(
            f"data set {entry.name}: {file.name} was not found in {', '.join(looked)}; connect to "
            "the network and try again (what has arrived is kept), or name a folder that holds "
            f"{entry.name}/{file.name} in CRBM_LITE_DATA"
        ) from error
    except ContentRefused as error:
        raise DatasetCorrupt(
            f"data set {entry.name}: {file.name} from {file.url} {error}; it was not "
            "kept: try again, and report it if it stays so"
        ) from error


def _inside_cache(dataset: str, file: str) -> Path:
    """Return a file's path in the cache, which must not leave it through a link either."""
    root = cache_folder()
    path = root / dataset / file
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{path} leads out of {root}: remove the link")
    return path


def _what_is_wrong(path: Path, file: FileEntry, sha256: str | None) -> str | None:
    """Compare a file with what is known of it; None if nothing is wrong."""
    state = path.stat()
    if file.n_bytes is not None and state.st_size != file.n_bytes:
        return f"has {state.st_size} bytes, the manifest says {file.n_bytes}"
    if sha256 is not None and _sha256(path, state.st_size, state.st_mtime_ns) != sha256:
        return f"does not have the sha256 {sha256}"
    return None


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hash a file; size and time of change make the remembered answer void when it changes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remembered(path: Path) -> str | None:
    """Read the hash of the first download, which is kept where the manifest knows none."""
    note = path.with_name(path.name + ".sha256")
    words = note.read_text(encoding="ascii", errors="replace").split() if note.exists() else []
    return words[0] if words else None


def _remember(path: Path) -> None:
    state = path.stat()
    note = path.with_name(path.name + ".sha256")
    digest = _sha256(path, state.st_size, state.st_mtime_ns)
    note.write_text(f"{digest}  {path.name}\n", encoding="ascii")
