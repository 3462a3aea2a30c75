r"""When assemblies switch on: transition points, states, order, components, time constants.

A mixture of two Gaussians is fitted to each hidden unit. Its transition point is the mean of their
two means; the lower mean is the inactive peak. With the participation ratio
PR(x) = (sum x^2)^2 / (n sum x^4), the number of active hidden units in a frame is

.. math:: m(t) = M\, PR\bigl(h(t) - h_{inactive}\bigr).

A period is one silence and the next burst. A time constant is the median over complete periods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import (
    as_array,
    as_count,
    as_durations_s,
    as_rate_hz,
    as_traces,
    is_integer,
)
from crbm_lite.checks.arrays import as_discontinuities
from crbm_lite.measures import centred_columns, correlations_of_columns, effective_number

__all__ = [
    "HiddenStates",
    "compare_time_constants",
    "hidden_states",
    "n_active",
    "principal_variance",
    "time_constants_s",
    "ward_clusters",
    "ward_order",
]

_ROUNDING = 1e-6  # relative, of float32


@dataclass(frozen=True, eq=False)
class HiddenStates:
    """Hidden activity about its transition points.

    Parameters
    ----------
    activity : (T, M) float64
        Trace minus transition point, in standard deviations of h; NaN where a unit never switches.
    active : (T, M) bool
        Where activity > 0.
    transition_point, inactive_peak : (M,) float64
        NaN where a unit never switches.
    """

    activity: np.ndarray
    active: np.ndarray
    transition_point: np.ndarray
    inactive_peak: np.ndarray


def hidden_states(h: np.ndarray, random_state: int = 0) -> HiddenStates:
    """Find the transition point of each hidden unit and the states on both sides of it.

    Parameters
    ----------
    h : (T, M) float
        Hidden activity, for instance ``model.mean_h_given_v(test.spikes)``.
    random_state : int
        Seed of the mixtures (default 0).

    Returns
    -------
    HiddenStates
        A unit that is constant up to rounding has NaN everywhere and is never active.

    Raises
    ------
    ValueError
        If h is not (T, M) with at least 2 frames, or not finite, or the seed is no integer of 0 or
        more.

    Examples
    --------
    >>> h = np.tile([0.0, 0.1, 2.0, 2.1], 20)[:, None]
    >>> hidden_states(h).transition_point.round(2)
    array([1.05])
    """
    from sklearn.mixture import GaussianMixture

    h, seed = as_traces(h, "h"), as_count(random_state, "random_state", 0)
    if np.isnan(h).any():
        raise ValueError("h holds NaN: leave out the frames or units concerned")
    peaks = np.full((h.shape[1], 2), np.nan)
    smallest = _ROUNDING * np.maximum(np.abs(h).max(axis=0), 1.0)  # h has s.d. 1 where it moves
    for unit in np.flatnonzero(np.ptp(h, axis=0) > smallest):
        mixture = GaussianMixture(2, random_state=seed).fit(h[:, [unit]])
        peaks[unit] = np.sort(mixture.means_.ravel())
    point = peaks.mean(axis=1)
    activity = h - point
    return HiddenStates(activity, activity > 0, point, peaks[:, 0])


def n_active(h: np.ndarray, inactive_peak: np.ndarray) -> np.ndarray:
    """Compute the effective number m(t) of active hidden units in each frame (Fig. 2-S3).

    Parameters
    ----------
    h : (T, M) float
    inactive_peak : (M,) float
        ``hidden_states(h).inactive_peak``; units where it is NaN count as inactive.

    Returns
    -------
    (T,) float64
        From 1 to M; NaN in a frame where no unit deviates from its inactive peak.

    Raises
    ------
    ValueError
        If there is not one inactive peak for each unit.

    Examples
    --------
    >>> n_active(np.array([[1.0, 0.0], [1.0, 1.0]]), np.zeros(2))
    array([1., 2.])
    """
    h, peak = as_traces(h, "h"), as_array(inactive_peak, "inactive_peak")
    if peak.shape != h.shape[1:] or peak.dtype.kind not in "fiub" or np.isinf(peak).any():
        raise ValueError(
            f"inactive_peak has shape {peak.shape}: give {h.shape[1]} numbers, as in "
            "hidden_states(h).inactive_peak"
        )
    return effective_number(np.nan_to_num(h - peak), axis=1)


def ward_order(activity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order hidden units by Ward linkage on 1 - Pearson correlation (Fig. 4A).

    Parameters
    ----------
    activity : (T, M) float
        Columns that are constant or NaN count as uncorrelated with all others.

    Returns
    -------
    order : (M,) int
        Units in the order of the dendrogram's leaves.
    linkage : (M - 1, 4) float64
        The tree, as `scipy.cluster.hierarchy.linkage` gives it.

    Raises
    ------
    ValueError
        If there are fewer than two hidden units.

    Examples
    --------
    >>> x = np.array([[0, 1, 0], [1, 0, 1], [1, 1, 1.0]])
    >>> sorted(ward_order(x)[0][-2:].tolist()) == [0, 2]
    True
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    activity = np.nan_to_num(as_traces(activity, "activity", 2))
    distance = np.clip(1 - correlations_of_columns(activity), 0, 2)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "ward")
    return leaves_list(tree), tree


def ward_clusters(tree: np.ndarray, n_clusters: int) -> np.ndarray:
    """Cut a Ward tree into clusters, numbered from 0 in the order of its leaves.

    Parameters
    ----------
    tree : (M - 1, 4) float
        The linkage that `ward_order` gives.
    n_clusters : int
        How many, from 1 to M.

    Returns
    -------
    (M,) int
        Cluster of each hidden unit.

    Raises
    ------
    ValueError
        If the number of clusters is out of range.

    Examples
    --------
    >>> x = np.array([[0, 1, 0], [1, 0, 1], [1, 1, 1.0]])
    >>> cluster = ward_clusters(ward_order(x)[1], 2)
    >>> bool(cluster[0] == cluster[2] != cluster[1])
    True
    """
    from scipy.cluster.hierarchy import cut_tree, leaves_list

    if not is_integer(n_clusters) or not 1 <= n_clusters <= len(tree) + 1:
        raise ValueError(f"n_clusters is {n_clusters!r}: give 1 to {len(tree) + 1}")
    cluster = cut_tree(tree, n_clusters).ravel()
    _, first = np.unique(cluster[leaves_list(tree)], return_index=True)
    return np.argsort(np.argsort(first))[cluster]


def principal_variance(activity: np.ndarray) -> np.ndarray:
    """Compute the cumulative fraction of the variance in the first principal components (Fig. 4D).

    Parameters
    ----------
    activity : (T, M) float
        NaN counts as 0.

    Returns
    -------
    (min(T, M),) float64
        NaN if nothing varies.

    Examples
    --------
    >>> principal_variance(np.array([[0, 0], [1, 1.0]])).round(6)
    array([1., 1.])
    """
    activity = np.nan_to_num(as_traces(activity, "activity"))
    variance = np.linalg.svd(centred_columns(activity), compute_uv=False) ** 2
    total = variance.sum()
    return np.cumsum(variance) / total if total > 0 else np.full(len(variance), np.nan)


def time_constants_s(
    active: np.ndarray, rate_hz: float, discontinuities: np.ndarray = ()
) -> np.ndarray:
    """Compute the median period of each unit or neuron, one silence and the next burst (Fig. 4F).

    Periods cut by a discontinuity or by an end of the recording are dropped.

    Parameters
    ----------
    active : (T, M) bool
    rate_hz : float
        Frames per second.
    discontinuities : sequence of int
        Frames d such that time jumps between d - 1 and d (default none).

    Returns
    -------
    (M,) float64, seconds
        NaN where there is no complete period.

    Raises
    ------
    ValueError
        If the rate is not positive, or a discontinuity is not one of the frames.

    Examples
    --------
    >>> time_constants_s(np.tile([0, 0, 1], 5)[:, None], rate_hz=2.0)
    array([1.5])
    """
    rate_hz = as_rate_hz(rate_hz)
    active = as_traces(active, "active") > 0
    cuts = as_discontinuities(discontinuities, len(active))
    result = np.full(active.shape[1], np.nan)
    for unit in range(len(result)):
        periods = []
        for part in np.split(active[:, unit], cuts):
            # A period lasts from one switching off to the next: a silence and a burst.
            periods.extend(np.diff(np.flatnonzero(part[:-1] & ~part[1:])))
        if periods:
            result[unit] = np.median(periods) / rate_hz
    return result


def compare_time_constants(
    hidden_units_s: np.ndarray, neurons_s: np.ndarray
) -> tuple[float, float, float]:
    """Compare the time constants of hidden units and neurons by a Mann-Whitney test (Fig. 4F).

    Parameters
    ----------
    hidden_units_s, neurons_s : array of float
        As `time_constants_s` gives them; NaN is left out.

    Returns
    -------
    median_hidden_units_s, median_neurons_s, p_value : float
        The test is two-sided. A median of no numbers is NaN, and so is p_value with it.

    Raises
    ------
    ValueError
        If a time constant is not a number, not positive or infinite.

    Examples
    --------
    >>> compare_time_constants([9.0, 8.0, np.nan], [1.0, 2.0])[:2]
    (8.5, 1.5)
    """
    from scipy.stats import mannwhitneyu

    hidden = as_durations_s(hidden_units_s, "hidden_units_s")
    neurons = as_durations_s(neurons_s, "neurons_s")
    medians = [float(np.median(x)) if x.size else np.nan for x in (hidden, neurons)]
    p = mannwhitneyu(hidden, neurons).pvalue if hidden.size and neurons.size else np.nan
    return (*medians, float(p))
