r"""The model's side of a certificate: averages over chains, their noise, and the time of mixing.

Chains are independent of each other, and frames of one chain are not. So the noise of an average
is read off differences between groups of chains. Sixteen groups have fifteen orthogonal contrasts,
half of the groups against the other half (the rows of a Hadamard matrix). Each of them is
an independent estimate of the noise. At whole-brain size an array of all weights is the unit of
memory. So one contrast is kept for each weight, another one for the next neuron: over the members
of a unit all fifteen count, also where one slow mode moves them all.

The integrated autocorrelation time tau of a unit follows from the spread of the chains' means. For
a correlation that decays exponentially their variance over n samples, as a share of the variance of
single samples, is :math:`x (1 - \tfrac{x}{2}(1 - e^{-2/x}))` with :math:`x = \tau / n`.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import hadamard

from crbm_lite.core.compilation import items_of, parallel_njit
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import tiles
from crbm_lite.core.vector_code import SPARE_PLACES, nonzero_places
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.data_side import UnitCoordinates
from crbm_lite.training.pair_covariances import chosen_neurons, co_active

__all__ = ["ModelMeans", "chain_contrasts", "mixing_time"]

_N_GROUPS = 16  # a power of two


def chain_contrasts(n_chains: int) -> np.ndarray:
    """Weigh chains so that the weighted sum of anything has the variance of its mean.

    Parameters
    ----------
    n_chains : int
        Chain c belongs to group c modulo 16, so that chains of one start are in all groups.

    Returns
    -------
    ndarray, shape (contrasts, n_chains)
        15 orthogonal contrasts, fewer for less than 16 chains.

    Examples
    --------
    >>> chain_contrasts(4)
    array([[ 0.25, -0.25,  0.25, -0.25],
           [ 0.25,  0.25, -0.25, -0.25],
           [ 0.25, -0.25, -0.25,  0.25]])
    """
    n_groups = min(2 ** int(np.log2(n_chains)), _N_GROUPS)
    is_plus = hadamard(n_groups)[1:, np.arange(n_chains) % n_groups] > 0
    n_plus = is_plus.sum(axis=1, keepdims=True)
    n_minus = n_chains - n_plus
    return np.where(is_plus, 1.0 / n_plus, -1.0 / n_minus) * np.sqrt(n_plus * n_minus) / n_chains


def mixing_time(share: np.ndarray, n_samples: int) -> np.ndarray:
    """Integrated autocorrelation time, in samples, by the spread of the chains' means.

    Parameters
    ----------
    share : ndarray
        Variance of the means of chains over the variance of single samples.
    n_samples : int
        Samples of each chain.

    Examples
    --------
    >>> mixing_time(np.array([0.01, 0.5677]), 1000).round()
    array([  10., 1000.])
    """
    x = np.geomspace(1e-6, 1e3, 2000)
    return n_samples * np.interp(share, x * (1.0 + 0.5 * x * np.expm1(-2.0 / x)), x)


@parallel_njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _add_spikes(thread, v, n_chains, h, signs, counts, sums, contrasts):
    """Add what the spikes of one sample of the chains give, neuron by neuron.

    Parameters
    ----------
    v : uint8 (N, padded chains)
    n_chains : int
    h : float32 (chains, M)
    signs : float32 (K, chains)
        Contrasts; neuron i has that of number i modulo K.
    counts : int64 (N, groups)
        Spikes by groups of chains.
    sums, contrasts : float32 (N, M)
        Sums over spikes of h, and of h times the neuron's contrast.
    """
    n_hidden, n_groups = h.shape[1], counts.shape[1]
    active = np.empty(v.shape[1] + SPARE_PLACES, np.int64)
    for i in items_of(thread, v.shape[0]):
        total, contrast, sign = sums[i], contrasts[i], signs[i % signs.shape[0]]
        for k in range(nonzero_places(v[i : i + 1], n_chains, active)):
            chain = active[k]
            counts[i, chain % n_groups] += 1
            h_row, s = h[chain], sign[chain]
            for mu in range(n_hidden):
                total[mu] += h_row[mu]
                contrast[mu] += s * h_row[mu]


class ModelMeans:
    """Average what chains generate, and find the noise of the averages.

    Parameters
    ----------
    n_neurons, n_hidden, n_chains : int
    coordinates : UnitCoordinates
        Those of the model.

    Attributes
    ----------
    h : ndarray, shape (M,)
        <h - mean>.
    unit : ndarray, shape (5, M)
        Means of `UnitCoordinates.statistics`.
    h_contrasts, unit_contrasts : ndarray, shapes (K, M), (K, 5, M)
        Contrasts of these.
    neurons : ndarray of int, shape (n,)
        Some neurons whose pairs are looked at.
    co_active : ndarray of float32, shape (n, n)
        In how many samples two of them spike.
    n_saved : int
        Samples of each chain.
    n_samples : int
        Samples of all chains together.
    n_steps : int
        Gibbs steps that each chain took while its samples were saved.
    """

    def __init__(
        self, n_neurons: int, n_hidden: int, n_chains: int, coordinates: UnitCoordinates
    ) -> None:
        self.contrasts, self._coordinates = chain_contrasts(n_chains), coordinates
        n_contrasts = len(self.contrasts)
        self._signs = self.contrasts.astype(np.float32)
        # sums of v by group of chains, of v (h - mean), and of this times one contrast
        self._counts = np.zeros((n_neurons, n_contrasts + 1), np.int64)
        self._vh, self._vh_contrast = np.zeros((2, n_neurons, n_hidden), np.float32)
        self.h, self.unit = np.zeros(n_hidden), np.zeros((5, n_hidden))
        self.h_contrasts = np.zeros((n_contrasts, n_hidden))
        self.unit_contrasts = np.zeros((n_contrasts, 5, n_hidden))
        self.neurons = chosen_neurons(n_neurons)
        self.co_active = np.zeros((len(self.neurons), len(self.neurons)), np.float32)
        self._h_of_chains = np.zeros((n_chains, n_hidden))
        self._h_square = np.zeros(n_hidden)
        self.n_saved = self.n_samples = self.n_steps = 0

    def add(self, chains: GibbsChains, n_steps: int) -> None:
        """Take the states of the chains, ``n_steps`` after the last ones, into the averages."""
        n, inputs, at = chains.n_chains, chains.inputs(), self._coordinates
        out = kernels.hidden_statistics(inputs, at.potential, at.mean_h)
        h = out[kernels.MEAN] - at.mean_h
        unit = at.statistics(out, inputs)
        self.n_saved, self.n_samples = self.n_saved + 1, self.n_samples + n
        self.n_steps += n_steps
        share = 1.0 / self.n_saved
        self.co_active += co_active(chains.v[self.neurons, :n].T)
        self._h_of_chains += share * (h - self._h_of_chains)
        self._h_square += share * (np.square(h).mean(axis=0) - self._h_square)
        self.h += share * (h.mean(axis=0) - self.h)
        self.h_contrasts += share * (self.contrasts @ h - self.h_contrasts)
        self.unit += share * (unit.mean(axis=1) - self.unit)
        of_unit = np.tensordot(self.contrasts, unit, (1, 1))
        self.unit_contrasts += share * (of_unit - self.unit_contrasts)
        _add_spikes(
            chains.v, n, h.astype(np.float32), self._signs,
            self._counts, self._vh, self._vh_contrast,
        )  # fmt: skip

    @property
    def v(self) -> np.ndarray:
        """<v>, (N,)."""
        return self._counts.sum(axis=1) / max(self.n_samples, 1)

    @property
    def v_contrasts(self) -> np.ndarray:
        """Contrasts of <v>, (K, N)."""
        of_groups = self.contrasts[:, : self._counts.shape[1]]
        return of_groups @ self._counts.T / max(self.n_saved, 1)

    def _contrast_of(self, neurons: slice) -> np.ndarray:
        """Number of the contrast that is kept for the weights of each neuron."""
        return np.arange(neurons.start, neurons.stop) % len(self.contrasts)

    def covariances(self, tile: slice, activity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return <(v - activity)(h - mean)> of some neurons, and a contrast of it."""
        p = activity[tile, None]
        vh, contrast = self._vh[tile] / self.n_samples, self._vh_contrast[tile] / self.n_saved
        return vh - p * self.h, contrast - p * self.h_contrasts[self._contrast_of(tile)]

    def weight_noise(
        self, weights: np.ndarray, activity: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Noise of `covariances`, RMS over the weights of a unit that are not zero, and that are.

        Both have the shape (M,).
        """
        squares, counts = np.zeros((2, 2, weights.shape[1]))
        for tile in tiles(len(weights)):
            square = self.covariances(tile, activity)[1].astype(np.float64) ** 2
            for k, some in enumerate((weights[tile] != 0, weights[tile] == 0)):
                squares[k] += np.where(some, square, 0.0).sum(axis=0)
                counts[k] += some.sum(axis=0)
        return tuple(np.sqrt(squares / np.maximum(counts, 1)))

    def mixing_times(self) -> np.ndarray:
        """Integrated autocorrelation time of each unit's E[h|v] in Gibbs steps, (M,)."""
        n_chains = len(self._h_of_chains)
        between = self._h_of_chains.var(axis=0) * n_chains / max(n_chains - 1, 1)
        within = self._h_square - self.h**2
        share = np.divide(between, within, out=np.zeros_like(between), where=within > 1e-12)
        return mixing_time(share, self.n_saved) * self.n_steps / max(self.n_saved, 1)
