r"""Normalised log-likelihood of reconstructing each neuron (nLLH, Eq. 18 of the paper).

With p_i(t) the probability that a model gives to neuron i being active in frame t,

.. math::

    \mathrm{LLH}_i = \langle v_i \log p_i + (1 - v_i) \log(1 - p_i) \rangle_t, \qquad
    \mathrm{nLLH}_i = \frac{\mathrm{LLH}_i - \mathrm{LLH}_i^\mathrm{ind}}
                           {-\mathrm{LLH}_i^\mathrm{ind}},

0 for the independent model, which knows the neuron's mean activity in the test data and nothing
else, 1 for a perfect reconstruction, negative for worse than the mean. For a cRBM,
p = E[v | h = E[h|v]]: the frame goes up to the hidden units and comes back down.
Frames are taken in chunks; a (T, N) array of probabilities is never made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from crbm_lite.core.spikes import as_spikes

__all__ = ["NormalisedLikelihood", "nllh", "nllh_given_probabilities"]

_CLIP = 1e-7
_CHUNK_BYTES = 2**26  # of float64 probabilities in memory at once


class Reconstructs(Protocol):
    """A model with conditional means in both directions, like CRBM."""

    def mean_h_given_v(self, v: np.ndarray) -> np.ndarray:
        """E[h|v], (n, M)."""

    def mean_v_given_h(self, h: np.ndarray) -> np.ndarray:
        """E[v|h], (n, N)."""


@dataclass(frozen=True, eq=False)
class NormalisedLikelihood:
    """nLLH of every neuron over T test frames; equations in `crbm_lite.validation.likelihood`.

    Attributes
    ----------
    nllh : (N,) float64
        Normalised log-likelihood; NaN for the neurons left out.
    log_likelihood : (N,) float64
        LLH_i, average over frames, in nats; of every neuron, those left out too.
    log_likelihood_independent : (N,) float64
        The same for the independent model.
    n_left_out : int
        Neurons whose nLLH is not defined: silent in every test frame, or active in every one, for
        both of which the independent model is already certain.
    median : float
        Median over the neurons that are left; NaN without any.
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
    """Score any model's probabilities against binary activity, neuron by neuron.

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
    n_frames, n_neurons = v.shape
    if not callable(p):
        given = np.asarray(p)
        if given.shape not in ((n_frames, n_neurons), (n_neurons,)):
            raise ValueError(
                f"p has shape {given.shape}: give one probability a frame and neuron, {v.shape}, "
                f"or one a neuron, ({n_neurons},)."
            )
        given = np.broadcast_to(given, v.shape)
        p = given.__getitem__
    total = np.zeros(n_neurons)
    counts = np.zeros(n_neurons)
    size = max(1, _CHUNK_BYTES // (8 * n_neurons))
    for start in range(0, n_frames, size):
        frames = slice(start, min(start + size, n_frames))
        active = v.dense(frames) > 0
        chunk = np.array(p(frames), dtype=np.float64)
        if chunk.shape != active.shape:
            raise ValueError(
                f"p returned shape {chunk.shape} for {active.shape[0]} frames of {n_neurons} "
                f"neurons; return {active.shape}."
            )
        if not ((chunk >= 0) & (chunk <= 1)).all():
            raise ValueError("p must lie in [0, 1] and not be NaN; give probabilities, not logits.")
        np.clip(chunk, _CLIP, 1.0 - _CLIP, out=chunk)
        np.subtract(1.0, chunk, out=chunk, where=~active)
        total += np.log(chunk, out=chunk).sum(axis=0)
        counts += active.sum(axis=0)
    log_likelihood = total / n_frames
    mean = counts / n_frames
    independent = _entropy_term(mean) + _entropy_term(1.0 - mean)
    kept = (counts > 0) & (counts < n_frames)
    score = np.full(n_neurons, np.nan)
    score[kept] = (log_likelihood[kept] - independent[kept]) / -independent[kept]
    return NormalisedLikelihood(
        nllh=score,
        log_likelihood=log_likelihood,
        log_likelihood_independent=independent,
        n_left_out=int(n_neurons - kept.sum()),
        median=float(np.median(score[kept])) if kept.any() else float("nan"),
    )


def nllh(model: Reconstructs, v: object) -> NormalisedLikelihood:
    """NLLH of a cRBM's reconstruction p = E[v | h = E[h|v]], Eq. 18.

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
        If `v` is not binary or does not fit the model.

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
    v = as_spikes(v)

    def p(frames: slice) -> np.ndarray:
        return model.mean_v_given_h(model.mean_h_given_v(v.dense(frames)))

    return nllh_given_probabilities(v, p)
