r"""Numba kernels of one training update: the data phase and the fused pass over the weights.

What is maximised is the likelihood with an L1 penalty under Var(h) = 1 over the data (Eq. 14). As
P(v) does not change under h -> h/s, w -> s w, that is the same as maximising, without constraint,

.. math:: F = \langle \log P(v) \rangle_{data} - \lambda \sum_\mu s_\mu \sum_i |w_{i\mu}|,
          \qquad s_\mu^2 = \mathrm{Var}_{data}(h_\mu),

and then rescaling h to s = 1. At s = 1 the gradient of s gives the terms with
kappa_mu = lambda sum_i |w_imu| / 2:

.. math:: \partial F/\partial x = G_x - \kappa_\mu\,\partial\mathrm{Var}_\mu/\partial x
          - \lambda\,\partial|w|/\partial x .

For weights, dVar/dw_imu = <v_i q_mu> with q = Cov(h, h^2 | v) - 2 <h> Var(h | v), so the correction
costs nothing: the data phase uses h - kappa q in the place of h.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from crbm_lite.core.drelu import partial_moments
from crbm_lite.core.sample_visible import add_row
from crbm_lite.core.vector_code import SPARE_PLACES, nonzero_places, pack_nonzero

# rows of the statistics that ``hidden_phase`` fills, each (frames, M)
N_STATISTICS = 11
(
    MEAN,  # E[h|v]
    SQUARE,  # E[h^2|v]
    UP,  # E[h+|v]
    DOWN,  # E[h-|v]
    UP_SQUARE,  # E[h+^2|v]
    DOWN_SQUARE,  # E[h-^2|v]
    VAR_I,  # q: derivative of Var with respect to the input, a frame
    VAR_GAMMA_PLUS,
    VAR_GAMMA_MINUS,
    VAR_THETA_PLUS,
    VAR_THETA_MINUS,
) = range(N_STATISTICS)


@njit(cache=True, parallel=True, error_model="numpy")
def hidden_phase(inputs, gamma_plus, gamma_minus, theta_plus, theta_minus, mean_h, out):
    """Conditional statistics of h for inputs (frames, M); out (N_STATISTICS, frames, M).

    ``mean_h`` (M,) is the mean of h over the data, around which Var is taken.
    """
    for t in prange(inputs.shape[0]):
        m = np.empty(8)
        for mu in range(inputs.shape[1]):
            partial_moments(
                inputs[t, mu], gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu], m
            )
            a1, a2, a3, a4, b1, b2, b3, b4 = m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]
            h1, h2 = a1 + b1, a2 + b2
            twice_mean = 2.0 * mean_h[mu]
            d_theta_plus = a3 - a1 * h2 - twice_mean * (a2 - a1 * h1)
            d_theta_minus = b3 - b1 * h2 - twice_mean * (b2 - b1 * h1)
            out[MEAN, t, mu] = h1
            out[SQUARE, t, mu] = h2
            out[UP, t, mu] = a1
            out[DOWN, t, mu] = b1
            out[UP_SQUARE, t, mu] = a2
            out[DOWN_SQUARE, t, mu] = b2
            out[VAR_I, t, mu] = d_theta_plus + d_theta_minus
            out[VAR_THETA_PLUS, t, mu] = -d_theta_plus
            out[VAR_THETA_MINUS, t, mu] = -d_theta_minus
            out[VAR_GAMMA_PLUS, t, mu] = -0.5 * (a4 - a2 * h2 - twice_mean * (a3 - a2 * h1))
            out[VAR_GAMMA_MINUS, t, mu] = -0.5 * (b4 - b2 * h2 - twice_mean * (b3 - b2 * h1))


def hidden_statistics(inputs: np.ndarray, potential: np.ndarray, mean_h: np.ndarray) -> np.ndarray:
    """The statistics of ``hidden_phase`` for inputs (frames, M): (N_STATISTICS, frames, M)."""
    out = np.empty((N_STATISTICS, *inputs.shape))
    hidden_phase(inputs, *potential, mean_h, out)
    return out


@njit(inline="always")
def _gradient_row(neuron, starts, rows, h_data, active, n_active, h_chains, drift, activity, out):
    """Centred gradient of one neuron's weights: data minus chains."""
    for mu in range(out.shape[0]):
        out[mu] = -activity * drift[mu]
    for k in range(starts[neuron], starts[neuron + 1]):
        h = h_data[rows[k]]
        for mu in range(out.shape[0]):
            out[mu] += h[mu]
    for j in range(n_active):
        h = h_chains[active[j]]
        for mu in range(out.shape[0]):
            out[mu] -= h[mu]


