"""Maximum entropy on systems that can be enumerated (Eq. 5-6).

Among all distributions whose averages of some statistics f_k equal F_k, the one of largest entropy
is P(x) = exp(-ln2 sum_k L_k f_k(x)) / Z, with one multiplier L_k per statistic; ln2 appears because
the entropy is in bits. The multipliers minimise the dual, log2 Z + sum_k L_k F_k, which is convex
and smooth. With x = (v, h), and with v_i, v_i h and the potential of h as statistics, the solution
is a restricted Boltzmann machine.

A penalty lambda_k |L_k| on the dual relaxes the constraints to |<f_k> - F_k| <= lambda_k. At the
minimum <f_k> = F_k + lambda_k sign(L_k) where L_k is not 0. Where the model without a statistic is
near enough already, its L_k is exactly 0 and the statistic is left out.
"""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crbm_lite.checks.arguments import as_numbers

__all__ = ["MaximumEntropy", "boltzmann", "enumerate_states", "solve", "with_hidden", "with_pairs"]

MAX_UNITS = 20


@dataclass(frozen=True)
class MaximumEntropy:
    """The distribution of largest entropy over listed states.

    Attributes
    ----------
    multipliers : ndarray, shape (K,)
        L_k of Eq. 6, in bits per unit of the statistic.
    probabilities : ndarray, shape (S,)
        P(x) of each state.
    averages : ndarray, shape (K,)
        Mean of each statistic under P.
    entropy_bits : float
        Entropy of P.
    """

    multipliers: NDArray[np.float64] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    averages: NDArray[np.float64] = field(repr=False)
    entropy_bits: float


def enumerate_states(n_units: int) -> NDArray[np.float64]:
    """List all binary states of a few units.

    Parameters
    ----------
    n_units : int
        Between 1 and 20.

    Returns
    -------
    ndarray, shape (2**n_units, n_units)
        Zeros and ones; the last unit changes fastest.

    Raises
    ------
    ValueError
        If the states are too many to list.

    Examples
    --------
    >>> enumerate_states(2).astype(int).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if not 1 <= n_units <= MAX_UNITS:
        raise ValueError(
            f"n_units is {n_units}: give 1 to {MAX_UNITS}, because every state is listed"
        )
    codes = np.arange(2**n_units)[:, None] >> np.arange(n_units)[::-1]
    return (codes & 1).astype(np.float64)


def with_pairs(states: ArrayLike) -> NDArray[np.float64]:
    """Return the pairwise statistics: every v_i, then every product v_i v_j with i < j.

    Parameters
    ----------
    states : array_like, shape (S, N)
        States, for instance those of `enumerate_states`.

    Returns
    -------
    ndarray, shape (S, N + N(N-1)/2)
        One column per statistic.

    Examples
    --------
    >>> with_pairs([[1, 1, 0]]).astype(int).tolist()
    [[1, 1, 0, 1, 0, 0]]
    """
    x = as_numbers(states, "states")
    pairs = [x[:, i] * x[:, j] for i, j in combinations(range(x.shape[1]), 2)]
    return np.column_stack([x, *pairs])


def with_hidden(
    v: ArrayLike, h_values: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the statistics v_i, v_i h, h and h^2 of (v, h), for one hidden unit on a grid.

    Parameters
    ----------
    v : array_like, shape (S, N)
        Binary states.
    h_values : array_like, shape (G,)
        The values that h may take.

    Returns
    -------
    statistics : ndarray, shape (S * G, 2 * N + 2)
        The columns are v_1 ... v_N, v_1 h ... v_N h, h, h^2; h changes fastest.
    h : ndarray, shape (S * G,)
        The value of h in each joint state.

    Examples
    --------
    >>> statistics, h = with_hidden([[1.0]], [0.0, 2.0])
    >>> statistics.tolist()
    [[1.0, 0.0, 0.0, 0.0], [1.0, 2.0, 2.0, 4.0]]
    """
    v = as_numbers(v, "v")
    values = as_numbers(h_values, "h_values")
    joint = np.repeat(v, len(values), axis=0)
    h = np.tile(values, len(v))
    return np.column_stack([joint, joint * h[:, None], h, h**2]), h


def boltzmann(statistics: ArrayLike, multipliers: ArrayLike) -> MaximumEntropy:
    """Compute the Boltzmann form of Eq. 6 for given multipliers.

    Parameters
    ----------
    statistics : array_like, shape (S, K)
        f_k(x) of each state.
    multipliers : array_like, shape (K,)
        L_k, in bits.

    Returns
    -------
    MaximumEntropy
        Its averages are those that these multipliers imply.

    Examples
    --------
    >>> boltzmann([[0.0], [1.0]], [0.0]).entropy_bits
    1.0
    """
    f = as_numbers(statistics, "statistics")
    multipliers = as_numbers(multipliers, "multipliers")
    log2_p = -f @ multipliers
    log2_p -= _log2_sum(log2_p)
    p = np.exp2(log2_p)
    return MaximumEntropy(multipliers, p, p @ f, float(-np.sum(p * log2_p)))


