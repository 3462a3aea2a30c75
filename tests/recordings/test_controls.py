"""The controls keep what they promise to keep, and destroy the rest."""

import numpy as np
import pytest

from crbm_lite.recordings.controls import independent_frames, shift_time
from crbm_lite.recordings.recording import Recording


@pytest.fixture(scope="module")
def v():
    rng = np.random.default_rng(0)
    state = np.repeat(rng.random((100, 1)) < 0.3, 20, axis=0)
    return (rng.random((2000, 12)) < np.where(state, 0.6, 0.05)).astype(np.uint8)


def off_diagonal(v):
    return np.corrcoef(v.T)[np.triu_indices(v.shape[1], 1)]


def test_independent_frames_have_the_rates_and_no_correlation():
    activity = np.linspace(0.02, 0.6, 30)
    frames = independent_frames(activity, 40_000, random_state=1).toarray()
    sd = np.sqrt(activity * (1 - activity) / 40_000)
    assert (np.abs(frames.mean(axis=0) - activity) < 5 * sd).all()
    assert np.abs(off_diagonal(frames)).max() < 0.03


def test_independent_frames_are_made_in_chunks_without_repeating_them(monkeypatch):
    monkeypatch.setattr("crbm_lite.recordings.controls._CHUNK_BYTES", 8 * 50 * 7)
    frames = independent_frames(np.full(50, 0.5), 20, random_state=0).toarray()
    assert frames.shape == (20, 50)
    assert len(np.unique(frames, axis=0)) == 20


def test_shifted_neurons_keep_their_own_course(v):
    shifted = shift_time(v, random_state=0).toarray()
    offsets = set()
    for i in range(v.shape[1]):
        same = [k for k in range(len(v)) if (np.roll(v[:, i], k) == shifted[:, i]).all()]
        assert len(same) == 1
        offsets.add(same[0])
    assert len(offsets) > 8


def test_each_stretch_is_shifted_on_its_own(v):
    parts = [slice(0, 600), slice(600, 601), slice(601, 2000)]
    recording = Recording(v, 2.5, discontinuities=[600, 601])
    shifted = shift_time(recording, random_state=0).toarray()
    for part in parts:
        for i in range(v.shape[1]):
            turned = (np.roll(v[part, i], k) for k in range(part.stop - part.start))
            assert any((x == shifted[part, i]).all() for x in turned)
    whole = shift_time(v, random_state=0, discontinuities=[600, 601]).toarray()
    np.testing.assert_array_equal(whole, shifted)
    assert (shifted[601:] != v[601:]).any(axis=0).all()
    assert abs(off_diagonal(shifted[601:]).mean()) < 0.06


def test_shifted_neurons_share_nothing(v):
    assert off_diagonal(v).min() > 0.2
    assert abs(off_diagonal(shift_time(v, random_state=0).toarray()).mean()) < 0.05


def test_the_same_seed_gives_the_same_and_another_another(v):
    first, again, other = (shift_time(v, seed).toarray() for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_bad_input_is_named(v):
    with pytest.raises(ValueError, match="activity"):
        independent_frames([0.2, 1.2], 3)
    with pytest.raises(ValueError, match="n_frames is 0"):
        independent_frames([0.2], 0)
    with pytest.raises(ValueError, match="v holds 2, and"):
        shift_time(v * 2)
