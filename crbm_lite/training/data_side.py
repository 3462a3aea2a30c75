r"""The data's side of a certificate: statistics of all frames, their standard errors, tolerances.

Frames that follow each other are alike, so standard errors come from twenty blocks of frames. With
x_b the sum over a block of a statistic less its mean, the variance of the mean over T frames is
:math:`\frac{B}{B-1} \sum_b x_b^2 / T^2`.

A residual is tolerated up to one standard error of the data's statistic, or up to 5 % of what the
statistic amounts to, whichever is more. One standard error is what another recording of the same
length would change; an optimum found more exactly would be no truer. A long recording has smaller
standard errors than anything that one does with a model can tell, hence the 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from crbm_lite.core.reference import LEAST_GAMMA
from crbm_lite.core.spikes import Spikes, SpikesByNeuron, frames_given_neuron, tiles, weight_sums
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.coordinates import (
    ETA,
    LOG_GAMMA,
    coordinates_given_potential,
    gradient_in_coordinates,
)
from crbm_lite.training.parameters import TrainedParameters

__all__ = ["DataMeans", "Tolerances", "UnitCoordinates", "slopes_in_potential"]

STANDARD_ERRORS, SHARE = 1.0, 0.05  # tolerated, see above
_N_BLOCKS = 20
# beyond these a potential is at its bound, where its slope need not vanish
_FREE_ASYMMETRY = 0.9
_FREE_LOG_GAMMA = np.log(1.05 * LEAST_GAMMA)
SLOPE = 4  # row of the statistics of a unit; those before are the potential's


def slopes_in_potential(out: np.ndarray) -> np.ndarray:
    """Slopes of log P(v), or with h given of log P(h), in the four numbers of Eq. 13: (4, ..., M).

    `out` holds the rows of `crbm_lite.training.update_kernels.hidden_statistics`.
    """
    return np.stack(
        [
            -0.5 * out[kernels.UP_SQUARE],
            -0.5 * out[kernels.DOWN_SQUARE],
            -out[kernels.UP],
            -out[kernels.DOWN],
        ]
    )


class UnitCoordinates:
    """Statistics of hidden units whose means over data and model are the same at the optimum.

    Parameters
    ----------
    parameters : TrainedParameters
    centre : ndarray, shape (N,)
        What v is measured from: its mean over the data.

    Attributes
    ----------
    potential, coordinates : ndarray, shape (4, M)
        Eq. 13's numbers, and those of `crbm_lite.training.coordinates`.
    offset, size, mean_h : ndarray, shape (M,)
        W' centre, the sum of |w|, and about the mean of h over the data.
    """

    def __init__(self, parameters: TrainedParameters, centre: np.ndarray) -> None:
        self.potential, self.mean_h = parameters.potential, parameters.mean_h
        self.offset, self.size = weight_sums(centre, parameters.weights)
        self.coordinates = coordinates_given_potential(parameters.potential, self.offset)

    def statistics(self, out: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Slopes of log P(v) in the coordinates, and (I - <I>)(h - <h>): (5, frames, M).

        The last is the slope along the unit's own weights. It tells whether these are too large
        altogether better than their single slopes do.
        """
        slopes = gradient_in_coordinates(self.coordinates, slopes_in_potential(out))
        slope = (inputs - self.offset) * (out[kernels.MEAN] - self.mean_h)
        return np.concatenate([slopes, slope[None]])


@dataclass(frozen=True)
class Tolerances:
    """What residuals have to stay below.

    Attributes
    ----------
    weights : ndarray, shape (M,)
        Root mean square over the weights of a unit that are not zero.
    unit : ndarray, shape (5, M)
        Of the statistics of `UnitCoordinates`; infinite where a potential is at its bound.
    fields : ndarray, shape (N,)
        Of <v>; infinite for neurons that never or always spike.
    variance : ndarray, shape (M,)
        Of Var(h).
    """

    weights: np.ndarray
    unit: np.ndarray
    fields: np.ndarray
    variance: np.ndarray


