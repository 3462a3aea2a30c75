r"""Where training begins: assemblies that a linear method can see, as nearly finished hidden units.

W = 0 is a stationary point of the penalised problem, and from a small random start it often wins.
The warm start takes the units that `crbm_lite.training.linear_units` finds, with their time courses
h(t). Then

- a weight is the rise of a neuron's log-odds with the unit;
- the fields give every neuron its mean activity;
- the potential of a unit is the dReLU under which its values of h are most probable, given those
  of the other units.

With the neurons summed out, the density of a unit given the others is an exponential family on a
line,

.. math:: P(h_\mu | h_{\nu \ne \mu}(t)) \propto
          e^{-U_\mu(h_\mu)} \prod_i (1 + e^{a_i(t) + w_{i\mu} h_\mu}),
          \qquad a_i(t) = g_i + \sum_{\nu \ne \mu} w_{i\nu} h_\nu(t),

and the product over units and frames is their pseudo-likelihood (Besag 1975). On and off get their
shares of the time from the first update on. A Gaussian start leaves them to a collective mode (all
units on in a few chains), out of which training hardly finds. So do potentials that are fitted with
the other units at rest: units that share neurons then switch each other on.

The start may still be no good (waves), so `crbm_lite.training.task` tries it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from threadpoolctl import threadpool_limits

from crbm_lite.core.spikes import Spikes, evenly_spread, tiles, weight_sums
from crbm_lite.training.linear_units import (
    LinearUnits,
    find_linear_units,
    log_odds,
    two_means_threshold,
)

__all__ = [
    "Start",
    "balance_fields",
    "fit_potentials",
    "logit_activity",
    "random_start",
    "start_given_units",
    "unit_variance_gamma",
    "warm_start",
]

_RANDOM_WEIGHT = 0.01  # standard deviation of the weights of units that start at random
_RANDOM_RAMP = 300  # updates over which lambda comes after a random start
_FIELD_RATE_FACTOR = 5.0  # after a warm start
_N_CONTEXTS, _N_VALUES = 100, 200  # frames and values of h, over which a density is normalised
_LARGEST_EXPONENT = 85.0
_AT_ONCE = 4  # neurons whose terms are multiplied: e^(2 * 4 * 85) is finite
_LEAST_GAMMA, _LARGEST_GAMMA = 0.2, 300.0
_CLEAR = 0.1  # nats per frame: graded courses of retinas fit better by more, noisy ones by less


@dataclass(frozen=True)
class Start:
    """Initial parameters of a training run.

    Attributes
    ----------
    weights : ndarray of float32, shape (N, M)
    fields : ndarray of float64, shape (N,)
    potential : ndarray of float64, shape (4, M)
        gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13.
    field_rate_factor : float
        Learning rate of fields and potentials over that of the weights. After a warm start they are
        the slow directions; after a random one, larger steps of theirs drive bursting chains off
        the data.
    ramp_updates : int, default 0
        Updates over which lambda is raised from zero at least, within half of the run: small random
        weights would not survive the whole of it.
    n_linear_units : int, default 0
        Number of hidden units that begin as linear ones.
    frames : ndarray of uint8, shape (n_chains, N), optional
        Spikes that the chains begin with; frames of the data by default.
    """

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    field_rate_factor: float
    ramp_updates: int = 0
    n_linear_units: int = 0
    frames: np.ndarray | None = None


def logit_activity(spikes: Spikes) -> np.ndarray:
    """Return the fields (N,) of the independent model, with half a pseudo-spike on either side.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> logit_activity(as_spikes(np.array([[1, 0], [0, 0], [1, 0], [0, 0]]))).round(3)
    array([ 0.   , -2.197])
    """
    return log_odds(spikes.activity() * spikes.n_frames, spikes.n_frames)


def balance_fields(
    spikes: Spikes, weights: np.ndarray, h: np.ndarray, n_iterations: int = 5
) -> np.ndarray:
    """Find the fields (N,) at which <sigmoid(g_i + sum_mu w_imu h_mu(t))>_t is the activity <v_i>.

    Five Newton steps are enough. The frames of h (T, M) need not be those of the spikes.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> spikes = as_spikes(np.array([[1], [0], [1], [0]]))
    >>> balance_fields(spikes, np.array([[2.0]]), np.array([[1.0], [1.0]])).round(2)
    array([-2.])
    """
    fields, p = logit_activity(spikes), spikes.activity()
    chosen = h[:: max(len(h) // 500, 1)]  # five hundred frames are enough for one number per neuron
    for tile in tiles(len(fields)):
        inputs = chosen @ weights[tile].T
        for _ in range(n_iterations):
            e = 1.0 / (1.0 + np.exp(-np.clip(fields[tile] + inputs, -30, 30)))
            slope = np.maximum((e * (1 - e)).mean(axis=0), 0.05 * p[tile] + 1e-6)
            fields[tile] += np.clip((p[tile] - e.mean(axis=0)) / slope, -2, 2)
    return fields


def fit_potentials(
    h: np.ndarray, fields: np.ndarray, weights: np.ndarray, n_given: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the dReLUs of units to their values over the data by maximum pseudo-likelihood.

    The neurons are summed out. The densities are normalised at a hundred frames, spread evenly.

    A dReLU can part two states on either side of its kink, and not two on the same side. So the
    kink lies half-way between the two states of h. It stays at h = 0 where that is more likely by
    far, since h is graded there; a course with much noise hardly tells.

    Parameters
    ----------
    h : ndarray, shape (T, M)
    fields : ndarray, shape (N,)
    weights : ndarray, shape (N, M)
    n_given : int, default 0
        Units at the beginning that have a potential, so that only their values count.

    Returns
    -------
    potential : ndarray, shape (4, M - n_given)
        gamma_plus, gamma_minus, theta_plus, theta_minus, uncentred, of h less its kink.
    kinks : ndarray, shape (M - n_given,)
        Where the kinks lie. The same model has h less its kink, and fields that are larger by the
        weights times the kinks.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> h = norm.ppf(np.linspace(0.0005, 0.9995, 1000))  # a standard Gaussian, without neurons
    >>> potential, kinks = fit_potentials(h[:, None], np.empty(0), np.empty((0, 1)))
    >>> potential.round(1).ravel() + 0.0, kinks.round(1) + 0.0
    (array([1., 1., 0., 0.]), array([0.]))
    """
    contexts = h[evenly_spread(len(h), _N_CONTEXTS)]
    fields_then = np.empty((len(weights), len(contexts)))  # a_i + w_imu h_mu
    with threadpool_limits(1, "blas"):  # the number of BLAS threads may change sums
        for tile in tiles(len(weights)):
            fields_then[tile] = fields[tile, None] + weights[tile] @ contexts.T
    potentials, kinks = [], []
    for mu in range(n_given, h.shape[1]):
        values = h[:, mu]
        grid = np.linspace(min(values.min() * 1.5, -3.0), max(values.max() * 1.5, 3.0), _N_VALUES)
        reached = np.flatnonzero(weights[:, mu])
        w = weights[reached, mu, None]
        log_base = _log_base(fields_then[reached] - w * contexts[:, mu], w * grid)
        between = two_means_threshold(values[:, None])[0]
        at_zero, at_kink = (
            _fit_potential(values - kink, grid - kink, log_base) for kink in (0.0, between)
        )
        is_graded = at_zero.fun < at_kink.fun - _CLEAR
        potentials.append(at_zero.x if is_graded else at_kink.x)
        kinks.append(0.0 if is_graded else between)
    return np.array(potentials).reshape(-1, 4).T, np.array(kinks)


