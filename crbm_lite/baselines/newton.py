r"""Newton's method with conjugate gradients for many logistic regressions on the same spikes.

The equations are those of `crbm_lite.baselines.glm`. All neurons share one design matrix, the
spikes, which are sparse. So a block of neurons only needs products of the spikes with an (N, block)
array. Every neuron has its own step sizes and stops by itself. Conjugate gradients are
preconditioned by the diagonal of the Hessian with frame-averaged variances. The objective along a
Newton step is checked without another product, because z is linear in the step.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.special import expit, log_expit

__all__ = ["fit_block"]

_CG_STEPS = 200
_NEWTON_STEPS = 100


def fit_block(
    x: scipy.sparse.csr_array,
    xt: scipy.sparse.csr_array,
    targets: np.ndarray,
    weights: np.ndarray,
    intercepts: np.ndarray,
    counts: np.ndarray,
    frame_weights: np.ndarray,
    l2: float,
    tol: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit K neurons at once.

    Parameters
    ----------
    x, xt : (T, N) and (N, T) csr_array of float64
        The spikes, and their transpose.
    targets : (K,) int
        The neurons to predict, none of them constant.
    weights, intercepts : (N, K) and (K,) float64
        Where the parameters start. Each neuron's own weight must be 0.
    counts : (N,) float64
        Weighted number of active frames of every neuron.
    frame_weights : (T,) float64
    l2, tol : float
        As in `crbm_lite.baselines.glm.fit_glm`.

    Returns
    -------
    weights : (N, K) float64
    intercepts : (K,) float64
    n_newton : (K,) int64

    Raises
    ------
    RuntimeError
        If a neuron did not converge.

    Examples
    --------
    >>> x = scipy.sparse.csr_array(np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]], dtype=float))
    >>> counts, ones = np.array([3.0, 3.0]), np.ones(5)
    >>> target, start = np.array([0]), (np.zeros((2, 1)), np.zeros(1))
    >>> weights, _, _ = fit_block(x, x.T.tocsr(), target, *start, counts, ones, 1.0, 1e-6)
    >>> weights.shape, bool(weights[1, 0] > 0)
    ((2, 1), True)
    """
    # Rows 0 to N - 1 of beta are the weights, row N the intercept.
    fw = frame_weights[:, None]
    y = x[:, targets].toarray()
    beta = np.vstack([weights, intercepts])
    z = x @ weights + intercepts
    n_newton = np.zeros(len(targets), dtype=np.int64)
    active = np.arange(len(targets))
    for _ in range(_NEWTON_STEPS):
        p = expit(z[:, active])
        now = beta[:, active]
        gradient = _gather(xt, (p - y[:, active]) * fw, l2 * now[:-1], targets[active])
        d = p * (1 - p) * fw
        d_sum = d.sum(axis=0)
        diagonal = l2 + counts[:, None] * (d_sum / frame_weights.sum())
        diagonal = np.vstack([diagonal, d_sum])
        open_ = np.abs(gradient / diagonal).max(axis=0) > tol
        if not open_.any():
            return beta[:-1], beta[-1], n_newton
        active, d, diagonal = active[open_], d[:, open_], diagonal[:, open_]
        n_newton[active] += 1
        step, z_step = _conjugate_gradients(
            x, xt, -gradient[:, open_], d, diagonal, l2, targets[active]
        )
        size = _step_size(z[:, active], z_step, y[:, active], fw, beta[:-1, active], step[:-1], l2)
        beta[:, active] += size * step
        z[:, active] += size * z_step
    raise RuntimeError(
        f"neurons {targets[active][:5].tolist()} did not converge in {_NEWTON_STEPS} Newton steps "
        f"at l2 = {l2:g}: raise l2 or tol"
    )


def _gather(
    xt: scipy.sparse.csr_array, per_frame: np.ndarray, penalty: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Sum over the frames onto weights and intercept, (N + 1, K), self-weights held at 0."""
    out = np.vstack([xt @ per_frame + penalty, per_frame.sum(axis=0)])
    out[targets, np.arange(len(targets))] = 0.0
    return out


def _conjugate_gradients(
    x: scipy.sparse.csr_array,
    xt: scipy.sparse.csr_array,
    right: np.ndarray,
    d: np.ndarray,
    diagonal: np.ndarray,
    l2: float,
    targets: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve H step = right for every column and return also z's change along the step."""
    step = np.zeros_like(right)
    z_step = np.zeros_like(d)
    residual = right.copy()
    preconditioned = residual / diagonal
    direction = preconditioned.copy()
    rho = np.einsum("ik,ik->k", residual, preconditioned)
    goal = 1e-3 * rho  # measured: tighter or looser costs more products in all
    for _ in range(_CG_STEPS):
        running = rho > goal
        if not running.any():
            break
        z_direction = x @ direction[:-1] + direction[-1]
        product = _gather(xt, d * z_direction, l2 * direction[:-1], targets)
        curvature = np.einsum("ik,ik->k", direction, product)
        alpha = np.where(running, rho / np.where(running, curvature, 1.0), 0.0)
        step += alpha * direction
        z_step += alpha * z_direction
        residual -= alpha * product
        preconditioned = residual / diagonal
        rho_new = np.einsum("ik,ik->k", residual, preconditioned)
        rho, rho_before = np.where(running, rho_new, rho), rho
        direction = preconditioned + rho / np.where(running, rho_before, 1.0) * direction
    return step, z_step


def _step_size(
    z: np.ndarray,
    z_step: np.ndarray,
    y: np.ndarray,
    frame_weights: np.ndarray,
    weights: np.ndarray,
    weights_step: np.ndarray,
    l2: float,
) -> np.ndarray:
    """Start from 1 for every neuron and halve it until the objective does not rise."""

    def objective(size: np.ndarray) -> np.ndarray:
        new = z + size * z_step
        loss = (frame_weights * (-log_expit(-new) - y * new)).sum(axis=0)
        return loss + 0.5 * l2 * ((weights + size * weights_step) ** 2).sum(axis=0)

    size = np.ones(z.shape[1])
    before = objective(np.zeros_like(size))
    for _ in range(30):
        # Rounding alone may raise it close to the optimum.
        rises = objective(size) > before + 1e-12 * np.abs(before)
        if not rises.any():
            break
        size[rises] /= 2
    return size
