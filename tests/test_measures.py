"""Columns that are constant: rounding of their mean is no variance, wherever columns are scaled."""

import numpy as np
import pytest

from crbm_lite import CRBM
from crbm_lite.animals.scores import nrmse_of_entries
from crbm_lite.assemblies.dynamics import principal_variance, ward_order
from crbm_lite.inspection.advice import correlation_frames
from crbm_lite.measures import centred_columns, correlations_of_columns
from crbm_lite.plotting.dynamics import plot_density

CONSTANTS = np.full((300, 3), [0.1, 0.7, 0.123456])
RNG = np.random.default_rng(0)
MOVING = RNG.normal(size=(300, 2))


def test_the_constants_are_such_whose_mean_is_inexact():
    assert (CONSTANTS - CONSTANTS.mean(axis=0)).any(axis=0).sum() >= 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, bool])
def test_columns_are_centred_and_constant_ones_are_zero(dtype):
    x = np.c_[CONSTANTS, MOVING].astype(dtype)
    found = centred_columns(x)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[:, :3], 0.0)
    np.testing.assert_array_equal(found[:, 3:], x[:, 3:] - x[:, 3:].mean(axis=0, dtype=np.float64))
    assert np.isnan(centred_columns(np.array([[np.nan], [1.0]]))).all()


def test_a_constant_column_correlates_with_nothing():
    found = correlations_of_columns(np.c_[CONSTANTS, MOVING])
    np.testing.assert_array_equal(found[:3], 0.0)
    np.testing.assert_allclose(found[3:, 3:], np.corrcoef(MOVING.T), atol=1e-12)
    np.testing.assert_array_equal(correlations_of_columns(MOVING, CONSTANTS), 0.0)


def test_units_without_weights_are_at_distance_one_of_all_others():
    ones = np.ones(8)
    weights = np.c_[np.eye(6, 2), np.zeros((6, 6))]
    model = CRBM.from_parameters(weights, -np.ones(6), ones, ones, 0.1 * np.arange(8), 0 * ones)
    h = model.mean_h_given_v(RNG.random((301, 6)) < 0.3)
    assert (h[:, 2:] - h[:, 2:].mean(axis=0)).any(axis=0).sum() >= 2
    tree = ward_order(h)[1]
    assert tree[:, 2].min() > 0.9  # by rounding, such units lay at distance 0 of each other


def test_what_does_not_vary_has_no_components_and_no_memory():
    assert np.isnan(principal_variance(CONSTANTS)).all()
    np.testing.assert_allclose(
        principal_variance(np.c_[CONSTANTS, MOVING])[:2],
        principal_variance(MOVING), rtol=1e-12,
    )  # fmt: skip
    for x in CONSTANTS.T:
        assert correlation_frames(x) == 1.0


def test_entries_that_are_one_number_have_no_scale():
    assert np.isnan(nrmse_of_entries(CONSTANTS[:, 0], CONSTANTS[:, 0]))
    assert nrmse_of_entries(CONSTANTS[:, 0], CONSTANTS[:, 1]) == pytest.approx(1.0)


def test_a_unit_that_never_moves_is_not_in_the_density():
    drawn = [plot_density(x).patches for x in (np.c_[CONSTANTS, MOVING], MOVING)]
    heights = [[bar.get_height() for bar in bars] for bars in drawn]
    np.testing.assert_array_equal(*heights)
