"""Runs that are killed, stopped or refused the disk go on to the same bits, or say why not."""

import json
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
from copy import deepcopy

import h5py
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from tqdm import tqdm

from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.cache import cached_fit
from crbm_lite.model.model import CRBM
from crbm_lite.training import checkpoint, task
from crbm_lite.training.checkpoint import CheckpointError, CheckpointFile, CheckpointWarning
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.training.interruption import stop_request
from crbm_lite.training.run import train
from crbm_lite.training.trainer import NumbaTrainer
from tests.training import killed_runs
from tests.training.killed_runs import HYPER, recording
from tests.training.runs import bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IDENTITY = {"n_hidden": 4}
STATE = {"trainer/weights": np.arange(6, dtype=np.float32).reshape(2, 3), "run/n": np.asarray(3)}


@pytest.fixture(scope="module")
def data():
    return recording()


@pytest.fixture(scope="module")
def unbroken(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return bits(CRBM(**HYPER).fit(data))


# ---------------------------------------------------------------------- kill -9


@pytest.fixture
def kill():
    """A function that starts a run in another process and returns what killed it."""
    with subprocess.Popen(
        [sys.executable, killed_runs.__file__],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as nursery:  # fmt: skip

        def run(path, **job):
            print(json.dumps({"path": str(path), **job}), file=nursery.stdin, flush=True)
            return int(nursery.stdout.readline())

        yield run
        nursery.stdin.close()


def update_of(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        return int(CheckpointFile(path, 1).read()[1]["trainer/update"])


def test_a_run_killed_many_times_at_random_moments_ends_in_the_same_bits(
    data, unbroken, kill, tmp_path
):
    path, rng = tmp_path / "run.h5", np.random.default_rng(0)
    reached = []
    for _ in range(10):
        if kill(path, every=1, after_s=float(rng.uniform(0, 0.06))) != signal.SIGKILL:
            break  # the run was faster than the signal
        reached.append(update_of(path))
    assert len(reached) >= 3 and reached == sorted(reached) and reached[-1] > reached[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)  # it may have died between two renames
        model = CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=50, resume=True)
    assert bits(model) == unbroken


@pytest.mark.parametrize(
    "moment",
    [("fsync", 5, True), ("replace", 4, True), ("replace", 4, False), ("replace", 5, True)],
    ids=["file not on the disk", "written", "former renamed", "between the renames"],
)
def test_a_run_killed_in_the_middle_of_a_write_ends_in_the_same_bits(
    data, unbroken, kill, tmp_path, moment
):
    path = tmp_path / "run.h5"
    call, nth, before = moment
    job = {"every": 20, "in": call, "nth": nth, "before": before}
    assert kill(path, **job) == signal.SIGKILL
    assert len(list(tmp_path.iterdir())) >= 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        model = CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=50, resume=True)
    assert bits(model) == unbroken
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "run.h5.previous"]


def test_a_rewound_run_goes_on_to_the_same_bits(data, tmp_path, monkeypatch):
    plain, stop_at = NumbaTrainer.one_update, [0]

    def poisoned(self, *args, **kwargs):
        measured = plain(self, *args, **kwargs)
        if (self.plan.update, self.plan.learning_rate_factor) in ((150, 1.0), (190, 0.5)):
            self.parameters.fields[:] = np.nan
        if self.plan.update == stop_at[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return measured

    monkeypatch.setattr(NumbaTrainer, "one_update", poisoned)
    whole = CRBM(**HYPER).fit(data)
    assert sum("back to update" in event for event in whole.history_.events) == 2
    for moment in (130, 150, 175):  # before a snapshot is needed; with NaN in hand; after a rewind
        stop_at[0] = moment
        path = tmp_path / f"{moment}.h5"
        model = CRBM(**HYPER).fit(data, checkpoint=path)
        assert model.verdict_ == "interrupted"
        stop_at[0] = 0
        again = CRBM(**HYPER).fit(data, checkpoint=path, resume=True)
        assert bits(again) == bits(whole)


def test_a_checkpoint_changes_nothing_and_a_finished_run_comes_back(data, unbroken, tmp_path):
    path = tmp_path / "run.h5"
    assert bits(CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=70)) == unbroken
    assert update_of(path) == HYPER["n_updates"] and update_of(f"{path}.previous") == 210
    assert bits(CRBM(**HYPER).fit(data, checkpoint=path, resume=True)) == unbroken


