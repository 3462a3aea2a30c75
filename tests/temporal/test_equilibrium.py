"""Means under a drive, by importance weights, Gibbs chains and annealing, against enumeration."""

import numpy as np
import pytest
from scipy.special import logsumexp

from crbm_lite import CRBM
from crbm_lite.temporal.annealing import annealed_log_ratio
from crbm_lite.temporal.chains import DrivenChains
from crbm_lite.temporal.equilibrium import draw_equilibrium, tilt
from tests.temporal.sequences import STATES, log_weights_of_states, parameters

DRIVE = np.array([[0.0, 0.0], [0.5, -0.3], [-0.8, 0.6], [1.0, 1.0]])


@pytest.fixture(scope="module")
def exact():
    """The model, log Z(c)/Z(0) (T,), and the probabilities of all states under every drive."""
    p = parameters()
    model = CRBM.from_parameters(p["weights"], p["fields"], *p["potential"])
    log_weight = log_weights_of_states(p, DRIVE)
    log_z = logsumexp(log_weight, axis=1)
    return model, log_z - log_z[0], np.exp(log_weight - log_z[:, None])


@pytest.fixture(scope="module")
def sample(exact):
    return draw_equilibrium(exact[0], 60_000, random_state=1)


def mean_h(model, probability):
    h = model.units.mean(STATES @ model.weights_ + DRIVE[:, None, :])
    return np.einsum("ts,tsm->tm", probability, h)


def test_importance_weights_give_the_ratio_of_partition_functions(exact, sample):
    model, log_ratio, probability = exact
    found = tilt(DRIVE, sample.h)
    error = np.sqrt((1 / found.effective_share - 1) / len(sample))
    assert found.effective_share[0] == pytest.approx(1) and found.effective_share[1:].max() < 0.9
    assert (abs(found.log_ratio - log_ratio) < 4 * error + 1e-12).all()
    counts = np.sqrt(found.effective_share * len(sample))[:, None]  # 4 standard errors below
    off_h = found.weights @ sample.h - mean_h(model, probability)
    assert (np.abs(off_h) * counts < 4 * sample.h.std(axis=0)).all()
    off_v = found.weights @ sample.spikes() - probability @ STATES
    assert (np.abs(off_v) * counts < 4 * 0.5).all()


def test_chains_reach_the_driven_distribution(exact):
    model, _, probability = exact
    n = 20_000
    for t, drive in enumerate(DRIVE):
        chains = DrivenChains(
            model.weights_, model.fields_, model.units, np.tile(drive, (n, 1)),
            np.zeros((n, 6)), seed=t,
        )  # fmt: skip
        chains.step(40)
        np.testing.assert_allclose(
            chains.spikes().mean(axis=0), probability[t] @ STATES, atol=4 * 0.5 / np.sqrt(n)
        )
        inputs = chains.spikes() @ model.weights_ + drive
        np.testing.assert_allclose(chains.inputs(), inputs, atol=1e-5)


def test_annealing_brackets_the_ratio(exact, sample):
    model, _, _ = exact
    rng = np.random.default_rng(0)
    drive = 3.0 * np.repeat(DRIVE, 200, axis=0)
    p = parameters()
    log_z = logsumexp(log_weights_of_states(p, 3.0 * DRIVE), axis=1)
    wanted = log_z - logsumexp(log_weights_of_states(p, DRIVE[:1]), axis=1)
    assert tilt(drive, sample.h).effective_share.min() < 0.05
    forward, backward = annealed_log_ratio(model, drive, sample, rng, n_temperatures=100)
    middle = (0.5 * (forward + backward)).reshape(4, 200).mean(axis=1)
    np.testing.assert_allclose(middle, wanted, atol=0.05)
    assert 0.0 < (backward - forward).mean() < 0.1
