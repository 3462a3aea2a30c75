"""What is exported comes back."""

import csv

import h5py
import numpy as np
import pytest
import scipy.sparse

from crbm_lite.assemblies.export import export_csv, export_hdf5
from crbm_lite.files.csv_cells import text_of_cell

W = np.array([[0.5, -0.0], [-0.25, 1e-6], [0.0, 0.0]], dtype=np.float32)
PLACES = np.arange(9.0).reshape(3, 3)
LABELS = np.array([[1, 1], [0, 1], [0, 0]], dtype=bool)
REGIONS = ["left, upper;tectum", "tectum", ""]
NAMES = ("left, upper", "tectum")
ODD = ("=1+1", "+a", "-1", "@b", "\t=c", "'=d", "''@", "e\rf", "g\nh", '"i"', "µ", "'j", "", "k")


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_comes_back_with_regions(tmp_path):
    path = export_csv(tmp_path / "a.csv", W, PLACES, scipy.sparse.csr_array(LABELS), NAMES)
    rows = rows_of(path)
    assert [row["region"] for row in rows] == REGIONS
    assert [int(row["neuron"]) for row in rows] == [0, 1, 2]
    for name, column in (("y_um", PLACES[:, 1]), ("w0", W[:, 0]), ("w1", W[:, 1])):
        np.testing.assert_allclose([float(row[name]) for row in rows], column, rtol=1e-8)


def test_hdf5_comes_back(tmp_path):
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, PLACES, LABELS, NAMES)) as file:
        np.testing.assert_array_equal(file["weights"], W)
        np.testing.assert_array_equal(file["coordinates"], PLACES)
        assert list(file["region"].asstr()) == REGIONS


def test_without_coordinates_or_labels(tmp_path):
    rows = export_csv(tmp_path / "a.csv", W, None).read_text().splitlines()
    assert rows[1] == "0,,nan,nan,nan,,HU 0 (+),0.5,0"
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, None)) as file:
        assert np.isnan(file["coordinates"]).all() and file["region"].asstr()[0] == ""


def test_the_neurons_keep_their_names_and_the_coordinates_their_unit(tmp_path):
    known = {"names": ["roi 4", "roi 9", "roi 1"], "coordinate_unit": "pixel"}
    rows = rows_of(export_csv(tmp_path / "a.csv", W, PLACES, **known))
    assert [row["name"] for row in rows] == known["names"]
    assert [float(row["z_pixel"]) for row in rows] == PLACES[:, 2].tolist()
    assert not any("um" in column for column in rows[0])
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, PLACES, **known)) as file:
        assert list(file["name"].asstr()) == known["names"]
        assert file["coordinates"].attrs["unit"] == "pixel"
    assert "x_um" in rows_of(export_csv(tmp_path / "a.csv", W, PLACES))[0]


def test_members_exceed_the_threshold_and_all_weights_stay(tmp_path):
    rows = rows_of(export_csv(tmp_path / "a.csv", W, None, threshold=0.3))
    assert [row["assemblies"] for row in rows] == ["HU 0", "", ""]
    assert [float(row["w0"]) for row in rows] == [0.5, -0.25, 0.0]
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, None, threshold=0.3)) as file:
        assert list(file["assemblies"].asstr()) == ["HU 0", "", ""]
    with pytest.raises(ValueError, match="threshold is -1"):
        export_csv(tmp_path / "b.csv", W, None, threshold=-1)
    assert not (tmp_path / "b.csv").exists()


def test_no_name_is_a_formula_and_every_name_comes_back(tmp_path):
    n = len(ODD)
    labels = np.eye(n, dtype=bool)
    labels[0, :] = True
    arguments = (np.ones((n, 1)), None, labels, ODD)
    rows = rows_of(export_csv(tmp_path / "a.csv", *arguments, names=ODD))
    assert [text_of_cell(row["name"]) for row in rows] == list(ODD)
    assert tuple(map(text_of_cell, rows[0]["region"].split(";"))) == ODD
    assert [text_of_cell(row["region"]) for row in rows[1:]] == list(ODD[1:])
    # Where a semicolon separates columns, a program takes each region for a cell.
    cells = [cell for row in rows for cell in (row["name"], *row["region"].split(";"))]
    assert not any(cell.startswith(tuple("=+-@\t\r\n")) for cell in cells)
    with h5py.File(export_hdf5(tmp_path / "a.h5", *arguments, names=ODD)) as file:
        assert tuple(file["name"].asstr()) == ODD
        assert tuple(file["region"].asstr()[0].split(";")) == ODD


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
    for export in (export_csv, export_hdf5):
        path = tmp_path / "a"
        with pytest.raises(ValueError, match="names has 2 entries"):
            export(path, W, PLACES, names=["a", "b"])
        with pytest.raises(ValueError, match="names holds 'a' twice"):
            export(path, W, PLACES, names=["a", "b", "a"])
        for name in ("half \ud83d", "not UTF-8 \udce9", "zero \0"):
            with pytest.raises(ValueError, match=r"^names holds "):
                export(path, W, PLACES, names=["a", name, "b"])
            with pytest.raises(ValueError, match=r"^label_names holds "):
                export(path, W, PLACES, LABELS, ["a", name])
            with pytest.raises(ValueError, match=r"^coordinate_unit holds "):
                export(path, W, PLACES, coordinate_unit=name)
        with pytest.raises(ValueError, match="label_names holds 'a;b'"):
            export(path, W, PLACES, LABELS, ["a;b", "c"])
    assert not list(tmp_path.iterdir())  # what is wrong is known before a file is made
