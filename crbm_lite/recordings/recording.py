"""Recording: binarised activity of many neurons, with what is known about them.

Every other module relies on these conventions: time is the first axis, spikes are 0/1, coordinates
are micrometres, and the places where time jumps are remembered.

Spikes take one byte (uint8) for every neuron and frame, T x N bytes in all: 236 MB for 40,709
neurons and 5,800 frames. An array that is already uint8 is not copied. The recording holds a
read-only view of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crbm_lite.checks.arguments import as_numbers, as_rate_hz, as_text, as_texts
from crbm_lite.checks.arrays import (
    as_binary,
    as_coordinates,
    as_discontinuities,
    as_indices,
    as_labels,
    check_rows,
    check_unique,
    read_only,
)
from crbm_lite.recordings.ground_truth import GroundTruth

__all__ = ["Recording", "as_recording", "as_recordings"]


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
        spikes = as_binary(self.spikes, "spikes", np.uint8)
        n_frames = spikes.shape[0]
        self._set("spikes", spikes)
        self._set("rate_hz", as_rate_hz(self.rate_hz))
        unit = as_text(self.coordinate_unit, "coordinate_unit", 'a unit, such as "um"')
        self._set("coordinate_unit", unit)
        if self.coordinates is not None:
            self._set("coordinates", as_coordinates(self.coordinates, spikes.shape))
        labels, label_names = as_labels(self.labels, self.label_names, spikes.shape)
        self._set("labels", labels)
        self._set("label_names", label_names)
        if self.names is not None:
            names = as_texts(self.names, "names")
            check_rows(len(names), "names", spikes.shape)
            check_unique(names, "names")
            self._set("names", names)
        origin = self.provenance
        if not isinstance(origin, str | Mapping):
            raise ValueError(f"provenance is {origin!r}: give a mapping, or a text, the source")
        self._set("provenance", {"source": origin} if isinstance(origin, str) else dict(origin))
        self._set("discontinuities", as_discontinuities(self.discontinuities, n_frames))
        if self.dff is not None:
            dff = as_numbers(self.dff, "dff", np.float32)
            if dff.shape != spikes.shape:
                raise ValueError(
                    f"dff has shape {dff.shape}, spikes {spikes.shape}: give one "
                    "trace for each neuron, time first"
                )
            self._set("dff", read_only(dff))
        if self.truth is not None and not isinstance(self.truth, GroundTruth):
            raise ValueError(f"truth is {self.truth!r}: give a GroundTruth")
        if self.truth is not None and ((self.truth.n_frames, self.truth.n_neurons) != spikes.shape):
            raise ValueError(
                f"truth has {self.truth.n_frames} frames and {self.truth.n_neurons} neurons, "
                f"spikes has shape {spikes.shape}: give the ground truth of these spikes"
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return (
            f"Recording({self.n_frames} frames x {self.n_neurons} neurons, "
            f"{self.rate_hz:g} Hz, {self.duration_s:.1f} s, "
            f"activity {self.activity.mean():.3f})"
        )

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

        Such neurons carry no information. Drop them with
        ``recording.select_neurons(~np.isin(np.arange(N), recording.constant_neurons))``.
        """
        counts = self.spikes.sum(axis=0, dtype=np.int64)
        return np.flatnonzero((counts == 0) | (counts == self.n_frames))

    def check(self, n_hidden: int | None = None):
        """Look the recording over before training.

        This is `crbm_lite.inspection.report.check_recording`, which describes the findings.
        """
        from crbm_lite.inspection.report import check_recording

        return check_recording(self, n_hidden)

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
        index = as_indices(neurons, self.n_neurons, "neurons")
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
        index = as_indices(frames, self.n_frames, "frames")
        if np.any(np.diff(index) <= 0):
            raise ValueError(
                "frames must increase, time has a direction: sort them and give every frame once"
            )
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


def as_recording(value: object) -> Recording:
    """Return a recording as it is; ValueError for spikes alone, which have no frame rate.

    Examples
    --------
    >>> as_recording(np.eye(3))
    Traceback (most recent call last):
    ValueError: recording is a ndarray: give a Recording, such as Recording(spikes, rate_hz)
    """
    if isinstance(value, Recording):
        return value
    raise ValueError(
        f"recording is a {type(value).__name__}: give a Recording, such as "
        "Recording(spikes, rate_hz)"
    )


def as_recordings(values: object) -> tuple[Recording, ...]:
    """Return one or more recordings as a tuple; ValueError for one that is in no list.

    Examples
    --------
    >>> as_recordings(Recording(np.eye(3), rate_hz=2.0))
    Traceback (most recent call last):
    ValueError: recordings is a Recording: give a list of Recording
    """
    if not isinstance(values, Iterable):
        raise ValueError(f"recordings is a {type(values).__name__}: give a list of Recording")
    recordings = tuple(values)
    if not recordings:
        raise ValueError("recordings is empty: give one or more")
    for k, recording in enumerate(recordings):
        if not isinstance(recording, Recording):
            raise ValueError(
                f"recordings[{k}] is a {type(recording).__name__}: give a list of Recording"
            )
    return recordings
