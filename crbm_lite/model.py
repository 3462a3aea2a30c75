r"""The compositional Restricted Boltzmann Machine as a scikit-learn estimator.

.. math::

    E(v,h) = -\sum_i g_i v_i + \sum_\mu U_\mu(h_\mu) - \sum_{i\mu} w_{i\mu} v_i h_\mu,
    \qquad P(v,h) = e^{-E(v,h)}/Z

with binary neurons v (T, N), real hidden units h (T, M) and dReLU potentials U (Eq. 13). The
marginal is
:math:`\log P(v) = g \cdot v + \sum_\mu \Gamma_\mu(I_\mu) - \log Z` with :math:`I = vW`.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from crbm_lite import hyperparameters, partition, storage
from crbm_lite.drelu import DReLU
from crbm_lite.sampler import GibbsChains
from crbm_lite.spikes import SpikesError, as_spikes

_PILOT_CHAINS, _PILOT_STEPS = 64, 50
_POTENTIALS = ("gamma_plus", "gamma_minus", "theta_plus", "theta_minus")


class CRBM(TransformerMixin, BaseEstimator):
    """Compositional Restricted Boltzmann Machine.

    Parameters
    ----------
    n_hidden : int
        Number of hidden units M.
    l1 : float
        Penalty lambda on sum |w| under Var(h) = 1.
    n_updates, batch_size, n_chains, n_gibbs : int
        Gradient updates; frames a batch; persistent chains; Gibbs steps an update.
    learning_rate, final_learning_rate, decay_start : float
        RMSprop's learning rate, constant for the share ``decay_start`` of the updates, then
        decaying geometrically to the final one.
    beta2, epsilon : float
        RMSprop's averaging and its floor.
    init : {"pca", "random"}
        Warm start from sparse-rotated principal components (falls back to random where it does not
        reproduce the data's activity), or small random weights.
    jump_every : int
        Gibbs steps from one sweep of jumps between the hidden units' wells to the next; 0: none.
    ramp : float
        Share of the updates over which lambda is raised from zero.
    random_state : int, numpy.random.Generator or None
        Same seed and data give the same bits for any number of threads.
    progress : bool
        Show a progress bar.

    Attributes
    ----------
    weights_ : ndarray of float32, shape (N, M)
    fields_ : ndarray, shape (N,)
    gamma_plus_, gamma_minus_, theta_plus_, theta_minus_ : ndarray, shape (M,)
    verdict_ : str
        "converged", "not converged", "collapsed" or "diverged".
    converged_ : bool
    certificate_ : Certificate
        Stationarity and what failed.
    history_ : History
        Monitors of the run.
    chains_ : ndarray of uint8, shape (n_chains, N)
        Spikes of the chains at the end.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> model = CRBM.from_parameters(np.eye(2), [-1.0, -1.0], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> model.mean_h_given_v(np.array([[1, 0]]))
    array([[1., 0.]])
    """

    def __init__(
        self,
        n_hidden: int = 200,
        l1: float = 0.02,
        n_updates: int = 200_000,
        batch_size: int = 100,
        n_chains: int = 100,
        n_gibbs: int = 15,
        learning_rate: float = 5e-3,
        final_learning_rate: float = 1e-5,
        decay_start: float = 0.25,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        init: str = "pca",
        jump_every: int = 3,
        ramp: float = 0.0,
        random_state: int | np.random.Generator | None = None,
        progress: bool = True,
    ) -> None:
        self.n_hidden = n_hidden
        self.l1 = l1
        self.n_updates = n_updates
        self.batch_size = batch_size
        self.n_chains = n_chains
        self.n_gibbs = n_gibbs
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.decay_start = decay_start
        self.beta2 = beta2
        self.epsilon = epsilon
        self.init = init
        self.jump_every = jump_every
        self.ramp = ramp
        self.random_state = random_state
        self.progress = progress

    def __sklearn_tags__(self) -> object:
        """What scikit-learn may feed: sparse matrices too, and the dtype is not kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # ------------------------------------------------------------------ training

    def fit(self, v: object, y: None = None) -> CRBM:
        """Train on spikes v (T, N): bool, uint8 or 0/1 numbers, scipy.sparse, or a Recording.

        Raises
        ------
        ValueError
            If v is not binary, is empty, never spikes, or has fewer frames than a batch; if a
            hyperparameter is impossible.

        Warns
        -----
        ConvergenceWarning
            If the verdict is not "converged".
        """
        from tqdm.auto import tqdm

        from crbm_lite.fitting import train

        schedule = hyperparameters.checked_schedule(self)
        spikes = as_spikes(v)
        hyperparameters.check_recording(spikes, self.batch_size)
        seed = int(np.random.default_rng(self.random_state).integers(2**63))
        with tqdm(total=self.n_updates, disable=not self.progress, unit="update") as bar:
            result = train(spikes, self.n_hidden, schedule, self.init, seed, bar)
        self._set_parameters(result.weights, result.fields, *result.potential)
        self.chains_ = result.chains
        self.history_ = result.history
        self.certificate_ = result.certificate
        self.verdict_ = result.verdict
        self.converged_ = result.verdict == "converged"
        if not self.converged_:
            reasons = "; ".join(result.certificate.failed) or "; ".join(result.history.events)
            warnings.warn(
                f"training ended with the verdict '{self.verdict_}': {reasons}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _set_parameters(
        self, weights: np.ndarray, fields: np.ndarray, *potential: np.ndarray
    ) -> None:
        self.weights_, self.fields_ = weights, fields
        for name, value in zip(_POTENTIALS, potential, strict=True):
            setattr(self, f"{name}_", value)
        self.n_features_in_ = len(fields)

    @classmethod
    def from_parameters(
        cls,
        weights: np.ndarray,
        fields: np.ndarray,
        gamma_plus: np.ndarray,
        gamma_minus: np.ndarray,
        theta_plus: np.ndarray,
        theta_minus: np.ndarray,
    ) -> CRBM:
        """A model with given parameters: W (N, M), g (N,) and Eq. 13's potentials (M,); l1 is 0.

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite or a curvature is not positive.
        """
        units = DReLU(gamma_plus, gamma_minus, theta_plus, theta_minus)
        weights = np.array(weights)
        weights = weights.astype(np.float32 if weights.dtype == np.float32 else np.float64)
        fields = np.array(fields, dtype=np.float64)
        if weights.ndim != 2 or fields.shape != weights.shape[:1]:
            raise ValueError(
                f"weights must be (N, M) and fields (N,), got {weights.shape} and {fields.shape}."
            )
        if units.n_hidden != weights.shape[1]:
            raise ValueError(
                f"weights have M = {weights.shape[1]} columns but the potentials {units.n_hidden}."
            )
        if not (np.isfinite(weights).all() and np.isfinite(fields).all()):
            raise ValueError("weights and fields must be finite.")
        model = cls(n_hidden=weights.shape[1], l1=0.0)
        model._set_parameters(weights, fields, *(np.array(x) for x in units.parameters))
        return model

    # ------------------------------------------------------------------ conditionals

    @property
    def units(self) -> DReLU:
        """The hidden units' potentials."""
        check_is_fitted(self, "weights_")
        return DReLU(*(getattr(self, f"{name}_") for name in _POTENTIALS))

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

    # ------------------------------------------------------------------ energies

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

    # ------------------------------------------------------------------ generation

    def sample(
        self,
        n_samples: int,
        *,
        n_chains: int = 300,
        n_steps: int = 20,
        burn_in: int = 100,
        start: object | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> np.ndarray:
        """Generate frames by block Gibbs sampling with jumps.

        Parameters
        ----------
        n_samples : int
            Frames wanted.
        n_chains : int
            Chains (at most ``n_samples``); every ``n_steps`` steps all of them are saved.
        n_steps : int
            Gibbs steps from one save to the next.
        burn_in : int
            Saves left out at the beginning.
        start : spikes (n_chains, N), optional
            Where the chains begin; without it at the end of training, or at independent neurons.
        random_state : int, numpy.random.Generator or None

        Returns
        -------
        ndarray of uint8, shape (n_samples, N)
            Save by save: the last ``n_chains`` rows are the chains' present state.

        Examples
        --------
        >>> import numpy as np
        >>> pair = CRBM.from_parameters(np.full((2, 1), 3.0), [-6, -6], [1], [1], [0], [0])
        >>> v = pair.sample(1000, random_state=0)
        >>> bool((v[:, 0] == v[:, 1]).mean() > 0.9)
        True
        """
        units = self.units
        hyperparameters.check_sampling(n_samples, n_chains, n_steps, burn_in)
        rng = np.random.default_rng(random_state)
        n_chains = min(n_chains, n_samples)
        if start is None:
            start = self._starting_frames(n_chains, rng)
        first = as_spikes(start, "start", self.n_features_in_)
        if first.n_frames != n_chains:
            raise SpikesError(
                f"start has {first.n_frames} frames, but there are {n_chains} chains."
            )
        weights = np.ascontiguousarray(self.weights_, np.float32)
        fields = self.fields_.astype(np.float32)
        jump_every = self.jump_every
        chains = GibbsChains(*weights.shape, n_chains, int(rng.integers(2**63)), jump_every)
        chains.set_weights(weights)
        if jump_every:
            chains.propose_from(self._pilot_values(weights, fields, rng))
        chains.set_spikes(first.dense())
        chains.step(burn_in * n_steps, weights, fields, units.parameters)
        saves = []
        for _ in range(-(-n_samples // n_chains)):
            chains.step(n_steps, weights, fields, units.parameters)
            saves.append(chains.spikes())
        return np.concatenate(saves)[:n_samples]

    def _starting_frames(self, n_chains: int, rng: np.random.Generator) -> np.ndarray:
        if hasattr(self, "chains_"):
            return self.chains_[rng.integers(len(self.chains_), size=n_chains)]
        p = 1.0 / (1.0 + np.exp(-self.fields_))
        return (rng.random((n_chains, len(p))) < p).astype(np.uint8)

    def _pilot_values(
        self, weights: np.ndarray, fields: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Values of h (samples, M) in other chains, from which jumps are proposed."""
        pilot = GibbsChains(
            *weights.shape, _PILOT_CHAINS, int(rng.integers(2**63)), self.jump_every
        )
        pilot.set_weights(weights)
        pilot.set_spikes(self._starting_frames(_PILOT_CHAINS, rng))
        values = []
        for _ in range(_PILOT_STEPS // 5):
            pilot.step(5, weights, fields, self.units.parameters)
            values.append(self.units.sample(pilot.inputs(), rng))
        return np.concatenate(values)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike) -> Path:
        """Write the model to an HDF5 file (`crbm_lite.storage`), whole or not at all."""
        check_is_fitted(self, "weights_")
        arrays = {"weights": self.weights_, "fields": self.fields_}
        arrays |= {name: getattr(self, f"{name}_") for name in _POTENTIALS}
        hyper = {k: v for k, v in self.get_params().items() if k != "random_state"}
        attributes: dict[str, object] = {"hyperparameters": hyper}
        if hasattr(self, "chains_"):
            arrays["chains"] = self.chains_
            arrays |= storage.arrays_of("history", self.history_)
            arrays |= storage.arrays_of("certificate", self.certificate_)
            attributes["verdict"] = self.verdict_
        return storage.write_model(path, arrays, attributes)

    @classmethod
    def load(cls, path: str | os.PathLike) -> CRBM:
        """Read a model that ``save`` wrote.

        Raises
        ------
        FileNotFoundError
        ModelFileError
            If the file is no model, is damaged, or is of another version.
        """
        from crbm_lite.certificate import Certificate
        from crbm_lite.fitting import History

        arrays, attributes = storage.read_model(path)
        try:
            model = cls(**attributes["hyperparameters"])
            checked = cls.from_parameters(
                arrays["weights"], arrays["fields"], *(arrays[name] for name in _POTENTIALS)
            )
            model._set_parameters(
                checked.weights_,
                checked.fields_,
                *(getattr(checked, f"{name}_") for name in _POTENTIALS),
            )
            if "verdict" in attributes:
                model.chains_ = arrays["chains"]
                model.history_ = storage.result_of(History, "history", arrays)
                model.certificate_ = storage.result_of(Certificate, "certificate", arrays)
                model.verdict_ = attributes["verdict"]
                model.converged_ = model.verdict_ == "converged"
        except (KeyError, TypeError, ValueError) as error:
            raise storage.ModelFileError(f"{path} is incomplete or damaged: {error!r}.") from error
        return model
