r"""Train/test splits of a recording by whole segments (the paper's Methods).

The recording is cut into S = 10 segments of floor(T / S) frames; the last one takes the rest. Where
time jumps within a quarter of a segment from a border, the border moves there, so that no trial
shorter than half a segment is cut into train and test. Each of the 120 choices of 3 test segments
gets the score

.. math:: \mathrm{RMSE}_i\bigl(\langle v_i\rangle\bigr) \times \mathrm{RMSE}_{i<j}\bigl(
          \langle v_i v_j\rangle - \langle v_i\rangle\langle v_j\rangle\bigr)

of train against test, and the choice of rank 11 (ascending, counted from 0) is taken: neither the
easiest split nor a hard one.

The 120 scores need no N x N array. With :math:`C^s_{ij}` the co-activation counts of segment s,
:math:`a = \langle v\rangle_{test}`, :math:`b = \langle v\rangle_{train}`, and weights
:math:`w_s = 1/T_{test}` or :math:`-1/T_{train}`, the covariances differ by
:math:`\sum_s w_s C^s_{ij} - (a_i a_j - b_i b_j)`. The sum of its squares over all i and j is

.. math:: w^\top G\, w - 2 \sum_s w_s (a^\top C^s a - b^\top C^s b)
          + (a \cdot a)^2 - 2 (a \cdot b)^2 + (b \cdot b)^2,

where :math:`G_{ss'} = \sum_{ij} C^s_{ij} C^{s'}_{ij}
= \sum_{t \in s, t' \in s'} (v_t \cdot v_{t'})^2` is computed once, in integers: from the counts
where they fit into memory, else from overlaps of frames. What is left without i = j, halved, is the
sum over the pairs i < j. All N neurons of a whole brain are used unless you ask for a subsample.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_count, as_generator, is_integer
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.recording import as_recording

__all__ = ["Split", "borders_at_jumps", "split_recording", "split_train_test"]

_ROWS = 64  # frames whose overlaps with all others are in memory at once
_MOST_COUNTS = 2**25  # numbers C_ij of all segments that are in memory at once
_MOST_CHOICES = 100_000


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A train/test split and the ranking that it was chosen from.

    Parameters
    ----------
    train_frames, test_frames : (n,) int64
        Increasing frame indices; together all frames.
    index : int
        Rank of the split taken, from 0.
    test_segments : tuple of int
        The segments that make up the test frames.
    bounds : (S + 1,) int64
        Segment s is the frames bounds[s] to bounds[s + 1] - 1.
    choices : (C, n_test) int64
        All choices of test segments, best score first.
    scores, rmse_mean, rmse_covariance : (C,) float64
        Score of each choice and its two factors, in the order of `choices`.
    neurons : (n,) int64 or None
        The neurons used for the scores; None if all.
    """

    train_frames: np.ndarray
    test_frames: np.ndarray
    index: int
    test_segments: tuple[int, ...]
    bounds: np.ndarray
    choices: np.ndarray
    scores: np.ndarray
    rmse_mean: np.ndarray
    rmse_covariance: np.ndarray
    neurons: np.ndarray | None

    def __repr__(self) -> str:
        used = "all neurons" if self.neurons is None else f"{self.neurons.size} neurons"
        return (
            f"Split(rank {self.index} of {self.scores.size}, test segments "
            f"{self.test_segments}, {self.train_frames.size} train and "
            f"{self.test_frames.size} test frames, scored on {used})"
        )


