r"""The graphical lasso: partial correlations under a sparse inverse covariance (Fig. 6-S1).

Activity is treated as Gaussian. Let P be the inverse correlation matrix that maximises
:math:`\log\det P - \mathrm{tr}(C P) - \alpha \sum_{i \ne j} |P_{ij}|`. The couplings are
:math:`-P_{ij} / \sqrt{P_{ii} P_{jj}}`. The solver is scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.checks.arguments import as_number
from crbm_lite.core.spikes import as_spikes

__all__ = ["graphical_lasso_couplings", "sweep_alpha"]


def graphical_lasso_couplings(v: object, alpha: float = 0.01) -> np.ndarray:
    """Estimate partial correlations under a sparse inverse covariance, by the graphical lasso.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        The time grows like N^3, so this is meant for a few hundred neurons.
    alpha : float
        L1 penalty on the inverse of the correlation matrix, 0 to 1 (default 0.01).

    Returns
    -------
    (N, N) float64
        Symmetric, diagonal 0.

    Raises
    ------
    ValueError
        If `v` is not binary or has one neuron, a neuron is constant and has no correlation, or
        correlations are too nearly singular for `alpha`, as those of twins are.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> first = rng.random(4000) < 0.5
    >>> second = first ^ (rng.random(4000) < 0.2)
    >>> third = second ^ (rng.random(4000) < 0.2)
    >>> graphical_lasso_couplings(np.column_stack([first, second, third])).round(1)
    array([[0. , 0.5, 0. ], [0.5, 0. , 0.5], [0. , 0.5, 0. ]])
    """
    x = _standardised(v)[0]
    precision = _precision(x.T @ x / len(x), alpha)
    scale = np.sqrt(np.diag(precision))
    couplings = -precision / np.outer(scale, scale)
    couplings = 0.5 * (couplings + couplings.T)
    np.fill_diagonal(couplings, 0.0)
    return couplings


def _precision(correlation: np.ndarray, alpha: float) -> np.ndarray:
    """P of the module, the inverse correlation matrix under the penalty."""
    from sklearn.covariance import graphical_lasso

    alpha = as_number(alpha, "alpha", "the penalty, 0 to 1")
    if alpha < 0:
        raise ValueError(f"alpha is {alpha:g}: give the penalty, 0 to 1")
    if len(correlation) < 2:
        raise ValueError("v has 1 neuron: give two or more, a coupling takes a pair")
    try:
        if alpha == 0 and np.linalg.matrix_rank(correlation, hermitian=True) < len(correlation):
            raise FloatingPointError  # the plain inverse does not say so
        return graphical_lasso(correlation, alpha=alpha)[1]
    except FloatingPointError:
        raise ValueError(
            f"alpha is {alpha:g}: the correlations of v are too nearly singular for it, give a "
            "larger one, or leave out neurons that are alike"
        ) from None


def _standardised(v: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring activity to mean 0 and variance 1; also return the means and standard deviations."""
    x = as_spikes(v).to_csr(np.float64).toarray()
    mean, sd = x.mean(axis=0), x.std(axis=0)
    constant = np.flatnonzero(sd == 0)
    if constant.size:
        raise ValueError(
            f"v has {constant.size} neurons that never change, such as {constant[:5].tolist()}: "
            "leave them out, they have no correlation"
        )
    return (x - mean) / sd, mean, sd


def sweep_alpha(
    train: object, alpha: Sequence[float] = (0.003, 0.01, 0.03, 0.1), *, n_folds: int = 3
) -> Sweep:
    """Choose alpha by the Gaussian log-likelihood of held-out blocks.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames. Every neuron must change in them, whichever block is left out.
    alpha : sequence of float
        The penalties (default 0.003, 0.01, 0.03 and 0.1).
    n_folds : int
        Blocks of frames, each held out once (default 3). They are standardised by the means and
        standard deviations of the fitted frames.

    Returns
    -------
    Sweep
        Its scores are log-likelihoods in nats per frame, up to a constant.

    Raises
    ------
    ValueError
        If a neuron is constant in the fitted frames, correlations are too nearly singular, or an
        argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> v = rng.random((300, 1)) < 0.5
    >>> v = v ^ (rng.random((300, 5)) < 0.2)
    >>> sweep_alpha(v, (0.01, 0.9)).best
    0.01
    """

    def score(fitted: object, held_out: object) -> list[float]:
        x, mean, sd = _standardised(fitted)
        y = (held_out.toarray() - mean) / sd
        fitted_correlation, held_out_moments = x.T @ x / len(x), y.T @ y / len(y)
        scores = []
        for value in alpha:
            precision = _precision(fitted_correlation, value)
            log_det = np.linalg.slogdet(precision)[1]
            scores.append(0.5 * (log_det - np.sum(held_out_moments * precision)))
        return scores

    return cross_validate(train, alpha, score, n_folds)
