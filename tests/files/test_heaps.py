"""The guard against damaged texts of HDF5 files, on files that h5py wrote."""

import struct
import time
import zlib

import h5py
import numpy as np
import pytest

from crbm_lite.files.errors import RecordingError
from crbm_lite.files.hdf5 import open_hdf5, read_strings
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
    with pytest.raises(RecordingError, match=r"mine\.h5: the texts of the file are damaged"):
        check_heaps(path)
    with pytest.raises(RecordingError, match="texts of the file are damaged"), open_hdf5(path):
        pass


@pytest.mark.parametrize("user_block", [0, 512])
def test_a_text_longer_than_the_file(tmp_path, user_block):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w", userblock_size=user_block) as file:
        file.create_dataset("names", data=NAMES, dtype=h5py.string_dtype())
        start = file["names"].id.get_offset()
    contents = bytearray(path.read_bytes())
    assert struct.unpack_from("<I", contents, start + 16)[0] == len(NAMES[1])
    struct.pack_into("<I", contents, start + 16, 2**32 - 1)
    path.write_bytes(contents)
    with open_hdf5(path) as file, pytest.raises(RecordingError, match=r"4294967295 bytes"):
        read_strings(file, "names")


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_text_longer_than_the_file_in_chunks(tmp_path, compression):
    path = tmp_path / "mine.h5"
    form = {"dtype": h5py.string_dtype(), "compression": compression, "shuffle": True}
    with h5py.File(path, "w") as file:
        file.create_dataset("sound", data=NAMES, chunks=(7,), **form)
        names = file.create_dataset("names", data=NAMES, chunks=(70,), **form)
        skipped, last = names.id.read_direct_chunk((280,))
        references = bytearray(zlib.decompress(last) if compression else last)
        assert struct.unpack_from("<I", references, 16)[0] == len(NAMES[281])
        struct.pack_into("<I", references, 16, 2**32 - 1)
        last = zlib.compress(references) if compression else bytes(references)
        names.id.write_direct_chunk((280,), last, skipped)
    with open_hdf5(path) as file:
        assert read_strings(file, "sound") == tuple(NAMES)
        with pytest.raises(RecordingError, match="4294967295 bytes"):
            read_strings(file, "names")


def test_texts_in_a_form_that_cannot_be_looked_through_are_refused(tmp_path):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("lzf", data=NAMES, dtype=h5py.string_dtype(), compression="lzf")
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_layout(h5py.h5d.COMPACT)
        space, text = h5py.h5s.create_simple((300,)), h5py.h5t.py_create(h5py.string_dtype(), True)
        h5py.Dataset(h5py.h5d.create(file.id, b"compact", text, space, plan))[:] = NAMES
    for key in ("lzf", "compact"):
        with open_hdf5(path) as file, pytest.raises(RecordingError, match=f"/{key} are stored in"):
            read_strings(file, key)


def test_heaps_that_overlap_are_refused_before_they_take_for_ever(tmp_path):
    """Every object of a heap holds another heap, to the end of the file: 10^9 objects in all."""
    n = 50_000
    contents = b"".join(
        struct.pack("<H6xQ", 1, 16) + b"GCOL\x01" + struct.pack("<3xQ", 16 + 32 * (n - k - 1))
        for k in range(n)
    )
    (tmp_path / "x").write_bytes(contents)
    began = time.process_time()
    with pytest.raises(RecordingError, match="texts of the file are damaged"):
        check_heaps(tmp_path / "x")
    assert time.process_time() - began < 5


def test_a_file_that_changes_is_looked_through_again(path):
    check_heaps(path)
    contents = bytearray(path.read_bytes())
    struct.pack_into("<H6xQ", contents, first_object(path), 0, 0)
    path.write_bytes(contents)
    with pytest.raises(RecordingError, match="damaged"):
        check_heaps(path)


def test_files_without_heaps(tmp_path):
    for contents in (b"", b"text", b"GCOL\x01", b"GCOL\x02" + bytes(40)):
        (tmp_path / "x").write_bytes(contents)
        check_heaps(tmp_path / "x")
