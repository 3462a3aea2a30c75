r"""Numba kernels of one training update: the data phase and the fused pass over the weights.

The equations are those of the plain update, `crbm_lite.core.reference`. What is added here is
speed. The gradient of a neuron's weights, their step, the new packed row and the chains' inputs
under the new weights are made in one pass over W, while the row is in cache; a thread takes whole
tiles of neurons, so that the number of threads changes no bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from crbm_lite.core.compilation import inner_njit, items_of, parallel_njit
from crbm_lite.core.drelu import partial_moments
from crbm_lite.core.sample_hidden import ROWS_PER_BLOCK, unit_constants, weighed_halves
from crbm_lite.core.sample_visible import add_row
from crbm_lite.core.vector_code import SPARE_PLACES, nonzero_places, pack_nonzero

__all__ = [
    "Batch",
    "Centre",
    "ChainArrays",
    "NeuronArrays",
    "hidden_statistics",
    "move_mean",
    "potential_gradient",
    "update_rows",
]

_FARTHEST = 5.0  # beyond it, 1/Z(x) - x cancels too much, and every moment more
# rows of the statistics that `hidden_statistics` returns, each (frames, M)
N_STATISTICS = 11
(
    MEAN,  # E[h|v]
    SQUARE,  # E[h^2|v]
    UP,  # E[h+|v]
    DOWN,  # E[h-|v]
    UP_SQUARE,  # E[h+^2|v]
    DOWN_SQUARE,  # E[h-^2|v]
    VAR_I,  # slope of the variance of h over the data in the input of a frame
    VAR_GAMMA_PLUS,  # its slope in gamma_plus, and so on
    VAR_GAMMA_MINUS,
    VAR_THETA_PLUS,
    VAR_THETA_MINUS,
) = range(N_STATISTICS)


class NeuronArrays(NamedTuple):
    """Arrays with one row per neuron, which an update changes.

    Attributes
    ----------
    weights, weight_square, weight_average : float32 (N, M)
        W, and the running means of squared gradients and of gradients.
    fields, field_square : float64 (N,)
    """

    weights: np.ndarray
    weight_square: np.ndarray
    weight_average: np.ndarray
    fields: np.ndarray
    field_square: np.ndarray


class Batch(NamedTuple):
    """A batch of frames, neuron after neuron.

    Attributes
    ----------
    starts : int64 (N + 1,)
        Neuron i spikes in ``frames[starts[i]:starts[i + 1]]`` of the batch.
    frames : int32
    h : float32 (batch, M)
        (h - kappa q - <h>) / batch, with q the statistic ``VAR_I``.
    mean_v : float64 (N,)
        Mean of v over the data, which the fields follow.
    """

    starts: np.ndarray
    frames: np.ndarray
    h: np.ndarray
    mean_v: np.ndarray


class ChainArrays(NamedTuple):
    """The chains and the packed weights, see `crbm_lite.core.gibbs.GibbsChains`.

    Attributes
    ----------
    v : uint8 (N, padded chains)
    n_chains : int
    h : float32 (chains, M)
        (h - <h>) / chains.
    rows_per_tile : int
        Neurons in a tile.
    row_nnz, columns, values : packed rows of W, which are refilled
    partial_input : float32 (tiles, chains, M)
        Becomes the tiles' shares of the chains' inputs under the new weights.
    """

    v: np.ndarray
    n_chains: int
    h: np.ndarray
    rows_per_tile: int
    row_nnz: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    partial_input: np.ndarray


class Centre(NamedTuple):
    """What the coordinates of the weights are centred and scaled by.

    Weights move in centred coordinates: the thresholds of the hidden units are measured from the
    mean input and the fields from the mean h, so that a step on w leaves both activities where
    they are.

    Attributes
    ----------
    activity : float64 (N,)
        What v is measured from: its mean over the data.
    mean_h : float32 (M,)
        Mean of h over the data.
    drift : float32 (M,)
        Sum of the batch's h less the sum of the chains' h.
    scale : float32 (M,)
        Factor that W gets first: the rescaling of h to unit variance.
    """

    activity: np.ndarray
    mean_h: np.ndarray
    drift: np.ndarray
    scale: np.ndarray


@njit(inline="always")
def _scaled_moments(x, z, gauss, inverse_root, share):
    """Return ``share`` times E[|h|^n], n = 1..4, of one half whose x is not above _FARTHEST."""
    hazard = (gauss if x < 0.0 else 1.0) / z
    m1 = hazard - x
    m2 = 1.0 - x * m1
    m3 = 2.0 * m1 - x * m2
    m4 = 3.0 * m2 - x * m3
    s1 = inverse_root
    s2 = s1 * s1
    return share * m1 * s1, share * m2 * s2, share * m3 * s1 * s2, share * m4 * s2 * s2


@njit(inline="always")
def _write_statistics(a1, a2, a3, a4, b1, b2, b3, b4, mean_h, out, k):
    """Write column k of the statistics, given E[max(h,0)^n] and E[min(h,0)^n], n = 1..4."""
    h1, h2 = a1 + b1, a2 + b2
    twice_mean = 2.0 * mean_h
    d_theta_plus = a3 - a1 * h2 - twice_mean * (a2 - a1 * h1)
    d_theta_minus = b3 - b1 * h2 - twice_mean * (b2 - b1 * h1)
    out[MEAN, k] = h1
    out[SQUARE, k] = h2
    out[UP, k] = a1
    out[DOWN, k] = b1
    out[UP_SQUARE, k] = a2
    out[DOWN_SQUARE, k] = b2
    out[VAR_I, k] = d_theta_plus + d_theta_minus
    out[VAR_THETA_PLUS, k] = -d_theta_plus
    out[VAR_THETA_MINUS, k] = -d_theta_minus
    out[VAR_GAMMA_PLUS, k] = -0.5 * (a4 - a2 * h2 - twice_mean * (a3 - a2 * h1))
    out[VAR_GAMMA_MINUS, k] = -0.5 * (b4 - b2 * h2 - twice_mean * (b3 - b2 * h1))


@inner_njit(error_model="numpy", fastmath={"contract"})
def _fill_row(inputs, constants, means, out):
    """Fill out (N_STATISTICS, entries) for a padded row (`crbm_lite.core.sample_hidden`)."""
    theta_plus, theta_minus, inverse_plus, inverse_minus = (
        constants[0], constants[1], constants[2], constants[3],
    )  # fmt: skip
    for k in range(inputs.shape[0]):
        s_p, s_m = inverse_plus[k], inverse_minus[k]
        x_p, x_m, z_p, z_m, gauss_p, gauss_m, weight_p, weight_m = weighed_halves(
            inputs[k], theta_plus[k], theta_minus[k], s_p, s_m
        )
        norm = 1.0 / (weight_p + weight_m)
        a1, a2, a3, a4 = _scaled_moments(x_p, z_p, gauss_p, s_p, weight_p * norm)
        b1, b2, b3, b4 = _scaled_moments(x_m, z_m, gauss_m, s_m, weight_m * norm)
        _write_statistics(a1, a2, a3, a4, -b1, b2, -b3, b4, means[k], out, k)
    m = np.empty(8)
    for k in range(inputs.shape[0]):
        s_p, s_m = inverse_plus[k], inverse_minus[k]
        slope_p, slope_m = theta_plus[k] - inputs[k], inputs[k] - theta_minus[k]
        if slope_p * s_p > _FARTHEST or slope_m * s_m > _FARTHEST:
            partial_moments(inputs[k], 1.0 / s_p**2, 1.0 / s_m**2, theta_plus[k], theta_minus[k], m)
            _write_statistics(m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], means[k], out, k)


@parallel_njit(error_model="numpy")
def _fill_statistics(thread, inputs, gamma_plus, gamma_minus, theta_plus, theta_minus, mean_h, out):
    """Fill out (N_STATISTICS, frames, M) for inputs (frames, M); Var is taken around mean_h."""
    n_frames, n_hidden = inputs.shape
    constants = unit_constants(gamma_plus, gamma_minus, theta_plus, theta_minus)
    n_entries = constants.shape[1]
    row, means = np.zeros(n_entries), np.zeros(n_entries)
    filled = np.empty((out.shape[0], n_entries))
    for k in range(ROWS_PER_BLOCK * n_hidden):
        means[k] = mean_h[k % n_hidden]
    for block in items_of(thread, (n_frames + ROWS_PER_BLOCK - 1) // ROWS_PER_BLOCK):
        first = block * ROWS_PER_BLOCK
        last = min(first + ROWS_PER_BLOCK, n_frames)
        for t in range(first, last):
            row[(t - first) * n_hidden : (t - first + 1) * n_hidden] = inputs[t]
        _fill_row(row, constants, means, filled)
        for s in range(out.shape[0]):
            for t in range(first, last):
                out[s, t] = filled[s, (t - first) * n_hidden : (t - first + 1) * n_hidden]


def hidden_statistics(inputs: np.ndarray, potential: np.ndarray, mean_h: np.ndarray) -> np.ndarray:
    """Compute the statistics of hidden units given v.

    Parameters
    ----------
    inputs : ndarray, shape (frames, M)
    potential : ndarray, shape (4, M)
        gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13.
    mean_h : ndarray, shape (M,)
        Mean of h over the data, around which the variance is taken.

    Returns
    -------
    ndarray, shape (N_STATISTICS, frames, M)

    Examples
    --------
    >>> gaussian = np.array([[2.0], [2.0], [0.0], [0.0]])
    >>> out = hidden_statistics(np.array([[3.0]]), gaussian, np.zeros(1))
    >>> out[MEAN], out[SQUARE]
    (array([[1.5]]), array([[2.75]]))
    """
    out = np.empty((N_STATISTICS, *inputs.shape))
    _fill_statistics(inputs, *potential, mean_h, out)
    return out


@njit(inline="always")
def _gradient_row(h_data, frames, h_chains, chains, drift, activity, out):
    """Centred gradient of one neuron's weights, from the frames and chains in which it spikes."""
    for mu in range(out.shape[0]):
        out[mu] = -activity * drift[mu]
    for k in range(frames.shape[0]):
        h = h_data[frames[k]]
        for mu in range(out.shape[0]):
            out[mu] += h[mu]
    for k in range(chains.shape[0]):
        h = h_chains[chains[k]]
        for mu in range(out.shape[0]):
            out[mu] -= h[mu]


