"""The command line: what it writes, what it refuses, and its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from numba.core import event

import crbm_lite
from crbm_lite.cli.commands import command_line
from crbm_lite.cli.exit import EXIT_CODES
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import save_recording
from crbm_lite.recordings.splits import split_train_test
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training.trainer import NumbaTrainer

HYPER = {"n-hidden": 4, "l1": 0.005, "n-updates": 300, "batch-size": 50, "n-chains": 20,
         "n-gibbs": 3}  # fmt: skip
SMALL = [word for name, value in HYPER.items() for word in (f"--{name}", str(value))]
SHORT = ["--n-saved", "3", "--burn-in", "2"]


@pytest.fixture(scope="module")
def planted():
    return plant_recording(60, 3, (15, 25), 1000, 5, random_state=0)


@pytest.fixture
def folder(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_recording("larva.h5", planted)
    return tmp_path


@pytest.fixture(scope="module")
def trained(planted, tmp_path_factory):
    """A converged model's file and the JSON report of its training."""
    folder = tmp_path_factory.mktemp("trained")
    save_recording(folder / "larva.h5", planted)
    result = run("train", folder / "larva.h5", folder / "model.h5", *SMALL, "--quiet",
                 "--report", folder / "report.json")  # fmt: skip
    assert result.exit_code in (0, 4), result.output
    return folder, json.loads((folder / "report.json").read_text()), result


def run(*words):
    return CliRunner().invoke(command_line, [str(word) for word in words])


def hyperparameters(**others):
    return {k.replace("-", "_"): v for k, v in HYPER.items()} | others


# ---------------------------------------------------------------------- what the commands do


