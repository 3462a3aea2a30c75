"""Planted recordings: slow assemblies of known membership, for benchmarks and exact answers.

The states of the assemblies are independent two-state Markov chains with geometric dwell times.
The probability of a spike given the states is the equation of `crbm_lite.recordings.ground_truth`;
given the states, spikes are independent. Nothing here is sampled from a cRBM.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.optimize import brentq
from scipy.special import expit

from crbm_lite.checks.arguments import (
    as_count,
    as_flag,
    as_generator,
    as_number,
    as_numbers,
    as_rate_hz,
    is_integer,
)
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.ground_truth import GroundTruth

__all__ = ["draw_spikes", "draw_states", "draw_turns", "plant_recording", "shift_to_activity"]


def draw_states(
    n_frames: int, active_frames: np.ndarray, inactive_frames: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw independent two-state Markov chains, each of which starts in its stationary state.

    Parameters
    ----------
    n_frames : int
    active_frames, inactive_frames : (K,) float, at least 1
        Mean dwell time of each chain in either state, in frames. A chain is active for the
        fraction active / (active + inactive) of the time.
    rng : numpy.random.Generator

    Returns
    -------
    (T, K) bool

    Examples
    --------
    >>> states = draw_states(1000, [10.0], [40.0], np.random.default_rng(0))
    >>> bool(0.1 < states.mean() < 0.3)
    True
    """
    active_frames = as_numbers(active_frames, "active_frames")
    inactive_frames = as_numbers(inactive_frames, "inactive_frames")
    states = np.zeros((n_frames, active_frames.size), dtype=bool)
    for k, (active, inactive) in enumerate(zip(active_frames, inactive_frames, strict=True)):
        state = bool(rng.random() < active / (active + inactive))
        frame = 0
        while frame < n_frames:  # one turn for each dwell: geometric times make a Markov chain
            dwell = int(rng.geometric(1.0 / (active if state else inactive)))
            states[frame : frame + dwell, k] = state
            frame += dwell
            state = not state
    return states


