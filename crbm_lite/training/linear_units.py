r"""Assemblies that a linear method can see: sparse-rotated principal components of the spikes.

The principal components of the standardised spikes above the noise edge (Marchenko & Pastur 1967)
are rotated to sparse loadings (varimax, Kaiser 1958). Each rotated component has a time course h(t)
of unit variance, which is then taken anew from the neurons that follow it
(`crbm_lite.training.member_courses`). With more neurons than frames the components change: signal
begins at the edge of the noise that they leave, and the rotation gives all of them equal weight
(`cubimax`), since varimax would add up assemblies in its largest columns.

How much a neuron follows a unit is the rise of its log-odds from the frames in which the unit is
off to those in which it is on, divided by the rise of h. It is set to zero where the covariance of
v_i and h is below lambda or within its own noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from crbm_lite.core.spikes import Spikes, SpikesByNeuron, tiles, weight_sums
from crbm_lite.training.member_courses import courses_of_members

__all__ = [
    "LinearUnits",
    "Standardised",
    "cubimax",
    "find_linear_units",
    "is_unlike",
    "joined_units",
    "leading_subspace",
    "linear_units_given_courses",
    "linear_units_of_members",
    "log_odds",
    "nonnegative_factors",
    "rotated_components",
    "rotated_courses",
    "two_means_threshold",
    "varimax",
]

_OVERSAMPLING = 10
_POWER_ITERATIONS = 4
_WIDE_POWER_ITERATIONS = 16  # with more neurons than frames: signal and noise are close there
_FACTOR_ITERATIONS = 200
_ALIKE = 0.5  # |cosine| of the weights of two units, from which they are one
_NOISE_LIMIT = 5.0  # standard errors of a covariance: its least size where lambda is smaller


@dataclass(frozen=True)
class LinearUnits:
    """Hold what the linear method found: k units in T frames of N neurons.

    Attributes
    ----------
    h : ndarray of float32, shape (T, k)
        Time courses of zero mean and unit variance.
    rise : ndarray of float32, shape (N, k)
        Rise of each neuron's log-odds with the unit, per unit of h. It is 0 where the covariance is
        below lambda or not above its noise.
    """

    h: np.ndarray
    rise: np.ndarray


class Standardised(Protocol):
    """A matrix Z (T, N) of columns of unit variance, as `rotated_courses` needs it.

    Attributes
    ----------
    shape : tuple of int
        (T, N).
    n_iterations : int
        How many power iterations its components need: the more, the nearer signal is to noise.
    """

    shape: tuple[int, int]
    n_iterations: int

    def dot(self, x: np.ndarray) -> np.ndarray:
        """Z x: (N, k) to (T, k), float32; x may be used up."""

    def transposed_dot(self, y: np.ndarray) -> np.ndarray:
        """Z' y: (T, k) to (N, k), float32."""

    def n_above_noise(self, singular: np.ndarray) -> int:
        """Count the components that stand above the noise by Z's largest singular values."""


class _StandardisedSpikes:
    """Products with Z = (V - p) / sd without forming Z; float32, the sums in float64."""

    def __init__(self, spikes: Spikes, by_neuron: SpikesByNeuron) -> None:
        self.activity = spikes.activity()
        variance = self.activity * (1 - self.activity)
        floor = 3.0 / spikes.n_frames  # a neuron of a few spikes must not dominate
        self.inverse_sd = 1.0 / np.sqrt(np.maximum(variance, floor))
        self._sum_of_squares = float(spikes.n_frames * (variance * self.inverse_sd**2).sum())
        self.shape, self._spikes, self._by_neuron = spikes.shape, spikes, by_neuron
        is_wide = spikes.n_neurons > spikes.n_frames
        self.n_iterations = _WIDE_POWER_ITERATIONS if is_wide else _POWER_ITERATIONS

    def dot(self, x: np.ndarray) -> np.ndarray:
        """Z x: (N, k) to (T, k); x is used up."""
        for tile in tiles(len(x)):
            x[tile] *= self.inverse_sd[tile, None]
        mean, _ = weight_sums(self.activity, x)
        return (self._spikes.inputs(x) - mean).astype(np.float32)

    def transposed_dot(self, y: np.ndarray) -> np.ndarray:
        """Z' y: (T, k) to (N, k)."""
        total = y.sum(axis=0, dtype=np.float64)
        out = np.empty((self.shape[1], y.shape[1]), np.float32)
        for tile in tiles(len(out)):
            centred = self._by_neuron.sums(y, tile) - np.outer(self.activity[tile], total)
            out[tile] = self.inverse_sd[tile, None] * centred
        return out

    def n_above_noise(self, singular: np.ndarray) -> int:
        """Count the components above the largest singular value that noise would have."""
        return _n_above_noise(singular, self._sum_of_squares, *self.shape)