def test_a_run_without_a_fixed_seed_goes_on_with_its_own(data, tmp_path):
    path = tmp_path / "run.h5"
    free = HYPER | {"random_state": None}
    whole = bits(CRBM(**free).fit(data, checkpoint=path, checkpoint_every=200))
    os.replace(f"{path}.previous", path)
    assert update_of(path) == 200
    for state in (None, np.random.default_rng(3)):
        model = CRBM(**free | {"random_state": state})
        assert bits(model.fit(data, checkpoint=path, resume=True)) == whole
    with pytest.raises(CheckpointError, match="random_state is None there and 0 here"):
        CRBM(**HYPER).fit(data, checkpoint=path, resume=True)


# ---------------------------------------------------------------------- damaged, or of another run


def damaged(content, kind):
    if kind == "empty":
        return b""
    if kind == "truncated":
        return content[: len(content) // 2]
    if kind == "foreign":
        return b"not HDF5"
    place = content.index(np.arange(6, dtype=np.float32).tobytes())
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("kind", ["empty", "truncated", "foreign", "one bit"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_used(tmp_path, kind):
    file = CheckpointFile(tmp_path / "run.h5", 1)
    file.write(IDENTITY, STATE | {"run/n": np.asarray(1)})
    file.write(IDENTITY, STATE)
    assert file.read()[1]["run/n"] == 3
    file.path.write_bytes(damaged(file.path.read_bytes(), kind))
    fresh = CheckpointFile(file.path, 1)
    with pytest.warns(CheckpointWarning, match=r"damaged.*run\.h5\.previous, is used"):
        identity, state = fresh.read()
    assert identity == IDENTITY and state["run/n"] == 1
    np.testing.assert_array_equal(state["trainer/weights"], STATE["trainer/weights"])
    fresh.write(IDENTITY, STATE)  # replaces the damaged one, never the good one
    assert fresh.read()[1]["run/n"] == 3
    assert CheckpointFile(fresh.previous, 1).read()[1]["run/n"] == 1
    fresh.previous.write_bytes(b"")
    fresh.path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"damaged.*no better.*move them away"):
        fresh.read()


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(data, unbroken, tmp_path):
    path = tmp_path / "run.h5"
    CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=100)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(CheckpointWarning, match="is used instead"):
        model = CRBM(**HYPER).fit(data, checkpoint=path, resume=True)
    assert bits(model) == unbroken


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l1": 0.02}, "l1 is 0.01 there and 0.02 here"),
        ({"n_updates": 300, "n_gibbs": 3}, "n_gibbs is 2 .*n_updates is 240 there and 300 here"),
        ({"random_state": 1}, "random_state is 0 there and 1 here"),
    ],
)
def test_other_hyperparameters_are_refused_by_name(data, tmp_path, change, message):
    path = tmp_path / "run.h5"
    CRBM(**HYPER).fit(data, checkpoint=path)
    with pytest.raises(CheckpointError, match=message):
        CRBM(**HYPER | change).fit(data, checkpoint=path, resume=True)


