r"""The GLM of the paper's Fig. 2H: logistic regression of every neuron on all the others.

Each neuron i has its own model, :math:`P(v_i = 1 | v_{\setminus i}) = \sigma(b_i +
\sum_{j \ne i} B_{ji} v_j)`. Its parameters minimise

.. math:: \sum_t \left[ \log(1 + e^{z_i(t)}) - v_i(t) z_i(t) \right]
          + \frac{\lambda}{2} \sum_{j \ne i} B_{ji}^2, \qquad z_i = b_i + \sum_{j \ne i} B_{ji} v_j,

which is scikit-learn's convention with C = 1/lambda. The intercept is not penalised.

`crbm_lite.baselines.newton` solves a block of neurons at a time. Blocks go to as many threads as
numba has, and the result does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numba
import numpy as np
from scipy.special import expit, logit

from crbm_lite.baselines.newton import fit_block
from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.checks.arguments import as_number, as_numbers
from crbm_lite.checks.arrays import as_indices
from crbm_lite.core.spikes import as_spikes
from crbm_lite.validation.likelihood import left_out_nllh

__all__ = ["GLM", "fit_glm", "fit_path", "logistic_given_others", "sweep_l2"]

_BLOCK_BYTES = 2**23  # of one float64 array over the frames: small enough to stay near the caches


def logistic_given_others(v: object, weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Probability of a spike in every frame, sigma(v W + b).

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
    weights : (N, K) float64
        What neuron j adds to the log-odds of neuron k; 0 where they are the same neuron.
    offsets : (K,) float64

    Returns
    -------
    (T, K) float64

    Raises
    ------
    ValueError
        If `v` is not binary or has another number of neurons.

    Examples
    --------
    >>> logistic_given_others([[0, 1]], np.array([[0.0, 1.0], [2.0, 0.0]]), np.zeros(2)).round(3)
    array([[0.881, 0.5  ]])
    """
    spikes = as_spikes(v, "v", len(weights))
    return expit(spikes.to_csr(np.float64) @ weights + offsets)


@dataclass(frozen=True, eq=False)
class GLM:
    """Fitted logistic regressions of K neurons on all N; equations in `crbm_lite.baselines.glm`.

    Attributes
    ----------
    weights : (N, K) float64
        Column k holds the weights onto neuron ``neurons[k]``, whose own weight is 0.
    intercepts : (K,) float64
        b. It is infinite, with all weights 0, for a neuron that is constant in the training data,
        frames of weight 0 left out.
    neurons : (K,) int64
        The neurons that are predicted.
    l2 : float
        lambda.
    n_newton : (K,) int64
        Newton steps that each neuron took.
    """

    weights: np.ndarray = field(repr=False)
    intercepts: np.ndarray = field(repr=False)
    neurons: np.ndarray = field(repr=False)
    l2: float
    n_newton: np.ndarray = field(repr=False)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.weights)

    def mean_v_given_others(self, v: object) -> np.ndarray:
        """Probability of a spike of each predicted neuron given all others, (T, K) float64.

        Parameters, Raises: see `logistic_given_others`.
        """
        return logistic_given_others(v, self.weights, self.intercepts)