def test_train_is_a_fit_of_the_training_frames(trained, planted):
    folder, report, result = trained
    model = CRBM.load(folder / "model.h5")
    direct = CRBM(**hyperparameters(random_state=0, progress=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct.fit(split_train_test(planted)[0])
    np.testing.assert_array_equal(model.weights_, direct.weights_)
    assert report["verdict"] == direct.verdict_
    assert re.search(rf"model\.h5: {direct.verdict_} after \d+ s$", result.output, re.MULTILINE)
    assert report["crbm_lite"] == crbm_lite.__version__
    assert report["hyperparameters"]["n_hidden"] == 4
    assert report["density"] == pytest.approx(np.mean(direct.weights_ != 0))
    assert report["certificate"]["residual"] == direct.certificate_.residual
    assert result.exit_code == (0 if direct.converged_ else 4)
    assert sorted(p.name for p in folder.iterdir()) == ["larva.h5", "model.h5", "report.json"]


def test_validate_scores_the_test_frames(trained, planted):
    folder = trained[0]
    result = run("validate", folder / "model.h5", folder / "larva.h5", *SHORT, "--report", "-")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    train, test = split_train_test(planted)
    model = CRBM.load(folder / "model.h5")
    scores = crbm_lite.validate(model, train, test, n_saved=3, burn_in=2, random_state=0)
    assert report["nrmse"]["vh"] == scores.vh.nrmse and report["frames"] == test.n_frames
    assert report["score"] == pytest.approx(scores.score)
    assert report["has_scale"]["hh"] == scores.hh.has_scale and report["n_saved"] == 3
    assert report["nrmse_error"]["v"] == scores.v.nrmse_error
    assert report["median_left_out_nllh"] == scores.left_out.median
    table = run("validate", folder / "model.h5", folder / "larva.h5", *SHORT)
    words = table.output.replace("--n-", "n_")
    assert words.startswith(scores.table()) and "(n_chains)" not in table.output
    used = (model.weights_ != 0).any(axis=0).sum()
    assert table.output.endswith(f"the model: lambda 0.005, {used} hidden units in use\n")
    strict = run("validate", folder / "model.h5", folder / "larva.h5", *SHORT, "--require", 9)
    assert strict.exit_code == 4 and "Note: " in strict.output and "below 9" in strict.output
    words = ("--n-chains", 40, "--n-steps", 3, "--report", "-")
    few = run("validate", folder / "model.h5", folder / "larva.h5", *SHORT, *words)
    sampling = {"n_chains": 40, "n_steps": 3, "n_saved": 3, "burn_in": 2}
    scores = crbm_lite.validate(model, train, test, random_state=0, **sampling)
    assert json.loads(few.output)["nrmse"]["vh"] == scores.vh.nrmse != report["nrmse"]["vh"]


@pytest.mark.parametrize("suffix", [".csv", ".h5"])
def test_export_writes_the_assemblies_once(trained, tmp_path, suffix):
    folder, output = trained[0], tmp_path / f"assemblies{suffix}"
    words = ("export", folder / "model.h5", folder / "larva.h5", output)
    assert run(*words).exit_code == 0
    weights = CRBM.load(folder / "model.h5").weights_
    if suffix == ".csv":
        rows = output.read_text().splitlines()
        assert len(rows) == 61
        first = rows[0].split(",").index("w0")
        np.testing.assert_allclose(
            [float(x) for x in rows[7].split(",")[first:]], weights[6], rtol=1e-6
        )
    else:
        import h5py

        with h5py.File(output) as file:
            np.testing.assert_array_equal(file["weights"][()], weights)
    again = run(*words)
    assert again.exit_code == 5 and "Error: " in again.output and "exists" in again.output
    few = run(*words, "--overwrite", "--threshold", 99)
    assert few.output.strip().endswith("60 neurons, 0 assemblies")
    assert run(*words, "--overwrite").exit_code == 0


def test_export_keeps_the_names_and_the_unit(folder, tmp_path):
    names, places = ["roi 4", "roi 1", "=roi"], np.arange(9.0).reshape(3, 3)
    pixels = crbm_lite.Recording(
        np.eye(3), rate_hz=2.0, coordinates=places, coordinate_unit="pixel", names=names
    )
    save_recording(tmp_path / "pixels.h5", pixels)
    CRBM.from_parameters(np.eye(3)[:, :1], np.zeros(3), [1], [1], [0], [0]).save(tmp_path / "m.h5")
    output = tmp_path / "a.csv"
    assert run("export", tmp_path / "m.h5", tmp_path / "pixels.h5", output).exit_code == 0
    assert output.read_text().splitlines() == [
        "neuron,name,x_pixel,y_pixel,z_pixel,region,assemblies,w0",
        "0,roi 4,0,1,2,,HU 0,1", "1,roi 1,3,4,5,,,0", "2,'=roi,6,7,8,,,0",
    ]  # fmt: skip


def test_inspect_shows_findings_and_reports_them(folder):
    result = run("inspect", "larva.h5", "--no-cost", "--report", "findings.json")
    assert result.output.endswith("  crbm-lite train larva.h5 model.h5\n")
    report = json.loads((folder / "findings.json").read_text())
    assert report["worst"] in ("ok", "look") and result.exit_code == 0, result.output
    assert {"orientation", "silent"} <= {f["name"] for f in report["findings"]}
    assert report["findings"][0]["text"].split()[0] in result.output


def test_inspect_of_a_bad_recording_ends_with_four(folder):
    v = np.zeros((400, 60), np.uint8)
    v[:, :10] = np.random.default_rng(0).random((400, 10)) < 0.1
    save_recording("bad.h5", crbm_lite.Recording(v, rate_hz=2.0))
    result = run("inspect", "bad.h5", "--no-cost")
    assert result.exit_code == 4 and "a problem was found" in result.output


def test_fetch_lists_what_there_is_and_refuses_the_rest():
    listed = run("fetch")
    assert listed.exit_code == 0 and "retinal-waves" in listed.output
    wrong = run("fetch", "nothing")
    assert wrong.exit_code == 2 and "choose one of retinal-waves" in wrong.output


def test_a_data_set_out_of_reach_ends_with_six(monkeypatch):
    def unreachable(*_, **__):
        raise crbm_lite.datasets.registry.DatasetUnavailable("retinal-waves: no network")

    monkeypatch.setattr("crbm_lite.datasets.registry.fetch", unreachable)
    result = run("fetch", "retinal-waves")
    assert result.exit_code == 6 and "no network" in result.output


# ---------------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "No such command"),
        (["train", "larva.h5"], 2, "Missing argument"),
        (["train", "larva.h5", "m.h5", "--l1", "-1"], 2, "l1 is -1.0: give"),
        (["train", "larva.h5", "m.h5", "--n-gibbs", "many"], 2, "not a valid integer"),
        (["train", "larva.h5", "m.h5", "--backend", "cuda"], 2, "not one of 'numba', 'jax'"),
        (["train", "missing.h5", "m.h5"], 3, "missing.h5"),
        (["train", "broken.h5", "m.h5"], 3, "broken.h5"),
        (["train", "larva.h5", "m.h5", "--batch-size", "100000"], 3, "batch_size"),
        (["train", "larva.h5", "nowhere/m.h5"], 3, "existing folder"),
        (["train", "larva.h5", "nowhere/m.h5", "--checkpoint", "c"], 3, "existing folder"),
        (["train", "larva.h5", "m.h5", "--report", "nowhere/r.json"], 3, "existing folder"),
        (["train", "larva.h5", "m.h5", "--checkpoint", "."], 5, "is a folder"),
        (["train", "larva.h5", "broken.h5", "--resume"], 3, "broken.h5"),
        (["validate", "larva.h5", "larva.h5"], 3, "not a crbm_lite model"),
        (["validate", "missing.h5", "larva.h5"], 3, "missing.h5"),
        (["export", "missing.h5", "larva.h5", "a.txt"], 2, "must end in one of .csv"),
        (["inspect", "broken.h5"], 3, "broken.h5"),
    ],
)
def test_what_goes_wrong_has_one_line_and_its_exit_code(folder, words, code, message):
    (folder / "broken.h5").write_bytes(b"not HDF5")
    before = sorted(p.name for p in folder.iterdir())
    result = run(*words)
    assert result.exit_code == code and message in result.output, result.output
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert sorted(p.name for p in folder.iterdir()) == before
    assert code in EXIT_CODES


