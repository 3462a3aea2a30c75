"""Recording: binarised activity of many neurons, with what is known about them.

No equations live here, only the conventions that every other module relies on: time is the first
axis, spikes are 0/1, coordinates are micrometres, and places where time jumps are remembered.

Memory: spikes stay as they are stored, one byte (uint8) for every neuron and frame, T x N bytes in
all: 236 MB for 40,709 neurons and 5,800 frames. An array that is already uint8 is not copied; the
recording holds a read-only view of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse

from crbm_lite.ground_truth import GroundTruth

__all__ = ["Recording"]


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """Binarised activity of N neurons over T frames.

    Parameters
    ----------
    spikes : (T, N) of bool, uint8, 0/1 numbers or scipy.sparse
        1 where the neuron spiked in the frame. Stored as read-only uint8, time first.
    rate_hz : float
        Frames per second.
    coordinates : (N, 3) float, optional
        Position of each neuron (x, y, z) in `coordinate_unit`.
    coordinate_unit : str
        Unit of the coordinates, micrometres by default.
    labels : (N, R) bool or scipy.sparse, optional
        Whether a neuron lies in a region; a neuron may lie in several or in none.
    label_names : sequence of R str, optional
        Names of the regions, one for each column of `labels`.
    names : sequence of N str, optional
        Unique names of the neurons.
    provenance : mapping or str
        Where the recording comes from and what was done to it; a string becomes its "source".
    discontinuities : sequence of int
        Frames d in 1..T-1 such that time jumps between frame d - 1 and frame d.
    dff : (T, N) float, optional
        Calcium traces (relative change of fluorescence), stored as float32.
    truth : GroundTruth, optional
        The planted assemblies of a simulated recording.

    Raises
    ------
    ValueError
        Naming the argument, what is wrong with it and what to do: empty, not binary, NaN, a shape
        that does not fit (transposed spikes are recognised by the other arguments), names that
        are not unique, a rate that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> spikes = np.array([[1, 0], [0, 0], [0, 1], [0, 1]])
    >>> recording = Recording(spikes, rate_hz=2.0, provenance="by hand")
    >>> recording
    Recording(4 frames x 2 neurons, 2 Hz, 2.0 s, activity 0.375)
    >>> recording.select_frames([0, 1, 3]).discontinuities
    array([2])
    """

    spikes: np.ndarray
    rate_hz: float
    coordinates: np.ndarray | None = None
    coordinate_unit: str = "um"
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    provenance: dict = field(default_factory=dict)
    discontinuities: np.ndarray = ()
    dff: np.ndarray | None = None
    truth: GroundTruth | None = None

    def __post_init__(self) -> None:
        spikes = _binary(self.spikes, "spikes", np.uint8)
        n_frames = spikes.shape[0]
        self._set("spikes", spikes)
        if not np.isscalar(self.rate_hz) or not np.isfinite(self.rate_hz) or self.rate_hz <= 0:
            raise ValueError(
                f"rate_hz is {self.rate_hz!r}: give the frames per second, a positive number"
            )
        self._set("rate_hz", float(self.rate_hz))
        if self.coordinates is not None:
            self._set("coordinates", _coordinates(self.coordinates, spikes.shape))
        self._set_labels(spikes.shape)
        if self.names is not None:
            names = tuple(str(x) for x in self.names)
            _check_rows(len(names), "names", spikes.shape)
            _check_unique(names, "names")
            self._set("names", names)
        provenance = self.provenance
        provenance = {"source": provenance} if isinstance(provenance, str) else dict(provenance)
        self._set("provenance", provenance)
        self._set("discontinuities", _discontinuities(self.discontinuities, n_frames))
        if self.dff is not None:
            dff = np.asarray(self.dff, dtype=np.float32)
            if dff.shape != spikes.shape:
                raise ValueError(f"dff has shape {dff.shape}, spikes {spikes.shape}: give one "
                                 "trace for each neuron, time first")
            self._set("dff", _read_only(dff))
        if self.truth is not None and (
            (self.truth.n_frames, self.truth.n_neurons) != spikes.shape
        ):
            raise ValueError(
                f"truth is of {(self.truth.n_frames, self.truth.n_neurons)} (frames, neurons), "
                f"spikes of {spikes.shape}"
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _set_labels(self, shape: tuple[int, int]) -> None:
        if self.labels is None:
            if self.label_names is not None:
                raise ValueError("label_names is given without labels: give the (N, R) labels too")
            return
        labels = _binary(self.labels, "labels", bool)
        _check_rows(labels.shape[0], "labels", shape, labels.shape[1])
        if self.label_names is None:
            names = tuple(f"region {r}" for r in range(labels.shape[1]))
        else:
            names = tuple(str(x) for x in self.label_names)
        if len(names) != labels.shape[1]:
            raise ValueError(f"label_names has {len(names)} entries, labels {labels.shape[1]} "
                             "columns: give one name for each column")
        _check_unique(names, "label_names")
        self._set("labels", labels)
        self._set("label_names", names)

    def __repr__(self) -> str:
        return (f"Recording({self.n_frames} frames x {self.n_neurons} neurons, "
                f"{self.rate_hz:g} Hz, {self.duration_s:.1f} s, "
                f"activity {self.activity.mean():.3f})")

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.spikes.shape[0]

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return self.spikes.shape[1]

    @property
    def duration_s(self) -> float:
        """Recorded time in seconds: the frames over their rate, gaps not counted."""
        return self.n_frames / self.rate_hz

    @property
    def activity(self) -> np.ndarray:
        """(N,) float64: spikes per frame of each neuron."""
        return self.spikes.mean(axis=0, dtype=np.float64)

    @property
    def constant_neurons(self) -> np.ndarray:
        """Indices of the neurons that never spike or spike in every frame.

        Such neurons carry no information: drop them with
        ``recording.select_neurons(~np.isin(np.arange(N), recording.constant_neurons))``.
        """
        counts = self.spikes.sum(axis=0, dtype=np.int64)
        return np.flatnonzero((counts == 0) | (counts == self.n_frames))

    def select_neurons(self, neurons: Sequence[int] | np.ndarray) -> Recording:
        """Keep some neurons, in the order given.

        Parameters
        ----------
        neurons : int indices or (N,) bool mask

        Raises
        ------
        ValueError
            If nothing is selected, an index is out of range or a neuron is named twice.
        """
        index = _indices(neurons, self.n_neurons, "neurons")
        if np.unique(index).size != index.size:
            raise ValueError("neurons names a neuron twice: give every index once")
        return replace(
            self,
            spikes=self.spikes[:, index],
            coordinates=None if self.coordinates is None else self.coordinates[index],
            labels=None if self.labels is None else self.labels[index],
            names=None if self.names is None else tuple(self.names[i] for i in index),
            dff=None if self.dff is None else self.dff[:, index],
            truth=None if self.truth is None else self.truth.select_neurons(index),
        )

    def select_frames(self, frames: Sequence[int] | np.ndarray | slice) -> Recording:
        """Keep some frames; where frames are left out, time is discontinuous.

        Parameters
        ----------
        frames : increasing int indices, (T,) bool mask or slice

        Raises
        ------
        ValueError
            If nothing is selected, an index is out of range or the indices do not increase.
        """
        index = _indices(frames, self.n_frames, "frames")
        if np.any(np.diff(index) <= 0):
            raise ValueError("frames must increase, time has a direction: sort them and give "
                             "every frame once")
        # A block number that changes at every old discontinuity; a jump of the index is a new one.
        block = np.searchsorted(self.discontinuities, index, side="right")
        jumps = np.flatnonzero((np.diff(index) > 1) | (np.diff(block) > 0)) + 1
        return replace(
            self,
            spikes=self.spikes[index],
            discontinuities=jumps,
            dff=None if self.dff is None else self.dff[index],
            truth=None if self.truth is None else self.truth.select_frames(index),
        )


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: the caller's own array stays writeable and untouched."""
    view = array.view()
    view.flags.writeable = False
    return view


