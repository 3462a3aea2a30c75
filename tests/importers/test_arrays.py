"""Importers of arrays under the user's own names: NumPy, MATLAB, CSV, HDF5; and binarisation."""

import ast
import importlib
import inspect
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import crbm_lite
from crbm_lite import import_recording
from crbm_lite.calcium.deconvolution import GCAMP6F, deconvolve
from crbm_lite.importers.any_file import FORMATS
from crbm_lite.importers.binarisation import ToBinary, binarise
from crbm_lite.importers.csv_file import import_csv
from crbm_lite.importers.hdf5_file import import_hdf5
from crbm_lite.importers.matlab import import_matlab
from crbm_lite.importers.numpy_file import import_numpy
from crbm_lite.recordings.files import RecordingError

T, N = 40, 6
RNG = np.random.default_rng(0)
SPIKES = (RNG.random((T, N)) < 0.2).astype(np.uint8)
TIMES_S = np.arange(T) / 2.5 + np.where(np.arange(T) >= 25, 60.0, 0.0)  # a pause before frame 25
GOOD = {
    "spikes": SPIKES,
    "dff": RNG.normal(size=(T, N)).astype(np.float32),
    "coordinates": RNG.uniform(0, 300, size=(N, 3)),
    "labels": np.eye(N, 2, dtype=np.uint8),
    "label_names": ["tectum", "cerebellum"],
    "names": [f"cell {i}" for i in range(N)],
    "times_s": TIMES_S,
}


def write_npz(path, arrays):
    np.savez(path, **arrays)
    return path


def write_mat5(path, arrays):
    texts = ("names", "label_names")
    arrays = {
        key: np.array([str(x) for x in values], dtype=object) if key in texts else values
        for key, values in arrays.items()
    }
    scipy.io.savemat(path, arrays, do_compression=True)
    return path


