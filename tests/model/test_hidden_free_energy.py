"""log P(h): by quadrature it is normalised with the Z of P(v), and is P(v, h) summed over v."""

import numpy as np
import pytest

from crbm_lite.core.partition import all_states
from crbm_lite.model.model import CRBM


@pytest.fixture
def model():
    rng = np.random.default_rng(4)
    return CRBM.from_parameters(
        rng.normal(0, 0.6, (10, 2)), rng.normal(-1, 0.5, 10), [1.2, 0.9], [0.7, 2.0], [-0.8, 0.5],
        [0.6, -0.4],
    )  # fmt: skip


def test_it_is_normalised_with_the_same_partition_function(model):
    x = np.linspace(-16, 16, 1601)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    total = np.exp(-model.hidden_free_energy(grid) - model.log_partition()).sum()
    assert total * (x[1] - x[0]) ** 2 == pytest.approx(1.0, abs=1e-4)


def test_it_is_the_joint_energy_summed_over_all_spikes(model):
    states = all_states(10)
    for h in np.random.default_rng(0).normal(size=(5, 2)):
        joint = model.energy(states, np.tile(h, (len(states), 1)))
        expected = -np.logaddexp.reduce(-joint)
        assert model.hidden_free_energy(h[None])[0] == pytest.approx(expected, abs=1e-9)


def test_other_units_are_refused(model):
    with pytest.raises(ValueError, match="one column per hidden unit"):
        model.hidden_free_energy(np.zeros((4, 3)))
