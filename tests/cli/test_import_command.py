"""`crbm-lite import`, and the other commands on files that are not recordings yet."""

import json
import shlex
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

import crbm_lite
from crbm_lite import import_recording, load_recording, save_recording
from crbm_lite.calcium.deconvolution import GCAMP6F, CalciumKernel
from crbm_lite.cli.commands import command_line
from crbm_lite.cli.import_command import as_options

T, N = 60, 4
V = (np.random.default_rng(0).random((T, N)) < 0.3).astype(np.uint8)
EVENTS = V * 1.5
SPIKES = "unit,time\n" + "\n".join(f"u{i},{t}" for i in range(3) for t in (0.1, 0.2, 0.7, 3.0 + i))
HALF = ("--amplitude-fraction", 0.5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """One file of each kind."""
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", S=EVENTS.T, xyz=np.ones((N, 3)))
    np.savez("binary.npz", spikes=V, rate_hz=2.5)
    np.save("mine.npy", V)
    scipy.io.savemat("mine.mat", {"session": {"raster": V}, "fps": 2.5})
    table = [f"{t / 2.5}\t" + "\t".join(map(str, v)) for t, v in enumerate(V)]
    Path("mine.tsv").write_text("\n".join(["t\ta\tb\tc\td", *table]))
    Path("spikes.csv").write_text(SPIKES)
    Path("comma.csv").write_text('"a,b",c,d\n' + "1,0,1\n0,1,0\n" * 3)
    with h5py.File("mine.hdf", "w") as file:
        file["session/events"], file.attrs["format"] = V, "v2 of the laboratory"
    with h5py.File("results.hdf5", "w") as file:
        file["estimates/S"], file["estimates/idx_components"] = EVENTS.T, [0, 2]
        file["params/data/fr"] = 30.0
    with h5py.File("retina.h5", "w") as file:
        file["spikes"], file["sCount"] = [0.1, 0.2, 1.4, 0.7], [3, 1]
        file["epos"] = [[0.0, 60.0], [0.0, 0.0]]
    fish = crbm_lite.Recording(V, 2.5, coordinates=np.ones((N, 3)), labels=np.eye(N, 1))
    save_recording("fish.h5", fish, layout="published")
    data = Path(__file__).parents[1] / "data/suite2p_1.1.0.zip"
    zipfile.ZipFile(data).extractall("suite2p")
    return tmp_path


def run(*words):
    return CliRunner().invoke(command_line, [str(word) for word in words])


# source, options of the command line, the same as arguments
CASES = [
    ("mine.npz", "--key spikes=S --key coordinates=xyz --rate-hz 2.5 --time-axis 1 --threshold 1",
     {"keys": {"spikes": "S", "coordinates": "xyz"}, "rate_hz": 2.5, "time_axis": 1,
      "threshold": 1.0}),
    ("mine.npy", "--rate-hz 5", {"rate_hz": 5.0}),
    ("mine.mat", "--key spikes=session/raster --key rate_hz=fps --coordinate-unit mm",
     {"keys": {"spikes": "session/raster", "rate_hz": "fps"}, "coordinate_unit": "mm"}),
    ("mine.tsv", r"--time-column t --delimiter '\t'", {"time_column": "t", "delimiter": "\t"}),
    ("spikes.csv", "--format spike_times --bin-s 0.5 --start-s 0.1 --stop-s 4",
     {"format": "spike_times", "bin_s": 0.5, "start_s": 0.1, "stop_s": 4.0}),
    ("mine.hdf", "--key spikes=session/events --rate-hz 3",
     {"keys": {"spikes": "session/events"}, "rate_hz": 3.0}),
    ("results.hdf5", "--amplitude-fraction 0.5 --traces S", {"amplitude_fraction": 0.5}),
    ("results.hdf5", "--amplitude-fraction 0.5 --all-cells",
     {"amplitude_fraction": 0.5, "accepted_only": False}),
    ("retina.h5", "--bin-s 0.1", {"bin_s": 0.1}),
    ("fish.h5", "", {}),
    ("fish.h5", "--all-cells", {"keep_unlabelled": True}),
    ("suite2p", "--amplitude-fraction 0.5 --um-per-pixel 2 --all-cells",
     {"amplitude_fraction": 0.5, "um_per_pixel": 2.0, "accepted_only": False}),
    ("suite2p", "--traces F --kernel 0.05,0.8 --neuropil 0.5",
     {"traces": "F", "kernel": CalciumKernel(0.05, 0.8), "neuropil": 0.5}),
    ("suite2p", "--traces F --kernel gcamp6f", {"traces": "F", "kernel": GCAMP6F}),
    ("suite2p", "--traces F --kernel infer --leave-out 1 --leave-out 4",
     {"traces": "F", "kernel": "infer", "leave_out": [1, 4]}),
    ("suite2p", "--traces F --kernel infer --leave-out 0,1 --leave-out 4",
     {"traces": "F", "kernel": "infer", "leave_out": [0, 1, 4]}),
    ("comma.csv", "--leave-out a,b --rate-hz 2", {"leave_out": ["a,b"], "rate_hz": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "words", "options"), CASES)
def test_the_options_are_the_arguments_of_the_importers(folder, source, words, options):
    result = run("import", source, "new.h5", *shlex.split(words), "--report", "r.json")
    assert result.exit_code == 0, result.output
    expected, found = import_recording(source, **options), load_recording("new.h5")
    assert f"new.h5: {expected!r}" in result.output
    for name in ("spikes", "coordinates", "labels", "dff", "discontinuities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.rate_hz, found.names) == (expected.rate_hz, expected.names)
    assert (found.coordinate_unit, found.provenance) == (
        expected.coordinate_unit,
        expected.provenance,
    )
    report = json.loads((folder / "r.json").read_text())
    assert (report["frames"], report["neurons"]) == expected.spikes.shape
    assert report["provenance"] == json.loads(json.dumps(expected.provenance))


def test_an_nwb_file(folder):
    pynwb = pytest.importorskip("pynwb")
    from datetime import UTC, datetime

    file = pynwb.NWBFile("a test", "id", datetime(2026, 1, 5, tzinfo=UTC))
    file.add_unit(spike_times=[0.1, 0.2, 1.4])
    with pynwb.NWBHDF5IO("mine.nwb", "w") as stream:
        stream.write(file)
    result = run("import", "mine.nwb", "new.h5", "--series", "units", "--bin-s", 0.5)
    assert result.exit_code == 0, result.output
    assert "1 of 1 bins with spikes held more than one (100.0%)" in result.output


def test_what_the_library_warns_of_is_a_line(folder, monkeypatch):
    def importer(*words, **options):
        warnings.warn("coordinates are left out: pass um_per_pixel=...", UserWarning, stacklevel=1)
        return import_recording("mine.npy", rate_hz=2.0)

    monkeypatch.setattr(crbm_lite, "import_recording", importer)
    result = run("import", "suite2p", "new.h5")
    assert result.exit_code == 0
    assert result.stderr == "Warning: coordinates are left out: pass --um-per-pixel ...\n"


def test_bins_that_held_more_than_one_spike_are_told(folder):
    words = ("spikes.csv", "new.h5", "--format", "spike_times", "--bin-s", 0.5)
    result = run("import", *words, "--report", "-")
    assert "3 of 8 bins with spikes held more than one (37.5%)" in result.stderr
    assert json.loads(result.stdout)["provenance"]["bins_with_several_spikes"] == 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("none.npz new.h5", 3, "none.npz: no such file"),
        ("mine.npz new.txt", 2, "must end in .h5 or .hdf5"),
        ("mine.npz nowhere/new.h5", 3, "existing folder"),
        ("mine.npz new.h5", 3, "(the file's keys: S, xyz): say which is the spikes with --key"),
        ("mine.npz new.h5 --key spikes=S", 3, "pass --rate-hz ..., or"),
        ("mine.npz new.h5 --key spikes=S --rate-hz 2", 3, "events pass --amplitude-fraction 0.5"),
        ("mine.npz new.h5 --key spikes", 2, "give NAME=KEY"),
        ("mine.npz new.h5 --key voltage=S", 2, "NAME one of spikes, dff"),
        ("mine.npy new.h5 --rate-hz nan", 2, "nan is no positive number"),
        ("mine.npy new.h5 --rate-hz 0", 2, "0 is no positive number"),
        ("mine.npy new.h5 --rate-hz 2 --threshold inf", 2, "inf is no number"),
        ("mine.npy new.h5 --rate-hz 2 --bin-s 1", 2, "the format numpy has no option bin_s"),
        ("mine.npy new.h5 --rate-hz 2 --all-cells", 2, "has no option --all-cells"),
        ("mine.npy new.h5 --rate-hz 2 --kernel gcamp", 2, "give gcamp6s, gcamp6f, infer or RISE_S"),
        ("mine.npy new.h5 --rate-hz 2 --kernel 2,1", 2, "give gcamp6s, gcamp6f, infer or RISE_S"),
        ("suite2p new.h5 --traces C", 3, "traces is 'C'"),
        ("spikes.csv new.h5", 3, "needs --format spike_times"),
        ("spikes.csv new.h5 --format spike_times", 3, "pass --bin-s ..."),
        ("spikes.csv new.h5 --format spike_times --bin-s 9", 3, "choose another --bin-s ..."),
        ("mine.hdf mine.hdf5 --format caiman", 3, "key /estimates/S is missing"),
        ("retina.h5 retina.h5 --overwrite", 5, "is the source itself"),
        ("mine.npy fish.h5 --rate-hz 2", 5, "exists: --overwrite it"),
        ("mine.npy new.h5 --rate-hz 2 --report mine.npy", 2, "named twice"),
        ("mine.npy new.h5 --rate-hz 2 --report new.h5", 2, "named twice"),
        ("suite2p new.h5 --report suite2p/plane0/F.npy", 2, "lies in suite2p"),
        ("suite2p new.h5 --kernel infer", 3, "deconvolved already: pass --traces F"),
        ("results.hdf5 new.h5 --kernel infer", 3, "pass --traces F_dff"),
    ],
)
def test_what_goes_wrong_is_told_in_options_and_leaves_nothing(folder, words, code, message):
    before = {p: p.is_file() and p.read_bytes() for p in folder.rglob("*")}
    result = run("import", *words.split())
    assert result.exit_code == code and message in result.output, result.output
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert {p: p.is_file() and p.read_bytes() for p in folder.rglob("*")} == before


def test_a_recording_is_replaced_only_when_asked_and_only_by_a_whole_one(folder, monkeypatch):
    assert run("import", "mine.npy", "new.h5", "--rate-hz", 2).exit_code == 0
    before = (folder / "new.h5").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("crbm_lite.recordings.files.os.replace", full)
        result = run("import", "mine.npy", "new.h5", "--rate-hz", 3, "--overwrite")
    assert result.exit_code == 5 and "No space left" in result.output
    assert (folder / "new.h5").read_bytes() == before
    assert not [p for p in folder.iterdir() if p.suffix == ".tmp"]
    assert run("import", "mine.npy", "new.h5", "--rate-hz", 3, "--overwrite").exit_code == 0
    assert load_recording("new.h5").rate_hz == 3


def test_without_pynwb_the_pip_line_is_told(folder, monkeypatch):
    (folder / "mine.nwb").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pynwb", None)
    result = run("import", "mine.nwb", "new.h5")
    assert result.exit_code == 2 and "pip install pynwb" in result.output


# ---------------------------------------------------------------------- the other commands


def test_inspect_takes_a_foreign_file_where_the_rate_is_enough(folder):
    for words in (("mine.npy", "--rate-hz", 2.5), ("binary.npz",)):
        result = run("inspect", *words, "--no-cost")
        assert f"Recording({T} frames x {N} neurons, 2.5 Hz" in result.output, result.output
        assert result.exit_code in (0, 4)
    own = run("inspect", "fish.h5", "--rate-hz", 2.5)
    assert own.exit_code == 2 and "no option rate_hz" in own.output
    run("import", "binary.npz", "own.h5")
    for words in (("inspect", "own.h5"), ("import", "own.h5", "new.h5")):
        again = run(*words, "--rate-hz", 2.5)
        assert again.exit_code == 2 and "a recording already" in again.output, again.output


def test_traces_are_answered_with_a_kernel(folder):
    np.save("traces.npy", np.random.default_rng(0).normal(size=(T, N)))
    result = run("inspect", "traces.npy", "--rate-hz", 2.5)
    assert result.output.strip().endswith("--rate-hz 2.5 --kernel infer")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("mine.npz", "crbm-lite import mine.npz mine.h5 --key spikes=..."),
        ("mine.npy", "crbm-lite import mine.npy mine.h5 --rate-hz ..."),
        ("results.hdf5", "crbm-lite import results.hdf5 results.h5 --amplitude-fraction 0.5"),
        ("suite2p", "crbm-lite import suite2p suite2p.h5 --traces F --kernel infer\n"),
        ("spikes.csv", "crbm-lite import spikes.csv spikes.h5 --format spike_times"),
        ("my notes.doc", "crbm-lite import 'my notes.doc' 'my notes.h5' --format ..."),
    ],
)
def test_a_foreign_file_that_needs_more_is_answered_with_the_line_to_type(folder, source, line):
    (folder / "my notes.doc").write_text("x")
    before = sorted(folder.iterdir())
    model = folder / "m.h5"
    for words in (("inspect", source), ("train", source, model)):
        result = run(*words)
        assert result.exit_code == 3 and f"so type: {line}" in result.output, result.output
    assert sorted(folder.iterdir()) == before


