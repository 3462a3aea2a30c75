"""Assemblies that share most of their members."""

import numpy as np

from crbm_lite.assemblies.similar import similar_assemblies


def members(*assemblies, n=40):
    return np.stack([np.isin(np.arange(n), x) * 1.0 for x in assemblies], axis=1)


def test_half_of_the_members_is_not_most_of_them():
    assert similar_assemblies(members(range(15), range(5, 20))) == []  # 10 of 20
    assert similar_assemblies(members(range(16), range(5, 20))) == [("HU 0", "HU 1", 11, 20)]


def test_the_sides_of_a_unit_are_assemblies_of_their_own():
    weights = members(range(10), range(9))
    weights[20:30, 0], weights[20:29, 1] = -0.9, 0.8
    assert [x[:2] for x in similar_assemblies(weights)] == []
    weights = members(range(10), range(9))
    weights[20:30, 0] = -0.9
    assert similar_assemblies(weights) == [("HU 0 (+)", "HU 1", 9, 10)]
    assert similar_assemblies(np.zeros((5, 3))) == []


def test_most_alike_come_first():
    pairs = similar_assemblies(members(*[range(k, 20 + k) for k in range(5)]))
    assert len(pairs) == 10 and pairs[0][2:] == (19, 21) and pairs[-1][2:] == (16, 24)
    assert [pair.n_in_both / pair.n_in_either for pair in pairs] == sorted(
        (pair.n_in_both / pair.n_in_either for pair in pairs), reverse=True
    )


def test_small_weights_make_no_members_above_a_threshold():
    weights = members(range(28), range(2, 30))
    assert len(similar_assemblies(weights)) == 1
    weights[10:, 1] *= 0.05
    assert similar_assemblies(weights, 0.1) == []
