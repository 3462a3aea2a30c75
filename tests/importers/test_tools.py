"""Importers of suite2p, CaImAn and NWB.

tests/data/suite2p_1.1.0.zip was written by suite2p 1.1.0 itself, run on a movie of five planted
cells (300 frames of 40 x 40 pixels at 10 Hz); beside its output lie the planted spikes and the
planted centres. suite2p_0.14.6.zip is from the last release of the older layout, with one ops.npy:
six cells, 400 frames of 64 x 64 (the folders named in ops.npy are shortened). NWB files are written
by pynwb here. CaImAn does not install from a package index, so its file is built here after the
layout that its save function documents; roiextractors 0.10.0, an independent reader, finds the same
events, rate and positions in it.
"""

import pickle
import shutil
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse

from crbm_lite import import_recording
from crbm_lite.calcium.deconvolution import CalciumKernel, deconvolve
from crbm_lite.calcium.preprocessing import delta_f_over_f
from crbm_lite.importers.caiman import import_caiman
from crbm_lite.importers.cells import centres_given_footprints
from crbm_lite.importers.nwb import import_nwb
from crbm_lite.importers.plain_objects import Opaque, as_numbers, read_objects
from crbm_lite.importers.suite2p import import_suite2p
from crbm_lite.recordings.files import RecordingError

KERNEL = CalciumKernel(rise_s=0.05, decay_s=0.8)  # of the planted cells
HALF = {"amplitude_fraction": 0.5}


