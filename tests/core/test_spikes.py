"""Spikes: every form is understood, transposed, hashed and multiplied as it should be."""

import numpy as np
import scipy.sparse

from crbm_lite.core import spikes as spikes_module
from crbm_lite.core.spikes import as_spikes, frames_given_neuron


def test_inputs_of_frames_are_sums_in_the_order_of_the_neurons():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((500, 300)).astype(np.float32)  # rows of W in three tiles
    assert 2 * (spikes_module._CACHED_ENTRIES // 300) < 500
    v = rng.random((150, 500)) < rng.choice([0.0, 0.02, 0.5], 150)[:, None]
    frames = rng.permutation(150)[: 2 * spikes_module._FRAMES_PER_GROUP + 7]
    expected = np.zeros((len(frames), 300))
    for row, t in enumerate(frames):
        for i in np.flatnonzero(v[t]):
            expected[row] += weights[i]
    inputs = as_spikes(v.astype(np.uint8)).inputs(weights, frames)
    np.testing.assert_array_equal(inputs, expected)


def test_frames_given_neuron_transposes_a_batch():
    v = (np.random.default_rng(0).random((20, 9)) < 0.3).astype(np.uint8)
    spikes, frames = as_spikes(v), np.array([2, 3, 11, 19])
    starts, rows = frames_given_neuron(spikes.frame_starts, spikes.neurons, frames, 9)
    for i in range(9):
        np.testing.assert_array_equal(rows[starts[i] : starts[i + 1]], np.flatnonzero(v[frames, i]))


def test_stored_zeros_and_unsorted_sparse_columns_are_understood():
    v = scipy.sparse.csr_array(
        (np.array([1, 0, 1, 1]), np.array([3, 1, 0, 2]), np.array([0, 3, 4])), shape=(2, 4)
    )
    before = v.indices.copy()
    np.testing.assert_array_equal(as_spikes(v).dense(), [[1, 0, 0, 1], [0, 0, 1, 0]])
    np.testing.assert_array_equal(v.indices, before)


def test_the_hash_is_that_of_the_matrix_and_not_of_its_form():
    v = (np.random.default_rng(0).random((20, 9)) < 0.3).astype(np.uint8)
    known = as_spikes(v).sha256()
    for form in (v.astype(bool), v.astype(float), scipy.sparse.csc_array(v), as_spikes(v)):
        assert as_spikes(form).sha256() == known
    flipped = v.copy()
    flipped[3, 2] ^= 1
    silent_neuron, silent_frame = np.pad(v, ((0, 0), (0, 1))), np.pad(v, ((0, 1), (0, 0)))
    for other in (flipped, v[::-1], silent_neuron, silent_frame):
        assert as_spikes(other).sha256() != known
