"""What a reader must not open, wait for, follow or inflate: pipes, links, archives that lie."""

import os
import re
import signal
import tracemalloc
import zipfile
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from crbm_lite import import_recording, load_recording
from crbm_lite.importers.any_file import FORMATS
from crbm_lite.importers.numpy_file import import_numpy
from crbm_lite.recordings.files import RecordingError
from tests.importers import sample_files as samples

OPTIONS = {
    "spike_times": {"bin_s": 0.4}, "nwb": {"bin_s": 0.4}, "phy": {"bin_s": 0.4},
    "suite2p": samples.HALF, "caiman": samples.HALF, "csv": {"time_column": "t"},
}  # fmt: skip


@contextmanager
def at_most(seconds):
    def stop(*_):
        raise AssertionError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@needs_pipes
@pytest.mark.parametrize("format", [None, "crbm_lite", *FORMATS])
@pytest.mark.parametrize("ending", ["", ".npy", ".mat", ".csv", ".h5", ".nwb"])
def test_a_named_pipe_is_not_waited_for(format, ending, tmp_path):
    path = tmp_path / f"pipe{ending}"
    os.mkfifo(path)
    with at_most(10), pytest.raises(RecordingError, match="pipe"):
        import_recording(path, format, **OPTIONS.get(format, {}))
    if format is None:
        with at_most(10), pytest.raises(RecordingError, match="pipe"):
            load_recording(path)


@needs_pipes
@pytest.mark.parametrize(
    ("format", "name"),
    [
        *[("suite2p", f"{x}.npy") for x in ("spks", "iscell", "ops", "stat")],
        *[("phy", x) for x in ("spike_times.npy", "spike_clusters.npy", "params.py",
                               "cluster_info.tsv", "channel_map.npy", "channel_positions.npy")],
    ],
)  # fmt: skip
def test_no_pipe_in_a_folder_is_waited_for(format, name, tmp_path):
    path = tmp_path / "folder"
    getattr(samples, f"write_{format}")(path)
    import_recording(path, **OPTIONS[format])
    (path / name).unlink()
    os.mkfifo(path / name)
    with at_most(10), pytest.raises(RecordingError, match=name):
        import_recording(path, **OPTIONS[format])


LINKED = {
    "hdf5": (samples.write_hdf5, "spikes"),
    "hdf5 times": (samples.write_hdf5, "times_s"),
    "matlab": (samples.write_mat73, "spikes"),
    "published": (samples.write_published, "Data/Brain/Labels"),
    "published group": (samples.write_published, "Data/Brain"),
    "crbm_lite": (samples.write_native, "spikes"),
    "crbm_lite truth": (samples.write_native, "truth"),
    "retinal_waves": (samples.write_retina, "sCount"),
    "retinal_waves names": (samples.write_retina, "names"),
    "caiman": (samples.write_caiman, "estimates/S"),
    "caiman group": (samples.write_caiman, "estimates"),
    "caiman footprints": (samples.write_caiman, "estimates/A"),
    "caiman accepted": (samples.write_caiman, "estimates/idx_components"),
    "nwb": (samples.write_nwb, "units/spike_times"),
    "nwb group": (samples.write_nwb, "units"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", LINKED)
@pytest.mark.parametrize("to", ["file", "pipe", "nowhere"])
def test_no_link_leads_out_of_a_file(case, to, tmp_path):
    """The other file holds the very thing, so that following the link would go unnoticed."""
    if to == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    write, key = LINKED[case]
    format = case.partition(" ")[0]
    path, other = tmp_path / "mine.h5", tmp_path / "other.h5"
    write(path)
    options = OPTIONS.get(format, {})
    import_recording(path, format, **options)
    if to == "file":
        write(other)
    elif to == "pipe":
        os.mkfifo(other)
    with h5py.File(path, "r+") as file:
        del file[key]
        file[key] = h5py.ExternalLink("other.h5", key)
    with at_most(10), pytest.raises(RecordingError, match=r"mine\.h5"):
        import_recording(path, format, **options)
    if format in ("published", "crbm_lite"):
        with at_most(10), pytest.raises(RecordingError, match=r"mine\.h5"):
            load_recording(path)


def write_zip(path, shape, n_bytes, how=zipfile.ZIP_DEFLATED):
    with (
        zipfile.ZipFile(path, "w", how) as archive,
        archive.open("spikes.npy", "w", force_zip64=True) as stream,
    ):
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for _ in range(n_bytes // 10**6):
            stream.write(bytes(10**6))
        stream.write(bytes(n_bytes % 10**6))


def peak_of(call):
    tracemalloc.start()
    try:
        with pytest.raises(RecordingError) as caught:
            call()
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("shape", "n_bytes", "how", "message"),
    [
        ((200_000, 1000), 200 * 10**6, zipfile.ZIP_DEFLATED, r"spikes asks for 0\.2 GB and holds"),
        ((2_000_000, 1000), 10**6, zipfile.ZIP_DEFLATED, "2,000,000,000 bytes declared"),
        ((10**9, 10**9), 10**3, zipfile.ZIP_STORED, "bytes declared"),
        ((-5, 10), 10**3, zipfile.ZIP_STORED, "spikes"),
        ((50_000, 1000), 50 * 10**6, zipfile.ZIP_BZIP2, "in a way that NumPy does not use"),
        ((50_000, 1000), 50 * 10**6, zipfile.ZIP_LZMA, "in a way that NumPy does not use"),
    ],
)  # fmt: skip
def test_an_archive_that_lies_asks_for_nothing(shape, n_bytes, how, message, tmp_path):
    path = tmp_path / "mine.npz"
    write_zip(path, shape, n_bytes, how)
    text, peak = peak_of(lambda: import_numpy(path, rate_hz=1.0))
    assert re.search(message, text), text
    assert peak < 20e6


def test_an_archive_is_inflated_once(tmp_path):
    rng = np.random.default_rng(0)
    spikes = (rng.random((20_000, 1500)) < 0.01).astype(np.uint8)
    np.savez_compressed(tmp_path / "mine.npz", spikes=spikes)
    tracemalloc.start()
    try:
        import_numpy(tmp_path / "mine.npz", rate_hz=1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.6 * spikes.nbytes
