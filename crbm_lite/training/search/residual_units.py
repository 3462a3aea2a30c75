r"""Assemblies that a model leaves over: components of what it does not explain.

Under a cRBM the spikes are independent given h. So if h is drawn from P(h|v), the residuals

.. math:: r_{ti} = v_{ti} - P(v_i = 1 \mid h_t)

of two neurons are uncorrelated where the data follow the model. What the model lacks is left in
them, without the noise of what it has: principal components of the residuals above the noise edge
are assemblies that no hidden unit stands for. The mean of h would not do, since it knows v_i.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse.linalg import svds
from scipy.special import expit
from threadpoolctl import threadpool_limits

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import Spikes, evenly_spread, tiles
from crbm_lite.training.linear_units import (
    cubimax,
    is_unlike,
    linear_units_given_courses,
    varimax,
)
from crbm_lite.training.search.stage_end import StageEnd
from crbm_lite.training.start import Start, balance_fields, fit_potentials

__all__ = ["residual_courses", "start_with_residual_units"]

_MOST_ENTRIES = 50_000_000  # of the residuals, 200 MB; of more, some neurons stand for all
_N_DRAWS = 3  # of residuals that neurons do not share, for the edge of the noise
_N_REFINED = 2  # times that courses are taken anew from members
_MEMBER = 4.0  # standard errors of a correlation, from which a neuron is a member
_SAME_COURSE = 0.8  # correlation of two time courses
_TOLERANCE = 0.01  # of the singular values; they come out more exactly by far


def _leading_components(
    z: np.ndarray, n_most: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Find singular values and left vectors of Z (T, n), from the largest on: (k,) and (T, k)."""
    most = min(z.shape) - 1  # ARPACK finds no more
    if most < 1 or not z.any():
        return np.empty(0), np.empty((len(z), 0), np.float32)
    begin = rng.standard_normal(min(z.shape), dtype=np.float32)
    times, singular, _ = svds(z, min(n_most, most), v0=begin, tol=_TOLERANCE)
    return singular[::-1], times[:, ::-1]


def _n_above_noise(z: np.ndarray, singular: np.ndarray, rng: np.random.Generator) -> int:
    """Count the singular values above those of residuals that neurons do not share.

    Residuals differ in size from frame to frame, and those of a neuron outlast a frame, so no edge
    is known by formula. Signs that are flipped at random keep all sizes (Hong, Sheng & Dobriban
    2020). Neurons that are shifted in time, each around the recording by itself, keep how long
    their residuals last. The larger edge counts. It is the largest value of some draws and as much
    more as they differ, since one more draw of noise is the largest of n + 1 once in n + 1 times.
    """
    edge = 0.0
    for without_sharing in (_flipped, _shifted):
        draws = (without_sharing(z, rng) for _ in range(_N_DRAWS))  # one at a time: they are large
        largest = np.concatenate([_leading_components(draw, 1, rng)[0] for draw in draws])
        if len(largest):
            edge = max(edge, 2.0 * largest.max() - largest.min())
    return int((singular > edge).sum())


def _flipped(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.integers(2, size=z.shape, dtype=np.uint8).astype(bool), -z, z)


