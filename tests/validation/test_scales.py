"""Sizes and time scales of a model's assemblies on a machine where both are known."""

import math

import numpy as np
import pytest

from crbm_lite import CRBM, Recording
from crbm_lite.validation.scales import model_scales


@pytest.fixture
def model():
    weights = np.zeros((6, 3))
    weights[:2, 0] = 3.0
    weights[2:6, 1] = 3.0
    weights[0, 1] = 0.005  # below the threshold of the second test
    return CRBM.from_parameters(weights, -np.ones(6), *np.ones((2, 3)), *np.zeros((2, 3)))


def recording(**options):
    t = np.arange(120)
    slow, fast = t % 20 < 10, t % 6 < 3
    return Recording(np.column_stack([slow] * 2 + [fast] * 4).astype(np.uint8), 2.0, **options)


def test_median_over_the_units_that_have_weights(model):
    found = model_scales(model, recording())
    assert found.n_assemblies == 2
    assert found.size == np.median([2, 5])
    assert found.time_scale_s == np.median([20 / 2.0, 6 / 2.0])


def test_threshold_leaves_small_weights_out(model):
    assert model_scales(model, recording(), 0.01).size == np.median([2, 4])


def test_periods_cut_by_discontinuities_do_not_count(model):
    cuts = np.arange(10, 120, 10)  # no period of 20 frames is left whole
    assert model_scales(model, recording(discontinuities=cuts)).time_scale_s == 3.0


def test_a_model_without_weights():
    empty = CRBM.from_parameters(np.zeros((6, 2)), -np.ones(6), *np.ones((2, 2)), *np.zeros((2, 2)))
    found = model_scales(empty, recording())
    assert found.n_assemblies == 0
    assert math.isnan(found.size)
    assert math.isnan(found.time_scale_s)


def test_a_negative_threshold_is_an_error(model):
    with pytest.raises(ValueError, match="threshold is -1: give a number of 0 or more"):
        model_scales(model, recording(), -1)
