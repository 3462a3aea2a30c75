"""Gibbs chains of which every one has its own drive c, the input that the past adds.

P(v, h | past) is the cRBM with I + c in place of I = vW. The chains of `crbm_lite.core.gibbs` keep
their inputs as shares of tiles of neurons, which a step sums. The drive is one share more, which no
step writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.temporal.equilibrium import EquilibriumSample

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["DrivenChains", "chains_given_weights"]


class DrivenChains:
    """One chain for every frame, under the drive of the frame.

    Parameters
    ----------
    weights : (N, M) array
    fields : (N,) array
    units : DReLU
    drive : (T, M) array
        c of every chain.
    spikes : (T, N) array of 0 and 1
        Where the chains start.
    seed : int

    Examples
    --------
    >>> silent = DReLU([1.0], [1.0], [0.0], [0.0])
    >>> chains = DrivenChains(np.ones((2, 1)), np.zeros(2), silent, [[99.0]], [[0, 0]], 0)
    >>> chains.step(1)
    >>> chains.spikes()
    array([[1, 1]], dtype=uint8)
    """

    def __init__(
        self,
        weights: np.ndarray,
        fields: np.ndarray,
        units: DReLU,
        drive: np.ndarray,
        spikes: np.ndarray,
        seed: int,
    ) -> None:
        self._weights = np.ascontiguousarray(weights, np.float32)
        self._fields = np.asarray(fields, np.float32)
        self.units = units
        spikes = np.asarray(spikes, np.uint8)
        self._gibbs = GibbsChains(*self._weights.shape, len(spikes), seed, jump_every=0)
        self._gibbs.set_weights(self._weights)
        tiles = self._gibbs.partial_input
        self._gibbs.partial_input = np.concatenate([tiles, np.zeros_like(tiles[:1])])
        self.set_drive(drive)
        self._gibbs.set_spikes(spikes)

    def set_drive(self, drive: np.ndarray) -> None:
        """Give every chain another drive, (T, M)."""
        self._gibbs.partial_input[-1] = drive

    def step(self, n_steps: int) -> None:
        """Advance every chain by ``n_steps`` Gibbs steps."""
        self._gibbs.step(n_steps, self._weights, self._fields, self.units.parameters)

    def spikes(self) -> np.ndarray:
        """Copy the chains' spikes, (T, N) uint8."""
        return self._gibbs.spikes()

    def inputs(self) -> np.ndarray:
        """Sum the inputs I + c of the chains, (T, M) float64."""
        return self._gibbs.inputs()


def chains_given_weights(
    model: CRBM,
    drive: np.ndarray,
    weights: np.ndarray,
    sample: EquilibriumSample,
    rng: np.random.Generator,
) -> DrivenChains:
    """Start one chain for each drive at a draw that is chosen by its importance weight.

    So every chain starts in a well that its drive makes likely, whatever its frame was before.

    Parameters
    ----------
    model : CRBM
    drive : (T, M) float64
    weights : (T, S) float64
        As `crbm_lite.temporal.equilibrium.tilt` gives them.
    sample : EquilibriumSample
    rng : numpy.random.Generator
    """
    chances = weights.cumsum(axis=1)
    level = rng.random((len(drive), 1)) * chances[:, -1:]
    start = sample.spikes((chances < level).sum(axis=1))
    seed = int(rng.integers(2**63))
    return DrivenChains(model.weights_, model.fields_, model.units, drive, start, seed)
