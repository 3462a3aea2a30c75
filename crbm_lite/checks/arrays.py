"""What arguments must be: checked arrays, or an error that says what to do.

No equations. Of a recording first, then of assemblies. Nothing is changed in place.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_array, as_numbers, as_texts
from crbm_lite.checks.sparse import as_dense, as_sparse

__all__ = [
    "as_binary",
    "as_coordinates",
    "as_discontinuities",
    "as_indices",
    "as_labels",
    "check_rows",
    "check_unique",
    "finite_places",
    "finite_weights",
    "hidden_unit_names",
    "neuron_names",
    "read_only",
    "region_members",
    "region_names",
]


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: the caller's own array stays writeable and untouched."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_binary(values: object, name: str, dtype: type) -> np.ndarray:
    """Check values and return them as a read-only 2-D array of 0 and 1 of a one-byte dtype."""
    if scipy.sparse.issparse(values):
        sparse = as_sparse(values, name)
        if sparse.nnz:
            as_binary(sparse.data[None, :], name, np.uint8)
        values = sparse.astype(np.uint8).toarray()
    array = as_array(values, name)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions (shape {array.shape}): expected 2")
    if array.size == 0:
        raise ValueError(
            f"{name} is empty (shape {array.shape}): expected at least one row and one column"
        )
    if array.dtype == bool:
        return read_only(np.ascontiguousarray(array).view(dtype))
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ValueError(
            f"{name} has dtype {array.dtype}: expected 0 and 1 as bool, integer or float"
        )
    out = array if array.dtype == np.uint8 else np.empty(array.shape, np.uint8)
    rows = max(1, 2**22 // array.shape[1])
    for start in range(0, array.shape[0], rows):  # tiles: no float or bool copy of the whole
        tile = array[start : start + rows]
        bad = (tile != 0) & (tile != 1)
        if bad.any():
            value = tile[bad][0]
            if value != value:
                raise ValueError(
                    f"{name} holds NaN: leave those frames or neurons out, or fill them before"
                )
            raise ValueError(
                f"{name} holds {value!s}, expected only 0 and 1: threshold or "
                "deconvolve the traces, binarise spike counts with counts > 0"
            )
        if out is not array:
            out[start : start + rows] = tile
    return read_only(np.ascontiguousarray(out).view(dtype))


def check_rows(rows: int, name: str, shape: tuple[int, int], columns: int = 1) -> None:
    """Raise if an argument that has one row for each neuron does not fit the spikes."""
    n_frames, n_neurons = shape
    if rows == n_neurons:
        return
    if rows == n_frames:
        raise ValueError(
            f"spikes looks transposed: its shape is {shape} but {name} has {rows} rows, one for "
            "each row of spikes. Time is the first axis: pass spikes.T"
        )
    if columns == n_neurons:
        raise ValueError(
            f"{name} has {n_neurons} columns and {rows} rows for {n_neurons} "
            f"neurons: pass {name}.T, one row for each neuron"
        )
    raise ValueError(
        f"{name} has {rows} rows for {n_neurons} neurons (spikes has shape {shape}): "
        "give one for each neuron"
    )


def check_unique(names: tuple[str, ...], argument: str) -> None:
    """Raise if a name occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{argument} holds {name!r} twice: make the names unique")
        seen.add(name)


def as_coordinates(values: object, shape: tuple[int, int]) -> np.ndarray:
    """Check coordinates against the (T, N) shape of the spikes; (N, 3) float64, read-only."""
    array = as_numbers(values, "coordinates")
    if array.ndim != 2:
        raise ValueError(f"coordinates has shape {array.shape}: expected (N, 3)")
    check_rows(array.shape[0], "coordinates", shape, array.shape[1])
    if array.shape[1] != 3:
        raise ValueError(
            f"coordinates has {array.shape[1]} columns: expected x, y and z (for a "
            "flat recording add a column of zeros)"
        )
    if not np.isfinite(array).all():
        raise ValueError("coordinates holds NaN or infinity: leave those neurons out")
    return read_only(array)