def fit_glm(
    v: object,
    l2: float = 1000.0,
    *,
    neurons: Sequence[int] | np.ndarray | None = None,
    frame_weights: np.ndarray | None = None,
    tol: float = 1e-6,
    start: GLM | None = None,
) -> GLM:
    """Fit the logistic regression of each neuron on all the others.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.
    l2 : float
        lambda > 0, the inverse of scikit-learn's C (default 1000, the paper's).
    neurons : sequence of int, optional
        Neurons to predict (default: all). All neurons are predictors in any case.
    frame_weights : (T,) array, optional
        How often each frame counts, for data in which frames repeat (default: once).
    tol : float
        A neuron is done when its gradient, divided by the diagonal of the Hessian, is below this
        everywhere (default 1e-6). It is about the accuracy of the weights.
    start : GLM, optional
        A fit of the same `neurons` from which this one starts, for instance at another lambda.

    Returns
    -------
    GLM

    Raises
    ------
    ValueError
        If `v` is not binary, `l2` not positive, or `neurons`, `frame_weights` or `start` do not
        fit.
    RuntimeError
        If a neuron did not converge.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> state = rng.random((2000, 1)) < 0.3
    >>> v = rng.random((2000, 3)) < np.where(state, [0.6, 0.6, 0.2], [0.1, 0.1, 0.2])
    >>> glm = fit_glm(v, l2=1.0)
    >>> bool(glm.weights[0, 1] > 1.0), bool(abs(glm.weights[2, 1]) < 0.5)
    (True, True)
    """
    spikes = as_spikes(v)
    n_frames, n_neurons = spikes.shape
    l2 = as_number(l2, "l2", "lambda (without it a weight may grow for ever)", positive=True)
    tol = as_number(tol, "tol", "the accuracy of the weights", positive=True)
    neurons = as_indices(slice(None) if neurons is None else neurons, n_neurons, "neurons")
    if frame_weights is None:
        frame_weights = np.ones(n_frames)
    frame_weights = as_numbers(frame_weights, "frame_weights")
    if frame_weights.shape != (n_frames,) or not (frame_weights >= 0).all():
        raise ValueError(
            f"frame_weights is of shape {frame_weights.shape} or holds negative numbers: give one "
            f"number of 0 or more per frame, ({n_frames},)"
        )
    if not 0 < frame_weights.sum() < np.inf:
        raise ValueError(
            f"frame_weights has the sum {frame_weights.sum():g}: give finite numbers, some of them "
            "above 0"
        )
    x = spikes.to_csr(np.float64)
    xt = x.T.tocsr()
    counts = xt @ frame_weights
    total = frame_weights.sum()
    weights = np.zeros((n_neurons, len(neurons)))
    seen = frame_weights > 0  # counted, as sums of weights are rounded
    n_active = (xt @ seen.astype(np.float64))[neurons]
    tiny = np.finfo(np.float64).eps  # the share of a neuron that varies is neither 0 nor 1
    intercepts = logit(np.clip(counts[neurons] / total, tiny, 1.0 - tiny))
    intercepts[n_active == 0], intercepts[n_active == seen.sum()] = -np.inf, np.inf
    varying = np.flatnonzero(np.isfinite(intercepts))
    if start is not None:
        if start.weights.shape != weights.shape or not np.array_equal(start.neurons, neurons):
            raise ValueError("start is a fit of other neurons: give one of the same, in order")
        known = varying[np.isfinite(start.intercepts[varying])]
        weights[:, known], intercepts[known] = start.weights[:, known], start.intercepts[known]
    n_newton = np.zeros(len(neurons), dtype=np.int64)

    def fit(block: np.ndarray) -> None:
        weights[:, block], intercepts[block], n_newton[block] = fit_block(
            x,
            xt,
            neurons[block],
            weights[:, block],
            intercepts[block],
            counts,
            frame_weights,
            l2,
            tol,
        )

    size = max(1, _BLOCK_BYTES // (8 * n_frames))
    blocks = [varying[first : first + size] for first in range(0, len(varying), size)]
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(fit, blocks))
    return GLM(weights, intercepts, neurons.copy(), l2, n_newton)


def fit_path(
    v: object,
    l2: Sequence[float],
    *,
    neurons: Sequence[int] | np.ndarray | None = None,
    tol: float = 1e-3,
) -> Iterator[GLM]:
    """Fit at several lambdas, from the largest down; each fit starts from the one before.

    Parameters
    ----------
    v, neurons, tol
        As in `fit_glm`, but with `tol` 1e-3 by default.
    l2 : sequence of float
        The lambdas, in any order.

    Yields
    ------
    GLM
        By falling lambda.

    Raises
    ------
    ValueError, RuntimeError
        As `fit_glm`.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((60, 3)) < 0.3
    >>> [glm.l2 for glm in fit_path(v, (1.0, 100.0, 10.0))]
    [100.0, 10.0, 1.0]
    """
    glm = None
    for value in sorted(l2, reverse=True):
        glm = fit_glm(v, value, neurons=neurons, tol=tol, start=glm)
        yield glm


def sweep_l2(
    train: object,
    l2: Sequence[float] = (1.0, 10.0, 100.0, 1000.0, 10000.0),
    *,
    neurons: Sequence[int] | np.ndarray | None = None,
    n_folds: int = 3,
) -> Sweep:
    """Choose lambda by the median nLLH of held-out blocks. The test frames stay unseen.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.
    l2 : sequence of float
        The lambdas (default: powers of ten from 1 to 10,000).
    neurons : sequence of int, optional
        Neurons to predict, for a quicker sweep (default: all). All are predictors in any case.
    n_folds : int
        Blocks of frames, each held out once (default 3).

    Returns
    -------
    Sweep
        Its scores are medians over the neurons.

    Raises
    ------
    ValueError
        If there is no lambda, or `n_folds` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> state = rng.random((400, 1)) < 0.3
    >>> v = rng.random((400, 9)) < np.where(state, 0.8, 0.1)
    >>> sweep_l2(v, (1.0, 1e4)).best
    1.0
    """

    def score(fitted: object, held_out: object) -> list[float]:
        path = fit_path(fitted, l2, neurons=neurons)
        median = {glm.l2: left_out_nllh(glm, held_out).median for glm in path}
        return [median[float(value)] for value in l2]

    return cross_validate(train, l2, score, n_folds)