def test_the_line_does_not_name_a_file_that_is_there(folder, monkeypatch):
    (folder / "mine.h5").touch()
    assert "import mine.npy mine_recording.h5 --rate-hz ..." in run("inspect", "mine.npy").output
    monkeypatch.chdir(folder / "suite2p" / "plane0")
    assert "crbm-lite import . plane0.h5 --traces F" in run("inspect", ".").output
    Path("F.npy").unlink()  # then only the events are left
    assert "crbm-lite import . plane0.h5 --amplitude" in run("inspect", ".").output


def test_messages_are_told_in_options():
    text = (
        "pass rate_hz=..., keys={'rate_hz': ...}, accepted_only=False, kernel=a.GCAMP6S; bin_s = 3"
    )
    told = "pass --rate-hz ..., --key rate_hz=..., --all-cells, --kernel gcamp6s; bin_s = 3"
    assert as_options(ValueError(text)) == told
    text = "pass leave_out=[9, 43] or leave_out=['a', 'b'], such as crbm_lite.b.GCAMP6S or GCAMP6F"
    told = "pass --leave-out 9,43 or --leave-out 'a' --leave-out 'b', such as gcamp6s or gcamp6f"
    assert as_options(ValueError(text)) == told


def test_the_message_on_traces_has_the_values_of_the_command_line(folder):
    np.save("traces.npy", np.random.default_rng(0).normal(size=(T, N)))
    result = run("inspect", "traces.npy", "--rate-hz", 2.5)
    assert "or that of your indicator, such as gcamp6s; so type" in result.output


