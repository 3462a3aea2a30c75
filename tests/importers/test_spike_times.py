"""Binning of spike times and the importer of lists of spikes."""

import numpy as np
import pytest

from crbm_lite import import_recording
from crbm_lite.importers.binning import bin_spike_times
from crbm_lite.importers.spike_times import import_spike_times, recording_from_spike_times
from crbm_lite.recordings.files import RecordingError


def test_against_a_histogram():
    rng = np.random.default_rng(0)
    times_s = {f"u{i}": np.sort(rng.uniform(0, 50, size=n)) for i, n in enumerate((200, 9, 0, 77))}
    recording = recording_from_spike_times(times_s, bin_s=0.25, stop_s=50.0)
    counts = np.array([np.histogram(t, bins=200, range=(0, 50))[0] for t in times_s.values()]).T
    np.testing.assert_array_equal(recording.spikes, counts > 0)
    assert recording.names == ("u0", "u1", "u2", "u3")
    assert recording.rate_hz == 4.0
    assert recording.provenance["bins_with_spikes"] == (counts > 0).sum()
    assert recording.provenance["bins_with_several_spikes"] == (counts > 1).sum()
    assert recording.provenance["spikes_outside_complete_bins"] == 0


def test_a_spike_on_an_edge_belongs_to_the_later_bin():
    binned = bin_spike_times(np.array([0.0, 0.5, 1.0]), np.zeros(3, int), 1, 0.5, stop_s=1.5)
    assert binned.spikes.ravel().tolist() == [1, 1, 1]


