"""The cheap case: W, g and the potentials stay those of a trained cRBM, and only the past is new.

Then the means of the model under every drive come from one sample of the cRBM, by importance
weights (`crbm_lite.temporal.equilibrium`). Where the effective sample is too small, draws chosen by
their weights take a few Gibbs steps under the drive instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.temporal.ascent import RecurrenceAscent, rates_at
from crbm_lite.temporal.chains import chains_given_weights
from crbm_lite.temporal.equilibrium import EquilibriumSample, Tilted, tilt
from crbm_lite.temporal.gradients import back_propagated, recurrence_slopes
from crbm_lite.temporal.history import Monitor, TemporalHistory
from crbm_lite.temporal.recurrence import Recurrence, filter_frames
from crbm_lite.temporal.windows import Windows

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["driven_mean_h", "fit_recurrence"]


def driven_mean_h(
    model: CRBM,
    drive: np.ndarray,
    sample: EquilibriumSample,
    min_effective_share: float,
    n_gibbs: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Tilted]:
    """Compute <h> of the model under every drive, (T, M), and the weights that gave it.

    Frames whose effective share is below the least one take ``n_gibbs`` steps from a draw that is
    chosen by its weight.
    """
    found = tilt(drive, sample.h)
    mean_h = found.weights @ sample.h
    far = np.flatnonzero(found.effective_share < min_effective_share)
    if far.size:
        chains = chains_given_weights(model, drive[far], found.weights[far], sample, rng)
        chains.step(n_gibbs)
        mean_h[far] = model.units.mean(chains.inputs())
    return mean_h, found


def fit_recurrence(
    model: CRBM,
    inputs: np.ndarray,
    windows: Windows,
    sample: EquilibriumSample,
    start: Recurrence,
    *,
    l1: float,
    l1_diagonal: float,
    n_updates: int,
    batch_windows: int,
    n_gibbs: int,
    min_effective_share: float,
    learning_rate: float,
    final_learning_rate: float,
    rng: np.random.Generator,
    bar: object,
) -> tuple[Recurrence, TemporalHistory]:
    """Learn A, b and c of the first frames by gradient ascent over batches of windows.

    Parameters
    ----------
    model : CRBM
    inputs : (T, M) float64
        I = vW of all frames, frame by frame.
    windows : Windows
    sample : EquilibriumSample
        Draws of the model.
    start : Recurrence
    l1, l1_diagonal, n_updates, batch_windows, n_gibbs, min_effective_share, learning_rate, \
final_learning_rate
        As in `crbm_lite.temporal.temporal_crbm.TemporalCRBM`.
    rng : numpy.random.Generator
    bar : tqdm
        A progress bar, which is moved by one for each update.
    """
    ascent = RecurrenceAscent(start, l1, l1_diagonal, learns_offset=True)
    monitor = Monitor(model.units, min_effective_share, n_updates)
    for update in range(n_updates):
        n_batch = min(batch_windows, len(windows))
        batch = windows.take(rng.choice(len(windows), n_batch, replace=False))
        here, own = ascent.recurrence, inputs[batch.frames]
        found = filter_frames(own, batch, model.units, here)
        mean_h, tilted = driven_mean_h(
            model, found.drive, sample, min_effective_share, n_gibbs, rng
        )
        by_drive, _ = back_propagated(found.mean_h - mean_h, found.variance, batch, here.couplings)
        slopes = recurrence_slopes(by_drive, found.mean_h, batch, here)
        per_frame = type(slopes)(*(slope / len(own) for slope in slopes))
        ascent.step(per_frame, rates_at(update, n_updates, learning_rate, final_learning_rate))
        monitor.look(update, own, found, tilted, batch, here.couplings)
        bar.update()
    return ascent.recurrence, monitor.history()