def test_other_data_are_refused_by_name(data, tmp_path):
    path = tmp_path / "run.h5"
    CRBM(**HYPER).fit(data, checkpoint=path)
    before = path.read_bytes()
    other = np.array(data.spikes)
    other[3, 2] ^= 1
    with pytest.raises(CheckpointError, match="sha256 of the spikes"):
        CRBM(**HYPER).fit(other, checkpoint=path, resume=True)
    with pytest.raises(CheckpointError, match=r"\[400, 60\] there and \[390, 60\] here"):
        CRBM(**HYPER).fit(other[:390], checkpoint=path, resume=True)
    with pytest.raises(FileExistsError, match="resume=True"):
        CRBM(**HYPER).fit(data, checkpoint=path)
    assert path.read_bytes() == before
    model = CRBM(n_hidden=1, n_updates=1, random_state=0, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data).save(tmp_path / "model.h5")
    with pytest.raises(CheckpointError, match="not a crbm_lite checkpoint"):
        CRBM(**HYPER).fit(data, checkpoint=tmp_path / "model.h5", resume=True)


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path):
    file = CheckpointFile(tmp_path / "run.h5", 1)
    file.write(IDENTITY, STATE)
    with h5py.File(file.path, "a") as content:
        content.attrs["version"] = checkpoint.VERSION + 1
    with pytest.raises(CheckpointError, match=rf"version {checkpoint.VERSION + 1}.*release"):
        file.read()


def test_a_checkpoint_that_something_else_changed_is_told_and_does_not_become_the_one_before(
    tmp_path,
):
    mine = CheckpointFile(tmp_path / "run.h5", 1)
    for n in (1, 2):
        mine.write(IDENTITY, STATE | {"run/n": np.asarray(n)})
    other = CheckpointFile(mine.path, 1)  # begun when the first had written: it did not look
    mine.path.write_bytes(b"garbage")
    with pytest.warns(CheckpointWarning, match="changed by something else.*its own checkpoint"):
        mine.write(IDENTITY, STATE)
    assert mine.read()[1]["run/n"] == 3 and CheckpointFile(mine.previous, 1).read()[1]["run/n"] == 1
    with pytest.warns(CheckpointWarning, match="changed by something else"):
        other.write(IDENTITY, STATE)
    mine.path.unlink()  # no more is told where the user has removed it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other.write(IDENTITY, STATE)


