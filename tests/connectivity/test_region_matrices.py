"""Region matrices by name: lists of pairs, other orders, regions missing on either side."""

import numpy as np
import pytest

from crbm_lite.connectivity.region_matrices import as_squares, matrix_given_pairs, matrix_in_order
from crbm_lite.connectivity.region_statistics import compare, conservation
from crbm_lite.connectivity.regions import region_connectivity, region_given_neuron
from crbm_lite.connectivity.structure import average_connectivity

NAMES = ("tectum", "cerebellum", "habenula", "pretectum")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def symmetric(rng, n):
    matrix = np.exp(rng.normal(size=(n, n)))
    return matrix + matrix.T


def test_a_list_of_pairs_in_any_order_is_the_matrix(rng):
    whole = symmetric(rng, 4)
    rows, columns = np.triu_indices(4)
    order = rng.permutation(rows.size)
    flip = rng.random(rows.size) < 0.5
    first = [NAMES[c if f else r] for r, c, f in zip(rows[order], columns[order], flip)]
    second = [NAMES[r if f else c] for r, c, f in zip(rows[order], columns[order], flip)]
    values = whole[rows, columns][order]
    found, names = matrix_given_pairs(first, second, values, NAMES)
    np.testing.assert_array_equal(found, whole)
    assert names == NAMES
    found, names = matrix_given_pairs(first, second, values)
    np.testing.assert_array_equal(matrix_in_order(found, names, NAMES), whole)
    kept = order[:-3]
    part, _ = matrix_given_pairs(first[:-3], second[:-3], values[:-3], NAMES)
    expected = np.full((4, 4), np.nan)
    expected[rows[kept], columns[kept]] = expected[columns[kept], rows[kept]] = values[:-3]
    np.testing.assert_array_equal(part, expected)


def test_regions_missing_on_either_side_are_nan_and_left_out(rng):
    structural = symmetric(rng, 4)
    functional = structural[np.ix_([3, 0, 2], [3, 0, 2])] + 1  # no cerebellum, another order
    names = (NAMES[3], NAMES[0], NAMES[2])
    joined = matrix_in_order(functional, names, NAMES)
    assert np.isnan(joined[1]).all() and np.isnan(joined[:, 1]).all()
    assert joined[0, 3] == functional[1, 0]
    fit = compare(joined, structural)
    assert (fit.n_connected, round(fit.spearman_r, 12)) == (6, 1)
    other = matrix_in_order(structural, NAMES, (*names, "hindbrain"))
    assert np.isnan(other[3]).all()
    np.testing.assert_allclose(other[:3, :3], functional - 1)


def test_both_ways_of_missing_in_the_average(rng):
    stack = np.array([symmetric(rng, 3) for _ in range(2)])
    stack[0, 2] = stack[0, :, 2] = np.nan
    n, t = np.array([[10, 20, 0], [30, 5, 7]]), np.array([100, 300])
    weight = t[:, None, None] * (n[:, :, None] + n[:, None, :])
    both = (weight * np.nan_to_num(stack)).sum(axis=0) / weight.sum(axis=0)
    np.testing.assert_allclose(average_connectivity(stack, n, t, missing="zero"), both)
    skipped = average_connectivity(stack, n, t)
    np.testing.assert_allclose(skipped[:2, :2], both[:2, :2])
    np.testing.assert_allclose(skipped[2], stack[1, 2])


def test_asymmetric_or_infinite_matrices_are_refused(rng):
    good, lopsided = symmetric(rng, 4), rng.random((4, 4))
    with pytest.raises(ValueError, match=r"matrices\[1\] is not symmetric"):
        conservation([good, lopsided])
    assert conservation([good, good * (1 + 1e-9 * lopsided)]).mean() == pytest.approx(1)
    with pytest.raises(ValueError, match="matrices holds infinity"):
        conservation([good, np.full((4, 4), np.inf)])
    with pytest.raises(ValueError, match="matrices holds infinity"):
        average_connectivity([good, np.full((4, 4), np.inf)], np.ones((2, 4)))
    with pytest.raises(ValueError, match="no numbers"):
        as_squares([[["a"]]], "matrices")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((["a"], ["b", "c"], [1.0]), "^first has 1"),
        (([], [], []), "^first has 0"),
        ((["a"], ["b"], ["x"]), "^values"),
        ((["a"], ["b"], [np.inf]), "^values"),
        ((["a"], ["b"], [1.0], ["a"]), "^names lacks b"),
        ((["a"], ["b"], [1.0], ["a", "b", "a"]), "^names holds 'a' twice"),
        (
            (["a", "b"], ["b", "a"], [1.0, 2.0]),
            "^values holds 1 and 2 for b and a",
        ),
    ],
)
def test_a_list_that_is_no_list_of_pairs_is_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        matrix_given_pairs(*arguments)
    assert matrix_given_pairs(["a", "b"], ["b", "a"], [1.0, 1.0])[0][0, 1] == 1


@pytest.mark.parametrize(
    ("names", "wanted", "named"),
    [
        (["a"], ["a"], "^names has 1"),
        (["a", "a"], ["a"], "^names holds 'a' twice"),
        (["a", "b"], ["a", "a"], "^wanted holds 'a' twice"),
        (["a", "b"], ["c"], "^wanted has no region of names"),
    ],
)
def test_names_that_do_not_fit_are_named(names, wanted, named):
    with pytest.raises(ValueError, match=named):
        matrix_in_order(np.eye(2), names, wanted)


@pytest.mark.parametrize("labels", [np.eye(4) / 2, -np.eye(4), np.eye(4) * np.nan, [["a"]] * 4])
def test_membership_is_0_or_1(labels):
    with pytest.raises(ValueError, match="0 and 1"):
        region_given_neuron(labels)


def test_identifiers_of_an_atlas_are_no_rows_of_a_matrix():
    with pytest.raises(ValueError, match="region 614454277"):
        region_given_neuron([0, 614454277])


@pytest.mark.parametrize("option", ["min_neurons", "n_regions"])
@pytest.mark.parametrize("value", [2.5, "a"])
def test_options_are_whole_numbers(option, value):
    with pytest.raises(ValueError, match=f"{option} is"):
        region_connectivity(np.eye(4), np.ones(4), [0, 0, 1, 1], **{option: value})
    with pytest.raises(ValueError, match="real numbers"):
        region_connectivity(np.eye(4) * 1j, np.ones(4), [0, 0, 1, 1])
