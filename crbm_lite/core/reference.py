r"""One training update in plain numpy. Read this before you read the kernels.

`crbm_lite.training.update_kernels` (numba) and `crbm_lite.training.accelerator.update` (JAX) make
the same update fast. Tests hold both against this one. What is left out here changes how fast an
update is and not what it does: packed weights, float32, random numbers made from counters, and the
jumps of `crbm_lite.core.jumps`, which help the chains to mix.

Training maximises the log-likelihood with an L1 penalty, under Var(h) = 1 over the data (Eq. 14 of
the paper). P(v) does not change under h -> h/s, w -> s w, so this is the same as maximising

.. math:: F = \langle \log P(v) \rangle_{data} - \lambda \sum_\mu s_\mu \sum_i |w_{i\mu}|,
          \qquad s_\mu^2 = \mathrm{Var}_{data}(h_\mu),

without a constraint, and then rescaling h to s = 1. At s = 1 the slope of s adds a term to the
gradient G of the likelihood, with :math:`\kappa_\mu = \tfrac{\lambda}{2} \sum_i |w_{i\mu}|`:

.. math:: \partial F/\partial x = G_x - \kappa_\mu\,\partial\mathrm{Var}_\mu/\partial x
          - \lambda\,\partial|w|/\partial x .

The slope of a mean is a covariance: :math:`\partial E[f|v]/\partial I = \mathrm{Cov}(f, h|v)`, and
likewise for the four numbers of Eq. 13 with :math:`-h_\pm^2/2` and :math:`-h_\pm` instead of h.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_ndtr

from crbm_lite.core.drelu import DReLU

__all__ = [
    "LEAST_GAMMA",
    "MAX_ASYMMETRY",
    "VARIANCE_RATE",
    "HiddenMeans",
    "Rates",
    "State",
    "gibbs_step",
    "gradient",
    "hidden_means",
    "one_update",
    "penalised_step",
    "potential_given_coordinates",
    "rmsprop_step",
    "slope_in_coordinates",
    "soft_threshold",
    "unit_variance_scale",
]

VARIANCE_RATE = 0.05  # share of a batch in the running variance and mean of h
_SQUARED_RESCALING = (0.8, 1.25)  # the least and the most of one update
MAX_ASYMMETRY = 0.95  # of a hidden potential
# Under Var(h) = 1 a unit whose curvature is nearly zero answers to its input without a limit. With
# a few weak weights it then holds itself up, in states that the data do not have.
LEAST_GAMMA = 0.3


class State(NamedTuple):
    """What an update changes, apart from the chains.

    Attributes
    ----------
    weights : ndarray, shape (N, M)
    fields : ndarray, shape (N,)
    hidden : ndarray, shape (4, M)
        Coordinates of the potentials, see `potential_given_coordinates`.
    weight_square, field_square, hidden_square : ndarray
        Running means of squared gradients, shaped as the three above.
    weight_average : ndarray, shape (N, M)
        Running mean of the gradients of the weights.
    mean_h : ndarray, shape (M,)
        Running mean of h over the data.
    """

    weights: np.ndarray
    fields: np.ndarray
    hidden: np.ndarray
    weight_square: np.ndarray
    field_square: np.ndarray
    hidden_square: np.ndarray
    weight_average: np.ndarray
    mean_h: np.ndarray


class Rates(NamedTuple):
    """The numbers that the schedule gives to an update.

    Attributes
    ----------
    learning_rate : float
        Of the weights.
    field_rate : float
        Learning rate of the fields and of the hidden potentials.
    l1 : float
        Penalty lambda.
    l1_at_zero : float
        What the averaged gradient of a weight at zero must exceed to move it. It is infinite in a
        refit.
    beta2 : float
        Share of the past in RMSprop's running means of squared gradients.
    bias_correction : float
        Factor on these means, which begin at zero.
    epsilon : float
        Floor of their square roots.
    average_decay : float
        Share of the past in the averaged gradient.
    """

    learning_rate: float
    field_rate: float
    l1: float
    l1_at_zero: float
    beta2: float
    bias_correction: float
    epsilon: float
    average_decay: float


def one_update(
    s: State, v: np.ndarray, chains: np.ndarray, n_gibbs: int, activity: np.ndarray, rates: Rates,
    rng: np.random.Generator,
) -> tuple[State, np.ndarray]:  # fmt: skip
    """Make one update, in the five steps of the book's chapter on training.

    Parameters
    ----------
    s : State
    v : ndarray of 0 and 1, shape (batch, N)
        Frames of the data.
    chains : ndarray of 0 and 1, shape (chains, N)
        Spikes of the persistent chains.
    n_gibbs : int
        Gibbs steps that the chains take.
    activity : ndarray, shape (N,)
        Mean of v over all frames of the data.
    rates : Rates
    rng : numpy.random.Generator

    Returns
    -------
    s : State
    chains : ndarray, shape (chains, N)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> v = (rng.random((50, 4)) < 0.3).astype(float)
    >>> w, g, hidden = 0.1 * rng.normal(size=(4, 2)), np.zeros(4), np.zeros((4, 2))
    >>> s = State(w, g, hidden, 0 * w, 0 * g, 0 * hidden, 0 * w, np.zeros(2))
    >>> rates = Rates(0.01, 0.01, 0.02, 0.02, 0.9, 10.0, 1e-6, 0.99)
    >>> s, chains = one_update(s, v, v[:10], 3, v.mean(axis=0), rates, rng)
    >>> s.weights.shape, chains.shape
    ((4, 2), (10, 4))
    """
    offset = activity @ s.weights
    potential = potential_given_coordinates(s.hidden, offset)
    kappa = 0.5 * rates.l1 * np.abs(s.weights).sum(axis=0)

    # 1. Data. The batch gives means of the hidden units; samples would only add noise.
    data = hidden_means(v @ s.weights, potential, s.mean_h)

    # 2. Chains. They take Gibbs steps and give the same means for the model.
    for _ in range(n_gibbs):
        chains = gibbs_step(chains, s.weights, s.fields, potential, rng)
    model = hidden_means(chains @ s.weights, potential, s.mean_h)

    # 3. Gradient: data minus model, less what the rescaling to unit variance will cost.
    slope_w, slope_potential = gradient(v, data, chains, model, kappa, activity, s.mean_h)
    slope_g = activity - chains.mean(axis=0)
    slope_hidden = slope_in_coordinates(slope_potential, s.hidden, offset)
    square_w, step_w = rmsprop_step(s.weight_square, slope_w, rates.learning_rate, rates)
    square_g, step_g = rmsprop_step(s.field_square, slope_g, rates.field_rate, rates)
    square_hidden, step = rmsprop_step(s.hidden_square, slope_hidden, rates.field_rate, rates)
    average = rates.average_decay * s.weight_average + (1.0 - rates.average_decay) * slope_w

    # 5. Unit variance: h is divided by `scale`. The weights are rescaled before they move, so this
    # step comes before the fourth; the potentials are rescaled after they have moved.
    mean = data.h.mean(axis=0)
    scale = unit_variance_scale(mean, data.h_square.mean(axis=0), s.mean_h)
    mean_h = (s.mean_h + VARIANCE_RATE * (mean - s.mean_h)) / scale
    log_gamma, eta, theta, delta = s.hidden + step * slope_hidden
    log_gamma = np.maximum(log_gamma, math.log(LEAST_GAMMA))
    eta = np.clip(eta, -MAX_ASYMMETRY, MAX_ASYMMETRY)
    hidden = np.stack([log_gamma + 2.0 * np.log(scale), eta, theta * scale, delta * scale])

    # 4. Soft threshold: the penalty cuts.
    old = s.weights * scale
    new = penalised_step(old, slope_w, average, step_w, rates.l1, rates.l1_at_zero)
    fields = s.fields + step_g * slope_g - (new - old) @ mean_h  # <v> stays where it is

    return State(new, fields, hidden, square_w, square_g, square_hidden, average, mean_h), chains


class HiddenMeans(NamedTuple):
    """Means of the hidden units given v, for T frames or chains.

    Attributes
    ----------
    h, h_square : ndarray, shape (T, M)
        E[h|v] and E[h^2|v].
    likelihood_slope : ndarray, shape (4, T, M)
        Slope of log P(v), without its constant, in gamma_plus, gamma_minus, theta_plus, theta_minus
        of Eq. 13: the means of -h+^2/2, -h-^2/2, -h+, -h-.
    variance_slope : ndarray, shape (4, T, M)
        Slope of E[h^2|v] - 2 <h> E[h|v] in the same four. Its mean over the data is the slope of
        Var(h).
    variance_slope_in_input : ndarray, shape (T, M)
        The same in the input I.
    """

    h: np.ndarray
    h_square: np.ndarray
    likelihood_slope: np.ndarray
    variance_slope: np.ndarray
    variance_slope_in_input: np.ndarray


def hidden_means(inputs: np.ndarray, potential: np.ndarray, mean_h: np.ndarray) -> HiddenMeans:
    """Compute the means of hidden units given their inputs I (T, M).

    Parameters
    ----------
    inputs : ndarray, shape (T, M)
    potential : ndarray, shape (4, M)
        gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13.
    mean_h : ndarray, shape (M,)
        Mean of h over the data.

    Examples
    --------
    >>> gaussian = np.array([[2.0], [2.0], [0.0], [0.0]])
    >>> hidden_means(np.array([[3.0]]), gaussian, np.zeros(1)).h.round(6)
    array([[1.5]])
    """
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    log_plus, up = _moments_of_half(theta_plus - inputs, gamma_plus)
    log_minus, down = _moments_of_half(inputs - theta_minus, gamma_minus)
    up = expit(log_plus - log_minus) * up  # E[max(h, 0)^n | I] for n = 0 .. 4
    signs = np.array([1.0, -1.0, 1.0, -1.0, 1.0])[:, None, None]
    down = expit(log_minus - log_plus) * signs * down  # E[min(h, 0)^n | I]
    h, h_square = up[1] + down[1], up[2] + down[2]

    def covariance(half: np.ndarray, n: int) -> np.ndarray:
        """Of h_+^n or h_-^n with h^2 - 2 <h> h."""
        mean = h_square - 2.0 * mean_h * h
        return half[n + 2] - 2.0 * mean_h * half[n + 1] - half[n] * mean

    return HiddenMeans(
        h=h,
        h_square=h_square,
        likelihood_slope=np.stack([-0.5 * up[2], -0.5 * down[2], -up[1], -down[1]]),
        variance_slope=np.stack(
            [
                -0.5 * covariance(up, 2),
                -0.5 * covariance(down, 2),
                -covariance(up, 1),
                -covariance(down, 1),
            ]
        ),
        variance_slope_in_input=covariance(up, 1) + covariance(down, 1),
    )


def _moments_of_half(d: np.ndarray, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log weight and moments n = 0 .. 4 of the density exp(-gamma z^2/2 - d z) of z > 0."""
    x = d / np.sqrt(gamma)
    log_z = log_ndtr(-x) + 0.5 * x**2 + 0.5 * np.log(2.0 * np.pi)
    moments = [np.ones_like(x), np.exp(-log_z) - x]
    for n in (2, 3, 4):  # by parts
        moments.append((n - 1) * moments[n - 2] - x * moments[n - 1])
    powers = gamma ** (-0.5 * np.arange(5)[:, None, None])
    return log_z - 0.5 * np.log(gamma), np.stack(moments) * powers