@njit(cache=True, parallel=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def update_rows(
    weights, square, average, fields, field_square, activity, starts, rows, h_data, h_chains, drift,
    column_scale, mean_h, steps, rates, rows_a_tile, v, n_chains, packed, partial_input, sums,
):  # fmt: skip
    """One RMSprop step with an exact soft threshold for every weight and field.

    A weight that is not zero follows this update's gradient and stops at zero when the threshold
    carries it there. A weight at zero leaves it only while the *averaged* gradient exceeds lambda:
    the noise of a hundred frames is larger than lambda and would revive most zeros at once.

    Weights move in centred coordinates: the thresholds of the hidden units are measured from the
    mean input, the fields from the mean h, so that a step on w leaves both activities where they
    are.

    Parameters
    ----------
    weights, square, average : float32 (N, M)
        W, the running mean of squared gradients, the running mean of gradients; updated.
    fields, field_square : float64 (N,); updated
    activity : float64 (N,)
        Mean of v over the data.
    starts, rows : transposed batch, see `crbm_lite.core.spikes.frames_given_neuron`
    h_data, h_chains : float32 (batch, M), (chains, M)
        (h - kappa q - mean_h)/batch and (h - mean_h)/chains.
    drift : float32 (M,)
        Sum of h_data minus sum of h_chains.
    column_scale, mean_h : float32 (M,)
        Rescaling of h to unit variance to apply to W first; mean of h.
    steps : (learning rate, lambda, lambda of weights at zero, learning rate of the fields)
    rates : (beta2, bias correction, epsilon, decay of the averaged gradient)
    v, n_chains : uint8 (N, padded chains), the chains' spikes; number of chains
    packed : (row_nnz, columns, values); refilled
    partial_input : float32 (tiles, chains, M); the chains' inputs under the new weights
    sums : float64 (tiles, 3, M)
        Tiles' shares of: W' activity, sum |w|, number of non-zeros.
    """
    n_neurons, n_hidden = weights.shape
    learning_rate, l1, l1_at_zero, field_rate = steps
    beta2, bias, epsilon, keep = rates
    row_nnz, columns, values = packed
    for tile in prange((n_neurons + rows_a_tile - 1) // rows_a_tile):
        active = np.empty(v.shape[1] + SPARE_PLACES, np.int64)
        gradient = np.empty(n_hidden, np.float32)
        partial_input[tile] = 0
        sums[tile] = 0.0
        first = tile * rows_a_tile
        start = first * n_hidden
        for i in range(first, min(n_neurons, first + rows_a_tile)):
            n_active = nonzero_places(v[i : i + 1], n_chains, active)
            _gradient_row(
                i, starts, rows, h_data, active, n_active, h_chains, drift,
                np.float32(activity[i]), gradient,
            )  # fmt: skip
            w_row, square_row, average_row = weights[i], square[i], average[i]
            field_shift = np.float32(0.0)
            for mu in range(n_hidden):
                g = gradient[mu]
                s = np.float32(beta2) * square_row[mu] + np.float32(1.0 - beta2) * g * g
                mean_g = np.float32(keep) * average_row[mu] + np.float32(1.0 - keep) * g
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
            field_gradient = activity[i] - n_active / n_chains
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


@njit(cache=True, parallel=True)
def move_mean(mean, x, share):
    """Move a running mean (N, M) towards x by ``share`` of the way, in place."""
    for i in prange(mean.shape[0]):
        for mu in range(mean.shape[1]):
            mean[i, mu] += np.float32(share) * (x[i, mu] - mean[i, mu])


def potential_gradient(
    mean_data: np.ndarray, mean_model: np.ndarray, kappa: np.ndarray
) -> np.ndarray:
    """Gradient of F in (gamma_plus, gamma_minus, theta_plus, theta_minus), shape (4, M).

    Parameters
    ----------
    mean_data, mean_model : ndarray, shape (N_STATISTICS, M)
        Averages of the statistics of ``hidden_phase``.
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
