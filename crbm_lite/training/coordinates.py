r"""Coordinates in which the hidden potentials are trained: (log gamma, eta, theta, delta).

`crbm_lite.core.reference.potential_given_coordinates` has the equations. What a model stores is
Eq. 13's uncentred theta, while the theta here is measured from the mean input W' <v>, so that a
change of the weights does not move the unit's working point.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.core.reference import LEAST_GAMMA, MAX_ASYMMETRY

__all__ = ["bound", "coordinates_given_potential", "gradient_in_coordinates", "rescale"]

LOG_GAMMA, ETA, THETA, DELTA = range(4)  # rows


def coordinates_given_potential(potential: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Invert `crbm_lite.core.reference.potential_given_coordinates`; eta is clipped to its bound.

    Examples
    --------
    >>> from crbm_lite.core.reference import potential_given_coordinates
    >>> potential = np.array([[1.0], [4.0], [-2.0], [3.0]])
    >>> coordinates = coordinates_given_potential(potential, np.array([10.0]))
    >>> potential_given_coordinates(coordinates, np.array([10.0])).ravel()
    array([ 1.,  4., -2.,  3.])
    """
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    gamma = 2.0 / (1.0 / gamma_plus + 1.0 / gamma_minus)
    eta = np.clip(gamma / gamma_plus - 1.0, -MAX_ASYMMETRY, MAX_ASYMMETRY)
    plus, minus = 1.0 / np.sqrt(1.0 + eta), 1.0 / np.sqrt(1.0 - eta)
    delta = (theta_plus - theta_minus) / (plus + minus)
    return np.stack([np.log(gamma), eta, theta_plus - delta * plus - offset, delta])


def gradient_in_coordinates(coordinates: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Apply the chain rule: a slope (4, M) in Eq. 13's numbers becomes one in the coordinates."""
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


def bound(coordinates: np.ndarray) -> None:
    """Keep curvature and asymmetry within their bounds, in place."""
    coordinates[LOG_GAMMA] = np.maximum(coordinates[LOG_GAMMA], np.log(LEAST_GAMMA))
    coordinates[ETA] = np.clip(coordinates[ETA], -MAX_ASYMMETRY, MAX_ASYMMETRY)


def rescale(coordinates: np.ndarray, scale: np.ndarray) -> None:
    """Apply h -> h / scale in place: gamma -> scale^2 gamma and theta -> scale theta."""
    coordinates[LOG_GAMMA] += 2.0 * np.log(scale)
    coordinates[THETA:] *= scale
