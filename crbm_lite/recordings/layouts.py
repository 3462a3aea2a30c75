"""HDF5 layouts of a recording: ours, and the one of the published zebrafish recordings.

Readers return the fields of a `crbm_lite.recordings.recording.Recording` as a dict, writers take a
recording. Users come in by `crbm_lite.recordings.files.load_recording` and `save_recording`.

Our layout, version 1 (every dataset has a checksum, so that damage is noticed)::

    /                  attributes: format = "crbm_lite recording", version, rate_hz,
                       coordinate_unit, provenance (JSON)
    /spikes            (T, N) uint8, 0 or 1
    /coordinates       (N, 3) float64, in coordinate_unit        optional, as all below
    /labels            (N, R) uint8, 0 or 1;  /label_names (R,) string
    /names             (N,) string
    /discontinuities   (D,) int64, frames before which time jumps
    /dff               (T, N) float32
    /truth             the planted assemblies of a simulation: base_logit (N,), states (T, K) uint8,
                       names and kinds (K,) string, effects_data, effects_indices, effects_indptr
                       (CSR, N x K), structure (R, R), structure_names (R,)

The published layout (van der Plas et al. 2023; time in s, coordinates in mm)::

    /Data/Brain/Times                      (T, 1)
    /Data/Brain/Coordinates                (3, N)
    /Data/Brain/ZBrainCoordinates          (3, N), in the space of the reference brain
    /Data/Brain/Labels                     (R, N) 0/1, R = 294 regions, no names in the file
    /Data/Brain/Analysis/ThresholdedSpikes (T, N) 0/1
    /Data/Brain/Analysis/DFF_align or DFF  (T, N), optional
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import (
    find_item,
    get_dataset,
    read_array,
    read_attribute,
    read_strings,
    read_tiles,
    write_dataset,
)
from crbm_lite.recordings.ground_truth import GroundTruth

if TYPE_CHECKING:
    import h5py

    from crbm_lite.recordings.recording import Recording

__all__ = ["FORMAT", "VERSION", "read_native", "read_published", "write_native", "write_published"]

FORMAT = "crbm_lite recording"
VERSION = 1


def read_native(file: h5py.File, dff: bool = True) -> dict:
    """Read the fields of a recording in our layout.

    Parameters
    ----------
    file : h5py.File
    dff : bool
        Whether to read the calcium traces, if the file has any.

    Returns
    -------
    dict
        Keyword arguments of Recording.

    Raises
    ------
    RecordingError
        If the version is not ours, or a key is missing or damaged.
    """
    version = read_attribute(file, "version")
    if version != VERSION:
        raise RecordingError(
            f"{file.filename}: written in version {version} of the layout, this "
            f"package reads version {VERSION}; load it with the package that "
            "wrote it and save it again"
        )
    said = {key: read_attribute(file, key) for key in ("rate_hz", "coordinate_unit", "provenance")}
    for key, value in said.items():
        if value is None:
            raise RecordingError(f"{file.filename}: attribute {key} is missing")
    fields: dict = {
        "spikes": read_tiles(file, "spikes"),
        "rate_hz": float(said["rate_hz"]),
        "coordinate_unit": said["coordinate_unit"].decode(),
        "provenance": json.loads(said["provenance"]),
    }
    if find_item(file, "coordinates") is not None:
        fields["coordinates"] = read_array(file, "coordinates", 2)
    if find_item(file, "labels") is not None:
        fields["labels"] = read_tiles(file, "labels").view(bool)
        fields["label_names"] = read_strings(file, "label_names")
    if find_item(file, "names") is not None:
        fields["names"] = read_strings(file, "names")
    if find_item(file, "discontinuities") is not None:
        fields["discontinuities"] = read_array(file, "discontinuities", 1)
    if dff and find_item(file, "dff") is not None:
        fields["dff"] = read_array(file, "dff", 2)
    truth = find_item(file, "truth")
    if truth is not None:
        fields["truth"] = _read_truth(truth)
    return fields


def _read_truth(group: h5py.Group) -> GroundTruth:
    base = read_array(group, "base_logit", 1)
    states = read_tiles(group, "states").view(bool)
    effects = scipy.sparse.csr_array(
        tuple(read_array(group, f"effects_{part}", 1) for part in ("data", "indices", "indptr")),
        shape=(base.size, states.shape[1]),
    )
    effects.check_format(full_check=True)
    has_structure = find_item(group, "structure") is not None
    return GroundTruth(
        base,
        effects,
        states,
        read_strings(group, "names"),
        read_strings(group, "kinds"),
        structure=read_array(group, "structure", 2) if has_structure else None,
        structure_names=read_strings(group, "structure_names") if has_structure else None,
    )


def write_native(file: h5py.File, recording: Recording) -> None:
    """Write a Recording into an open, empty file in our layout."""
    file.attrs.update(
        {
            "format": np.bytes_(FORMAT),
            "version": VERSION,
            "rate_hz": recording.rate_hz,
            "coordinate_unit": np.bytes_(recording.coordinate_unit.encode()),
            "provenance": _json(recording.provenance),
        }
    )
    for key in (
        "spikes", "coordinates", "labels", "label_names", "names", "discontinuities", "dff",
    ):  # fmt: skip
        if getattr(recording, key) is not None:
            write_dataset(file, key, getattr(recording, key))
    if recording.truth is not None:
        truth, group = recording.truth, file.create_group("truth")
        for key in ("base_logit", "states", "names", "kinds", "structure", "structure_names"):
            if getattr(truth, key) is not None:
                write_dataset(group, key, getattr(truth, key))
        for part in ("data", "indices", "indptr"):
            write_dataset(group, f"effects_{part}", getattr(truth.effects, part))


def read_published(
    file: h5py.File,
    dff: bool = True,
    coordinates: str = "ZBrainCoordinates",
    keep_unlabelled: bool = False,
) -> dict:
    """Read the fields of a recording in the published layout; coordinates become micrometres.

    The names of the neurons are their numbers in the file.

    Parameters
    ----------
    file : h5py.File
    dff : bool
        Whether to read the calcium traces, if the file has any.
    coordinates : {"ZBrainCoordinates", "Coordinates"}
        Which coordinates to use; "Coordinates" is also used where the file has no others.
    keep_unlabelled : bool
        Whether to keep neurons that lie in no region, which the paper left out.

    Returns
    -------
    dict
        Keyword arguments of Recording.

    Raises
    ------
    RecordingError
        If a key is missing or damaged, or shapes do not fit together.
    """
    brain = find_item(file, "Data/Brain")
    if not hasattr(brain, "keys"):
        raise RecordingError(f"{file.filename}: key /Data/Brain is missing, or no group")
    if find_item(brain, coordinates) is None:
        coordinates = "Coordinates"
    position_mm = read_array(brain, coordinates, 2)
    if position_mm.shape[0] != 3:
        raise RecordingError(
            f"{file.filename}: key /Data/Brain/{coordinates} has shape "
            f"{position_mm.shape}: give (3, N)"
        )
    n_all = position_mm.shape[1]
    labels = read_tiles(brain, "Labels").view(bool)
    shape = get_dataset(brain, "Analysis/ThresholdedSpikes").shape
    times_s = np.asarray(read_array(brain, "Times"), dtype=np.float64).ravel()
    for key, found, wanted in (
        ("Labels", labels.shape[1:], (n_all,)),
        ("Analysis/ThresholdedSpikes", shape, (times_s.size, n_all)),
    ):
        if found != wanted:
            raise RecordingError(
                f"{file.filename}: key /Data/Brain/{key} is of {found}, not of {wanted}, with "
                f"{times_s.size} Times and {n_all} neurons in {coordinates}"
            )
    step_s = np.diff(times_s)
    increase = step_s.size > 0 and np.isfinite(times_s).all() and (step_s > 0).all()
    if not increase or times_s[0] < 0:
        raise RecordingError(
            f"{file.filename}: key /Data/Brain/Times must hold at least two "
            "increasing times in seconds, none of them negative"
        )
    frame_s = float(np.median(step_s))
    keep = np.arange(n_all) if keep_unlabelled else np.flatnonzero(labels.any(axis=0))
    if keep.size == 0:
        raise RecordingError(
            f"{file.filename}: key /Data/Brain/Labels gives no neuron a region: "
            "import it with keep_unlabelled=True"
        )
    names = read_attribute(get_dataset(brain, "Labels"), "names")
    if names is None:
        names = [b"ZBrain %d" % (r + 1) for r in range(labels.shape[0])]
    fields = {
        "spikes": read_tiles(brain, "Analysis/ThresholdedSpikes", keep),
        "rate_hz": 1.0 / frame_s,
        "coordinates": 1000.0 * position_mm.T[keep],
        "labels": np.ascontiguousarray(labels[:, keep].T),
        "label_names": tuple(x.decode() for x in names),
        "names": [str(i) for i in keep],
        "discontinuities": np.flatnonzero(step_s > 1.5 * frame_s) + 1,
        "provenance": {
            "source": Path(file.filename).name,
            "layout": "published zebrafish layout",
            "coordinates": f"{coordinates}, mm to um",
            "neurons": f"{keep.size} of {n_all} kept"
            + ("" if keep_unlabelled else ": those with at least one label"),
        },
    }
    written_from = read_attribute(file, "provenance")
    if written_from is not None:
        fields["provenance"]["written_from"] = json.loads(written_from)
    for key in ("DFF_align", "DFF"):
        if dff and find_item(brain, f"Analysis/{key}") is not None:
            fields["dff"] = read_tiles(brain, f"Analysis/{key}", keep, np.float32)
            fields["provenance"]["dff"] = key
            break
    return fields


def write_published(file: h5py.File, recording: Recording) -> None:
    """Write a Recording into an open, empty file in the published layout.

    The one set of coordinates is written under both keys, region names as an attribute of Labels,
    and a discontinuity as one frame left out of Times, since its true length is not known. Neuron
    names and the ground truth have no place in this layout.

    Raises
    ------
    ValueError
        If the recording lacks coordinates in um or labels, which this layout requires.
    """
    if recording.coordinates is None or recording.labels is None:
        raise ValueError(
            "recording has no coordinates or no labels, and the published layout "
            "requires both: use layout='crbm_lite'"
        )
    if recording.coordinate_unit != "um":
        raise ValueError(
            f"recording.coordinate_unit is {recording.coordinate_unit!r}: the "
            "published layout is in mm and made from um"
        )
    brain = file.create_group("Data/Brain")
    steps = np.ones(recording.n_frames)
    steps[recording.discontinuities] = 2.0
    write_dataset(brain, "Times", (np.cumsum(steps) - 1.0)[:, None] / recording.rate_hz)
    for key in ("Coordinates", "ZBrainCoordinates"):
        write_dataset(brain, key, recording.coordinates.T / 1000.0)
    write_dataset(brain, "Labels", np.ascontiguousarray(recording.labels.T))
    brain["Labels"].attrs["names"] = np.char.encode(np.array(recording.label_names), "utf-8")
    write_dataset(brain, "Analysis/ThresholdedSpikes", recording.spikes)
    if recording.dff is not None:
        write_dataset(brain, "Analysis/DFF", recording.dff)
    file.attrs["provenance"] = _json(recording.provenance)


def _json(provenance: dict) -> np.bytes_:
    """Provenance as JSON: NumPy's numbers as numbers, paths as text."""

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        if isinstance(value, Path):
            return str(value)
        raise TypeError(f"provenance holds {value!r}: give numbers and texts")

    return np.bytes_(json.dumps(provenance, default=plain))
