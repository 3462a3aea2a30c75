r"""Spikes that come in bursts, with the probabilities of the truth.

Neuron i spikes in frame t if :math:`u_i(t) < p_i(t)`. Its threshold u is uniform and lasts: in
every frame it is drawn anew with the probability 1/h, and stays otherwise. So a spike has exactly
the probability p (`crbm_lite.recordings.ground_truth`), and neurons are independent given the
states of the assemblies. But a neuron that spikes goes on for about h frames, as a
deconvolved calcium transient does, or until its assembly falls silent.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.recordings.ground_truth import GroundTruth

__all__ = ["draw_bursts"]


def draw_bursts(truth: GroundTruth, hold_frames: float, rng: np.random.Generator) -> np.ndarray:
    """Draw spikes given the planted states, with thresholds that last.

    Parameters
    ----------
    truth : GroundTruth
    hold_frames : float, at least 1
        Mean time that a threshold lasts, h; 1 makes frames independent given the states.
    rng : numpy.random.Generator

    Returns
    -------
    (T, N) uint8

    Raises
    ------
    ValueError
        If hold_frames is below 1.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> truth = plant_recording(200, 4, (20, 30), 300, 50, random_state=0).truth
    >>> draw_bursts(truth, 4.0, np.random.default_rng(0)).shape
    (300, 200)
    """
    if not hold_frames >= 1:
        raise ValueError(f"hold_frames is {hold_frames}: give 1 frame or more")
    spikes = np.empty((truth.n_frames, truth.n_neurons), dtype=np.uint8)
    threshold = rng.random(truth.n_neurons, dtype=np.float32)
    for frames, probability in truth.tiles():
        fresh = rng.random(probability.shape, dtype=np.float32)
        renewed = rng.random(probability.shape, dtype=np.float32) < 1 / hold_frames
        for t, p in enumerate(probability):
            np.copyto(threshold, fresh[t], where=renewed[t])
            spikes[frames.start + t] = threshold < p
    return spikes
