"""What a training run moves, and what it leaves: parameters, optimiser, means, chains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.reference import potential_given_coordinates
from crbm_lite.core.spikes import Spikes, weight_sums
from crbm_lite.training.coordinates import coordinates_given_potential
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.start import Start

__all__ = [
    "LEAST_SIZE",
    "RESET_BY_REWIND",
    "Parameters",
    "TrainedParameters",
    "initial_chains",
    "initial_parameters",
    "without_units_of_one_neuron",
]

LEAST_SIZE = 1e-3  # sum |w| of a hidden unit that is alive
# means that a rewind begins again: copies of them would only take room
RESET_BY_REWIND = ("weight_average", "mean_weights", "mean_fields", "mean_potential")
_FRAMES_FOR_JUMPS = 500


@dataclass
class Parameters:
    """Parameters, optimiser and running means of a run; the first eight as in the reference.

    Attributes
    ----------
    weights : ndarray of float32, shape (N, M)
    fields : ndarray, shape (N,)
    hidden : ndarray, shape (4, M)
        Coordinates of the potentials, see `crbm_lite.training.coordinates`.
    weight_square, field_square, hidden_square : ndarray
        Running means of squared gradients; the first in float32.
    weight_average : ndarray of float32, shape (N, M)
        Running mean of the gradients of the weights.
    mean_h : ndarray, shape (M,)
        Running mean of h over the data.
    offset, size : ndarray, shape (M,)
        Mean input W' <v>, and the sum of |w|.
    density : float
        Share of weights that are not zero.
    mean_weights, mean_fields, mean_potential : ndarray
        Means over the later updates; the potential (4, M) is that of Eq. 13.
    """

    weights: np.ndarray
    fields: np.ndarray
    hidden: np.ndarray
    weight_square: np.ndarray
    field_square: np.ndarray
    hidden_square: np.ndarray
    weight_average: np.ndarray
    mean_h: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    density: float
    mean_weights: np.ndarray
    mean_fields: np.ndarray
    mean_potential: np.ndarray


@dataclass(frozen=True)
class TrainedParameters:
    """What the updates of a run end with.

    Attributes
    ----------
    weights : ndarray of float32, shape (N, M)
    fields : ndarray, shape (N,)
    potential : ndarray, shape (4, M)
        gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13.
    mean_h : ndarray, shape (M,)
        Mean of h over the data, or near it.
    """

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    mean_h: np.ndarray


def without_units_of_one_neuron(parameters: TrainedParameters) -> TrainedParameters:
    r"""Give what a hidden unit does to its only neuron to that neuron's field.

    With h integrated out, a unit of one weight w shifts the field of its neuron by
    :math:`\Gamma(w) - \Gamma(0)` and does nothing else, so P(v) stays as it is. Left as they are,
    weight and field would make up for each other, and neither has an optimum.

    Examples
    --------
    >>> gaussian = np.array([[1.0], [1.0], [0.0], [0.0]])  # Gamma(I) = I^2 / 2
    >>> weights = np.array([[2.0], [0.0]], np.float32)
    >>> given = TrainedParameters(weights, np.zeros(2), gaussian, np.zeros(1))
    >>> without_units_of_one_neuron(given).fields.round(3).tolist()
    [2.0, 0.0]
    """
    units = np.flatnonzero(np.count_nonzero(parameters.weights, axis=0) == 1)
    if not len(units):
        return parameters
    weights, fields = parameters.weights.copy(), parameters.fields.copy()
    neurons = np.abs(weights[:, units]).argmax(axis=0)
    w = weights[neurons, units].astype(np.float64)[None]
    cumulant = DReLU(*parameters.potential[:, units]).cumulant
    np.add.at(fields, neurons, (cumulant(w) - cumulant(np.zeros_like(w)))[0])
    weights[:, units] = 0.0
    return replace(parameters, weights=weights, fields=fields)


def initial_parameters(start: Start, spikes: Spikes, centre: np.ndarray) -> Parameters:
    """Return the parameters that training begins with; v is measured from the centre (N,)."""
    n, m = start.weights.shape
    offset, size = weight_sums(centre, start.weights)
    units = DReLU(*start.potential)
    h_sums = [units.mean(x).sum(axis=0) for _, x in spikes.input_tiles(start.weights)]
    return Parameters(
        weights=start.weights.copy(),
        fields=start.fields.copy(),
        hidden=coordinates_given_potential(start.potential, offset),
        weight_square=np.zeros((n, m), np.float32),
        field_square=np.zeros(n),
        hidden_square=np.zeros((4, m)),
        weight_average=np.zeros((n, m), np.float32),
        mean_h=sum(h_sums) / spikes.n_frames,
        offset=offset,
        size=size,
        density=float((start.weights != 0).mean()),
        mean_weights=np.zeros((n, m), np.float32),  # takes no memory until it is written to
        mean_fields=np.zeros(n),
        mean_potential=np.zeros((4, m)),
    )


def initial_chains(
    spikes: Spikes,
    parameters: Parameters,
    schedule: Schedule,
    rng: np.random.Generator,
    frames: np.ndarray | None = None,
) -> GibbsChains:
    """Return chains that start at given spikes, or at random frames of the data.

    They propose jumps from h of other frames.
    """
    weights, n_frames = parameters.weights, spikes.n_frames
    seed = int(rng.integers(2**63))
    chains = GibbsChains(*weights.shape, schedule.n_chains, seed, schedule.jump_every)
    chains.set_weights(weights)
    potential = potential_given_coordinates(parameters.hidden, parameters.offset)
    inputs = spikes.inputs(weights, rng.integers(n_frames, size=_FRAMES_FOR_JUMPS))
    chains.propose_from(DReLU(*potential).sample(inputs, rng))
    chosen = rng.integers(n_frames, size=chains.n_chains)
    chains.set_spikes(spikes.dense(chosen) if frames is None else frames)
    return chains