def _n_above_noise(
    singular: np.ndarray, sum_of_squares: float, n_frames: int, n_neurons: int
) -> int:
    """Count the components with a singular value above the largest that noise would have.

    The noise has unit variance, as all of Z has. Where the neurons outnumber the frames, the signal
    takes a good part of the variance, and the noise has what the components counted so far leave.
    """
    n, noise = 0, 1.0
    edge = np.sqrt(n_frames) + np.sqrt(n_neurons)
    while (n_above := int((singular > np.sqrt(noise) * edge).sum())) > n:
        n = n_above
        if n_neurons > n_frames:
            left = max(sum_of_squares - (singular[:n] ** 2).sum(), 0.0)
            noise = left / max((n_frames - n) * (n_neurons - n), 1)
    return n


def leading_subspace(z: Standardised, n_most: int, rng: np.random.Generator) -> np.ndarray:
    """Find an orthonormal basis (T, k) near Z's leading left singular vectors, k <= ``n_most``.

    It is found by power iterations on a random block (Halko et al. 2011).
    """
    k = min(n_most, *z.shape)
    y = z.dot(rng.standard_normal((z.shape[1], k), dtype=np.float32))
    for _ in range(z.n_iterations):
        y = z.dot(z.transposed_dot(np.linalg.qr(y)[0]))
    return np.linalg.qr(y)[0]


