r"""Blocks of the training frames that a training does not see, and what a model gains on them.

Of forty blocks of frames every fifth is kept for validation. The gain of a model on a frame is

.. math:: \sum_i \log P(v_i \mid v_{\setminus i}) - \sum_i \log P_0(v_i),

with P_0 the independent neurons of the other frames, in nats. It needs no Z and no sampling
(`crbm_lite.core.left_out`). Two models are compared block by block, since blocks differ by far more
than models do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.left_out import mean_log_likelihood, mean_v_given_others
from crbm_lite.core.spikes import Spikes, evenly_spread
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.start import logit_activity

__all__ = ["ValidationBlocks", "standard_error", "validation_blocks"]

_N_BLOCKS, _EVERY, _FIRST = 40, 5, 2
_N_NEURONS = 2000  # spread evenly over the recording; what they gain stands for all


@dataclass(frozen=True)
class ValidationBlocks:
    """Hold frames to train on, and blocks of others.

    Attributes
    ----------
    training : Spikes
        The frames that are not in a block, in their order.
    blocks : tuple of Spikes
    neurons : ndarray of int
        The neurons that are predicted, from all others.
    """

    training: Spikes
    blocks: tuple[Spikes, ...]
    neurons: np.ndarray

    def gain(self, parameters: TrainedParameters) -> np.ndarray:
        """Compute the mean gain in every block, (blocks,), in nats per frame of all neurons."""
        model = (parameters.weights, parameters.fields, DReLU(*parameters.potential))
        p_alone = 1.0 / (1.0 + np.exp(-logit_activity(self.training)[self.neurons]))
        share = len(self.neurons) / self.training.n_neurons
        return (
            np.array([_gain(block, model, p_alone, self.neurons) for block in self.blocks]) / share
        )


def _gain(block: Spikes, model: tuple, p_alone: np.ndarray, neurons: np.ndarray) -> float:
    def p_given_others(frames: slice) -> np.ndarray:
        return mean_v_given_others(block.take(frames), *model, neurons)

    def p_given_nothing(frames: slice) -> np.ndarray:
        return np.broadcast_to(p_alone, (len(range(block.n_frames)[frames]), len(neurons)))

    asked = block.take_neurons(neurons)
    gain = mean_log_likelihood(asked, p_given_others) - mean_log_likelihood(asked, p_given_nothing)
    return float(gain.sum())


def validation_blocks(spikes: Spikes) -> ValidationBlocks:
    """Keep every fifth of forty blocks of frames for validation.

    Recordings of fewer than forty frames have blocks of a single frame.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> blocks = validation_blocks(as_spikes(np.random.default_rng(0).random((400, 5)) < 0.2))
    >>> blocks.training.n_frames, len(blocks.blocks), blocks.blocks[0].n_frames
    (320, 8, 10)
    """
    n_frames, n_neurons = spikes.shape
    block = np.arange(n_frames) * _N_BLOCKS // n_frames
    is_kept = block % _EVERY == _FIRST
    blocks = tuple(spikes.take(block == b) for b in np.unique(block[is_kept]))
    neurons = evenly_spread(n_neurons, _N_NEURONS)
    return ValidationBlocks(spikes.take(~is_kept), blocks, neurons)


def standard_error(differences: np.ndarray) -> float:
    """Compute the standard error of the mean over blocks.

    It is infinite where there is only one block, or one that is infinite.

    Examples
    --------
    >>> standard_error(np.array([1.0, 3.0]))
    1.0
    """
    if len(differences) < 2 or not np.isfinite(differences).all():
        return float("inf")
    return float(differences.std(ddof=1) / np.sqrt(len(differences)))
