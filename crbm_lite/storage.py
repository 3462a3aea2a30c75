"""Saving and loading models: HDF5, versioned, never executable.

Layout of version 1: root attributes ``format`` = "crbm_lite model", ``version`` = 1,
``hyperparameters`` (JSON), ``verdict``; datasets ``weights`` (N, M), ``fields`` (N,),
``gamma_plus``, ``gamma_minus``, ``theta_plus``, ``theta_minus`` (M,), ``chains`` (chains, N) and
the group ``history``.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np

FORMAT, VERSION = "crbm_lite model", 1


class ModelFileError(ValueError):
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
    import h5py

    path = Path(path)
    handle, temporary = tempfile.mkstemp(suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["version"] = VERSION
            for name, value in attributes.items():
                file.attrs[name] = json.dumps(value)
            for name, array in arrays.items():
                array = np.asarray(array)
                options = {"compression": "gzip", "shuffle": True} if array.size > 1000 else {}
                file.create_dataset(name, data=array, **options)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read_model(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays and attributes of a model file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is not HDF5, is truncated, is not a model, or is of another version.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {path}")
    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise ModelFileError(f"{path} is an HDF5 file but not a {FORMAT} file.")
            version = file.attrs.get("version")
            if version != VERSION:
                raise ModelFileError(
                    f"{path} has model format version {version}; this crbm_lite reads {VERSION}. "
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
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path} cannot be read as an HDF5 model file; it may be truncated ({error})."
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
    """The result dataclass ``kind`` that `arrays_of` took apart."""
    values = {}
    for field in fields(kind):
        array = arrays[f"{group}/{field.name}"]
        if "tuple" in str(field.type):
            values[field.name] = tuple(json.loads(array.tobytes().decode()))
        else:
            values[field.name] = array.item() if array.ndim == 0 else array
    return kind(**values)
