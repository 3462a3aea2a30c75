"""Autocorrelation times against autoregressive chains, and the rounds of a training."""

import numpy as np
import pytest

import crbm_lite as cl
from benchmarks import slow_chains
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.search import run


@pytest.mark.parametrize("memory", [0.0, 0.8, 0.97])
def test_the_time_of_autoregressive_chains(memory):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=300)]
    for _ in range(3000):
        x.append(memory * x[-1] + np.sqrt(1 - memory**2) * rng.normal(size=300))
    found = slow_chains.autocorrelation_time(np.array(x))
    assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.08)


def test_the_last_round_is_the_model(monkeypatch):
    result_of = run.result_of

    CRBM = cl.CRBM
    recording = cl.plant_recording(60, 2, (20, 20), 400, 5, random_state=0)
    train, test = cl.split_train_test(recording)
    monkeypatch.setattr(slow_chains.cl, "CRBM", lambda **_: CRBM(
        n_hidden=3, n_updates=100, n_gibbs=1, progress=False, random_state=0))  # fmt: skip
    model, rounds = slow_chains.trained(train, as_spikes(test))
    assert run.result_of is result_of
    assert [found["verdict"] for found in rounds] == [model.verdict_]  # a number of updates is kept
    assert rounds[0]["n_gibbs"] == 1
    exact = model.score(test) * test.n_neurons
    assert rounds[0]["left_out_nats_per_frame"] == pytest.approx(exact, rel=1e-6)
    assert rounds[0]["activity_data"] == pytest.approx(train.spikes.mean(), rel=1e-6)