class DataMeans:
    """Means over all frames, and their standard errors.

    Parameters
    ----------
    spikes : Spikes
    parameters : TrainedParameters
    centre : ndarray, shape (N,), optional
        What v is measured from in the coordinates of the weights; the activity by default.

    Attributes
    ----------
    at : UnitCoordinates
    centre, activity : ndarray, shape (N,)
    h_mean, variance : ndarray, shape (M,)
        Mean of h less ``parameters.mean_h``, and Var(h).
    unit, variance_slope : ndarray, shape (5, M)
        Means of `UnitCoordinates.statistics`, and the slopes of Var(h) in the same coordinates.
    tolerances : Tolerances
    """

    @threadpool_limits.wrap(limits=1, user_api="blas")  # BLAS threads may change sums
    def __init__(
        self, spikes: Spikes, parameters: TrainedParameters, centre: np.ndarray | None = None
    ) -> None:
        self._n_frames, n, m = spikes.n_frames, *parameters.weights.shape
        self._spikes = spikes
        self.activity = spikes.activity()
        self.centre = self.activity if centre is None else centre
        self.at = at = UnitCoordinates(parameters, self.centre)
        self._h, self._q = np.empty((2, spikes.n_frames, m), np.float32)
        edges = np.linspace(0, spikes.n_frames, min(_N_BLOCKS, spikes.n_frames) + 1).astype(int)
        self._blocks = [slice(a, b) for a, b in zip(edges, edges[1:])]
        block_of = np.repeat(np.arange(len(self._blocks)), np.diff(edges))
        sums, squares = np.zeros((len(self._blocks), 8, m)), np.zeros((5, m))
        slopes = np.zeros((5, m))
        for some, inputs in spikes.input_tiles(parameters.weights):
            out = kernels.hidden_statistics(inputs, at.potential, at.mean_h)
            unit, h = at.statistics(out, inputs), out[kernels.MEAN] - at.mean_h
            square = out[kernels.SQUARE] - 2.0 * at.mean_h * out[kernels.MEAN] + at.mean_h**2
            self._h[some], self._q[some] = h, out[kernels.VAR_I]
            in_block = (block_of[some] == np.arange(len(sums))[:, None]).astype(np.float64)
            extra = np.stack([h, square, inputs - at.offset])
            sums += np.tensordot(in_block, np.concatenate([unit, extra]), (1, 1))
            squares += np.square(unit).sum(axis=1)
            slopes[:SLOPE] += out[kernels.VAR_GAMMA_PLUS :].sum(axis=1)
            slopes[SLOPE] += ((inputs - at.offset) * out[kernels.VAR_I]).sum(axis=0)
        total = sums.sum(axis=0) / spikes.n_frames
        self.unit, self.h_mean = total[:5], total[5]
        self.variance = total[6] - self.h_mean**2
        slopes[:SLOPE] = gradient_in_coordinates(at.coordinates, slopes[:SLOPE])
        self.variance_slope = slopes / spikes.n_frames
        # the mean of h is one of the data's numbers, too
        sums[:, SLOPE] -= self.h_mean * sums[:, 7]
        sums[:, 6] -= 2.0 * self.h_mean * sums[:, 5]
        error = self._standard_error(sums)
        self._by_neuron = self._transposed_blocks(spikes, n)
        spikes_of_blocks = np.stack([np.diff(x.neuron_starts) for x in self._by_neuron])
        activity_error = self._standard_error(spikes_of_blocks.astype(np.float64))
        self.tolerances = self._tolerances(parameters, squares, error, activity_error)

    def _transposed_blocks(self, spikes: Spikes, n_neurons: int) -> list[SpikesByNeuron]:
        given = (spikes.frame_starts, spikes.neurons)
        return [
            SpikesByNeuron(*frames_given_neuron(*given, np.arange(b.start, b.stop), n_neurons))
            for b in self._blocks
        ]

    def _standard_error(self, sums: np.ndarray) -> np.ndarray:
        """Standard error of a mean over frames by the sums of blocks (B, ...)."""
        n_frames = np.array([b.stop - b.start for b in self._blocks], np.float64)
        share = n_frames.reshape(-1, *[1] * (sums.ndim - 1)) / self._n_frames
        x = sums - share * sums.sum(axis=0)
        return np.sqrt(np.square(x).sum(axis=0) * len(x) / max(len(x) - 1, 1)) / self._n_frames

    def frames(self, neurons: np.ndarray) -> np.ndarray:
        """Return all frames of some neurons, (T, n) uint8."""
        return self._spikes.of_neurons(neurons)

    def covariances(self, tile: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of some neurons <(v - c)(h - mean)>, its squared standard error, <(v - c) q>.

        c is the centre.
        """
        p, shape = self.centre[tile, None], (tile.stop - tile.start, self._h.shape[1])
        total, square, slope = np.zeros((3, *shape))
        for block, by_neuron in zip(self._blocks, self._by_neuron):
            n_frames, h = block.stop - block.start, self._h[block]
            n_spikes = np.diff(by_neuron.neuron_starts[tile.start : tile.stop + 1])[:, None]
            x = by_neuron.sums(h, tile) - p * h.sum(axis=0, dtype=np.float64)
            total += x
            square += np.square(x - self.h_mean * (n_spikes - p * n_frames))
            q = self._q[block]
            slope += by_neuron.sums(q, tile) - p * q.sum(axis=0, dtype=np.float64)
        n, n_blocks = self._n_frames, len(self._blocks)
        variance = (square - total**2 / n_blocks) * n_blocks / max(n_blocks - 1, 1) / n**2
        return total / n, np.maximum(variance, 0.0), slope / n

    def _tolerances(
        self, parameters: TrainedParameters, squares: np.ndarray, error: np.ndarray,
        activity_error: np.ndarray,
    ) -> Tolerances:  # fmt: skip
        p, weights = self.activity, parameters.weights
        count, variance, power = np.zeros((3, weights.shape[1]))
        for tile in tiles(len(weights)):
            on = weights[tile] != 0
            covariance, squared_error, _ = self.covariances(tile)
            count += on.sum(axis=0)
            variance += np.where(on, squared_error, 0.0).sum(axis=0)
            power += np.where(on, covariance**2, 0.0).sum(axis=0)
        count = np.maximum(count, 1)
        spread = np.sqrt(np.maximum(squares / self._n_frames - self.unit**2, 0.0))
        spread[SLOPE] = np.abs(self.unit[SLOPE])
        unit = _tolerated(error[:5], spread)
        unit[ETA, np.abs(self.at.coordinates[ETA]) > _FREE_ASYMMETRY] = np.inf
        unit[LOG_GAMMA, self.at.coordinates[LOG_GAMMA] < _FREE_LOG_GAMMA] = np.inf
        return Tolerances(
            weights=_tolerated(np.sqrt(variance / count), np.sqrt(power / count)),
            unit=unit,
            fields=np.where((p > 0) & (p < 1), _tolerated(activity_error, p), np.inf),
            variance=_tolerated(error[6], 1.0),
        )


def _tolerated(error: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The most that is tolerated: see the head of this module."""
    return np.maximum(STANDARD_ERRORS * error, SHARE * size)
