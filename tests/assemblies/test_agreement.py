"""Scores of detected assemblies on cases made by hand, and the chance level by enumeration."""

from itertools import combinations

import numpy as np
import pytest

from crbm_lite.assemblies.agreement import (
    agreement,
    best_match,
    best_match_by_chance,
    mean_shared,
    shared_members,
)


def sets(n, *members):
    out = np.zeros((n, len(members)), dtype=bool)
    for k, own in enumerate(members):
        out[list(own), k] = True
    return out


TRUTH = sets(20, range(6), range(6, 12), range(10, 16))


def test_shared_members_by_hand():
    shared = shared_members(sets(20, range(3, 9)), TRUTH)
    np.testing.assert_allclose(shared, [[3 / 9, 3 / 9, 0.0]])
    with pytest.raises(ValueError, match="first has 19 cells, second 20"):
        shared_members(np.zeros((19, 1), bool), TRUTH)


def test_best_match_by_hand():
    detected = sets(20, range(6), range(6, 10))
    # d of the detected: 0 and 1/3; of the true: 0, 1/3, and 9/10 to cells 6..9, 1 to 0..5 -> 1
    assert best_match(detected, TRUTH) == pytest.approx(1 - (1 / 3 + 1 / 3 + 1) / 5)
    assert best_match(TRUTH, TRUTH[:, ::-1]) == 1.0
    assert np.isnan(best_match(TRUTH[:, :0], TRUTH))


def test_the_chance_level_is_the_mean_over_all_sets_of_these_sizes():
    n, sizes, others = 5, (2, 3), (2, 1)
    drawn = [list(combinations(range(n), k)) for k in (*sizes, *others)]
    total = [
        best_match(sets(n, a, b), sets(n, c, d))
        for a in drawn[0] for b in drawn[1] for c in drawn[2] for d in drawn[3]
    ]  # fmt: skip
    assert best_match_by_chance(sizes, others, n) == pytest.approx(np.mean(total))


def test_the_chance_level_is_that_of_many_draws():
    rng = np.random.default_rng(0)
    sizes, others = (10, 15, 20), (12, 12, 18, 18, 30)

    def draw(k):
        return sets(100, *(rng.permutation(100)[:s] for s in k))

    drawn = [best_match(draw(sizes), draw(others)) for _ in range(400)]
    error = np.std(drawn) / 20
    assert abs(best_match_by_chance(sizes, others, 100) - np.mean(drawn)) < 4 * error
    assert np.isnan(best_match_by_chance([], others, 100))
    with pytest.raises(ValueError, match="larger than 10"):
        best_match_by_chance([11], [2], 10)


def test_the_same_assemblies_in_another_order():
    states = np.random.default_rng(0).random((50, 3)) < 0.3
    found = agreement(TRUTH[:, [2, 0, 1]], TRUTH, 3.0 * states[:, [2, 0, 1]] + 1, states)
    assert (found.n_found, found.n_split, found.n_merged, found.n_false) == (3, 0, 0, 0)
    assert found.precision == found.recall == found.best_match == 1.0
    assert found.activity_r == pytest.approx(1.0)
    assert 0 < found.by_chance < 0.4


def test_a_split_assembly():
    found = agreement(sets(20, range(2), range(2, 4), range(4, 6)), TRUTH)
    assert (found.n_found, found.n_split, found.n_merged, found.n_false) == (0, 1, 0, 0)
    assert (found.precision, found.recall) == (1.0, pytest.approx(1 / 3))
    # one half that is large enough finds it, and then it is not split
    assert agreement(sets(20, range(4), range(4, 6)), TRUTH).n_split == 0


def test_a_merged_assembly():
    found = agreement(sets(20, [*range(4), *range(6, 10), *range(12, 16)]), TRUTH)
    assert (found.n_found, found.n_split, found.n_merged, found.n_false) == (0, 0, 1, 0)


def test_a_false_assembly_and_a_good_one():
    found = agreement(sets(20, [0, 6, 16, 17, 18], range(5)), TRUTH)
    assert (found.n_found, found.n_merged, found.n_false) == (1, 0, 1)
    assert found.n_detected == 2 and found.n_true == 3


def test_assemblies_without_members_do_not_count_and_nothing_is_nothing():
    empty = np.zeros((20, 2), dtype=bool)
    found = agreement(empty, TRUTH, np.zeros((5, 2)), np.ones((5, 3)))
    assert found.n_detected == found.n_found == found.n_false == 0
    assert np.isnan([found.precision, found.best_match, found.by_chance]).all()
    assert found.activity_r == 0.0
    with pytest.raises(ValueError, match="truth has no assembly"):
        agreement(TRUTH, empty)


def test_stability_counts_what_the_larger_set_has_too_much():
    assert mean_shared(TRUTH, TRUTH[:, ::-1]) == 1.0
    assert mean_shared(TRUTH, TRUTH[:, :2]) == pytest.approx(2 / 3)
    assert mean_shared(TRUTH, TRUTH[:, :0]) == 0.0
    assert np.isnan(mean_shared(TRUTH[:, :0], TRUTH[:, :0]))