def _shifted(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    begin = rng.integers(len(z), size=z.shape[1])
    shifted = np.empty_like(z)
    for i, k in enumerate(begin):
        shifted[:, i] = np.roll(z[:, i], k)
    return shifted


def _courses_of_members(z: np.ndarray, courses: np.ndarray) -> np.ndarray:
    """Take time courses (T, k) anew, from the residuals of those neurons alone that follow them.

    A component has the noise of all neurons, and its members are few.
    """
    r = z.T @ courses / np.float32(len(z))
    r[np.abs(r) < _MEMBER / np.sqrt(len(z))] = 0.0
    courses = z @ r
    sd = courses.std(axis=0)
    return courses[:, sd > 0] / sd[sd > 0]


def _is_unlike_those_before(courses: np.ndarray) -> np.ndarray:
    """Say which time courses (T, k) are not those of another that comes before them."""
    r = np.abs(courses.T @ courses / np.float32(len(courses)))
    is_unlike = np.ones(len(r), bool)
    for k in range(1, len(r)):
        is_unlike[k] = r[k, :k][is_unlike[:k]].max(initial=0.0) < _SAME_COURSE
    return is_unlike


def _standardised_residuals(
    v: np.ndarray, h: np.ndarray, weights: np.ndarray, fields: np.ndarray
) -> np.ndarray:
    """Divide residuals (T, n) float32 by the standard deviation that the model gives a neuron."""
    z = v.astype(np.float32)
    variance = np.zeros(v.shape[1])
    for some in tiles(len(v)):
        p = expit(fields + h[some] @ weights.T)
        variance += (p * (1.0 - p)).sum(axis=0)
        z[some] -= p
    floor = 3.0 / len(v)  # a neuron of a few spikes must not dominate
    z /= np.sqrt(np.maximum(variance / len(v), floor))
    z -= z.mean(axis=0, dtype=np.float64)
    return z


def residual_courses(
    spikes: Spikes,
    weights: np.ndarray,
    fields: np.ndarray,
    potential: np.ndarray,
    n_most: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Find the time courses (T, k) of what a model leaves over, of unit variance.

    Parameters
    ----------
    spikes : Spikes
    weights, fields, potential : ndarray, shapes (N, M), (N,), (4, M)
        The model.
    n_most : int
        How many to find at most.
    rng : numpy.random.Generator
        Draws h, and begins the search for components.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((1000, 2)) < 0.2, 20, axis=1)  # two groups of twenty neurons
    >>> spikes = as_spikes(rng.random(on.shape) < np.where(on, 0.5, 0.05))
    >>> nothing = np.zeros((40, 1)), np.full(40, -1.8), np.array([[1.0], [1.0], [0.0], [0.0]])
    >>> residual_courses(spikes, *nothing, 10, rng).shape
    (1000, 2)
    """
    n_frames, n_neurons = spikes.shape
    neurons = evenly_spread(n_neurons, max(_MOST_ENTRIES // n_frames, 1))
    h = DReLU(*potential).sample(spikes.inputs(weights), rng)
    with threadpool_limits(1, "blas"):  # the number of BLAS threads may change sums
        z = _standardised_residuals(
            spikes.of_neurons(neurons), h, weights[neurons], fields[neurons]
        )
        singular, times = _leading_components(z, n_most, rng)
        times = times[:, : _n_above_noise(z, singular, rng)]
        rotate = cubimax if len(neurons) > n_frames else varimax
        courses = times @ rotate(z.T @ times).astype(np.float32) * np.sqrt(np.float32(n_frames))
        for _ in range(_N_REFINED):
            courses = _courses_of_members(z, courses)
    return courses[:, _is_unlike_those_before(courses)]


def start_with_residual_units(
    spikes: Spikes, start: Start, end: StageEnd, l1: float, n_most: int, rng: np.random.Generator
) -> Start:
    """Let units of what a model leaves over join the start that goes on from it.

    A penalty leaves a part of every assembly over, so units that are like one of the start are left
    out. The potentials of the others are fitted given the values that the units at hand have in the
    same frames, and the fields give in by what the new units add to the activity.

    Parameters
    ----------
    spikes : Spikes
    start : Start
    end : StageEnd
        The model.
    l1 : float
        Penalty lambda: smaller covariances of a neuron with a unit give no weight.
    n_most : int
        How many units to add at most; there may be none.
    rng : numpy.random.Generator
    """
    model = end.weights.toarray(), end.fields, end.potential
    courses = residual_courses(spikes, *model, n_most, rng)
    units = linear_units_given_courses(spikes, courses, l1)
    is_new = is_unlike(units.rise, start.weights)
    if not is_new.any():
        return start
    h_given = DReLU(*start.potential).sample(spikes.inputs(start.weights), rng)
    h = np.hstack([h_given, units.h[:, is_new]])
    weights = np.hstack([start.weights, units.rise[:, is_new]])
    fields = start.fields + balance_fields(spikes, weights, h)
    fields -= balance_fields(spikes, start.weights, h_given)
    born, kinks = fit_potentials(h, fields, weights, n_given=h_given.shape[1])
    fields += weights[:, h_given.shape[1] :] @ kinks
    potential = np.hstack([start.potential, born])
    return replace(start, weights=weights, fields=fields, potential=potential)