def draw_turns(
    n_frames: int, active_frames: float, pause_frames: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the states of an antiphasic pair: one is active, then neither, then the other.

    Parameters
    ----------
    n_frames : int
    active_frames : float
        Mean time that one of them is active, gamma-distributed with shape 4.
    pause_frames : float
        Mean time between, geometric; a pause has one frame at least.
    rng : numpy.random.Generator

    Returns
    -------
    (T, 2) bool
        At most one is active in a frame.

    Examples
    --------
    >>> states = draw_turns(1000, 20.0, 5.0, np.random.default_rng(0))
    >>> bool(states.all(axis=1).any()), bool(0.3 < states[:, 0].mean() < 0.5)
    (False, True)
    """
    states = np.zeros((n_frames, 2), dtype=bool)
    frame, turn = 0, int(rng.integers(2))
    while frame < n_frames:
        dwell = max(1, round(rng.gamma(4.0, active_frames / 4.0)))
        states[frame : frame + dwell, turn] = True
        frame += dwell + int(rng.geometric(min(1.0, 1.0 / pause_frames)))
        turn = 1 - turn
    return states


def draw_spikes(truth: GroundTruth, rng: np.random.Generator) -> np.ndarray:
    """Draw spikes given the planted states, tile by tile.

    Parameters
    ----------
    truth : GroundTruth
    rng : numpy.random.Generator

    Returns
    -------
    (T, N) uint8
    """
    spikes = np.empty((truth.n_frames, truth.n_neurons), dtype=np.uint8)
    for frames, probability in truth.tiles():
        spikes[frames] = rng.random(probability.shape, dtype=np.float32) < probability
    return spikes


def shift_to_activity(
    base_logit: np.ndarray, effects: scipy.sparse.csr_array, states: np.ndarray, activity: float
) -> np.ndarray:
    """Add one number to all base log-odds so that the expected mean activity is `activity`.

    The expectation is taken over at most 1,000 frames and 2,000 neurons, spread evenly over the
    recording, which is enough to fix one number.

    Parameters
    ----------
    base_logit : (N,) float64
    effects : (N, K) scipy.sparse.csr_array
    states : (T, K) bool
    activity : float in (0, 1)

    Returns
    -------
    (N,) float64
    """
    frames = slice(None, None, -(-states.shape[0] // 1000))
    some = slice(None, None, -(-base_logit.size // 2000))
    logit = base_logit[some][:, None] + effects[some] @ states[frames].T.astype(np.float64)
    return base_logit + brentq(lambda x: expit(logit + x).mean() - activity, -30.0, 30.0)


def _deal(candidates: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal out members: each candidate gets one place while places last, the rest are random."""
    places = rng.permutation(np.repeat(np.arange(sizes.size), sizes))[: candidates.size]
    members = []
    for k, size in enumerate(sizes):
        dealt = candidates[: places.size][places == k]
        others = np.setdiff1d(candidates, dealt)
        more = rng.choice(others, size=size - dealt.size, replace=False)
        members.append(np.sort(np.concatenate([dealt, more])))
    return members


def _deal_overlapping(
    candidates: np.ndarray, sizes: np.ndarray, overlap: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Deal out members, of whom a share belongs to one other assembly, drawn at random."""
    shared = np.round(overlap * sizes).astype(np.int64)
    if 2 * shared.max() > shared.sum():
        raise ValueError(
            f"overlap is {overlap} for assemblies of {sizes.tolist()} neurons: give more of them, "
            "or sizes that are more alike, so that each finds others to share with"
        )
    places = rng.permutation(np.repeat(np.arange(sizes.size), shared))
    pairs = places[: places.size // 2 * 2].reshape(-1, 2)
    while (alone := np.flatnonzero(pairs[:, 0] == pairs[:, 1])).size:
        swapped = [alone[0], rng.integers(len(pairs))]  # no neuron is twice in one assembly
        pairs[swapped, 1] = pairs[swapped[::-1], 1]
    own = sizes - np.bincount(pairs.ravel(), minlength=sizes.size)
    n_needed = len(pairs) + own.sum()
    if n_needed > candidates.size:
        raise ValueError(
            f"overlap is {overlap}: the assemblies need {n_needed} neurons and {candidates.size} "
            "may belong to one: give more neurons, or fewer or smaller assemblies"
        )
    neurons = np.split(candidates[:n_needed], [len(pairs)])
    rows = np.concatenate([neurons[0], neurons[0], neurons[1]])
    columns = np.concatenate([*pairs.T, np.repeat(np.arange(sizes.size), own)])
    return [np.sort(rows[columns == k]) for k in range(sizes.size)]


def plant_recording(
    n_neurons: int = 2000,
    n_assemblies: int = 20,
    size_range: tuple[int, int] = (80, 180),
    n_frames: int = 4000,
    n_unassigned: int = 300,
    activity_range: tuple[float, float] = (0.04, 0.05),
    random_state: int | np.random.Generator = 0,
    *,
    rate_hz: float = 2.5,
    active_s: float = 4.0,
    inactive_s: float = 24.0,
    effect_range: tuple[float, float] = (1.7, 2.7),
    base_sd: float = 0.3,
    overlap: float | None = None,
    antiphasic: bool = False,
) -> Recording:
    """Simulate a recording with planted, overlapping assemblies.

    Every neuron that may belong to an assembly is dealt to one first, as long as there are places.
    The places that are left are filled at random, so assemblies overlap: a neuron has
    n_assemblies * mean size / (n_neurons - n_unassigned) memberships on average (by default 1.5,
    from 1 to about 5). With ``overlap`` a neuron has two at most, and how many have two is given.

    With the defaults the true probabilities reach a median nLLH of about 0.13 (Eq. 18, last 30 % of
    the frames, all neurons). A reconstruction, which sees the neuron, may score a little more.

    Parameters
    ----------
    n_neurons, n_assemblies, n_frames : int
    size_range : (int, int)
        Smallest and largest size of an assembly, both included.
    n_unassigned : int
        Neurons that belong to no assembly; there are more if the assemblies have too few places.
        They are spread over the indices like all others, see ``recording.truth.unassigned``.
    activity_range : (float, float)
        The mean activity (spikes per neuron and frame) is drawn uniformly from this range.
    random_state : int or numpy.random.Generator
    rate_hz : float
        Frames per second.
    active_s, inactive_s : float
        Mean dwell times of an assembly's two states, in seconds.
    effect_range : (float, float)
        What an active assembly adds to the log-odds of a spike of a member, drawn uniformly.
    base_sd : float
        Standard deviation of the log-odds at rest across neurons.
    overlap : float in [0, 1], optional
        Share of the members of every assembly that belong to one other assembly as well (rounded;
        one place of all is lost where the shared ones are odd in number). The assemblies then need
        n_assemblies * mean size * (1 - overlap / 2) neurons. By default see above.
    antiphasic : bool
        Whether the first two assemblies take turns (`draw_turns`): each is active for `active_s`
        on average, and pauses of a quarter of that lie between.

    Returns
    -------
    Recording
        It has ``truth`` and no coordinates.

    Raises
    ------
    ValueError
        If a number is out of its range or the assemblies would need more neurons than there are.

    Examples
    --------
    >>> recording = plant_recording(random_state=1)
    >>> recording.n_frames, recording.n_neurons, recording.truth.n_assemblies
    (4000, 2000, 20)
    >>> bool(0.04 < recording.activity.mean() < 0.05)
    True
    """
    n_neurons, n_frames = as_count(n_neurons, "n_neurons"), as_count(n_frames, "n_frames")
    n_assemblies = as_count(n_assemblies, "n_assemblies")
    n_unassigned = as_count(n_unassigned, "n_unassigned", 0)
    n_candidates = n_neurons - n_unassigned
    low, high = size_range
    if not (is_integer(low) and is_integer(high) and 1 <= low <= high <= n_candidates):
        raise ValueError(
            f"size_range is {size_range} with n_unassigned = {n_unassigned}: give sizes in "
            f"1..{n_candidates}, the neurons left"
        )
    if not 0 < activity_range[0] <= activity_range[1] < 1:
        raise ValueError(f"activity_range is {activity_range}: give 0 < low <= high < 1")
    rate_hz = as_rate_hz(rate_hz)
    active_s = as_number(active_s, "active_s", "seconds")
    inactive_s = as_number(inactive_s, "inactive_s", "seconds")
    for name, value in (("active_s", active_s), ("inactive_s", inactive_s)):
        if not value * rate_hz >= 1:
            raise ValueError(f"{name} is {value}: give at least {1 / rate_hz:g} s, one frame")
    overlap = None if overlap is None else as_number(overlap, "overlap", "a share from 0 to 1")
    if not (overlap is None or 0 <= overlap <= 1):
        raise ValueError(f"overlap is {overlap}: give a share from 0 to 1, or None")
    antiphasic = as_flag(antiphasic, "antiphasic")
    if antiphasic and n_assemblies < 2:
        raise ValueError(f"n_assemblies is {n_assemblies}: an antiphasic pair needs two")
    base_sd = as_number(base_sd, "base_sd", "the standard deviation at rest")
    rng = as_generator(random_state)

    candidates = rng.permutation(n_neurons)[:n_candidates]
    sizes = rng.integers(low, high + 1, size=n_assemblies)
    if overlap is None:
        members = _deal(candidates, sizes, rng)
    else:
        members = _deal_overlapping(candidates, sizes, overlap, rng)
    rows = np.concatenate(members)
    columns = np.repeat(np.arange(n_assemblies), sizes)
    values = rng.uniform(*effect_range, size=rows.size)
    effects = scipy.sparse.csr_array((values, (rows, columns)), shape=(n_neurons, n_assemblies))

    states = draw_states(
        n_frames,
        np.full(n_assemblies, active_s * rate_hz),
        np.full(n_assemblies, inactive_s * rate_hz),
        rng,
    )
    if antiphasic:
        states[:, :2] = draw_turns(n_frames, active_s * rate_hz, active_s * rate_hz / 4, rng)
    base = rng.normal(0.0, base_sd, size=n_neurons)
    base = shift_to_activity(base, effects, states, rng.uniform(*activity_range))
    truth = GroundTruth(
        base,
        effects,
        states,
        names=tuple(f"assembly {k}" for k in range(n_assemblies)),
        kinds=("antiphasic",) * (2 * antiphasic) + ("planted",) * (n_assemblies - 2 * antiphasic),
    )
    spikes = draw_spikes(truth, rng)
    return Recording(
        spikes,
        rate_hz,
        truth=truth,
        provenance={"source": "simulated: crbm_lite.simulation.planted.plant_recording"},
    )
