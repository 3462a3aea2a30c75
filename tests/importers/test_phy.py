"""The folder of a spike sorter, and the width of a bin that is recommended."""

import numpy as np
import pytest

from crbm_lite import import_recording
from crbm_lite.importers.any_file import format_of
from crbm_lite.importers.binning import bin_spike_times
from crbm_lite.importers.phy import import_phy
from crbm_lite.importers.spike_times import import_spike_times
from crbm_lite.recordings.files import RecordingError

RATE_HZ = 30_000
RNG = np.random.default_rng(0)
SAMPLE = np.sort(RNG.integers(0, 60 * RATE_HZ, 3000)).astype(np.uint64)
UNIT = RNG.integers(0, 12, 3000).astype(np.uint32)
GROUPS = {0: "good", 1: "mua", 2: "noise", 5: "good", 7: "unsorted", 9: ""}
SORTER = {i: "good" if i % 2 else "mua" for i in range(12)}  # says 7, 9, 11, 3, 5, 1
GOOD = [0, 3, 5, 7, 9, 11]  # by hand 0 and 5, not 1; by the sorter where nobody has decided


def write_table(path, column, values, delimiter="\t"):
    rows = [delimiter.join(("cluster_id", column))]
    rows += [f"{i}{delimiter}{value}" for i, value in values.items()]
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "spike_times.npy", SAMPLE[:, None])
    np.save(tmp_path / "spike_clusters.npy", UNIT)
    np.save(tmp_path / "amplitudes.npy", np.ones(3000))
    (tmp_path / "params.py").write_text(
        "dat_path = 'a.bin'\nsample_rate = 30000.\nhp_filtered = 1\n"
    )
    write_table(tmp_path / "cluster_group.tsv", "group", GROUPS)
    write_table(tmp_path / "cluster_KSLabel.tsv", "KSLabel", SORTER)
    return tmp_path


def expected(units, samples_per_bin, n_bins):
    spikes = np.zeros((n_bins, len(units)), np.uint8)
    for column, unit in enumerate(units):
        index = SAMPLE[unit == UNIT] // samples_per_bin
        spikes[index[index < n_bins].astype(int), column] = 1
    return spikes


@pytest.mark.parametrize("bin_s", [0.02, 0.05, 1 / 30, 0.001])
def test_good_units_in_exact_bins(folder, bin_s):
    n_bins = round(60 / bin_s)
    for path in (folder, folder / "spike_times.npy"):
        recording = import_recording(path, bin_s=bin_s, stop_s=60.0)
        right = expected(GOOD, round(bin_s * RATE_HZ), n_bins)
        np.testing.assert_array_equal(recording.spikes, right)
        assert recording.names == tuple(map(str, GOOD))
        assert recording.rate_hz == pytest.approx(1 / bin_s)
    everything = import_phy(folder, bin_s, stop_s=60.0, accepted_only=False)
    np.testing.assert_array_equal(
        everything.spikes, expected(range(12), round(bin_s * RATE_HZ), n_bins)
    )


def test_labels_by_hand_come_first(folder):
    (folder / "cluster_group.tsv").unlink()
    assert import_phy(folder, 0.05).names == ("1", "3", "5", "7", "9", "11")  # the sorter's
    info = "id\tamp\tch\tgroup\tKSLabel\n" + "".join(
        f"{i}\t1.0\t{10 + i}\t{GROUPS.get(i, '')}\t{SORTER[i]}\n" for i in range(12)
    )
    (folder / "cluster_info.tsv").write_text(info)
    assert import_phy(folder, 0.05).names == tuple(map(str, GOOD))
    assert import_phy(folder, 0.05).coordinates is None
    np.save(folder / "channel_map.npy", np.arange(10, 22)[::-1, None])
    np.save(folder / "channel_positions.npy", np.column_stack([np.zeros(12), 20.0 * np.arange(12)]))
    recording = import_phy(folder, 0.05)
    np.testing.assert_array_equal(recording.coordinates[:, 1], [20 * (11 - i) for i in GOOD])
    write_table(folder / "cluster_group.tsv", "group", dict.fromkeys(range(12), "good"))
    assert import_phy(folder, 0.05).n_neurons == 12  # what was saved last
    write_table(folder / "cluster_groups.csv", "group", dict.fromkeys(range(12), "noise"), ",")
    with pytest.raises(RecordingError, match="no unit is good: pass accepted_only=False"):
        import_phy(folder, 0.05)
    for path in folder.glob("cluster_*"):
        path.unlink()
    with pytest.raises(RecordingError, match=r"no group and no KSLabel.*accepted_only=False"):
        import_phy(folder, 0.05)


