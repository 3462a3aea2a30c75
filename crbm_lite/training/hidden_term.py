r"""A second data term: values of the hidden units that count as data, beside frames of spikes.

Training then maximises

.. math:: F = (1 - s)\,\langle \log P(v) \rangle_{frames} + s\,\langle \log P(h) \rangle_{values}
          - \lambda \sum_{i\mu} |w_{i\mu}| ,

where both densities have the same Z, and

.. math:: \log P(h) = -\sum_\mu U_\mu(h_\mu) + \sum_i \log(1 + e^{g_i + \sum_\mu w_{i\mu} h_\mu})
          - \log Z .

A parameter's slope is (1 - s) times its mean with v given, plus s times its mean with h given, less
its mean over the model. So one set of chains serves both terms. With h given, an update draws v
from P(v|h): it has whole frames (v, h) more in its batch, and needs no other kernel. Both trainers
do so, the one on an accelerator by `crbm_lite.training.accelerator.update.joined_batch`.

The values fix the scale of h. Nothing is rescaled to Var(h) = 1, and the penalty has no kappa.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import scipy.sparse
from scipy.special import expit
from threadpoolctl import threadpool_limits

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.sample_visible import padded_chains, sample_v_given_h
from crbm_lite.core.spikes import Spikes, tiles
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.coordinates import gradient_in_coordinates
from crbm_lite.training.data_side import SLOPE, DataMeans, Tolerances, slopes_in_potential
from crbm_lite.training.parameters import TrainedParameters

__all__ = ["HiddenTerm", "MixedMeans", "joined_batch"]


@dataclass(frozen=True, eq=False)
class HiddenTerm:
    """Values of the hidden units, and how much they count.

    Parameters
    ----------
    h : ndarray, shape (T, M)
        Draws of h, such as those of another animal's model given its frames.
    share : float
        What log P(h) counts, above 0 and at most 1; log P(v) counts the rest.
    holds_potential : bool, default False
        Whether the potentials stay as they start.

    Examples
    --------
    >>> term = HiddenTerm(np.array([[1.0], [-3.0]]), share=0.5)
    >>> term.statistics[[kernels.MEAN, kernels.UP, kernels.DOWN_SQUARE]].ravel()
    array([-1. ,  0.5,  4.5])
    """

    h: np.ndarray
    share: float
    holds_potential: bool = False

    @cached_property
    def statistics(self) -> np.ndarray:
        """Means over all values, as the rows of `kernels.hidden_statistics`: (rows, M)."""
        up, down = np.maximum(self.h, 0.0), np.minimum(self.h, 0.0)
        means = np.zeros((kernels.N_STATISTICS, self.h.shape[1]))
        means[kernels.MEAN], means[kernels.SQUARE] = self.h.mean(axis=0), (self.h**2).mean(axis=0)
        means[kernels.UP], means[kernels.DOWN] = up.mean(axis=0), down.mean(axis=0)
        means[kernels.UP_SQUARE], means[kernels.DOWN_SQUARE] = (
            (up**2).mean(axis=0),
            (down**2).mean(axis=0),
        )
        return means

    def sha256(self) -> str:
        """Digest the values and how they count: 64 hexadecimal digits."""
        digest = sha256(repr((self.h.shape, self.share, self.holds_potential)).encode())
        digest.update(np.ascontiguousarray(self.h, "<f8"))
        return digest.hexdigest()

    def mixed(self, given_v: np.ndarray, given_h: np.ndarray) -> np.ndarray:
        """Weigh a mean with v given and the same mean with h given."""
        return (1.0 - self.share) * given_v + self.share * given_h

    def centre(self, activity: np.ndarray) -> np.ndarray:
        """Return what v is measured from in the coordinates of the weights, (N,).

        Weights that move in centred coordinates take the thetas with them. Where these must stay, v
        is measured from 0.
        """
        return np.zeros_like(activity) if self.holds_potential else activity

    def draw_h(self, n_frames: int, rng: np.random.Generator) -> np.ndarray:
        """Draw some of the values, (n_frames, M)."""
        return self.h[rng.integers(len(self.h), size=n_frames)]

    def draw(
        self, n_frames: int, chains: GibbsChains, fields: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw some of the values, and v given each of them.

        Parameters
        ----------
        n_frames : int
        chains : GibbsChains
            Its packed weights count.
        fields : ndarray of float32, shape (N,)
        rng : numpy.random.Generator

        Returns
        -------
        v : ndarray of uint8, shape (N, n_frames)
        h : ndarray, shape (n_frames, M)
        """
        h = self.draw_h(n_frames, rng)
        padded = padded_chains(n_frames)
        given = np.zeros((chains.n_hidden, padded), np.float32)
        given[:, :n_frames] = h.T
        v = np.zeros((chains.n_neurons, padded), np.uint8)
        inputs = np.empty((len(chains.partial_input), n_frames, chains.n_hidden), np.float32)
        key = rng.integers(2**64, dtype=np.uint64)
        sample_v_given_h(
            fields, chains.packed_rows, given, n_frames, chains.rows_per_tile, key, True, v, inputs
        )
        return v[:, :n_frames], h


