"""The list of data sets that the book can use: `data_manifest.yml`, read and checked.

A manifest names files that will be written below a cache folder, so nothing in it may lead
elsewhere. Names are plain (letters, digits, ``. _ + -``, no leading dot), and addresses are http or
https.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from crbm_lite.checks.arguments import as_path, as_texts

__all__ = ["DatasetEntry", "FileEntry", "read_manifest"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SHA256, _MD5 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class FileEntry:
    """One file of a data set.

    Parameters
    ----------
    name : str
        Its name in the folder of the data set.
    url : str
        Its public address.
    n_bytes : int or None
        Its size, None where that is not known.
    sha256 : str or None
        Its hash, None where that is not known.
    md5 : str or None
        An older hash, for files of which no other is published. It finds damage, not malice.
    """

    name: str
    url: str
    n_bytes: int | None
    sha256: str | None
    md5: str | None = None


@dataclass(frozen=True)
class DatasetEntry:
    """One data set of the manifest.

    Parameters
    ----------
    name, description, licence : str
    citation, chapters : tuple of str
        What to cite, and which chapters use it.
    files : tuple of FileEntry
    """

    name: str
    description: str
    licence: str
    citation: tuple[str, ...]
    chapters: tuple[str, ...]
    files: tuple[FileEntry, ...]

    @property
    def n_bytes(self) -> int | None:
        """Size of all files together, None if that of one is not known."""
        sizes = [file.n_bytes for file in self.files]
        return None if None in sizes else sum(sizes)


def read_manifest(path: str | os.PathLike | None = None) -> dict[str, DatasetEntry]:
    """Read a manifest and check every name, address and number in it.

    Parameters
    ----------
    path : path of a YAML file, optional
        By default the package's own ``data_manifest.yml``.

    Returns
    -------
    dict of str to DatasetEntry, in the order of the file

    Raises
    ------
    ValueError
        If the file is not a manifest, naming the entry and what is wrong with it.

    Examples
    --------
    >>> [file.name for file in read_manifest()["zebrafish-fish1"].files]
    ['rbm_fish1_20180706_Run04.h5']
    """
    import yaml

    path = _own_manifest() if path is None else as_path(path, "manifest")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no YAML file ({' '.join(str(error).split())}): give a manifest"
        ) from error
    if not isinstance(content, dict) or content.get("version") != 1:
        raise ValueError(f"{path} is no manifest: give one with the line 'version: 1'")
    if not isinstance(content.get("datasets"), dict):
        raise ValueError(f"{path}: datasets is no mapping: give the data sets by name")
    return {name: _dataset(path, name, entry) for name, entry in content["datasets"].items()}


def _own_manifest() -> Path:
    """Find data_manifest.yml: inside an installed package, above the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data_manifest.yml"
    return installed if installed.exists() else package.parent / "data_manifest.yml"


def _check_name(path: Path, name: object, what: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{path}: name of a {what} is {name!r}: give letters, digits and ._+- without a "
            "leading dot, because it names a file below the cache folder"
        )
    return name


def _dataset(path: Path, name: object, entry: object) -> DatasetEntry:
    name = _check_name(path, name, "data set")
    keys = ("description", "licence", "citation", "chapters", "files")
    if not isinstance(entry, dict) or any(key not in entry for key in keys):
        raise ValueError(f"{path}: data set {name} is incomplete: give {', '.join(keys)}")
    if not isinstance(entry["files"], dict) or not entry["files"]:
        raise ValueError(f"{path}: files of data set {name} is empty: give at least one file")
    return DatasetEntry(
        name,
        str(entry["description"]),
        str(entry["licence"]),
        as_texts(entry["citation"], f"{path}: citation of data set {name}"),
        as_texts(entry["chapters"], f"{path}: chapters of data set {name}"),
        tuple(_file(path, name, file, fields) for file, fields in entry["files"].items()),
    )


def _file(path: Path, dataset: str, name: object, fields: object) -> FileEntry:
    name = _check_name(path, name, f"file of data set {dataset}")
    where = f"{path}: file {dataset}/{name}"
    if not isinstance(fields, dict):
        raise ValueError(f"{where} is incomplete: give url, bytes and sha256")
    url, n_bytes, sha256, md5 = (fields.get(key) for key in ("url", "bytes", "sha256", "md5"))
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ValueError(f"{where}: url is {url!r}: give an https or http address")
    if n_bytes is not None and not (isinstance(n_bytes, int) and n_bytes > 0):
        raise ValueError(f"{where}: bytes is {n_bytes!r}: give a positive number or null")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise ValueError(f"{where}: sha256 is {sha256!r}: give 64 hexadecimal digits or null")
    if md5 is not None and not (isinstance(md5, str) and _MD5.fullmatch(md5)):
        raise ValueError(f"{where}: md5 is {md5!r}: give 32 hexadecimal digits or leave it out")
    return FileEntry(name, url, n_bytes, sha256, md5)
