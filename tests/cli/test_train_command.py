"""`crbm-lite train` left alone: stopped, without its terminal, on a full disk, begun again."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from crbm_lite.cli.commands import command_line
from crbm_lite.cli.train_command import left_alone
from crbm_lite.files import whole as storage
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import save_recording
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training.trainer import NumbaTrainer

SMALL = ["--n-hidden", "4", "--l1", "0.005", "--n-updates", "150", "--batch-size", "50",
         "--n-chains", "20", "--n-gibbs", "3"]  # fmt: skip
WORDS = ("train", "larva.h5", "m.h5", *SMALL, "--quiet")


def run(*words):
    return CliRunner().invoke(command_line, [str(word) for word in words])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------- signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_cluster_or_a_closed_terminal_stops_as_ctrl_c_does(folder, name, monkeypatch):
    number = getattr(signal, name, None) or pytest.skip(f"no {name} here")
    plain = NumbaTrainer.one_update

    def stopped(self, *args, **kwargs):
        if self.plan.update == 130:
            os.kill(os.getpid(), number)  # a closed terminal sends several
            os.kill(os.getpid(), number)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(NumbaTrainer, "one_update", stopped)
    former = signal.signal(number, signal.SIG_DFL)  # the tests may run under nohup
    try:
        result = run(*WORDS)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, former)
    assert result.exit_code == 130 and "go on with --resume" in result.output
    assert CRBM.load("m.h5").history_.update[-1] == 131
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run(*WORDS, "--resume").exit_code in (0, 4)
    assert run("train", "larva.h5", "whole.h5", *WORDS[3:]).exit_code in (0, 4)
    np.testing.assert_array_equal(CRBM.load("m.h5").weights_, CRBM.load("whole.h5").weights_)
    assert names(folder) == ["larva.h5", "m.h5", "whole.h5"]


def test_what_is_ignored_stays_ignored():
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with left_alone():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)


def test_two_ctrl_c_leave_the_checkpoint_and_say_so(folder, monkeypatch):
    plain = NumbaTrainer.one_update

    def stopped(self, *args, **kwargs):
        if self.plan.update == 130:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(NumbaTrainer, "one_update", stopped)
    result = run(*WORDS, "--checkpoint-every", 20)
    assert result.exit_code == 130 and "m.h5 is not written; go on with --resume" in result.output
    assert names(folder) == ["larva.h5", "m.h5.checkpoint", "m.h5.checkpoint.previous"]
    refused = run(*WORDS)
    assert refused.exit_code == 5 and "--resume, or begin again: --overwrite" in refused.output


def test_ctrl_c_while_python_is_still_importing_is_one_line():
    code = (
        "import sys\nclass Stopped:\n    def find_spec(self, name, *_):\n"
        "        if name == 'crbm_lite.cli.commands': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stopped())\n"
        "from crbm_lite.__main__ import main\nmain()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "Error: interrupted\n")


# ---------------------------------------------------------------------- without a terminal


class Gone:
    """A stream whose reader has gone away."""

    encoding = "utf-8"

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self):
        self.write("")

    def isatty(self):
        return False


@pytest.mark.parametrize("stream", [None, Gone()], ids=["closed", "broken pipe"])
def test_a_run_outlives_its_stderr(stream, monkeypatch):
    from tqdm import tqdm

    monkeypatch.setattr(sys, "stderr", stream)
    with left_alone():
        with tqdm(total=3, mininterval=0) as bar:
            bar.update(2)
            bar.set_postfix_str("lr 1")
        print("Warning", file=sys.stderr, flush=True)
        assert not sys.stderr.isatty()


def test_a_log_is_not_filled_by_the_bar(folder):
    environment = {k: v for k, v in os.environ.items() if k != "TQDM_MININTERVAL"}
    words = [sys.executable, "-m", "crbm_lite", *WORDS[:-1], "--n-updates", "1200"]
    result = subprocess.run(words, capture_output=True, text=True, env=environment)
    bars = re.findall(r"\d+/1200 ", result.stderr)
    assert result.returncode in (0, 4) and len(bars) < 20, result.stderr


# ---------------------------------------------------------------------- full disks, other files


def test_a_disk_that_is_full_when_results_are_written_leaves_all_as_it_was(tmp_path):
    code = """
