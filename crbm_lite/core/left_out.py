r"""Each neuron given all others: the exact conditional of a cRBM, and its log-likelihood.

With :math:`I'_\mu` the input of hidden unit mu without neuron i,

.. math::

    P(v_i = 1 \mid v_{\setminus i}) = \sigma\Bigl(g_i + \sum_\mu
    \bigl[\Gamma_\mu(I'_\mu + w_{i\mu}) - \Gamma_\mu(I'_\mu)\bigr]\Bigr),
    \qquad \sigma(x) = \frac{1}{1 + e^{-x}}.

This needs no normalisation Z and no sampling. Only the units with :math:`w_{i\mu} \ne 0` count, so
the work is T x N x (units of a neuron). One of the two cumulants is that of the frame as it is,
which all neurons share. For the other one the neuron's spike is added or taken away. It is made of
logarithms of the standard half (`crbm_lite.core.truncated_gaussian`), which are read from a table
of cubics with an error of 2e-11.

The mean log-likelihood of a neuron,
:math:`\langle v_i \log p_i + (1 - v_i) \log(1 - p_i) \rangle_t`, is the same for every model that
gives probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.sparse
from scipy.special import expit

from crbm_lite.checks.arguments import as_array, as_numbers
from crbm_lite.core.compilation import items_of, parallel_njit
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.core.truncated_gaussian import log_half

__all__ = ["log_likelihood_given_others", "mean_log_likelihood", "mean_v_given_others"]

_CLIP = 1e-7  # probabilities closer to 0 or 1 count as this
_CHUNK_BYTES = 2**26  # of float64 probabilities in memory at once
_NEGLIGIBLE = 37.0  # exp(-37) is below the rounding of 1


@parallel_njit(error_model="numpy")
def _log_odds_given_others(
    thread, v, inputs, cumulants, row_starts, units, weights, gamma_plus, gamma_minus, theta_plus,
    theta_minus, log_odds,
):  # fmt: skip
    """Add what the other neurons say, over the hidden units, to the log-odds of every neuron.

    Parameters
    ----------
    v : uint8 (N, n)
        Spikes in n frames.
    inputs, cumulants : float64 (M, n)
        I = vW and Gamma(I) of the frames as they are.
    row_starts, units, weights : compressed sparse rows of W (N, M)
    gamma_plus, gamma_minus, theta_plus, theta_minus : float64 (M,)
    log_odds : float64 (N, n)
        Starts from the fields; changed in place.
    """
    for i in items_of(thread, v.shape[0]):
        row, spikes = log_odds[i], v[i]
        for k in range(row_starts[i], row_starts[i + 1]):
            mu, w = units[k], np.float64(weights[k])
            gp, gm, tp, tm = gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu]
            root_p, root_m = 1.0 / math.sqrt(gp), 1.0 / math.sqrt(gm)
            log_p, log_m = 0.5 * math.log(gp), 0.5 * math.log(gm)
            here, there = cumulants[mu], inputs[mu]
            for t in range(row.shape[0]):
                sign = 1.0 - 2.0 * spikes[t]  # the spike is added where there is none, else taken
                x = there[t] + sign * w
                plus = log_half(tp - x, gp, root_p) - log_p
                minus = log_half(x - tm, gm, root_m) - log_m
                gap = abs(plus - minus)
                cumulant = max(plus, minus)
                if gap < _NEGLIGIBLE:
                    cumulant += math.log1p(math.exp(-gap))
                row[t] += sign * (cumulant - here[t])


def mean_v_given_others(
    spikes: Spikes,
    weights: np.ndarray,
    fields: np.ndarray,
    units: DReLU,
    neurons: np.ndarray | slice = slice(None),
) -> np.ndarray:
    """Probability of a spike of each neuron given all others, in every frame (equation above).

    Parameters
    ----------
    spikes : Spikes, shape (T, N)
    weights : ndarray, shape (N, M)
        Its zeros cost nothing.
    fields : ndarray, shape (N,)
    units : DReLU
        The M potentials.
    neurons : slice or array of int
        The neurons that are asked about; all by default.

    Returns
    -------
    ndarray of float64, shape (T, N) or (T, neurons asked about)
        Column i does not depend on the spikes of neuron i.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> units = DReLU([1.0], [1.0], [0.0], [0.0])
    >>> p = mean_v_given_others(as_spikes([[0, 1], [1, 1]]), [[1.0], [2.0]], [0.0, 0.0], units)
    >>> p.round(3)  # quadratic units: log-odds w_i^2 / 2 + w_i w_j v_j
    array([[0.924, 0.881],
           [0.924, 0.982]])
    """
    weights = as_array(weights, "weights")
    rows, inputs = scipy.sparse.csr_array(weights[neurons]), spikes.inputs(weights)
    cumulants = np.ascontiguousarray(units.cumulant(inputs).T)
    v = np.ascontiguousarray(spikes.dense()[:, neurons].T)
    log_odds = np.empty(v.shape)
    log_odds[:] = as_numbers(fields, "fields")[neurons, None]
    _log_odds_given_others(
        v, np.ascontiguousarray(inputs.T), cumulants, rows.indptr, rows.indices, rows.data,
        *units.parameters, log_odds,
    )  # fmt: skip
    return expit(log_odds, out=log_odds).T


def mean_log_likelihood(
    spikes: Spikes, p_given_frames: Callable[[slice], np.ndarray]
) -> np.ndarray:
    """Average over frames of the log probability that a model gives to each neuron's activity.

    Parameters
    ----------
    spikes : Spikes, shape (T, N)
    p_given_frames : callable
        Takes a slice of frames and returns their (n, N) probabilities of a spike. They are clipped
        to [1e-7, 1 - 1e-7]: a spike that a model holds to be impossible costs 16 nats.

    Returns
    -------
    ndarray of float64, shape (N,)
        In nats per frame.

    Raises
    ------
    ValueError
        If the probabilities have another shape, are NaN or lie outside [0, 1].

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> v = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
    >>> mean_log_likelihood(as_spikes(v), lambda frames: np.full(v[frames].shape, 0.5)).round(3)
    array([-0.693, -0.693])
    """
    total = np.zeros(spikes.n_neurons)
    size = max(1, _CHUNK_BYTES // (8 * spikes.n_neurons))
    for start in range(0, spikes.n_frames, size):
        frames = slice(start, min(start + size, spikes.n_frames))
        active = spikes.dense(frames) > 0
        p = np.array(as_numbers(p_given_frames(frames), "p"))
        if p.shape != active.shape:
            raise ValueError(
                f"p has shape {p.shape} for frames {frames.start} to {frames.stop - 1}: give one "
                f"probability per frame and neuron, {active.shape}"
            )
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError("p holds NaN or values outside [0, 1]: give probabilities, not logits")
        np.clip(p, _CLIP, 1.0 - _CLIP, out=p)
        np.subtract(1.0, p, out=p, where=~active)
        total += np.log(p, out=p).sum(axis=0)
    return total / spikes.n_frames


def log_likelihood_given_others(
    spikes: Spikes, weights: np.ndarray, fields: np.ndarray, units: DReLU
) -> np.ndarray:
    """Average over frames of log P(v_i | all others) of every neuron, (N,), in nats per frame.

    Its sum over neurons is the pseudo-log-likelihood of a frame. Parameters and Raises: see
    `mean_v_given_others` and `mean_log_likelihood`.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> units = DReLU([1.0], [1.0], [0.0], [0.0])
    >>> v = as_spikes([[0, 1], [1, 1]])
    >>> log_likelihood_given_others(v, np.zeros((2, 1)), [0.0, 0.0], units).round(3)
    array([-0.693, -0.693])
    """

    def p(frames: slice) -> np.ndarray:
        return mean_v_given_others(as_spikes(spikes.dense(frames)), weights, fields, units)

    return mean_log_likelihood(spikes, p)
