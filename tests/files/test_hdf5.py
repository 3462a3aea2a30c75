"""The door to HDF5 files: nothing but sound numbers of this very file comes through."""

import os
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest

from crbm_lite.files.errors import FileError, RecordingError
from crbm_lite.files.hdf5 import (
    find_item,
    open_hdf5,
    read_all_arrays,
    read_array,
    read_attribute,
    read_strings,
    read_text,
    write_dataset,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.h5"


class OtherError(FileError):
    """What another kind of file raises."""


def refused(path, message, key="x"):
    with open_hdf5(path) as file, pytest.raises(RecordingError, match=message):
        read_array(file, key)
    with pytest.raises(OtherError, match=message), open_hdf5(path, OtherError) as file:
        read_array(file, key)


def test_sound_numbers_and_texts_come_through(path):
    texts = ("left", "rechts, außen", "\udce9 alone")
    with h5py.File(path, "w") as file:
        write_dataset(file, "a/x", np.arange(6.0).reshape(2, 3))
        write_dataset(file, "texts", texts)
        write_dataset(file, "none", np.zeros((0, 3)))
        file["soft"] = h5py.SoftLink("a")
        file.attrs["word"], file.attrs["bytes"] = "of any length", np.bytes_("of this")
    with open_hdf5(path) as file:
        np.testing.assert_array_equal(read_array(file, "soft/x", 2), [[0, 1, 2], [3, 4, 5]])
        np.testing.assert_array_equal(read_array(file["a"], "/soft/x"), read_array(file, "a/x"))
        assert read_strings(file, "texts") == texts
        assert read_array(file, "none").shape == (0, 3)
        assert (read_text(file, "word"), read_text(file, "bytes")) == ("of any length", "of this")
        assert read_attribute(file, "nothing") is None
        assert find_item(file, "a/y") is None and find_item(file, "a/x/y") is None
        with pytest.raises(RecordingError, match="attribute nothing is None: expected a text"):
            read_text(file, "nothing")


@pytest.mark.parametrize("way", ["x", "soft", "group/x"])
def test_a_link_into_another_file_is_not_followed(path, tmp_path, way):
    other = tmp_path / "other.h5"
    os.mkfifo(other)  # whoever opens it waits for ever
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
        file["soft"] = h5py.SoftLink("/x")
        file["group"] = h5py.ExternalLink("other.h5", "/")
    refused(path, f"key {way} is a link into another file", way)


def test_links_in_a_circle_are_refused(path):
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = h5py.SoftLink("/y"), h5py.SoftLink("x")
    refused(path, "key x is a link that leads in a circle")


@pytest.mark.parametrize("written", ["nothing", "nine chunks of ten", "the first row"])
def test_what_was_not_written_to_the_end_is_not_read_as_zeros(path, written):
    with h5py.File(path, "w") as file:
        if written == "nothing":
            file.create_dataset("x", (100, 20), "u1")
        elif written == "the first row":
            file.create_dataset("x", (20, 20), "f4", chunks=(20, 1), compression="gzip")[:, :1] = 1
        else:
            file.create_dataset("x", (99, 20), "u1", chunks=(10, 20))[:90] = 1
    refused(path, "key /x was declared and not written to the end")
    with open_hdf5(path) as file, pytest.raises(RecordingError, match="not written to the end"):
        read_all_arrays(file)


def test_numbers_in_other_files_are_refused(path, tmp_path):
    (tmp_path / "secret").write_bytes(b"password")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (8,), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
    refused(path, "key /x lies in other files")
    with open_hdf5(path) as file, pytest.raises(RecordingError, match="lies in other files"):
        read_all_arrays(file)


def test_a_few_bytes_do_not_become_gigabytes(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**27,), "u1", chunks=(2**20,), compression="gzip")[:] = 0
    assert path.stat().st_size < 2**18
    refused(path, r"key /x asks for 0\.1 GB and holds [\d,]+ bytes")
    with h5py.File(path, "w") as file:  # each of them is small enough
        for k in range(4):
            file.create_dataset(str(k), (2**25,), "u1", chunks=(2**20,), compression="gzip")[:] = 0
    with open_hdf5(path) as file, pytest.raises(RecordingError, match=r"asks for 0\.1 GB and"):
        read_all_arrays(file)


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = []

    def read():
        path, message = tmp_path / "pipe", "pipe is no regular file"
        with pytest.raises(OtherError, match=message), open_hdf5(path, OtherError):
            pass
        done.append(True)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert done


def test_a_file_that_another_program_writes_is_named_so(path):
    code = (
        "import h5py, sys; f = h5py.File(sys.argv[1], 'w'); f['x'] = 1; f.flush();"
        "print('open', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as writer:
        assert writer.stdout.readline() == "open\n"
        message = "open for writing in another program"
        with pytest.raises(RecordingError, match=message), open_hdf5(path):
            pass
        writer.communicate()
    with open_hdf5(path) as file:
        assert read_array(file, "x") == 1


def test_an_attribute_larger_than_any_text_is_refused(path):
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["text"] = np.zeros(2**25, "S1")
    with open_hdf5(path) as file, pytest.raises(RecordingError, match="attribute text asks for 34"):
        read_attribute(file, "text")