def joined_batch(
    term: HiddenTerm, batch: kernels.Batch, v: np.ndarray, h: np.ndarray
) -> kernels.Batch:
    """Join a batch of data and whole frames (v, h), which count as the term says.

    Parameters
    ----------
    term : HiddenTerm
    batch : Batch
    v : ndarray of uint8, shape (N, n)
    h : ndarray, shape (n, M)
        Less the mean of h that ``batch.h`` is without, too.

    Examples
    --------
    >>> batch = kernels.Batch(np.array([0, 1, 1]), np.array([0], np.int32), np.array([[1.0]]),
    ...     np.array([1.0, 0.0]))
    >>> term = HiddenTerm(np.zeros((1, 1)), share=0.25)
    >>> joined = joined_batch(term, batch, np.array([[0, 1], [1, 1]]), np.array([[4.0], [8.0]]))
    >>> joined.starts, joined.frames, joined.h.ravel()
    (array([0, 2, 4]), array([0, 2, 1, 2], dtype=int32), array([0.75, 0.5 , 1.  ]))
    >>> joined.mean_v
    array([0.875, 0.25 ])
    """
    n_data, n_drawn = len(batch.h), len(h)
    spikes = np.ones(len(batch.frames), bool), batch.frames, batch.starts
    data = scipy.sparse.csr_array(spikes, shape=(len(v), n_data))
    both = scipy.sparse.hstack([data, scipy.sparse.csr_array(v != 0)], format="csr")
    return kernels.Batch(
        both.indptr.astype(np.int64),
        both.indices.astype(np.int32),
        np.concatenate([(1.0 - term.share) * batch.h, term.share * h / n_drawn]),
        term.mixed(batch.mean_v, v.mean(axis=1)),
    )


class MixedMeans:
    """Means over all frames and over all values of h: the data's side of a certificate.

    It stands where `crbm_lite.training.data_side.DataMeans` stands without a second term. The
    tolerances are those of the frames alone, since values of h have no standard errors of their
    own. Var(h) is free, and so are potentials that are held.

    At the optimum the model has the moments of a mixture: a share 1 - s of the data's frames, and a
    share s of frames from P(v|h) given the values. So its pair covariances are held against those
    of the mixture, too.

    Parameters
    ----------
    spikes : Spikes
    parameters : TrainedParameters
    term : HiddenTerm
    rng : numpy.random.Generator
        Draws the frames given h.

    Attributes
    ----------
    at, centre, activity, h_mean, variance, unit, variance_slope, tolerances
        As those of `DataMeans`; the activity and the slopes are mixed.
    """

    def __init__(
        self, spikes: Spikes, parameters: TrainedParameters, term: HiddenTerm,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        centre, self._rng = term.centre(spikes.activity()), rng
        self._frames, self._term = DataMeans(spikes, parameters, centre), term
        self._weights, self._fields = parameters.weights, parameters.fields
        own = self._frames
        self.at, self.centre, self.h_mean, self.variance = (
            own.at,
            own.centre,
            own.h_mean,
            own.variance,
        )
        mean_p, inputs_h, inputs_sum = self._given_h()
        self.activity = term.mixed(own.activity, mean_p)
        statistics = term.statistics
        gain = inputs_h - self.at.offset * statistics[kernels.MEAN]
        gain -= self.at.mean_h * (inputs_sum - self.at.offset)
        potential = gradient_in_coordinates(self.at.coordinates, slopes_in_potential(statistics))
        self.unit = term.mixed(own.unit, np.concatenate([potential, gain[None]]))
        self.variance_slope = np.zeros_like(own.variance_slope)
        self.tolerances = self._free(own.tolerances)

    def _free(self, tolerances: Tolerances) -> Tolerances:
        unit = tolerances.unit.copy()
        if self._term.holds_potential:
            unit[:SLOPE] = np.inf
        free = np.full_like(tolerances.variance, np.inf)
        return Tolerances(tolerances.weights, unit, tolerances.fields, free)

    def frames(self, neurons: np.ndarray) -> np.ndarray:
        """Return frames of the mixture of some neurons, (T, n) uint8: those given h in between."""
        data, share = self._frames.frames(neurons), self._term.share
        n_data, n_drawn = (
            round(len(data) * each / max(share, 1.0 - share)) for each in (1.0 - share, share)
        )
        p = self._probabilities(neurons, self._term.draw_h(n_drawn, self._rng))
        kept = np.arange(n_data) * len(data) // max(n_data, 1)
        both = np.concatenate([data[kept], self._rng.random(p.shape) < p])
        order = np.concatenate([np.linspace(0.0, 1.0, n) for n in (n_data, n_drawn)])
        return both[np.argsort(order, kind="stable")]

    def _probabilities(self, neurons: slice | np.ndarray, h: np.ndarray) -> np.ndarray:
        """P(v_i = 1 | h) of some neurons for values of h, (T, neurons)."""
        return expit(h @ self._weights[neurons].T.astype(np.float64) + self._fields[neurons])

    @threadpool_limits.wrap(limits=1, user_api="blas")  # BLAS threads may change sums
    def _given_h(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means of P(v|h), (N,), and of I h and I, (M,), over all values of h."""
        mean_p = np.empty(len(self._fields))
        inputs_h, inputs = np.zeros((2, self._weights.shape[1]))
        for tile in tiles(len(self._fields)):
            p, w = self._probabilities(tile, self._term.h), self._weights[tile].astype(np.float64)
            mean_p[tile] = p.mean(axis=0)
            inputs += mean_p[tile] @ w
            inputs_h += (w * (p.T @ self._term.h)).sum(axis=0) / len(p)
        return mean_p, inputs_h, inputs

    def covariances(self, tile: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of some neurons the mixed <(v - centre)(h - mean)>, and as `DataMeans` has them."""
        own, squared_error, slope = self._frames.covariances(tile)
        p = self._probabilities(tile, self._term.h) - self.centre[tile]
        h = self._term.h - self.at.mean_h
        return self._term.mixed(own, p.T @ h / len(h)), squared_error, np.zeros_like(slope)