def _principal_components(
    z: Standardised, n_components: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the components above the noise edge by a randomised SVD (Halko et al. 2011).

    Return their time courses (T, k), and their loadings times singular values (N, k).
    """
    n_neurons = z.shape[1]
    q = leading_subspace(z, n_components + _OVERSAMPLING, rng)
    k = q.shape[1]
    projected = z.transposed_dot(q)
    gram = np.zeros((k, k))  # its eigenvectors spare the SVD of an (N, k) matrix
    for tile in tiles(n_neurons):
        rows = projected[tile].astype(np.float64)
        gram += rows.T @ rows
    square, vectors = np.linalg.eigh(gram)
    singular = np.sqrt(np.maximum(square[::-1][:n_components], 0.0))
    n = z.n_above_noise(singular)
    vectors = vectors[:, ::-1][:, :n].astype(np.float32)
    for tile in tiles(n_neurons):
        projected[tile, :n] = projected[tile] @ vectors
    return q @ vectors, projected[:, :n]


def _rotation_towards(
    target: Callable[[np.ndarray], np.ndarray], n: int, n_iterations: int, tolerance: float
) -> np.ndarray:
    """Find the rotation R (n, n) that is the nearest one to its own target(R)."""
    rotation, score = np.eye(n), 0.0
    for _ in range(n_iterations):
        left, singular, right = np.linalg.svd(target(rotation))
        rotation = left @ right
        if singular.sum() <= score * (1.0 + tolerance):
            break
        score = singular.sum()
    return rotation


def varimax(loadings: np.ndarray, n_iterations: int = 200, tolerance: float = 1e-5) -> np.ndarray:
    """Find the rotation (k, k) that makes loadings (N, k) sparse (Kaiser 1958).

    Examples
    --------
    >>> import numpy as np
    >>> sparse = np.kron(np.eye(2), np.ones((50, 1)))
    >>> turned = sparse @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> bool(np.isclose(np.abs(turned @ varimax(turned)).sum(), 100.0, atol=0.1))
    True
    """
    n = loadings.shape[1]
    gram = np.zeros((n, n))
    for tile in tiles(len(loadings)):
        gram += loadings[tile].T @ loadings[tile]

    def target(rotation: np.ndarray) -> np.ndarray:
        cubes, power = np.zeros((n, n)), np.zeros(n)
        turn = rotation.astype(loadings.dtype)
        for tile in tiles(len(loadings)):
            turned = loadings[tile] @ turn
            square = turned * turned
            power += square.sum(axis=0)
            cubes += loadings[tile].T @ (square * turned)
        power /= len(loadings)
        # the largest power keeps the iteration from overshooting and leaves its fixed points alone
        return cubes + gram @ rotation * (power.max() - power)

    return _rotation_towards(target, n, n_iterations if loadings.size else 0, tolerance)


def cubimax(loadings: np.ndarray, n_iterations: int = 200, tolerance: float = 1e-5) -> np.ndarray:
    """Find the rotation (k, k) with the largest sum of |cubes| of loadings (N, k).

    The columns of the loadings are first given equal norms. Fourth powers of raw loadings, as in
    varimax, reward a column that holds several assemblies; equal norms and cubes do so less. The
    sum is convex in the rotation, so no step lowers it.

    Examples
    --------
    >>> import numpy as np
    >>> sparse = np.kron(np.eye(2), np.ones((50, 1)))
    >>> turned = sparse @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> bool(np.isclose(np.abs(turned @ cubimax(turned)).sum(), 100.0, atol=0.1))
    True
    """
    n = loadings.shape[1]
    power = np.zeros(n)
    for tile in tiles(len(loadings)):
        power += (loadings[tile] ** 2).sum(axis=0)
    scale = (1.0 / np.sqrt(np.maximum(power, np.finfo(np.float32).tiny))).astype(loadings.dtype)

    def target(rotation: np.ndarray) -> np.ndarray:
        squares = np.zeros((n, n))
        turn = (scale[:, None] * rotation).astype(loadings.dtype)
        for tile in tiles(len(loadings)):
            turned = loadings[tile] @ turn
            squares += loadings[tile].T @ (np.abs(turned) * turned)
        return scale[:, None] * squares

    return _rotation_towards(target, n, n_iterations if loadings.size else 0, tolerance)


def two_means_threshold(values: np.ndarray, n_iterations: int = 30) -> np.ndarray:
    """Find the threshold between two clusters of every column, by k-means: (T, k) to (k,).

    It is half-way between the two means; Otsu (1979) has the same condition for the best threshold.

    Examples
    --------
    >>> two_means_threshold(np.array([[0.0], [0.2], [5.0]]))
    array([2.55])
    """
    threshold = 0.5 * (values.min(axis=0) + values.max(axis=0))
    for _ in range(n_iterations):
        above = values > threshold
        n_above = np.maximum(above.sum(axis=0), 1)
        n_below = np.maximum(len(values) - n_above, 1)
        upper = np.where(above, values, 0.0).sum(axis=0) / n_above
        lower = np.where(above, 0.0, values).sum(axis=0) / n_below
        threshold = 0.5 * (upper + lower)
    return threshold


def log_odds(count: np.ndarray, n_frames: np.ndarray | int) -> np.ndarray:
    """Return the log-odds of spikes counted in frames, with half a pseudo-spike on either side.

    Examples
    --------
    >>> float(log_odds(np.array(5), 10))
    0.0
    """
    return np.log((count + 0.5) / (n_frames - count + 0.5))


def find_linear_units(
    spikes: Spikes, n_hidden: int, l1: float, rng: np.random.Generator
) -> LinearUnits:
    """Find the sparse-rotated principal components above the noise edge, at most ``n_hidden``.

    Parameters
    ----------
    spikes : Spikes
    n_hidden : int
    l1 : float
        Penalty lambda: a neuron whose covariance with a unit is smaller does not follow it.
    rng : numpy.random.Generator

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> on = rng.random((500, 2)) < 0.3  # two groups of ten neurons
    >>> v = rng.random((500, 20)) < np.where(np.repeat(on, 10, axis=1), 0.7, 0.05)
    >>> units = find_linear_units(as_spikes(v), 5, 0.01, rng)
    >>> (units.rise > 1).sum(axis=0)
    array([10, 10])
    """
    return linear_units_of_members(spikes, rotated_components(spikes, n_hidden, rng), l1)


def rotated_components(spikes: Spikes, n_most: int, rng: np.random.Generator) -> np.ndarray:
    """Find the time courses (T, k) of the principal components above the noise, rotated.

    They have unit variance, and there are at most ``n_most``. Other parameters: see
    `find_linear_units`.
    """
    return rotated_courses(_StandardisedSpikes(spikes, spikes.by_neuron()), n_most, rng)


def rotated_courses(z: Standardised, n_most: int, rng: np.random.Generator) -> np.ndarray:
    """Find the same time courses (T, k) of any matrix with columns of unit variance."""
    n_frames, n_neurons = z.shape
    with threadpool_limits(1, "blas"):  # the number of BLAS threads may change sums
        times, loadings = _principal_components(z, n_most, rng)
        rotate = cubimax if n_neurons > n_frames else varimax
        rotation = rotate(loadings).astype(np.float32)
        # rotated time courses stay orthonormal: times sqrt(T) they have unit variance
        return times @ rotation * np.sqrt(np.float32(n_frames))


def nonnegative_factors(spikes: Spikes, n_factors: int, rng: np.random.Generator) -> np.ndarray:
    """Find the time courses (T, k) of a nonnegative factorisation of the spikes.

    They have unit variance; factors that are constant are left out. The factorisation is
    scikit-learn's NMF (Lee & Seung 1999).

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> v = np.repeat(np.eye(2), [3, 5], axis=1)[np.arange(40) % 2]
    >>> nonnegative_factors(as_spikes(v), 2, np.random.default_rng(0)).std(axis=0).round(3)
    array([1., 1.], dtype=float32)
    """
    from sklearn.decomposition import NMF

    seed = int(rng.integers(2**31))
    nmf = NMF(n_factors, init="nndsvda", max_iter=_FACTOR_ITERATIONS, random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is a start, and training goes on
        h = nmf.fit_transform(spikes.to_csr(np.float32))
    sd = h.std(axis=0)
    return (h[:, sd > 0] / sd[sd > 0]).astype(np.float32)


def linear_units_given_courses(spikes: Spikes, h: np.ndarray, l1: float) -> LinearUnits:
    """Tell how much every neuron follows time courses h (T, k) of unit variance.

    The sign of a course is turned so that its rare state is above. Other parameters: see
    `find_linear_units`.
    """
    n_frames, n_neurons = spikes.shape
    by_neuron, activity = spikes.by_neuron(), spikes.activity()
    h = h - h.mean(axis=0)
    h *= np.where((h**3).sum(axis=0) < 0, -1, 1).astype(np.float32)
    on = (h > two_means_threshold(h)).astype(np.float32)
    n_on = on.sum(axis=0)
    distance = (h * on).sum(axis=0) / np.maximum(n_on, 1) - (h * (1 - on)).sum(axis=0) / (
        np.maximum(n_frames - n_on, 1)
    )
    rise = np.empty((n_neurons, h.shape[1]), np.float32)
    for tile in tiles(n_neurons):
        count_on, p = by_neuron.sums(on, tile), activity[tile, None]
        count_off = p * n_frames - count_on
        difference = log_odds(count_on, n_on) - log_odds(count_off, n_frames - n_on)
        covariance = by_neuron.sums(h, tile) / n_frames
        slope = difference / np.maximum(distance, 1e-3)
        floor = np.maximum(l1, _NOISE_LIMIT * np.sqrt(p * (1.0 - p) / n_frames))
        rise[tile] = np.where(np.abs(covariance) > floor, slope, 0.0)
    return LinearUnits(h, rise)


def linear_units_of_members(spikes: Spikes, h: np.ndarray, l1: float) -> LinearUnits:
    """Find the neurons that follow time courses h (T, k), and the units anew from these alone.

    Units that no neuron follows are left out. Parameters: see `linear_units_given_courses`.
    """
    rise = linear_units_given_courses(spikes, h, l1).rise
    return linear_units_given_courses(spikes, courses_of_members(spikes, rise), l1)


def is_unlike(weights: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Say which units are unlike all others: weights (N, k) and (N, l) to (k,).

    Examples
    --------
    >>> is_unlike(np.array([[1.0, 0.0], [0.2, 1.0]]), np.array([[-3.0], [0.0]]))
    array([False,  True])
    """
    one, other = (of / np.maximum(np.linalg.norm(of, axis=0), 1e-9) for of in (weights, others))
    return np.abs(other.T @ one).max(axis=0, initial=0.0) < _ALIKE


def joined_units(units: LinearUnits, more: LinearUnits, n_most: int) -> LinearUnits:
    """Join units and those of others that are unlike all of them, ``n_most`` at most.

    Examples
    --------
    >>> units = LinearUnits(np.zeros((4, 1)), np.array([[1.0], [1.0], [0.0]]))
    >>> more = LinearUnits(np.ones((4, 2)), np.array([[1.0, 0.0], [1.0, 0.1], [0.2, 1.0]]))
    >>> joined_units(units, more, 5).rise
    array([[1. , 0. ],
           [1. , 0.1],
           [0. , 1. ]])
    """
    is_new = is_unlike(more.rise, units.rise)
    h, rise = (
        np.hstack([a, b[:, is_new]]) for a, b in ((units.h, more.h), (units.rise, more.rise))
    )
    return LinearUnits(h[:, :n_most], rise[:, :n_most])