def split_recording(
    recording: Recording | Spikes | np.ndarray | scipy.sparse.sparray,
    index: int = 11,
    n_segments: int = 10,
    n_test: int = 3,
    n_neurons: int | None = None,
    random_state: int | np.random.Generator = 0,
) -> Split:
    """Rank all choices of test segments and take one (see the module's equations).

    Parameters
    ----------
    recording : Recording or (T, N) spikes in any form that `crbm_lite.core.spikes.as_spikes` takes
    index : int
        Rank of the choice taken, ascending in score, from 0: 11 is the 12th best.
    n_segments, n_test : int
        Number of segments, and how many of them are test frames.
    n_neurons : int, optional
        Score on a random subsample of so many neurons instead of all of them.
    random_state : int or numpy.random.Generator
        For the subsample only.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If the spikes are not binary, there are fewer frames than segments or fewer than two
        neurons, or a number is out of its range.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(100, 3, size_range=(20, 30), n_frames=400, n_unassigned=20)
    >>> split = split_recording(recording)
    >>> split.scores.size, split.train_frames.size, split.test_frames.size
    (120, 280, 120)
    """
    spikes = as_spikes(recording, "recording").to_csr(np.int32)
    n_frames, n_all = spikes.shape
    n_segments = as_count(n_segments, "n_segments", 2)
    if not is_integer(n_test) or not 1 <= n_test < n_segments:
        raise ValueError(
            f"n_test is {n_test} of {n_segments} segments: give 1 to "
            f"{n_segments - 1}, so that train and test both have frames"
        )
    index, n_test = int(index) if is_integer(index) else index, int(n_test)
    n_choices = comb(n_segments, n_test)
    if n_choices > _MOST_CHOICES:
        raise ValueError(
            f"n_segments = {n_segments} and n_test = {n_test} make {n_choices} "
            f"choices: at most {_MOST_CHOICES} can be ranked, use fewer segments"
        )
    if not is_integer(index) or not 0 <= index < n_choices:
        raise ValueError(
            f"index is {index}: there are {n_choices} choices, give 0 to {n_choices - 1}"
        )
    if n_frames < n_segments:
        raise ValueError(
            f"recording has {n_frames} frames for n_segments = {n_segments}: record "
            "longer or use fewer segments"
        )
    neurons = None
    n_neurons = None if n_neurons is None else as_count(n_neurons, "n_neurons", 2)
    if n_neurons is not None and n_neurons < n_all:
        rng = as_generator(random_state)
        neurons = np.sort(rng.choice(n_all, size=n_neurons, replace=False))
        spikes = spikes[:, neurons]
    if spikes.shape[1] < 2:
        raise ValueError(
            f"recording has {spikes.shape[1]} neurons: give two or more, the score needs pairs"
        )

    bounds = np.append(np.arange(n_segments) * (n_frames // n_segments), n_frames)
    bounds = borders_at_jumps(bounds, getattr(recording, "discontinuities", ()))
    choices = np.array(list(combinations(range(n_segments), n_test)))
    is_test = np.zeros((n_choices, n_segments), dtype=bool)
    np.put_along_axis(is_test, choices, True, axis=1)
    rmse_mean, rmse_covariance = _rmse_of_choices(spikes, bounds, is_test)
    scores = rmse_mean * rmse_covariance
    order = np.argsort(scores, kind="stable")
    taken = order[index]
    frame_is_test = np.repeat(is_test[taken], np.diff(bounds))
    return Split(
        train_frames=np.flatnonzero(~frame_is_test),
        test_frames=np.flatnonzero(frame_is_test),
        index=index,
        test_segments=tuple(int(s) for s in choices[taken]),
        bounds=bounds,
        choices=choices[order],
        scores=scores[order],
        rmse_mean=rmse_mean[order],
        rmse_covariance=rmse_covariance[order],
        neurons=neurons,
    )


def split_train_test(
    recording: Recording, split: Split | None = None
) -> tuple[Recording, Recording]:
    """Cut a recording into train and test; time is discontinuous where segments are joined.

    Parameters
    ----------
    recording : Recording
    split : Split, optional
        By default ``split_recording(recording)``.

    Returns
    -------
    train, test : Recording

    Raises
    ------
    ValueError
        If it is no Recording, or the split is of another number of frames.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(100, 3, size_range=(20, 30), n_frames=400, n_unassigned=20)
    >>> train, test = split_train_test(recording)
    >>> train.n_frames, test.n_frames
    (280, 120)
    """
    recording = as_recording(recording)
    if split is None:
        split = split_recording(recording)
    n_frames = split.train_frames.size + split.test_frames.size
    if n_frames != recording.n_frames:
        raise ValueError(
            f"split is of {n_frames} frames, recording has {recording.n_frames}: "
            "give the split of this recording"
        )
    return recording.select_frames(split.train_frames), recording.select_frames(split.test_frames)


def borders_at_jumps(bounds: np.ndarray, discontinuities: np.ndarray) -> np.ndarray:
    """Move borders of segments to where time jumps, if that is near, by the rule of the module.

    Parameters
    ----------
    bounds : (S + 1,) int
        The first frame of each segment, and T.
    discontinuities : (D,) int
        Frames before which time jumps.

    Returns
    -------
    (S + 1,) int64
        A border moves by a quarter of the shortest segment at most.

    Examples
    --------
    >>> borders_at_jumps(np.array([0, 25, 50, 75, 100]), np.array([22, 85])).tolist()
    [0, 22, 50, 75, 100]
    """
    if not len(discontinuities):
        return bounds
    distance = np.abs(bounds[1:-1, None] - discontinuities)
    near = distance.min(axis=1) <= np.diff(bounds).min() // 4
    moved = np.where(near, discontinuities[distance.argmin(axis=1)], bounds[1:-1])
    return np.concatenate([bounds[:1], moved, bounds[-1:]])


def _rmse_of_choices(
    v: scipy.sparse.csr_array, bounds: np.ndarray, is_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """RMSE of means and of covariances, train against test, for each row of is_test (C, S)."""
    n_neurons = v.shape[1]
    segments = [v[start:stop] for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
    counts = np.array([s.sum(axis=0, dtype=np.int64) for s in segments], dtype=np.float64)  # (S, N)
    gram = _gram_of_coactivations(v, bounds)
    # a and b are combinations of the counts, so a.C_s.a is a quadratic form in their coefficients.
    forms = np.array([(s @ counts.T).T @ (s @ counts.T) for s in segments])  # (S, S, S)

    lengths = np.diff(bounds)
    to_a = is_test / (is_test @ lengths)[:, None]
    to_b = ~is_test / (~is_test @ lengths)[:, None]
    a, b, w = to_a @ counts, to_b @ counts, to_a - to_b
    squares = np.einsum("cs,st,ct->c", w, gram, w)
    squares -= 2 * np.einsum("cs,cx,sxy,cy->c", w, to_a, forms, to_a, optimize=True)
    squares += 2 * np.einsum("cs,cx,sxy,cy->c", w, to_b, forms, to_b, optimize=True)
    aa, ab, bb = (np.einsum("ci,ci->c", x, y) for x, y in ((a, a), (a, b), (b, b)))
    squares += aa**2 - 2 * ab**2 + bb**2
    squares -= np.sum((a - b - a**2 + b**2) ** 2, axis=1)  # i = j, where C_s,ii is the count
    n_pairs = n_neurons * (n_neurons - 1) / 2
    rmse_covariance = np.sqrt(np.maximum(squares, 0.0) / 2 / n_pairs)
    return np.sqrt(np.mean((a - b) ** 2, axis=1)), rmse_covariance


def _gram_of_coactivations(v: scipy.sparse.csr_array, bounds: np.ndarray) -> np.ndarray:
    """G of the module's docstring, (S, S) float64 holding exact integers."""
    n_segments = bounds.size - 1
    n_frames, n_neurons = v.shape
    if n_neurons < n_frames and n_segments * n_neurons**2 <= _MOST_COUNTS:
        parts = [v[start:stop] for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
        counts = np.array([(s.T @ s).toarray().ravel() for s in parts], dtype=np.float64)
        return counts @ counts.T
    segment_of_frame = np.repeat(np.arange(n_segments), np.diff(bounds))
    gram = np.zeros((n_segments, n_segments))
    for s in range(n_segments):
        later = v[bounds[s] :].T.tocsr()  # G is symmetric: this segment with itself and later ones
        for start in range(bounds[s], bounds[s + 1], _ROWS):
            overlap = v[start : min(start + _ROWS, bounds[s + 1])] @ later
            gram[s] += np.bincount(
                segment_of_frame[bounds[s] + overlap.indices],
                weights=overlap.data.astype(np.float64) ** 2,
                minlength=n_segments,
            )
    return np.triu(gram) + np.triu(gram, 1).T
