"""Files appear whole or not at all, and one process at a time makes one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crbm_lite.files import whole
from crbm_lite.files.whole import cache_folder, one_process_at_a_time, write_whole


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "old"
    write_whole(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device: .*old"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["old"]


def test_the_name_in_the_folder_is_on_the_disk_too(tmp_path, monkeypatch):
    synchronised, fsync = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: synchronised.append(os.fstat(handle).st_ino) or fsync(handle)
    )
    write_whole(tmp_path / "x", b"all of it")
    assert synchronised == [(tmp_path / "x").stat().st_ino, tmp_path.stat().st_ino]


LIMITED = """
import resource, sys
import numpy as np
from pathlib import Path
from crbm_lite.files.whole import new_hdf5, whole_hdf5
folder, noise = Path(sys.argv[1]), np.random.default_rng(0).random(40_000)
for limit in (100, 3_000, 30_000, 100_000, 300_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for make in (whole_hdf5, new_hdf5):
        try:
            with make(folder / f"{make.__name__}{limit}", libver=("v110", "latest")) as file:
                for k in range(1, 5):
                    file.create_dataset(f"a/{k}", data=noise[: 9000 * k], chunks=(100,))
                    file.create_dataset(f"b/{k}", data=noise[: 9000 * k])
        except OSError as error:
            print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files there")
def test_a_quota_that_is_met_is_an_error_and_not_the_end_of_the_process(tmp_path):
    """HDF5 dies of SIGSEGV at some of these limits when it is told of the failure."""
    words = [sys.executable, "-c", LIMITED, tmp_path]
    found = subprocess.run(words, capture_output=True, text=True)
    assert (found.returncode, found.stdout.split()) == (0, ["27"] * 10), found.stderr
    assert not [name for name in os.listdir(tmp_path) if not name.startswith("new_hdf5")]


def held_by_another_process(lock):
    """A process that holds a lock until it is killed."""
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_a_second_process_waits_until_the_first_is_done_or_dead(tmp_path):
    lock, entered = tmp_path / "file.lock", threading.Event()

    def enter():
        with one_process_at_a_time(tmp_path / "file"):
            entered.set()

    with held_by_another_process(lock) as holder:
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.5)
        holder.kill()
        thread.join(60)
    assert entered.is_set() and not lock.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_a_long_wait_is_told_with_the_process_that_makes_the_file(tmp_path, monkeypatch):
    """The word comes before the wait ends: whoever hears it frees the lock."""
    monkeypatch.setattr(whole, "_SILENT_S", 0.1)
    with held_by_another_process(tmp_path / "file.lock") as holder:
        (tmp_path / "file.lock").write_text("4711")
        heard = []
        monkeypatch.setattr(
            whole.warnings, "warn", lambda text, **_: heard.append(text) or holder.kill()
        )
        with one_process_at_a_time(tmp_path / "file"):
            owner = (tmp_path / "file.lock").read_text().strip()
    (text,) = heard
    assert f"{tmp_path / 'file'} is being made by process 4711" in text
    assert owner == str(os.getpid())


def test_a_lock_that_was_removed_while_we_waited_is_taken_anew(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    lock, calls, flock = tmp_path / "file.lock", [], fcntl.flock

    def removed_meanwhile(handle, how):
        calls.append(handle)
        if len(calls) == 1:
            lock.unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with one_process_at_a_time(tmp_path / "file"):
        assert os.path.samestat(os.fstat(calls[1]), lock.stat())
    assert len(calls) == 2 and not lock.exists()


def test_where_there_are_no_locks_nobody_waits(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(handle, how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with one_process_at_a_time(tmp_path / "file"):
        pass
    with one_process_at_a_time(tmp_path / "no folder" / "file"):
        pass
    assert not list(tmp_path.iterdir())


def test_the_cache_folder_is_the_named_one_or_the_systems(monkeypatch, tmp_path):
    monkeypatch.setenv("CRBM_LITE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("CRBM_LITE_CACHE")
    assert cache_folder().is_relative_to(Path.home()) and "crbm_lite" in cache_folder().parts
