"""What is exported comes back."""

import csv

import h5py
import numpy as np
import pytest
import scipy.sparse

from crbm_lite.assemblies.export import export_csv, export_hdf5

W = np.array([[0.5, -0.0], [-0.25, 1e-6], [0.0, 0.0]], dtype=np.float32)
PLACES = np.arange(9.0).reshape(3, 3)
LABELS = np.array([[1, 1], [0, 1], [0, 0]], dtype=bool)
REGIONS = ["left, upper;tectum", "tectum", ""]
NAMES = ("left, upper", "tectum")


def test_csv_comes_back_with_regions(tmp_path):
    path = export_csv(tmp_path / "a.csv", W, PLACES, scipy.sparse.csr_array(LABELS), NAMES)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["region"] for row in rows] == REGIONS
    assert [int(row["neuron"]) for row in rows] == [0, 1, 2]
    for name, column in (("y_um", PLACES[:, 1]), ("w0", W[:, 0]), ("w1", W[:, 1])):
        np.testing.assert_allclose([float(row[name]) for row in rows], column, rtol=1e-8)


def test_hdf5_comes_back(tmp_path):
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, PLACES, LABELS, NAMES)) as file:
        np.testing.assert_array_equal(file["weights"], W)
        np.testing.assert_array_equal(file["coordinates_um"], PLACES)
        assert list(file["region"].asstr()) == REGIONS


def test_without_coordinates_or_labels(tmp_path):
    rows = export_csv(tmp_path / "a.csv", W, None).read_text().splitlines()
    assert rows[1] == "0,nan,nan,nan,,0.5,0"
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, None)) as file:
        assert np.isnan(file["coordinates_um"]).all() and file["region"].asstr()[0] == ""


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match="coordinates has shape"):
        export_csv(tmp_path / "a.csv", W, PLACES[:2])
    with pytest.raises(ValueError, match="labels has shape"):
        export_csv(tmp_path / "a.csv", W, PLACES, LABELS[:2])
    with pytest.raises(ValueError, match="label_names has 1"):
        export_csv(tmp_path / "a.csv", W, PLACES, LABELS, ["one"])
    with pytest.raises(ValueError, match="labels has shape"):
        export_csv(tmp_path / "a.csv", W, PLACES, np.ones(len(W)))
    with pytest.raises(ValueError, match="weights holds NaN"):
        export_hdf5(tmp_path / "a.h5", np.full(W.shape, np.nan), PLACES)
    assert not list(tmp_path.iterdir())  # what is wrong is known before a file is made
