"""MATLAB: cells, structs and trials; files of version 5 that would harm SciPy's reader."""

import tracemalloc
import warnings
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from crbm_lite.importers.hdf5_file import import_hdf5
from crbm_lite.importers.matlab import import_matlab
from crbm_lite.importers.matlab5 import Matlab5File
from crbm_lite.importers.numpy_file import import_numpy
from crbm_lite.recordings.files import RecordingError

RNG = np.random.default_rng(0)
TIMES_S = [np.array([0.1, 0.2, 1.4]), np.array([0.7]), np.zeros(0)]
BINNED = [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
TRACES = RNG.random((40, 3)).round(2)
SCIPYS = Path(scipy.io.matlab.__file__).parent / "tests" / "data"


def cell(values):
    out = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        out[i, 0] = value
    return out


def write5(path, **variables):
    scipy.io.savemat(path, variables, do_compression=True)
    return path


def write73(path, **variables):
    """Axes reversed, cells as references, as MATLAB does."""
    with h5py.File(path, "w") as file:
        for key, value in variables.items():
            if value.dtype == object:
                refs = []
                for i, part in enumerate(value.ravel()):
                    part = np.atleast_2d(part)
                    item = file.create_dataset(f"#refs#/{key}{i}", data=part.T)
                    if not part.size:  # MATLAB writes the shape of what is empty
                        del file[f"#refs#/{key}{i}"]
                        item = file.create_dataset(f"#refs#/{key}{i}", data=np.uint64([0, 0]))
                        item.attrs["MATLAB_empty"] = np.uint8(1)
                    item.attrs["MATLAB_class"] = np.bytes_("double")
                    refs.append(item.ref)
                file.create_dataset(key, data=np.array([refs], dtype=h5py.ref_dtype))
                file[key].attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                file[key] = value.T
                file[key].attrs["MATLAB_class"] = np.bytes_("double")
    return path


@pytest.fixture(params=[write5, write73], ids=["v5", "v7.3"])
def write(request, tmp_path):
    return lambda **variables: request.param(tmp_path / "mine.mat", **variables)


@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
def test_cells_of_spike_times(write, turned):
    times = cell([t[:, None] if turned else t for t in TIMES_S])
    path = write(spikes=times)
    recording = import_matlab(path, bin_s=0.5, stop_s=1.5)
    assert recording.spikes.T.tolist() == BINNED
    assert recording.rate_hz == 2.0
    assert recording.provenance["bins_with_several_spikes"] == 1
    with pytest.raises(RecordingError, match=r"key spikes: spike times .*pass bin_s"):
        import_matlab(path)
    with pytest.raises(RecordingError, match="stop_s is for spike times"):
        import_matlab(write(spikes=TRACES), rate_hz=2.0, threshold=0.5, stop_s=3.0)
    with pytest.raises(RecordingError, match="bin_s is for spike times"):
        import_matlab(write(spikes=TRACES), bin_s=0.5)


def test_an_array_of_structs_holds_one_neuron_each(tmp_path):
    units = np.array([(t, i) for i, t in enumerate(TIMES_S)], dtype=[("times", "O"), ("id", "O")])
    path = write5(tmp_path / "mine.mat", units=units)
    keys = {"spikes": "units/times", "names": "units/id"}
    recording = import_matlab(path, keys=keys, bin_s=0.5, stop_s=1.5)
    assert recording.spikes.T.tolist() == BINNED
    assert recording.names == ("0", "1", "2")


def test_cells_of_traces(write):
    path = write(spikes=cell(list(TRACES.T)))
    for time_axis in (0, 1):  # a trace is a trace
        found = import_matlab(path, rate_hz=2.0, threshold=0.5, time_axis=time_axis)
        np.testing.assert_array_equal(found.spikes, TRACES > 0.5)
    with pytest.raises(RecordingError, match="never falls"):  # lists of as many times
        import_matlab(write(spikes=cell([np.arange(12.0), np.arange(12) + 0.5])), rate_hz=2.0)


def test_cells_of_trials_are_joined_with_jumps(write):
    trials = cell([TRACES[:10], TRACES[10:17], TRACES[17:]])
    for time_axis, parts in ((0, trials), (1, cell([t.T for t in trials[:, 0]]))):
        path = write(spikes=parts)
        found = import_matlab(path, rate_hz=2.0, threshold=0.5, time_axis=time_axis)
        np.testing.assert_array_equal(found.spikes, TRACES > 0.5)
        np.testing.assert_array_equal(found.discontinuities, [10, 17])
    with pytest.raises(RecordingError, match=r"holds \(10, 3\) float64, \(40, 2\)"):
        import_matlab(write(spikes=cell([TRACES[:10], TRACES[:, :2]])), rate_hz=2.0)


@pytest.mark.parametrize("form", ["v5", "v7.3", "npz", "h5"])
def test_three_axes_are_joined_along_the_one_that_counts_trials(form, tmp_path):
    trials = TRACES.reshape(5, 8, 3)  # trials, frames, neurons
    times_s = np.arange(8) / 2.5
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)):
        variables = {
            "spikes": trials.transpose(order),
            "times_s": times_s,
            "dff": trials.transpose(order),
        }
        path = tmp_path / f"mine.{form}"
        if form == "npz":
            np.savez(path, **variables)
        elif form == "h5":
            with h5py.File(path, "w") as file:
                file.update(variables)
        else:
            {"v5": write5, "v7.3": write73}[form](path, **variables)
        read = {"npz": import_numpy, "h5": import_hdf5}.get(form, import_matlab)
        with pytest.raises(RecordingError, match=r"spikes has shape .*trial_axis=\.\.\."):
            read(path, threshold=0.5)
        axis = order.index(0)
        rest = [x for x in order if x]
        found = read(path, threshold=0.5, trial_axis=axis, time_axis=rest.index(1))
        np.testing.assert_array_equal(found.spikes, TRACES > 0.5)
        np.testing.assert_array_equal(found.dff, TRACES.astype(np.float32))
        np.testing.assert_array_equal(found.discontinuities, [8, 16, 24, 32])
        assert found.rate_hz == pytest.approx(2.5)
    np.save(tmp_path / "flat.npy", TRACES)
    with pytest.raises(RecordingError, match="trial_axis is for three"):
        import_numpy(tmp_path / "flat.npy", rate_hz=1.0, threshold=0.5, trial_axis=0)


