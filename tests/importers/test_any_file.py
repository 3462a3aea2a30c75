"""Importers on files written here and, where they are at hand, on the real ones."""

import h5py
import numpy as np
import pytest

from crbm_lite.datasets.registry import DatasetUnavailable, fetch, load_retina
from crbm_lite.importers.published import import_published
from crbm_lite.importers.retinal_waves import import_retinal_waves
from crbm_lite.recordings.files import Recording, RecordingError, load_recording, save_recording
from crbm_lite.simulation.larva_recording import simulate_recording


def write_retina(path, **change):
    """Write three units with known spike times, some keys changed or left out (None)."""
    keys = {
        "spikes": [0.10, 0.20, 0.60, 1.99, 0.0, 0.5, 2.4, 2.6],
        "sCount": [4, 0, 4],
        "epos": [[0.0, 60.0, 60.0], [0.0, 0.0, 30.0]],
        "names": np.array([b"A", b"B", b"A"]),
        "summary/duration": [2.5],
    } | change
    with h5py.File(path, "w") as file:
        for key, values in keys.items():
            if values is not None:
                file[key] = values
    return path


BAD_RETINAS = {
    "no spikes": ({"spikes": None}, "/spikes is missing"),
    "no counts": ({"sCount": None}, "/sCount is missing"),
    "no electrodes": ({"epos": None}, "/epos is missing"),
    "empty": ({"spikes": np.zeros(0), "sCount": [0, 0, 0]}, "/spikes is empty"),
    "counts too few": ({"sCount": [4, 0, 3]}, "/sCount must hold"),
    "counts negative": ({"sCount": [9, -1, 0]}, "/sCount must hold"),
    "counts real": ({"sCount": [4.0, 0.0, 4.0]}, "/sCount must hold"),
    "electrodes transposed": ({"epos": np.zeros((3, 2))}, "/epos has shape"),
    "electrode NaN": ({"epos": np.full((2, 3), np.nan)}, "coordinates holds NaN"),
    "negative time": ({"spikes": [-0.1, 0.2, 0.6, 1.9, 0.0, 0.5, 2.4, 2.6]}, "negative times"),
    "NaN time": ({"spikes": [0.1, 0.2, 0.6, np.nan, 0, 0.5, 2.4, 2.6]}, "NaN or infinity"),
    "unsorted": ({"spikes": [0.2, 0.1, 0.6, 1.9, 0.0, 0.5, 2.4, 2.6]}, "not sorted"),
    "text": ({"spikes": np.array([b"a"] * 8)}, "/spikes has dtype"),
    "matrix": ({"spikes": np.zeros((2, 4))}, "/spikes has shape"),
    "names short": ({"names": np.array([b"A"])}, "names has 1 rows"),
    "duration infinite": ({"summary/duration": [np.inf]}, "retina.h5"),
    "duration NaN": ({"summary/duration": [np.nan]}, "retina.h5"),
    "duration absurd": ({"summary/duration": [1e15]}, "choose another bin_s"),
    "duration text": ({"summary/duration": np.array([b"x"])}, "/summary/duration has dtype"),
}


