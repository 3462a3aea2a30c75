r"""The GLM of the paper's Fig. 2H: logistic regression of every neuron on all the others.

Neuron i has its own model, :math:`P(v_i = 1 | v_{\setminus i}) = \sigma(b_i + \sum_{j \ne i} B_{ji}
v_j)`, fitted by the minimum of

.. math:: \sum_t \left[ \log(1 + e^{z_i(t)}) - v_i(t) z_i(t) \right]
          + \frac{\lambda}{2} \sum_{j \ne i} B_{ji}^2, \qquad z_i = b_i + \sum_{j \ne i} B_{ji} v_j,

which is scikit-learn's convention with C = 1/lambda; the intercept is not penalised.

They are solved together, a block of neurons at a time, by `crbm_lite.baselines.newton`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, logit

from crbm_lite.baselines.newton import fit_block
from crbm_lite.likelihood import NormalisedLikelihood, nllh_given_probabilities
from crbm_lite.spikes import as_spikes

__all__ = ["GLM", "L2Sweep", "fit_glm", "sweep_l2"]

_BLOCK_BYTES = 2**23  # of one float64 array over the frames: small enough to stay near the caches


@dataclass(frozen=True, eq=False)
class GLM:
    """Fitted logistic regressions of K neurons on all N; equations in `crbm_lite.baselines.glm`.

    Attributes
    ----------
    weights : (N, K) float64
        Column k holds the weights onto neuron ``neurons[k]``, whose own weight is 0.
    intercepts : (K,) float64
        b; infinite, with all weights 0, for a neuron that is constant in the training data.
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

    def mean_v_given_others(self, v: object) -> np.ndarray:
        """P(v_i = 1 | all others) in every frame.

        Parameters
        ----------
        v : (T, N) array of 0/1, scipy.sparse matrix or Recording

        Returns
        -------
        (T, K) float64

        Raises
        ------
        ValueError
            If `v` is not binary or has another number of neurons.
        """
        spikes = as_spikes(v, "v", len(self.weights))
        return expit(spikes.to_csr(np.float64) @ self.weights + self.intercepts)

    def nllh(self, v: object) -> NormalisedLikelihood:
        """Held-out nLLH (Eq. 18) of each predicted neuron.

        Parameters
        ----------
        v : (T, N) array of 0/1, scipy.sparse matrix or Recording
            Test frames.

        Returns
        -------
        NormalisedLikelihood
            Its arrays have shape (K,), in the order of `neurons`.

        Raises
        ------
        ValueError
            If `v` is not binary or has another number of neurons.
        """
        x = as_spikes(v, "v", len(self.weights)).to_csr(np.float64)
        return nllh_given_probabilities(
            x[:, self.neurons], lambda frames: expit(x[frames] @ self.weights + self.intercepts)
        )


@dataclass(frozen=True, eq=False)
class L2Sweep:
    """Held-out nLLH at each lambda.

    Attributes
    ----------
    l2 : (S,) float64
        The lambdas, in the order given.
    median_nllh : (S,) float64
        Median over the neurons on the validation frames.
    best : float
        The lambda with the highest median.
    n_fit, n_validation : int
        Frames fitted and frames scored.
    """

    l2: np.ndarray
    median_nllh: np.ndarray
    best: float
    n_fit: int
    n_validation: int


