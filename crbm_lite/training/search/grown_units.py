r"""Assemblies that are grown from single neurons, each step on frames that the last did not see.

A principal component must stand above the noise of all neurons, so small assemblies of rarely
active neurons stay below it however long they are active. Once a few members are known, though, the
sum of their spikes tells the others. An assembly is grown so:

1. A seed is one neuron. The course of a group is the weighted sum of its standardised spikes,
   smoothed in time, since assemblies outlast a frame.
2. The covariances of all neurons with the course are divided by their spread over neurons (median
   absolute deviation). Those above a threshold, which rises from step to step, are the next group,
   weighted by it. What a neuron shares with itself is taken out of its covariance.
3. Steps take turns between two halves of the frames. A chance covariance of one half is not there
   in the other, so noise does not grow (cross-fitting, as in Chernozhukov et al. 2018).

A group that is alike in both halves is kept. Its members are no seeds any more.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from crbm_lite.core.spikes import Spikes, tiles

__all__ = ["grown_courses"]

_WINDOWS = (9, 3, 1)  # frames that are averaged over
_THRESHOLDS = (2.0, 2.0, 2.5, 2.5, 3.0, 3.0, 3.0, 3.0)  # in standard deviations, half by half
_LAST_THRESHOLDS = (3.0, 3.5, 4.0)  # with all frames
_N_BLOCKS = 20  # of frames, for the two halves in turns
_LEAST_ALIKE = 0.25  # cosine of a group's weights in the two halves; by chance it is less
_SAME = 0.5  # cosine of the weights of two groups, from which they are one
_LEAST_MEMBERS = 5
_SEEDS_AT_ONCE = 256  # at most, and
_SIZE_AT_ONCE = 20_000_000  # neurons times seeds
_N_FOR_SPREAD = 500  # neurons that the spread of covariances is taken from
_MOST_WORK = 10_000_000_000  # spikes times seeds


class _Frames:
    """Some frames, in which groups have courses, and neurons covariances with courses."""

    def __init__(self, spikes: Spikes, window: int) -> None:
        self._spikes, self._by_neuron, self._window = spikes, spikes.by_neuron(), window
        p, n_frames, self.n_neurons = spikes.activity(), spikes.n_frames, spikes.n_neurons
        sd = np.sqrt(np.maximum(p * (1.0 - p), 3.0 / n_frames))
        self._inverse_sd = (1.0 / sd).astype(np.float32)
        self._with_itself = (self._n_near_pairs() / (window * n_frames) - p**2) / sd**2
        active = np.flatnonzero(p > 0)
        self._for_spread = active[:: max(len(active) // _N_FOR_SPREAD, 1)]

    def _n_near_pairs(self) -> np.ndarray:
        """Count the pairs of a neuron's own spikes (N,), each with itself too, within a window."""
        starts, frames = self._by_neuron.neuron_starts, self._by_neuron.frames
        neuron = np.repeat(np.arange(self.n_neurons), np.diff(starts))
        n_pairs = np.diff(starts)
        for later in range(1, self._window // 2 + 1):
            is_near = frames[later:] - frames[:-later] <= self._window // 2
            is_near &= neuron[later:] == neuron[:-later]
            n_pairs = n_pairs + 2 * np.bincount(neuron[later:][is_near], minlength=self.n_neurons)
        return n_pairs

    def course(self, groups: np.ndarray) -> np.ndarray:
        """Compute the courses (T, k) of groups (N, k), of unit variance."""
        h = self._spikes.inputs(groups * self._inverse_sd[:, None])
        h = uniform_filter1d(h - h.mean(axis=0), self._window, axis=0, mode="constant")
        h -= h.mean(axis=0)
        self._size = np.maximum(h.std(axis=0), 1e-9)
        return (h / self._size).astype(np.float32)

    def covariances(self, groups: np.ndarray) -> np.ndarray:
        """Compute the covariances (N, k) with the rest of every group, in standard deviations."""
        h = self.course(groups)
        z = np.empty(groups.shape, np.float32)
        for tile in tiles(len(z)):
            shared = self._by_neuron.sums(h, tile) / len(h) * self._inverse_sd[tile, None]
            z[tile] = shared - groups[tile] * self._with_itself[tile, None] / self._size
        some = z[self._for_spread]
        middle = np.median(some, axis=0)
        spread = 1.4826 * np.median(np.abs(some - middle), axis=0)
        return (z - middle) / np.maximum(spread, 1e-6)


def _above(z: np.ndarray, threshold: float) -> np.ndarray:
    """Make groups of unit norm from what is above the threshold."""
    groups = np.where(z > threshold, z, np.float32(0.0))
    return groups / np.maximum(np.sqrt((groups**2).sum(axis=0)), 1e-9)


def _distinct(groups: np.ndarray, former: np.ndarray) -> np.ndarray:
    """Choose groups that are unlike the former ones and unlike those chosen before."""
    chosen = former
    for group in groups.T:
        if (group > 0).sum() >= _LEAST_MEMBERS and (group @ chosen < _SAME).all():
            chosen = np.column_stack([chosen, group])
    return chosen


def grown_courses(
    spikes: Spikes, seeds: np.ndarray, n_most: int, rng: np.random.Generator
) -> np.ndarray:
    """Find the time courses (T, k) of grown assemblies, of unit variance.

    Parameters
    ----------
    spikes : Spikes
    seeds : ndarray of int
        The neurons to begin with.
    n_most : int
        How many to find at most.
    rng : numpy.random.Generator
        Draws the order of the seeds.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> on = rng.random((1000, 2)) < 0.2  # two groups of ten neurons, and eighty others
    >>> p = np.hstack([np.where(np.repeat(on, 10, axis=1), 0.4, 0.02), np.full((1000, 80), 0.05)])
    >>> courses = grown_courses(as_spikes(rng.random(p.shape) < p), np.arange(100), 5, rng)
    >>> courses.shape
    (1000, 2)
    """
    n_frames, n_neurons = spikes.shape
    groups, courses = np.empty((n_neurons, 0), np.float32), []
    is_even = np.arange(n_frames) * _N_BLOCKS // n_frames % 2 == 0
    n_seeds = _MOST_WORK // max(len(spikes.neurons) * len(_WINDOWS) * len(_THRESHOLDS), 1)
    at_once = min(_SEEDS_AT_ONCE, max(_SIZE_AT_ONCE // n_neurons, 1))
    for window in _WINDOWS:
        halves = [_Frames(spikes.take(half), window) for half in (is_even, ~is_even)]
        whole, n_before = _Frames(spikes, window), groups.shape[1]
        waiting = rng.permutation(seeds[spikes.activity()[seeds] > 0])[:n_seeds]
        while len(waiting := waiting[~groups[waiting].any(axis=1)]) and groups.shape[1] < n_most:
            groups = _distinct(_grown(waiting[:at_once], halves, whole), groups)
            waiting = waiting[at_once:]
        courses.append(whole.course(groups[:, n_before:]))
    return np.hstack(courses)[:, :n_most]


def _grown(seeds: np.ndarray, halves: list[_Frames], whole: _Frames) -> np.ndarray:
    """Grow groups (N, k) from seeds; those come first that are most alike in both halves."""
    groups = np.zeros((whole.n_neurons, len(seeds)), np.float32)
    groups[seeds, np.arange(len(seeds))] = 1.0
    for step, threshold in enumerate(_THRESHOLDS):
        former = groups
        groups = _above(halves[step % 2].covariances(groups), threshold)
    alike = (groups * former).sum(axis=0)
    n_shared = ((groups > 0) & (former > 0)).sum(axis=0)
    chosen = np.flatnonzero((alike > _LEAST_ALIKE) & (n_shared >= _LEAST_MEMBERS))
    groups = (groups + former)[:, chosen[np.argsort(-alike[chosen])]]
    for threshold in _LAST_THRESHOLDS:
        groups = _above(whole.covariances(groups), threshold)
    return groups