def test_dead_rois_are_told_as_the_option_takes_them(folder):
    for part in ("F", "Fneu"):
        values = np.load(f"suite2p/plane0/{part}.npy")
        values[[1, 3]] = 0.0
        np.save(f"suite2p/plane0/{part}.npy", values)
    words = ("import", "suite2p", "new.h5", "--traces", "F", "--kernel", "infer")
    told = run(*words).output
    assert "ROIs 1, 3 is not above 0" in told and "probably dead" in told
    option = told.partition("Pass ")[2].partition(", or a smaller --neuropil")[0]
    assert option == "--leave-out 1,3"
    assert run(*words, *option.split()).exit_code == 0
    assert load_recording("new.h5").names == ("0", "2", "4")


# ---------------------------------------------------------------------- frames left out


@pytest.mark.parametrize(
    ("words", "kept", "jumps"),
    [
        ("10:15", [*range(10), *range(15, T)], [10]),
        ("3", [*range(3), *range(4, T)], [3]),
        (":2,3, 50:", [2, *range(4, 50)], [1]),
        ("10:15 --leave-out-frames 20:22,12:17", [*range(10), *range(17, 20), *range(22, T)],
         [10, 13]),
    ],
)  # fmt: skip
def test_frames_are_left_out_as_by_select_frames(folder, words, kept, jumps):
    traces = np.random.default_rng(0).normal(size=(T, N))
    own = crbm_lite.Recording(V, 2.5, dff=traces, discontinuities=[12])
    save_recording("own.h5", own)
    first, *more = words.split(" --")
    more = [word for words in more for word in f"--{words}".split()]
    result = run("import", "own.h5", "new.h5", "--leave-out-frames", first, *more)
    assert result.exit_code == 0, result.output
    found, wanted = load_recording("new.h5"), own.select_frames(kept)
    np.testing.assert_array_equal(found.spikes, wanted.spikes)
    np.testing.assert_array_equal(found.dff, wanted.dff)
    np.testing.assert_array_equal(found.discontinuities, wanted.discontinuities)
    assert set(jumps) <= set(found.discontinuities.tolist())
    assert f"left out: {T - len(kept)} frame" in result.output
    assert "frames left out" in found.provenance


