"""Damaged files: every importer, load_recording and CRBM.load end in an error that names the file,
or in a valid result; where the format has checksums, in the very same one. Never in anything else.

Files are damaged byte by byte (flipped, overwritten, cut, inserted, moved) and, for HDF5, key by
key (values that are NaN, negative, texts, of other shapes or types), from fixed seeds.
"""

import resource
import signal
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from crbm_lite import CRBM, import_recording, load_recording
from crbm_lite.importers.caiman import import_caiman
from crbm_lite.importers.csv_file import import_csv
from crbm_lite.importers.hdf5_file import import_hdf5
from crbm_lite.importers.matlab import import_matlab
from crbm_lite.importers.numpy_file import import_numpy
from crbm_lite.importers.nwb import import_nwb
from crbm_lite.importers.published import import_published
from crbm_lite.importers.retinal_waves import import_retinal_waves
from crbm_lite.importers.spike_times import import_spike_times
from crbm_lite.importers.suite2p import import_suite2p
from crbm_lite.model.files import ModelFileError
from crbm_lite.recordings.files import Recording
from tests.importers import sample_files as samples

LIMIT_S = 20  # for one file on a busy machine; each takes milliseconds
MOST_MB = 400


# name: how to write it, how to read it, files to damage, whether checksums guard its contents
CASES = {
    "npz": (samples.write_npz, lambda p: import_numpy(p, keys=samples.KEYS), 250, True),
    "npy": (samples.write_npy, lambda p: import_numpy(p, rate_hz=2.5), 200, False),
    "mat": (samples.write_mat5, lambda p: import_matlab(p, keys=samples.KEYS), 200, True),
    "mat73": (samples.write_mat73, lambda p: import_matlab(p, keys=samples.KEYS), 200, False),
    "csv": (samples.write_csv, lambda p: import_csv(p, time_column="t"), 200, False),
    "times": (samples.write_spike_times, lambda p: import_spike_times(p, 0.4), 200, False),
    "h5": (samples.write_hdf5, lambda p: import_hdf5(p, keys=samples.KEYS), 200, False),
    "any.h5": (samples.write_hdf5, lambda p: import_recording(p, keys=samples.KEYS), 100, False),
    "published.h5": (samples.write_published, import_published, 150, False),
    "native.h5": (samples.write_native, load_recording, 250, True),
    "retina.h5": (samples.write_retina, import_retinal_waves, 150, False),
    "caiman.hdf5": (samples.write_caiman, lambda p: import_caiman(p, **samples.HALF), 150, False),
    "suite2p": (samples.write_suite2p, lambda p: import_suite2p(p, **samples.HALF), 250, False),
    "nwb": (samples.write_nwb, lambda p: import_nwb(p, bin_s=0.4), 60, False),
    "model": (samples.write_model, CRBM.load, 250, True),
    "model.v1": (samples.write_old_model, CRBM.load, 250, False),
}
BY_KEY = ("mat73", "h5", "published.h5", "native.h5", "retina.h5", "caiman.hdf5", "nwb", "model")
PARAMETERS = ("weights_", "fields_", "gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_")


