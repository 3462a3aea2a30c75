"""Stratified batches: every frame once, unbiased averages, and less collective noise."""

import numpy as np
import pytest

from crbm_lite.batches import StratifiedFrames


@pytest.fixture
def n_spikes():
    return np.random.default_rng(1).poisson(5, 203) ** 2


def test_one_pass_uses_every_frame_once_but_the_remainder(n_spikes):
    frames = StratifiedFrames(n_spikes, 20, np.random.default_rng(0))
    used = np.concatenate([frames.next_batch() for _ in range(10)])
    assert len(np.unique(used)) == 200


def test_the_remainder_differs_from_pass_to_pass(n_spikes):
    frames = StratifiedFrames(n_spikes, 20, np.random.default_rng(0))
    count = np.zeros(203)
    for _ in range(10 * 100):
        count[frames.next_batch()] += 1
    # left out in 3 of 203 passes each: 100 passes, mean 98.5, sd 1.2
    assert count.min() > 91
    assert count.max() <= 100


def test_batches_share_the_collective_activity(n_spikes):
    frames = StratifiedFrames(n_spikes, 20, np.random.default_rng(0))
    means = [n_spikes[frames.next_batch()].mean() for _ in range(200)]
    random_sd = n_spikes.std() / np.sqrt(20)
    assert np.std(means) < 0.3 * random_sd
    assert np.mean(means) == pytest.approx(n_spikes.mean(), abs=0.1 * random_sd)


def test_spread_takes_one_frame_of_each_stratum():
    n_spikes = np.arange(100)
    chosen = StratifiedFrames(n_spikes, 10, np.random.default_rng(3)).spread(20)
    assert np.array_equal(np.sort(chosen) // 5, np.arange(20))
    assert not np.array_equal(np.sort(chosen), chosen)


def test_spread_and_batches_of_few_frames():
    frames = StratifiedFrames(np.array([3, 1, 2]), 10, np.random.default_rng(3))
    assert np.array_equal(frames.next_batch(), [0, 1, 2])
    assert np.array_equal(np.bincount(frames.spread(9)), [3, 3, 3])