def _log_base(a: np.ndarray, wh: np.ndarray) -> np.ndarray:
    """Sum log(1 + e^(a_i + w_i h)) over neurons: (n, contexts) and (n, values) to both of these."""
    exp_a, exp_wh = (np.exp(np.clip(x, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)) for x in (a, wh))
    out = np.zeros((a.shape[1], wh.shape[1]))
    for first in range(0, len(a), _AT_ONCE):
        product = np.ones_like(out)
        for i in range(first, min(first + _AT_ONCE, len(a))):
            product *= 1.0 + np.outer(exp_a[i], exp_wh[i])
        out += np.log(product)
    return out


def _fit_potential(h: np.ndarray, grid: np.ndarray, log_base: np.ndarray) -> OptimizeResult:
    """Fit one dReLU to values h (T,), given log densities without it (contexts, values).

    ``x`` is the dReLU (4,), and ``fun`` minus the log-likelihood of a value.
    """
    moments = _potential_statistics(h).mean(axis=1)
    statistics = _potential_statistics(grid)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        exponent = log_base - x @ statistics
        top = exponent.max(axis=1, keepdims=True)
        p = np.exp(exponent - top)
        z = p.sum(axis=1, keepdims=True)
        mean_p = (p / z).mean(axis=0)
        return float((top + np.log(z)).mean() + x @ moments), moments - statistics @ mean_p

    bounds = [(_LEAST_GAMMA, _LARGEST_GAMMA)] * 2 + [(None, None)] * 2
    return minimize(objective, [5.0, 5.0, 0.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)


def _potential_statistics(h: np.ndarray) -> np.ndarray:
    """What gamma_plus, gamma_minus, theta_plus and theta_minus multiply in U(h): (4, n)."""
    up, down = np.maximum(h, 0.0), np.minimum(h, 0.0)
    return np.stack([0.5 * up**2, 0.5 * down**2, up, down])


def unit_variance_gamma(spikes: Spikes, weights: np.ndarray) -> np.ndarray:
    """Return the curvatures (M,) at which Var(h) = 1/gamma + Var(I)/gamma^2 = 1."""
    variance = spikes.inputs(weights).var(axis=0)
    return 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * variance))