@pytest.mark.skipif(os.name != "posix", reason="no locks there")
def test_two_runs_cannot_write_to_one_checkpoint(data, unbroken, tmp_path, monkeypatch):
    path, refused = tmp_path / "run.h5", []
    plain = NumbaTrainer.one_update

    def second_run_begins(self, *args, **kwargs):
        if self.plan.update == 130 and not refused:
            with pytest.raises(CheckpointError, match="in use by another run: give each run") as e:
                CRBM(**HYPER).fit(data, checkpoint=path, resume=True)
            refused.append(e)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(NumbaTrainer, "one_update", second_run_begins)
    assert bits(CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=10)) == unbroken
    assert len(refused) == 1
    # the end of the first run, or its failure, lets go of the checkpoint
    monkeypatch.setattr(NumbaTrainer, "one_update", None)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="n_updates"):
            CRBM(**HYPER | {"n_updates": 300}).fit(data, checkpoint=path, resume=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "run.h5.previous"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights there")
def test_a_link_to_another_disk_stays_one(tmp_path):
    (tmp_path / "big").mkdir()
    link = tmp_path / "run.h5"
    link.symlink_to("big/run.h5")
    file = CheckpointFile(link, 1)
    for _ in range(2):
        file.write(IDENTITY, STATE)
    assert link.is_symlink() and [p.name for p in tmp_path.iterdir() if not p.is_dir()] == [
        "run.h5"
    ]
    assert sorted(p.name for p in (tmp_path / "big").iterdir()) == ["run.h5", "run.h5.previous"]
    assert CheckpointFile(link, 1).read()[1]["run/n"] == 3


def test_the_folder_is_forced_to_the_disk_after_the_last_renaming(tmp_path, monkeypatch):
    done, replace, synchronise = [], os.replace, checkpoint.synchronise

    def noted_replace(source, target):
        replace(source, target)
        done.append("renamed")

    def noted_synchronise(path):
        synchronise(path)
        done.append(path.name)

    file = CheckpointFile(tmp_path / "run.h5", 1)
    file.write(IDENTITY, STATE)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(checkpoint, "synchronise", noted_synchronise)
    file.write(IDENTITY, STATE)
    assert done == ["run.h5.part", "renamed", "renamed", tmp_path.name]


# ---------------------------------------------------------------------- hostile, or in use


def in_another_file(file, secret):
    """Numbers that lie elsewhere, which the checksum could take for the state's."""
    np.zeros(1000).tofile(secret)
    del file["x"]
    file.create_dataset("x", (1000,), "f8", external=[(str(secret), 0, 8000)])


def behind_a_link(file, secret):
    with h5py.File(secret, "w") as other:
        other["x"] = np.zeros(1000)
    del file["x"]
    file["x"] = h5py.ExternalLink(str(secret), "/x")


def partly_written(file, secret):
    del file["x"]
    file.create_dataset("x", (1000,), "f8", chunks=(10,))[:10] = 1


def declared_and_huge(file, secret):
    file.create_dataset("y", (2**36,), "f4", chunks=(2**20,), compression="gzip")[:10] = 1


def inflated(file, secret):
    for k in range(40):
        file.create_dataset(f"y/{k}", data=np.zeros(2**20), chunks=(2**20,), compression="gzip")


def a_text(file, secret):
    file["y"] = "of any length"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_another_file, "in other files"),
        (behind_a_link, "its checksum is wrong"),  # the link is not followed
        (partly_written, "not written to the end"),
        (declared_and_huge, "asks for 274.9 GB"),
        (inflated, "asks for 0.3 GB"),
        (a_text, "expected numbers"),
    ],
)
def test_a_checkpoint_holds_its_own_sound_numbers(tmp_path, change, message):
    file = CheckpointFile(tmp_path / "run.h5", 1)
    for n in (1, 2):
        file.write(IDENTITY, STATE | {"x": np.zeros(1000), "run/n": np.asarray(n)})
    with h5py.File(file.path, "a") as content:
        change(content, tmp_path / "secret")
    tracemalloc.start()
    try:
        with pytest.warns(CheckpointWarning, match=rf"{message}.*run\.h5\.previous, is used"):
            _, state = file.read()
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert state["run/n"] == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
@pytest.mark.parametrize("resume", [False, True])
def test_a_pipe_is_refused_and_not_waited_for(data, tmp_path, monkeypatch, resume):
    monkeypatch.setattr(NumbaTrainer, "one_update", None)
    os.mkfifo(tmp_path / "run.h5")
    with pytest.raises(CheckpointError, match=r"run\.h5 is no regular file"):
        CRBM(**HYPER).fit(data, checkpoint=tmp_path / "run.h5", resume=resume)
    assert (tmp_path / "run.h5").is_fifo()


@pytest.mark.skipif(sys.platform == "win32", reason="other locks there")
def test_a_checkpoint_that_another_program_has_open_is_neither_damaged_nor_replaced(data, tmp_path):
    path = tmp_path / "run.h5"
    CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=100)
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        before = path.read_bytes()
        with pytest.raises(CheckpointError, match="open for writing in another program: close it"):
            CRBM(**HYPER).fit(data, checkpoint=path, resume=True)
        assert path.read_bytes() == before
        other.communicate("\n")
    CRBM(**HYPER).fit(data, checkpoint=path, resume=True)


def test_a_run_that_looks_for_its_checkpoint_leaves_the_file_that_another_is_writing(tmp_path):
    writing = tmp_path / "run.h5.part"
    writing.write_bytes(b"half of it")
    CheckpointFile(tmp_path / "run.h5", 1)
    assert writing.read_bytes() == b"half of it" and len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------------- disk full, read-only


def test_on_a_full_disk_training_goes_on_and_the_last_checkpoint_stays(
    data, unbroken, tmp_path, monkeypatch
):
    path, calls, make = tmp_path / "run.h5", [], checkpoint.new_hdf5

    def full_from_the_third_on(path):
        calls.append(path)
        return make("/dev/full/none" if len(calls) > 2 else path)

    monkeypatch.setattr(checkpoint, "new_hdf5", full_from_the_third_on)
    with pytest.warns(CheckpointWarning, match="could not be written.*Training goes on"):
        model = CRBM(**HYPER).fit(data, checkpoint=path, checkpoint_every=50)
    assert bits(model) == unbroken
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "run.h5.previous"]
    assert update_of(path) == 150  # the one of update 100 was the first


