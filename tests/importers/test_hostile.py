"""Files that mislead: numbers that lie elsewhere, decimal commas, options that are none."""

import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from crbm_lite import import_recording, load_recording, save_recording
from crbm_lite.importers.cells import CellOptions
from crbm_lite.importers.csv_file import import_csv
from crbm_lite.importers.hdf5_file import import_hdf5
from crbm_lite.importers.matlab import import_matlab
from crbm_lite.importers.numpy_file import import_numpy
from crbm_lite.importers.published import import_published
from crbm_lite.importers.spike_times import import_spike_times, recording_from_spike_times
from crbm_lite.recordings.files import Recording, RecordingError
from tests.importers import sample_files as samples

SPIKES = (np.random.default_rng(0).random((30, 4)) < 0.3).astype(np.uint8)


def lay_elsewhere(file, key, how, folder):
    """Put a dataset whose numbers lie in a file that is not there."""
    gone = str(folder / "gone.h5")
    if how == "virtual":
        layout = h5py.VirtualLayout(SPIKES.shape, "u1")
        layout[:] = h5py.VirtualSource(gone, "x", shape=SPIKES.shape)
        file.create_virtual_dataset(key, layout)
    else:
        (folder / "raw").write_bytes(SPIKES.tobytes())
        file.create_dataset(key, SPIKES.shape, "u1", external=[(str(folder / "raw"), 0, 120)])


@pytest.mark.parametrize("how", ["virtual", "external"])
def test_numbers_of_another_file_are_not_read_as_zeros(how, tmp_path):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        lay_elsewhere(file, "spikes", how, tmp_path)
        file["rate_hz"] = 2.0
    for load in (import_hdf5, import_recording):
        with pytest.raises(RecordingError, match="spikes lies in other files"):
            load(path)
    with pytest.raises(RecordingError, match="spikes lies in other files"):
        import_matlab(path)
    path = tmp_path / "own.h5"
    save_recording(path, Recording(SPIKES, 2.0))
    with h5py.File(path, "r+") as file:
        del file["spikes"]
        lay_elsewhere(file, "spikes", how, tmp_path)
    with pytest.raises(RecordingError, match="spikes lies in other files"):
        load_recording(path)


def test_a_sparse_matrix_of_another_file_is_not_read_either(tmp_path):
    path = tmp_path / "mine.mat"
    with h5py.File(path, "w") as file:
        group = file.create_group("spikes")
        group.attrs["MATLAB_sparse"] = 30
        group["jc"] = np.zeros(5, np.uint64)
        lay_elsewhere(group, "data", "virtual", tmp_path)
    with pytest.raises(RecordingError, match="data lies in other files"):
        import_matlab(path, rate_hz=2.0)


