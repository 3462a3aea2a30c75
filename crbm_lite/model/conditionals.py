r"""What a cRBM with given parameters says: conditionals, energies, the partition function.

.. math::

    E(v,h) = -\sum_i g_i v_i + \sum_\mu U_\mu(h_\mu) - \sum_{i\mu} w_{i\mu} v_i h_\mu,
    \qquad P(v,h) = e^{-E(v,h)}/Z

with the conditionals P(h|v) (Eq. 8) and P(v|h) (Eq. 11), the free energy
:math:`F(v) = -g \cdot v - \sum_\mu \Gamma_\mu(I_\mu)` with :math:`I = vW`, and log Z. The methods
are those of `crbm_lite.CRBM`.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted

from crbm_lite.core import partition
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes

POTENTIALS = ("gamma_plus", "gamma_minus", "theta_plus", "theta_minus")


class Conditionals:
    """The part of `crbm_lite.CRBM` that reads its parameters.

    Attributes
    ----------
    weights_ : ndarray, shape (N, M)
    fields_ : ndarray, shape (N,)
    gamma_plus_, gamma_minus_, theta_plus_, theta_minus_ : ndarray, shape (M,)
        Eq. 13.
    n_features_in_ : int
        N.
    """

    @property
    def units(self) -> DReLU:
        """The hidden units' potentials."""
        check_is_fitted(self, "weights_")
        return DReLU(*(getattr(self, f"{name}_") for name in POTENTIALS))

    def hidden_input(self, v: object) -> np.ndarray:
        """I = vW, shape (T, M), float64."""
        check_is_fitted(self, "weights_")
        return as_spikes(v, n_neurons=self.n_features_in_).inputs(self.weights_)

    def mean_h_given_v(self, v: object) -> np.ndarray:
        """E[h|v] (Eq. 8), shape (T, M)."""
        return self.units.mean(self.hidden_input(v))

    def transform(self, v: object) -> np.ndarray:
        """Alias of ``mean_h_given_v``."""
        return self.mean_h_given_v(v)

    def var_h_given_v(self, v: object) -> np.ndarray:
        """Var[h|v], shape (T, M)."""
        return self.units.variance(self.hidden_input(v))

    def sample_h_given_v(self, v: object, rng: np.random.Generator) -> np.ndarray:
        """Draws of P(h|v), shape (T, M)."""
        return self.units.sample(self.hidden_input(v), rng)

    def mean_v_given_h(self, h: np.ndarray) -> np.ndarray:
        """P(v_i = 1 | h) (Eq. 11), shape (T, N)."""
        h = np.atleast_2d(np.asarray(h, dtype=np.float64))
        if h.shape[-1] != self.units.n_hidden:
            raise ValueError(f"h must have shape (T, {self.units.n_hidden}), got {h.shape}.")
        inputs = h @ self.weights_.T + self.fields_
        return 0.5 * (1.0 + np.tanh(0.5 * inputs))

    def sample_v_given_h(self, h: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws of P(v|h), shape (T, N), uint8."""
        p = self.mean_v_given_h(h)
        return (rng.random(p.shape) < p).astype(np.uint8)

    def reconstruct(self, v: object) -> np.ndarray:
        """E[v | E[h|v]], shape (T, N): the probabilities that nLLH scores."""
        return self.mean_v_given_h(self.mean_h_given_v(v))

    def energy(self, v: object, h: np.ndarray) -> np.ndarray:
        """E(v, h), shape (T,)."""
        spikes = as_spikes(v, n_neurons=self.n_features_in_)
        h = np.asarray(h, dtype=np.float64)
        if h.shape != (spikes.n_frames, self.units.n_hidden):
            raise ValueError(
                f"h must have shape {(spikes.n_frames, self.units.n_hidden)}, got {h.shape}."
            )
        interaction = (spikes.inputs(self.weights_) * h).sum(axis=1)
        return (
            self.units.potential(h).sum(axis=1) - spikes.to_csr(float) @ self.fields_ - interaction
        )

    def free_energy(self, v: object) -> np.ndarray:
        """F(v) = -g.v - sum_mu Gamma_mu(I_mu), so that P(v) = exp(-F(v))/Z; shape (T,)."""
        units = self.units
        spikes = as_spikes(v, n_neurons=self.n_features_in_)
        cumulants = units.cumulant(spikes.inputs(self.weights_)).sum(axis=1)
        return -(spikes.to_csr(float) @ self.fields_) - cumulants

    def log_partition(
        self,
        method: str = "exact",
        *,
        n_chains: int = 200,
        n_temperatures: int = 1000,
        random_state: int | np.random.Generator | None = None,
    ) -> float:
        """Log Z: exactly, by enumeration (N <= 22), or by annealed importance sampling.

        Raises
        ------
        ValueError
            For another method, or for too many neurons to enumerate.
        """
        units = self.units
        if method == "exact":
            energies = -self.free_energy(partition.all_states(self.n_features_in_))
            top = energies.max()
            return float(top + np.log(np.exp(energies - top).sum()))
        if method == "ais":
            rng = np.random.default_rng(random_state)
            options = {"n_chains": n_chains, "n_temperatures": n_temperatures}
            return partition.log_partition_ais(self.weights_, self.fields_, units, rng, **options)[
                0
            ]
        raise ValueError(f'method must be "exact" or "ais", got {method!r}.')
