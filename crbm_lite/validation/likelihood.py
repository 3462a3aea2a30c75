r"""How well each neuron is predicted: left out of what the model sees, and by reconstruction.

With p_i(t) the probability that a model gives to neuron i being active in frame t,

.. math::

    \mathrm{LLH}_i = \langle v_i \log p_i + (1 - v_i) \log(1 - p_i) \rangle_t, \qquad
    \mathrm{nLLH}_i = \frac{\mathrm{LLH}_i - \mathrm{LLH}_i^\mathrm{ind}}
                           {-\mathrm{LLH}_i^\mathrm{ind}}

(Eq. 18 of the paper). The nLLH is 0 for the independent model, which knows the neuron's mean
activity in the test data and nothing else. It is 1 for perfect probabilities, and negative where
the mean alone would be better.

Two probabilities are in use, and they answer different questions:

- **Left out** (`left_out_nllh`): p = P(v_i = 1 | all other neurons). The model does not see the
  neuron, so all models can be compared, and the sum of the LLH over neurons is the
  pseudo-log-likelihood of a frame. A cRBM's is exact (`crbm_lite.core.left_out`).
- **Reconstructed** (`nllh`, the paper's score of a cRBM): p = E[v | h = E[h|v]]. The frame goes up
  to the hidden units and comes back down, so the model has seen the neuron that it predicts. Do not
  compare this score with one that leaves the neuron out.

Frames are taken in chunks: a (T, N) array of probabilities is never made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from crbm_lite.checks.arguments import as_array
from crbm_lite.core import left_out
from crbm_lite.core.spikes import as_spikes, spikes_of_model

__all__ = [
    "NormalisedLikelihood",
    "PredictsFromOthers",
    "Reconstructs",
    "left_out_log_likelihood",
    "left_out_nllh",
    "nllh",
    "nllh_given_probabilities",
]


class Reconstructs(Protocol):
    """A model with conditional means in both directions, like CRBM."""

    def mean_h_given_v(self, v: np.ndarray) -> np.ndarray:
        """E[h|v], (n, M)."""

    def mean_v_given_h(self, h: np.ndarray) -> np.ndarray:
        """E[v|h], (n, N)."""


class PredictsFromOthers(Protocol):
    """A model that predicts a neuron from all the others, like GLM.

    A model that predicts only K of the N neurons names them in an attribute ``neurons``.
    """

    def mean_v_given_others(self, v: np.ndarray) -> np.ndarray:
        """P(v_i = 1 | all other neurons), (n, N) or (n, K)."""


@dataclass(frozen=True, eq=False)
class NormalisedLikelihood:
    """The nLLH of every neuron over T test frames; equations in `crbm_lite.validation.likelihood`.

    Attributes
    ----------
    nllh : (N,) float64
        Normalised log-likelihood; NaN for the neurons that are left out.
    log_likelihood : (N,) float64
        LLH_i of every neuron, those left out too: an average over frames, in nats.
    log_likelihood_independent : (N,) float64
        The same for the independent model.
    n_left_out : int
        Neurons whose nLLH is not defined because the independent model is already certain: they are
        silent in every test frame, or active in every one.
    median : float
        Median over the neurons that have an nLLH; NaN without any.
    """

    nllh: np.ndarray = field(repr=False)
    log_likelihood: np.ndarray = field(repr=False)
    log_likelihood_independent: np.ndarray = field(repr=False)
    n_left_out: int
    median: float


def _entropy_term(p: np.ndarray) -> np.ndarray:
    """Return p log p, 0 at p = 0."""
    return p * np.log(np.where(p > 0, p, 1.0))


def nllh_given_probabilities(
    v: object,
    p: np.ndarray | Callable[[slice], np.ndarray],
) -> NormalisedLikelihood:
    """Score any model's probabilities against binary activity, neuron by neuron (Eq. 18).

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Test frames.
    p : (T, N) or (N,) array of float, or callable
        Probability of activity, in [0, 1]; clipped to [1e-7, 1 - 1e-7]. (N,) holds for all frames.
        A callable is given a slice of frames and returns their (n, N) probabilities, so that they
        need not all be in memory.

    Returns
    -------
    NormalisedLikelihood

    Raises
    ------
    ValueError
        If `v` is not binary, or `p` has another shape, NaN or values outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> v = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 1]])
    >>> score = nllh_given_probabilities(v, np.where(v == 1, 0.75, 0.25))
    >>> score.nllh.round(3), score.n_left_out
    (array([0.585,   nan, 0.488]), 1)
    """
    v = as_spikes(v)
    if not callable(p):
        given = as_array(p, "p")
        if given.shape not in (v.shape, (v.n_neurons,)):
            raise ValueError(
                f"p has shape {given.shape}: give one probability per frame and neuron, {v.shape}, "
                f"or one per neuron, ({v.n_neurons},)"
            )
        p = np.broadcast_to(given, v.shape).__getitem__
    log_likelihood = left_out.mean_log_likelihood(v, p)
    mean = v.activity()
    independent = _entropy_term(mean) + _entropy_term(1.0 - mean)
    kept = (mean > 0) & (mean < 1)
    score = np.full(v.n_neurons, np.nan)
    score[kept] = (log_likelihood[kept] - independent[kept]) / -independent[kept]
    return NormalisedLikelihood(
        nllh=score,
        log_likelihood=log_likelihood,
        log_likelihood_independent=independent,
        n_left_out=int(v.n_neurons - kept.sum()),
        median=float(np.median(score[kept])) if kept.any() else float("nan"),
    )


def nllh(model: Reconstructs, v: object) -> NormalisedLikelihood:
    """Score a cRBM's reconstruction p = E[v | h = E[h|v]], as the paper does (Eq. 18).

    The reconstruction has seen the neuron that it predicts. To compare models, take
    `left_out_nllh`.

    Parameters
    ----------
    model : CRBM
        Or any model with `mean_h_given_v` and `mean_v_given_h`.
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Test frames.

    Returns
    -------
    NormalisedLikelihood

    Raises
    ------
    ValueError
        If `v` is not binary or does not fit the model, or the model is not fitted or has no hidden
        units.

    Examples
    --------
    A model that knows nothing but the mean activity scores 0:

    >>> import numpy as np
    >>> class Independent:
    ...     def mean_h_given_v(self, v):
    ...         return np.zeros((len(v), 1))
    ...     def mean_v_given_h(self, h):
    ...         return np.full((len(h), 2), 0.5)
    >>> nllh(Independent(), np.array([[1, 0], [0, 1]])).median
    0.0
    """
    v = spikes_of_model(model, v)
    if not hasattr(model, "mean_h_given_v"):
        raise ValueError(f"model is a {type(model).__name__}: give one with hidden units, a CRBM")

    def p(frames: slice) -> np.ndarray:
        return model.mean_v_given_h(model.mean_h_given_v(v.dense(frames)))

    return nllh_given_probabilities(v, p)


def left_out_nllh(
    model: PredictsFromOthers, v: object, others: object | None = None
) -> NormalisedLikelihood:
    """Score the probability of each neuron given all others, the neuron itself left out.

    Parameters
    ----------
    model : CRBM, GLM, Ising, VAE or Independent
        Or any model with `mean_v_given_others`.
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Test frames.
    others : like `v`, optional
        Frames in which the other neurons are read; by default `v` itself. With
        ``crbm_lite.recordings.controls.shift_time(v)`` the others share no time with the neuron:
        what a model scores then is what it knows of the neuron alone.

    Returns
    -------
    NormalisedLikelihood
        Of the N neurons, or of those that the model predicts, in the order of ``model.neurons``.

    Raises
    ------
    ValueError
        If `v` or `others` is not binary, does not fit the model, or differs in the number of
        frames; or if the model is not fitted or predicts no neuron from the others.

    Examples
    --------
    Two neurons that fire together predict each other:

    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[2.0], [2.0]], [-4, -4], [1], [1], [0], [0])
    >>> together = [[0, 0], [1, 1], [0, 0], [1, 1]]
    >>> score = left_out_nllh(pair, together)
    >>> score.nllh.round(3), score.log_likelihood.round(3)
    (array([0.817, 0.817]), array([-0.127, -0.127]))
    """
    spikes = spikes_of_model(model, v)
    if not (hasattr(model, "mean_v_given_others") or hasattr(model, "fields_")):
        raise ValueError(
            f"model is a {type(model).__name__}: give a CRBM, or a model with mean_v_given_others"
        )
    seen = spikes if others is None else spikes_of_model(model, others, "others")
    if seen.shape != spikes.shape:
        raise ValueError(f"others has shape {seen.shape}: give that of v, {spikes.shape}")
    predicted = spikes
    if hasattr(model, "neurons"):
        predicted = as_spikes(spikes.to_csr()[:, model.neurons])

    def p(frames: slice) -> np.ndarray:
        return _mean_v_given_others(model, seen.dense(frames))

    return nllh_given_probabilities(predicted, p)


def _mean_v_given_others(model: PredictsFromOthers, v: np.ndarray) -> np.ndarray:
    """P(v_i = 1 | all others): the model's own, or that of a cRBM's parameters."""
    if hasattr(model, "mean_v_given_others"):
        return model.mean_v_given_others(v)
    spikes = as_spikes(v, n_neurons=len(model.fields_))
    return left_out.mean_v_given_others(spikes, model.weights_, model.fields_, model.units)


def left_out_log_likelihood(
    model: PredictsFromOthers, v: object, others: object | None = None
) -> np.ndarray:
    """Average over frames of log P(v_i | all other neurons) of every neuron, in nats.

    Its sum over neurons is the pseudo-log-likelihood of a frame. Parameters, Raises: see
    `left_out_nllh`.

    Returns
    -------
    (N,) float64
        Silent neurons count too, unlike in an nLLH.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[2.0], [2.0]], [-4, -4], [1], [1], [0], [0])
    >>> left_out_log_likelihood(pair, [[0, 0], [1, 1], [0, 0], [1, 1]]).round(3)
    array([-0.127, -0.127])
    """
    return left_out_nllh(model, v, others).log_likelihood
