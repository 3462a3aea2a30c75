"""The parameters of a training run, with its optimiser and running averages; no equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import Spikes, weight_sums
from crbm_lite.training import coordinates as co
from crbm_lite.training.start import Start

# averages that a rewind begins again: copies of them would only take room
BEGUN_AGAIN = ("weight_average", "mean_weights", "mean_fields", "mean_potential")


@dataclass
class Parameters:
    """Parameters, optimiser and running averages of a run."""

    weights: np.ndarray  # (N, M) float32
    fields: np.ndarray  # (N,)
    hidden: np.ndarray  # (4, M), see crbm_lite.training.coordinates
    weight_square: np.ndarray  # (N, M) float32, running mean of squared gradients
    weight_average: np.ndarray  # (N, M) float32, running mean of gradients
    field_square: np.ndarray
    hidden_square: np.ndarray
    mean_h: np.ndarray  # (M,), running mean of h over the data
    offset: np.ndarray  # (M,), mean input W' <v>
    size: np.ndarray  # (M,), sum of |w|
    density: float
    mean_weights: np.ndarray  # (N, M) float32, mean over the later updates, as the next three
    mean_fields: np.ndarray
    mean_potential: np.ndarray  # (4, M) of Eq. 13
    n_averaged: int


def initial_parameters(start: Start, spikes: Spikes, activity: np.ndarray) -> Parameters:
    """Parameters where training begins; activity (N,) is the data's <v>."""
    n, m = start.weights.shape
    offset, size = weight_sums(activity, start.weights)
    units = DReLU(*start.potential)
    h_sums = [units.mean(x).sum(axis=0) for _, x in spikes.input_tiles(start.weights)]
    return Parameters(
        weights=start.weights.copy(),
        fields=start.fields.copy(),
        hidden=co.coordinates_given_potential(start.potential, offset),
        weight_square=np.zeros((n, m), np.float32),
        weight_average=np.zeros((n, m), np.float32),
        field_square=np.zeros(n),
        hidden_square=np.zeros((4, m)),
        mean_h=sum(h_sums) / spikes.n_frames,
        offset=offset,
        size=size,
        density=float((start.weights != 0).mean()),
        mean_weights=np.zeros((n, m), np.float32),  # takes no memory until it is written to
        mean_fields=np.zeros(n),
        mean_potential=np.zeros((4, m)),
        n_averaged=0,
    )
