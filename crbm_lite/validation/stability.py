r"""Stability selection: which assemblies, and which of their members, another recording would show.

A model is trained again and again on half of the frames (Meinshausen & Buehlmann 2010). The
recording is cut into blocks, half of the blocks are drawn at random, and the other half makes the
next run: the two runs of a pair share no frame (Shah & Samworth 2013). The start of a training is
made of its own frames, so they share no start either. Seeds that differ on the same frames are no
evidence: they begin at the same rotated components.

Each run's assemblies (`crbm_lite.assemblies.members`) are matched with those of a model of all
frames by their weights, both sides of a unit by themselves: a unit with two sides holds two
assemblies, of which one may be found and not the other. An assembly is *found* in a run if the
weights of the two correlate with at least `min_correlation`. Its probability is the share of runs
in which it is found. A neuron's membership probability is the share of runs in which the assembly
is found and has the neuron as a member. The stable members of an assembly are those of its members
for whom that share is large.

The null is the same on frames in which every neuron is shifted in time by itself
(`crbm_lite.recordings.controls.shift_time`): what is found there says nothing about assemblies.

Some neurons pass by chance. If members are those with a membership probability of at least
:math:`\pi > 1/2`, the expected number of false ones is at most

.. math:: \frac{q^2}{(2 \pi - 1)\, N K},

where q is the mean number of members of a run, over all of its assemblies, and K the number of
assemblies of the model. This is Theorem 1 of Meinshausen & Buehlmann; it supposes that false
members are exchangeable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.assemblies.matching import match_assemblies
from crbm_lite.assemblies.members import Assemblies, assemblies_of_weights
from crbm_lite.checks.arguments import as_count, as_generator, as_number, is_integer
from crbm_lite.core.spikes import as_spikes, spikes_of_model
from crbm_lite.recordings.controls import shift_time
from crbm_lite.recordings.splits import borders_at_jumps

if TYPE_CHECKING:
    import scipy.sparse

    from crbm_lite.model.model import CRBM

__all__ = ["StabilitySelection", "stability_selection"]


@dataclass(frozen=True, eq=False)
class StabilitySelection:
    """How often the assemblies of a model and their members are found again in half of the frames.

    Attributes
    ----------
    weights : (N, M) float
        Of the model of all frames, whose K `assemblies` are asked for.
    correlation : (n, K) float64
        Of each assembly's weights with those of its match in each run; 0 without a match.
    membership : (N, K) float64
        Share of the runs in which the assembly is found with the neuron among its members.
    n_members : float
        Mean number of members of a run, over all of its assemblies.
    null_correlation : (n_null, K) float64
        As `correlation`, on frames shifted in time.
    null_membership : (N, K) float64
        As `membership`, on frames shifted in time.
    min_correlation : float
        From here on an assembly counts as found.
    """

    weights: np.ndarray = field(repr=False)
    correlation: np.ndarray = field(repr=False)
    membership: np.ndarray = field(repr=False)
    n_members: float
    null_correlation: np.ndarray = field(repr=False)
    null_membership: np.ndarray = field(repr=False)
    min_correlation: float

    @property
    def probability(self) -> np.ndarray:
        """Share of the runs in which each assembly is found, (K,); NaN without runs."""
        return _share_found(self.correlation, self.min_correlation)

    @property
    def null_probability(self) -> np.ndarray:
        """The same on frames shifted in time, (K,)."""
        return _share_found(self.null_correlation, self.min_correlation)

    @property
    def assemblies(self) -> Assemblies:
        """The assemblies of the model of all frames, K."""
        return assemblies_of_weights(self.weights)

    def members(self, probability: float = 0.8) -> np.ndarray:
        """Tell the stable members of each of the `assemblies`, (N, K) bool.

        Parameters
        ----------
        probability : float
            Least membership probability of a stable member (default 0.8).
        """
        return self.assemblies.members & (self.membership >= probability)

    def false_members(self, probability: float = 0.8) -> float:
        """Bound the expected number of false members among all stable ones (see the module).

        Parameters
        ----------
        probability : float
            Least membership probability of a stable member, above 1/2 (default 0.8).

        Raises
        ------
        ValueError
            If `probability` is not above 1/2.

        Examples
        --------
        >>> w, r, nobody = np.ones((100, 5)), np.zeros((2, 5)), np.zeros((100, 5))
        >>> found = StabilitySelection(w, r, nobody, 50.0, r, nobody, min_correlation=0.5)
        >>> round(found.false_members(0.75), 6)
        10.0
        """
        probability = as_number(probability, "probability", "more than 1/2")
        if not probability > 0.5:
            raise ValueError(f"probability is {probability}: give more than 1/2")
        return self.n_members**2 / ((2 * probability - 1) * max(self.membership.size, 1))

    def table(self, probability: float = 0.8) -> str:
        """Plain text, one line per assembly, the most stable first.

        Parameters
        ----------
        probability : float
            Least membership probability of a stable member (default 0.8).
        """
        lines = ["assembly   members  stable members  found in  median r  found in shifted time"]
        found, stable = self.assemblies, self.members(probability).sum(axis=0)
        median = np.median(self.correlation, axis=0)
        for k in np.argsort(-self.probability, kind="stable"):
            lines.append(
                f"{found.names[k]:<10}{found.sizes[k]:>8,}{stable[k]:>16,}"
                f"{self.probability[k]:>10.0%}{median[k]:>10.2f}"
                f"{self.null_probability[k]:>23.0%}"
            )
        return "\n".join(lines)


def _share_found(correlation: np.ndarray, least: float) -> np.ndarray:
    if len(correlation) == 0:
        return np.full(correlation.shape[1], np.nan)
    return (correlation >= least).mean(axis=0)


def stability_selection(
    recording: object,
    model: CRBM,
    n: int = 20,
    *,
    n_null: int = 4,
    n_blocks: int = 20,
    min_correlation: float = 0.5,
    fit: Callable[[CRBM, scipy.sparse.csr_array], CRBM] | None = None,
    random_state: int = 0,
) -> StabilitySelection:
    """Train on many halves of a recording and count how often each assembly and member is found.

    Parameters
    ----------
    recording : Recording, (T, N) array of 0/1 or scipy.sparse matrix
        All frames from which assemblies are drawn.
    model : CRBM
        If it is fitted, its assemblies are asked for; else one is fitted to all frames. Its
        hyperparameters train every run. It is not changed.
    n : int
        Runs, each on half of the frames (default 20).
    n_null : int
        Runs on halves of frames shifted in time (default 4).
    n_blocks : int
        Contiguous blocks of frames that are drawn (default 20). They should be longer than an
        assembly stays active. Their borders move to where time jumps, if that is near.
    min_correlation : float
        Correlation of weights from which an assembly is found (default 0.5).
    fit : callable, optional
        Trains a model on frames and returns it, such as `crbm_lite.model.cache.cached_fit`, with
        which a search that was interrupted goes on (default: ``model.fit(frames)``).
    random_state : int
        Chooses blocks and shifts (default 0). Run k is trained with the seed ``random_state + k``.

    Returns
    -------
    StabilitySelection

    Raises
    ------
    ValueError
        If the spikes are not binary, are of other neurons than a fitted model, or an option is out
        of range.

    Examples
    --------
    >>> from crbm_lite import CRBM, plant_recording
    >>> recording = plant_recording(30, 2, size_range=(10, 15), n_frames=300, n_unassigned=0)
    >>> model = CRBM(n_hidden=2, l1=0.01, n_updates=20, progress=False, random_state=0)
    >>> found = stability_selection(recording, model, 2, n_null=1, fit=lambda m, v: m.fit(v))
    >>> found.correlation.shape, found.membership.shape
    ((2, 2), (30, 2))
    """
    from sklearn.base import clone

    is_fitted = hasattr(model, "weights_")
    check = partial(spikes_of_model, model) if is_fitted else as_spikes
    spikes = check(recording, "recording")
    n, n_null = as_count(n, "n", 2), as_count(n_null, "n_null", 0)
    random_state = as_count(random_state, "random_state", 0)
    if not is_integer(n_blocks) or not 2 <= n_blocks <= spikes.n_frames:
        raise ValueError(f"n_blocks is {n_blocks!r}: give 2 to {spikes.n_frames}, the frames")
    min_correlation = as_number(min_correlation, "min_correlation", "more than 0, at most 1")
    if not 0 < min_correlation <= 1:
        raise ValueError(f"min_correlation is {min_correlation}: give more than 0, at most 1")
    train = fit or (lambda new, frames: new.fit(frames))
    rng = as_generator(random_state)
    v = spikes.to_csr(np.uint8)
    whole = np.arange(spikes.n_frames)
    bounds = np.cumsum([0, *map(len, np.array_split(whole, n_blocks))])
    bounds = borders_at_jumps(bounds, getattr(recording, "discontinuities", ()))
    blocks = np.split(whole, bounds[1:-1])
    weights = (model if is_fitted else train(clone(model), v)).weights_
    seed = iter(range(random_state, random_state + n + n_null))

    def runs(frames: scipy.sparse.csr_array, count: int) -> Iterator[np.ndarray]:
        """Train on halves of these frames, one after the other, and yield the weights."""
        for half in _halves(blocks, count, rng):
            new = clone(model).set_params(random_state=next(seed))
            yield train(new, frames[half]).weights_

    found = _match(weights, runs(v, n), n, min_correlation)
    null = _match(weights, runs(shift_time(recording, rng), n_null), n_null, min_correlation)
    return StabilitySelection(weights, *found, *null[:2], min_correlation)


def _halves(blocks: list[np.ndarray], n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw the frames of half of the blocks; every second time take the blocks that were left."""
    half = len(blocks) // 2
    for k in range(n):
        if k % 2 == 0:
            order = rng.permutation(len(blocks))
        drawn = order[:half] if k % 2 == 0 else order[half:]
        yield np.concatenate([blocks[b] for b in np.sort(drawn)])


def _match(
    weights: np.ndarray, runs: Iterator[np.ndarray], n: int, least: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Correlations (n, K), membership (N, K) and mean number of members of n runs."""
    of_whole = _sides(weights)
    correlation = np.zeros((n, of_whole.shape[1]))
    count, n_members = np.zeros(of_whole.shape), 0
    for k, run in enumerate(runs):
        sides = _sides(run)
        n_members += np.count_nonzero(sides)
        if 0 in (of_whole.shape[1], sides.shape[1]):  # one has lost all of its weights
            continue
        match = match_assemblies(of_whole, sides)
        correlation[k, match.first] = match.correlation
        again = match.correlation >= least
        count[:, match.first[again]] += sides[:, match.second[again]] != 0
    return correlation, count / max(n, 1), n_members / max(n, 1)


def _sides(weights: np.ndarray) -> np.ndarray:
    """The size of the weights of the members of every assembly, (N, K): its side of its unit."""
    found = assemblies_of_weights(weights)
    return np.abs(weights[:, found.units]) * found.members