@pytest.mark.parametrize("link", ["soft", "loop", "external", "none"])
def test_links_lead_to_the_numbers_or_to_an_error(link, tmp_path):
    path, other = tmp_path / "mine.h5", tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["spikes"] = SPIKES
    to = {
        "soft": h5py.SoftLink("/there"),
        "loop": h5py.SoftLink("/spikes"),
        "external": h5py.ExternalLink("other.h5", "/spikes"),
        "none": h5py.ExternalLink("gone.h5", "/spikes"),
    }
    with h5py.File(path, "w") as file:
        file["there"], file["spikes"] = SPIKES, to[link]
    if link == "soft":
        np.testing.assert_array_equal(import_hdf5(path, rate_hz=2.0).spikes, SPIKES)
    else:
        with pytest.raises(RecordingError, match=r"mine\.h5"):
            import_hdf5(path, rate_hz=2.0)


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_member_of_an_archive_is_unpickled(tmp_path):
    trap, path = tmp_path / "trap", tmp_path / "mine.npz"
    for member in ({"spikes": np.array([[Touch(trap)]], object), "rate_hz": 2.0},
                   {"spikes": SPIKES, "rate_hz": np.array(Touch(trap), object)}):  # fmt: skip
        np.savez(path, **member)
        with pytest.raises(RecordingError, match="allow_pickle=False"):
            import_numpy(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("spikes.npy", pickle.dumps(Touch(trap)))
        archive.writestr("../../spikes.npy", pickle.dumps(Touch(trap)))
    with pytest.raises(RecordingError, match=r"mine\.npz"):
        import_numpy(path, rate_hz=2.0)
    assert not trap.exists()


def test_decimal_commas_are_no_names(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("0,5;1\n1;0\n0;1\n")  # the first row would be lost
    with pytest.raises(RecordingError, match="decimal commas"):
        import_csv(path, rate_hz=2.0, delimiter=";", threshold=0.2)
    path.write_text("left, up;right\n1;0\n0;1\n")
    assert import_csv(path, rate_hz=2.0, delimiter=";").names == ("left, up", "right")


@pytest.mark.parametrize("delimiter", ["", "ab", None, 3])
def test_a_delimiter_is_one_character(delimiter, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,0.1\n")
    with pytest.raises(ValueError, match="delimiter is"):
        import_csv(path, rate_hz=2.0, delimiter=delimiter)
    with pytest.raises(ValueError, match="delimiter is"):
        import_spike_times(path, 0.5, delimiter=delimiter)


@pytest.mark.parametrize("text", ["1,0\r\n0,1\r\n", "\ufeff1,0\n0,1\n", "\ufeffa,b\r\n1,0\r\n0,1"])
def test_what_spreadsheets_add_is_no_number(text, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    recording = import_csv(path, rate_hz=2.0)
    assert recording.spikes.tolist() == [[1, 0], [0, 1]]
    assert recording.names == (("a", "b") if "a" in text else None)


@pytest.mark.parametrize("rate_hz", [0, -1.0, np.nan, np.inf, "2", True])
def test_a_rate_that_is_none_is_named(rate_hz, tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, SPIKES)
    with pytest.raises(ValueError, match=r"mine\.npy: rate_hz is"):
        import_numpy(path, rate_hz=rate_hz)
    with pytest.raises(ValueError, match="keys is"):
        import_numpy(path, rate_hz=2.0, keys=["spikes"])
    with pytest.raises(ValueError, match="bin_s is"):
        recording_from_spike_times({"a": [0.1, 0.7]}, "0.5")
    with pytest.raises(ValueError, match="um_per_pixel is"):
        CellOptions(um_per_pixel="1")


def test_what_is_wrong_is_told_in_words(tmp_path):
    with pytest.raises(RecordingError, match="Is a directory"):
        import_numpy(tmp_path)
    path = tmp_path / "mine.npz"
    np.savez(path, spikes=SPIKES, rate_hz=2.0, coordinates=np.ones((3, 4)))
    with pytest.raises(RecordingError) as caught:
        import_numpy(path)
    assert str(caught.value).count(str(path)) == 1  # once is enough
    path = tmp_path / "mine.csv"
    path.write_bytes("a,0.1\n".encode("utf-16"))
    with pytest.raises(RecordingError, match="codec can't decode"):
        import_spike_times(path, 0.5)


def test_published_times_are_not_negative(tmp_path):
    path = tmp_path / "fish.h5"
    fish = Recording(SPIKES, 2.0, coordinates=np.ones((4, 3)), labels=np.ones((4, 1)))
    save_recording(path, fish, layout="published")
    assert import_published(path).n_frames == 30
    with h5py.File(path, "r+") as file:
        file["Data/Brain/Times"][...] -= 100.0
    with pytest.raises(RecordingError, match=r"Times must hold .* none of them negative"):
        import_published(path)


def huge(file, key):
    file.create_dataset(key, (10**12, 10**6), "u1", chunks=(1000, 1000))


UNWRITTEN = {
    "declared, never written": (
        lambda file, key: file.create_dataset(key, (30, 4), "u1", chunks=(10, 4)),
        "declared and not written to the end",
    ),
    "contiguous, never written": (
        lambda file, key: file.create_dataset(key, (30, 4), "u1"),
        "declared and not written to the end",
    ),
    "a million million frames": (huge, "declared and not written to the end"),
    "one chunk of 20 GB": (
        lambda file, key: (
            file.create_dataset(key, (2 * 10**6, 10**4), "u1", chunks=(100, 100))
        ).__setitem__((slice(0, 9), slice(0, 9)), 1),
        "declared and not written to the end",
    ),
}


@pytest.mark.parametrize("case", UNWRITTEN)
def test_what_was_declared_and_not_written_is_not_read_as_zeros(case, tmp_path):
    lay, message = UNWRITTEN[case]
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        lay(file, "spikes")
        file["rate_hz"] = 2.0
    for load in (import_hdf5, import_recording, import_matlab):
        with pytest.raises(RecordingError, match=f"spikes.*{message}"):
            load(path)
    path = tmp_path / "own.h5"
    fish = Recording(SPIKES, 2.0, coordinates=np.ones((4, 3)), labels=np.ones((4, 1)))
    for layout, key in (("crbm_lite", "spikes"), ("published", "Data/Brain/Analysis/DFF")):
        save_recording(path, fish, layout=layout, overwrite=True)
        with h5py.File(path, "r+") as file:
            if key in file:
                del file[key]
            lay(file, key)
        with pytest.raises(RecordingError, match=message):
            load_recording(path)


def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 200 if name == "SC_PHYS_PAGES" else 1)
    paths = [tmp_path / name for name in ("mine.npz", "mine.h5", "mine.mat")]
    np.savez(paths[0], spikes=SPIKES, rate_hz=2.0)
    with h5py.File(paths[1], "w") as file:
        file["spikes"], file["rate_hz"] = SPIKES, 2.0
    scipy.io.savemat(paths[2], {"spikes": scipy.sparse.csc_array(SPIKES), "rate_hz": 2.0})
    for path in paths:
        with pytest.raises(RecordingError, match=r"spikes asks for 0\.0 GB, more than half"):
            import_recording(path)


def test_texts_of_no_length_take_no_memory(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.zeros((2, 2), "S0"))
    text = path.read_bytes().replace(b"(2, 2), ", b"(1000000000, 10), ").replace(b"|S1", b"|S0")
    path.write_bytes(text)
    with pytest.raises(RecordingError, match=r"not a readable \.npy array"):
        import_numpy(path, rate_hz=2.0)


@pytest.mark.parametrize("gap", ["NA", "n/a", "null", "-", "?"])
def test_a_gap_in_the_first_row_does_not_make_it_names(gap, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"{gap},0\n0,1\n1,1\n")  # the frame would be lost
    with pytest.raises(RecordingError, match=r"row 1 holds numbers and gaps"):
        import_csv(path, rate_hz=2.0)
    path.write_text(f"{gap},b\n0,1\n1,1\n")
    assert import_csv(path, rate_hz=2.0).names == (gap, "b")


def test_quotes_around_names_and_numbers(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text('"a, left","b"\n"0","1"\n"1","0"\n')
    recording = import_csv(path, rate_hz=2.0)
    assert recording.names == ("a, left", "b")
    assert recording.spikes.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("delimiter", list('0.e-"\n'))
def test_a_delimiter_is_no_part_of_a_number(delimiter, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("0.1\n1.0\n")
    with pytest.raises(RecordingError, match="delimiter is"):
        import_csv(path, rate_hz=2.0, delimiter=delimiter)


def test_what_only_python_calls_a_number(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,0.1\na,1_0\n")
    with pytest.raises(RecordingError, match="row 2: time '1_0' is no number"):
        import_spike_times(path, 0.5)


@pytest.mark.parametrize("value", [b"all", np.array([b"0", b"1"]), "dangling"])
def test_accepted_components_that_cannot_be_read_do_not_become_all(value, tmp_path):
    path = tmp_path / "results.hdf5"
    with h5py.File(path, "w") as file:
        file["estimates/S"], file["params/data/fr"] = SPIKES.T, 30.0
        link = h5py.SoftLink("/nowhere") if isinstance(value, str) else value
        file["estimates/idx_components"] = link
    with pytest.raises(RecordingError, match="idx_components"):
        import_recording(path)
    assert import_recording(path, accepted_only=False).n_neurons == 4


def test_sums_that_leave_the_numbers_are_named(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.full((3, 2), 1e308))
    with pytest.raises(RecordingError, match="too large for events"):
        import_numpy(path, rate_hz=2.0, amplitude_fraction=0.5)


@pytest.mark.parametrize("what", ["soft", "hard", "external", "two groups", "declared"])
def test_what_pynwb_would_follow_without_end(what, tmp_path):
    """A circle of links, or a small part that declares 8 GB and holds none."""
    path = tmp_path / "mine.nwb"
    samples.write_nwb(path)
    with h5py.File(path, "r+") as file:
        if what == "soft":
            file["units/back"] = h5py.SoftLink("/")
        elif what == "hard":
            file["units/back"] = file["units"]
        elif what == "external":
            file["units/back"] = h5py.ExternalLink(path.name, "/")
        elif what == "two groups":
            file["general/there"], file["units/back"] = file["units"], file["general"]
        else:
            del file["timestamps_reference_time"]
            file.create_dataset("timestamps_reference_time", (10**9,), "i8", chunks=(30_000,))
    message = "asks for 8.0 GB" if what == "declared" else "leads back to a group that holds it"
    with pytest.raises(RecordingError, match=f"mine.nwb: key .*{message}"):
        import_recording(path, bin_s=0.4)