def fit_glm(
    v: object,
    l2: float = 1000.0,
    *,
    neurons: Sequence[int] | np.ndarray | None = None,
    frame_weights: np.ndarray | None = None,
    tol: float = 1e-6,
) -> GLM:
    """Fit the logistic regression of each neuron on all the others.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.
    l2 : float
        lambda > 0, the inverse of scikit-learn's C. The paper's is 1000.
    neurons : sequence of int, optional
        Neurons to predict; all by default. All of them are predictors in any case.
    frame_weights : (T,) array, optional
        How often each frame counts, for data in which frames repeat; 1 by default.
    tol : float
        A neuron is done when its gradient, divided by the diagonal of the Hessian, is below this
        everywhere: about the accuracy of the weights.

    Returns
    -------
    GLM

    Raises
    ------
    ValueError
        If `v` is not binary, `l2` not positive, or `neurons` or `frame_weights` do not fit.
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
    if not (np.isfinite(l2) and l2 > 0):
        raise ValueError(f"l2 is {l2}: give lambda > 0 (without it a weight may grow for ever).")
    neurons = np.arange(n_neurons) if neurons is None else np.asarray(neurons)
    if (
        neurons.ndim != 1
        or neurons.dtype.kind not in "iu"
        or not ((neurons >= 0) & (neurons < n_neurons)).all()
    ):
        raise ValueError(f"neurons must be a list of integers from 0 to {n_neurons - 1}.")
    if frame_weights is None:
        frame_weights = np.ones(n_frames)
    frame_weights = np.asarray(frame_weights, dtype=np.float64)
    if frame_weights.shape != (n_frames,) or not (frame_weights >= 0).all():
        raise ValueError(
            f"frame_weights must be {n_frames} numbers that are not negative, one a frame."
        )
    x = spikes.to_csr(np.float64)
    xt = x.T.tocsr()
    counts = xt @ frame_weights
    total = frame_weights.sum()
    weights = np.zeros((n_neurons, len(neurons)))
    with np.errstate(divide="ignore"):
        intercepts = logit(counts[neurons] / total)
    n_newton = np.zeros(len(neurons), dtype=np.int64)
    varying = np.flatnonzero(np.isfinite(intercepts))
    size = max(1, _BLOCK_BYTES // (8 * n_frames))
    for start in range(0, len(varying), size):
        block = varying[start : start + size]
        weights[:, block], intercepts[block], n_newton[block] = fit_block(
            x, xt, neurons[block], intercepts[block], counts, frame_weights, l2, tol
        )
    return GLM(weights, intercepts, neurons.astype(np.int64), float(l2), n_newton)


def sweep_l2(
    train: object,
    l2: Sequence[float] = (1.0, 10.0, 100.0, 1000.0, 10000.0),
    *,
    neurons: Sequence[int] | np.ndarray | None = None,
    validation_fraction: float = 0.25,
) -> L2Sweep:
    """Choose lambda by the nLLH of the last part of the training frames; test frames stay unseen.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames; the last `validation_fraction` of them are not fitted but scored.
    l2 : sequence of float
        The lambdas.
    neurons : sequence of int, optional
        Neurons to predict, for a quicker sweep; all by default.
    validation_fraction : float in (0, 1)

    Returns
    -------
    L2Sweep

    Raises
    ------
    ValueError
        If there is no lambda, or one of the two parts would have no frame.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> state = rng.random((400, 1)) < 0.3
    >>> v = rng.random((400, 9)) < np.where(state, 0.8, 0.1)
    >>> sweep_l2(v, (1.0, 1e4)).best
    1.0
    """
    spikes = as_spikes(train, "train")
    if len(l2) == 0:
        raise ValueError("l2 is empty: give the lambdas to try.")
    n_fit = round(spikes.n_frames * (1 - validation_fraction))
    if not 0 < n_fit < spikes.n_frames:
        raise ValueError(
            f"validation_fraction is {validation_fraction}: it leaves {n_fit} of "
            f"{spikes.n_frames} frames to fit; both parts need some."
        )
    x = spikes.to_csr()
    fitted, held_out = x[:n_fit], x[n_fit:]
    median = np.array(
        [fit_glm(fitted, value, neurons=neurons, tol=1e-4).nllh(held_out).median for value in l2]
    )
    best = float(l2[int(np.nanargmax(median))])
    return L2Sweep(np.array(l2, dtype=np.float64), median, best, n_fit, spikes.n_frames - n_fit)
