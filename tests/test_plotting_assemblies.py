"""Figures of assemblies show what they are given."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest

from crbm_lite.dynamics import ward_order
from crbm_lite.plotting_assemblies import assembly_plates, plot_ward


def test_plates_show_each_unit_once():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(30, 6))
    axes = assembly_plates(weights, rng.normal(size=(30, 3)), [5, 1, 2, 0, 3])
    assert [ax.get_title(loc="left") for ax in axes] == [f"HU {k}" for k in (5, 1, 2, 0, 3)]
    shown = axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.sort(shown), np.sort(weights[:, 5]))


def test_ward_raster_and_correlations():
    x = np.random.default_rng(1).normal(size=(40, 5))
    x[:, 4] = np.nan
    axes = plot_ward(x, 2.0)
    order = ward_order(x)[0]
    np.testing.assert_allclose(axes[1].images[0].get_array(), np.nan_to_num(x)[:, order].T)
    kept = np.flatnonzero(order != 4)
    r = np.asarray(axes[2].images[0].get_array())[np.ix_(kept, kept)]
    np.testing.assert_allclose(r, np.corrcoef(x[:, order[kept]].T))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="coordinates is None"):
        assembly_plates(np.eye(3), None, [0])
    with pytest.raises(ValueError, match="units is empty"):
        assembly_plates(np.eye(3), np.eye(3), [])
    with pytest.raises(ValueError, match="activity has shape"):
        plot_ward(np.zeros((5, 1)), 1.0)