def _binary(values: object, name: str, dtype: type) -> np.ndarray:
    """Check values and return them as a read-only 2-D array of 0 and 1 of a one-byte dtype."""
    if scipy.sparse.issparse(values):
        values = values.toarray()
    array = np.asarray(values)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions (shape {array.shape}): expected 2")
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}): expected at least one row and "
                         "one column")
    if array.dtype == bool:
        return _read_only(np.ascontiguousarray(array).view(dtype))
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ValueError(f"{name} has dtype {array.dtype}: expected 0 and 1 as bool, integer or "
                         "float")
    out = array if array.dtype == np.uint8 else np.empty(array.shape, np.uint8)
    rows = max(1, 2**22 // array.shape[1])
    for start in range(0, array.shape[0], rows):  # tiles: no float or bool copy of the whole
        tile = array[start : start + rows]
        bad = (tile != 0) & (tile != 1)
        if bad.any():
            value = tile[bad][0]
            if value != value:
                raise ValueError(f"{name} holds NaN: leave those frames or neurons out, or fill "
                                 "them before")
            raise ValueError(f"{name} holds {value!s}, expected only 0 and 1: threshold or "
                             "deconvolve the traces, binarise spike counts with counts > 0")
        if out is not array:
            out[start : start + rows] = tile
    return _read_only(np.ascontiguousarray(out).view(dtype))


def _check_rows(rows: int, name: str, shape: tuple[int, int], columns: int = 1) -> None:
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
        raise ValueError(f"{name} has {n_neurons} columns and {rows} rows for {n_neurons} "
                         f"neurons: pass {name}.T, one row for each neuron")
    raise ValueError(f"{name} has {rows} rows for {n_neurons} neurons (spikes has shape {shape}): "
                     "give one for each neuron")


def _check_unique(names: tuple[str, ...], argument: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{argument} holds {name!r} twice: make the names unique")
        seen.add(name)


def _coordinates(values: object, shape: tuple[int, int]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"coordinates has shape {array.shape}: expected (N, 3)")
    _check_rows(array.shape[0], "coordinates", shape, array.shape[1])
    if array.shape[1] != 3:
        raise ValueError(f"coordinates has {array.shape[1]} columns: expected x, y and z (for a "
                         "flat recording add a column of zeros)")
    if not np.isfinite(array).all():
        raise ValueError("coordinates holds NaN or infinity: leave those neurons out")
    return _read_only(array)


def _discontinuities(values: object, n_frames: int) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError("discontinuities must be a list of frame indices")
    array = np.unique(array).astype(np.int64)
    if array[0] < 1 or array[-1] >= n_frames:
        raise ValueError(f"discontinuities holds {array[0] if array[0] < 1 else array[-1]}: a "
                         f"jump lies before one of the frames 1..{n_frames - 1}")
    return _read_only(array)


def _indices(selection: object, n: int, name: str) -> np.ndarray:
    """Integer indices from indices, a mask or a slice, checked against n."""
    if isinstance(selection, slice):
        index = np.arange(n)[selection]
    else:
        index = np.asarray(selection)
        if index.dtype == bool:
            if index.shape != (n,):
                raise ValueError(f"{name} is a mask of shape {index.shape}: expected ({n},)")
            index = np.flatnonzero(index)
    if index.size == 0:
        raise ValueError(f"{name} selects nothing: give at least one")
    if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(f"{name} must be integer indices, a mask or a slice")
    if index.min() < 0 or index.max() >= n:
        bad = index.min() if index.min() < 0 else index.max()
        raise ValueError(f"{name} holds {bad}: expected indices in 0..{n - 1}")
    return index
