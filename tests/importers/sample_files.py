"""One small file of every format, for the tests that damage them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from crbm_lite import CRBM, save_recording
from crbm_lite.simulation.larva_recording import simulate_recording

T, N = 30, 5
RNG = np.random.default_rng(0)
SPIKES = (RNG.random((T, N)) < 0.3).astype(np.uint8)
EVENTS = SPIKES * RNG.uniform(1, 2, size=(T, N))
ARRAYS = {
    "spikes": SPIKES,
    "coordinates": RNG.uniform(0, 300, size=(N, 3)),
    "labels": np.eye(N, 2, dtype=np.uint8),
    "times_s": np.arange(T) / 2.5,
    "dff": RNG.normal(size=(T, N)).astype(np.float32),
}
KEYS = {key: key for key in ARRAYS}  # all named, so that none may be lost
HALF = {"amplitude_fraction": 0.5}


def write_npz(path):
    np.savez_compressed(path, **ARRAYS)


def write_npy(path):
    np.save(path, SPIKES)


def write_mat5(path):
    scipy.io.savemat(path, ARRAYS, do_compression=True)


OF_CELLS = {"spikes": "units/times", "names": "unit_names", "coordinates": "xyz"}


def write_mat5_cells(path):
    """An array of structs, cells of texts, a sparse matrix, logicals: all that MATLAB nests."""
    units = np.zeros(N, dtype=[("times", "O"), ("id", "O")])
    for i, v in enumerate(SPIKES.T):
        units[i] = np.flatnonzero(v) / 2.5, i
    names = np.array([f"cell {i}" for i in range(N)], dtype=object)
    scipy.io.savemat(path, {
        "units": units, "unit_names": names, "xyz": scipy.sparse.csc_matrix(ARRAYS["coordinates"]),
        "session": {"raster": SPIKES.astype(bool), "note": "by hand",
        "nested": {"deep": np.eye(3)}},
    })  # fmt: skip


def write_mat73(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, values in ARRAYS.items():
            file[key] = values.T
            file[key].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, HDF5 schema 1.00".ljust(124) + b"\x00\x02IM")


def write_csv(path):
    lines = [",".join(["t", *(f"cell {i}" for i in range(N))])]
    lines += [",".join(map(str, (t, *v))) for t, v in zip(ARRAYS["times_s"], SPIKES)]
    path.write_text("\n".join(lines))


def write_spike_times(path):
    frames, neurons = np.nonzero(SPIKES)
    path.write_text("\n".join(f"u{i},{t / 2.5}" for t, i in zip(frames, neurons)))


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        for key, values in ARRAYS.items():
            file[key] = values


def write_published(path):
    larva = simulate_recording(200, 30, n_assemblies=9)
    save_recording(path, larva, layout="published", overwrite=True)


def write_native(path):
    save_recording(path, simulate_recording(200, 30, n_assemblies=9), overwrite=True)


def write_retina(path):
    frames, units = np.nonzero(SPIKES.T)[::-1]
    with h5py.File(path, "w") as file:
        file["spikes"] = frames / 2.5
        file["sCount"] = np.bincount(units, minlength=N)
        file["epos"] = ARRAYS["coordinates"][:, :2].T
        file["names"] = [b"a", b"b", b"c", b"d", b"e"]
        file["summary/duration"] = [T / 2.5]


def write_caiman(path):
    a = scipy.sparse.csc_array(np.kron(np.eye(N), np.ones((4, 1))))
    with h5py.File(path, "w") as file:
        file["estimates/S"] = EVENTS.T
        for name in ("data", "indices", "indptr", "shape"):
            file[f"estimates/A/{name}"] = getattr(a, name)
        file["estimates/idx_components"] = [0, 1, 3]
        file["params/data/fr"], file["params/data/dims"] = 30.0, (4, 5)


def write_suite2p(path):
    path.mkdir(exist_ok=True)
    stat = [{"med": [np.int32(i), 2 * i], "lam": np.ones(3, np.float32)} for i in range(N)]
    np.save(path / "spks.npy", EVENTS.T.astype(np.float32))
    np.save(path / "F.npy", EVENTS.T.astype(np.float32))
    np.save(path / "iscell.npy", np.column_stack([[1, 1, 0, 1, 1], np.full(N, 0.5)]))
    np.save(path / "stat.npy", np.array(stat, dtype=object))
    np.save(path / "ops.npy", {"fs": 10.0, "nplanes": 1, "meanImg": np.zeros((4, 4))})


def write_phy(path):
    path.mkdir(exist_ok=True)
    frames, units = np.nonzero(SPIKES)
    np.save(path / "spike_times.npy", (frames * 12_000 + 5)[:, None].astype(np.uint64))
    np.save(path / "spike_clusters.npy", units.astype(np.int32))
    np.save(path / "channel_map.npy", np.arange(N))
    np.save(path / "channel_positions.npy", ARRAYS["coordinates"][:, :2])
    (path / "params.py").write_text("dat_path = 'raw.bin'\nsample_rate = 30000.\n")
    rows = "".join(f"{i}\t{i}\tgood\n" for i in range(N - 1)) + f"{N - 1}\t0\tnoise\n"
    (path / "cluster_info.tsv").write_text("cluster_id\tch\tgroup\n" + rows)


def write_nwb(path):
    from datetime import UTC, datetime

    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile("a test", "id", datetime(2026, 1, 5, tzinfo=UTC))
    for v in SPIKES.T:
        file.add_unit(spike_times=np.flatnonzero(v) / 2.5)
    with pynwb.NWBHDF5IO(str(path), "w") as stream:
        stream.write(file)


def write_nwb_of_rois(path):
    from datetime import UTC, datetime

    pynwb = pytest.importorskip("pynwb")
    o = pynwb.ophys
    file = pynwb.NWBFile("a test", "id", datetime(2026, 1, 5, tzinfo=UTC))
    plane = file.create_imaging_plane(
        name="plane", optical_channel=o.OpticalChannel("green", "green", 510.0),
        indicator="GCaMP6s",
        device=file.create_device("microscope"), excitation_lambda=920.0, location="tectum",
        description="tectum", grid_spacing=[1e-6, 1e-6], grid_spacing_unit="meters",
    )  # fmt: skip
    rois = o.PlaneSegmentation("cells", plane)
    for i in range(N):
        rois.add_roi(pixel_mask=[(i, 2 * i, 1.0), (i, 2 * i + 1, 0.5)])
    rois.add_column("iscell", "by hand", data=np.array([1, 1, 0, 1, 1]))
    module = file.create_processing_module("ophys", "imaging")
    module.add(o.ImageSegmentation(plane_segmentations=[rois]))
    region = rois.create_roi_table_region("all", region=list(range(N)))
    series = o.RoiResponseSeries("S", EVENTS, "a.u.", region, timestamps=np.arange(T) / 2.5)
    module.add(o.Fluorescence(roi_response_series=[series]))
    with pynwb.NWBHDF5IO(str(path), "w") as stream:
        stream.write(file)


def write_model(path):
    rng = np.random.default_rng(0)
    ones = np.ones(25)
    weights = rng.normal(size=(50, 25))
    CRBM.from_parameters(weights, rng.normal(size=50), ones, ones, 0 * ones, -ones).save(path)


def write_old_model(path):
    """Of version 1: texts of any length, no checksums."""
    path.write_bytes((Path(__file__).parents[1] / "data" / "model_version_1.h5").read_bytes())