def test_one_time_for_trials_of_one_frame_tells_no_rate(tmp_path):
    path = tmp_path / "trials.npz"
    np.savez(path, spikes=TRACES[:, None, :], times_s=[0.0])
    options = {"threshold": 0.5, "trial_axis": 0}
    with pytest.raises(RecordingError, match=r"frame rate is unknown: pass rate_hz"):
        import_numpy(path, **options)
    found = import_numpy(path, rate_hz=2.5, **options)
    assert found.rate_hz == 2.5
    np.testing.assert_array_equal(found.discontinuities, np.arange(1, len(TRACES)))


def test_names_that_are_numbers(write):
    recording = import_matlab(
        write(spikes=TRACES, names=np.array([[7.0, 9, 12]])), rate_hz=2.0, threshold=0
    )
    assert recording.names == ("7", "9", "12")


# ---------------------------------------------------------------------- version 5, against SciPy


def same(ours, scipys):
    if scipy.sparse.issparse(scipys):
        return (abs(scipy.sparse.csc_array(ours) - scipy.sparse.csc_array(scipys))).nnz == 0
    if isinstance(ours, list):
        return all(map(same, ours, scipys.ravel(order="F")))
    if scipys.dtype == object:
        return ours.tolist() == [str(x.item()) if x.size else "" for x in scipys.ravel(order="F")]
    if scipys.dtype.kind == "U":
        return ours.tolist() == scipys.ravel().tolist() or not scipys.size
    return ours.shape == scipys.shape and np.array_equal(ours, scipys)


