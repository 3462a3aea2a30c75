"""Recording: what it stores and refuses, selections, and the two HDF5 layouts."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.recordings.files import Recording, RecordingError, load_recording, save_recording
from crbm_lite.simulation.larva_recording import simulate_recording
from crbm_lite.simulation.planted import plant_recording

SPIKES = (np.random.default_rng(0).random((30, 8)) < 0.3).astype(np.uint8)
XYZ = np.arange(24.0).reshape(8, 3)
LABELS = np.arange(16).reshape(8, 2) % 3 == 0


def full_recording() -> Recording:
    return Recording(
        SPIKES,
        2.5,
        coordinates=XYZ,
        labels=LABELS,
        label_names=("tectum", "forebrain"),
        names=[f"n{i}" for i in range(8)],
        provenance={"source": "a test", "steps": [1, 2]},
        discontinuities=[10, 20],
        dff=np.random.default_rng(1).normal(size=(30, 8)),
    )


def assert_same(a: Recording, b: Recording) -> None:
    for name in ("spikes", "coordinates", "labels", "dff", "discontinuities"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x, y, err_msg=name)
    for name in ("rate_hz", "coordinate_unit", "label_names", "names", "provenance"):
        assert getattr(a, name) == getattr(b, name), name


@pytest.mark.parametrize(
    "form", [np.uint8, bool, np.int64, np.float32, scipy.sparse.csr_matrix, scipy.sparse.coo_array]
)
def test_every_form_of_spikes_is_stored_as_uint8(form):
    values = form(SPIKES) if form.__module__.startswith("scipy") else SPIKES.astype(form)
    recording = Recording(values, 2.0)
    assert recording.spikes.dtype == np.uint8
    np.testing.assert_array_equal(recording.spikes, SPIKES)


def test_the_callers_array_is_shared_but_stays_writeable():
    values = SPIKES.copy()
    recording = Recording(values, 2.0)
    assert np.shares_memory(values, recording.spikes)
    assert values.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        recording.spikes[0, 0] = 1


def test_numbers():
    recording = full_recording()
    assert (recording.n_frames, recording.n_neurons) == (30, 8)
    assert recording.duration_s == 12.0
    np.testing.assert_allclose(recording.activity, SPIKES.mean(axis=0))
    assert "30 frames x 8 neurons" in repr(recording)


def test_constant_neurons():
    spikes = SPIKES.copy()
    spikes[:, 2], spikes[:, 5] = 0, 1
    np.testing.assert_array_equal(Recording(spikes, 1.0).constant_neurons, [2, 5])


def with_value(value):
    spikes = SPIKES.astype(float)
    spikes[3, 4] = value
    return spikes


BAD = {
    "counts": ({"spikes": with_value(2)}, "spikes holds 2.* counts > 0"),
    "negative": ({"spikes": with_value(-1)}, "spikes holds -1"),
    "fractions": ({"spikes": with_value(0.5)}, "spikes holds 0.5.*deconvolve"),
    "NaN": ({"spikes": with_value(np.nan)}, "spikes holds NaN"),
    "sparse counts": ({"spikes": scipy.sparse.csr_array(with_value(3))}, "spikes holds 3"),
    "uint8 counts": ({"spikes": SPIKES * 7}, "spikes holds 7"),
    "text": ({"spikes": SPIKES.astype(str)}, "spikes has dtype"),
    "complex": ({"spikes": SPIKES.astype(complex)}, "spikes has dtype"),
    "no frames": ({"spikes": SPIKES[:0]}, "spikes is empty"),
    "no neurons": ({"spikes": SPIKES[:, :0]}, "spikes is empty"),
    "one dimension": ({"spikes": SPIKES[0]}, "spikes has 1 dimensions"),
    "three dimensions": ({"spikes": SPIKES[None]}, "spikes has 3 dimensions"),
    "rate zero": ({"rate_hz": 0}, "rate_hz is 0"),
    "rate negative": ({"rate_hz": -2.5}, "rate_hz is -2.5"),
    "rate NaN": ({"rate_hz": float("nan")}, "rate_hz is nan"),
    "rate missing": ({"rate_hz": None}, "rate_hz is None"),
    "transposed": ({"spikes": SPIKES.T, "coordinates": XYZ}, r"transposed.*pass spikes\.T"),
    "transposed by names": ({"spikes": SPIKES.T, "names": list("abcdefgh")}, "transposed"),
    "transposed by labels": ({"spikes": SPIKES.T, "labels": LABELS}, "transposed"),
    "coordinates (3, N)": ({"coordinates": XYZ.T}, r"pass coordinates\.T"),
    "coordinates (N, 2)": ({"coordinates": XYZ[:, :2]}, "column of zeros"),
    "coordinates of others": ({"coordinates": XYZ[:5]}, "5 rows for 8 neurons"),
    "coordinates NaN": ({"coordinates": np.where(XYZ == 4, np.nan, XYZ)}, "coordinates holds NaN"),
    "labels 0..2": ({"labels": np.arange(16).reshape(8, 2) % 3}, "labels holds 2"),
    "labels (R, N)": ({"labels": LABELS.T}, r"pass labels\.T"),
    "label names only": ({"label_names": ["a"]}, "label_names is given without labels"),
    "label names short": ({"labels": LABELS, "label_names": ["a"]}, "label_names has 1 entries"),
    "label names twice": ({"labels": LABELS, "label_names": ["a", "a"]}, "'a' twice"),
    "names twice": ({"names": list("abcdefga")}, "names holds 'a' twice"),
    "names short": ({"names": list("abc")}, "names has 3 rows"),
    "jump at 0": ({"discontinuities": [0]}, "discontinuities holds 0"),
    "jump after the end": ({"discontinuities": [30]}, "discontinuities holds 30"),
    "jump at a half": ({"discontinuities": [1.5]}, "dtype float64: give a list of frame"),
    "dff of another shape": ({"dff": np.zeros((8, 30))}, "dff has shape"),
    "truth of another recording": (
        {"truth": plant_recording(9, 1, size_range=(2, 3), n_frames=30, n_unassigned=1).truth},
        r"truth has 30 frames and \d+ neurons, spikes has shape \(30, 8\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_the_arguments_name(case):
    change, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        Recording(**({"spikes": SPIKES, "rate_hz": 2.5} | change))


def test_select_neurons_takes_everything_along():
    recording = full_recording().select_neurons([5, 1])
    np.testing.assert_array_equal(recording.spikes, SPIKES[:, [5, 1]])
    np.testing.assert_array_equal(recording.coordinates, XYZ[[5, 1]])
    np.testing.assert_array_equal(recording.labels, LABELS[[5, 1]])
    np.testing.assert_array_equal(recording.dff, full_recording().dff[:, [5, 1]])
    assert recording.names == ("n5", "n1")
    np.testing.assert_array_equal(recording.discontinuities, [10, 20])
    mask = np.arange(8) == 3
    np.testing.assert_array_equal(full_recording().select_neurons(mask).spikes, SPIKES[:, [3]])


@pytest.mark.parametrize(
    ("frames", "jumps"),
    [
        (slice(None), [10, 20]),
        (slice(5, 15), [5]),
        (slice(10, 20), []),  # a block from its first frame on has no jump inside
        (slice(0, 30, 2), list(range(1, 15))),
        (np.r_[0:5, 25:30], [5]),
        (np.r_[5:10, 10:15], [5]),  # neighbours, but time jumps between them
        (np.arange(30) >= 18, [2]),
    ],
)
def test_select_frames_keeps_track_of_discontinuities(frames, jumps):
    recording = full_recording().select_frames(frames)
    np.testing.assert_array_equal(recording.spikes, SPIKES[frames])
    np.testing.assert_array_equal(recording.dff, full_recording().dff[frames])
    np.testing.assert_array_equal(recording.discontinuities, jumps)


def test_discontinuities_by_brute_force():
    # A clock that jumps by 100 at every old discontinuity: a step other than 1 is a jump.
    rng = np.random.default_rng(2)
    recording = full_recording()
    clock = np.arange(30) + 100 * np.searchsorted([10, 20], np.arange(30), side="right")
    for _ in range(50):
        frames = np.sort(rng.choice(30, size=rng.integers(1, 30), replace=False))
        expected = np.flatnonzero(np.diff(clock[frames]) != 1) + 1
        np.testing.assert_array_equal(recording.select_frames(frames).discontinuities, expected)


@pytest.mark.parametrize(
    ("method", "selection", "message"),
    [
        ("select_frames", [3, 2], "must increase"),
        ("select_frames", [3, 3], "must increase"),
        ("select_frames", [], "selects nothing"),
        ("select_frames", [30], "holds 30"),
        ("select_frames", [-1, 2], "holds -1"),
        ("select_frames", [0.5], "integer indices"),
        ("select_frames", np.ones(8, bool), "mask of shape"),
        ("select_neurons", [8], "holds 8"),
        ("select_neurons", [1, 1], "twice"),
        ("select_neurons", np.zeros(8, bool), "selects nothing"),
    ],
)
def test_bad_selections(method, selection, message):
    with pytest.raises(ValueError, match=message):
        getattr(full_recording(), method)(selection)


def test_selections_take_the_truth_along():
    recording = plant_recording(60, 3, size_range=(10, 20), n_frames=50, n_unassigned=10)
    some = recording.select_neurons([4, 40]).select_frames(slice(7, 9))
    np.testing.assert_allclose(
        some.truth.probability(), recording.truth.probability()[7:9][:, [4, 40]]
    )


def test_our_layout_keeps_everything(tmp_path):
    path = save_recording(tmp_path / "r.h5", full_recording())
    assert_same(load_recording(path), full_recording())
    assert load_recording(path, dff=False).dff is None
    assert [p.name for p in tmp_path.iterdir()] == ["r.h5"]  # no temporary file is left


def test_every_dataset_has_a_checksum(tmp_path):
    import h5py

    larva = simulate_recording(300, 60, n_assemblies=9, dff=True)
    with h5py.File(save_recording(tmp_path / "r.h5", larva)) as file:
        found = {}
        file.visititems(lambda key, x: found.update({key: x}) if hasattr(x, "shape") else None)
        assert {"spikes", "dff", "label_names", "truth/effects_data"} <= set(found)
        assert all(x.fletcher32 for x in found.values() if x.size)
        assert all(x.compression == "gzip" for x in found.values() if x.size)


def test_a_recording_of_spikes_only(tmp_path):
    bare = Recording(SPIKES, 2.5)
    assert_same(load_recording(save_recording(tmp_path / "r.h5", bare)), bare)


def test_our_layout_keeps_the_truth(tmp_path):
    recording = simulate_recording(300, 60, n_assemblies=9)
    loaded = load_recording(save_recording(tmp_path / "r.h5", recording)).truth
    truth = recording.truth
    np.testing.assert_array_equal(loaded.probability(), truth.probability())
    np.testing.assert_array_equal(loaded.membership, truth.membership)
    np.testing.assert_array_equal(loaded.structure, truth.structure)
    assert (loaded.names, loaded.kinds, loaded.structure_names) == (
        truth.names,
        truth.kinds,
        truth.structure_names,
    )


def test_nothing_is_overwritten_unless_asked(tmp_path):
    path = save_recording(tmp_path / "r.h5", full_recording())
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_recording(path, Recording(SPIKES, 9.0))
    assert path.read_bytes() == before
    save_recording(path, Recording(SPIKES, 9.0), overwrite=True)
    assert load_recording(path).rate_hz == 9.0


NO_ROOM = """
import resource, sys
import numpy as np
from crbm_lite.recordings.files import Recording, save_recording
few, many = (np.random.default_rng(0).random((n, 1000)) < 0.1 for n in (10, 2000))
save_recording(sys.argv[1], Recording(few, 2.5))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_recording(sys.argv[1], Recording(many, 2.5), overwrite=True)
except OSError as error:
    print(error)
