"""The partition function: all states are all, and annealing agrees with their sum."""

import numpy as np
import pytest

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.partition import all_states, log_partition_ais


def test_all_states_are_all_states():
    states = all_states(6)
    assert len(states) == 64 == len(np.unique(states, axis=0))
    with pytest.raises(ValueError, match=r'n_neurons is 23: .*"ais"'):
        all_states(23)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ais_agrees_with_the_sum_over_all_states(seed):
    rng = np.random.default_rng(seed)
    weights, fields = rng.normal(size=(10, 3)), rng.normal(-0.5, 0.5, 10)
    units = DReLU([1.5, 1.0, 0.7], [1.0, 2.0, 3.0], [-1.5, 0.8, 0.1], [1.0, -0.6, 0.3])
    v = all_states(10)
    exact = np.logaddexp.reduce(v @ fields + units.cumulant(v @ weights).sum(axis=1))
    options = {"n_chains": 400, "n_temperatures": 300}
    estimate, error = log_partition_ais(
        weights, fields, units, np.random.default_rng(seed), **options
    )
    assert 0 < error < 0.2
    assert abs(estimate - exact) < 5 * error
    again = log_partition_ais(weights, fields, units, np.random.default_rng(seed), **options)
    assert again == (estimate, error)
    start = np.logaddexp(0, fields).sum() + units.cumulant(np.zeros(3)).sum()
    assert abs(start - exact) > 10 * error  # an estimate that never left its start would show
