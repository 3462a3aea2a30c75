"""Spikes: every form is understood, transposed, hashed and multiplied as it should be."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.core import spikes as spikes_module
from crbm_lite.core.spikes import SpikesError, as_spikes, frames_given_neuron, spikes_given_bits


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


@pytest.mark.parametrize("n_neurons", [1, 7, 8, 13, 400])
def test_bits_are_read_as_the_matrix_that_they_pack(n_neurons, monkeypatch):
    monkeypatch.setattr(spikes_module, "_TILE", 3 * n_neurons)  # three frames at a time
    v = np.random.default_rng(n_neurons).random((20, n_neurons)) < 0.3
    spikes = spikes_given_bits(np.packbits(v, axis=1), n_neurons)
    np.testing.assert_array_equal(spikes.dense(), v)
    assert spikes.sha256() == as_spikes(v).sha256()


@pytest.mark.parametrize("packed", [True, False])
def test_a_mapped_recording_never_takes_more_than_its_spikes(tmp_path, packed):
    shape, activity = (4000, 8000), 0.04
    v = np.random.default_rng(0).random(shape, dtype=np.float32) < activity
    np.save(tmp_path / "v.npy", np.packbits(v, axis=1) if packed else v)
    n_bytes_of_bits, n_spikes = v.size / 8, np.count_nonzero(v)
    del v
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    tracemalloc.start()
    spikes = spikes_given_bits(mapped, shape[1]) if packed else as_spikes(mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(spikes.neurons) == n_spikes
    assert spikes.neurons.nbytes < 1.3 * n_bytes_of_bits  # at an activity of 4 %
    assert peak < spikes.neurons.nbytes + 12e6  # what some frames take on the way


@pytest.mark.parametrize(
    ("bits", "n_neurons", "message"),
    [
        (np.zeros((3, 2), np.uint8), 17, "n_neurons is 17: give a number .* 9 to 16"),
        (np.zeros((3, 2), np.uint8), 8, "n_neurons is 8: give"),
        (np.zeros((3, 2), np.uint8), None, "n_neurons is None: give"),
        (np.zeros((3, 2), bool), 16, "dtype bool: give .* uint8"),
        (np.zeros(3, np.uint8), 8, r"bits has shape \(3,\)"),
        (np.full((3, 2), 255, np.uint8), 12, "bits has spikes beyond neuron 11: give a larger"),
    ],
)
def test_bits_of_another_recording_are_refused(bits, n_neurons, message):
    with pytest.raises(SpikesError, match=message):
        spikes_given_bits(bits, n_neurons)