def solve(
    statistics: ArrayLike, averages: ArrayLike, *, penalty: ArrayLike = 0.0, tolerance: float = 1e-8
) -> MaximumEntropy:
    """Find the distribution of largest entropy with the given averages (Eq. 5).

    Parameters
    ----------
    statistics : array_like, shape (S, K)
        f_k(x) of each state.
    averages : array_like, shape (K,)
        F_k. They must lie inside the range that distributions over the states can reach.
    penalty : float or array_like, shape (K,)
        lambda_k, by how much an average may differ from F_k, in the unit of the statistic; default
        0.
    tolerance : float
        Largest difference accepted beyond that; default 1e-8.

    Returns
    -------
    MaximumEntropy
        Its probabilities are unique. If statistics depend linearly on each other, its multipliers
        are one choice of several.

    Raises
    ------
    ValueError
        If shapes disagree, a penalty is negative, or the averages are not reached.

    Examples
    --------
    >>> found = solve(enumerate_states(2), [0.5, 0.25])
    >>> found.probabilities.round(4).tolist()
    [0.375, 0.125, 0.375, 0.125]
    >>> found = solve(enumerate_states(2), [0.45, 0.25], penalty=0.1)
    >>> found.averages.round(4).tolist(), float(found.multipliers[0])
    ([0.5, 0.35], 0.0)
    """
    f = as_numbers(statistics, "statistics")
    target = as_numbers(averages, "averages")
    if f.ndim != 2 or target.shape != f.shape[1:]:
        raise ValueError(
            f"averages has shape {target.shape} and statistics {f.shape}: give one average per "
            "statistic"
        )
    penalties = as_numbers(penalty, "penalty")
    if penalties.shape not in ((), target.shape) or not (penalties >= 0).all():
        raise ValueError(f"penalty is {penalty}: give 0 or more, one number or one per statistic")
    penalties = np.broadcast_to(penalties, target.shape)
    sign = np.ones(target.shape)
    if penalties.any():
        sign = np.sign(_rough_penalised_minimum(f - target, penalties))
    kept = (penalties == 0) | (sign != 0)
    # This settles which statistics are kept and on which side. Newton steps settle by how much.
    multipliers = np.zeros(target.shape)
    shifted = (target + penalties * sign)[kept]
    multipliers[kept] = _minimise_dual(f[:, kept] - shifted, tolerance)
    solution = boltzmann(f, multipliers)
    worst = np.max(np.abs(solution.averages - target) - penalties, initial=0.0)
    if not worst <= tolerance:
        raise ValueError(
            f"averages cannot be reached, the nearest differ by {worst:.2g} more than allowed: "
            "give averages inside the possible range, since one at its edge (a unit that is never "
            "active) needs infinite multipliers"
        )
    return solution


def _dual(multipliers: NDArray[np.float64], centred: NDArray[np.float64]):
    """Value and gradient of log2 Z + sum_k L_k F_k; statistics are counted from F_k."""
    log2_p = -centred @ multipliers
    log2_z = _log2_sum(log2_p)
    return log2_z, -np.exp2(log2_p - log2_z) @ centred


def _curvature(multipliers: NDArray[np.float64], centred: NDArray[np.float64]):
    log2_p = -centred @ multipliers
    p = np.exp2(log2_p - _log2_sum(log2_p))
    deviation = centred - p @ centred
    # Where one state has all the probability, a zero matrix would stop the trust region.
    return np.log(2) * (deviation.T * p) @ deviation + 1e-14 * np.eye(multipliers.size)


def _minimise_dual(centred: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    if centred.shape[1] == 0:
        return np.zeros(0)
    return minimize(
        _dual,
        np.zeros(centred.shape[1]),
        args=(centred,),
        jac=True,
        hess=_curvature,
        method="trust-exact",
        options={"gtol": tolerance / 10, "maxiter": 1000},
    ).x


def _rough_penalised_minimum(
    centred: NDArray[np.float64], penalties: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Multipliers of the penalised dual, exactly 0 where they vanish.

    L is written as the difference of two parts that are 0 or more, which makes |L| smooth.
    """
    from scipy.optimize import minimize

    k = penalties.size

    def penalised(parts):
        value, gradient = _dual(parts[:k] - parts[k:], centred)
        return (
            value + penalties @ (parts[:k] + parts[k:]),
            np.r_[gradient + penalties, -gradient + penalties],
        )

    parts = minimize(
        penalised,
        np.zeros(2 * k),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (2 * k),
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 20000, "maxcor": 30},
    ).x
    return parts[:k] - parts[k:]


def _log2_sum(log2_terms: NDArray[np.float64]) -> float:
    top = log2_terms.max()
    return float(top + np.log2(np.sum(np.exp2(log2_terms - top))))
