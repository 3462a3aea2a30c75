r"""All parameters at once, by back-propagation through windows and persistent chains.

Every frame has a chain of its own, which begins at the data and goes on where it was when the frame
comes up again, since each frame has its own drive. The penalties are those of the cRBM on W and
that on A, both under Var(h) = 1. As in `crbm_lite.core.reference` this is the same as maximising

.. math:: \langle \log P(v_t | \mathrm{past}) \rangle - \lambda \sum_\mu s_\mu \sum_i |w_{i\mu}|
          - \lambda_A \sum_{\mu\nu} s_\mu s_\nu |A_{\mu\nu}|, \qquad s_\mu^2 = Var(h_\mu),

and rescaling to s = 1 after each step. So the slopes in the inputs of the data get the term
:math:`-\kappa_\mu dVar_\mu/dI` with :math:`\kappa_\mu = \tfrac12 [\lambda \sum_i |w_{i\mu}| +
\lambda_A \sum_\nu (|A_{\mu\nu}| + |A_{\nu\mu}|)]`, and are carried back through time with it. The
offset b does what the potentials can do; it is taken into them at the start.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.reference import (
    VARIANCE_RATE,
    penalised_step,
    potential_given_coordinates,
    rmsprop_step,
    unit_variance_scale,
)
from crbm_lite.core.spikes import Spikes
from crbm_lite.model.model import CRBM
from crbm_lite.temporal.ascent import RecurrenceAscent, rates_at
from crbm_lite.temporal.chains import DrivenChains
from crbm_lite.temporal.gradients import (
    back_propagated,
    half_moments_given_input,
    potential_slope,
    recurrence_slopes,
)
from crbm_lite.temporal.history import Monitor, TemporalHistory
from crbm_lite.temporal.recurrence import Recurrence, filter_frames
from crbm_lite.temporal.windows import Windows
from crbm_lite.training.coordinates import (
    bound,
    coordinates_given_potential,
    gradient_in_coordinates,
    rescale,
)

__all__ = ["fit_jointly"]

_WEIGHT_RATE, _FIELD_RATE = 0.05, 0.1  # of the rate of the couplings


def fit_jointly(
    model: CRBM,
    spikes: Spikes,
    windows: Windows,
    start: Recurrence,
    *,
    l1_weights: float,
    l1: float,
    l1_diagonal: float,
    n_updates: int,
    batch_windows: int,
    n_gibbs: int,
    learning_rate: float,
    final_learning_rate: float,
    rng: np.random.Generator,
    bar: object,
) -> tuple[CRBM, Recurrence, TemporalHistory]:
    """Train W, g, the potentials, A and c of the first frames together.

    Parameters
    ----------
    model : CRBM
        Where W, g and the potentials begin; it is not changed.
    spikes : Spikes
        All frames.
    windows : Windows
    start : Recurrence
        Where A, b and c begin.
    l1_weights : float
        The penalty on W.
    l1, l1_diagonal, n_updates, batch_windows, n_gibbs, learning_rate, final_learning_rate
        As in `crbm_lite.temporal.temporal_crbm.TemporalCRBM`.
    rng : numpy.random.Generator
    bar : tqdm
        A progress bar, which is moved by one for each update.
    """
    weights = model.weights_.astype(np.float64)
    fields, activity = model.fields_.astype(np.float64), spikes.activity()
    folded = np.array(model.units.parameters)
    folded[2:] -= start.offset
    hidden = coordinates_given_potential(folded, activity @ weights)
    zero = np.zeros_like(start.offset)
    start = replace(start, initial=start.initial - start.offset, offset=zero)
    ascent = RecurrenceAscent(start, l1, l1_diagonal, learns_offset=False)
    monitor = Monitor(model.units, 1.0, n_updates)
    mean_h = np.array(start.mean_h)
    chains_of_frames = np.packbits(spikes.dense(), axis=1)
    squares = [np.zeros_like(x) for x in (weights, fields, hidden)]
    average = np.zeros_like(weights)

    for update in range(n_updates):
        rates = rates_at(update, n_updates, learning_rate, final_learning_rate)
        here = ascent.recurrence
        units = DReLU(*potential_given_coordinates(hidden, activity @ weights))
        size = np.abs(here.couplings) * ascent.l1
        kappa = 0.5 * (
            l1_weights * np.abs(weights).sum(axis=0) + size.sum(axis=0) + size.sum(axis=1)
        )

        # Data: filtered frames, with what the rescaling to unit variance will cost.
        batch = windows.take(
            rng.choice(len(windows), min(batch_windows, len(windows)), replace=False)
        )
        frames = batch.frames
        v = spikes.take(frames)
        inputs = v.inputs(weights)
        found = filter_frames(inputs, batch, units, here)
        moments = half_moments_given_input(inputs + found.drive, units)
        in_input, in_potential, square = _variance_slopes(moments, mean_h)

        # Chains: those of these frames go on under their drive.
        unpacked = np.unpackbits(chains_of_frames[frames], axis=1, count=spikes.n_neurons)
        seed = int(rng.integers(2**63))
        chains = DrivenChains(weights, fields, units, found.drive, unpacked, seed)
        chains.step(n_gibbs)
        chain_v, chain_inputs = chains.spikes(), chains.inputs()
        chains_of_frames[frames] = np.packbits(chain_v, axis=1)
        chain_h = units.mean(chain_inputs)

        # Slopes, carried back through the windows.
        data_h = found.mean_h - kappa * in_input
        by_drive, by_mean_h = back_propagated(
            data_h - chain_h, found.variance, batch, here.couplings
        )
        data_h = data_h + found.variance * by_mean_h
        n = len(frames)
        drift = (data_h - chain_h).sum(axis=0)
        slope_w = v.to_csr(np.float64).T @ (data_h - mean_h)
        slope_w -= chain_v.astype(np.float32).T @ (chain_h - mean_h).astype(np.float32)
        slope_w = (slope_w - np.outer(activity, drift)) / n
        slope_g = activity - chain_v.mean(axis=0)
        of_chains = potential_slope(half_moments_given_input(chain_inputs, units))
        slope_hidden = (
            potential_slope(moments, by_mean_h) - kappa * in_potential - of_chains
        ).mean(axis=1)
        slope_hidden = gradient_in_coordinates(hidden, slope_hidden)
        of_recurrence = recurrence_slopes(by_drive, found.mean_h, batch, here)
        monitor.look(update, inputs, found, None, batch, here.couplings)

        # Steps; then h is divided by `scale`, which brings its variance back to 1.
        steps = []
        for k, (slope, share) in enumerate(
            ((slope_w, _WEIGHT_RATE), (slope_g, _FIELD_RATE), (slope_hidden, _FIELD_RATE))
        ):
            squares[k], step = rmsprop_step(squares[k], slope, share * rates.learning_rate, rates)
            steps.append(step)
        mean = found.mean_h.mean(axis=0)
        scale = unit_variance_scale(mean, square.mean(axis=0), mean_h)
        ascent.step(type(of_recurrence)(*(x / n for x in of_recurrence)), rates)
        ascent.rescale(scale)
        mean_h = (mean_h + VARIANCE_RATE * (mean - mean_h)) / scale
        hidden = hidden + steps[2] * slope_hidden
        bound(hidden)
        rescale(hidden, scale)
        average = rates.average_decay * average + (1.0 - rates.average_decay) * slope_w
        old = weights * scale
        weights = penalised_step(old, slope_w, average, steps[0], l1_weights, l1_weights)
        fields = fields + steps[1] * slope_g - (weights - old) @ mean_h  # <v> stays where it is
        bar.update()
    potential = potential_given_coordinates(hidden, activity @ weights)
    trained = CRBM.from_parameters(weights.astype(np.float32), fields, *potential)
    return trained, ascent.recurrence, monitor.history()


def _variance_slopes(
    moments: np.ndarray, mean_h: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes of E[h^2|I] - 2 <h> E[h|I] in the input (T, M) and in the potential (4, T, M).

    Also E[h^2|I]. Of the potential, slopes are covariances with -h_+^2/2, -h_-^2/2, -h_+, -h_-.
    """
    up, down = moments[:4], moments[4:]
    square = up[1] + down[1]
    mean = square - 2.0 * mean_h * (up[0] + down[0])

    def covariance(half: np.ndarray, n: int) -> np.ndarray:
        return half[n + 1] - 2.0 * mean_h * half[n] - half[n - 1] * mean

    in_potential = np.stack(
        [
            -0.5 * covariance(up, 2),
            -0.5 * covariance(down, 2),
            -covariance(up, 1),
            -covariance(down, 1),
        ]
    )
    return covariance(up, 1) + covariance(down, 1), in_potential, square