class TestSuite2p:
    @pytest.fixture
    def folder(self, tmp_path):
        zipfile.ZipFile(Path(__file__).parents[1] / "data/suite2p_1.1.0.zip").extractall(tmp_path)
        return tmp_path

    def planted(self, folder, recording):
        """The planted spikes of the cells found, matched by position."""
        centres = np.load(folder / "planted_yx.npy")[:, ::-1]
        away = np.abs(recording.coordinates[:, None, :2] - centres).max(axis=2)
        assert (away.min(axis=1) <= 2).all()
        assert len(set(away.argmin(axis=1))) == recording.n_neurons
        return np.load(folder / "planted_spikes.npy")[:, away.argmin(axis=1)]

    @pytest.mark.parametrize("options", [HALF, {"traces": "F", "kernel": KERNEL}])
    def test_the_planted_spikes_come_back(self, folder, options):
        for path in (folder, folder / "plane0"):
            recording = import_suite2p(path, **options)
            assert (recording.n_frames, recording.n_neurons, recording.rate_hz) == (300, 5, 10.0)
            true = self.planted(folder, recording)
            assert (recording.spikes != true).mean() < 0.005
            assert recording.coordinate_unit == "pixel"
            assert recording.names == ("0", "1", "2", "3", "4")

    @pytest.mark.parametrize("options", [HALF, {"traces": "F", "kernel": KERNEL}])
    def test_the_older_layout(self, tmp_path, options):
        zipfile.ZipFile(Path(__file__).parents[1] / "data/suite2p_0.14.6.zip").extractall(tmp_path)
        recording = import_suite2p(tmp_path, **options)
        assert (recording.n_frames, recording.n_neurons, recording.rate_hz) == (400, 6, 10.0)
        true = self.planted(tmp_path, recording)
        assert (recording.spikes != true).mean() < 0.002
        assert not (tmp_path / "plane0/settings.npy").exists()

    def test_dff_is_of_the_fluorescence_less_the_neuropil(self, folder):
        f, around = (np.load(folder / f"plane0/{name}.npy") for name in ("F", "Fneu"))
        recording = import_recording(folder, traces="F", kernel=KERNEL, neuropil=0.5)
        dff = delta_f_over_f((f - 0.5 * around).T, 10.0)
        np.testing.assert_allclose(recording.dff, dff, rtol=1e-5)
        np.testing.assert_array_equal(recording.spikes, deconvolve(dff, 10.0, KERNEL).spikes)

    def test_only_cells_unless_all_are_asked_for(self, folder):
        everything = import_suite2p(folder, **HALF)
        iscell = np.load(folder / "plane0/iscell.npy")
        iscell[[0, 3], 0] = 0
        np.save(folder / "plane0/iscell.npy", iscell)
        recording = import_suite2p(folder, um_per_pixel=2.0, **HALF)
        assert recording.names == ("1", "2", "4")
        np.testing.assert_array_equal(recording.spikes, everything.spikes[:, [1, 2, 4]])
        np.testing.assert_array_equal(recording.coordinates, 2 * everything.coordinates[[1, 2, 4]])
        assert recording.coordinate_unit == "um"
        assert "3 of 5" in recording.provenance["neurons"]
        assert import_suite2p(folder, accepted_only=False, **HALF).n_neurons == 5

    def test_the_rate_of_older_and_newer_releases(self, folder):
        (folder / "plane0/ops.npy").unlink()
        assert import_suite2p(folder, **HALF).rate_hz == 10.0
        (folder / "plane0/settings.npy").unlink()
        with pytest.raises(RecordingError, match=r"key fs .*pass rate_hz"):
            import_suite2p(folder, **HALF)
        assert import_suite2p(folder, rate_hz=7.0, **HALF).rate_hz == 7.0
        np.save(folder / "plane0/ops.npy", {"fs": np.float32(-1)})
        with pytest.raises(RecordingError, match="key fs is -1"):
            import_suite2p(folder, **HALF)

    def test_all_cells_without_a_baseline_are_named_by_their_numbers(self, folder):
        iscell = np.load(folder / "plane0/iscell.npy")
        iscell[0, 0] = 0
        np.save(folder / "plane0/iscell.npy", iscell)
        for part in ("F", "Fneu"):
            values = np.load(folder / f"plane0/{part}.npy")
            values[[1, 3]] = 0.0
            np.save(folder / f"plane0/{part}.npy", values)
        with pytest.raises(
            RecordingError, match=r"F\.npy less 0.7 Fneu: .* ROIs 1, 3 is not above 0.* dead"
        ):
            import_suite2p(folder, traces="F", kernel=KERNEL)
        with pytest.raises(RecordingError, match="ROI 3 is not above 0"):
            import_suite2p(folder, traces="F", kernel=KERNEL, leave_out=[1])

        for left_out in ([1, 3], ["1", "3"]):
            kept = import_suite2p(folder, traces="F", kernel=KERNEL, leave_out=left_out)
            assert kept.names == ("2", "4") and kept.provenance["left out"] == "ROIs 1, 3"
        for wrong, message in (([5], "0 to 4"), ([-1], "0 to 4"), ([1, 2, 3, 4], "all 4 ROIs")):
            with pytest.raises(ValueError, match=f"leave_out holds .*{message}"):
                import_suite2p(folder, leave_out=wrong, **HALF)

    def test_what_is_deconvolved_takes_no_kernel(self, folder):
        for kernel in (KERNEL, "infer"):
            with pytest.raises(ValueError, match="deconvolved already: pass traces='F'"):
                import_suite2p(folder, kernel=kernel)

    def test_gaps_are_told_by_the_numbers_that_leave_out_takes(self, folder):
        iscell = np.load(folder / "plane0/iscell.npy")
        iscell[0, 0] = 0
        np.save(folder / "plane0/iscell.npy", iscell)
        for part, options in (("spks", HALF), ("F", {"traces": "F", "kernel": KERNEL})):
            values = np.load(folder / f"plane0/{part}.npy")
            values[3, 7] = np.nan
            np.save(folder / f"plane0/{part}.npy", values)
            with pytest.raises(RecordingError, match=r"in ROIs 3: pass leave_out=\[3\]"):
                import_suite2p(folder, **options)
            assert import_suite2p(folder, **options, leave_out=[3]).names == ("1", "2", "4")

    def test_the_kernel_that_the_traces_show_finds_the_planted_spikes(self, folder):
        recording = import_suite2p(folder, traces="F", kernel="infer")
        assert (recording.spikes != self.planted(folder, recording)).mean() < 0.01
        told = recording.provenance["spikes"]
        assert told.startswith("deconvolved, its own kernel: rise")
        decay_s = float(told.split("decay ")[1].removesuffix(" s"))
        assert abs(decay_s - KERNEL.decay_s) < 0.25  # of 300 frames of five cells

    def test_events_are_never_binarised_silently(self, folder):
        with pytest.raises(RecordingError, match=r"spks\.npy holds .* never binarised") as caught:
            import_suite2p(folder)
        assert "pass traces='F', kernel='infer' for the fluorescence" in str(caught.value)
        (folder / "plane0/F.npy").unlink()
        with pytest.raises(RecordingError, match=r"spks\.npy holds .* never binarised") as caught:
            import_suite2p(folder / "plane0")
        assert "traces='F'" not in str(caught.value)

    def test_events_of_0_and_1_need_no_word(self, folder):
        path = folder / "plane0/spks.npy"
        np.save(path, np.float32(np.load(path) > 0))
        np.testing.assert_array_equal(import_suite2p(folder).spikes, (np.load(path) > 0).T)

    def test_combined_planes_lie_apart(self, tmp_path):
        """suite2p's combined adds the offset of a tile to med; the planes keep their own."""
        rng = np.random.default_rng(0)
        own = [[[30, 40], [50, 60]], [[30, 40], [55, 66], [7, 8]]]  # y, x in each plane
        tiled = [*own[0], *[[y, x + 512] for y, x in own[1]]]
        planes = [0, 0, 1, 1, 1]
        for name, places, numbers in (("plane0", own[0], None), ("plane1", own[1], None),
                                      ("combined", tiled, planes)):  # fmt: skip
            stat = [{"med": list(place)} for place in places]
            for roi, plane in zip(stat, numbers or ()):
                roi["iplane"] = np.int64(plane)
            (tmp_path / name).mkdir()
            events = (rng.random((len(stat), 60)) < 0.2) * 3.0
            for part, values in {"F": events + 9, "spks": events, "iscell": np.ones((len(stat), 2)),
                                 "stat": np.array(stat, dtype=object)}.items():  # fmt: skip
                np.save(tmp_path / name / f"{part}.npy", values)
        combined = tmp_path / "combined"
        with pytest.warns(UserWarning, match="coordinates are left out: .* pass um_per_pixel"):
            assert import_suite2p(tmp_path, rate_hz=5.0, **HALF).n_neurons == 5  # finds it itself
        right = [[20, 15, 0], [30, 25, 0], [20, 15, 40], [33, 27.5, 40], [4, 3.5, 40]]
        options = {"rate_hz": 5.0, "um_per_pixel": 0.5, "um_per_plane": 40.0, **HALF}
        recording = import_recording(combined, **options)
        np.testing.assert_allclose(recording.coordinates, right)
        assert recording.coordinate_unit == "um"
        assert recording.names == ("0", "1", "2", "3", "4")
        for left_out in ("um_per_plane", "um_per_pixel"):
            with pytest.warns(UserWarning, match="coordinates are left out"):
                recording = import_suite2p(combined, **options | {left_out: None})
            assert recording.coordinates is None
            assert "um_per_plane" in recording.provenance["coordinates"]
        shutil.rmtree(tmp_path / "plane1")
        with pytest.warns(UserWarning, match="keep the folders plane0"):
            assert import_suite2p(combined, **options).coordinates is None
        assert import_suite2p(tmp_path / "plane0", **options).coordinates.shape == (2, 3)
        np.save(tmp_path / "plane0/stat.npy", np.array([{"med": [1, 2]}] * 3, dtype=object))
        (tmp_path / "plane1").mkdir()
        np.save(tmp_path / "plane1/stat.npy", np.array([{"med": [1, 2]}] * 3, dtype=object))
        with pytest.raises(RecordingError, match=r"plane0/stat\.npy describes 3 ROIs"):
            import_suite2p(combined, **options)

    def test_several_planes(self, folder):
        (folder / "plane1").mkdir()
        (folder / "plane1/F.npy").write_bytes((folder / "plane0/F.npy").read_bytes())
        with pytest.raises(RecordingError, match="plane0, plane1"):
            import_suite2p(folder, **HALF)

    BAD = (
        ("spks.npy", np.zeros((5, 0)), "has shape"),
        ("spks.npy", np.zeros((300,)), "has shape"),
        ("spks.npy", np.full((5, 300), np.nan), "NaN"),
        ("iscell.npy", np.ones((4, 2)), "one row for each of 5 ROIs"),
        ("iscell.npy", np.full((5, 2), 0.7), "0 or 1"),
        ("iscell.npy", np.zeros((5, 2)), "no ROI a cell"),
        ("stat.npy", np.array([{"med": [1, 2]}] * 4, dtype=object), "describes 4 ROIs"),
        ("stat.npy", np.array([{"mad": [1, 2]}] * 5, dtype=object), "key med or iplane of ROI 0"),
        ("stat.npy", np.array([{"med": [1, np.nan]}] * 5, dtype=object), "coordinates holds NaN"),
        ("stat.npy", np.zeros(5), "not objects"),
        ("ops.npy", np.zeros(5), "not objects"),
        ("ops.npy", np.array({"fs": "fast"}, dtype=object), "key fs is no rate"),
    )

    @pytest.mark.parametrize(("name", "contents", "message"), BAD)
    def test_bad_files(self, folder, name, contents, message):
        np.save(folder / "plane0" / name, contents)
        with pytest.raises(RecordingError, match=message) as caught:
            import_suite2p(folder, **HALF)
        assert str(folder) in str(caught.value)

    def test_fluorescence_of_other_lengths(self, folder):
        np.save(folder / "plane0/Fneu.npy", np.zeros((5, 299)))
        with pytest.raises(RecordingError, match=r"Fneu\.npy has shape \(5, 299\)"):
            import_suite2p(folder, traces="F", kernel=KERNEL)

    @pytest.mark.parametrize("name", ["spks", "iscell", "stat", "ops", "F"])
    def test_truncated_empty_missing(self, folder, name):
        path = folder / f"plane0/{name}.npy"
        options = {"traces": "F", "kernel": KERNEL} if name == "F" else HALF
        whole = path.read_bytes()
        for length in (0, 5, 40, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(RecordingError, match=rf"{name}\.npy"):
                import_suite2p(folder, **options)
        path.unlink()
        if name in ("spks", "iscell"):
            with pytest.raises(RecordingError, match=rf"{name}\.npy"):
                import_suite2p(folder, **options)
        with pytest.raises(FileNotFoundError):
            import_suite2p(folder / "none", **options)
        with pytest.raises(ValueError, match="traces is 'C'"):
            import_suite2p(folder, traces="C")


class TestPlainObjects:
    @pytest.mark.parametrize("protocol", range(6))
    def test_plain_data_of_every_protocol(self, protocol, tmp_path):
        cells = [
            {"med": [np.int32(3), np.int64(4)], "pix": np.arange(6).reshape(2, 3), "on": True,
             "text": "größer", "nothing": None, "f": np.float32(0.5), "t": (1, (2.5, ()), "x"),
             "wide": np.asfortranarray(np.eye(3, 2)), "big": 2**70, "raw": b"\x00\xff",
             "same": None},
            {"med": (1.5, -2), "bool": np.array([True, False])},
        ]  # fmt: skip
        cells[1]["same"] = cells[0]["med"]
        objects = np.array(cells, dtype=object)
        path = tmp_path / "stat.npy"
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(
                stream, {"descr": "|O", "fortran_order": False, "shape": (2,)}
            )
            pickle.dump(objects, stream, protocol=protocol)
        found = read_objects(path)
        assert len(found) == 2
        for cell, true in zip(found, cells):
            assert list(cell) == list(true)
            for key, value in true.items():
                if isinstance(value, np.ndarray):
                    np.testing.assert_array_equal(as_numbers(cell[key]), value)
                else:
                    assert cell[key] == value, key
        np.testing.assert_array_equal(as_numbers(found[0]["med"]), [3.0, 4.0])

    def test_nothing_runs_and_nothing_is_imported(self, tmp_path):
        ran = tmp_path / "ran"

        class Trap:
            def __reduce__(self):
                return Path.touch, (ran,)

        path = tmp_path / "stat.npy"
        np.save(path, np.array([{"med": Trap(), "path": Path("a")}], dtype=object))
        stream = path.read_bytes().replace(b"pathlib", b"idlelib")  # a module not yet imported
        path.write_bytes(stream)
        sys.modules.pop("idlelib", None)
        (cell,) = read_objects(path)
        assert not ran.exists()
        assert "idlelib" not in sys.modules
        assert isinstance(cell["med"], Opaque)
        with pytest.raises(ValueError, match="not a number"):
            as_numbers(cell["med"])

    def test_keys_are_texts_or_numbers(self, tmp_path):
        np.save(tmp_path / "stat.npy", {(1, 2): 3})
        with pytest.raises(RecordingError, match="a key that is no text or number"):
            read_objects(tmp_path / "stat.npy")

    @pytest.mark.parametrize(
        "stream",
        [
            b"\x80\x04)" + b"\x85" * 50_000 + b"}\x94)" + b"K\x01s.",  # a tower of tuples
            b"\x80\x04}" + b")" + b"\x85" * 50_000 + b"K\x01s.",  # ... as a key: deep to hash
            b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",  # bytes longer than any memory
            b"\x80\x04Nr\xff\xff\xff\xff.",  # a memo of four thousand million places
            b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00truetR.",
            b"\x80\x04.", b"\x80\x04(((((.", b"\x80\x04e.", b"\x80\x04h\x05.", b"",
        ],
    )  # fmt: skip
    def test_streams_that_no_one_wrote(self, stream, tmp_path):
        path = tmp_path / "stat.npy"
        np.save(path, {"a": 1})
        head = path.read_bytes()
        path.write_bytes(head[: head.index(b"\n") + 1] + stream)
        with pytest.raises(RecordingError, match=r"stat\.npy"):
            read_objects(path)

    @pytest.mark.parametrize(
        "step", [b"}", b"(", b"]", b"}2", b"N\x94", b")\x85", b"cos\nsystem\n"]
    )
    def test_a_stream_of_many_steps_takes_little_memory(self, step, tmp_path):
        path = tmp_path / "ops.npy"
        np.save(path, {"a": 1})
        head = path.read_bytes()[: path.read_bytes().index(b"\n") + 1]
        path.write_bytes(head + b"\x80\x04" + step * 600_000 + b".")
        tracemalloc.start()
        try:
            with pytest.raises(RecordingError, match=r"ops\.npy.*more than 500,600 steps"):
                read_objects(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 120e6

    def test_many_cells_and_many_files_of_a_movie_are_read(self, tmp_path):
        cell = {"med": [1, 2], "lam": np.ones(9, np.float32)} | {f"k{i}": i / 7 for i in range(40)}
        np.save(tmp_path / "stat.npy", np.array([dict(cell) for _ in range(3000)], dtype=object))
        assert len(read_objects(tmp_path / "stat.npy", 3000)) == 3000
        np.save(tmp_path / "ops.npy", {"filelist": [f"{i}.tif" for i in range(20_000)], "fs": 5.0})
        assert read_objects(tmp_path / "ops.npy")[0]["fs"] == 5.0


EVENTS = np.where(np.random.default_rng(1).random((4, 60)) < 0.1, 2.0, 0.0)
DIMS = (12, 20)  # y, x
CENTRES = np.array([[3, 4], [15, 2], [7, 9], [18, 10]])  # x, y


def footprints():
    """(pixels, 4) crosses of five pixels in order F, as CaImAn keeps them."""
    images = np.zeros((*DIMS, 4))
    for i, (x, y) in enumerate(CENTRES):
        images[y, x, i] = 2.0
        images[y - 1 : y + 2 : 2, x, i] = images[y, x - 1 : x + 2 : 2, i] = 1.0
    return scipy.sparse.csc_array(images.reshape(-1, 4, order="F"))


class TestCaImAn:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "results.hdf5"
        a = footprints()
        with h5py.File(path, "w") as file:
            file["estimates/S"], file["estimates/C"] = EVENTS, EVENTS.cumsum(axis=1)
            file["estimates/F_dff"] = "NoneType"
            for name, part in (("data", a.data), ("indices", a.indices), ("indptr", a.indptr),
                               ("shape", a.shape)):  # fmt: skip
                file[f"estimates/A/{name}"] = part
            file["estimates/idx_components"] = "NoneType"
            file["params/data/fr"], file["params/data/dims"] = 30, DIMS
        return path

    def change(self, path, key, value):
        with h5py.File(path, "r+") as file:
            if key in file:
                del file[key]
            if value is not None:
                file[key] = value

    def test_events_positions_and_rate(self, path):
        for recording in (import_caiman(path, **HALF), import_recording(path, **HALF)):
            np.testing.assert_array_equal(recording.spikes, EVENTS.T > 0)
            np.testing.assert_allclose(recording.coordinates[:, :2], CENTRES)
            assert (recording.coordinate_unit, recording.rate_hz) == ("pixel", 30.0)

    def test_accepted_components(self, path):
        self.change(path, "estimates/idx_components", [3, 1])
        recording = import_caiman(path, um_per_pixel=0.5, **HALF)
        np.testing.assert_array_equal(recording.spikes, EVENTS[[3, 1]].T > 0)
        np.testing.assert_allclose(recording.coordinates[:, :2], 0.5 * CENTRES[[3, 1]])
        assert recording.names == ("3", "1")
        assert import_caiman(path, accepted_only=False, **HALF).n_neurons == 4

    def test_dff(self, path):
        dff = np.random.default_rng(2).normal(size=(4, 60)).cumsum(axis=1)
        self.change(path, "estimates/F_dff", dff)
        recording = import_caiman(path, traces="F_dff", kernel=KERNEL)
        np.testing.assert_allclose(recording.dff, dff.T, rtol=1e-6)
        np.testing.assert_array_equal(
            recording.spikes, deconvolve(np.float32(dff.T), 30.0, KERNEL).spikes
        )

    def test_traces_without_a_way(self, path):
        with pytest.raises(RecordingError, match=r"key estimates/S holds 2 .*never binarised"):
            import_caiman(path)
        with pytest.raises(RecordingError, match=r"estimates/F_dff is missing or NoneType; .*S, C"):
            import_caiman(path, traces="F_dff", kernel=KERNEL)
        with pytest.raises(ValueError, match="traces is 'spks'"):
            import_caiman(path, traces="spks")

    BAD = (
        ("estimates/S", None, "estimates/S is missing"),
        ("estimates/S", EVENTS.T, "4 footprints for 60 components"),
        ("estimates/S", np.full((4, 60), np.nan), "estimates/S holds NaN"),
        ("estimates/S", -EVENTS, "holds -2"),
        ("estimates/S", EVENTS[:3], "4 footprints for 3 components"),
        ("estimates/idx_components", [0, 4], "idx_components must hold"),
        ("estimates/idx_components", [1, 1], "idx_components names a component twice"),
        ("estimates/idx_components", np.zeros(0, int), "idx_components accepts none"),
        ("params/data/fr", None, "params/data/fr is missing"),
        ("params/data/fr", -3.0, "params/data/fr is no rate"),
        ("params/data/fr", "NoneType", "params/data/fr has dtype"),
        ("params/data/dims", (12, 21), "estimates/A: footprints of 240 pixels"),
        ("estimates/A/indices", np.full(20, 999), "estimates/A"),
        ("estimates/A/data", np.full(20, np.nan), "estimates/A: footprints hold negative"),
    )

    @pytest.mark.parametrize(("key", "value", "message"), BAD)
    def test_bad_files(self, path, key, value, message):
        self.change(path, key, value)
        with pytest.raises(RecordingError, match=message) as caught:
            import_caiman(path, **HALF)
        assert str(path) in str(caught.value)

    def test_truncated_empty_foreign(self, path):
        whole = path.read_bytes()
        for contents in (b"", whole[:100], whole[: len(whole) // 2], b"text"):
            path.write_bytes(contents)
            with pytest.raises(RecordingError, match=r"results\.hdf5"):
                import_caiman(path, **HALF)
        with h5py.File(path, "w") as file:
            file["x"] = 1
        with pytest.raises(RecordingError, match="estimates/S is missing"):
            import_caiman(path, **HALF)


@pytest.mark.filterwarnings("ignore")  # pynwb's, of what is wrong and of what it will change
class TestNWB:
    @pytest.fixture(scope="class")
    def good(self, tmp_path_factory):
        """A file with everything right, written once."""
        pytest.importorskip("pynwb")
        return write_nwb(tmp_path_factory.mktemp("nwb") / "good.nwb", units=[[0.1, 0.3], [0.2]])

    @pytest.fixture
    def path(self, good, tmp_path):
        return Path(shutil.copy(good, tmp_path / "mine.nwb"))

    @pytest.fixture
    def write(self, tmp_path):
        pytest.importorskip("pynwb")
        return lambda **change: write_nwb(tmp_path / "mine.nwb", **change)

    def put(self, path, key, value):
        """Change a dataset behind pynwb's back, which refuses to write what is wrong."""
        with h5py.File(path, "r+") as file:
            attributes = dict(file[key].attrs)
            del file[key]
            file[key] = value
            file[key].attrs.update(attributes)

    def test_events(self, path):
        for call in (import_nwb, import_recording):
            recording = call(path, series="Fluorescence/Deconvolved", **HALF)
            np.testing.assert_array_equal(recording.spikes, EVENTS.T > 0)
            assert recording.rate_hz == 30.0
            assert recording.names == ("10", "11", "12", "13")
            assert recording.coordinate_unit == "um"
            np.testing.assert_allclose(recording.coordinates[:, :2], 1.5 * CENTRES)
            series = "processing/ophys/Fluorescence/Deconvolved"
            assert recording.provenance["series"] == series

    def test_image_masks_as_pynwb_converts_them(self, path, write):
        pixels = import_nwb(path, series="Deconvolved", **HALF)
        images = import_nwb(write(masks="image", spacing=None), series="Deconvolved", **HALF)
        np.testing.assert_allclose(1.5 * images.coordinates, pixels.coordinates)
        assert images.coordinate_unit == "pixel"

    def test_dff_with_timestamps(self, write):
        dff = np.random.default_rng(2).normal(size=(60, 4)).cumsum(axis=0)
        times_s = np.arange(60) / 5 + np.where(np.arange(60) < 20, 0, 9)
        path = write(dff=dff, timing={"timestamps": times_s})
        recording = import_nwb(path, series="DfOverF/RoiResponseSeries", kernel=KERNEL)
        assert recording.rate_hz == pytest.approx(5.0)
        np.testing.assert_array_equal(recording.discontinuities, [20])
        np.testing.assert_allclose(recording.dff, dff, rtol=1e-6)

    def test_units_are_binned(self, write):
        times_s = [[0.1, 0.2, 1.4], [0.7], []]
        recording = import_nwb(write(units=times_s), series="units", bin_s=0.5, stop_s=1.5)
        assert recording.spikes.T.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
        assert recording.provenance["bins_with_several_spikes"] == 1
        assert recording.names == ("0", "1", "2")

    def test_conversion_and_one_roi(self, write):
        path = write(conversion=0.25, offset=-0.1)
        recording = import_nwb(path, series="Deconvolved", threshold=-0.05)
        np.testing.assert_array_equal(recording.spikes, EVENTS.T > 0)

    def test_which_activity(self, path):
        with pytest.raises(RecordingError, match=r"name one activity .*Deconvolved, .*units"):
            import_nwb(path, **HALF)
        with pytest.raises(RecordingError, match=r"'Neuropil' is not there; .*units"):
            import_nwb(path, series="Neuropil")
        with pytest.raises(RecordingError, match="pass bin_s"):
            import_nwb(path, series="units")
        with pytest.raises(RecordingError, match="bin_s is for units"):
            import_nwb(path, series="Deconvolved", bin_s=0.5)
        with pytest.raises(RecordingError, match=r"Deconvolved holds 2 .*never binarised silently"):
            import_nwb(path, series="Deconvolved")

    ACCEPTED = (
        ("iscell", np.column_stack([[1, 0, 0, 1], np.full(4, 0.9)]), [0, 3]),
        ("iscell", [1.0, 0.0, 1.0, 0.0], [0, 2]),
        ("valid_roi", [False, True, True, True], [1, 2, 3]),
        ("Accepted", [0, 1, 0, 0], [1]),
        ("rejected", [0, 1, 0, 0], [0, 2, 3]),
        ("area", [0, 1, 0, 0], [0, 1, 2, 3]),  # says nothing on what was accepted
    )

    @pytest.mark.parametrize(("column", "values", "kept"), ACCEPTED)
    def test_rois_that_were_rejected_are_left_out(self, write, column, values, kept):
        path = write(columns={column: values})
        recording = import_nwb(path, **HALF)
        np.testing.assert_array_equal(recording.spikes, EVENTS[kept].T > 0)
        assert recording.names == tuple(str(10 + i) for i in kept)
        np.testing.assert_allclose(recording.coordinates[:, :2], 1.5 * CENTRES[kept])
        assert f"{len(kept)} of 4" in recording.provenance["neurons"]
        everything = import_nwb(path, accepted_only=False, **HALF)
        assert everything.n_neurons == 4

    def test_of_several_columns_the_decisive_one_counts(self, write):
        """CaImAn writes keep beside lists of what was changed by hand, mostly empty."""
        columns = {"accepted": [0, 0, 0, 0], "rejected": [0, 0, 0, 1], "keep": [1, 1, 0, 0]}
        assert import_nwb(write(columns=columns), **HALF).names == ("10", "11")
        for values, message in (([0] * 4, "accepts no ROI"), ([0, 1, 2, 1], "other than 0 and 1")):
            with pytest.raises(RecordingError, match=f"{message}.*accepted_only=False"):
                import_nwb(write(columns={"iscell": values}), **HALF)

    def test_a_transposed_series(self, write):
        path = write(events=EVENTS)
        with pytest.raises(RecordingError, match="looks transposed, pass time_axis=1"):
            import_nwb(path, **HALF)
        recording = import_nwb(path, time_axis=1, **HALF)
        np.testing.assert_array_equal(recording.spikes, EVENTS.T > 0)
        with pytest.raises(RecordingError, match="looks transposed, pass time_axis=0"):
            import_nwb(write(), time_axis=1, **HALF)

    def test_micrometres_of_the_user(self, write):
        recording = import_nwb(write(spacing=None), um_per_pixel=0.5, **HALF)
        np.testing.assert_allclose(recording.coordinates[:, :2], 0.5 * CENTRES)
        assert recording.coordinate_unit == "um"

    @pytest.mark.parametrize("place", ["processing/ecephys", "analysis", "scratch", "acquisition"])
    def test_units_outside_the_root(self, write, place):
        path = write(units_in=place, empty=True)
        for series in (None, "units", f"{place}/units"):
            recording = import_nwb(path, series=series, bin_s=0.5, stop_s=1.5)
            assert recording.spikes.T.tolist() == [[1, 0, 1], [0, 1, 0]]
        both = write(units_in=place, units=[[0.1, 1.2]], empty=True)
        assert import_nwb(both, series="units", bin_s=0.5).n_neurons == 1
        assert import_nwb(both, series=f"{place}/units", bin_s=0.5).n_neurons == 2

    def test_good_units(self, write):
        times_s = [[0.1, 0.6], [0.7], [1.1]]
        path = write(units=times_s, empty=True, qualities=["good", "noise", "Good"])
        assert import_nwb(path, bin_s=0.5, stop_s=1.5).names == ("0", "2")
        assert import_nwb(path, bin_s=0.5, accepted_only=False).n_neurons == 3
        path = write(units=times_s, empty=True, qualities=["a", "b", "c"])
        assert import_nwb(path, bin_s=0.5).n_neurons == 3

    @pytest.mark.parametrize("index", [[2, 100, 4], [2, 1, 4], [4, 3, 4], [0, 0, 3], [2, 3, 5]])
    def test_an_index_that_does_not_fit_its_times(self, write, index):
        path = write(units=[[0.1, 0.6], [0.7], [1.1]], empty=True)
        with h5py.File(path, "r+") as file:
            file["units/spike_times_index"][:] = index
        with pytest.raises(
            RecordingError, match=r"spike_times_index (must not decrease|ends with)"
        ):
            import_nwb(path, bin_s=0.5)

    def test_large_data_that_are_not_read_do_no_harm(self, path):
        with h5py.File(path, "r+") as file:
            file.create_dataset("processing/ophys/movie", (10**9, 512, 512), "u2", chunks=True)
        assert import_nwb(path, series="Deconvolved", **HALF).n_neurons == 4

    def test_a_file_without_activity(self, write):
        with pytest.raises(RecordingError, match="no activity"):
            import_nwb(write(empty=True))

    BAD_SERIES = (
        ("data", EVENTS, r"Deconvolved/data has shape \(4, 60\).*transposed"),
        ("data", EVENTS.T[:, :3], r"Deconvolved/data has shape \(60, 3\)"),
        ("data", np.full((60, 4), np.nan), "Deconvolved holds NaN"),
        ("data", np.full((60, 4), b"x"), "Deconvolved/data has dtype"),
        ("timestamps", np.arange(60)[::-1] / 5, "timestamps: the times do not increase"),
        ("timestamps", np.arange(60) / 5 - 1, "timestamps: .*negative"),
        ("timestamps", np.arange(59) / 5, "timestamps has 59 times for 60"),
        ("timestamps", np.full(60, np.nan), "timestamps: .*NaN"),
        ("rois", [0, 1, 2, 9], "Deconvolved"),
    )

    @pytest.mark.parametrize(("key", "value", "message"), BAD_SERIES)
    def test_bad_series(self, path, key, value, message):
        group = "processing/ophys/Fluorescence/Deconvolved"
        if key == "timestamps":
            with h5py.File(path, "r+") as file:
                del file[f"{group}/starting_time"]
                file[f"{group}/timestamps"] = np.arange(60.0)
                file[f"{group}/timestamps"].attrs.update(unit="seconds", interval=np.int32(1))
        self.put(path, f"{group}/{key}", value)
        with pytest.raises(RecordingError, match=message) as caught:
            import_nwb(path, series="Deconvolved", **HALF)
        assert str(path) in str(caught.value)

    BAD_UNITS = (
        ("spike_times", [0.4, 0.2, 0.9], "not sorted within each neuron"),
        ("spike_times", [-0.4, 0.2, 0.9], "negative times"),
        ("spike_times", [0.1, np.nan, 0.9], "NaN"),
        ("spike_times", np.zeros(0), "spike_times_index ends with"),
        ("id", [7, 7], "an id occurs twice"),
    )

    @pytest.mark.parametrize(("key", "value", "message"), BAD_UNITS)
    def test_bad_units(self, path, key, value, message):
        self.put(path, f"units/{key}", value)
        with pytest.raises(RecordingError, match=message) as caught:
            import_nwb(path, series="units", bin_s=0.1)
        assert f"{path}: units" in str(caught.value)

    def test_truncated_empty_foreign_old(self, path):
        whole = path.read_bytes()
        with h5py.File(path, "r+") as file:
            file.attrs["nwb_version"] = "NWB-1.0.6"
        with pytest.raises(RecordingError, match=r"mine\.nwb"):
            import_nwb(path, series="Deconvolved", **HALF)
        for contents in (b"", whole[:100], whole[: len(whole) // 2], b"text"):
            path.write_bytes(contents)
            with pytest.raises(RecordingError, match=r"mine\.nwb"):
                import_nwb(path, series="Deconvolved", **HALF)
        with h5py.File(path, "w") as file:
            file["x"] = 1
        with pytest.raises(RecordingError, match=r"mine\.nwb"):
            import_nwb(path, series="Deconvolved", **HALF)

    def test_without_pynwb_the_error_says_how_to_get_it(self, path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pynwb", None)
        with pytest.raises(ImportError, match="pip install pynwb"):
            import_nwb(path)


def write_nwb(
    path, events=EVENTS.T, dff=None, units=(), timing=None, masks="pixel", spacing=1.5e-6,
    conversion=1.0, offset=0.0, empty=False, columns=None, units_in=None, qualities=None,
):  # fmt: skip
    """Write an NWB file with pynwb: ROIs with masks, deconvolved events, dF/F, units."""
    from datetime import UTC, datetime

    from pynwb import NWBHDF5IO, NWBFile
    from pynwb import ophys as o
    from pynwb.misc import Units

    file = NWBFile("a test", "id", datetime(2026, 1, 5, tzinfo=UTC))
    if qualities:
        file.add_unit_column("quality", "by hand")
    for i, times_s in enumerate(units):
        file.add_unit(spike_times=times_s, **({"quality": qualities[i]} if qualities else {}))
    if units_in:
        elsewhere = Units(name="units", description="sorted")
        for times_s in ([0.1, 0.2, 1.4], [0.7]):
            elsewhere.add_unit(spike_times=times_s)
        group, _, module = units_in.partition("/")
        if module:
            file.create_processing_module(module, "sorted").add(elsewhere)
        else:
            getattr(file, f"add_{group}")(elsewhere)
    if not empty:
        channel = o.OpticalChannel("green", "green", 510.0)
        plane = file.create_imaging_plane(
            name="plane", optical_channel=channel, description="tectum", location="tectum",
            device=file.create_device("microscope"), excitation_lambda=920.0, indicator="GCaMP6s",
            grid_spacing=None if spacing is None else [spacing, spacing],
            grid_spacing_unit="meters",
        )  # fmt: skip
        rois = o.PlaneSegmentation("cells", plane)
        images = footprints().toarray().reshape(*DIMS, 4, order="F")
        for i in range(4):
            image = images[..., i].T  # NWB has x first
            mask = o.PlaneSegmentation.image_to_pixel(image) if masks == "pixel" else image
            rois.add_roi(id=10 + i, **{f"{masks}_mask": mask})
        for name, values in (columns or {}).items():
            rois.add_column(name, "by hand", data=np.asarray(values))
        segmentation = o.ImageSegmentation(plane_segmentations=[rois])
        module = file.create_processing_module("ophys", "imaging")
        module.add(segmentation)
        region = rois.create_roi_table_region("all", region=[0, 1, 2, 3])
        timing = timing or {"rate": 30.0}
        module.add(o.Fluorescence(roi_response_series=[o.RoiResponseSeries(
            "Deconvolved", events, "a.u.", region, conversion=conversion, offset=offset, **timing
        )]))  # fmt: skip
        if dff is not None:
            region = rois.create_roi_table_region("all", region=[0, 1, 2, 3])
            module.add(o.DfOverF(roi_response_series=[o.RoiResponseSeries(
                "RoiResponseSeries", dff, "n.a.", region, **timing)]))  # fmt: skip
    with NWBHDF5IO(str(path), "w") as stream:
        stream.write(file)
    return path


class TestFootprints:
    def test_a_volume(self):
        weights = np.zeros((4, 5, 6))
        weights[1, 2, 3], weights[3, 2, 5] = 1.0, 3.0
        matrix = scipy.sparse.csc_array(weights.reshape(-1, 1, order="F"))
        np.testing.assert_allclose(centres_given_footprints(matrix, (4, 5, 6)), [[2, 2.5, 4.5]])

    def test_an_empty_one(self):
        with pytest.raises(ValueError, match="footprint 1 is empty"):
            centres_given_footprints(scipy.sparse.csc_array(np.eye(4, 2) * [1, 0]), (2, 2))