class TestRetinalWaves:
    def test_bins_by_hand(self, tmp_path):
        recording = import_retinal_waves(write_retina(tmp_path / "r.h5"), bin_s=0.5)
        # [0, 0.5) holds 0.1, 0.2 and 0.0; [0.5, 1) 0.6 and 0.5; [1.5, 2) 1.99; [2, 2.5) 2.4;
        # the recording ends at 2.6 s with an incomplete bin.
        np.testing.assert_array_equal(
            recording.spikes, [[1, 0, 1], [1, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]]
        )
        assert recording.rate_hz == 2.0
        np.testing.assert_array_equal(recording.coordinates, [[0, 0, 0], [60, 0, 0], [60, 30, 0]])
        assert recording.names == ("A:1", "B", "A:2")
        assert recording.provenance["bins_with_spikes"] == 6
        assert recording.provenance["bins_with_several_spikes"] == 1
        assert recording.provenance["spikes_outside_complete_bins"] == 1
        np.testing.assert_array_equal(recording.constant_neurons, [1])

    def test_against_a_histogram(self, tmp_path):
        rng = np.random.default_rng(0)
        times = [np.sort(rng.uniform(0, 100, size=n)) for n in (300, 20, 111)]
        path = write_retina(
            tmp_path / "r.h5",
            spikes=np.concatenate(times),
            sCount=[t.size for t in times],
            **{"summary/duration": [100.0]},
        )
        recording = import_retinal_waves(path, bin_s=0.25)
        counts = [np.histogram(t, bins=400, range=(0, 100))[0] for t in times]
        np.testing.assert_array_equal(recording.spikes.T, np.array(counts) > 0)
        assert recording.provenance["bins_with_several_spikes"] == (np.array(counts) > 1).sum()

    def test_names_and_duration_may_be_missing(self, tmp_path):
        path = write_retina(tmp_path / "r.h5", names=None, **{"summary/duration": None})
        recording = import_retinal_waves(path)
        assert recording.names is None
        assert recording.n_frames == 5

    @pytest.mark.parametrize("case", BAD_RETINAS)
    def test_bad_files(self, case, tmp_path):
        change, message = BAD_RETINAS[case]
        path = write_retina(tmp_path / "retina.h5", **change)
        with pytest.raises(RecordingError, match=message) as caught:
            import_retinal_waves(path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize("bin_s", [0.0, -1.0, float("nan"), 100.0, 1e-12])
    def test_bad_bins(self, bin_s, tmp_path):
        with pytest.raises(ValueError, match="bin_s"):
            import_retinal_waves(write_retina(tmp_path / "r.h5"), bin_s)

    def test_truncated_and_missing(self, tmp_path):
        path = write_retina(tmp_path / "r.h5")
        path.write_bytes(path.read_bytes()[:1500])
        with pytest.raises(RecordingError, match=r"r\.h5"):
            import_retinal_waves(path)
        with pytest.raises(FileNotFoundError):
            import_retinal_waves(tmp_path / "none.h5")


@pytest.mark.parametrize(
    ("name", "n_neurons", "n_frames", "n_spikes"),
    [
        ("Stafford2009_WT_37C_Dorsal_2008-10-11-0", 477, 14_394, 864_412),
        ("Stafford2009_WT_37C_Nasal_2008-05-08-0", 459, 12_000, 654_969),
        ("Maccione2014_P11_m1r2_Spkts_bursts_filtered", 1152, 3600, 664_716),
    ],
)
def test_the_real_retinas(name, n_neurons, n_frames, n_spikes):
    try:
        recording = load_retina(name)
        path = fetch(f"retinal-waves/{name}.h5").path
    except DatasetUnavailable as error:
        pytest.skip(str(error))
    assert (recording.n_neurons, recording.n_frames) == (n_neurons, n_frames)
    assert 0.03 < recording.activity.mean() < 0.11
    assert recording.provenance["dataset"] == "retinal-waves"
    with h5py.File(path) as file:
        times_s, counts = file["spikes"][()], file["sCount"][()]
    assert times_s.size == n_spikes
    last = np.cumsum(counts)
    for unit in (0, n_neurons // 2, n_neurons - 1):  # each unit's bins, from its own times
        own = times_s[last[unit] - counts[unit] : last[unit]]
        expected = np.unique((own[own < n_frames / 2] // 0.5).astype(int))
        np.testing.assert_array_equal(np.flatnonzero(recording.spikes[:, unit]), expected)


class TestPublished:
    @pytest.fixture
    def fish(self, tmp_path):
        rng = np.random.default_rng(0)
        times_s = np.arange(40) * 0.4
        times_s[25:] += 60.0  # the microscope paused
        path = tmp_path / "rbm_fish.h5"
        with h5py.File(path, "w") as file:
            brain = file.create_group("Data/Brain")
            brain["Times"] = times_s[:, None]
            brain["Coordinates"] = rng.random((3, 12))
            brain["ZBrainCoordinates"] = rng.random((3, 12))
            labels = np.zeros((294, 12))
            labels[5, ::2], labels[7, 2] = 1, 1
            brain["Labels"] = labels
            brain["Analysis/ThresholdedSpikes"] = (rng.random((40, 12)) < 0.2).astype(float)
            brain["Analysis/DFF"] = rng.normal(size=(40, 12))
        return path

    def test_labelled_neurons_in_micrometres(self, fish):
        recording = load_recording(fish)
        with h5py.File(fish) as file:
            brain = file["Data/Brain"]
            np.testing.assert_array_equal(
                recording.spikes, brain["Analysis/ThresholdedSpikes"][:, ::2]
            )
            np.testing.assert_allclose(
                recording.coordinates, 1000 * brain["ZBrainCoordinates"][:, ::2].T
            )
            np.testing.assert_allclose(recording.dff, brain["Analysis/DFF"][:, ::2], rtol=1e-6)
        assert recording.coordinate_unit == "um"
        assert recording.labels.shape == (6, 294)
        assert recording.labels.sum() == 7
        assert recording.names == ("0", "2", "4", "6", "8", "10")  # the numbers in the file
        assert recording.label_names[5] == "ZBrain 6"
        assert recording.rate_hz == pytest.approx(2.5)
        np.testing.assert_array_equal(recording.discontinuities, [25])
        assert recording.provenance["neurons"] == "6 of 12 kept: those with at least one label"
        assert "ZBrainCoordinates" in recording.provenance["coordinates"]
        assert recording.spikes.dtype == np.uint8

    def test_the_other_choices(self, fish):
        recording = import_published(
            fish, coordinates="Coordinates", keep_unlabelled=True, dff=False
        )
        assert recording.n_neurons == 12
        assert recording.dff is None
        with h5py.File(fish, "r+") as file:
            np.testing.assert_allclose(
                recording.coordinates, 1000 * file["Data/Brain/Coordinates"][()].T
            )
            file["Data/Brain/Analysis/DFF_align"] = 2 * file["Data/Brain/Analysis/DFF"][()]
            del file["Data/Brain/ZBrainCoordinates"]
        np.testing.assert_array_equal(
            load_recording(fish).coordinates, recording.coordinates[::2]
        )  # no others in the file
        assert load_recording(fish).provenance["dff"] == "DFF_align"
        with pytest.raises(ValueError, match="coordinates is 'atlas'"):
            import_published(fish, coordinates="atlas")

    def test_spikes_that_are_not_binary(self, fish):
        with h5py.File(fish, "r+") as file:
            file["Data/Brain/Analysis/ThresholdedSpikes"][3, 4] = np.nan
        with pytest.raises(RecordingError, match=r"ThresholdedSpikes holds other values"):
            import_published(fish)

    def test_a_simulated_larva_in_this_layout(self, tmp_path):
        larva = simulate_recording(300, 50, n_assemblies=9)
        path = save_recording(tmp_path / "fish.h5", larva, layout="published")
        recording = import_published(path)
        np.testing.assert_array_equal(recording.spikes, larva.spikes)
        np.testing.assert_allclose(recording.coordinates, larva.coordinates)
        np.testing.assert_array_equal(recording.labels, larva.labels)
        assert recording.label_names == larva.label_names
        assert recording.rate_hz == pytest.approx(larva.rate_hz)
        assert isinstance(recording, Recording)