def test_without_jax_the_pip_line_is_told_and_nothing_left(folder, monkeypatch):
    for name in [x for x in sys.modules if "accelerator" in x]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jax", None)
    result = run("train", "larva.h5", "m.h5", *SMALL, "--quiet", "--backend", "jax")
    assert result.exit_code == 2 and "pip install 'crbm_lite[jax]'" in result.output
    assert isinstance(result.exception, SystemExit)
    assert [p.name for p in folder.iterdir()] == ["larva.h5"]


def test_the_other_backend_trains_the_same_file(folder):
    jax = pytest.importorskip("jax")
    words = ("train", "larva.h5", "m.h5", *SMALL, "--n-updates", 20, "--quiet", "--backend", "jax")
    result = run(*words, "--report", "r.json")
    assert result.exit_code in (0, 4), result.output
    report = json.loads((folder / "r.json").read_text())
    assert report["hyperparameters"]["backend"] == CRBM.load("m.h5").backend == "jax"
    if jax.default_backend() == "cpu":
        assert "Warning: JAX sees no GPU" in result.output
    assert "is finished" in run(*words, "--resume").output
    other = run(*words[:-1], "numba", "--resume")
    assert other.exit_code == 5 and "backend jax where numba is asked" in other.output


def test_too_little_device_memory_ends_with_two(folder, monkeypatch):
    jax_devices = pytest.importorskip("crbm_lite.training.accelerator.devices")
    monkeypatch.setattr(jax_devices.Devices, "available", property(lambda self: 50_000))
    result = run("train", "larva.h5", "m.h5", *SMALL, "--quiet", "--backend", "jax")
    assert result.exit_code == 2 and "take up to N =" in result.output, result.output
    assert [p.name for p in folder.iterdir()] == ["larva.h5"]


def test_a_model_that_has_not_converged_is_written_and_ends_with_four(folder):
    result = run("train", "larva.h5", "m.h5", *SMALL, "--l1", 0.9, "--quiet")
    assert result.exit_code == 4 and "Error" not in result.output
    assert re.search(
        "Note: the verdict is 'collapsed': no hidden unit has weights. What to do: take a smaller "
        "lambda than --l1 0.9, or leave it out",
        result.output,
    )
    assert "  set: no hidden unit in use" in result.output
    assert CRBM.load("m.h5").verdict_ == "collapsed"


def test_warnings_are_told_and_reported(folder, planted):
    v = np.array(planted.spikes)
    v[:, 3] = 0
    save_recording("silent.h5", crbm_lite.Recording(v, rate_hz=2.0))
    words = ("silent.h5", "m.h5", *SMALL, "--n-updates", 5, "--quiet", "--report", "r.json")
    result = run("train", *words)
    assert "Warning: neurons that never spike: 1 (first: [3])" in result.output
    assert "leave them out by crbm-lite import ... --leave-out" in result.output
    warned = json.loads((folder / "r.json").read_text())["warnings"]
    assert "neurons that never spike: 1" in warned[0]


def test_a_model_of_other_frames_is_not_finished_and_its_scores_are_told(folder, planted):
    words = ("m.h5", *SMALL, "--n-updates", 5, "--quiet")
    run("train", "larva.h5", *words)
    save_recording("other.h5", crbm_lite.Recording(planted.spikes[::-1].copy(), rate_hz=2.0))
    for again in (("other.h5", *words), ("larva.h5", *words, "--all-frames")):
        other = run("train", *again, "--resume")
        assert other.exit_code == 3 and "trained on other frames" in other.output
    fewer = run("train", "larva.h5", "m.h5", *SMALL, "--n-updates", 6, "--resume")
    assert fewer.exit_code == 5 and "m.h5 has n_updates 5 where 6 is asked" in fewer.output
    told = "Warning: m.h5 was not trained on the training frames"
    assert told not in run("validate", "m.h5", "larva.h5", *SHORT).output
    assert told in run("validate", "m.h5", "other.h5", *SHORT).output


