"""Train/test splits: the 120 scores against brute force, and the convention of segments."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.splits import split_recording, split_train_test
from crbm_lite.simulation.planted import plant_recording

RECORDING = plant_recording(60, 4, size_range=(10, 20), n_frames=437, n_unassigned=5)


def brute_force(spikes, n_segments, n_test):
    """Score every choice with float matrices, straight from the definition."""
    n_frames, n_neurons = spikes.shape
    length = n_frames // n_segments
    segments = [np.arange(s * length, (s + 1) * length) for s in range(n_segments - 1)]
    segments.append(np.arange((n_segments - 1) * length, n_frames))
    pairs = np.triu_indices(n_neurons, 1)
    scores = {}
    for choice in combinations(range(n_segments), n_test):
        test = np.concatenate([segments[s] for s in choice])
        train = np.setdiff1d(np.arange(n_frames), test)
        means, covariances = [], []
        for v in (spikes[train].astype(float), spikes[test].astype(float)):
            means.append(v.mean(axis=0))
            covariances.append((v.T @ v / len(v) - np.outer(means[-1], means[-1]))[pairs])
        scores[choice] = (
            np.sqrt(np.mean((means[0] - means[1]) ** 2)),
            np.sqrt(np.mean((covariances[0] - covariances[1]) ** 2)),
        )
    return scores


@pytest.mark.parametrize("most_counts", [0, 2**25])  # from overlaps of frames, and from counts
@pytest.mark.parametrize(("n_segments", "n_test"), [(10, 3), (7, 2), (4, 1), (3, 2)])
def test_scores_equal_brute_force(n_segments, n_test, most_counts, monkeypatch):
    monkeypatch.setattr("crbm_lite.recordings.splits._MOST_COUNTS", most_counts)
    split = split_recording(RECORDING, 0, n_segments, n_test)
    expected = brute_force(RECORDING.spikes, n_segments, n_test)
    assert {tuple(c) for c in split.choices} == set(expected)
    for choice, mean, covariance, score in zip(
        split.choices, split.rmse_mean, split.rmse_covariance, split.scores, strict=True
    ):
        assert (mean, covariance) == pytest.approx(expected[tuple(choice)], rel=1e-9)
        assert score == pytest.approx(mean * covariance, rel=1e-12)
    assert np.all(np.diff(split.scores) >= 0)


def test_the_twelfth_best_of_120_is_taken():
    split = split_recording(RECORDING)
    expected = brute_force(RECORDING.spikes, 10, 3)
    ranked = sorted(expected, key=lambda choice: np.prod(expected[choice]))
    assert len(ranked) == split.scores.size == 120
    assert split.index == 11
    assert split.test_segments == ranked[11]
    assert tuple(split.choices[11]) == ranked[11]


def test_segments_have_floor_t_over_10_frames_and_the_last_takes_the_rest():
    split = split_recording(RECORDING)
    np.testing.assert_array_equal(np.diff(split.bounds), [43] * 9 + [50])
    expected = [t for s in split.test_segments for t in range(split.bounds[s], split.bounds[s + 1])]
    np.testing.assert_array_equal(split.test_frames, expected)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([split.train_frames, split.test_frames])), np.arange(437)
    )


def test_trials_are_not_cut_into_train_and_test():
    trials = np.arange(19, 437, 19)  # shorter than half of the 43 frames of a segment
    split = split_recording(replace(RECORDING, discontinuities=trials))
    assert set(split.bounds[1:-1]) <= set(trials)
    assert (np.abs(split.bounds[:-1] - 43 * np.arange(10)) <= 10).all()
    for start in [0, *trials]:
        inside = np.isin(np.arange(start, min(start + 19, 437)), split.test_frames)
        assert inside.all() or not inside.any()
    far = split_recording(replace(RECORDING, discontinuities=[11, 96, 160]))
    np.testing.assert_array_equal(far.bounds, [0, 43, 96, 129, 172, 215, 258, 301, 344, 387, 437])


def test_every_form_of_spikes_gives_the_same_split():
    expected = split_recording(RECORDING)
    for spikes in (
        RECORDING.spikes,
        RECORDING.spikes.astype(bool),
        RECORDING.spikes.astype(float),
        scipy.sparse.csr_array(RECORDING.spikes),
    ):
        split = split_recording(spikes)
        np.testing.assert_array_equal(split.scores, expected.scores)
        np.testing.assert_array_equal(split.test_frames, expected.test_frames)


def test_a_subsample_of_neurons_is_stated_and_scored():
    split = split_recording(RECORDING, n_neurons=15, random_state=3)
    assert split.neurons.size == np.unique(split.neurons).size == 15
    expected = brute_force(RECORDING.spikes[:, split.neurons], 10, 3)
    np.testing.assert_allclose(
        split.scores, [np.prod(expected[tuple(c)]) for c in split.choices], rtol=1e-9
    )
    again = split_recording(RECORDING, n_neurons=15, random_state=3)
    np.testing.assert_array_equal(split.neurons, again.neurons)
    assert split_recording(RECORDING, n_neurons=10_000).neurons is None


def test_identical_segments_score_zero_without_nan():
    spikes = np.tile(RECORDING.spikes[:40], (10, 1))
    scores = split_recording(spikes).scores
    np.testing.assert_allclose(scores, 0, atol=1e-12)


def test_train_and_test_remember_where_segments_are_joined():
    recording = RECORDING.select_frames(slice(None))
    split = split_recording(recording)
    train, test = split_train_test(recording, split)
    np.testing.assert_array_equal(test.spikes, recording.spikes[split.test_frames])
    np.testing.assert_array_equal(train.truth.states, recording.truth.states[split.train_frames])
    for part, frames in ((train, split.train_frames), (test, split.test_frames)):
        np.testing.assert_array_equal(part.discontinuities, np.flatnonzero(np.diff(frames) > 1) + 1)
    again, _ = split_train_test(recording)
    np.testing.assert_array_equal(again.spikes, train.spikes)


SPIKES = RECORDING.spikes
BAD = {
    "too few frames": ((SPIKES[:9],), {}, "9 frames for n_segments = 10"),
    "one neuron": ((SPIKES[:, :1],), {}, "recording has 1 neurons: give two"),
    "subsample of one": ((SPIKES,), {"n_neurons": 1}, "n_neurons is 1: give an integer of 2"),
    "no test segment": ((SPIKES,), {"n_test": 0}, "n_test is 0"),
    "no train segment": ((SPIKES,), {"n_test": 10}, "n_test is 10"),
    "rank": ((SPIKES,), {"index": 120}, "index is 120"),
    "negative rank": ((SPIKES,), {"index": -1}, "index is -1"),
    "too many choices": ((SPIKES,), {"n_segments": 60, "n_test": 30}, "choices: at most"),
    "counts": ((SPIKES * 2,), {}, "recording holds 2, and"),
    "NaN": ((np.full((20, 3), np.nan),), {}, "NaN"),
    "empty": ((SPIKES[:0],), {}, "empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    args, kwargs, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        split_recording(*args, **kwargs)


def test_a_split_of_another_recording():
    with pytest.raises(ValueError, match="split is of 437 frames, recording has 400"):
        split_train_test(Recording(SPIKES[:400], 2.5), split_recording(RECORDING))