"""


def test_a_recording_for_which_there_is_no_room_replaces_nothing(tmp_path):
    path = tmp_path / "mine.h5"
    run = subprocess.run(
        [sys.executable, "-c", NO_ROOM, path], capture_output=True, text=True, check=True
    )
    assert "File too large" in run.stdout
    assert "mine.h5" in run.stdout
    assert run.stderr == ""
    assert load_recording(path).n_frames == 10
    assert [p.name for p in tmp_path.iterdir()] == ["mine.h5"]


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    path = save_recording(tmp_path / "r.h5", full_recording())
    before = path.read_bytes()
    bad = Recording(SPIKES, 2.5, provenance={"source": object()})  # JSON cannot hold it
    with pytest.raises(TypeError):
        save_recording(path, bad, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.h5"]


def test_published_layout(tmp_path):
    h5py = pytest.importorskip("h5py")
    recording = full_recording()
    path = save_recording(tmp_path / "fish.h5", recording, layout="published")
    with h5py.File(path) as file:
        brain = file["Data/Brain"]
        assert brain["Coordinates"].shape == brain["ZBrainCoordinates"].shape == (3, 8)
        np.testing.assert_allclose(brain["Coordinates"][:, 2], XYZ[2] / 1000)
        assert brain["Times"].shape == (30, 1)
        assert brain["Labels"].shape == (2, 8)
        assert brain["Analysis/ThresholdedSpikes"].shape == (30, 8)
    loaded = load_recording(path)
    kept = LABELS.any(axis=1)
    assert 0 < kept.sum() < 8
    np.testing.assert_array_equal(loaded.spikes, SPIKES[:, kept])
    np.testing.assert_allclose(loaded.coordinates, XYZ[kept])
    np.testing.assert_array_equal(loaded.labels, LABELS[kept])
    np.testing.assert_array_equal(loaded.dff, recording.dff[:, kept])
    np.testing.assert_array_equal(loaded.discontinuities, [10, 20])
    assert loaded.rate_hz == pytest.approx(2.5)
    assert loaded.label_names == ("tectum", "forebrain")
    assert "at least one label" in loaded.provenance["neurons"]


def test_published_layout_requires_labels_and_coordinates(tmp_path):
    with pytest.raises(ValueError, match="requires both"):
        save_recording(tmp_path / "fish.h5", Recording(SPIKES, 2.5), layout="published")
    with pytest.raises(ValueError, match="layout is 'nwb'"):
        save_recording(tmp_path / "fish.h5", full_recording(), layout="nwb")
    assert not list(tmp_path.iterdir())


def rewrite(path, key, values):
    """Replace one dataset of a good file."""
    import h5py

    with h5py.File(path, "r+") as file:
        del file[key]
        if values is not None:
            file[key] = values


DAMAGE = {
    "spikes missing": ("crbm_lite", "spikes", None, "/spikes is missing"),
    "spikes NaN": ("crbm_lite", "spikes", with_value(np.nan), "/spikes holds other values"),
    "spikes counts": ("crbm_lite", "spikes", SPIKES * 2, "/spikes holds other values"),
    "spikes flat": ("crbm_lite", "spikes", SPIKES.ravel(), "/spikes has shape"),
    "spikes empty": ("crbm_lite", "spikes", SPIKES[:0], "/spikes has shape"),
    "spikes transposed": ("crbm_lite", "spikes", SPIKES.T, "transposed"),
    "coordinates text": ("crbm_lite", "coordinates", ["a", "b"], "/coordinates has dtype"),
    "names numbers": ("crbm_lite", "names", np.arange(8), "/names has dtype"),
    "names twice": ("crbm_lite", "names", ["a"] * 8, "names holds 'a' twice"),
    "label names missing": ("crbm_lite", "label_names", None, "/label_names is missing"),
    "times missing": ("published", "Data/Brain/Times", None, "Data/Brain/Times is missing"),
    "times backwards": ("published", "Data/Brain/Times", np.arange(30.0)[::-1], "increasing"),
    "times NaN": ("published", "Data/Brain/Times", np.full(30, np.nan), "increasing"),
    "times short": ("published", "Data/Brain/Times", np.arange(29.0), "ThresholdedSpikes is of"),
    "spikes of others": (
        "published",
        "Data/Brain/Analysis/ThresholdedSpikes",
        SPIKES[:, :4],
        "ThresholdedSpikes is of",
    ),
    "labels transposed": ("published", "Data/Brain/Labels", LABELS.astype(int), "Labels is of"),
    "no label at all": ("published", "Data/Brain/Labels", np.zeros((2, 8)), "no neuron a region"),
    "positions transposed": (
        "published",
        "Data/Brain/ZBrainCoordinates",
        XYZ,
        "ZBrainCoordinates has shape",
    ),
    "no spikes": ("published", "Data/Brain/Analysis", None, "ThresholdedSpikes is missing"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_are_refused_with_file_and_key(case, tmp_path):
    layout, key, values, message = DAMAGE[case]
    path = save_recording(tmp_path / "r.h5", full_recording(), layout=layout)
    rewrite(path, key, values)
    with pytest.raises(RecordingError, match=message) as caught:
        load_recording(path)
    assert str(path) in str(caught.value)


def test_foreign_truncated_and_missing_files(tmp_path):
    import h5py

    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        load_recording(tmp_path / "none.h5")
    for name, content in (("empty.h5", b""), ("text.h5", b"not HDF5 at all")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordingError, match=f"{name}: not a readable HDF5 file"):
            load_recording(tmp_path / name)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["weights"] = [1, 2]
    with pytest.raises(RecordingError, match=r"foreign.h5.*its keys: weights"):
        load_recording(tmp_path / "foreign.h5")
    path = save_recording(tmp_path / "r.h5", full_recording())
    for attribute in ("rate_hz", "provenance"):
        with h5py.File(path, "r+") as file:
            del file.attrs[attribute]
        with pytest.raises(RecordingError, match="attribute"):
            load_recording(path)


def test_a_file_of_another_version(tmp_path):
    import h5py

    path = save_recording(tmp_path / "r.h5", full_recording())
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(RecordingError, match=r"version 99.*reads version 1"):
        load_recording(path)


@pytest.mark.parametrize("layout", ["crbm_lite", "published"])
def test_truncation_and_flipped_bytes_never_pass_silently(layout, tmp_path):
    recording = full_recording()
    good = save_recording(tmp_path / "r.h5", recording, layout=layout).read_bytes()
    expected = load_recording(tmp_path / "r.h5")
    rng = np.random.default_rng(3)
    path = tmp_path / "damaged.h5"
    refused = 0
    for trial in range(60):
        content = bytearray(good)
        if trial % 2:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            loaded = load_recording(path)
        except RecordingError:
            refused += 1
        else:  # the byte did not matter
            provenance = expected.provenance | {"source": loaded.provenance["source"]}
            assert_same(loaded, replace_provenance(expected, provenance))
    assert refused > 30


def replace_provenance(recording: Recording, provenance: dict) -> Recording:
    from dataclasses import replace

    return replace(recording, provenance=provenance)