def gradient(
    v: np.ndarray, data: HiddenMeans, chains: np.ndarray, model: HiddenMeans, kappa: np.ndarray,
    activity: np.ndarray, mean_h: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Compute the slopes of F, without the penalty, in the weights and in the potentials.

    A weight moves in centred coordinates: with it move the field of its neuron, by -<h> dw, and the
    thetas of its unit, by <v> dw, so that neither the neuron's activity nor the unit's mean input
    change much.

    Parameters
    ----------
    v, chains : ndarray of 0 and 1, shapes (batch, N) and (chains, N)
    data, model : HiddenMeans
        Those of v and of the chains.
    kappa : ndarray, shape (M,)
    activity : ndarray, shape (N,)
        Mean of v over all frames of the data.
    mean_h : ndarray, shape (M,)

    Returns
    -------
    in_weights : ndarray, shape (N, M)
    in_potential : ndarray, shape (4, M)
    """
    h_data = (data.h - kappa * data.variance_slope_in_input - mean_h) / len(v)
    h_model = (model.h - mean_h) / len(chains)
    drift = h_data.sum(axis=0) - h_model.sum(axis=0)
    in_weights = v.T @ h_data - chains.T @ h_model - np.outer(activity, drift)
    in_potential = data.likelihood_slope.mean(axis=1) - model.likelihood_slope.mean(axis=1)
    return in_weights, in_potential - kappa * data.variance_slope.mean(axis=1)


def rmsprop_step(
    square: np.ndarray, slope: np.ndarray, rate: float, rates: Rates
) -> tuple[np.ndarray, np.ndarray]:
    """Update the running mean of squared slopes; return it and the step that each entry takes.

    Examples
    --------
    >>> rates = Rates(0.1, 0.1, 0.0, 0.0, 0.5, 2.0, 0.0, 0.9)
    >>> rmsprop_step(np.array([0.0]), np.array([-7.0]), 0.1, rates)[1] * -7.0
    array([-0.1])
    """
    square = rates.beta2 * square + (1.0 - rates.beta2) * slope**2
    return square, rate / (np.sqrt(square * rates.bias_correction) + rates.epsilon)


def unit_variance_scale(
    mean: np.ndarray, square: np.ndarray, mean_h: np.ndarray, xp: ModuleType = np
) -> np.ndarray:
    """Return what h is divided by, and W multiplied by, to bring Var(h) towards 1: (M,).

    Parameters
    ----------
    mean, square : ndarray, shape (M,)
        Means of E[h|v] and E[h^2|v] over a batch.
    mean_h : ndarray, shape (M,)
        Running mean of h.
    xp : module, default numpy
        What computes: numpy or `jax.numpy`.

    Examples
    --------
    >>> unit_variance_scale(np.zeros(3), np.array([1.0, 3.0, 99.0]), np.zeros(3)).round(3)
    array([1.   , 1.049, 1.118])
    """
    variance = square - 2.0 * mean_h * mean + mean_h**2
    return xp.sqrt(xp.clip(1.0 + VARIANCE_RATE * (variance - 1.0), *_SQUARED_RESCALING))


def soft_threshold(x: np.ndarray, cut: np.ndarray | float) -> np.ndarray:
    """Draw x towards zero by ``cut``, and set to zero what would pass it.

    Examples
    --------
    >>> soft_threshold(np.array([-0.5, 0.1, 0.5]), 0.2)
    array([-0.3,  0. ,  0.3])
    """
    return np.sign(x) * np.maximum(np.abs(x) - cut, 0.0)


def penalised_step(
    old: np.ndarray, slope: np.ndarray, average: np.ndarray, step: np.ndarray,
    l1: np.ndarray | float, l1_at_zero: np.ndarray | float,
) -> np.ndarray:  # fmt: skip
    """Step up and cut by the penalty; zeros wait for their averaged slope.

    A weight passes through zero only by stopping there.

    Examples
    --------
    >>> one = np.ones(3)
    >>> penalised_step(np.array([1.0, 0.1, 0.0]), -one, 0 * one, 0.2 * one, 0.5, 0.5)
    array([0.7, 0. , 0. ])
    """
    is_zero = old == 0.0
    target = old + step * np.where(is_zero, average, slope)
    new = soft_threshold(target, step * np.where(is_zero, l1_at_zero, l1))
    return np.where(old * target < 0.0, 0.0, new)


def gibbs_step(
    v: np.ndarray, weights: np.ndarray, fields: np.ndarray, potential: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Draw h given v (Eq. 8), then v given h (Eq. 11); v has the shape (chains, N).

    Examples
    --------
    >>> gaussian = np.array([[1.0], [1.0], [0.0], [0.0]])
    >>> always, never = np.array([99.0]), np.array([-99.0])
    >>> rng = np.random.default_rng(0)
    >>> [gibbs_step(np.ones((1, 1)), np.eye(1), g, gaussian, rng) for g in (always, never)]
    [array([[1.]]), array([[0.]])]
    """
    h = DReLU(*potential).sample(v @ weights, rng)
    p = expit(fields + h @ weights.T)
    return (rng.random(p.shape) < p).astype(v.dtype)


def potential_given_coordinates(coordinates: np.ndarray, offset: np.ndarray) -> np.ndarray:
    r"""Return gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13 as rows (4, M).

    Potentials are trained as (log gamma, eta, theta, delta), with

    .. math::

        \gamma_\pm = \frac{\gamma}{1 \pm \eta}, \qquad
        \theta_\pm = \theta \pm \frac{\delta}{\sqrt{1 \pm \eta}} .

    theta shifts the input, delta > 0 is a soft threshold and delta < 0 a double well, and eta is
    the asymmetry. theta is measured from the mean input.

    Parameters
    ----------
    coordinates : ndarray, shape (4, M)
    offset : ndarray, shape (M,)
        Mean input W' <v> over the data.

    Examples
    --------
    >>> soft = np.array([[0.0], [0.0], [1.0], [2.0]])
    >>> potential_given_coordinates(soft, offset=np.array([10.0])).ravel()
    array([ 1.,  1., 13.,  9.])
    """
    log_gamma, eta, theta, delta = coordinates
    gamma, plus, minus = np.exp(log_gamma), 1.0 + eta, 1.0 - eta
    centre = theta + offset
    theta_plus, theta_minus = centre + delta / np.sqrt(plus), centre - delta / np.sqrt(minus)
    return np.stack([gamma / plus, gamma / minus, theta_plus, theta_minus])


def slope_in_coordinates(
    slope: np.ndarray, coordinates: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Apply the chain rule: a slope (4, M) in Eq. 13's numbers becomes one in the coordinates.

    The derivative is taken along an imaginary step, which is exact to a rounding.

    Examples
    --------
    >>> slope_in_coordinates(np.array([[1.0], [0.0], [0.0], [0.0]]), np.zeros((4, 1)), np.zeros(1))
    array([[ 1.],
           [-1.],
           [ 0.],
           [ 0.]])
    """
    tiny = 1e-30
    steps = 1j * tiny * np.eye(4)[:, :, None]
    moved = [potential_given_coordinates(coordinates + step, offset).imag / tiny for step in steps]
    return np.stack([(along * slope).sum(axis=0) for along in moved])
