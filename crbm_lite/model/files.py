"""The layout of a model file: HDF5, versioned, never executable, every number under a checksum.

Version 2 has the root attributes ``format`` = "crbm_lite model", ``version`` = 2,
``hyperparameters`` and ``verdict`` (JSON), for a model of the cache the key ``run`` (JSON), for one
of the command line the digest ``frames`` of what it was trained on (JSON), the
datasets ``weights`` (N, M), ``fields`` (N,),
``gamma_plus``, ``gamma_minus``, ``theta_plus``, ``theta_minus`` (M,) and ``chains`` (chains, N),
and the groups ``history`` and ``certificate``. Every dataset carries a checksum (Fletcher's), and
the file format is one that checks what it keeps about them, attributes included. Single numbers are
datasets of one element. A temporal model (`crbm_lite.temporal.temporal_crbm`) names another format
and keeps the cRBM that it began with in the group and the attribute ``static``. Version 1, which is
still read, had no checksums and no ``random_state``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.errors import FileError
from crbm_lite.files.hdf5 import (
    open_hdf5,
    read_all_arrays,
    read_attribute,
    read_text,
    write_dataset,
)
from crbm_lite.files.whole import whole_hdf5

__all__ = ["ModelFileError", "arrays_of", "bytes_of_texts", "frames_of_model", "read_model",
           "result_of", "texts_of_bytes", "write_model"]  # fmt: skip

FORMAT, VERSION = "crbm_lite model", 2
_READABLE = (1, 2)


class ModelFileError(FileError):
    """A file that is not a model of this version, or a damaged one."""


def write_model(
    path: str | os.PathLike,
    arrays: dict[str, np.ndarray],
    attributes: dict[str, object],
    kind: str = FORMAT,
) -> Path:
    """Write arrays, and attributes that JSON can hold, to a file that appears whole or not at all.

    ``kind`` is the format that the file names, that of a cRBM by default.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    """
    path = as_path(path)
    with whole_hdf5(path, libver=("v110", "latest")) as file:
        file.attrs["format"] = np.bytes_(kind)
        file.attrs["version"] = VERSION
        for name, value in attributes.items():
            file.attrs[name] = np.bytes_(json.dumps(value))
        for name, array in arrays.items():
            write_dataset(file, name, np.atleast_1d(array))
    return path


def read_model(
    path: str | os.PathLike, kind: str = FORMAT
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Read the arrays and attributes of a model file of a kind, by default of a cRBM.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is not HDF5, is truncated or damaged, is not a model, or is of a later version; if its
        numbers lie in other files, were never written, or are too many for the memory.
    """
    path = as_path(path)
    with open_hdf5(path, ModelFileError) as file:
        if read_attribute(file, "format") not in (kind, kind.encode()):
            raise ModelFileError(f"{path} is an HDF5 file but not a {kind} file")
        version = read_attribute(file, "version")
        if version not in _READABLE:
            raise ModelFileError(
                f"{path} has model format version {version}; this crbm_lite reads "
                f"{' and '.join(map(str, _READABLE))}: load it with the release that wrote it, or "
                "update crbm_lite"
            )
        attributes = {
            name: json.loads(read_text(file, name))
            for name in ("hyperparameters", "verdict", "run", "static")
            if name in file.attrs
        }
        return read_all_arrays(file), attributes


def frames_of_model(path: str | os.PathLike) -> str | None:
    """Read the digest of what a model was trained on, and nothing else; None where it is not kept.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As in `read_model`.
    """
    with open_hdf5(as_path(path), ModelFileError) as file:
        return json.loads(read_text(file, "frames")) if "frames" in file.attrs else None


def bytes_of_texts(texts: Iterable[str]) -> np.ndarray:
    """Write texts as an array of bytes: a list of them in JSON, in UTF-8.

    Examples
    --------
    >>> texts_of_bytes(bytes_of_texts(["a", "b"]), 2)
    ('a', 'b')
    """
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def texts_of_bytes(array: np.ndarray, n_texts: int) -> tuple[str, ...]:
    """Read ``n_texts`` texts that `bytes_of_texts` wrote; a ValueError if they are others."""
    texts = json.loads(array.tobytes().decode())
    if len(texts) != n_texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"it holds {len(texts)} names for {n_texts} neurons")
    return tuple(texts)


def arrays_of(group: str, result: object) -> dict[str, np.ndarray]:
    """Take a result dataclass apart: arrays named group/field, words as UTF-8 bytes."""
    out = {}
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, tuple | str):
            value = np.frombuffer(json.dumps(value).encode(), np.uint8)
        out[f"{group}/{field.name}"] = np.asarray(value)
    return out


def result_of(kind: type, group: str, arrays: dict[str, np.ndarray]) -> object:
    """Put the result dataclass ``kind`` together that `arrays_of` took apart.

    Of what the release which wrote the file did not know, a number is NaN, and the rest has the
    default of its field.
    """
    values = {}
    for field in fields(kind):
        if f"{group}/{field.name}" not in arrays:
            if field.default is not MISSING or field.default_factory is not MISSING:
                continue
            if field.type in ("float", float):
                values[field.name] = float("nan")
                continue
        array = arrays[f"{group}/{field.name}"]
        if "tuple" in str(field.type) or "str" in str(field.type):
            words = json.loads(array.tobytes().decode())
            values[field.name] = words if field.type in ("str", str) else tuple(words)
        else:
            values[field.name] = array if "ndarray" in str(field.type) else array.item()
    return kind(**values)