def as_labels(
    values: object, names: object, shape: tuple[int, int]
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Check labels (N, R) and the names of the R regions, made up where there are none."""
    if values is None:
        if names is not None:
            raise ValueError("label_names is given without labels: give the (N, R) labels too")
        return None, None
    labels = as_binary(values, "labels", bool)
    check_rows(labels.shape[0], "labels", shape, labels.shape[1])
    names = region_names(names, labels.shape[1])
    check_unique(names, "label_names")
    return labels, names


def region_names(names: object, n_regions: int) -> tuple[str, ...]:
    """Names of the R regions, made up where there are none; ValueError unless there are R."""
    if names is None:
        names = (f"region {r}" for r in range(n_regions))
    names = as_texts(names, "label_names")
    if len(names) != n_regions:
        raise ValueError(
            f"label_names has {len(names)} entries, labels {n_regions} columns: "
            "give one name for each column"
        )
    return names


def neuron_names(names: object, n_neurons: int) -> tuple[str, ...] | None:
    """Names of the N neurons, None where there are none; ValueError unless there are N."""
    return None if names is None else _unique_names(names, "names", n_neurons, "neurons")


def hidden_unit_names(names: object, n_units: int) -> tuple[str, ...]:
    """Names of the M hidden units, made up where there are none; ValueError unless there are M."""
    names = (f"HU {k}" for k in range(n_units)) if names is None else names
    return _unique_names(names, "unit_names", n_units, "hidden units")


def _unique_names(names: object, argument: str, n: int, what: str) -> tuple[str, ...]:
    names = as_texts(names, argument)
    if len(names) != n:
        raise ValueError(f"{argument} has {len(names)} entries: give one for each of {n} {what}")
    check_unique(names, argument)
    return names


def as_discontinuities(values: object, n_frames: int) -> np.ndarray:
    """Check frames before which time jumps; (D,) int64, sorted, read-only."""
    array = as_array(values, "discontinuities")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"discontinuities has shape {array.shape}, dtype {array.dtype}: give a list of frame "
            "indices"
        )
    array = np.unique(array).astype(np.int64)
    if array[0] < 1 or array[-1] >= n_frames:
        raise ValueError(
            f"discontinuities holds {array[0] if array[0] < 1 else array[-1]}: a "
            f"jump lies before one of the frames 1..{n_frames - 1}"
        )
    return read_only(array)


def as_indices(selection: object, n: int, name: str) -> np.ndarray:
    """Turn indices, a mask or a slice into int64 indices, checked against n."""
    if isinstance(selection, slice):
        index = np.arange(n)[selection]
    else:
        index = as_array(selection, name)
        if index.dtype == bool:
            if index.shape != (n,):
                raise ValueError(f"{name} is a mask of shape {index.shape}: expected ({n},)")
            index = np.flatnonzero(index)
    if index.size == 0:
        raise ValueError(f"{name} selects nothing: give at least one")
    if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(
            f"{name} has shape {index.shape}, dtype {index.dtype}: give integer indices, a mask or "
            "a slice"
        )
    if index.min() < 0 or index.max() >= n:
        bad = index.min() if index.min() < 0 else index.max()
        raise ValueError(f"{name} holds {bad}: expected indices in 0..{n - 1}")
    return index.astype(np.int64, copy=False)  # differences of unsigned ones would wrap


def finite_weights(weights: np.ndarray, name: str = "weights") -> np.ndarray:
    """Weights as floats; ValueError with `name` unless they are finite and (N, M)."""
    weights = as_dense(weights, name)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(f"{name} has shape {weights.shape}: give (N, M) weights, model.weights_")
    if weights.dtype.kind not in "fiub" or not np.isfinite(weights).all():
        raise ValueError(f"{name} holds NaN, infinity or no numbers: give finite (N, M) weights")
    return weights if weights.dtype.kind == "f" else weights.astype(np.float64)


def finite_places(coordinates: object, n_neurons: int) -> np.ndarray:
    """Coordinates as (N, 3) float64; ValueError unless they are, and finite."""
    if coordinates is None:
        raise ValueError("coordinates is None: give the (N, 3) positions of the neurons, in um")
    places = as_numbers(coordinates, "coordinates")
    if places.shape != (n_neurons, 3):
        raise ValueError(f"coordinates has shape {places.shape}: expected ({n_neurons}, 3)")
    if not np.isfinite(places).all():
        raise ValueError("coordinates holds NaN or infinity: leave those neurons out")
    return places


def region_members(labels: object, n_neurons: int) -> scipy.sparse.csr_array:
    """Labels as a sparse (N, R) bool array; ValueError unless there is one row a neuron."""
    if labels is None:
        raise ValueError("labels is None: give the (N, R) regions of the neurons")
    if not scipy.sparse.issparse(labels):
        labels = as_array(labels, "labels")
    wanted = "give (N, R) numbers, 1 where a neuron lies in a region and 0 elsewhere"
    if labels.ndim != 2:
        raise ValueError(f"labels has shape {labels.shape}: {wanted}")
    if labels.dtype.kind not in "fiub":
        raise ValueError(f"labels has dtype {labels.dtype}: {wanted}")
    member = as_sparse(labels, "labels")
    if np.isnan(member.data).any():
        raise ValueError(f"labels holds NaN: {wanted}")
    if member.shape[0] != n_neurons:
        raise ValueError(f"labels has shape {member.shape}: expected ({n_neurons}, R)")
    return member.astype(bool)
