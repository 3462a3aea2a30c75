r"""Coordinates in which the hidden potentials are trained.

Eq. 13's four numbers a unit are replaced by (log gamma, eta, theta, delta):

.. math::

    \gamma_\pm = \frac{\gamma}{1 \pm \eta}, \qquad
    \theta_+ = \theta + \frac{\delta}{\sqrt{1+\eta}}, \qquad
    \theta_- = \theta - \frac{\delta}{\sqrt{1-\eta}} .

theta shifts the input, delta > 0 is a soft threshold and delta < 0 a double well, eta the
asymmetry. theta is measured from the mean input W' <v>, so that a change of the weights does not
move the unit's working point; what a model stores is Eq. 13's uncentred theta.
"""

from __future__ import annotations

import numpy as np

MAX_ASYMMETRY = 0.95
LOG_GAMMA, ETA, THETA, DELTA = range(4)


def potential_given_coordinates(coordinates: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """(gamma_plus, gamma_minus, theta_plus, theta_minus) as rows (4, M), theta uncentred.

    Parameters
    ----------
    coordinates : ndarray, shape (4, M)
        Rows log gamma, eta, theta, delta.
    offset : ndarray, shape (M,)
        Mean input W' <v> over the data.
    """
    gamma, eta = np.exp(coordinates[LOG_GAMMA]), coordinates[ETA]
    centre, delta = coordinates[THETA] + offset, coordinates[DELTA]
    return np.stack(
        [
            gamma / (1.0 + eta),
            gamma / (1.0 - eta),
            centre + delta / np.sqrt(1.0 + eta),
            centre - delta / np.sqrt(1.0 - eta),
        ]
    )


def coordinates_given_potential(potential: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Inverse of `potential_given_coordinates`, with the asymmetry clipped to its bound."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    gamma = 2.0 / (1.0 / gamma_plus + 1.0 / gamma_minus)
    eta = np.clip(gamma / gamma_plus - 1.0, -MAX_ASYMMETRY, MAX_ASYMMETRY)
    plus, minus = 1.0 / np.sqrt(1.0 + eta), 1.0 / np.sqrt(1.0 - eta)
    delta = (theta_plus - theta_minus) / (plus + minus)
    return np.stack([np.log(gamma), eta, theta_plus - delta * plus - offset, delta])


def gradient_in_coordinates(coordinates: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Chain rule: a gradient (4, M) in Eq. 13's parameters to one in the coordinates."""
    gamma, eta, delta = (
        np.exp(coordinates[LOG_GAMMA]),
        coordinates[ETA],
        coordinates[DELTA],
    )
    plus, minus = 1.0 + eta, 1.0 - eta
    g_gamma_plus, g_gamma_minus, g_theta_plus, g_theta_minus = gradient
    return np.stack(
        [
            gamma / plus * g_gamma_plus + gamma / minus * g_gamma_minus,
            gamma / minus**2 * g_gamma_minus
            - gamma / plus**2 * g_gamma_plus
            - 0.5 * delta * (plus**-1.5 * g_theta_plus + minus**-1.5 * g_theta_minus),
            g_theta_plus + g_theta_minus,
            g_theta_plus / np.sqrt(plus) - g_theta_minus / np.sqrt(minus),
        ]
    )


def rescale(coordinates: np.ndarray, scale: np.ndarray) -> None:
    """Apply h -> h / scale in place: gamma -> scale^2 gamma, theta -> scale theta."""
    coordinates[LOG_GAMMA] += 2.0 * np.log(scale)
    coordinates[THETA:] *= scale