def random_start(spikes: Spikes, n_hidden: int, rng: np.random.Generator) -> Start:
    """Return small random weights (standard deviation 0.01) and Gaussian units."""
    weights = _RANDOM_WEIGHT * rng.standard_normal((spikes.n_neurons, n_hidden), dtype=np.float32)
    gamma = unit_variance_gamma(spikes, weights)
    offset, _ = weight_sums(spikes.activity(), weights)
    potential = np.stack([gamma, gamma, offset, offset])
    return Start(
        weights, logit_activity(spikes), potential, field_rate_factor=1.0, ramp_updates=_RANDOM_RAMP
    )


def warm_start(spikes: Spikes, n_hidden: int, l1: float, rng: np.random.Generator) -> Start | None:
    """Make hidden units of linear ones; None where no component is above the noise.

    Hidden units beyond the linear ones start at random.

    Parameters
    ----------
    spikes : Spikes
    n_hidden : int
    l1 : float
        Penalty lambda: smaller covariances of a neuron with a unit give no weight.
    rng : numpy.random.Generator
    """
    return start_given_units(spikes, find_linear_units(spikes, n_hidden, l1, rng), n_hidden, rng)


def start_given_units(
    spikes: Spikes, units: LinearUnits, n_hidden: int, rng: np.random.Generator
) -> Start | None:
    """Make hidden units of given linear ones, and others that start at random; None without any.

    Parameters
    ----------
    spikes, n_hidden, rng
        As in `warm_start`.
    units : LinearUnits
        At most ``n_hidden`` of them.
    """
    n_units = units.h.shape[1]
    if n_units == 0:
        return None
    start = random_start(spikes, n_hidden, rng)
    weights, potential = start.weights, start.potential
    weights[:, :n_units] = units.rise
    fields = balance_fields(spikes, units.rise, units.h)
    potential[:, :n_units], kinks = fit_potentials(units.h, fields, units.rise)
    fields += units.rise @ kinks
    return Start(weights, fields, potential, _FIELD_RATE_FACTOR, n_linear_units=n_units)