def write_mat73(path, arrays):
    """Write as MATLAB does: a user block with its header, axes reversed, texts as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        for key, values in arrays.items():
            if isinstance(values, list):
                cells = []
                for i, text in enumerate(values):
                    codes = np.array([[ord(c)] for c in text], dtype=np.uint16)
                    refs[f"{key}{i}"] = codes
                    refs[f"{key}{i}"].attrs["MATLAB_class"] = np.bytes_("char")
                    cells.append(refs[f"{key}{i}"].ref)
                file.create_dataset(key, data=np.array([cells], dtype=h5py.ref_dtype))
                file[key].attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                values = np.atleast_2d(np.asarray(values))
                file[key] = values.T
                kind = {"f": "double", "u": "uint8", "i": "int64", "S": "char"}[values.dtype.kind]
                file[key].attrs["MATLAB_class"] = np.bytes_(kind)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  5 2026 HDF5 schema 1"
    with path.open("r+b") as stream:
        stream.write(head.ljust(124) + b"\x00\x02IM")
    return path


def write_hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            file[key] = [x.encode() for x in values] if isinstance(values, list) else values
    return path


WRITERS = {
    "mine.npz": (write_npz, import_numpy),
    "mine5.mat": (write_mat5, import_matlab),
    "mine73.mat": (write_mat73, import_matlab),
    "mine.h5": (write_hdf5, import_hdf5),
}


def written(tmp_path, name, **change):
    """Write the good arrays, some changed, left out (None) or under another key."""
    arrays = {key: values for key, values in (GOOD | change).items() if values is not None}
    writer, importer = WRITERS[name]
    return writer(tmp_path / name, arrays), importer


BAD = {
    "wrong key": ({"spikes": None, "raster": SPIKES}, {}, "key spikes is missing"),
    "named key": ({}, {"keys": {"names": "nom"}}, "key nom is missing"),
    "no rate": ({"times_s": None}, {}, "frame rate is unknown"),
    "rate against times": ({}, {"rate_hz": 10.0}, "key times_s steps by 0.4"),
    "rate is zero": ({"times_s": None, "rate_hz": np.float64(0)}, {}, "key rate_hz is no rate"),
    "transposed": ({"spikes": SPIKES.T, "dff": None}, {}, "key times_s has 40 times for 6"),
    "transposed without times": (
        {"spikes": SPIKES.T, "dff": None, "times_s": None}, {"rate_hz": 1.0}, "transposed"),
    "unsorted times": ({"times_s": TIMES_S[::-1].copy()}, {}, "key times_s: the times do not"),
    "negative times": ({"times_s": TIMES_S - 5}, {}, "key times_s: the times are .* negative"),
    "NaN times": ({"times_s": np.where(TIMES_S > 3, np.nan, TIMES_S)}, {}, "key times_s"),
    "too few times": ({"times_s": TIMES_S[:-1]}, {}, "key times_s has 39 times for 40 frames"),
    "duplicate names": ({"names": ["a", "b"] * 3}, {}, "names holds 'a' twice"),
    "too few names": ({"names": ["a", "b"]}, {}, "names has 2 rows for 6 neurons"),
    "positions transposed": ({"coordinates": GOOD["coordinates"].T}, {},
                             "key coordinates has shape .*transposed"),
    "positions short": ({"coordinates": GOOD["coordinates"][:-1]}, {},
                        "coordinates has 5 rows for 6 neurons"),
    "NaN position": ({"coordinates": np.full((N, 3), np.nan)}, {}, "coordinates holds NaN"),
    "NaN spikes": ({"spikes": np.where(SPIKES, np.nan, 0)}, {}, "key spikes holds NaN"),
    "traces short": ({"dff": GOOD["dff"][:-1]}, {}, "dff has shape"),
    "labels of counts": ({"labels": 3 * np.eye(N, 2)}, {}, "labels holds 3"),
    "three axes": ({"spikes": np.zeros((2, 3, 4))}, {}, "key spikes has shape"),
    "text": ({"spikes": np.array([b"abc"])}, {}, "key spikes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
class TestEveryFormat:
    def test_all_fields(self, name, tmp_path):
        path, importer = written(tmp_path, name)
        for recording in (importer(path), import_recording(path)):
            np.testing.assert_array_equal(recording.spikes, SPIKES)
            np.testing.assert_array_equal(recording.dff, GOOD["dff"])
            np.testing.assert_allclose(recording.coordinates, GOOD["coordinates"])
            np.testing.assert_array_equal(recording.labels, GOOD["labels"] == 1)
            assert recording.names == tuple(GOOD["names"])
            assert recording.label_names == ("tectum", "cerebellum")
            assert recording.rate_hz == pytest.approx(2.5)
            np.testing.assert_array_equal(recording.discontinuities, [25])
            assert recording.provenance["source"] == name
            assert recording.provenance["spikes"] == "binary in the file"

    def test_other_names_neurons_first_and_flat_positions(self, name, tmp_path):
        arrays = {"raster": SPIKES.T, "xy": GOOD["coordinates"][:, :2], "fps": np.float64(7.5)}
        path, importer = written(tmp_path, name, **dict.fromkeys(GOOD), **arrays)
        keys = {"spikes": "raster", "coordinates": "xy", "rate_hz": "fps"}
        recording = importer(path, keys=keys, time_axis=1)
        np.testing.assert_array_equal(recording.spikes, SPIKES)
        np.testing.assert_allclose(recording.coordinates[:, :2], GOOD["coordinates"][:, :2])
        assert (recording.coordinates[:, 2] == 0).all()
        assert recording.rate_hz == 7.5

    def test_traces_are_never_binarised_silently(self, name, tmp_path):
        traces = RNG.normal(size=(T, N)).cumsum(axis=0)
        path, importer = written(tmp_path, name, spikes=traces, dff=None)
        with pytest.raises(RecordingError, match="never binarised silently") as caught:
            importer(path)
        assert f"{path}: key spikes" in str(caught.value)
        np.testing.assert_array_equal(importer(path, threshold=0.7).spikes, traces > 0.7)
        found = importer(path, kernel=GCAMP6F)
        expected = deconvolve(np.float32(traces), 2.5, GCAMP6F, discontinuities=[25]).spikes
        np.testing.assert_array_equal(found.spikes, expected)
        np.testing.assert_allclose(found.dff, traces, rtol=1e-6)
        with pytest.raises(ValueError, match="threshold and kernel are given"):
            importer(path, threshold=0.7, kernel=GCAMP6F)

    @pytest.mark.parametrize("case", BAD)
    def test_bad_contents(self, name, case, tmp_path):
        change, options, message = BAD[case]
        path, importer = written(tmp_path, name, **change)
        with pytest.raises(RecordingError, match=message) as caught:
            importer(path, **options)
        assert str(path) in str(caught.value)

    def test_empty_truncated_foreign_missing(self, name, tmp_path):
        path, importer = written(tmp_path, name)
        whole = path.read_bytes()
        for contents in (b"", whole[:4], whole[: len(whole) // 2], b"spikes,1\n0,1\n" * 40):
            path.write_bytes(contents)
            with pytest.raises(RecordingError) as caught:
                importer(path)
            assert str(path) in str(caught.value)
        path.unlink()
        for call in (importer, import_recording):
            with pytest.raises(FileNotFoundError, match=name):
                call(path)

    def test_bad_options(self, name, tmp_path):
        path, importer = written(tmp_path, name)
        with pytest.raises(ValueError, match="time_axis"):
            importer(path, time_axis=2)
        with pytest.raises(ValueError, match="keys names 'spike'"):
            importer(path, keys={"spike": "spikes"})


class TestNumpy:
    def test_npy(self, tmp_path):
        np.save(tmp_path / "v.npy", SPIKES.T)
        recording = import_numpy(tmp_path / "v.npy", rate_hz=2.5, time_axis=1)
        np.testing.assert_array_equal(recording.spikes, SPIKES)

    def test_nothing_pickled_is_loaded(self, tmp_path):
        ran = tmp_path / "ran"

        class Trap:
            def __reduce__(self):
                return Path.touch, (ran,)

        np.save(tmp_path / "v.npy", np.array([Trap()], dtype=object), allow_pickle=True)
        np.savez(tmp_path / "v.npz", spikes=np.array([Trap()], dtype=object))
        (tmp_path / "w.npy").write_bytes(pickle.dumps(Trap()))
        for name in ("v.npy", "v.npz", "w.npy"):
            with pytest.raises(RecordingError, match=name):
                import_numpy(tmp_path / name, rate_hz=1.0)
        assert not ran.exists()
        with pytest.raises(RecordingError, match="key spikes"):
            import_numpy(tmp_path / "v.npz", rate_hz=1.0)

    def test_a_header_that_asks_for_too_much(self, tmp_path):
        path = tmp_path / "v.npy"
        np.save(path, SPIKES)
        assert b"(40, 6), }         " in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(b"(40, 6), }         ", b"(40000000000, 600)}"))
        with pytest.raises(RecordingError, match=r"v\.npy"):
            import_numpy(path, rate_hz=1.0)


class TestMatlab:
    def test_structs_and_sparse_matrices_of_version_5(self, tmp_path):
        path = tmp_path / "m.mat"
        scipy.io.savemat(path, {"session": {"v": scipy.sparse.csc_array(SPIKES), "fps": 2.5}})
        keys = {"spikes": "session/v", "rate_hz": "session/fps"}
        np.testing.assert_array_equal(import_matlab(path, keys=keys).spikes, SPIKES)
        with pytest.raises(RecordingError, match=r"key session is a struct: .* session/v"):
            import_matlab(path, keys={"spikes": "session"}, rate_hz=1.0)
        with pytest.raises(RecordingError, match="key session/w is missing"):
            import_matlab(path, keys={"spikes": "session/w"}, rate_hz=1.0)

    def test_structs_and_sparse_matrices_of_version_73(self, tmp_path):
        path = write_mat73(tmp_path / "m.mat", {"fps": np.float64(2.5)})
        sparse = scipy.sparse.csc_array(SPIKES)
        with h5py.File(path, "r+") as file:
            group = file.create_group("session/v")
            group.attrs["MATLAB_sparse"] = np.uint64(T)
            group["data"], group["ir"] = sparse.data, sparse.indices.astype(np.uint64)
            group["jc"] = sparse.indptr.astype(np.uint64)
        recording = import_matlab(path, keys={"spikes": "session/v", "rate_hz": "fps"})
        np.testing.assert_array_equal(recording.spikes, SPIKES)
        with pytest.raises(RecordingError, match=r"key session is a struct: .*session/v"):
            import_matlab(path, keys={"spikes": "session"}, rate_hz=1.0)

    def test_a_file_that_hdf5storage_wrote(self):
        """Logical matrix, column vector, cell of texts and struct, by hdf5storage 0.2.2."""
        path = Path(__file__).parents[1] / "data/hdf5storage_0.2.2.mat"
        recording = import_matlab(path, keys={"coordinates": "session/xyz"})
        np.testing.assert_array_equal(
            recording.spikes, np.random.default_rng(0).random((20, 4)) < 0.3
        )
        np.testing.assert_array_equal(recording.coordinates, np.arange(12).reshape(4, 3))
        assert recording.names == ("cell 0", "cell 1", "cell 2", "cell 3")
        assert recording.rate_hz == pytest.approx(2.5)

    def test_logical_arrays(self, tmp_path):
        scipy.io.savemat(tmp_path / "m.mat", {"spikes": SPIKES.astype(bool)})
        assert (import_matlab(tmp_path / "m.mat", rate_hz=1.0).spikes == SPIKES).all()

    def test_version_4_is_refused(self, tmp_path):
        scipy.io.savemat(tmp_path / "m.mat", {"spikes": SPIKES}, format="4")
        with pytest.raises(RecordingError, match=r"version 4.*save"):
            import_matlab(tmp_path / "m.mat", rate_hz=1.0)


class TestCSV:
    def write(self, tmp_path, text):
        path = tmp_path / "mine.csv"
        path.write_text(text, encoding="utf-8")
        return path

    def test_names_and_times(self, tmp_path):
        rows = "\n".join(f"{t},{','.join(map(str, v))}" for t, v in zip(TIMES_S, SPIKES))
        path = self.write(tmp_path, "\ufefft," + ",".join(GOOD["names"]) + "\n" + rows + "\n")
        for recording in (
            import_csv(path, time_column="t"),
            import_recording(path, time_column="t"),
        ):
            np.testing.assert_array_equal(recording.spikes, SPIKES)
            assert recording.names == tuple(GOOD["names"])
            assert recording.rate_hz == pytest.approx(2.5)
            np.testing.assert_array_equal(recording.discontinuities, [25])

    def test_numbers_alone_in_either_direction(self, tmp_path):
        path = self.write(tmp_path, "\n".join("\t".join(map(str, v)) for v in SPIKES))
        recording = import_csv(path, rate_hz=2.0, delimiter="\t")
        np.testing.assert_array_equal(recording.spikes, SPIKES)
        assert recording.names is None
        recording = import_csv(path, rate_hz=2.0, delimiter="\t", time_axis=1)
        np.testing.assert_array_equal(recording.spikes, SPIKES.T)

    @pytest.mark.parametrize(
        ("text", "options", "message"),
        [
            ("", {}, "row 1 is empty"),
            ("a,b\n", {}, "no row of numbers"),
            ("1,0\n1\n", {}, "columns"),
            ("1,0\n1,x\n", {}, "'x'"),
            ("1,0\n1,\n", {}, "column"),
            ("1,0\n1,nan\n", {}, "holds NaN"),
            ("1,0\n1,inf\n", {}, "infinity"),
            ("1,0\n1,0.5\n", {}, "never binarised silently"),
            ("0;1\n1;0\n", {}, "separated by ','"),
            ("a,a\n0,1\n", {}, "names holds 'a' twice"),
            ("a,b,c\n0,1\n", {}, "3 names for 2 columns"),
            ("a,,c\n0,1,1\n", {}, "column 2 is empty"),
            ("t,a\n0,1\n1,0\n", {"time_column": "time"}, "key time is no column"),
            ("t,a\n1,1\n0,0\n", {"time_column": "t"}, "key times_s: the times do not increase"),
            ("t,a\n-1,1\n0,0\n", {"time_column": "t"}, "negative"),
            ("t,a\n0,1\n5,0\n", {"time_column": "t", "rate_hz": 1.0}, "key times_s steps by 5"),
        ],
    )
    def test_bad_tables(self, text, options, message, tmp_path):
        path = self.write(tmp_path, text)
        options = options if "time_column" in options else {"rate_hz": 1.0}
        with pytest.raises(RecordingError, match=message) as caught:
            import_csv(path, **options)
        assert str(path) in str(caught.value)

    def test_not_a_text(self, tmp_path):
        path = tmp_path / "mine.csv"
        path.write_bytes(b"\xff\xfe0,1\n")
        with pytest.raises(RecordingError, match="UTF-8"):
            import_csv(path, rate_hz=1.0)


class TestBinarise:
    def test_amplitude_fraction_is_of_each_neurons_own(self):
        events = np.array([[0.0, 0.0, 0], [4.0, 0.2, 0], [1.0, 0.1, 0], [1.9, 0.2, 0]])
        found = binarise(events, "x", 1.0, ToBinary(amplitude_fraction=0.5)).spikes
        amplitude = [(16 + 1 + 3.61) / 6.9, (0.04 + 0.01 + 0.04) / 0.5]  # 2.99 and 0.18
        np.testing.assert_array_equal(found[:, :2], events[:, :2] > 0.5 * np.array(amplitude))
        assert found[:, 2].sum() == 0

    def test_above_a_threshold_for_each_neuron_means_above(self):
        values = np.array([[1.0, 1.0], [3.0, 3.0]])
        np.testing.assert_array_equal(
            binarise(values, "x", 1.0, ToBinary(threshold=[1.0, 0.5])).spikes, [[0, 1], [1, 1]]
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"threshold": [1.0, 2.0, 3.0]}, "threshold has shape"),
            ({"threshold": np.nan}, "threshold"),
            ({"amplitude_fraction": 0.0}, "amplitude_fraction is 0"),
            ({"amplitude_fraction": 0.5}, "x holds -1.*not negative"),
            ({"kernel": 0.3}, "kernel is 0.3"),
            ({}, "never binarised"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            binarise(np.array([[-1.0, 0.0], [2.0, 1.0]]), "x", 1.0, ToBinary(**options))

    def test_missing_frames_are_named_as_frames(self):
        values = RNG.random((50, 4))
        for frames, text in (([0, 1, 2], "3 of 50 frames (0 to 2)"), ([7], "1 of 50 frames (7)"),
                             ([0, 3, 4, 6, 8], "5 of 50 frames (0, 3 to 4, 6, ...)")):  # fmt: skip
            gaps = values.copy()
            gaps[frames] = np.nan
            with pytest.raises(RecordingError, match=re.escape(f"in all neurons of {text}: leave")):
                binarise(gaps, "x", 1.0, ToBinary(threshold=0))
        gaps[10:20, [1, 3]] = np.inf
        with pytest.raises(RecordingError, match=r"5 of 50 .* and in 2 of 4 neurons \(1, 3\)"):
            binarise(gaps, "x", 1.0, ToBinary(threshold=0))
        values[30, 2] = np.nan
        with pytest.raises(RecordingError, match=r"infinity in 1 of 4 neurons \(2\)"):
            binarise(values, "x", 1.0, ToBinary(threshold=0))

    def test_slightly_negative_events_are_clipped_on_request(self):
        events = np.array([[0.0, 2.0], [-1e-3, 0.1], [1.5, 0.0], [1.0, 1.9]])
        with pytest.raises(RecordingError, match=r"holds -0.001.*clip_negative=True"):
            binarise(events, "x", 1.0, ToBinary(amplitude_fraction=0.5))
        found = binarise(events, "x", 1.0, ToBinary(amplitude_fraction=0.5, clip_negative=True))
        right = binarise(np.maximum(events, 0), "x", 1.0, ToBinary(amplitude_fraction=0.5))
        np.testing.assert_array_equal(found.spikes, right.spikes)
        assert events.min() == -1e-3  # the caller's own
        events[1, 0] = -0.3
        with pytest.raises(RecordingError, match=r"from -0.3 to 2: .*at most 10%"):
            binarise(events, "x", 1.0, ToBinary(amplitude_fraction=0.5, clip_negative=True))
        with pytest.raises(ValueError, match="clip_negative is True: give amplitude_fraction"):
            binarise(events, "x", 1.0, ToBinary(threshold=0.5, clip_negative=True))

    def test_masked_values_are_refused(self):
        values = np.ma.array(np.eye(3), mask=np.eye(3))
        with pytest.raises(ValueError, match="x has masked entries"):
            binarise(values, "x", 1.0, ToBinary(threshold=0.5))

    def test_counts_are_told_how(self):
        with pytest.raises(RecordingError, match="for spike counts pass threshold=0"):
            binarise(np.array([[3, 0]]), "x", 1.0, ToBinary())


class TestAnyFile:
    def test_unknown_format_ending_and_option(self, tmp_path):
        path = write_npz(tmp_path / "mine.npz", GOOD)
        with pytest.raises(ValueError, match="format is 'avi'"):
            import_recording(path, format="avi")
        with pytest.raises(TypeError, match="rate"):
            import_recording(path, rate=3.0)
        (tmp_path / "mine.xyz").write_bytes(path.read_bytes())
        with pytest.raises(ValueError, match=r"'\.xyz' belongs to no format"):
            import_recording(tmp_path / "mine.xyz")
        recording = import_recording(tmp_path / "mine.xyz", format="numpy")
        np.testing.assert_array_equal(recording.spikes, SPIKES)


@pytest.mark.parametrize("format", FORMATS)
def test_every_option_is_in_the_signature_and_described(format):
    """Options that importers share are written once; help and the API pages show them all."""
    module, name = FORMATS[format]
    importer = getattr(importlib.import_module(f"crbm_lite.importers.{module}"), name)
    described = inspect.getdoc(importer).split("Parameters\n")[1].split("Returns\n")[0]
    heads = [line.split(" : ")[0] for line in described.splitlines() if line[:1].isalpha()]
    options = list(inspect.signature(importer).parameters)
    assert sorted(", ".join(heads).split(", ")) == sorted(options)
    if "threshold" in options:
        assert {"amplitude_fraction", "kernel"} <= set(options)
        assert "A neuron is active where its value exceeds" in described


def test_an_option_that_no_importer_has_is_a_type_error(tmp_path):
    for importer in (import_hdf5, import_csv, import_matlab, import_numpy):
        with pytest.raises(TypeError, match="tresh"):
            importer(tmp_path / "none", tresh=1)


def test_the_calls_of_the_page_on_importers_fit_the_functions():
    page = Path(__file__).resolve().parents[2] / "book/your_data/importers.md"
    row = r"^\| \[.+\]\(\S+/api/([\w.]+)\.md\) \| `(.+\))` \|$"
    rows = re.findall(row, page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {module for module, _ in rows} >= {
        f"importers.{module}" for module, _ in FORMATS.values()
    }
    for module, code in rows:
        call = ast.parse(code, mode="eval").body
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name == "import_recording":
            function = dict(FORMATS.values())[module.removeprefix("importers.")]
        else:
            function = name
        function = getattr(importlib.import_module(f"crbm_lite.{module}"), function)
        options = [keyword.arg for keyword in call.keywords if keyword.arg != "format"]
        inspect.signature(function).bind(None, **dict.fromkeys(options))
        assert name == function.__name__ or hasattr(crbm_lite, name)


def test_a_pause_is_given_to_the_deconvolution(tmp_path):
    response = GCAMP6F.response(2.5)
    traces = np.transpose([np.convolve(v, response)[:T] for v in SPIKES.T])
    traces += 0.05 * np.random.default_rng(1).standard_normal((T, N)) + (TIMES_S > 60)[:, None]
    path = write_npz(tmp_path / "a.npz", GOOD | {"spikes": traces})
    found = import_numpy(path, kernel=GCAMP6F)
    assert found.discontinuities.tolist() == [25]
    expected = deconvolve(np.float32(traces), 2.5, GCAMP6F, discontinuities=[25]).spikes
    np.testing.assert_array_equal(found.spikes, expected)
    assert (found.spikes != deconvolve(np.float32(traces), 2.5, GCAMP6F).spikes).any()


def test_times_that_disagree_with_the_rate_in_the_file_are_told(tmp_path):
    """Times in milliseconds would make a recording of hours."""
    for factor, agrees in ((1.0, True), (1000.0, False)):
        path = tmp_path / f"{factor}.npz"
        np.savez(path, spikes=SPIKES, times_s=factor * np.arange(T) / 5.0, rate_hz=5.0)
        if agrees:
            assert import_numpy(path).rate_hz == 5.0
        else:
            with pytest.raises(RecordingError, match="rate_hz is 5: correct one of them"):
                import_numpy(path)
