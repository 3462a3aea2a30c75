"""The guard against damaged texts of HDF5 files, on files that h5py wrote."""

import struct

import h5py
import numpy as np
import pytest

from crbm_lite.files.hdf5 import RecordingError, open_hdf5, read_strings
from crbm_lite.files.heaps import check_heaps

NAMES = [f"neuron {i}" for i in range(300)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("names", data=NAMES, dtype=h5py.string_dtype())
        file["spikes"] = np.eye(300)
    return path


def first_object(path):
    """Where the first heap has its first object."""
    return path.read_bytes().index(b"GCOL") + 16


def test_sound_heaps_pass(path):
    assert b"GCOL\x01" in path.read_bytes()
    check_heaps(path)
    with open_hdf5(path) as file:
        assert read_strings(file, "names") == tuple(NAMES)


@pytest.mark.parametrize(
    ("index", "length"),
    [(0, 0), (1, 2**64 - 16), (1, 2**40), (0, 2**63), (0, 4081)],
    ids=["stands still", "goes round", "too long", "far away", "beyond its end by one"],
)
def test_a_heap_that_would_never_end_or_ends_elsewhere(path, index, length):
    contents = bytearray(path.read_bytes())
    struct.pack_into("<H6xQ", contents, first_object(path), index, length)
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"mine\.h5: the texts of the file are damaged"):
        check_heaps(path)
    with open_hdf5(path) as file, pytest.raises(RecordingError, match=r"/names cannot be read"):
        read_strings(file, "names")


def test_a_text_longer_than_the_file(path):
    with h5py.File(path) as file:
        start = file["names"].id.get_offset()
    contents = bytearray(path.read_bytes())
    assert struct.unpack_from("<I", contents, start + 16)[0] == len(NAMES[1])
    struct.pack_into("<I", contents, start + 16, 2**32 - 1)
    path.write_bytes(contents)
    with open_hdf5(path) as file, pytest.raises(RecordingError, match=r"names .*4294967295 bytes"):
        read_strings(file, "names")


def test_files_without_heaps(tmp_path):
    for contents in (b"", b"text", b"GCOL\x01", b"GCOL\x02" + bytes(40)):
        (tmp_path / "x").write_bytes(contents)
        check_heaps(tmp_path / "x")
