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

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.conditionals import POTENTIALS
from crbm_lite.model.generation import Generation
from crbm_lite.model.model_files import Kept
from crbm_lite.training import hyperparameters


class CRBM(Generation, Kept, TransformerMixin, BaseEstimator):
    """Compositional Restricted Boltzmann Machine.

    Parameters
    ----------
    n_hidden : int
        Number of hidden units M.
    l1 : float
        Penalty lambda on sum |w| under Var(h) = 1.
    n_updates : int
        Number of gradient updates; each costs the same however long the recording is.
    batch_size : int
        Frames of data that an update looks at.
    n_chains : int
        Persistent chains, which give the model's averages.
    n_gibbs : int
        Gibbs steps of every chain in an update.
    learning_rate : float
        RMSprop's learning rate at the beginning.
    final_learning_rate : float
        The learning rate at the end, to which it decays geometrically.
    decay_start : float
        Share of the updates after which the decay begins.
    beta2 : float
        Share of the past in RMSprop's running mean of squared gradients.
    epsilon : float
        Floor of the root of that mean.
    init : {"pca", "random"}
        Warm start from sparse-rotated principal components (falls back to random where it does not
        reproduce the data's activity), or small random weights.
    jump_every : int
        Gibbs steps from one sweep of jumps between the hidden units' wells to the next; 0: none.
    ramp : float
        Share of the updates over which lambda is raised from zero.
    refit : float
        Share of the updates, at the end, that are made without penalty on the weights that are left
        by then, while zeros stay zeros: the relaxed lasso (Meinshausen 2007). It takes out the bias
        of the penalty. The paper has none, 0.
    average_from : float
        Share of the updates after which the parameters are averaged: the model returned is their
        mean, which takes out the swings of parameters and chains around the optimum. 1: the last
        parameters.
    random_state : int, numpy.random.Generator or None
        Same seed and data give the same bits for any number of threads.
    progress : bool
        Show a progress bar.
    backend : {"numba", "jax", "jax-tf32", "jax-bf16"}
        The CPU, or all devices of JAX (extra ``jax``) with float32 or rounded, faster products.

    Attributes
    ----------
    weights_ : ndarray of float32, shape (N, M)
        W: log-odds that a unit of h adds to a neuron; most are exactly 0.
    fields_ : ndarray, shape (N,)
        g: log-odds of the neurons where all h are 0.
    gamma_plus_ : ndarray, shape (M,)
        Curvature of the potentials above 0 (Eq. 13).
    gamma_minus_ : ndarray, shape (M,)
        Curvature below 0.
    theta_plus_ : ndarray, shape (M,)
        Slope just above 0.
    theta_minus_ : ndarray, shape (M,)
        Slope just below 0.
    verdict_ : str
        "converged", "not converged", "collapsed", "diverged" or "interrupted".
    converged_ : bool
        Whether the verdict is "converged".
    certificate_ : Certificate
        Stationarity and what failed.
    history_ : History
        Monitors of the run.
    chains_ : ndarray of uint8, shape (n_chains, N)
        Spikes of the chains at the end.
    n_features_in_ : int
        Number of neurons N.

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
        refit: float = 0.0,
        average_from: float = 0.5,
        random_state: int | np.random.Generator | None = None,
        progress: bool = True,
        backend: str = "numba",
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
        self.refit = refit
        self.average_from = average_from
        self.random_state = random_state
        self.progress = progress
        self.backend = backend

    def __sklearn_tags__(self) -> object:
        """What scikit-learn may feed: sparse matrices too, and the dtype is not kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(
        self,
        v: object,
        y: None = None,
        *,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
        resume: bool = False,
    ) -> CRBM:
        """Train on spikes v (T, N): bool, uint8 or 0/1 numbers, scipy.sparse, or a Recording.

        SIGINT (Ctrl-C, or the stop button of a notebook) ends the training after the update in hand
        with the model as it is and the verdict "interrupted"; a second one interrupts at once.

        Parameters
        ----------
        checkpoint : path, optional
            File to which the state of the run is written (`crbm_lite.training.checkpoint`).
        checkpoint_every : int
            Updates from one checkpoint to the next.
        resume : bool
            Go on where the run of the same data and hyperparameters was left: from `checkpoint`, or
            without one from where ``fit`` of this model was interrupted. The end is the same, bit
            for bit, as without the break. Where nothing was left the run begins.

        Raises
        ------
        ValueError
            If v is not binary, is empty, never spikes, or has fewer frames than a batch; if a
            hyperparameter is impossible.
        CheckpointError
            If the checkpoint is damaged and the one before it, too, or belongs to another run.
        FileExistsError
            If there is a checkpoint already and `resume` is False.
        OSError
            If the checkpoint cannot be written, told before the training begins.

        Warns
        -----
        ConvergenceWarning
            If the verdict is not "converged".
        CheckpointWarning
            If a checkpoint could not be written later on, as on a full disk: the training goes on.
        """
        from tqdm.auto import tqdm

        from crbm_lite.training.resume import find_run
        from crbm_lite.training.run import train

        schedule = hyperparameters.checked_schedule(self)
        spikes = as_spikes(v)
        hyperparameters.check_trainable(spikes, self.batch_size)
        interrupted = getattr(self, "_interrupted_run", None)
        where = (checkpoint, checkpoint_every, resume, interrupted)
        with (
            find_run(self.get_params(), spikes, *where) as run,
            tqdm(total=self.n_updates, disable=not self.progress, unit="update") as bar,
        ):
            result = train(
                spikes, self.n_hidden, schedule, self.init, run.seed, bar,
                backend=self.backend, state=run.state, save=run.save, save_every=checkpoint_every,
            )  # fmt: skip
        self._set_parameters(result.weights, result.fields, *result.potential)
        self.chains_ = result.chains
        self.history_ = result.history
        self.certificate_ = result.certificate
        self.verdict_ = result.verdict
        self.converged_ = result.verdict == "converged"
        self._interrupted_run = None if result.state is None else (run.identity, result.state)
        if not self.converged_:
            reasons = "; ".join(result.certificate.failed) or "; ".join(result.history.events)
            if self.verdict_ == "interrupted":
                reasons = "go on by fit(..., resume=True)"
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
        for name, value in zip(POTENTIALS, potential, strict=True):
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