LIMITED = """
import resource, sys, warnings
import numpy as np
from crbm_lite.training.checkpoint import CheckpointFile, CheckpointWarning
file = CheckpointFile(sys.argv[1], 1)
assert file.try_write({}, {"x": np.zeros(5000)})
state = {f"array {k}": np.ones(3000) for k in range(12)}
for limit in (0, 500, 2000, 20_000, 60_000, 61_440, 150_000, 280_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not file.try_write({}, state)
    assert [w.category for w in caught] == [CheckpointWarning], caught
    assert file.read()[1]["x"].sum() == 0
    assert not file.path.with_name(file.path.name + ".part").exists()
print(caught[0].message)
"""

READ_ONLY = """
import os, sys
from crbm_lite.training.checkpoint import CheckpointFile
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
try:
    CheckpointFile(sys.argv[1], 1)
except PermissionError as error:
    print(error)
"""


def run_script(script, path):
    return subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files there")
def test_a_write_that_the_system_breaks_off_leaves_the_former_checkpoint(tmp_path):
    assert "could not be written" in run_script(LIMITED, tmp_path / "run.h5")


@pytest.mark.skipif(sys.platform == "win32", reason="other rights there")
def test_a_folder_without_the_right_to_write_is_told_before_training(tmp_path):
    folder = tmp_path / "read_only"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0:
        for parent in (tmp_path, *tmp_path.parents[:3]):  # one more in a worker of xdist
            os.chmod(parent, os.stat(parent).st_mode | 0o055)
    text = run_script(READ_ONLY, folder / "run.h5")
    assert "no checkpoint can be written" in text and "run.h5" in text


def test_a_place_where_no_file_can_be_is_told_before_training(data, tmp_path, monkeypatch):
    monkeypatch.setattr(NumbaTrainer, "one_update", None)
    with pytest.raises(FileNotFoundError, match="name a file in a folder that exists"):
        CRBM(**HYPER).fit(data, checkpoint=tmp_path / "nowhere" / "run.h5")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        CRBM(**HYPER).fit(data, checkpoint=tmp_path)
    for every in (0, 1.5, True):
        with pytest.raises(ValueError, match="checkpoint_every"):
            CRBM(**HYPER).fit(data, checkpoint=tmp_path / "run.h5", checkpoint_every=every)


# ---------------------------------------------------------------------- SIGINT


@pytest.fixture
def stop_at(monkeypatch):
    """A function that sends this process SIGINT within the given update."""
    plain, moment = NumbaTrainer.one_update, [0]

    def interrupted(self, *args, **kwargs):
        if self.plan.update + 1 == moment[0]:
            moment[0] = 0
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(NumbaTrainer, "one_update", interrupted)
    return lambda update: moment.__setitem__(0, update)


def test_sigint_ends_the_update_in_hand_with_a_model_that_goes_on(
    data, unbroken, tmp_path, stop_at
):
    stop_at(153)
    model = CRBM(**HYPER)
    with pytest.warns(ConvergenceWarning, match="'interrupted'.*go on by the same call"):
        model.fit(data)
    assert model.verdict_ == "interrupted" and not model.converged_
    assert model.history_.update[-1] == 153
    assert np.isfinite(model.transform(data)).all()  # usable
    assert CRBM.load(model.save(tmp_path / "model.h5")).verdict_ == "interrupted"
    model.weights_[:] = 0  # what the user does with the model does not reach the run
    stop_at(200)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(data, resume=True)
    assert bits(model.fit(data, resume=True)) == unbroken
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_an_interrupted_run_leaves_is_the_state_of_its_last_update(data, stop_at):
    written = {}
    stop_at(153)  # parameters are averaged by then, and the chains end with their mean
    left = train(
        as_spikes(data), HYPER["n_hidden"], checked_schedule(CRBM(**HYPER)), "pca", 0,
        tqdm(disable=True), save=lambda state: written.update(deepcopy(state)),
    ).state  # fmt: skip
    assert left.keys() == written.keys() and "trainer/weights" in left
    for name in left.keys() - {"run/seconds"}:
        np.testing.assert_array_equal(left[name], written[name], err_msg=name)


