"""Spikes in compressed rows, and their transposed form."""

import numpy as np

from crbm_lite.core.spikes import as_spikes, frames_given_neuron


def test_frames_given_neuron_transposes_a_batch():
    v = (np.random.default_rng(0).random((20, 9)) < 0.3).astype(np.uint8)
    spikes, frames = as_spikes(v), np.array([2, 3, 11, 19])
    starts, rows = frames_given_neuron(spikes.frame_starts, spikes.neurons, frames, 9)
    for i in range(9):
        np.testing.assert_array_equal(rows[starts[i] : starts[i + 1]], np.flatnonzero(v[frames, i]))