def damaged_bytes(contents, rng):
    """One kind of damage to the bytes of a file."""
    data = bytearray(contents)
    n = len(data)
    where = int(rng.integers(n))
    length = int(min(n - where, 1 + rng.geometric(0.02)))
    kind = rng.integers(8)
    if kind == 0:
        del data[where:]
    elif kind == 1:
        for place in rng.integers(n, size=rng.integers(1, 6)):
            data[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        for place in rng.integers(n, size=rng.integers(5, 100)):
            data[place] = int(rng.integers(256))
    elif kind == 3:
        data[where : where + length] = bytes(length)
    elif kind == 4:
        data[where : where + length] = b"\xff" * length
    elif kind == 5:
        del data[where : where + length]
    elif kind == 6:
        data[where:where] = rng.bytes(length)
    else:
        start = int(rng.integers(n))
        data[where : where + length] = data[start : start + length]
    return bytes(data)


def damage_a_key(path, rng):
    """Give one dataset or attribute of an HDF5 file other contents."""
    with h5py.File(path, "r+") as file:
        keys = []
        file.visititems(lambda key, item: keys.append(key) if hasattr(item, "shape") else None)
        key = keys[rng.integers(len(keys))]
        values = file[key][()]
        attributes = dict(file[key].attrs)
        del file[key]
        numbers = np.asarray(values).dtype.kind in "biuf"
        kind = rng.integers(9)
        if kind == 0:
            return
        if kind == 1 and numbers:
            values = np.full(np.shape(values), np.nan)
        elif kind == 2 and numbers:
            values = -np.asarray(values, float) - 1
        elif kind == 3:
            values = np.atleast_1d(values).T[::-1]
        elif kind == 4:
            values = np.zeros(0)
        elif kind == 5:
            values = np.full((2, 3), b"text")
        elif kind == 6 and numbers:
            values = np.asarray(values, float) * 1e300
        elif kind == 7:
            values = np.atleast_1d(values)[:-1]
        else:
            values = rng.normal(size=(3, 4, 2))
        file[key] = values
        file[key].attrs.update(attributes)


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise AssertionError("a damaged file takes too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def peak_mb():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def contents_of(result):
    """What must not change under damage that a checksum can see."""
    if isinstance(result, CRBM):
        return {name: getattr(result, name) for name in PARAMETERS} | result.get_params()
    return {
        name: getattr(result, name)
        for name in ("spikes", "rate_hz", "coordinates", "labels", "names", "dff",
                     "discontinuities", "label_names")
    }  # fmt: skip


def check_valid(result):
    if isinstance(result, CRBM):
        assert all(np.isfinite(getattr(result, name)).all() for name in PARAMETERS)
        assert (result.gamma_plus_ > 0).all()
        assert (result.gamma_minus_ > 0).all()
        return
    assert isinstance(result, Recording)
    assert result.spikes.dtype == np.uint8
    assert result.spikes.max() <= 1
    assert 0 < result.rate_hz < np.inf
    if result.coordinates is not None:
        assert result.coordinates.shape == (result.n_neurons, 3)
        assert np.isfinite(result.coordinates).all()
    assert result.names is None or len(set(result.names)) == result.n_neurons


def test_there_are_enough_of_them():
    assert sum(count for _, _, count, _ in CASES.values()) >= 2000


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
@pytest.mark.filterwarnings("ignore")  # damaged numbers overflow on their way to an error
@pytest.mark.parametrize("case", CASES)
def test_damaged_files(case, tmp_path):
    write, read, count, guarded = CASES[case]
    path = tmp_path / f"mine.{case}"
    write(path)
    whole = {file: file.read_bytes() for file in ([*path.iterdir()] if path.is_dir() else [path])}
    good = read(path)
    check_valid(good)
    rng = np.random.default_rng(sum(map(ord, case)))
    peak = peak_mb()
    n_errors = 0
    for i in range(count):
        for file, contents in whole.items():
            file.write_bytes(contents)
        by_key = case in BY_KEY and i % 4 == 0
        if by_key:
            damage_a_key(path, rng)
        else:
            file = list(whole)[rng.integers(len(whole))]
            file.write_bytes(damaged_bytes(whole[file], rng))
        try:
            with time_limit(LIMIT_S):
                result = read(path)
        except ValueError as error:
            n_errors += 1
            assert path.name in str(error), f"{i}: {error}"
            continue
        check_valid(result)
        if guarded and not by_key:
            for name, value in contents_of(good).items():
                np.testing.assert_array_equal(getattr(result, name), value, err_msg=f"{i} {name}")
    assert n_errors > count // 5
    assert peak_mb() - peak < MOST_MB


def test_a_damaged_heap_of_an_old_model_is_found_before_hdf5_walks_it(tmp_path):
    path = tmp_path / "model.h5"
    samples.write_old_model(path)
    data = bytearray(path.read_bytes())
    first = data.find(b"GCOL\x01") + 16
    assert first > 16
    data[first : first + 16] = bytes(16)  # a size of zero, at which the library stands still
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"model\.h5.*texts of the file are damaged"):
        CRBM.load(path)
