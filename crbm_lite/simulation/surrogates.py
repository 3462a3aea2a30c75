r"""Calcium traces of planted assemblies, after the surrogate data of Molter et al. (2018).

Cells lie on a hexagonal grid. The members of an assembly are the cells near n points drawn of a
round normal distribution, so assemblies are compact and may overlap. Each assembly has events: in
every step it begins one with a small probability, by itself. During an event its members fire
faster. Cells of no assembly have events of their own. Spikes are Poisson. Every spike adds
:math:`2^{-t/T_{1/2}}` to the calcium, which saturates as :math:`K c / (c + K)`, and noise is added.

Parameters and defaults are those of the repository GoodhillLab/neural-assembly-detection, and the
code is our own. One step differs: F0 is a Gaussian running mean of the fluorescence over 15 s,
where theirs is a Kalman smoother.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from crbm_lite.checks.arguments import as_count, as_generator, as_number

__all__ = ["CalciumSurrogate", "draw_layout", "hexagonal_grid", "simulate_surrogate"]

_REACH = 0.5  # a cell is a member if a point lies within this distance of it
_LEAST_RESPONSE = 0.01  # the kernel is cut where less of it is left
_BASELINE_S = 15.0
_TRIES = 2000


@dataclass(frozen=True, eq=False, repr=False)
class CalciumSurrogate:
    """Traces of cells whose assemblies and events are known.

    Parameters
    ----------
    positions : (N, 2) float64
        In units of the distance between neighbours.
    membership : (N, K) bool
    states : (T, K) bool
        Whether an assembly has an event in a step.
    counts : (T, N) uint8
        Spikes in each step.
    dff : (T, N) float32
        Relative change of fluorescence.
    rate_hz : float
        Steps per second.
    """

    positions: np.ndarray
    membership: np.ndarray
    states: np.ndarray
    counts: np.ndarray = field(repr=False)
    dff: np.ndarray = field(repr=False)
    rate_hz: float

    def __repr__(self) -> str:
        (n_frames, n_neurons), k = self.counts.shape, self.membership.shape[1]
        return (
            f"CalciumSurrogate({n_frames} frames x {n_neurons} cells, {self.rate_hz:g} Hz, "
            f"{k} assemblies)"
        )


def hexagonal_grid(degree: int) -> np.ndarray:
    """Return the cells of a hexagon with `degree` rings around its centre, one apart.

    Parameters
    ----------
    degree : int
        v; there are 3 v (v + 1) + 1 cells.

    Returns
    -------
    (N, 2) float64

    Examples
    --------
    >>> hexagonal_grid(12).shape
    (469, 2)
    """
    rows = [
        (q + r / 2, r * math.sqrt(0.75))
        for r in range(-degree, degree + 1)
        for q in range(max(-degree, -degree - r), min(degree, degree - r) + 1)
    ]
    return np.array(rows)


def draw_layout(
    positions: np.ndarray,
    n_assemblies: int,
    rng: np.random.Generator,
    *,
    n_points: int = 26,
    sd_range: tuple[float, float] = (1.0, math.sqrt(2.5)),
    size_range: tuple[int, int] = (10, 20),
    overlap_range: tuple[float, float] = (0.0, 0.05),
) -> np.ndarray:
    """Draw the members of compact assemblies on a grid.

    Parameters
    ----------
    positions : (N, 2) float
    n_assemblies : int
        K.
    rng : numpy.random.Generator
    n_points : int
        Points drawn for each assembly (default 26, the medium set).
    sd_range : (float, float)
        The standard deviation of the points is drawn uniformly from it.
    size_range : (int, int)
        Least and largest number of members.
    overlap_range : (float, float)
        Bounds of the mean over pairs of assemblies of shared members over all members of the two.
        Centres are drawn in the disc inside the grid. Where that overlaps too little, they are
        drawn in smaller discs.

    Returns
    -------
    (N, K) bool

    Raises
    ------
    ValueError
        If no such layout is found.

    Examples
    --------
    >>> members = draw_layout(hexagonal_grid(8), 5, np.random.default_rng(0))
    >>> bool(((members.sum(axis=0) >= 10) & (members.sum(axis=0) <= 20)).all())
    True
    """
    radius = np.abs(positions[:, 1]).max()  # of the disc inside the hexagon, sqrt(3) v / 2
    pairs = np.triu_indices(n_assemblies, 1)
    smaller = 1.0
    for _ in range(_TRIES):
        members = np.zeros((len(positions), n_assemblies), dtype=bool)
        for k in range(n_assemblies):
            members[:, k] = _draw_assembly(
                positions, rng, smaller * radius, n_points, sd_range, size_range
            )
        shared = members.T.astype(np.int64) @ members
        either = np.add.outer(np.diag(shared), np.diag(shared)) - shared
        overlap = float((shared / either)[pairs].mean()) if pairs[0].size else overlap_range[0]
        if overlap_range[0] <= overlap <= overlap_range[1]:
            return members
        step = 1.0 - 0.05 * rng.random()
        smaller = min(1.0, smaller * step if overlap < overlap_range[0] else smaller / step)
    raise ValueError(
        f"overlap_range is {overlap_range}: no layout of {n_assemblies} assemblies was found in "
        f"{_TRIES} tries; give a wider range, or other numbers of cells or assemblies"
    )


def _draw_assembly(
    positions: np.ndarray,
    rng: np.random.Generator,
    radius: float,
    n_points: int,
    sd_range: tuple[float, float],
    size_range: tuple[int, int],
) -> np.ndarray:
    for _ in range(_TRIES):
        angle, distance = rng.uniform(0, 2 * np.pi), radius * math.sqrt(rng.random())
        centre = distance * np.array([math.cos(angle), math.sin(angle)])
        points = centre + rng.uniform(*sd_range) * rng.standard_normal((n_points, 2))
        apart = ((positions[:, None] - points) ** 2).sum(axis=2)
        members = (apart <= _REACH**2).any(axis=1)
        if size_range[0] <= members.sum() <= size_range[1]:
            return members
    raise ValueError(
        f"size_range is {size_range}: {n_points} points hardly ever give so many members; give "
        "another n_points, or another range"
    )


def simulate_surrogate(
    degree: int = 12,
    n_assemblies: int = 10,
    duration_s: float = 3600.0,
    random_state: int | np.random.Generator = 0,
    *,
    n_points: int = 26,
    sd_range: tuple[float, float] = (1.0, math.sqrt(2.5)),
    size_range: tuple[int, int] = (10, 20),
    overlap_range: tuple[float, float] = (0.0, 0.05),
    step_s: float = 0.5,
    event_rate_hz: float = 0.01,
    event_s: float = 0.5,
    base_rate_hz: tuple[float, float] = (1.0, 6.0),
    rate_factor: float = 6.0,
    half_life_s: float = 1.0,
    saturation: float = math.inf,
    noise_sd: float = 0.0,
) -> CalciumSurrogate:
    """Simulate calcium traces of planted assemblies, by default those of Molter et al. (2018).

    Parameters
    ----------
    degree : int
        Rings of the grid; the default 12 makes 469 cells.
    n_assemblies : int
        K (default 10).
    duration_s : float
        Length in seconds (default an hour).
    random_state : int or numpy.random.Generator
    n_points, sd_range, size_range, overlap_range
        Of the layout, see `draw_layout`.
    step_s : float
        Length of a step in seconds (default 0.5).
    event_rate_hz, event_s : float
        How often an assembly has an event (default 0.01 Hz), and how long it lasts in seconds.
        Parts of a step are decided by chance.
    base_rate_hz : (float, float)
        Each cell's rate outside of events is drawn uniformly from this range.
    rate_factor : float
        By which an event multiplies the rate of a member (default 6).
    half_life_s : float
        T_1/2 of the calcium.
    saturation : float
        K of the saturation, in units of the response to one spike (default none).
    noise_sd : float
        Standard deviation of the noise, in the same unit (default 0). What would be negative is 0.

    Returns
    -------
    CalciumSurrogate

    Raises
    ------
    ValueError
        If a number is out of its range, or no layout is found.

    Examples
    --------
    >>> simulate_surrogate(5, 3, duration_s=120.0)
    CalciumSurrogate(240 frames x 91 cells, 2 Hz, 3 assemblies)
    """
    degree, n_assemblies = as_count(degree, "degree"), as_count(n_assemblies, "n_assemblies")
    step_s = as_number(step_s, "step_s", "the length of a step", positive=True)
    half_life_s = as_number(half_life_s, "half_life_s", "that of the calcium", positive=True)
    if saturation != math.inf:
        saturation = as_number(saturation, "saturation", "K", positive=True)
    duration_s = as_number(duration_s, "duration_s", "the length in seconds")
    noise_sd = as_number(noise_sd, "noise_sd", "0 or more")
    event_s = as_number(event_s, "event_s", "0 or more")
    event_rate_hz = as_number(event_rate_hz, "event_rate_hz", "0 or more")
    if noise_sd < 0 or event_s < 0 or not 0 <= event_rate_hz * step_s <= 1:
        raise ValueError(
            f"noise_sd, event_s and event_rate_hz are {noise_sd}, {event_s} and {event_rate_hz}: "
            "give numbers of 0 or more, and at most one event a step"
        )
    n_lead = math.ceil(2 * half_life_s / step_s)
    n_frames = round(duration_s / step_s)
    if n_frames < 2:
        raise ValueError(f"duration_s is {duration_s}: give at least {2 * step_s:g} s")
    rng = as_generator(random_state)
    positions = hexagonal_grid(degree)
    members = draw_layout(
        positions, n_assemblies, rng, n_points=n_points, sd_range=sd_range, size_range=size_range,
        overlap_range=overlap_range,
    )  # fmt: skip
    outside = np.flatnonzero(~members.any(axis=1))
    events = _draw_events(
        (n_lead + n_frames, n_assemblies + outside.size),
        event_rate_hz * step_s,
        event_s / step_s,
        rng,
    )
    fast = events[:, :n_assemblies].astype(np.float32) @ members.T.astype(np.float32) > 0
    fast[:, outside] = events[:, n_assemblies:]
    rate = rng.uniform(*base_rate_hz, size=len(positions)) * step_s
    counts = rng.poisson(np.where(fast, rate_factor * rate, rate))
    calcium = _calcium(counts, step_s / half_life_s, rng)[n_lead:]
    if math.isfinite(saturation):
        calcium = saturation * calcium / (calcium + saturation)
    if noise_sd > 0:
        calcium += noise_sd * rng.standard_normal(calcium.shape)
    dff = _relative_change(np.maximum(calcium, 0.0), _BASELINE_S / step_s)
    counts = np.minimum(counts[n_lead:], 255).astype(np.uint8)
    states = events[n_lead:, :n_assemblies]
    return CalciumSurrogate(positions, members, states, counts, dff, 1.0 / step_s)


def _draw_events(
    shape: tuple[int, int], probability: float, n_steps: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw events that begin by chance and last `n_steps`, the rest of a step by chance, too."""
    begins = rng.random(shape) < probability
    lasts = math.floor(n_steps) + (rng.random(shape) < n_steps - math.floor(n_steps))
    on = np.zeros(shape, dtype=bool)
    for lag in range(math.ceil(n_steps)):
        on[lag:] |= (begins & (lasts > lag))[: shape[0] - lag]
    return on


def _calcium(counts: np.ndarray, step: float, rng: np.random.Generator) -> np.ndarray:
    """Sum the responses at the end of every step, of `step` half-lives; spikes fall anywhere."""
    n = counts.ravel()
    each = 2.0 ** (-step * rng.random(n.sum()))
    own = np.bincount(np.repeat(np.arange(n.size), n), each, n.size).reshape(counts.shape)
    own = own.astype(np.float32)
    total = own.copy()
    for lag in range(1, math.ceil(math.log2(1 / _LEAST_RESPONSE) / step) + 1):
        total[lag:] += np.float32(2.0 ** (-step * lag)) * own[:-lag]
    return total


def _relative_change(fluorescence: np.ndarray, window: float) -> np.ndarray:
    """(F - F0) / F0, with a Gaussian running mean of the fluorescence F as F0."""
    base = gaussian_filter1d(fluorescence, window / 2, axis=0)
    base = np.maximum(base, 0.1 * np.maximum(fluorescence.mean(axis=0), 1e-6))  # no 0 / 0
    return ((fluorescence - base) / base).astype(np.float32)