def test_frames_left_out_twice_are_both_told(folder):
    run("import", "binary.npz", "a.h5", "--leave-out-frames", "10:12")
    run("import", "a.h5", "b.h5", "--leave-out-frames", "0")
    assert load_recording("b.h5").provenance["frames left out"] == "10:12, and of the rest 0:1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("15:10", "--leave-out-frames 15:10: give A:B with A below B"),
        ("10:10", "--leave-out-frames 10:10: give A:B with A below B"),
        (f"{T}", f"the frames are 0 to {T - 1}"),
        (f"50:{T + 1}", f"and B {T} at most"),
        ("-3:5", "give frames such as 1500:1505"),
        ("1:2:3", "give frames such as 1500:1505"),
        ("a", "give frames such as 1500:1505"),
        ("1,,2", "give frames such as 1500:1505"),
        (":", "give frames such as 1500:1505"),
        (":30,30:", f"names all {T} frames"),
    ],
)
def test_impossible_frames_are_refused_and_leave_nothing(folder, words, message):
    result = run("import", "binary.npz", "new.h5", "--leave-out-frames", words)
    assert result.exit_code == 2 and message in result.output, result.output
    assert not (folder / "new.h5").exists()


def test_as_a_program_from_a_foreign_file_to_assemblies(folder):
    planted = crbm_lite.plant_recording(60, 3, (15, 25), 600, 5, random_state=0)
    np.savez("planted.npz", raster=planted.spikes.T, xyz=np.ones((60, 3)))
    lines = (
        "import planted.npz p.h5 --key spikes=raster --key coordinates=xyz --time-axis 1 "
        "--rate-hz 2.5",
        "inspect p.h5 --no-cost --report i.json",
        "train p.h5 m.h5 --n-hidden 4 --l1 0.005 --n-updates 100 --batch-size 50 --quiet",
        "export m.h5 p.h5 a.csv",
    )
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", "crbm_lite", *line.split()], capture_output=True, text=True
        )
        assert done.returncode in (0, 4), done.stderr
        assert "Traceback" not in done.stderr
    np.testing.assert_array_equal(load_recording("p.h5").spikes, planted.spikes)
    assert len((folder / "a.csv").read_text().splitlines()) == 61