@pytest.mark.parametrize("start_s", [0.0, 0.1, 12345.678, 86_400.0, 1.7e9, -7.3])
@pytest.mark.parametrize(
    ("samples_per_s", "samples_per_bin"),
    [(1, 1), (1, 10), (1000, 5), (1000, 1), (1000, 3), (30_000, 1500), (30_000, 1000), (30_000, 7),
     (24_414.0625, 100), (20_000, 333), (60, 1), (3, 1)],
)  # fmt: skip
@pytest.mark.parametrize("form", ["product", "quotient", "digits", "sums", "single"])
def test_every_spike_is_in_its_bin(start_s, samples_per_s, samples_per_bin, form):
    """Against whole numbers: sample k lies in bin k // samples_per_bin."""
    n_bins = 400
    sample = np.sort(np.random.default_rng(0).integers(0, n_bins * samples_per_bin, 3000))
    sample = np.unique(np.concatenate([sample, np.arange(n_bins) * samples_per_bin]))
    if samples_per_bin > 1:  # and the last sample before every edge
        sample = np.unique(np.concatenate([sample, np.arange(1, n_bins) * samples_per_bin - 1]))
    bin_s = samples_per_bin / samples_per_s
    if form == "sums":
        times_s = np.cumsum(np.full(sample[-1] + 1, 1 / samples_per_s))[sample] - 1 / samples_per_s
    else:
        times_s = sample * (1 / samples_per_s) if form == "product" else sample / samples_per_s
    if form == "digits":
        times_s = np.array([float(f"{t:.12g}") for t in times_s])
    times_s = times_s + start_s
    if form == "single":
        times_s = times_s.astype(np.float32)
        if np.spacing(np.float32(abs(start_s) + n_bins * bin_s)) * samples_per_s > 0.1:
            return  # the times themselves are too coarse
    elif np.spacing(abs(start_s) + n_bins * bin_s) * samples_per_s > 0.1:
        return
    stop_s = start_s + n_bins * bin_s
    found = recording_from_spike_times([times_s], bin_s, start_s=start_s, stop_s=stop_s)
    right = np.bincount(sample // samples_per_bin, minlength=n_bins)
    np.testing.assert_array_equal(found.spikes[:, 0], right > 0)
    assert found.provenance["bins_with_several_spikes"] == (right > 1).sum()
    assert found.provenance["spikes_outside_complete_bins"] == 0


def test_a_spike_just_before_an_edge_stays_before_it():
    for bin_s, clock_s in ((100.0, 1e-6), (0.05, 1e-6), (0.001, 1e-7)):
        edges = bin_s * np.arange(1, 50)
        found = recording_from_spike_times([edges - clock_s], bin_s, stop_s=50 * bin_s)
        np.testing.assert_array_equal(np.flatnonzero(found.spikes[:, 0]), np.arange(49))


def test_start_and_stop_leave_spikes_out_and_count_them():
    times_s = [[-3.0, -0.75, 0.1, 0.6, 7.0]]
    recording = recording_from_spike_times(times_s, 0.5, start_s=-1.0, stop_s=1.2)
    assert recording.spikes.ravel().tolist() == [1, 0, 1, 1]
    assert recording.provenance["spikes_outside_complete_bins"] == 2
    assert recording.names is None


BAD_TIMES = {
    "no neuron": ([], "no neurons"),
    "no spike": ([[], []], "empty"),
    "unsorted": ([[0.1], [0.9, 0.2]], "not sorted within each neuron .*neuron 1"),
    "negative": ([[-0.1, 0.2]], "negative times .*start_s"),
    "NaN": ([[0.1, np.nan]], "NaN or infinity"),
    "infinite": ([[0.1, np.inf]], "NaN or infinity"),
    "text": ([["a"]], "neuron 0 has times of shape"),
    "matrix": ([[[0.1], [0.2]]], "neuron 0 has times of shape"),
    "ragged": ([[[0.1], [0.2, 0.3]]], "neuron 0 is no array"),
    "masked": ([np.ma.array([0.1, 0.2], mask=[0, 1])], "neuron 0 has masked entries"),
    "milliseconds by mistake": ([[1e13]], "choose another bin_s"),
    "two spikes in a million seconds": ([[0.1, 1e6]], "with 2 spikes: choose another bin_s"),
    "too short": ([[0.1, 0.2]], "choose another bin_s"),
}


@pytest.mark.parametrize("case", BAD_TIMES)
def test_bad_times(case):
    times_s, message = BAD_TIMES[case]
    with pytest.raises(RecordingError, match=message) as caught:
        recording_from_spike_times(times_s, bin_s=0.5, source="mine")
    assert str(caught.value).startswith("mine")


@pytest.mark.parametrize("bin_s", [0.0, -1.0, np.nan, np.inf])
def test_bad_bins(bin_s):
    with pytest.raises(ValueError, match="bin_s"):
        recording_from_spike_times([[0.1, 3.0]], bin_s)


class TestFile:
    def write(self, tmp_path, text):
        path = tmp_path / "spikes.csv"
        path.write_text(text, encoding="utf-8")
        return path

    @pytest.mark.parametrize("title", ["", "unit,time_s\n"])
    def test_a_list(self, title, tmp_path):
        path = self.write(tmp_path, title + "u7,0.1\nu3,0.3\n\nu7,0.4\nu7,0.7\nu3,1.2\nu3,1.6\n")
        for recording in (
            import_spike_times(path, bin_s=0.5, stop_s=2.0),
            import_recording(path, format="spike_times", bin_s=0.5, stop_s=2.0),
        ):
            assert recording.spikes.T.tolist() == [[1, 1, 0, 0], [1, 0, 1, 1]]
            assert recording.names == ("u7", "u3")
            assert recording.provenance["bins_with_several_spikes"] == 1
            assert recording.provenance["source"] == "spikes.csv"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "empty"),
            ("unit,time_s\n", "empty"),
            ("u1,0.5\nu1\n", "row 2 has 1 cells"),
            ("u1,0.5,3\n", "row 1 has 3 cells"),
            ("u1;0.5\n", "row 1 has 1 cells separated by ','"),
            ("u1,0.5\nu1,x\n", "row 2: time 'x' is no number"),
            ("u1,0.5\n,0.7\n", "row 2"),
            ("u1,1.5\nu1,0.7\n", "not sorted"),
            ("u1,-1.5\nu1,0.7\n", "negative"),
            ("u1,0.7\nu1,nan\n", "NaN"),
        ],
    )
    def test_bad_lists(self, text, message, tmp_path):
        path = self.write(tmp_path, text)
        with pytest.raises(RecordingError, match=message) as caught:
            import_spike_times(path, bin_s=0.5)
        assert str(path) in str(caught.value)

    def test_missing_and_not_a_text(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            import_spike_times(tmp_path / "none.csv", bin_s=0.5)
        (tmp_path / "spikes.csv").write_bytes(b"\xff\x00\xfe")
        with pytest.raises(RecordingError, match=r"spikes\.csv"):
            import_spike_times(tmp_path / "spikes.csv", bin_s=0.5)
