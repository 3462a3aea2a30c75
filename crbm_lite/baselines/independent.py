"""Neurons that fire independently, each at its own rate: the floor of every comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crbm_lite.core.spikes import as_spikes

__all__ = ["Independent", "fit_independent"]


@dataclass(frozen=True, eq=False)
class Independent:
    """Neurons that know only their own rate.

    `crbm_lite.recordings.controls.independent_frames` draws frames of them.

    Attributes
    ----------
    activity : (N,) float64
        Probability of a spike in a frame.
    """

    activity: np.ndarray = field(repr=False)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.activity)

    def mean_v_given_others(self, v: object) -> np.ndarray:
        """Probability of a spike of each neuron, the same whatever the others do.

        Parameters
        ----------
        v : (T, N) array of 0/1, scipy.sparse matrix or Recording

        Returns
        -------
        (T, N) float64

        Raises
        ------
        ValueError
            If `v` is not binary or has another number of neurons.
        """
        return np.broadcast_to(self.activity, as_spikes(v, "v", self.n_neurons).shape)


def fit_independent(v: object) -> Independent:
    """Estimate each neuron's rate.

    Half a spike more and half a silence more are counted, so that a neuron that is silent in
    training is not held to be unable to spike.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.

    Returns
    -------
    Independent

    Examples
    --------
    >>> fit_independent([[0, 1], [0, 1], [0, 0]]).activity
    array([0.125, 0.625])
    """
    spikes = as_spikes(v)
    n_frames = spikes.n_frames
    return Independent((spikes.activity() * n_frames + 0.5) / (n_frames + 1.0))
