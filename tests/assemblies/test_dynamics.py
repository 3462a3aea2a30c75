"""Dynamics of hidden units on traces whose answer is known."""

import numpy as np
import pytest

from crbm_lite.assemblies.dynamics import (
    compare_time_constants,
    hidden_states,
    n_active,
    principal_variance,
    time_constants_s,
    ward_clusters,
    ward_order,
)

SQUARE = np.tile(np.repeat([0, 1], [6, 4]), 20)


def test_transition_point_and_states_of_a_noisy_square_wave():
    noise = np.random.default_rng(0).normal(0, 0.1, SQUARE.size)
    states = hidden_states(np.c_[3 * SQUARE - 1 + noise, np.ones(SQUARE.size)])
    assert states.transition_point[0] == pytest.approx(0.5, abs=0.05)
    assert states.inactive_peak[0] == pytest.approx(-1, abs=0.05)
    assert np.array_equal(states.active[:, 0], SQUARE == 1)
    assert np.isnan(states.transition_point[1]) and not states.active[:, 1].any()


def test_n_active_counts_equal_deviations_and_is_nan_at_rest():
    h = np.array([[2, 2, 2, 0], [0, 0, 0, 0], [1, 0, 0, 0]]) - 1.0
    np.testing.assert_allclose(n_active(h, np.full(4, -1.0)), [3, np.nan, 1])


def test_ward_puts_copies_side_by_side():
    x, y = np.random.default_rng(1).normal(size=(2, 100))
    order, tree = ward_order(np.c_[x, y, x, y, np.zeros(100)])
    place = np.argsort(order)
    assert abs(place[0] - place[2]) == 1 and abs(place[1] - place[3]) == 1
    assert tree.shape == (4, 4)


def test_clusters_are_the_groups_of_copies_numbered_along_the_leaves():
    source = np.random.default_rng(2).normal(size=(60, 3))
    group = np.array([2, 0, 1, 0, 2, 1, 0])
    order, tree = ward_order(source[:, group])
    cluster = ward_clusters(tree, 3)
    assert len(np.unique(cluster)) == 3
    assert all(len(set(cluster[group == g])) == 1 for g in range(3))
    assert np.array_equal(cluster[order], np.sort(cluster))
    with pytest.raises(ValueError, match="n_clusters is 8"):
        ward_clusters(tree, 8)


def test_principal_variance_of_orthogonal_columns():
    x = np.array([[2, 1], [2, -1], [-2, 1], [-2, -1.0]])
    np.testing.assert_allclose(principal_variance(x), [0.8, 1])
    assert np.isnan(principal_variance(np.ones((3, 2)))).all()


def test_period_of_a_square_wave_and_of_cut_ones():
    active = np.c_[SQUARE, 1 - SQUARE, np.zeros_like(SQUARE)]
    np.testing.assert_allclose(time_constants_s(active, 2.0), [5, 5, np.nan])
    short = np.array([0, 1, 0, 0, 0, 1, 0])[:, None]
    assert time_constants_s(short, 1.0)[0] == 4
    assert np.isnan(time_constants_s(short, 1.0, [4])[0])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="activity has shape"):
        ward_order(np.zeros((10, 1)))
    with pytest.raises(ValueError, match="rate_hz"):
        time_constants_s(np.zeros((4, 1)), 0)
    with pytest.raises(ValueError, match="NaN"):
        hidden_states(np.array([[0.0], [np.nan]]))
    with pytest.raises(ValueError, match="activity holds infinity"):
        principal_variance(np.full((4, 2), np.inf))
    with pytest.raises(ValueError, match="inactive_peak has shape"):
        n_active(np.zeros((4, 2)), np.zeros(3))
    for beyond in ([0], [9], [1.5]):
        with pytest.raises(ValueError, match="discontinuities"):
            time_constants_s(np.zeros((4, 1)), 1.0, beyond)


def test_cuts_count_in_any_order_and_a_unit_that_only_rounds_never_switches():
    twice = np.tile(SQUARE, 2)[:, None]
    cuts = [len(SQUARE), 3]
    np.testing.assert_array_equal(
        time_constants_s(twice, 1.0, cuts), time_constants_s(twice, 1.0, sorted(cuts))
    )
    jitter = 0.3 + 1e-8 * np.arange(40.0)[:, None]
    assert np.isnan(hidden_states(jitter).transition_point).all()
    assert not hidden_states(jitter).active.any()


def test_mann_whitney_of_separated_groups_is_exact_and_nan_without_numbers():
    slow, fast, p = compare_time_constants([5, 6, 7, np.nan], [1, 2, 3])
    assert (slow, fast) == (6, 2)
    assert p == pytest.approx(2 / 20)  # 2 of the 20 ways to choose 3 of 6 ranks
    assert np.isnan(compare_time_constants([np.nan], [1.0])[2])
