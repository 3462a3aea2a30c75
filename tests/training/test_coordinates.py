"""The coordinates of the potentials: there and back, slopes, and rescaling."""

import numpy as np

from crbm_lite.core.reference import potential_given_coordinates, slope_in_coordinates
from crbm_lite.training import coordinates as co
from tests.training.enumerable import POTENTIAL


def test_coordinates_go_there_and_back():
    rng = np.random.default_rng(0)
    potential = np.concatenate([rng.uniform(0.5, 3, (2, 20)), rng.normal(size=(2, 20))])
    offset = rng.normal(size=20)
    coordinates = co.coordinates_given_potential(potential, offset)
    back = potential_given_coordinates(coordinates, offset)
    np.testing.assert_allclose(back, potential, rtol=1e-12, atol=1e-12)


def test_the_gradient_is_that_of_the_chain_rule():
    rng = np.random.default_rng(1)
    coordinates, slope = rng.uniform(-0.9, 0.9, (4, 20)), rng.normal(size=(4, 20))
    np.testing.assert_allclose(
        co.gradient_in_coordinates(coordinates, slope),
        slope_in_coordinates(slope, coordinates, np.zeros(20)),
        rtol=1e-10,
        atol=1e-12,
    )


def test_rescaling_the_coordinates_is_a_rescaling_of_h():
    potential = POTENTIAL
    s, zero = np.array([0.7, 1.9]), np.zeros(2)
    coordinates = co.coordinates_given_potential(potential, zero)
    co.rescale(coordinates, s)
    np.testing.assert_allclose(
        potential_given_coordinates(coordinates, zero),
        potential * np.array([s**2, s**2, s, s]),
        rtol=1e-12,
    )
