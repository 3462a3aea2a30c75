"""Validation blocks: which frames they take, and the gain against its definition."""

import numpy as np
import pytest

from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.search.validation_blocks import standard_error, validation_blocks

RNG = np.random.default_rng(0)
V = (RNG.random((400, 4)) < 0.3).astype(np.uint8)


def model(weights, fields):
    m = np.shape(weights)[1]
    potential = np.array([[1.0], [1.0], [0.0], [0.0]]) * np.ones(m)
    return TrainedParameters(
        np.asarray(weights, np.float32), np.asarray(fields, float), potential, np.zeros(m)
    )


def test_every_frame_is_either_trained_on_or_in_one_block():
    numbered = np.zeros((403, 403), np.uint8)
    np.fill_diagonal(numbered, 1)  # frame t has the spike of neuron t
    blocks = validation_blocks(as_spikes(numbered))
    trained = blocks.training.neurons.tolist()
    kept = [block.neurons.tolist() for block in blocks.blocks]
    assert sorted([*trained, *(t for block in kept for t in block)]) == list(range(403))
    assert len(kept) == 8 and {len(k) for k in kept} <= {10, 11}
    assert all(np.diff(k).tolist() == [1] * (len(k) - 1) for k in kept)  # whole stretches of time


def test_the_gain_is_that_of_the_definition():
    """For quadratic units P(v_i = 1 | others) = sigma(g_i + w_i^2 / 2 + w_i sum_j w_j v_j)."""
    w, g = np.array([1.0, -0.5, 0.8, 0.0]), np.array([-1.0, -0.4, -1.2, -0.6])
    blocks = validation_blocks(as_spikes(V))
    found = blocks.gain(model(w[:, None], g))
    n = blocks.training.n_frames
    p_alone = (blocks.training.dense().sum(axis=0) + 0.5) / (n + 1)
    for block, gain in zip(blocks.blocks, found, strict=True):
        v, total = block.dense().astype(float), 0.0
        for row in v:
            for i in range(4):
                others = (w * row).sum() - w[i] * row[i]
                p = 1 / (1 + np.exp(-(g[i] + w[i] ** 2 / 2 + w[i] * others)))
                total += np.log(p if row[i] else 1 - p)
                total -= np.log(p_alone[i] if row[i] else 1 - p_alone[i])
        assert gain == pytest.approx(total / len(v), abs=1e-6)


def test_independent_neurons_gain_nothing():
    blocks = validation_blocks(as_spikes(V))
    p = (blocks.training.dense().sum(axis=0) + 0.5) / (blocks.training.n_frames + 1)
    gain = blocks.gain(model(np.zeros((4, 2)), np.log(p / (1 - p))))
    np.testing.assert_allclose(gain, 0.0, atol=1e-9)


def test_some_neurons_stand_for_many():
    """Of 4,000 neurons that are all alike, 2,000 are asked, and the gain is that of all."""
    v = np.repeat(V[:, :1], 4000, axis=1)
    blocks = validation_blocks(as_spikes(v))
    assert len(blocks.neurons) == 2000
    p = (v[:, 0].mean() * 320 + 0.5) / 321
    fields = np.full(4000, np.log(p / (1 - p)) + 0.1)
    few = validation_blocks(as_spikes(v[:, :100]))
    all_gain = blocks.gain(model(np.zeros((4000, 1)), fields))
    few_gain = few.gain(model(np.zeros((100, 1)), fields[:100]))
    np.testing.assert_allclose(all_gain / 4000, few_gain / 100, rtol=1e-9)


def test_an_infinite_block_has_no_finite_error():
    assert standard_error(np.array([1.0, -np.inf])) == np.inf
    assert standard_error(np.array([2.0])) == np.inf