@parallel_njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def update_rows(thread, neurons, batch, chains, centre, rates, sums):
    """Make one RMSprop step with an exact soft threshold for every weight and field.

    A weight that is not zero follows this update's gradient and stops at zero when the threshold
    carries it there. A weight at zero leaves it only while the *averaged* gradient exceeds lambda:
    the noise of a hundred frames is larger than lambda and would revive most zeros at once.

    Parameters
    ----------
    neurons : NeuronArrays
        Updated.
    batch : Batch
    chains : ChainArrays
        The packed weights and ``partial_input`` are made anew.
    centre : Centre
    rates : crbm_lite.core.reference.Rates
    sums : float64 (tiles, 3, M)
        Filled with the tiles' shares of W' activity, of sum |w| and of the number of non-zeros.
    """
    weights, square, average, fields, field_square = neurons
    starts, frames, h_data, mean_v = batch
    v, n_chains, h_chains, rows_per_tile, row_nnz, columns, values, partial_input = chains
    activity, mean_h, drift, column_scale = centre
    learning_rate, field_rate, l1, l1_at_zero, beta2, bias, epsilon, decay = rates
    n_neurons, n_hidden = weights.shape
    for tile in items_of(thread, (n_neurons + rows_per_tile - 1) // rows_per_tile):
        active = np.empty(v.shape[1] + SPARE_PLACES, np.int64)
        gradient = np.empty(n_hidden, np.float32)
        partial_input[tile] = 0
        sums[tile] = 0.0
        first = tile * rows_per_tile
        start = first * n_hidden
        for i in range(first, min(n_neurons, first + rows_per_tile)):
            n_active = nonzero_places(v[i : i + 1], n_chains, active)
            _gradient_row(
                h_data, frames[starts[i] : starts[i + 1]], h_chains, active[:n_active], drift,
                np.float32(activity[i]), gradient,
            )  # fmt: skip
            w_row, square_row, average_row = weights[i], square[i], average[i]
            field_shift = np.float32(0.0)
            for mu in range(n_hidden):
                g = gradient[mu]
                s = np.float32(beta2) * square_row[mu] + np.float32(1.0 - beta2) * g * g
                mean_g = np.float32(decay) * average_row[mu] + np.float32(1.0 - decay) * g
                square_row[mu] = s
                average_row[mu] = mean_g
                step = np.float32(learning_rate) / (
                    np.sqrt(s * np.float32(bias)) + np.float32(epsilon)
                )
                old = w_row[mu] * column_scale[mu]
                at_zero = old == np.float32(0.0)
                target = old + step * (mean_g if at_zero else g)
                size = abs(target) - step * np.float32(l1_at_zero if at_zero else l1)
                new = np.copysign(max(size, np.float32(0.0)), target)
                # a weight passes through zero only by stopping there
                new = new if old * target >= np.float32(0.0) else np.float32(0.0)
                w_row[mu] = new
                field_shift += (new - old) * mean_h[mu]
            field_gradient = mean_v[i] - n_active / n_chains
            field_square[i] = beta2 * field_square[i] + (1.0 - beta2) * field_gradient**2
            old_field = fields[i]
            root = np.sqrt(field_square[i] * bias) + epsilon
            fields[i] = old_field + field_rate * field_gradient / root - field_shift
            end = pack_nonzero(w_row, start, columns, values)
            row_nnz[i] = end - start
            total, absolute, count = sums[tile]
            for k in range(start, end):
                mu, w = columns[k], values[k]
                total[mu] += w * activity[i]
                absolute[mu] += abs(w)
                count[mu] += w != 0
            for j in range(n_active):
                add_row(partial_input[tile, active[j]], start, end, columns, values)
            start = end


@parallel_njit()
def move_mean(thread, mean, x, share):
    """Move a mean (N, M) towards x by ``share`` of the way, in place."""
    for i in items_of(thread, mean.shape[0]):
        for mu in range(mean.shape[1]):
            mean[i, mu] += np.float32(share) * (x[i, mu] - mean[i, mu])


def potential_gradient(
    mean_data: np.ndarray, mean_model: np.ndarray, kappa: np.ndarray
) -> np.ndarray:
    """Compute the slope of F in gamma_plus, gamma_minus, theta_plus, theta_minus: (4, M).

    Parameters
    ----------
    mean_data, mean_model : ndarray, shape (N_STATISTICS, M)
        Means of `hidden_statistics` over the batch and over the chains.
    kappa : ndarray, shape (M,)
    """
    difference = mean_data - mean_model
    likelihood = np.stack(
        [
            -0.5 * difference[UP_SQUARE],
            -0.5 * difference[DOWN_SQUARE],
            -difference[UP],
            -difference[DOWN],
        ]
    )
    return likelihood - kappa * mean_data[VAR_GAMMA_PLUS:]