import resource, sys
import numpy as np
from crbm_lite.assemblies.export import export_csv, export_hdf5
from crbm_lite.model.files import write_model
path = sys.argv[1]
write_model(path, {"x": np.zeros(3)}, {})
before = open(path, "rb").read()
noise = np.random.default_rng(0).random((100, 50))
for limit in range(1000, 40_000, 3000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for write in (
        lambda: write_model(path, {"x": noise, "y": noise[:9]}, {"a": "b" * 3000}),
        lambda: export_csv(path, noise, None),
        lambda: export_hdf5(path, noise, None),
    ):
        try:
            write()
        except OSError as error:
            assert error.filename == path, error
        else:
            raise AssertionError(limit)
        assert open(path, "rb").read() == before
"""
    pytest.importorskip("resource")
    path = tmp_path / "m.h5"
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert names(tmp_path) == ["m.h5"]


def test_a_model_for_which_there_is_no_room_is_kept_elsewhere(folder, monkeypatch):
    (folder / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    replace, full = os.replace, [folder]

    def on_a_full_disk(part, path):
        if path.name == "m.h5" and path.parent in full:
            raise OSError(28, "No space left on device", str(path))
        replace(part, path)

    monkeypatch.setattr(os, "replace", on_a_full_disk)
    words = ("train", "larva.h5", *WORDS[2:], "--checkpoint", "c")
    result = run(*words)
    assert result.exit_code == 5 and not (folder / "m.h5").exists()
    kept = re.search(r"kept as (\S+m\.h5): move it", result.output)[1]
    assert CRBM.load(kept).verdict_ in ("converged", "not converged", "undetermined")
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: full.append(folder / "t") or make("t"))
    make = lambda name: (folder / name).mkdir() or str(folder / name)  # noqa: E731
    result = run(*words, "--resume")
    assert (
        result.exit_code == 5 and "No space left" in result.output and "kept" not in result.output
    )
    assert names(folder) == ["c", "larva.h5", "tmp"]


@pytest.mark.skipif(os.name != "posix", reason="other rights there")
def test_a_model_is_for_those_whom_the_umask_lets_read_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "big_disk").mkdir()
    link = tmp_path / "m.h5"
    link.symlink_to(tmp_path / "big_disk" / "m.h5")
    former = os.umask(0o027)
    try:
        storage.write_whole(link, b"all of it")
    finally:
        os.umask(former)
    assert link.is_symlink() and names(tmp_path / "big_disk") == ["m.h5"]
    assert link.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "words",
    [
        ("train", "larva.h5", "larva.h5", "--overwrite"),
        ("train", "larva.h5", "m.h5", "--checkpoint", "./larva.h5", "--overwrite"),
        ("train", "larva.h5", "m.h5", "--checkpoint", "m.h5"),
        ("train", "larva.h5", "m.h5", "--report", "m.h5"),
        ("train", "larva.h5", "m.h5", "--report", "larva.h5"),
        ("train", "larva.h5", "m.h5", "--report", "m.h5.checkpoint"),
        ("validate", "m.h5", "larva.h5", "--report", "m.h5"),
        ("inspect", "larva.h5", "--report", "larva.h5"),
        ("export", "m.h5", "larva.h5", "larva.h5", "--overwrite"),
    ],
)
def test_no_command_replaces_a_file_that_it_was_given(folder, words):
    before = (folder / "larva.h5").read_bytes()
    result = run(*words)
    assert result.exit_code == 2 and "is named twice" in result.output, result.output
    assert (folder / "larva.h5").read_bytes() == before and names(folder) == ["larva.h5"]


def test_a_mistake_does_not_cost_the_checkpoint(folder):
    (folder / "m.h5.checkpoint").write_bytes(b"days of work")
    for wrong, code in ((("missing.h5",), 3), (("larva.h5", "--l1", "-1"), 2)):
        recording, *options = wrong
        assert run("train", recording, "m.h5", "--overwrite", *options).exit_code == code
        assert (folder / "m.h5.checkpoint").read_bytes() == b"days of work"


def test_a_finished_run_reports_again_and_tidies_up(folder):
    first = run(*WORDS, "--report", "r.json")
    (folder / "m.h5.checkpoint").write_bytes(b"left by a kill after the model was written")
    again = run(*WORDS, "--resume", "--report", "-")
    assert again.exit_code == first.exit_code and "m.h5 is finished: " in again.stderr
    reports = json.loads((folder / "r.json").read_text()), json.loads(again.stdout)
    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1]
    assert names(folder) == ["larva.h5", "m.h5", "r.json"]
    save_recording("other.h5", plant_recording(50, 2, (15, 20), 400, 5, random_state=0))
    other = run("train", "other.h5", *WORDS[2:], "--resume")
    assert (
        other.exit_code == 3 and "m.h5 is of another recording: it has 60 neurons" in other.output
    )
