r"""The pairwise Ising model by symmetrised pseudo-likelihood (Fig. 6-S1).

.. math:: P(v) \propto \exp\Bigl(\sum_i g_i v_i + \sum_{i<j} J_{ij} v_i v_j\Bigr), \qquad
          v_i \in \{0, 1\},

has the conditional probabilities :math:`P(v_i = 1 | v_{\setminus i}) = \sigma(g_i + \sum_j J_{ij}
v_j)`. So maximum pseudo-likelihood is the N logistic regressions of `crbm_lite.baselines.glm`.
These give every coupling twice. The two are averaged (symmetrised pseudo-likelihood), and the
fields are the fitted intercepts, g = b. As a full model of v the Ising model generates frames by
Gibbs sampling, and it has the moments that a GLM cannot have. For up to 20 neurons everything is
exact by enumeration.

Couplings of {0, 1} are four times those of {-1, +1}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import logsumexp

from crbm_lite.baselines.glm import GLM, fit_glm, fit_path, logistic_given_others
from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.checks.arguments import as_count, as_generator, as_numbers
from crbm_lite.core.compilation import items_of, parallel_njit
from crbm_lite.core.random_numbers import uniform01
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.validation.frame_likelihood import field_at
from crbm_lite.validation.likelihood import left_out_log_likelihood

__all__ = ["Ising", "IsingPath", "fit_ising", "sweep_ising_l2", "symmetrised"]

_MOST_NEURONS_ENUMERATED = 20


@parallel_njit()
def _gibbs(thread, fields, couplings, v, key, first_sweep, n_sweeps, backwards):
    """Sweep every chain over its neurons; v (n_chains, N) uint8 is changed in place.

    The neurons follow each other in their order, or backwards from the last one, which makes the
    time-reversed sweep.
    """
    n_chains, n_neurons = v.shape
    for chain in items_of(thread, n_chains):
        inputs = fields.copy()
        for i in range(n_neurons):
            if v[chain, i]:
                inputs += couplings[i]
        for sweep in range(first_sweep, first_sweep + n_sweeps):
            counter = (sweep * n_chains + chain) * n_neurons
            for position in range(n_neurons):
                i = n_neurons - 1 - position if backwards else position
                active = uniform01(key, counter + i) * (1.0 + np.exp(-inputs[i])) < 1.0
                if active and not v[chain, i]:
                    v[chain, i] = 1
                    inputs += couplings[i]
                elif v[chain, i] and not active:
                    v[chain, i] = 0
                    inputs -= couplings[i]


@dataclass(frozen=True, eq=False)
class Ising:
    """A pairwise Ising model of N neurons in {0, 1}.

    Attributes
    ----------
    fields : (N,) float64
        g.
    couplings : (N, N) float64
        J, symmetric with diagonal 0.
    """

    fields: np.ndarray = field(repr=False)
    couplings: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        fields = as_numbers(self.fields, "fields")
        couplings = as_numbers(self.couplings, "couplings")
        if fields.ndim != 1 or not fields.size:
            raise ValueError(f"fields has shape {fields.shape}: give (N,), one for each neuron")
        shape = (fields.size,) * 2
        if couplings.shape != shape:
            raise ValueError(f"couplings has shape {couplings.shape}: give {shape}")
        for name, values in (("fields", fields), ("couplings", couplings)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds NaN or infinity: leave those neurons out")
        if not np.array_equal(couplings, couplings.T) or np.diag(couplings).any():
            raise ValueError(
                "couplings is not symmetric with a diagonal of 0: give (J + J.T) / 2 without it"
            )
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "couplings", couplings)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.fields)

    def mean_v_given_others(self, v: object) -> np.ndarray:
        """Probability of a spike of each neuron given all others, (T, N) float64.

        Parameters, Raises: see `crbm_lite.baselines.glm.logistic_given_others`.
        """
        return logistic_given_others(v, self.couplings, self.fields)

    def sample(
        self,
        start: np.ndarray,
        n_saved: int = 50,
        *,
        n_steps: int = 5,
        burn_in: int = 100,
        random_state: int | np.random.Generator | None = None,
    ) -> np.ndarray:
        """Generate frames by Gibbs sampling, one neuron after the other.

        Parameters
        ----------
        start : (n_chains, N) array of 0/1
            Where the chains start, for example random training frames.
        n_saved : int
            States saved of each chain (default 50).
        n_steps, burn_in : int
            Sweeps before each saved state (default 5), and saves that are forgotten at first
            (default 100).
        random_state : int, Generator or None

        Returns
        -------
        (n_saved * n_chains, N) uint8
            All chains of the first save, then of the second.

        Raises
        ------
        ValueError
            If `start` is not binary or has another number of neurons, or a count is out of range.

        Examples
        --------
        >>> ising = Ising(np.array([-1.0, -1.0]), np.array([[0.0, 2.0], [2.0, 0.0]]))
        >>> v = ising.sample(np.zeros((500, 2)), random_state=0)
        >>> v.shape, bool(np.corrcoef(v.T)[0, 1] > 0.3)
        ((25000, 2), True)
        """
        v = as_spikes(start, "start", self.n_neurons).dense()
        n_saved, n_steps = as_count(n_saved, "n_saved"), as_count(n_steps, "n_steps")
        burn_in = as_count(burn_in, "burn_in", 0)
        key = as_generator(random_state).integers(2**64, dtype=np.uint64)
        fields, couplings = self.fields, np.ascontiguousarray(self.couplings)
        _gibbs(fields, couplings, v, key, 0, burn_in * n_steps, False)
        out = np.empty((n_saved, *v.shape), dtype=np.uint8)
        for save in range(n_saved):
            _gibbs(fields, couplings, v, key, (burn_in + save) * n_steps, n_steps, False)
            out[save] = v
        return out.reshape(-1, v.shape[1])

    def annealing_path(self, base_fields: np.ndarray) -> IsingPath:
        """Fade the couplings in, for `crbm_lite.validation.frame_likelihood.log_likelihood`.

        Parameters
        ----------
        base_fields : (N,) float64
            Log-odds of the independent neurons at which the path begins.
        """
        return IsingPath(self, base_fields)

    def enumerate_states(self) -> tuple[np.ndarray, np.ndarray]:
        """Enumerate all 2^N states and their exact log-probabilities, for up to 20 neurons.

        Returns
        -------
        states : (2^N, N) uint8
        log_probability : (2^N,) float64

        Raises
        ------
        ValueError
            For more than 20 neurons.

        Examples
        --------
        >>> states, log_p = Ising(np.zeros(2), np.zeros((2, 2))).enumerate_states()
        >>> np.exp(log_p).tolist()
        [0.25, 0.25, 0.25, 0.25]
        """
        n_neurons = self.n_neurons
        if n_neurons > _MOST_NEURONS_ENUMERATED:
            raise ValueError(
                f"the model has {n_neurons} neurons, so 2^{n_neurons} states: enumerate at most "
                f"{_MOST_NEURONS_ENUMERATED} neurons, and use `sample` for more"
            )
        states = (np.arange(2**n_neurons)[:, None] >> np.arange(n_neurons)) & 1
        log_weight = states @ self.fields + 0.5 * np.sum((states @ self.couplings) * states, axis=1)
        return states.astype(np.uint8), log_weight - logsumexp(log_weight)


class IsingPath:
    """From independent neurons to an Ising model; see `AnnealingPath` in frame_likelihood."""

    def __init__(self, ising: Ising, base_fields: np.ndarray) -> None:
        coupled = ising.couplings.any(axis=1)
        self.ising, self.neurons = ising, np.flatnonzero(coupled)
        self.base_fields, self.fields = base_fields[coupled], ising.fields[coupled]
        self.couplings = np.ascontiguousarray(ising.couplings[np.ix_(coupled, coupled)])
        self.log_z_at_start = float(np.logaddexp(0.0, self.base_fields).sum())
        self.log_z_of_others = float(np.logaddexp(0.0, ising.fields[~coupled]).sum())

    def log_weight_of_frames(self, spikes: Spikes) -> np.ndarray:
        """Log P(v) + log Z of every frame, (T,)."""
        v = as_spikes(spikes, "v", self.ising.n_neurons).to_csr(np.float64)
        pairs = (v @ self.ising.couplings + 2.0 * self.ising.fields).T
        return 0.5 * np.asarray(v.multiply(pairs.T).sum(axis=1)).ravel()

    def chains(self, v: np.ndarray, seed: int, reverse: bool = False) -> _IsingChains:
        """Start chains at v; each step is one sweep."""
        return _IsingChains(self, v, seed, reverse)


class _IsingChains:
    def __init__(self, path: IsingPath, v: np.ndarray, seed: int, reverse: bool) -> None:
        self.path, self.v, self.reverse = path, v.astype(np.uint8), reverse
        self.key, self.n_sweeps = np.uint64(seed), 0

    def step(self, beta: float, n_steps: int = 1) -> None:
        path = self.path
        fields, couplings = field_at(beta, path.base_fields, path.fields), beta * path.couplings
        _gibbs(fields, couplings, self.v, self.key, self.n_sweeps, n_steps, self.reverse)
        self.n_sweeps += n_steps

    def log_weight(self, *betas: float) -> list[np.ndarray]:
        v, path = self.v.astype(np.float64), self.path
        pairs = 0.5 * ((v @ path.couplings) * v).sum(axis=1)
        return [v @ field_at(b, path.base_fields, path.fields) + b * pairs for b in betas]

    def spikes(self) -> np.ndarray:
        return self.v.copy()


def fit_ising(v: object, l2: float = 100.0, *, frame_weights: np.ndarray | None = None) -> Ising:
    """Fit an Ising model by symmetrised pseudo-likelihood with an L2 penalty.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames, in which every neuron is active at least once and not always.
    l2 : float
        lambda of each neuron's regression (default 100).
    frame_weights : (T,) array, optional
        How often each frame counts (default: once).

    Returns
    -------
    Ising

    Raises
    ------
    ValueError
        If `v` is not binary, a neuron is constant, or an argument is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = rng.random((2000, 1)) < 0.3
    >>> v = rng.random((2000, 3)) < np.where(state, [0.6, 0.6, 0.2], [0.1, 0.1, 0.2])
    >>> bool(fit_ising(v, l2=1.0).couplings[0, 1] > 1.0)
    True
    """
    return symmetrised(fit_glm(v, l2, frame_weights=frame_weights))


def symmetrised(glm: GLM) -> Ising:
    """Make an Ising model of the regressions of all neurons: average the two weights of a pair.

    Parameters
    ----------
    glm : GLM
        Of all neurons in their order.

    Returns
    -------
    Ising

    Raises
    ------
    ValueError
        If neurons are missing, or one was constant in the training data.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((50, 3)) < 0.5
    >>> symmetrised(fit_glm(v, 10.0)).couplings.shape
    (3, 3)
    """
    if not np.array_equal(glm.neurons, np.arange(len(glm.weights))):
        raise ValueError(
            f"glm predicts {len(glm.neurons)} of {len(glm.weights)} neurons, or not in order: fit "
            "without `neurons`, an Ising model needs the regression of every neuron"
        )
    constant = np.flatnonzero(~np.isfinite(glm.intercepts))
    if constant.size:
        raise ValueError(
            f"v has {constant.size} neurons that never change, such as {constant[:5].tolist()}: "
            "leave them out, their fields would be infinite"
        )
    return Ising(glm.intercepts, 0.5 * (glm.weights + glm.weights.T))


def sweep_ising_l2(train: object, l2: Sequence[float], *, n_folds: int = 3) -> Sweep:
    """Choose lambda by the pseudo-likelihood of held-out blocks under the averaged couplings.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames. Every neuron must change in them, whichever block is left out.
    l2 : sequence of float
        The lambdas.
    n_folds : int
        Blocks of frames, each held out once (default 3).

    Returns
    -------
    Sweep
        Its scores are sums over the neurons of LLH_i, in nats per frame.

    Raises
    ------
    ValueError
        If a neuron is constant in the fitted frames, or an argument is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = rng.random((400, 1)) < 0.3
    >>> v = rng.random((400, 9)) < np.where(state, 0.8, 0.1)
    >>> sweep_ising_l2(v, (1.0, 1e4)).best
    1.0
    """

    def score(fitted: object, held_out: object) -> list[float]:
        path = fit_path(fitted, l2, tol=1e-2)  # lambdas are compared, weights are not kept
        total = {g.l2: left_out_log_likelihood(symmetrised(g), held_out).sum() for g in path}
        return [total[float(value)] for value in l2]

    return cross_validate(train, l2, score, n_folds)
