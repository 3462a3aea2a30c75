r"""Assemblies that a model leaves over: components of what it does not explain.

Under a cRBM the spikes are independent given h. So if h is drawn from P(h|v), the residuals

.. math:: r_{ti} = v_{ti} - P(v_i = 1 \mid h_t)

of two neurons are uncorrelated where the data follow the model. What the model lacks is left in
them, without the noise of what it has: principal components of the residuals above the noise edge
are assemblies that no hidden unit stands for. The mean of h would not do, since it knows v_i.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from threadpoolctl import threadpool_limits

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import Spikes, evenly_spread, tiles
from crbm_lite.training.linear_units import leading_subspace, rotated_courses

__all__ = ["residual_courses"]

_MOST_ENTRIES = 50_000_000  # of the residuals, 200 MB; of more, some neurons stand for all
_N_FLIPPED = 4  # draws of all signs, for the edge of the noise
_BLOCK, _POWER_ITERATIONS = 20, 40  # what is left over is near the noise


class _Residuals:
    """Standardised residuals Z (T, n), as `rotated_courses` needs them; ``rng`` draws signs."""

    n_iterations = _POWER_ITERATIONS

    def __init__(self, z: np.ndarray, rng: np.random.Generator) -> None:
        self.shape, self._z, self._rng = z.shape, z, rng

    def dot(self, x: np.ndarray) -> np.ndarray:
        return self._z @ x

    def transposed_dot(self, y: np.ndarray) -> np.ndarray:
        return self._z.T @ y

    def n_above_noise(self, singular: np.ndarray) -> int:
        """Count the components above those of residuals with random signs.

        Residuals differ in size from frame to frame, so no edge is known by formula. Signs that are
        flipped at random keep all sizes (Hong, Sheng & Dobriban 2020).
        """
        of_noise = [self._flipped()._largest_singular() for _ in range(_N_FLIPPED)]
        return int((singular > max(of_noise)).sum())

    def _flipped(self) -> _Residuals:
        flip = self._rng.integers(2, size=self.shape, dtype=np.uint8).astype(bool)
        return _Residuals(np.where(flip, -self._z, self._z), self._rng)

    def _largest_singular(self) -> float:
        projected = self.transposed_dot(leading_subspace(self, _BLOCK, self._rng))
        return float(np.linalg.svd(projected, compute_uv=False)[0])


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
    return rotated_courses(_Residuals(z, rng), n_most, rng)