def test_templates_before_phy_has_seen_the_folder(folder):
    (folder / "spike_clusters.npy").rename(folder / "spike_templates.npy")
    assert import_recording(folder, bin_s=0.05).names == tuple(map(str, GOOD))


def test_the_settings_are_read_and_never_run(folder):
    ran = folder / "ran"
    (folder / "params.py").write_text(
        f"open({str(ran)!r}, 'w')\nsample_rate = 25_000  # Hz\n# sample_rate = 1\n"
    )
    recording = import_phy(folder, 0.05)
    assert recording.provenance["sample_rate_hz"] == 25_000
    assert not ran.exists()
    for text in ("", "sample_rate = float('nan')\n", "sample_rate = 0\n", "sample_rate = 3e9999\n"):
        (folder / "params.py").write_text(text)
        with pytest.raises(RecordingError, match=r"params\.py .*pass sample_rate_hz"):
            import_phy(folder, 0.05)
    (folder / "params.py").unlink()
    assert import_phy(folder, 0.05, sample_rate_hz=30_000).n_frames == 1199


def test_a_width_is_recommended_and_loses_little(folder, tmp_path):
    with pytest.raises(
        RecordingError, match=r"pass bin_s=\.\.\., in seconds\. In bins of"
    ) as caught:
        import_recording(folder)
    text = str(caught.value)
    width_s = float(text.split("bin_s = ")[1].split(" s")[0])
    keep = np.isin(UNIT, GOOD)
    shares = []
    for bin_s in (width_s, {0.02: 0.05, 0.05: 0.1, 0.1: 0.2, 0.2: 0.5}[width_s]):
        found = bin_spike_times(SAMPLE[keep] / RATE_HZ, UNIT[keep].astype(int), 12, bin_s)
        shares.append(found.n_bins_with_several / found.n_bins_with_spikes)
    assert shares[0] <= 0.05 < shares[1]
    assert f"{shares[0]:.1%} of those" in text
    path = tmp_path / "spikes.csv"
    path.write_text("\n".join(f"{u},{s / RATE_HZ}" for u, s in zip(UNIT[keep], SAMPLE[keep])))
    with pytest.raises(RecordingError, match=f"In bins of bin_s = {width_s:g} s"):
        import_spike_times(path)


def test_spike_times_are_not_taken_for_a_trace(folder, tmp_path):
    assert format_of(folder) == format_of(folder / "spike_times.npy") == "phy"
    with pytest.raises(RecordingError, match="0 never falls"):
        import_recording(folder / "spike_times.npy", "numpy", rate_hz=3e4, threshold=0)
    with pytest.raises(RecordingError, match="format='phy'"):
        import_recording(folder / "spike_times.npy", "spike_times", bin_s=0.05)
    alone = tmp_path / "elsewhere" / "times.npy"
    alone.parent.mkdir()
    np.save(alone, SAMPLE)
    with pytest.raises(RecordingError, match="give numbers in two dimensions"):
        import_recording(alone, rate_hz=3e4, threshold=0)


BAD = {
    "spikes missing": ("spike_times.npy", None, "no spike_times.npy"),
    "units missing": ("spike_clusters.npy", None, r"spike_templates\.npy: no such file"),
    "too few units": ("spike_clusters.npy", UNIT[1:], "has 2999 units .* 3000 spikes"),
    "units real": ("spike_clusters.npy", UNIT * 1.0, "units of dtype float64"),
    "a matrix": ("spike_times.npy", SAMPLE.reshape(1500, 2), r"has shape \(1500, 2\)"),
    "texts": ("spike_times.npy", np.full(3000, "a"), "one number for each spike"),
    "objects": ("spike_times.npy", np.full(3000, None), "not a readable"),
    "unsorted": ("spike_times.npy", SAMPLE[::-1].copy(), "not sorted"),
    "NaN": ("spike_times.npy", np.where(UNIT == 5, np.nan, SAMPLE), "NaN"),
    "a table of texts": (
        "cluster_group.tsv",
        "cluster_id\tgroup\nx\tgood\n",
        "'x' is no cluster_id",
    ),
    "channels": ("channel_positions.npy", np.zeros((3, 3)), "one place for each channel"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folders(folder, case):
    name, contents, message = BAD[case]
    if name == "channel_positions.npy":
        info = "cluster_id\tch\n" + "".join(f"{i}\t{i}\n" for i in range(12))
        (folder / "cluster_info.tsv").write_text(info)
        np.save(folder / "channel_map.npy", np.arange(12))
    if contents is None:
        (folder / name).unlink()
    elif isinstance(contents, str):
        (folder / name).write_text(contents)
    else:
        np.save(folder / name, contents)
    with pytest.raises(RecordingError, match=message) as caught:
        import_phy(folder, 0.05)
    assert str(folder) in str(caught.value)
