"""Panels of the dynamics of hidden units: those of Fig. 4, and m(t) of Fig. 2-S3.

`crbm_lite.assemblies.dynamics` and `crbm_lite.assemblies.phase` compute what is drawn. The activity
of a hidden unit is drawn about its transition point: the unit is active above 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.assemblies.dynamics import (
    compare_time_constants,
    principal_variance,
    ward_clusters,
    ward_order,
)
from crbm_lite.assemblies.phase import FERROMAGNETIC_BELOW, SPIN_GLASS_FROM, phase_given_active
from crbm_lite.checks.arguments import as_durations_s, as_numbers, as_rate_hz, as_traces
from crbm_lite.checks.arrays import as_indices
from crbm_lite.measures import correlations_of_columns
from crbm_lite.plotting.style import (
    COLOR_DATA,
    COLOR_MODEL,
    COLOR_POSITIVE,
    PALETTE,
    diverging_colormap,
    own_axes,
    panel_letters,
    style_context,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_active_units",
    "plot_density",
    "plot_periods",
    "plot_traces",
    "plot_variance",
    "plot_ward",
]


def plot_ward(activity: np.ndarray, rate_hz: float, n_clusters: int = 1) -> np.ndarray:
    """Draw dendrogram, activity in Ward order and correlations (Fig. 4A, C).

    Parameters
    ----------
    activity : (T, M) float
        Trace minus transition point; units that are NaN or constant are drawn at 0.
    rate_hz : float
        Frames per second.
    n_clusters : int
        Clusters to cut the tree into (default 1). Each has a colour in the tree; lines separate
        them in the other two panels.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, shape (3,)

    Raises
    ------
    ValueError
        If there are fewer than two hidden units or not as many as clusters, activity is not (T, M)
        numbers, or the rate is not positive.

    Examples
    --------
    >>> plot_ward(np.random.default_rng(0).normal(size=(20, 3)), 2.0)[1].get_xlabel()
    'time (s)'
    """
    import matplotlib.pyplot as plt
    from scipy.cluster.hierarchy import dendrogram

    activity, rate_hz = as_traces(activity, "activity", 2), as_rate_hz(rate_hz)
    order, tree = ward_order(activity)
    cluster = ward_clusters(tree, n_clusters)
    n_units = len(order)
    clusters_of_node = [{c} for c in cluster.tolist()]
    for a, b in tree[:, :2].astype(int):
        clusters_of_node.append(clusters_of_node[a] | clusters_of_node[b])

    def color(node: int) -> str:
        below = clusters_of_node[node]
        return COLOR_DATA if len(below) > 1 or n_clusters == 1 else PALETTE[min(below) % 6]

    drawn = np.nan_to_num(activity)[:, order]
    image = {"cmap": diverging_colormap(), "aspect": "auto", "origin": "lower"}
    limit = max(float(np.quantile(np.abs(drawn), 0.99)), 1e-9)
    extent = (0, len(drawn) / rate_hz, -0.5, n_units - 0.5)
    edges = np.flatnonzero(np.diff(cluster[order])) + 0.5
    with style_context():
        size = {"figsize": (9, 3.6), "width_ratios": (1, 5, 4.4), "layout": "constrained"}
        axes = plt.subplots(1, 3, **size)[1]
        dendrogram(tree, ax=axes[0], orientation="left", no_labels=True, link_color_func=color)
        axes[0].set_axis_off()
        raster = axes[1].imshow(drawn.T, vmin=-limit, vmax=limit, extent=extent, **image)
        axes[1].set(xlabel="time (s)", ylabel="hidden unit (Ward order)")
        bar = axes[1].figure.colorbar(raster, ax=axes[1], extend="both")
        bar.ax.set_title("h (s.d.)", loc="center")  # beside the bar it reads as the next panel's
        matrix = axes[2].imshow(correlations_of_columns(drawn), vmin=-1, vmax=1, **image)
        axes[2].set(xlabel="hidden unit (Ward order)")
        axes[2].figure.colorbar(matrix, ax=axes[2], label="Pearson r")
        for ax in axes[1:]:
            ax.yaxis.get_major_locator().set_params(integer=True)
        axes[2].xaxis.get_major_locator().set_params(integer=True)
        for edge in edges:
            axes[1].axhline(edge, color=COLOR_DATA, linewidth=0.6)
            axes[2].axhline(edge, color=COLOR_DATA, linewidth=0.6)
            axes[2].axvline(edge, color=COLOR_DATA, linewidth=0.6)
        panel_letters(axes)
    return axes


def plot_traces(
    activity: np.ndarray, rate_hz: float, units: Sequence[int], ax: Axes | None = None
) -> Axes:
    """Draw a few hidden units one above the other and highlight when they are active (Fig. 4B).

    Parameters
    ----------
    activity : (T, M) float
        Trace minus transition point; NaN is drawn at 0.
    rate_hz : float
        Frames per second.
    units : sequence of int
        Hidden units, from the top down (or a mask, or a slice).
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If a unit does not exist or there are none, activity is not (T, M) numbers, or the rate is
        not positive.

    Examples
    --------
    >>> ax = plot_traces(np.random.default_rng(0).normal(size=(20, 3)), 2.0, [2, 0])
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['HU 2', 'HU 0']
    """
    activity, rate_hz = as_traces(activity, "activity"), as_rate_hz(rate_hz)
    units = as_indices(units, activity.shape[1], "units")
    traces = np.nan_to_num(activity[:, units])
    time_s = np.arange(len(traces)) / rate_hz
    step = max(float(np.ptp(traces, axis=0).max()), 1e-9) * 1.05
    places = -step * np.arange(len(units))
    with style_context():
        ax = own_axes(ax, figsize=(8, 0.8 * len(units) + 0.8))
        for place, trace in zip(places, traces.T, strict=True):
            ax.axhline(place, color="0.75", linewidth=0.6)
            ax.plot(time_s, place + trace, color=COLOR_MODEL, linewidth=0.7)
            on = np.where(trace > 0, trace, np.nan)
            ax.fill_between(time_s, place, place + on, color=COLOR_POSITIVE, alpha=0.6, linewidth=0)
        ax.set_yticks(places, [f"HU {unit}" for unit in units])
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.set(xlabel="time (s)", xlim=(0, len(traces) / rate_hz))
    return ax


def plot_variance(activity: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the cumulative variance of the principal components of hidden activity (Fig. 4D).

    The dashed line is that of components with equal variance.

    Parameters
    ----------
    activity : (T, M) float
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> plot_variance(np.random.default_rng(0).normal(size=(20, 3))).get_ylabel()
    'variance explained'
    """
    share = principal_variance(activity)
    with style_context():
        ax = own_axes(ax, figsize=(3.6, 3))
        count = np.arange(1, len(share) + 1)
        ax.plot(count, share, "o-", markersize=3, color=COLOR_MODEL)
        ax.plot([0, len(share)], [0, 1], color="0.6", linewidth=0.8, linestyle="--")
        ax.set(xlim=(0, len(share) + 0.5), ylim=(0, 1.02))
        ax.set(xlabel="principal components", ylabel="variance explained")
    return ax