def test_a_checkpoint_never_replaces_another_file(folder):
    before = (folder / "larva.h5").read_bytes()
    save_recording("important.h5", crbm_lite.load_recording("larva.h5"))
    important = (folder / "important.h5").read_bytes()
    (folder / "notes.txt").write_text("my notes")
    for name in ("important.h5", "notes.txt"):
        for option in ((), ("--overwrite",), ("--resume",)):
            words = ("train", "larva.h5", "m.h5", *SMALL, "--checkpoint", name, *option)
            result = run(*words)
            assert result.exit_code == 5 and f"{name} is no checkpoint" in result.output
    assert (folder / "important.h5").read_bytes() == important
    assert (folder / "notes.txt").read_text() == "my notes"
    assert (folder / "larva.h5").read_bytes() == before


def test_a_model_of_other_neurons_is_refused(trained, tmp_path):
    other = tmp_path / "other.h5"
    save_recording(other, plant_recording(50, 2, (15, 20), 200, 5, random_state=0))
    result = run("export", trained[0] / "model.h5", other, tmp_path / "a.csv")
    assert result.exit_code == 3 and "60 neurons" in result.output


def test_an_existing_model_is_kept_finished_or_replaced(folder):
    words = ("train", "larva.h5", "m.h5", *SMALL, "--quiet")
    first = run(*words).exit_code
    kept = (folder / "m.h5").read_bytes()
    refused = run(*words)
    assert refused.exit_code == 5 and "--resume, or --overwrite" in refused.output
    done = run(*words, "--resume")
    assert done.exit_code == first and "is finished" in done.output
    for other in (("--seed", 1), ("--l1", 0.02)):
        assert run(*words, "--resume", *other).exit_code == 5
    assert (folder / "m.h5").read_bytes() == kept
    assert run(*words, "--overwrite", "--l1", 0.02).exit_code in (0, 4)
    assert CRBM.load("m.h5").l1 == 0.02


@pytest.mark.parametrize(
    "words", [("locked/m.h5", "--checkpoint", "c"), ("m.h5", "--report", "locked/r.json")]
)
def test_no_right_to_write_is_told_before_the_training(folder, monkeypatch, words):
    (folder / "locked").mkdir()
    rights = os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda p, mode: "locked" not in str(p) and rights(p, mode))
    monkeypatch.setattr(NumbaTrainer, "one_update", None)
    result = run("train", "larva.h5", *words, *SMALL, "--quiet")
    assert result.exit_code == 5 and "cannot be written" in result.output, result.output


def test_a_full_disk_at_the_end_ends_with_five(folder, monkeypatch):
    for module in ("crbm_lite.cli.train_command", "crbm_lite.model.model"):
        monkeypatch.setattr(f"{module}.write_model", _no_space)
    result = run("train", "larva.h5", "m.h5", *SMALL, "--quiet")
    assert result.exit_code == 5 and "No space left" in result.output
    assert (folder / "m.h5.checkpoint").exists()  # nothing is lost
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    updates = []
    plain = NumbaTrainer.one_update
    monkeypatch.setattr(
        NumbaTrainer, "one_update", lambda self, *a, **k: updates.append(1) or plain(self, *a, **k)
    )
    assert run("train", "larva.h5", "m.h5", *SMALL, "--quiet", "--resume").exit_code in (0, 4)
    assert updates == [] and (folder / "m.h5").exists()


def test_a_disk_full_at_every_checkpoint_is_told_once(folder, monkeypatch):
    sizes = iter(range(100))

    def full(*_):  # the size of a checkpoint differs a little
        raise OSError(28, f"no space left: {next(sizes)}.5 MB needed")

    monkeypatch.setattr("crbm_lite.training.checkpoint.CheckpointFile.write", full)
    result = run("train", "larva.h5", "m.h5", *SMALL, "--checkpoint-every", 20, "--quiet")
    assert result.exit_code in (0, 4) and result.output.count("could not be written") == 1


def _no_space(*_):
    raise OSError(28, "No space left on device")


# ---------------------------------------------------------------------- as a program


