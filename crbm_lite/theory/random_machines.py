r"""Random restricted Boltzmann machines and their three phases.

This is the ensemble of Tubiana & Monasson (2017). A weight is :math:`+W/\sqrt N` or
:math:`-W/\sqrt N`, each with probability p/2, and 0 otherwise. All hidden units share one
potential, and the columns of W have equal norm,

.. math:: \lVert w_\mu \rVert = W \sqrt p = c .

A hidden unit is fully on when all neurons of positive weight are active and all of negative weight
are silent. Its input then lies :math:`I_{max} = c \sqrt{N p} / 2` above that of chance, and the
threshold is given as a share of :math:`I_{max}`. The input that a neuron gets from such a unit is
at most :math:`c^2 / 2`, so c is an inverse temperature. As in training, inputs are counted from
their mean :math:`\sum_i w_{i\mu} / 2`.

In the ferromagnetic phase one hidden unit takes all, m = 1. In the spin glass all of them are a
little on, and m grows with M. In the compositional phase :math:`1 \ll m \ll M`, and the units that
are on change from state to state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crbm_lite.assemblies.dynamics import n_active
from crbm_lite.checks.arguments import as_generator
from crbm_lite.measures import effective_number
from crbm_lite.model.model import CRBM

__all__ = ["PhaseSample", "random_rbm", "sample_phase"]

_WALL = 50.0, 1000.0  # slope and curvature that keep a rectified h from going below 0


@dataclass(frozen=True, eq=False, repr=False)
class PhaseSample:
    """States of a random machine in equilibrium.

    Parameters
    ----------
    h : (S, T, M) float64
        Mean hidden activity above its inactive level, in S saves of T chains.
    n_active : (S, T) float64
        m, the effective number of hidden units that are on.
    """

    h: np.ndarray
    n_active: np.ndarray

    def __repr__(self) -> str:
        return (
            f"PhaseSample({self.h.shape[0]} saves x {self.h.shape[1]} chains, "
            f"m = {self.mean_n_active:.1f} of {self.h.shape[2]})"
        )

    @property
    def mean_n_active(self) -> float:
        """Mean of m over the chains and saves."""
        return float(self.n_active.mean())

    @property
    def n_used(self) -> float:
        """Effective number of hidden units that are on at some time, from their mean activity.

        It is near m if the same units are always on, and near M if all take their turn.
        """
        return float(effective_number(np.abs(self.h).mean(axis=(0, 1)), axis=0))


def random_rbm(
    n_neurons: int,
    n_hidden: int,
    density: float = 0.1,
    *,
    column_norm: float = 4.0,
    threshold: float = 0.25,
    rectified: bool = True,
    norm_spread: float = 0.0,
    random_state: int | np.random.Generator = 0,
) -> CRBM:
    """Draw a machine with random weights from the ensemble of the module.

    Parameters
    ----------
    n_neurons, n_hidden : int
        N and M.
    density : float in (0, 1]
        p, the probability that a weight is not 0; default 0.1. Each column has at least one.
    column_norm : float
        c; default 4. A larger norm is a lower temperature.
    threshold : float
        Input at which a rectified unit begins to be on, as a share of the largest input; default
        0.25.
    rectified : bool
        True (default) makes ReLU-like hidden units with the potential h^2/2 + theta h for h > 0.
        False makes quadratic ones, h^2/2 on both sides: a Hopfield network, for which the
        threshold has no meaning.
    norm_spread : float
        Standard deviation of the logarithm of the norms of the columns; by default 0, equal norms.
    random_state : int or numpy.random.Generator

    Returns
    -------
    CRBM
        Its fields are 0, so half of the neurons are active.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> model = random_rbm(200, 10, density=0.2, column_norm=3.0)
    >>> np.linalg.norm(model.weights_, axis=0).round(6).tolist() == [3.0] * 10
    True
    """
    if min(n_neurons, n_hidden) < 1:
        raise ValueError(f"n_neurons is {n_neurons} and n_hidden {n_hidden}: give at least 1")
    if not 0 < density <= 1:
        raise ValueError(f"density is {density}: give a share above 0 and up to 1")
    if not 0 < column_norm < math.inf:
        raise ValueError(f"column_norm is {column_norm}: give a positive number")
    for name, value in (("threshold", threshold), ("norm_spread", norm_spread)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value}: give 0 or a positive number")
    rng = as_generator(random_state)
    signs = rng.choice([-1.0, 1.0], size=(n_neurons, n_hidden))
    signs[rng.random(signs.shape) >= density] = 0.0
    empty = ~signs.any(axis=0)
    signs[rng.integers(n_neurons, size=empty.sum()), np.flatnonzero(empty)] = 1.0
    norms = column_norm * np.exp(norm_spread * rng.standard_normal(n_hidden))
    weights = signs * (norms / np.linalg.norm(signs, axis=0))
    one = np.ones(n_hidden)
    mean_input = weights.sum(axis=0) / 2
    if rectified:
        slope, curvature = _WALL
        theta = threshold * column_norm * math.sqrt(n_neurons * density) / 2
        potential = (one, curvature * one, mean_input + theta, mean_input - slope)
    else:
        potential = (one, one, mean_input, mean_input)
    return CRBM.from_parameters(weights, np.zeros(n_neurons), *potential)


def sample_phase(
    model: CRBM,
    *,
    n_chains: int = 40,
    n_saves: int = 3,
    n_steps: int = 20,
    burn_in: int = 10,
    n_on: int = 0,
    random_state: int | np.random.Generator = 0,
) -> PhaseSample:
    """Sample a machine and count the hidden units that are on in every state.

    Two signs show that chains have mixed: m is the same from two opposite starts, with no hidden
    unit on and with many, and it has no trend from save to save.

    Parameters
    ----------
    model : CRBM
        A machine that `random_rbm` made.
    n_chains, n_saves, n_steps, burn_in : int
        As in ``CRBM.sample``: the number of chains, how often all of them are saved, the Gibbs
        steps between two saves, and the saves that are left out at the start.
    n_on : int
        Number of hidden units that are fully on in the first state of a chain, others in each
        chain. By default 0: chains start from independent neurons.
    random_state : int or numpy.random.Generator

    Returns
    -------
    PhaseSample

    Raises
    ------
    ValueError
        If n_on is negative or above M, and where ``CRBM.sample`` raises one.

    Examples
    --------
    >>> model = random_rbm(300, 60, density=1.0)
    >>> sample_phase(model).mean_n_active < 1.5  # dense weights: one unit takes all
    True
    """
    n_hidden = model.weights_.shape[1]
    if not 0 <= n_on <= n_hidden:
        raise ValueError(f"n_on is {n_on}: give 0 to {n_hidden}, the number of hidden units")
    rng = as_generator(random_state)
    mean_input = model.weights_.sum(axis=0) / 2
    largest = np.abs(model.weights_).sum(axis=0) / 2
    start_h = np.zeros((n_chains, n_hidden))
    for row in start_h:
        on = rng.choice(n_hidden, size=n_on, replace=False)
        row[on] = model.units.mean((mean_input + largest)[None])[0, on]
    start = model.sample_v_given_h(start_h, rng)
    v = model.sample(
        n_chains * n_saves,
        n_chains=n_chains,
        n_steps=n_steps,
        burn_in=burn_in,
        start=start,
        random_state=rng,
    )
    inactive = model.units.mean(mean_input[None])[0]
    h = model.mean_h_given_v(v)
    shape = (n_saves, n_chains)
    return PhaseSample(
        (h - inactive).reshape(*shape, n_hidden), n_active(h, inactive).reshape(shape)
    )
