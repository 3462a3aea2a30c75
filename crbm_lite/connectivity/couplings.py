r"""Functional connectivity: the couplings between neurons.

The coupling of two neurons (Eq. 15, the rest of v fixed) is exactly

.. math::

    J_{ij}(v) = \sum_\mu \Gamma_\mu(I'_\mu + w_{i\mu} + w_{j\mu}) - \Gamma_\mu(I'_\mu + w_{i\mu})
                - \Gamma_\mu(I'_\mu + w_{j\mu}) + \Gamma_\mu(I'_\mu),

where I' is the input without i and j. Eq. 16 is its average over the data. Eq. 17 approximates it
by :math:`\sum_\mu w_{i\mu} w_{j\mu} \langle \mathrm{Var}(h_\mu | v) \rangle`, with diagonal 0.

A factor (N, K) and K scales hold any such matrix without its N x N entries. Repeated models of one
animal make one factor: their hidden units stand side by side, and the scales are divided by the
number of models. So J is averaged before :math:`|\cdot|` is taken
(`crbm_lite.connectivity.regions.region_connectivity`). Covariances have the centred frames as their
factor, and scales 1/T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from crbm_lite.checks.arguments import as_number
from crbm_lite.checks.arrays import as_indices
from crbm_lite.core.spikes import as_spikes, spikes_of_model

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = [
    "coupling",
    "coupling_given_v",
    "effective_connectivity",
    "factor_of_covariance",
    "factor_of_models",
    "kept_by_weight_spread",
    "mean_conditional_variance",
]

_FRAMES = 4096


def coupling_given_v(model: CRBM, v: object, i: object, j: object) -> np.ndarray:
    """Compute the exact couplings of chosen pairs in every frame, Eq. 15.

    Parameters
    ----------
    model : CRBM
    v : spikes (T, N)
    i, j : array_like of int, shape (P,)
        The pairs. The two neurons of a pair differ.

    Returns
    -------
    ndarray, shape (T, P)
        In nats. A coupling does not depend on v_i and v_j themselves.

    Raises
    ------
    ValueError
        If the two lists differ in length, name a neuron that the model does not have, or pair a
        neuron with itself.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[1.0], [2.0]], [0, 0], [1], [1], [0], [0])
    >>> coupling_given_v(pair, [[0, 1]], [0], [1])
    array([[2.]])
    """
    check_is_fitted(model, "weights_")
    n = model.n_features_in_
    first = as_indices(np.atleast_1d(i), n, "i")
    second = as_indices(np.atleast_1d(j), n, "j")
    if first.shape != second.shape:
        raise ValueError(f"i names {first.size} neurons and j {second.size}: give pairs")
    if (first == second).any():
        same = int(first[first == second][0])
        raise ValueError(f"i and j pair neuron {same} with itself: give two different neurons")
    spikes = spikes_of_model(model, v)
    weights = model.weights_.astype(np.float64)
    inputs, units = spikes.inputs(weights), model.units
    csc = spikes.to_csr(np.float64).tocsc()
    out = np.empty((spikes.n_frames, first.size))
    pairs = zip(np.minimum(first, second), np.maximum(first, second), strict=True)
    for p, (a, b) in enumerate(pairs):  # ordered, so that J_ij and J_ji agree to the last bit
        shared = (weights[a] != 0) & (weights[b] != 0)  # the others cancel exactly
        if not shared.any():
            out[:, p] = 0.0
            continue
        part = type(units)(*(x[shared] for x in units.parameters))
        wa, wb = weights[a, shared], weights[b, shared]
        active = csc[:, [a, b]].toarray()
        rest = inputs[:, shared] - active @ np.array([wa, wb])
        cumulants = part.cumulant(rest + wa + wb) - part.cumulant(rest + wa)
        cumulants += part.cumulant(rest) - part.cumulant(rest + wb)
        out[:, p] = cumulants.sum(axis=1)
    return out


def coupling(model: CRBM, v: object, i: object, j: object) -> np.ndarray:
    """Average the exact couplings of chosen pairs over the frames of v, Eq. 16.

    Parameters, Raises: see `coupling_given_v`.

    Returns
    -------
    ndarray, shape (P,)

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[1.0], [2.0]], [0, 0], [1], [1], [0], [0])
    >>> coupling(pair, [[0, 1], [0, 0]], [0], [1])
    array([2.])
    """
    return coupling_given_v(model, v, i, j).mean(axis=0)


def mean_conditional_variance(model: CRBM, v: object) -> np.ndarray:
    """Average Var[h|v] over the frames of v, shape (M,): the scales of Eq. 17.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[1.0], [2.0]], [0, 0], [4], [4], [0], [0])
    >>> mean_conditional_variance(pair, [[0, 1], [0, 0]])
    array([0.25])
    """
    check_is_fitted(model, "weights_")
    spikes = spikes_of_model(model, v)
    total = np.zeros(model.units.n_hidden)
    for start in range(0, spikes.n_frames, _FRAMES):
        frames = np.arange(start, min(start + _FRAMES, spikes.n_frames))
        total += model.units.variance(spikes.inputs(model.weights_, frames)).sum(axis=0)
    return total / spikes.n_frames


def effective_connectivity(
    model: CRBM, v: object, rows: object, columns: object | None = None
) -> np.ndarray:
    """Compute a tile of the approximate couplings, Eq. 17.

    Parameters
    ----------
    model : CRBM
    v : spikes (T, N), or ndarray of float (M,)
        The data, or their `mean_conditional_variance` if you want many tiles.
    rows, columns : indices or boolean masks of neurons
        Without `columns` the tile has all N of them. The whole matrix is made only if you ask for
        all rows.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        0 where row and column are the same neuron.

    Raises
    ------
    ValueError
        If a neuron is named that the model does not have, or the variances are not M finite
        numbers.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[1.0], [2.0]], [0, 0], [1], [1], [0], [0])
    >>> effective_connectivity(pair, [[0, 1]], [0])
    array([[0., 2.]])
    """
    check_is_fitted(model, "weights_")
    n = model.n_features_in_
    rows = as_indices(rows, n, "rows")
    columns = np.arange(n) if columns is None else as_indices(columns, n, "columns")
    variance = (
        v if isinstance(v, np.ndarray) and v.ndim == 1 else mean_conditional_variance(model, v)
    )
    weights = model.weights_
    if variance.shape != weights.shape[1:] or not np.isfinite(variance).all():
        raise ValueError(
            f"v has shape {variance.shape}: give frames (T, {n}), or the finite mean conditional "
            f"variances of {weights.shape[1]} hidden units"
        )
    tile = (weights[rows].astype(np.float64) * variance) @ weights[columns].astype(np.float64).T
    tile[rows[:, None] == columns[None, :]] = 0.0
    return tile


def kept_by_weight_spread(
    models: Sequence[CRBM], low: float = 0.01, high: float = 0.1
) -> tuple[CRBM, ...]:
    """Keep the models whose weights have low < std(w) < high: the paper's rule for converged runs.

    The defaults, 0.01 and 0.1, belong to some 50,000 neurons and 200 hidden units. With exact
    zeros, or another N, look at the models' own verdicts instead, or widen the window and say so.

    Raises
    ------
    ValueError
        If the window is empty or a model is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite import CRBM
    >>> small = [CRBM.from_parameters(s * np.eye(4), [0] * 4, *[[1] * 4] * 2, *[[0] * 4] * 2)
    ...          for s in (0.001, 0.1, 10.0)]
    >>> [float(m.weights_.max()) for m in kept_by_weight_spread(small)]
    [0.1]
    """
    low = as_number(low, "low", "the least std(w)")
    high = as_number(high, "high", "the largest std(w)")
    if not low < high:
        raise ValueError(f"low is {low} and high {high}: give a low below the high")
    models = tuple(models)
    for model in models:
        check_is_fitted(model, "weights_")
    return tuple(m for m in models if low < float(np.std(m.weights_, dtype=np.float64)) < high)


def factor_of_models(models: Sequence[CRBM], v: object) -> tuple[np.ndarray, np.ndarray]:
    r"""Make the factor and scales of Eq. 17, averaged over repeated models of one animal.

    Parameters
    ----------
    models : sequence of CRBM
        Trained on the same neurons.
    v : spikes (T, N)
        All frames of the animal.

    Returns
    -------
    weights : ndarray, shape (N, sum of M)
    mean_variance : ndarray, shape (sum of M,)
        Divided by the number of models. The mean J is then
        ``weights @ diag(mean_variance) @ weights.T`` off the diagonal.

    Raises
    ------
    ValueError
        If there is no model, or they have different numbers of neurons.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[1.0], [2.0]], [0, 0], [1], [1], [0], [0])
    >>> factor_of_models([pair, pair], [[0, 1]])[1]
    array([0.5, 0.5])
    """
    models = tuple(models)
    if not models:
        raise ValueError("models is empty: give at least one; train longer or loosen the rule")
    for model in models:
        check_is_fitted(model, "weights_")
    sizes = {m.n_features_in_ for m in models}
    if len(sizes) > 1:
        raise ValueError(f"models have {sorted(sizes)} neurons: give models of the same neurons")
    spikes = as_spikes(v, n_neurons=sizes.pop())
    variances = [mean_conditional_variance(m, spikes) / len(models) for m in models]
    return np.concatenate([m.weights_ for m in models], axis=1), np.concatenate(variances)


def factor_of_covariance(v: object, *, correlation: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Make the factor and scales of the neurons' covariance or correlation: the baselines.

    Parameters
    ----------
    v : spikes (T, N)
        The factor takes 4 T N bytes.
    correlation : bool
        Divide by the standard deviations, for Pearson's correlation (default False). Silent or
        always active neurons correlate 0.

    Returns
    -------
    ndarray of float32, shape (N, T), and ndarray of float64, shape (T,)

    Examples
    --------
    >>> factor, scales = factor_of_covariance([[0, 1], [1, 0]])
    >>> float((factor[0] * scales) @ factor[1])
    -0.25
    """
    spikes = as_spikes(v)
    activity = spikes.activity()
    scale = np.ones_like(activity)
    if correlation:
        sd = np.sqrt(activity * (1 - activity))
        scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
    factor = (spikes.to_csr().toarray().T - activity[:, None].astype(np.float32)).astype(np.float32)
    factor *= scale[:, None].astype(np.float32)
    return factor, np.full(spikes.n_frames, 1.0 / spikes.n_frames)