NAMES = (
    "testdouble", "testmatrix", "testminus", "testmulti", "test3dmatrix", "testsparse_",
    "testsparsefloat", "teststring", "testunicode", "testonechar", "testbool", "testemptycell",
    "testscalarcell", "big_endian", "little_endian", "logical_sparse",
)  # fmt: skip


@pytest.mark.skipif(not SCIPYS.exists(), reason="SciPy is installed without its test files")
def test_what_matlab_itself_wrote_is_read_as_scipy_reads_it():
    compared = 0
    for path in sorted(SCIPYS.glob("*.mat")):
        if not path.name.startswith(NAMES) or path.read_bytes()[:10] != b"MATLAB 5.0":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = scipy.io.loadmat(path)
        found = Matlab5File(path)
        keys = [key for key in expected if not key.startswith("__")]
        assert list(found) == keys, path.name
        for key in keys:
            assert same(found[key], expected[key]), (path.name, key)
            compared += 1
    assert compared >= 50


def raw(path, **variables):
    """An uncompressed file, whose bytes can be changed."""
    scipy.io.savemat(path, variables)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("bad", [4, 200_000_000, -1, 2**31 - 1])
def test_indices_outside_a_sparse_matrix(bad, tmp_path):
    path = tmp_path / "mine.mat"
    data = raw(path, spikes=scipy.sparse.csc_matrix(np.eye(4)))
    place = data.find(np.arange(4, dtype="<i4").tobytes())
    data[place + 12 : place + 16] = np.array([bad], "<i4").tobytes()
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=r"key spikes .*indices outside the sparse matrix"):
        import_matlab(path, rate_hz=2.5)


@pytest.mark.parametrize(
    "starts", [[0, 1, 2, 3, 9], [0, 3, 1, 3, 4], [1, 1, 2, 3, 4], [0, 1, 2, 3, -4]]
)
def test_columns_of_a_sparse_matrix_that_do_not_follow_each_other(starts, tmp_path):
    path = tmp_path / "mine.mat"
    data = raw(path, spikes=scipy.sparse.csc_matrix(np.eye(4)))
    place = data.find(np.arange(5, dtype="<i4").tobytes())
    data[place : place + 20] = np.array(starts, "<i4").tobytes()
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=r"key spikes .*sparse matrix"):
        import_matlab(path, rate_hz=2.5)


def bomb(path, n_bytes):
    """One variable of zeros that deflate to a thousandth."""
    deflate = zlib.compressobj(9)
    head = np.array([6, 8, 9, 0, 5, 8, n_bytes // 1000, 1000], "<u4").tobytes()
    head += np.array([1, 6], "<u4").tobytes() + b"spikes\0\0"
    tag = np.array([14, len(head) + 8 + n_bytes], "<u4").tobytes()
    parts = [deflate.compress(tag + head + np.array([2, n_bytes], "<u4").tobytes())]
    parts += [deflate.compress(bytes(10**6)) for _ in range(n_bytes // 10**6)] + [deflate.flush()]
    body = b"".join(parts)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path.write_bytes(header + np.array([15, len(body)], "<u4").tobytes() + body)


def test_what_would_not_fit_is_not_inflated(tmp_path, monkeypatch):
    bomb(tmp_path / "mine.mat", 4 * 10**6)
    assert import_matlab(tmp_path / "mine.mat", rate_hz=1.0).spikes.shape == (4000, 1000)
    monkeypatch.setattr("os.sysconf", lambda name: 6 * 10**6 if name == "SC_PHYS_PAGES" else 1)
    with pytest.raises(RecordingError, match="spikes asks for"):
        import_matlab(tmp_path / "mine.mat", rate_hz=1.0)


def test_a_file_is_inflated_once(tmp_path):
    bomb(tmp_path / "mine.mat", 60 * 10**6)
    tracemalloc.start()
    try:
        assert Matlab5File(tmp_path / "mine.mat")["spikes"].shape == (60_000, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 60e6 < peak < 66e6