def plot_density(activity: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the density of hidden activity pooled over units: two humps about 0 (Fig. 4E).

    Parameters
    ----------
    activity : (T, M) float
        Trace minus transition point; units with NaN are left out. Each unit is scaled by the
        standard deviation of its trace.
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> plot_density(np.random.default_rng(0).normal(size=(20, 3))).get_ylabel()
    'density (pooled)'
    """
    activity = as_traces(activity, "activity")
    spread = activity.std(axis=0)
    kept = np.isfinite(spread) & (np.ptp(activity, axis=0) > 0)
    pooled = (activity[:, kept] / spread[kept]).ravel()
    with style_context():
        ax = own_axes(ax, figsize=(3.6, 3))
        if pooled.size:
            bins = np.linspace(*np.quantile(pooled, [0.001, 0.999]), 81)
            ax.hist(pooled, bins=bins, density=True, color=COLOR_MODEL)
        ax.axvline(0.0, color=COLOR_DATA, linewidth=0.8, linestyle="--")
        ax.set(xlabel="h from its transition point (s.d.)", ylabel="density (pooled)")
    return ax


def plot_periods(hidden_units_s: np.ndarray, neurons_s: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the distributions of the time constants of hidden units and neurons (Fig. 4F).

    Parameters
    ----------
    hidden_units_s, neurons_s : array of float
        As `crbm_lite.assemblies.dynamics.time_constants_s` gives them; NaN is left out.
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> plot_periods([20.0, 30.0], [4.0, np.nan]).get_xlabel()
    'time constant (s)'
    """
    hidden_s, neuron_s, p = compare_time_constants(hidden_units_s, neurons_s)
    sides = {
        f"hidden units, median {hidden_s:.0f} s": COLOR_MODEL,
        f"neurons, median {neuron_s:.0f} s": "0.55",
    }
    values = [as_durations_s(x, "time constants") for x in (hidden_units_s, neurons_s)]
    pooled = np.concatenate(values)
    with style_context():
        ax = own_axes(ax, figsize=(3.6, 3))
        if pooled.size:
            low, high = pooled.min() / 1.2, pooled.max() * 1.2
            bins = np.geomspace(low, high, 26)
            for x, (label, color) in zip(values, sides.items(), strict=True):
                share = np.full(x.size, 1 / max(x.size, 1))
                ax.hist(x, bins=bins, weights=share, alpha=0.7, color=color, label=label)
            ax.set_xscale("log")
            ax.legend(loc="upper left", bbox_to_anchor=(0, -0.25))
        ax.set(xlabel="time constant (s)", ylabel="fraction")
        ax.set_title("Mann-Whitney " + (f"P = {p:.1g}" if np.isfinite(p) else "not defined"))
    return ax


def plot_active_units(active: np.ndarray, n_hidden: int, ax: Axes | None = None) -> Axes:
    """Draw the distribution of m(t) / M between the bounds of the phases (Fig. 2-S3).

    Parameters
    ----------
    active : (T,) float
        m(t); NaN is left out.
    n_hidden : int
        M, the hidden units that have weights.
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> plot_active_units(np.array([5.0, 6.0]), 20).get_title(loc="left")
    'compositional: median m / M = 0.28'
    """
    phase = phase_given_active(active, n_hidden)
    share = as_numbers(active, "active") / n_hidden
    with style_context():
        ax = own_axes(ax, figsize=(4.5, 3))
        ax.hist(share[np.isfinite(share)], bins=np.linspace(0, 1, 51), color=COLOR_MODEL)
        ax.axvspan(0, FERROMAGNETIC_BELOW / n_hidden, color="0.85", zorder=0, linewidth=0)
        ax.axvspan(SPIN_GLASS_FROM, 1, color="0.92", zorder=0, linewidth=0)
        if np.isfinite(phase.median_fraction):
            ax.axvline(phase.median_fraction, color=COLOR_POSITIVE)
        ax.set(xlim=(0, 1), xlabel="m / M", ylabel="frames")
        ax.set_title(f"{phase.name}: median m / M = {phase.median_fraction:.2f}")
    return ax
