"""Files that mislead: numbers that lie elsewhere, decimal commas, options that are none."""

import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from crbm_lite import import_recording, load_recording, save_recording
from crbm_lite.importers.csv_file import import_csv
from crbm_lite.importers.footprints import check_um_per_pixel
from crbm_lite.importers.hdf5_file import import_hdf5
from crbm_lite.importers.matlab import import_matlab
from crbm_lite.importers.numpy_file import import_numpy
from crbm_lite.importers.published import import_published
from crbm_lite.importers.spike_times import import_spike_times, recording_from_spike_times
from crbm_lite.recordings import Recording, RecordingError

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
    if link in ("soft", "external"):
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


@pytest.mark.parametrize("text", ["0,1\r\n1,0\r\n", "\ufeff0,1\n1,0\n", "\ufeffa,b\r\n0,1\r\n1,0"])
def test_what_spreadsheets_add_is_no_number(text, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    recording = import_csv(path, rate_hz=2.0)
    assert recording.spikes.tolist() == [[0, 1], [1, 0]]
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
        check_um_per_pixel("1")


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
