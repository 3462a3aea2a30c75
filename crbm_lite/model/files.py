"""Saving and loading models: HDF5, versioned, never executable, every number under a checksum.

Layout of version 2: root attributes ``format`` = "crbm_lite model", ``version`` = 2,
``hyperparameters`` (JSON), ``verdict`` (JSON); datasets ``weights`` (N, M), ``fields`` (N,),
``gamma_plus``, ``gamma_minus``, ``theta_plus``, ``theta_minus`` (M,), ``chains`` (chains, N) and
the groups ``history`` and ``certificate``. Datasets carry a checksum each (Fletcher's), and the
file format is one that checks what it keeps about them, attributes included; single numbers are
datasets of one element. Version 1, which is still read, had no checksums and ``random_state`` was
not kept.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np

from crbm_lite.files.errors import FAILURES, FileError, one_line
from crbm_lite.files.hdf5 import write_dataset
from crbm_lite.files.heaps import check_heaps
from crbm_lite.files.whole import whole_hdf5

FORMAT, VERSION = "crbm_lite model", 2
_READABLE = (1, 2)


class ModelFileError(FileError):
    """A file that is not a model of this version, or a damaged one."""


def write_model(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], attributes: dict[str, object]
) -> Path:
    """Write arrays and JSON-able attributes to ``path``; whole or not at all.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    """
    with whole_hdf5(path, libver=("v110", "latest")) as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = VERSION
        for name, value in attributes.items():
            file.attrs[name] = np.bytes_(json.dumps(value))
        for name, array in arrays.items():
            write_dataset(file, name, np.atleast_1d(array))
    return Path(path)


def read_model(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays and attributes of a model file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is not HDF5, is truncated or damaged, is not a model, or is of a later version.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {path}")
    arrays: dict[str, np.ndarray] = {}
    try:
        check_heaps(path)  # the texts of version 1 lie there
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") not in (FORMAT, FORMAT.encode()):
                raise ModelFileError(f"{path} is an HDF5 file but not a {FORMAT} file.")
            version = file.attrs.get("version")
            if version not in _READABLE:
                readable = " and ".join(map(str, _READABLE))
                raise ModelFileError(
                    f"{path} has model format version {version}; this crbm_lite reads {readable}. "
                    "Load it with the release that wrote it, or update crbm_lite."
                )
            attributes = {
                name: json.loads(value)
                for name, value in file.attrs.items()
                if name not in ("format", "version")
            }

            def keep(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    arrays[name] = item[()]

            file.visititems(keep)
    except ModelFileError:
        raise
    except FAILURES as error:
        raise ModelFileError(
            f"{path} cannot be read as an HDF5 model file; it is truncated or damaged "
            f"({one_line(error)})."
        ) from error
    return arrays, attributes


def arrays_of(group: str, result: object) -> dict[str, np.ndarray]:
    """Fields of a result dataclass as arrays named group/field; words as UTF-8 bytes."""
    out = {}
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, tuple):
            value = np.frombuffer(json.dumps(value).encode(), np.uint8)
        out[f"{group}/{field.name}"] = np.asarray(value)
    return out


def result_of(kind: type, group: str, arrays: dict[str, np.ndarray]) -> object:
    """The result dataclass ``kind`` that `arrays_of` took apart.

    A number that the file's release did not know is NaN.
    """
    values = {}
    for field in fields(kind):
        if field.type in ("float", float) and f"{group}/{field.name}" not in arrays:
            values[field.name] = float("nan")
            continue
        array = arrays[f"{group}/{field.name}"]
        if "tuple" in str(field.type):
            values[field.name] = tuple(json.loads(array.tobytes().decode()))
        else:
            values[field.name] = array if "ndarray" in str(field.type) else array.item()
    return kind(**values)
