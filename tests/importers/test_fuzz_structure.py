"""Files whose structure is damaged: links, attributes, declared shapes, tags, sizes, opcodes.

As in test_fuzz.py every reader must end, within seconds and little memory, in an error that names
the file or in a valid recording. Thousands of files take minutes: ``make test-slow`` runs them.
Input i of a case is made from the seed (case, i) alone.
"""

import signal
import zlib

import numpy as np
import pytest

from crbm_lite import CRBM, import_recording, load_recording
from tests.importers import sample_files as samples
from tests.importers import structure_damage as damage
from tests.importers.test_fuzz import LIMIT_S, MOST_MB, check_valid, peak_mb, time_limit

ALL = {"keys": samples.KEYS}
# name: how to write it, how to read it, how to damage it, how many
CASES = {
    "mine.h5": (samples.write_hdf5, lambda p: import_recording(p, **ALL), damage.damage_hdf5, 600),
    "mine.mat": (samples.write_mat73, lambda p: import_recording(p, **ALL),
                 damage.damage_hdf5, 500),
    "published.h5": (samples.write_published, import_recording, damage.damage_hdf5, 300),
    "native.h5": (samples.write_native, load_recording, damage.damage_hdf5, 500),
    "retina.h5": (samples.write_retina, import_recording, damage.damage_hdf5, 300),
    "caiman.hdf5": (samples.write_caiman, lambda p: import_recording(p, **samples.HALF),
                    damage.damage_hdf5, 500),
    "mine.nwb": (samples.write_nwb, lambda p: import_recording(p, bin_s=0.4),
                 damage.damage_hdf5, 200),
    "rois.nwb": (samples.write_nwb_of_rois, lambda p: import_recording(p, **samples.HALF),
                 damage.damage_hdf5, 200),
    "model.h5": (samples.write_model, CRBM.load, damage.damage_hdf5, 300),
    "mine.npz": (samples.write_npz, lambda p: import_recording(p, **ALL), damage.damage_npz, 600),
    "5.mat": (samples.write_mat5, lambda p: import_recording(p, **ALL), damage.damage_matlab5, 700),
    "cells.mat": (samples.write_mat5_cells,
                  lambda p: import_recording(p, keys=samples.OF_CELLS, bin_s=0.4),
                  damage.damage_matlab5, 700),
    "suite2p": (samples.write_suite2p, lambda p: import_recording(p, **samples.HALF),
                damage.damage_folder, 500),
    "phy": (samples.write_phy, lambda p: import_recording(p, bin_s=0.4), damage.damage_folder, 400),
    "mine.csv": (samples.write_csv, lambda p: import_recording(p, time_column="t"),
                 damage.damage_text, 400),
    "spikes.csv": (samples.write_spike_times,
                   lambda p: import_recording(p, "spike_times", bin_s=0.4), damage.damage_text,
                   200),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_damaged_structures(case, tmp_path):
    write, read, spoil, count = CASES[case]
    path = tmp_path / case
    write(path)
    whole = {file: file.read_bytes() for file in ([*path.iterdir()] if path.is_dir() else [path])}
    check_valid(read(path))
    peak, n_errors = peak_mb(), 0
    for i in range(count):
        for file, contents in whole.items():
            file.write_bytes(contents)
        spoil(path, np.random.default_rng([zlib.crc32(case.encode()), i]))
        try:
            with time_limit(LIMIT_S):
                result = read(path)
        except ValueError as error:
            n_errors += 1
            assert case in str(error), f"{case} {i}: {error}"
            assert "\n" not in str(error), f"{case} {i}: {error}"
        else:
            check_valid(result)
    assert count // 5 < n_errors < count
    assert peak_mb() - peak < MOST_MB


def test_there_are_four_thousand():
    assert sum(count for *_, count in CASES.values()) >= 4000
