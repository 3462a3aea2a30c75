"""`crbm-lite inspect`: what it says to type can be typed."""

import json
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

import crbm_lite
from crbm_lite import load_recording, plant_recording, save_recording
from crbm_lite.cli.commands import command_line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recording whose first frame of an event of five shows in the spikes, and all in dF/F."""
    monkeypatch.chdir(tmp_path)
    planted = plant_recording(60, 3, (15, 25), 1000, 5, random_state=0)
    spikes, rng = np.array(planted.spikes), np.random.default_rng(0)
    spikes[[500, 900]] = 1
    dff = rng.normal(0.2, 0.1, spikes.shape)
    dff[500:505] += 1.5
    dff[900] += 1.5
    save_recording("mine.h5", crbm_lite.Recording(spikes, 2.5, dff=dff))
    return tmp_path


def run(*words):
    return CliRunner().invoke(command_line, [str(word) for word in words])


def typed(result, command):
    """The words of the line that begins with a command."""
    lines = [line.strip() for line in result.output.splitlines()]
    found = [line for line in lines if line.startswith(f"crbm-lite {command} ")]
    assert len(found) == 1, result.output
    return shlex.split(found[0])[1:]


def test_the_line_that_leaves_artefacts_out_does_so(folder):
    result = run("inspect", "mine.h5", "--no-cost", "--report", "r.json")
    words = typed(result, "import")
    assert words == ["import", "mine.h5", "mine_clean.h5", "--leave-out-frames", "500:505,900"]
    assert "recording.select_frames" not in result.output
    assert run(*words).exit_code == 0
    clean = load_recording("mine_clean.h5")
    assert clean.n_frames == 994 and clean.discontinuities.tolist() == [500, 895]
    again = run("inspect", "mine_clean.h5", "--no-cost")
    assert "ok       artefacts" in again.output
    found = json.loads((folder / "r.json").read_text())["findings"]
    artefacts = next(f for f in found if f["name"] == "artefacts")
    assert artefacts["frames"] == [500, 501, 502, 503, 504, 900]


def test_the_last_line_trains_on_the_file(folder):
    assert typed(run("inspect", "mine.h5", "--no-cost"), "train") == [
        "train",
        "mine.h5",
        "model.h5",
    ]
    (folder / "model.h5").touch()
    words = typed(run("inspect", "mine.h5", "--no-cost", "--n-hidden", 4), "train")
    assert words == ["train", "mine.h5", "mine_model.h5", "--n-hidden", "4"]


def test_a_file_without_its_rate_is_imported_before(folder):
    np.save("raw.npy", load_recording("mine.h5").spikes)
    result = run("inspect", "raw.npy", "--rate-hz", 2.5, "--no-cost")
    assert result.output.splitlines()[-2:] == [
        "  crbm-lite import raw.npy raw.h5 --rate-hz 2.5", "  crbm-lite train raw.h5 model.h5",
    ]  # fmt: skip
    assert "import raw.npy raw_clean.h5 --rate-hz 2.5 --leave-out-frames 500,900" in result.output


def test_findings_name_options_and_no_python(folder):
    spikes = np.array(load_recording("mine.h5").spikes)
    spikes[:, :20] = 0
    save_recording("silent.h5", crbm_lite.Recording(spikes, 2.5))
    result = run("inspect", "silent.h5", "--no-cost")
    assert "recording.select" not in result.output and "cl.CRBM" not in result.output
    assert "leave them out by crbm-lite import ... --leave-out" in result.output
