"""Assemblies around a circle: couplings act after their lag, and a forecast has a bound."""

import numpy as np
import pytest

from crbm_lite.simulation.cyclic import simulate_cyclic_assemblies


def assembly_activity(found):
    return np.stack([found.recording.spikes[:, found.assembly == m].mean(1) for m in range(10)], 1)


@pytest.mark.parametrize("lag", [1, 4])
def test_an_assembly_drives_the_next_and_stops_the_one_before_after_the_lag(lag):
    found = simulate_cyclic_assemblies(n_runs=40, lag_frames=lag, random_state=0)
    x = assembly_activity(found).reshape(40, 100, 10)
    x = x - x.mean(axis=(0, 1))
    cov = [np.einsum("rtm,rtn->mn", x[:, k:], x[:, : 100 - k]) / (40 * 100) for k in range(6)]
    onward = [np.roll(np.eye(10), 1, axis=0).ravel() @ c.ravel() for c in cov]
    assert np.argmax(onward) == lag
    assert (onward[lag] > 0.05) and np.roll(np.eye(10), -1, axis=0).ravel() @ cov[lag].ravel() < 0


def test_spikes_follow_the_probabilities_and_the_best_forecast_is_that_of_the_publication():
    found = simulate_cyclic_assemblies(n_runs=100, random_state=1)
    v, p = found.recording.spikes, found.probability
    assert abs(v.mean() - p.mean()) < 4 * np.sqrt((p * (1 - p)).mean() / p.size)
    assert found.best_accuracy == pytest.approx(0.870, abs=0.005)
    assert ((p > 0.5) == v).mean() == pytest.approx(found.best_accuracy, abs=0.001)
    assert len(found.recording.discontinuities) == 99


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_runs": 0}, "n_runs is 0"),
        ({"lag_frames": 0.5}, "lag_frames is 0.5"),
        ({"n_assemblies": 2}, "n_assemblies is 2"),
        ({"max_rate": 0.0}, "max_rate is 0.0"),
    ],
)
def test_impossible_numbers_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        simulate_cyclic_assemblies(**wrong)