def test_an_interrupted_run_in_memory_belongs_to_its_data_and_hyperparameters(data, stop_at):
    stop_at(120)
    model = CRBM(**HYPER).fit(data)
    with pytest.raises(CheckpointError, match=r"interrupted run of this model.*l1 is 0.01 there"):
        model.set_params(l1=0.02).fit(data, resume=True)


def test_sigint_writes_a_checkpoint_and_memory_helps_where_the_disk_is_full(
    data, unbroken, tmp_path, stop_at, monkeypatch
):
    path = tmp_path / "run.h5"
    stop_at(131)
    CRBM(**HYPER).fit(data, checkpoint=path)
    assert update_of(path) == 131
    model = CRBM(**HYPER)
    stop_at(177)
    with monkeypatch.context() as patch:
        make = checkpoint.new_hdf5
        patch.setattr(checkpoint, "new_hdf5", lambda path: make("/dev/full/none"))
        with pytest.warns(CheckpointWarning):
            model.fit(data, checkpoint=path, resume=True)
    assert update_of(path) == 131
    trained, plain = [], NumbaTrainer.one_update
    monkeypatch.setattr(
        NumbaTrainer, "one_update", lambda self, *a, **k: trained.append(1) or plain(self, *a, **k)
    )
    assert bits(model.fit(data, checkpoint=tmp_path / "other.h5", resume=True)) == unbroken
    assert len(trained) == HYPER["n_updates"] - 177
    assert update_of(tmp_path / "other.h5") == HYPER["n_updates"]


def test_sigint_while_the_start_is_tried_begins_again(data, unbroken, tmp_path, stop_at):
    stop_at(30)
    model = CRBM(**HYPER).fit(data, checkpoint=tmp_path / "run.h5", checkpoint_every=10)
    assert model.verdict_ == "interrupted"
    assert bits(model.fit(data, checkpoint=tmp_path / "run.h5", resume=True)) == unbroken


def test_sigint_during_the_certificate_does_not_lose_a_finished_run(data, unbroken, monkeypatch):
    plain = task.certify

    def stopped(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        return plain(*args, **kwargs)

    monkeypatch.setattr(task, "certify", stopped)
    assert bits(CRBM(**HYPER).fit(data)) == unbroken


def test_an_interrupted_run_does_not_pass_for_a_trained_model(data, tmp_path, stop_at):
    stop_at(150)
    with pytest.raises(KeyboardInterrupt):
        cached_fit(CRBM(**HYPER), data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_sigint_interrupts_at_once_and_other_threads_are_left_alone():
    with pytest.raises(KeyboardInterrupt), stop_request() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.made
        os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def work():
        with stop_request():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]


def test_the_stop_button_of_a_notebook_leaves_a_model():
    from jupyter_client.manager import start_new_kernel

    code = """
import warnings; warnings.simplefilter("ignore")
from crbm_lite import CRBM, plant_recording
from crbm_lite.training.trainer import NumbaTrainer
plain = NumbaTrainer.one_update
def told(self, measure=False):
    if self.plan.update == 150:
        print("under way", flush=True)
    return plain(self, measure)
NumbaTrainer.one_update = told
recording = plant_recording(60, 3, (15, 25), 400, 5, random_state=0)
model = CRBM(n_hidden=4, l1=0.01, n_updates=10**6, batch_size=50, n_chains=16, n_gibbs=2)
model.fit(recording)
print(model.verdict_, 0 < len(model.history_.events) < 9)
"""
    manager, client = start_new_kernel()
    try:
        shown = []

        def hook(message):
            text = message["content"].get("text", "") if message["msg_type"] == "stream" else ""
            shown.append(text)
            if "under way" in text:
                manager.interrupt_kernel()

        reply = client.execute_interactive(code, output_hook=hook, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
        assert "interrupted True" in "".join(shown)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