def test_ctrl_c_ends_with_130_and_resume_goes_on_to_the_same_model(folder, trained):
    words = [sys.executable, "-m", "crbm_lite", "train", "larva.h5", "m.h5", *SMALL]
    words[words.index("300")] = "1500"
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TQDM_MININTERVAL": "0.1"}
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        seen = b""
        while not re.search(rb"\b[2-9]\d\d/1500", seen):  # the progress bar is past the start
            piece = process.stderr.read1(4096)
            assert piece, seen
            seen += piece
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.wait()
    assert process.returncode == 130, seen + rest
    assert b"go on with --resume" in rest
    assert CRBM.load("m.h5").verdict_ == "interrupted"
    assert (folder / "m.h5.checkpoint").exists()
    words = ["train", "larva.h5", "m.h5", *SMALL, "--n-updates", 1500, "--quiet"]
    assert run(*words).exit_code == 5
    assert run(*words, "--resume").exit_code in (0, 4)
    whole = run("train", "larva.h5", "whole.h5", *words[3:])
    assert whole.exit_code in (0, 4)
    np.testing.assert_array_equal(CRBM.load("m.h5").weights_, CRBM.load("whole.h5").weights_)
    assert not (folder / "m.h5.checkpoint").exists()


@pytest.mark.parametrize("limit_mb", [300, 600])
def test_too_little_memory_is_said_so(folder, limit_mb):
    """Under ulimit -v; a larger recording fails at the same place under a larger limit."""
    np.save("big.npy", np.zeros((20_000, 30_000), np.uint8))
    words = f"{sys.executable} -m crbm_lite import big.npy new.h5 --rate-hz 2"
    limited = ["sh", "-c", f"ulimit -v {limit_mb * 1024} && exec {words}"]
    done = subprocess.run(limited, capture_output=True, text=True)
    assert done.returncode in (3, 7) and "memory" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not (folder / "new.h5").exists()


@pytest.mark.parametrize("as_what", [MemoryError, lambda: OSError(12, "Cannot allocate memory")])
def test_an_error_that_memory_caused_has_its_own_exit_code(folder, monkeypatch, as_what):
    def full(*_, **__):
        try:
            raise as_what()
        except (MemoryError, OSError) as error:
            raise ValueError("larva.h5: key spikes cannot be read") from error

    monkeypatch.setattr("crbm_lite.import_recording", full)
    result = run("inspect", "larva.h5", "--no-cost")
    assert result.exit_code == 7 and "not enough memory: larva.h5" in result.output, result.output


def test_a_terminal_obeys_no_name(folder):
    evil = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202e\udc80"
    with h5py.File("evil.h5", "w") as file:
        file[evil.replace("\udc80", "")] = 1
    np.save(f"{evil[:-1]}.npy", np.ones((3, 2)))
    for words in (
        ("inspect", "evil.h5"),
        ("inspect", f"{evil[:-1]}.npy"),
        ("import", f"{evil[:-1]}.npy", f"{evil[:-1]}.h5", "--rate-hz", "2", "--threshold", "0"),
        ("import", "larva.h5", "new.h5", "--key", f"spikes={evil[:-1]}", "--format", "hdf5"),
        ("fetch", evil[:-1]),
        (evil[:-1],),
    ):
        result = run(*words)
        assert not set(result.output) & set("\x1b\x07\x9b\u202e"), result.output
        if words[0] != "import":
            assert "\\x1b]0;owned" in result.output, result.output


def test_help_shows_examples_of_every_command_and_the_exit_codes():
    text = run("-h").output
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in text
    for name in ("import", "inspect", "train", "validate", "export", "fetch"):
        assert name in text
        page = run(name, "--help").output
        assert f"Examples:\n    crbm-lite {name}" in page or f"  crbm-lite {name}" in page
    assert run("--version").output.strip() == f"crbm-lite {crbm_lite.__version__}"


def test_without_click_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['click'] = None\n"
        "import runpy; runpy.run_module('crbm_lite', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2 and "pip install 'crbm_lite[cli]'" in result.stderr


def test_warm_up_leaves_nothing_to_compile_for_a_training():
    result = CliRunner().invoke(command_line, ["warm-up"])
    assert result.exit_code == 0, result.output
    again = CliRunner().invoke(command_line, ["warm-up"])
    assert again.output == "nothing was left to compile\n"
    v = plant_recording(40, 2, (10, 20), 400, 5, random_state=0).spikes
    with event.install_listener("numba:compile", event.RecordingListener()) as compiled:
        for options in ({"l1": 0.002}, {"l1": 1.0, "init": "random"}):
            model = CRBM(3, n_updates=30, n_gibbs=1, batch_size=50, progress=False, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(v)
    assert not [what.data["dispatcher"] for _, what in compiled.buffer]
