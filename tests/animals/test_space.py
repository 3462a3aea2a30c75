"""The operator over space: a formula, its limits, and what it says of maps."""

import numpy as np
import pytest

from crbm_lite.animals.space import chosen_width_um, interpolation, map_scale, reach, spacing_um


@pytest.fixture
def places():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 100, (300, 3)), rng.uniform(0, 100, (80, 3))


def dense(from_um, to_um, sigma_um, leave_out_self=False):
    distance = np.linalg.norm(to_um[:, None] - from_um, axis=2)
    kernel = np.where(distance <= 3 * sigma_um, np.exp(-0.5 * (distance / sigma_um) ** 2), 0.0)
    if leave_out_self:
        np.fill_diagonal(kernel, 0.0)
    total = kernel.sum(axis=1, keepdims=True)
    return np.divide(kernel, total, out=np.zeros_like(kernel), where=total > 0)


def test_it_is_the_normalised_kernel_of_the_module(places):
    found = interpolation(*places, 8.0)
    np.testing.assert_allclose(found.toarray(), dense(*places, 8.0), atol=1e-12)
    one = places[0]
    found = interpolation(one, one, 8.0, leave_out_self=True)
    np.testing.assert_allclose(found.toarray(), dense(one, one, 8.0, True), atol=1e-12)


def test_it_has_64_neighbours_at_most_however_wide_it_is(places):
    found = interpolation(*places, 1000.0)
    assert np.diff(found.indptr).max() == 64
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_to_the_same_places_a_narrow_kernel_changes_nothing(places):
    found = interpolation(places[0], places[0], 1e-3)
    np.testing.assert_array_equal(found.toarray(), np.eye(300))


def test_out_of_reach_there_is_nothing(places):
    found = interpolation(places[0], places[1] + 1e4, 8.0)
    assert found.nnz == 0
    assert (reach(np.ones((300, 2)), places[0], places[1] + 1e4, 8.0) == 0).all()
    assert (reach(np.ones((300, 2)), places[0], places[0], 8.0) == 1).all()


def test_the_scale_is_the_least_squares_factor_of_what_neighbours_predict(places):
    rng = np.random.default_rng(1)
    smooth = np.exp(-((places[0] - 50) ** 2).sum(axis=1) / 2 / 30**2)
    weights = np.stack([smooth + 0.1 * rng.normal(size=300), rng.normal(size=300)], axis=1)
    found = map_scale(weights, places[0], 10.0)
    around = dense(places[0], places[0], 10.0, True) @ weights
    for mu in range(2):
        grid = np.linspace(0, 1, 1001)
        losses = [np.sum((b * around[:, mu] - weights[:, mu]) ** 2) for b in grid]
        assert found[mu] == pytest.approx(grid[np.argmin(losses)], abs=1e-3)
    assert found[0] > 0.9 and found[1] < 0.5


def test_the_width_is_of_the_spacing_and_wider_for_noisier_maps(places):
    rng = np.random.default_rng(1)
    smooth = np.exp(-((places[0] - 50) ** 2).sum(axis=1, keepdims=True) / 2 / 30**2)
    widths = [
        chosen_width_um(smooth + s * rng.normal(size=smooth.shape), places[0]) for s in (0, 0.5)
    ]
    assert widths[0] < widths[1]
    assert widths[0] / spacing_um(places[0]) in (0.5, 1.0, 2.0, 4.0)


def test_what_is_no_map_is_refused(places):
    with pytest.raises(ValueError, match="all zero"):
        chosen_width_um(np.zeros((300, 2)), places[0])
    with pytest.raises(ValueError, match="one place"):
        chosen_width_um(np.ones((300, 2)), np.zeros((300, 3)))
    with pytest.raises(ValueError, match="two or more"):
        spacing_um(np.zeros((1, 3)))
