r"""The compositional Restricted Boltzmann Machine, whole: training, conditionals, samples, files.

.. math::

    E(v,h) = -\sum_i g_i v_i + \sum_\mu U_\mu(h_\mu) - \sum_{i\mu} w_{i\mu} v_i h_\mu,
    \qquad P(v,h) = e^{-E(v,h)}/Z

with binary neurons v (T, N), real hidden units h (T, M) and dReLU potentials U (Eq. 13). From it
follow the conditionals P(h|v) (Eq. 8) and P(v|h) (Eq. 11) and, with :math:`I = vW`, the marginal
:math:`\log P(v) = g \cdot v + \sum_\mu \Gamma_\mu(I_\mu) - \log Z`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from crbm_lite.checks.arguments import as_flag, as_generator, as_numbers
from crbm_lite.checks.sparse import as_dense
from crbm_lite.core.compilation import compilation_shown
from crbm_lite.core.drelu import PARAMETERS, DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.left_out import log_likelihood_given_others
from crbm_lite.core.partition import all_states, log_partition_ais
from crbm_lite.core.persistence import (
    LOOKS_TO_BEGIN,
    UPDATES_OF_A_LOOK,
    begin_watch,
    watched,
)
from crbm_lite.core.spikes import Spikes, SpikesError, as_spikes, spikes_of_model, tiles
from crbm_lite.files.errors import named_failures
from crbm_lite.model.files import (
    ModelFileError,
    arrays_of,
    bytes_of_texts,
    read_model,
    result_of,
    texts_of_bytes,
    write_model,
)
from crbm_lite.training.certificate import Certificate, explanation
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.hyperparameters import (
    HyperparameterError,
    check_trainable,
    checked_sampling,
    checked_schedule,
    chosen_by_evidence,
    hyperparameters_as_json,
)
from crbm_lite.training.monitors import History
from crbm_lite.training.resume import find_run
from crbm_lite.training.run import train
from crbm_lite.training.search.report import SearchReport
from crbm_lite.training.start import Start

__all__ = ["CRBM"]

_PILOT_CHAINS, _PILOT_SAVES, _PILOT_STEPS = 64, 10, 5  # 5 Gibbs steps from one save to the next


class CRBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Compositional Restricted Boltzmann Machine, a scikit-learn estimator.

    Parameters
    ----------
    n_hidden : int or "auto", default "auto"
        The number of hidden units M, each of which holds one assembly or two: units that the
        data do not need end without weights. "auto" begins with more than there are components
        above the noise, and leaves out those that end without weights.
    l1 : float or "auto", default "auto"
        The penalty lambda on sum |w| under Var(h) = 1. A larger one gives sparser weights and thus
        smaller assemblies; where it is too large, all weights end at zero. "auto" takes the
        sparsest model that predicts as well as the best one, within a standard error and within
        1 % of the gain, on blocks of frames which the search does not train on.
    n_updates : int or "auto", default "auto"
        The number of gradient updates. The cost of one does not grow with the length of the
        recording. "auto" trains as long as the model gains on those blocks, and with all frames
        until the model has converged: it goes on twice at most, each time with four times as many
        Gibbs steps. What "auto" chose, and why, is in ``report_`` (`crbm_lite.training.search`).
    batch_size : int, default 100
        The number of frames of data that an update looks at.
    n_chains : int, default 100
        The number of persistent Markov chains. Their frames give the averages of the model.
    n_gibbs : int, default 6
        The number of Gibbs steps by which an update moves every chain.
    learning_rate : float, default 5e-3
        The learning rate of RMSprop at the beginning.
    final_learning_rate : float, default 1e-4
        The learning rate at the end, towards which it decays geometrically. Assemblies of hundreds
        of neurons need less, about 1e-5: a step moves the weights of all members. A search above
        a million weights sees to that.
    decay_start : float, default 0.25
        The share of the updates after which the decay begins.
    beta2 : float, default 0.999
        The share of its past that RMSprop's running mean of squared gradients keeps in an update.
    epsilon : float, default 1e-6
        A number added to the root of that mean, so that no step divides by zero.
    init : {"auto", "pca", "nmf", "random"}, default "auto"
        Where training begins. "pca" takes sparse rotated principal components, "nmf" a nonnegative
        factorisation, and "random" small random weights. "auto" lets the three compete where M,
        lambda or the length is "auto". Otherwise it is "pca", with small random weights where that
        does not reproduce the activity of the data.
    jump_every : "auto" or int, default "auto"
        The number of Gibbs steps from one sweep of jumps between the wells of the hidden units to
        the next. 0 means no jumps. "auto" means a sweep every third step, in which only those units
        jump that Gibbs sampling leaves where they are (`crbm_lite.core.persistence`).
    ramp : float, default 0.0
        The share of the updates over which the penalty rises from zero.
    refit : float or "auto", default "auto"
        The share of the updates, at the end, that fit the weights which are left by then without a
        penalty, while zeros stay zeros. This relaxed lasso (Meinshausen 2007) takes out the bias of
        the penalty. The paper has no refit. "auto" means 0.5 where `l1` is "auto" and the search
        shows that a refit predicts better; otherwise it is 0.
    average_from : float, default 0.5
        The share of the updates after which the parameters are averaged. The model is their mean,
        which takes out the swings of the last parameters around the optimum. 1 means the last
        parameters themselves.
    random_state : int, numpy.random.Generator or None, default None
        The seed. The same seed and data give the same bits for any number of threads.
    progress : bool, default True
        Whether to show a progress bar.
    backend : {"numba", "jax"}, default "numba"
        What computes: the CPU, or all devices of JAX (extra ``jax``).

    Attributes
    ----------
    weights_ : ndarray of float32, shape (N, M)
        W, the log-odds that a unit of h adds to a neuron. Most weights are exactly 0.
    fields_ : ndarray, shape (N,)
        g, the log-odds of the neurons where all h are 0.
    gamma_plus_, gamma_minus_ : ndarray, shape (M,)
        The curvatures of the potentials above and below 0 (Eq. 13).
    theta_plus_, theta_minus_ : ndarray, shape (M,)
        The slopes of the potentials just above and just below 0.
    l1_ : float
        The penalty of the model, given or chosen.
    refit_ : float
        The share of the last training's updates without it, given or chosen.
    report_ : SearchReport
        What was tried and chosen, and why. There is none where nothing was "auto".
    verdict_ : str
        "converged": every unit is at its optimum as far as the recording can tell. Validate it.
        "undetermined": sampling was too noisy or too slow to tell. Sample for longer.
        "not converged": a unit or a field is off, or a pattern is missing. Train for longer.
        "collapsed": no weights are left. Take a smaller lambda.
        "no structure": the empty model predicts unseen frames best. Look at the recording.
        "diverged": the chains left the data. Take a smaller learning rate, or more Gibbs steps.
        "interrupted": the run was stopped. Go on by ``fit(..., resume=True)``.
    converged_ : bool
        Whether the verdict is "converged".
    certificate_ : Certificate
        How near the parameters are to their optimum, what failed, and what could not be told.
    history_ : History
        What was monitored during the run.
    chains_ : ndarray of uint8, shape (n_chains, N)
        The spikes of the chains at the end.
    n_features_in_ : int
        The number of neurons N.
    feature_names_in_ : ndarray of str, shape (N,)
        The names of the neurons, if the recording or the table had names. Data whose neurons have
        other names, or another order, are refused from then on.

    Examples
    --------
    >>> import numpy as np
    >>> model = CRBM.from_parameters(np.eye(2), [-1.0, -1.0], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> model.mean_h_given_v(np.array([[1, 0]]))
    array([[1., 0.]])
    """

    def __init__(
        self,
        n_hidden: int | str = "auto",
        l1: float | str = "auto",
        n_updates: int | str = "auto",
        batch_size: int = 100,
        n_chains: int = 100,
        n_gibbs: int = 6,
        learning_rate: float = 5e-3,
        final_learning_rate: float = 1e-4,
        decay_start: float = 0.25,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        init: str = "auto",
        jump_every: str | int = "auto",
        ramp: float = 0.0,
        refit: float | str = "auto",
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
        """Tell scikit-learn that v may be sparse, and that h is float64 whatever v is."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # ------------------------------------------------------------------ training

    def fit(
        self,
        v: object,
        y: None = None,
        *,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
        resume: bool = False,
    ) -> CRBM:
        """Train on spikes.

        SIGINT (Ctrl-C, or the stop button of a notebook) ends the training after the present update
        with the model as it is and the verdict "interrupted"; a second one interrupts at once.

        Parameters
        ----------
        v : Recording, (T, N) array of bool, uint8 or 0/1 numbers, or scipy.sparse matrix
            Spikes, one row per frame.
        y : None
            Ignored; scikit-learn passes it.
        checkpoint : path, optional
            The file to which the state of the run is written (`crbm_lite.training.checkpoint`).
        checkpoint_every : int, default 1000
            The number of updates from one checkpoint to the next.
        resume : bool, default False
            Whether to go on where the run of the same data and hyperparameters stopped: from
            `checkpoint`, or without one from where ``fit`` of this model was interrupted. The end
            is the same, bit for bit, as without the break. If no run has stopped, one begins.

        Returns
        -------
        CRBM
            The model itself.

        Raises
        ------
        SpikesError
            A ValueError: v is not binary, is empty, never spikes, or has fewer frames than a batch.
        HyperparameterError
            A ValueError: a hyperparameter is impossible.
        CheckpointError
            If the checkpoint and the one before it are damaged, or belong to another run.
        ValueError
            If `resume` is neither True nor False.
        FileExistsError
            If there is a checkpoint already and `resume` is False.
        OSError
            If the checkpoint cannot be written; this is tried before the training begins.

        Warns
        -----
        ConvergenceWarning
            If the verdict is not "converged".
        CheckpointWarning
            If a checkpoint cannot be written later on, as on a full disk: the training goes on.
        """
        return self._train(v, None, None, checkpoint, checkpoint_every, resume)

    def fit_from(
        self,
        v: object,
        start: Start,
        *,
        hidden: HiddenTerm | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
        resume: bool = False,
    ) -> CRBM:
        """Train on spikes from given parameters, whose units keep their order and their signs.

        Parameters
        ----------
        v : spikes (T, N), in any form that ``fit`` takes
        start : Start
            Weights (N, M), fields and potentials (`crbm_lite.training.start`).
        hidden : HiddenTerm, optional
            Values of the hidden units that are data, too (`crbm_lite.training.hidden_term`). They
            fix the scale of h, which is Var(h) = 1 over v without them.
        checkpoint, checkpoint_every, resume
            As in ``fit``.

        Returns
        -------
        CRBM
            The model itself.

        Raises
        ------
        HyperparameterError
            A ValueError: M, lambda or the length is "auto", which is a search for a start; or the
            start has another N or M.

        Examples
        --------
        >>> import numpy as np
        >>> from crbm_lite.training.start import Start
        >>> v = np.tile(np.eye(4), (10, 1))
        >>> start = Start(0.1 * np.eye(4, 2, dtype=np.float32), np.full(4, -1.0),
        ...     np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), field_rate_factor=1.0)
        >>> model = CRBM(n_hidden=2, l1=0.0, n_updates=5, batch_size=8, progress=False)
        >>> warnings.simplefilter("ignore")
        >>> model.fit_from(v, start).weights_.shape
        (4, 2)
        """
        if auto := chosen_by_evidence(self):
            named = [name for name in auto if name != "refit"]  # it goes with l1
            raise HyperparameterError(
                f'{", ".join(named)} is "auto", which searches for a start: give numbers with a '
                "start that is given"
            )
        n_neurons, n_hidden = start.weights.shape
        if self.n_hidden != n_hidden:
            raise HyperparameterError(
                f"n_hidden is {self.n_hidden} and the start has {n_hidden} units: give the same"
            )
        if hidden is not None and hidden.h.shape[1] != n_hidden:
            raise HyperparameterError(
                f"hidden has values of {hidden.h.shape[1]} units and the start {n_hidden} units: "
                "give the same"
            )
        as_spikes(v, n_neurons=n_neurons)
        return self._train(v, start, hidden, checkpoint, checkpoint_every, resume)

    def _train(
        self,
        v: object,
        start: Start | None,
        hidden: HiddenTerm | None,
        checkpoint: str | os.PathLike | None,
        checkpoint_every: int,
        resume: bool,
    ) -> CRBM:
        """Train as `fit` and `fit_from` say."""
        from tqdm.auto import tqdm

        as_flag(resume, "resume")
        schedule = checked_schedule(self)
        spikes = as_spikes(v)
        check_trainable(spikes, self.batch_size)
        interrupted = getattr(self, "_interrupted_run", None)
        where = (checkpoint, checkpoint_every, resume, interrupted)
        auto = chosen_by_evidence(self)
        total = None if auto else self.n_updates
        n_hidden = 1 if "n_hidden" in auto else self.n_hidden
        with (
            find_run(self.get_params() | _begun_with(start, hidden), spikes, *where) as run,
            tqdm(total=total, disable=not self.progress, unit="update") as bar,
            compilation_shown(bar),
        ):
            result = train(
                spikes, n_hidden, schedule, self.init, run.seed, bar, auto=auto, start=start,
                hidden=hidden, backend=self.backend, state=run.state, save=run.save,
                save_every=checkpoint_every,
            )  # fmt: skip
        self._set_parameters(result.weights, result.fields, *result.potential)
        self._set_names(spikes.names)
        self.l1_, self.refit_ = result.l1, result.refit
        self._set_report(result.report)
        self.chains_ = result.chains
        self.history_ = result.history
        self.certificate_ = result.certificate
        self.verdict_ = result.verdict
        self.converged_ = result.verdict == "converged"
        self._interrupted_run = None if result.state is None else (run.identity, result.state)
        if not self.converged_:
            why = explanation(result.verdict, result.certificate, result.history.events)
            warnings.warn(
                f"training ended with the verdict {why}", ConvergenceWarning, stacklevel=3
            )
        return self

    def _set_parameters(
        self, weights: np.ndarray, fields: np.ndarray, *potential: np.ndarray
    ) -> None:
        self.weights_, self.fields_ = weights, fields
        for name, value in zip(PARAMETERS, potential, strict=True):
            setattr(self, f"{name}_", value)
        self.n_features_in_ = len(fields)

    def _set_names(self, names: Sequence[str] | None) -> None:
        """Keep the names of the neurons, or forget those of an earlier fit."""
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _set_report(self, report: SearchReport | None) -> None:
        """Keep the report of a search, or forget that of an earlier fit."""
        if report is not None:
            self.report_ = report
        elif hasattr(self, "report_"):
            del self.report_

    @property
    def _n_features_out(self) -> int:
        """The number of columns of ``transform``, which scikit-learn asks for."""
        return self.units.n_hidden

    @classmethod
    def as_published(cls, **parameters: object) -> CRBM:
        """Make a model with the settings of van der Plas, Tubiana et al. (2023).

        They are M = 200, lambda = 0.02, 200,000 updates of 15 Gibbs steps from small random
        weights, a learning rate that decays from 5e-3 to 1e-5, no jumps, and the last parameters
        themselves.

        Parameters
        ----------
        **parameters
            Hyperparameters that are given otherwise.

        Examples
        --------
        >>> CRBM.as_published(n_updates=5_000).l1
        0.02
        """
        published = {
            "n_hidden": 200, "l1": 0.02, "n_updates": 200_000, "n_gibbs": 15,
            "final_learning_rate": 1e-5, "init": "random", "jump_every": 0, "average_from": 1.0,
            "refit": 0.0,
        }  # fmt: skip
        return cls(**published | parameters)

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
        """Make a model of given parameters, without training; its l1 is 0.

        Parameters
        ----------
        weights : array_like, shape (N, M)
        fields : array_like, shape (N,)
        gamma_plus, gamma_minus, theta_plus, theta_minus : array_like, shape (M,)
            The potentials of Eq. 13.

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite or a curvature is not positive.
        """
        units = DReLU(gamma_plus, gamma_minus, theta_plus, theta_minus)
        weights = as_dense(weights, "weights")
        single = weights.dtype == np.float32
        weights = as_numbers(weights, "weights", np.float32 if single else np.float64).copy()
        fields = as_numbers(fields, "fields").copy()
        if weights.ndim != 2 or not weights.size or fields.shape != weights.shape[:1]:
            raise ValueError(
                f"weights has shape {weights.shape} and fields {fields.shape}: give (N, M) and "
                "(N,), of one neuron and one hidden unit at least"
            )
        if units.n_hidden != weights.shape[1]:
            raise ValueError(
                f"weights has {weights.shape[1]} columns for {units.n_hidden} potentials: give one "
                "column for each hidden unit"
            )
        for name, values in (("weights", weights), ("fields", fields)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds NaN or infinity: give finite numbers")
        model = cls(n_hidden=weights.shape[1], l1=0.0)
        model._set_parameters(weights, fields, *(np.array(x) for x in units.parameters))
        return model

    # ------------------------------------------------------------------ conditionals

    @property
    def units(self) -> DReLU:
        """The potentials of the hidden units."""
        check_is_fitted(self, "weights_")
        return DReLU(*(getattr(self, f"{name}_") for name in PARAMETERS))

    def _spikes(self, v: object, name: str = "v") -> Spikes:
        """Check spikes of the neurons of this model."""
        check_is_fitted(self, "weights_")
        return spikes_of_model(self, v, name)

    def hidden_input(self, v: object) -> np.ndarray:
        """Compute the inputs I = vW of the hidden units.

        Parameters
        ----------
        v : spikes (T, N), in any form that ``fit`` takes

        Returns
        -------
        ndarray of float64, shape (T, M)

        Raises
        ------
        SpikesError
            A ValueError: v is not binary, is empty, or has other neurons than the model, or the
            same ones in another order (where both have names).
        """
        return self._spikes(v).inputs(self.weights_)

    def mean_h_given_v(self, v: object) -> np.ndarray:
        """Compute E[h|v] (Eq. 8), shape (T, M), as float64; v and errors as in `hidden_input`."""
        return self.units.mean(self.hidden_input(v))

    def transform(self, v: object) -> np.ndarray:
        """Compute E[h|v]: scikit-learn's name of `mean_h_given_v`."""
        return self.mean_h_given_v(v)

    def var_h_given_v(self, v: object) -> np.ndarray:
        """Compute Var[h|v], shape (T, M), as float64; v and errors as in `hidden_input`."""
        return self.units.variance(self.hidden_input(v))

    def sample_h_given_v(self, v: object, rng: int | np.random.Generator | None) -> np.ndarray:
        """Draw h from P(h|v), once for each frame: shape (T, M), float64; `rng` may be a seed."""
        return self.units.sample(self.hidden_input(v), as_generator(rng, "rng"))

    def mean_v_given_h(self, h: np.ndarray) -> np.ndarray:
        """Compute P(v_i = 1 | h) (Eq. 11), shape (T, N), as float64.

        Parameters
        ----------
        h : array_like, shape (T, M)

        Raises
        ------
        ValueError
            If h has another number of hidden units, or is not finite.
        """
        h = self._hidden_values(np.atleast_2d(as_numbers(h, "h")))
        inputs = h @ self.weights_.T + self.fields_
        return 0.5 * (1.0 + np.tanh(0.5 * inputs))

    def _hidden_values(self, h: object, n_frames: int | None = None) -> np.ndarray:
        """Check values (T, M) of h."""
        h = as_numbers(h, "h")
        wanted = ("T" if n_frames is None else n_frames, self.units.n_hidden)
        if h.ndim != 2 or h.shape[1] != wanted[1] or n_frames not in (None, len(h)):
            raise ValueError(
                f"h has shape {h.shape}: give ({wanted[0]}, {wanted[1]}) values, one row per frame "
                "and one column per hidden unit"
            )
        if not np.isfinite(h).all():
            raise ValueError("h holds NaN or infinity: give finite numbers")
        return h

    def sample_v_given_h(self, h: np.ndarray, rng: int | np.random.Generator | None) -> np.ndarray:
        """Draw v from P(v|h), once for each row of h (T, M): (T, N) uint8; `rng` may be a seed."""
        p, rng = self.mean_v_given_h(h), as_generator(rng, "rng")
        return (rng.random(p.shape) < p).astype(np.uint8)

    def reconstruct(self, v: object) -> np.ndarray:
        """Compute E[v | E[h|v]], shape (T, N): the probabilities that the nLLH scores."""
        return self.mean_v_given_h(self.mean_h_given_v(v))

    def score(self, v: object, y: None = None) -> float:
        """Average log P(v_i | all other neurons) over all frames and neurons, in nats.

        It is exact and needs neither Z nor sampling (`crbm_lite.core.left_out`). Neurons that never
        spike count, too. Higher is better, so that scikit-learn's ``GridSearchCV`` can use it.

        Parameters
        ----------
        v : spikes (T, N), in any form that ``fit`` takes
        y : None
            Ignored; scikit-learn passes it.

        Examples
        --------
        >>> import numpy as np
        >>> model = CRBM.from_parameters(np.zeros((2, 1)), [0, 0], [1], [1], [0], [0])
        >>> round(model.score(np.eye(2)), 4)  # two coins
        -0.6931
        """
        spikes = self._spikes(v)
        means = log_likelihood_given_others(spikes, self.weights_, self.fields_, self.units)
        return float(means.mean())

    # ------------------------------------------------------------------ energies

    def energy(self, v: object, h: np.ndarray) -> np.ndarray:
        """Compute E(v, h) for spikes v (T, N) and hidden values h (T, M): shape (T,).

        Raises
        ------
        ValueError
            If h does not have one row per frame and one column per hidden unit, or is not finite;
            for v as in `hidden_input`.
        """
        spikes = self._spikes(v)
        h = self._hidden_values(h, spikes.n_frames)
        interaction = (spikes.inputs(self.weights_) * h).sum(axis=1)
        return (
            self.units.potential(h).sum(axis=1) - spikes.to_csr(float) @ self.fields_ - interaction
        )

    def free_energy(self, v: object) -> np.ndarray:
        r"""Compute :math:`F(v) = -g \cdot v - \sum_\mu \Gamma_\mu(I_\mu)`, shape (T,).

        P(v) = exp(-F(v))/Z. The forms of v and the errors are those of `hidden_input`.
        """
        spikes = self._spikes(v)
        cumulants = self.units.cumulant(spikes.inputs(self.weights_)).sum(axis=1)
        return -(spikes.to_csr(float) @ self.fields_) - cumulants

    def log_partition(
        self,
        method: str = "exact",
        *,
        n_chains: int = 200,
        n_temperatures: int = 1000,
        random_state: int | np.random.Generator | None = None,
    ) -> float:
        """Compute log Z, exactly or by annealed importance sampling.

        Parameters
        ----------
        method : {"exact", "ais"}, default "exact"
            "exact" adds all 2^N states, for at most 22 neurons.
        n_chains, n_temperatures : int, default 200 and 1000
            Of the annealed importance sampling (`crbm_lite.core.partition`).
        random_state : int, numpy.random.Generator or None, default None

        Raises
        ------
        ValueError
            For another method, for too many neurons to enumerate, or a number below 1.
        """
        units = self.units
        if method == "exact":
            energies = -self.free_energy(all_states(self.n_features_in_))
            top = energies.max()
            return float(top + np.log(np.exp(energies - top).sum()))
        if method == "ais":
            estimate, _ = log_partition_ais(
                self.weights_, self.fields_, units, as_generator(random_state),
                n_chains=n_chains, n_temperatures=n_temperatures,
            )  # fmt: skip
            return estimate
        raise ValueError(f'method is {method!r}: give "exact" or "ais"')

    def hidden_free_energy(self, h: np.ndarray) -> np.ndarray:
        r"""Compute F(h), with P(h) = exp(-F(h))/Z and the Z of P(v), for h (T, M): shape (T,).

        .. math:: F(h) = \sum_\mu U_\mu(h_\mu)
                  - \sum_i \log(1 + e^{g_i + \sum_\mu w_{i\mu} h_\mu})

        Raises
        ------
        ValueError
            If h has another number of hidden units, or is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> coin = CRBM.from_parameters(np.zeros((1, 1)), [0.0], [1], [1], [0], [0])
        >>> coin.hidden_free_energy([[2.0]]).round(3)  # 2 - log 2
        array([1.307])
        """
        h = self._hidden_values(h)
        free_energy = self.units.potential(h).sum(axis=1)
        for tile in tiles(len(h)):
            inputs = h[tile] @ self.weights_.T + self.fields_
            free_energy[tile] -= np.logaddexp(0.0, inputs).sum(axis=1)
        return free_energy

    # ------------------------------------------------------------------ samples

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
        """Generate frames by block Gibbs sampling with jumps (Eq. 8 and 11).

        Jumps between the wells of the hidden units are proposed from the values that h takes in a
        few other chains (`crbm_lite.core.jumps`), so that the sampling stays exact.

        Parameters
        ----------
        n_samples : int
            The number of frames wanted.
        n_chains : int, default 300
            The number of chains, at most ``n_samples``. Every ``n_steps`` steps all of them are
            saved.
        n_steps : int, default 20
            The number of Gibbs steps from one save to the next.
        burn_in : int, default 100
            The number of saves that are left out at the beginning.
        start : spikes (n_chains, N), optional
            Where the chains begin. By default they begin where those of the training ended, or at
            independent neurons if there are none.
        random_state : int, numpy.random.Generator or None, default None

        Returns
        -------
        ndarray of uint8, shape (n_samples, N)
            Save by save: the last ``n_chains`` rows are the present state of the chains.

        Raises
        ------
        HyperparameterError
            A ValueError: a number is impossible.
        SpikesError
            A ValueError: `start` does not hold one frame of spikes for each chain.

        Examples
        --------
        >>> import numpy as np
        >>> from crbm_lite import CRBM
        >>> pair = CRBM.from_parameters(np.full((2, 1), 3.0), [-6, -6], [1], [1], [0], [0])
        >>> v = pair.sample(1000, random_state=0)
        >>> bool((v[:, 0] == v[:, 1]).mean() > 0.9)
        True
        """
        units = self.units
        n_samples, n_chains, n_steps, burn_in = checked_sampling(
            n_samples, n_chains, n_steps, burn_in
        )
        rng = as_generator(random_state)
        if start is None:
            start = self._starting_frames(n_chains, rng)
        first = self._spikes(start, "start")
        if first.n_frames != n_chains:
            raise SpikesError(
                f"start has {first.n_frames} frames for {n_chains} chains: give one frame for each"
            )
        weights = np.ascontiguousarray(self.weights_, np.float32)
        fields = self.fields_.astype(np.float32)
        chains = GibbsChains(*weights.shape, n_chains, int(rng.integers(2**63)), self.jump_every)
        chains.set_weights(weights)
        if self.jump_every:
            pilot, inputs = self._pilot(weights, fields, rng)
            chains.propose_from(units.sample(inputs, rng))
            if self.jump_every == "auto":
                chains.jumping = self._slow_units(pilot, inputs, n_steps, weights, fields)
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

    def _pilot(
        self, weights: np.ndarray, fields: np.ndarray, rng: np.random.Generator
    ) -> tuple[GibbsChains, np.ndarray]:
        """Other chains whose units jump, and hidden inputs (samples, M) that they had."""
        pilot = GibbsChains(
            *weights.shape, _PILOT_CHAINS, int(rng.integers(2**63)), self.jump_every
        )
        pilot.jumping[:] = True
        pilot.set_weights(weights)
        pilot.set_spikes(self._starting_frames(_PILOT_CHAINS, rng))
        inputs = []
        for _ in range(_PILOT_SAVES):
            pilot.step(_PILOT_STEPS, weights, fields, self.units.parameters)
            inputs.append(pilot.inputs())
        return pilot, np.concatenate(inputs)

    def _slow_units(
        self, pilot: GibbsChains, inputs: np.ndarray, n_steps: int, weights: np.ndarray,
        fields: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Units (M,) that Gibbs sampling leaves where they are over many saves.

        The jumps of the pilot have brought its chains, whose hidden inputs were `inputs`, into all
        wells. From there on it goes without.
        """
        pilot.jumping[:] = False
        spread = self.units.mean(inputs).var(axis=0)
        watch = begin_watch(_PILOT_CHAINS, pilot.n_hidden)
        for _ in range(LOOKS_TO_BEGIN * UPDATES_OF_A_LOOK):
            pilot.step(n_steps, weights, fields, self.units.parameters)
            watch = watched(watch, self.units.mean(pilot.inputs()), spread)
        return watch["slow"]

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike) -> Path:
        """Write the model to an HDF5 file (`crbm_lite.model.files`), whole or not at all.

        Returns
        -------
        pathlib.Path
            The file made.

        Raises
        ------
        ValueError
            If the path is none, or the model is not fitted.
        OSError
            If the folder does not exist or cannot be written.

        Warns
        -----
        UserWarning
            If random_state is a generator, which no file can keep; an int is kept.
        """
        return write_model(path, *self._contents())

    def _contents(self) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        """The arrays and attributes of the file of this model."""
        check_is_fitted(self, "weights_")
        hyper = hyperparameters_as_json(self.get_params())
        if hyper["random_state"] is None and self.random_state is not None:
            warnings.warn(
                "random_state is a generator, which a model file does not keep: the loaded model "
                "has random_state=None. The parameters are not affected; to keep it use an int.",
                stacklevel=3,
            )
        arrays = {"weights": self.weights_, "fields": self.fields_}
        arrays |= {name: getattr(self, f"{name}_") for name in PARAMETERS}
        if hasattr(self, "feature_names_in_"):
            arrays["feature_names"] = bytes_of_texts(self.feature_names_in_)
        attributes: dict[str, object] = {"hyperparameters": hyper}
        if hasattr(self, "chains_"):
            arrays |= {
                "chains": self.chains_,
                "l1": np.array(self.l1_),
                "refit": np.array(self.refit_),
            }
            arrays |= arrays_of("history", self.history_)
            arrays |= arrays_of("certificate", self.certificate_)
            if hasattr(self, "report_"):
                arrays |= arrays_of("report", self.report_)
            attributes["verdict"] = self.verdict_
        return arrays, attributes

    @classmethod
    def load(cls, path: str | os.PathLike) -> CRBM:
        """Read a model that ``save`` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            A ValueError: the file is no model, is damaged, or is of another version.
        """
        return cls._of_contents(path, *read_model(path))

    @classmethod
    def _of_contents(
        cls, path: str | os.PathLike, arrays: dict[str, np.ndarray], attributes: dict[str, object]
    ) -> CRBM:
        """Put the model together that `_contents` took apart."""
        with named_failures(f"model file {path}", ModelFileError):
            model = cls(**attributes["hyperparameters"])
            checked = cls.from_parameters(
                arrays["weights"], arrays["fields"], *(arrays[name] for name in PARAMETERS)
            )
            potential = (getattr(checked, f"{name}_") for name in PARAMETERS)
            model._set_parameters(checked.weights_, checked.fields_, *potential)
            if "feature_names" in arrays:
                model._set_names(texts_of_bytes(arrays["feature_names"], model.n_features_in_))
            if "verdict" in attributes:
                as_spikes(arrays["chains"], "chains", model.n_features_in_)
                model.chains_ = arrays["chains"]
                model.l1_ = arrays["l1"].item() if "l1" in arrays else float(model.l1)
                refit = 0.0 if model.refit == "auto" else float(model.refit)
                model.refit_ = arrays["refit"].item() if "refit" in arrays else refit
                model.history_ = result_of(History, "history", arrays)
                model.certificate_ = result_of(Certificate, "certificate", arrays)
                if "report/chosen_refit" in arrays:
                    model.report_ = result_of(SearchReport, "report", arrays)
                model.verdict_ = attributes["verdict"]
                model.converged_ = model.verdict_ == "converged"
        return model


def _begun_with(start: Start | None, hidden: HiddenTerm | None) -> dict[str, str]:
    """What a run depends on, beside its hyperparameters and spikes, for its identity."""
    digest = sha256()
    for array in () if start is None else (start.weights, start.fields, start.potential):
        digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "sha256 of the start": "" if start is None else digest.hexdigest(),
        "sha256 of the hidden values": "" if hidden is None else hidden.sha256(),
    }
