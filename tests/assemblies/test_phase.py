"""The phase of hidden activity whose composition is known."""

import numpy as np
import pytest

from crbm_lite.assemblies.dynamics import n_active
from crbm_lite.assemblies.phase import phase_given_active

M, T = 60, 400


def phase_of(deviation):
    return phase_given_active(n_active(deviation, np.zeros(M)), M)


def test_one_few_and_all_units_are_told_apart():
    rng = np.random.default_rng(0)
    rank = rng.random((T, M)).argsort(axis=1)
    assert phase_of(1.0 * (rank < 1)).name == "ferromagnetic"
    few = phase_of(1.0 * (rank < 6))
    assert few.name == "compositional" and few.median_active == pytest.approx(6)
    assert few.median_fraction == pytest.approx(0.1)
    assert phase_of(np.ones((T, M))).name == "spin glass"


def test_gaussian_noise_alone_gives_a_third_and_is_no_composition():
    noise = phase_of(np.random.default_rng(1).normal(size=(T, M)))
    assert noise.median_fraction == pytest.approx(1 / 3, abs=0.05)
    assert noise.name == "spin glass"


def test_undetermined_without_numbers_or_with_few_units():
    assert phase_given_active(np.full(5, np.nan), M).name == "undetermined"
    assert phase_given_active(np.ones(5), 4).name == "undetermined"
    with pytest.raises(ValueError, match="n_hidden is 3"):
        phase_given_active(np.array([5.0]), 3)


@pytest.mark.parametrize(
    ("active", "n_hidden", "named"),
    [
        ([-1.0], M, "^active holds -1"),
        (np.ones((3, 3)), M, "^active has shape"),
        (["a"], M, "^active has shape"),
        ([1.0], None, "^n_hidden is None"),
        ([1.0], 20.5, "^n_hidden is 20.5"),
        ([1.0], 0, "^n_hidden is 0"),
    ],
)
def test_what_is_no_number_of_active_units_is_named(active, n_hidden, named):
    with pytest.raises(ValueError, match=named):
        phase_given_active(active, n_hidden)
