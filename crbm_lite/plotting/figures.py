"""Figures that several chapters share: validation, rasters, neurons in the brain.

Every function draws into the axes it is given, or makes its own, and returns them. Style and
palette are those of `crbm_lite.plotting.style`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.checks.arguments import as_array, as_rate_hz
from crbm_lite.checks.arrays import as_indices, check_unique, finite_places
from crbm_lite.plotting.style import (
    COLOR_DATA,
    COLOR_MODEL,
    COLOR_POSITIVE,
    diverging_colormap,
    own_axes,
    panel_letters,
    sequential_colormap,
    style_context,
    unit_symbol,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crbm_lite.validation.likelihood import NormalisedLikelihood
    from crbm_lite.validation.nrmse import StatisticScore
    from crbm_lite.validation.report import ValidationReport

__all__ = [
    "VIEWS",
    "brain_scatter",
    "nllh_distribution",
    "plot_validation",
    "raster",
    "score_density",
]

# Title and axis symbol of the five statistics; spikes and h have no unit.
_STATISTICS = {
    "v": ("mean activity", r"$\langle v_i \rangle$ (per frame)"),
    "h": ("mean hidden activity", r"$\langle h_\mu \rangle$ (s.d. of h)"),
    "vh": ("neurons with hidden units", r"$\langle v_i h_\mu \rangle$ (s.d. of h)"),
    "vv": ("pairs of neurons", r"cov$(v_i, v_j)$ (per frame$^2$)"),
    "hh": ("pairs of hidden units", r"cov$(h_\mu, h_\nu)$ (variance of h)"),
}
# Coordinates drawn across and up: x runs left to right, y tail to nose, z belly to back.
VIEWS = {"dorsal": (0, 1), "lateral": (1, 2), "frontal": (0, 2)}


def score_density(score: StatisticScore, name: str, ax: Axes | None = None) -> Axes:
    """Draw data against model for one statistic, like a panel of Fig. 2C-G.

    Up to 2,000 entries are drawn as points, more as the logarithm of their density. The line is the
    identity, and the title gives Pearson's r and the nRMSE.

    Parameters
    ----------
    score : StatisticScore
    name : {"v", "h", "vh", "vv", "hh"}
        Which statistic it is, for the labels.
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `name` is not one of the five.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite.validation.nrmse import score_entries
    >>> x = np.array([0.1, 0.2, 0.4])
    >>> score = score_entries(x, x + 0.01, x - 0.02, np.random.default_rng(0))
    >>> score_density(score, "v").get_title(loc="left").splitlines()[1]
    'r = 1.00, nRMSE = −0.06'
    """
    if name not in _STATISTICS:
        raise ValueError(f"name is {name!r}: give one of {', '.join(_STATISTICS)}")
    from matplotlib.colors import LogNorm

    title, symbol = _STATISTICS[name]
    density = score.density
    low, high = density.edges[[0, -1]]
    with style_context():
        ax = own_axes(ax, figsize=(3.2, 3.2))
        if 0 < score.n_entries <= len(density.data) and score.n_entries <= 2000:
            ax.scatter(density.data, density.model, s=6, color=COLOR_MODEL, rasterized=True)
        elif score.n_entries:
            counts = np.ma.masked_equal(density.counts.T, 0)
            look = {"cmap": sequential_colormap(), "norm": LogNorm(), "rasterized": True}
            ax.pcolormesh(density.edges, density.edges, counts, **look)
        ax.plot([low, high], [low, high], color=COLOR_DATA, linewidth=0.8, linestyle="--")
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        ax.set(xlabel=f"data: {symbol}", ylabel=f"model: {symbol}")
        numbers = f"r = {score.pearson_r:.2f}, nRMSE = {score.nrmse:.2f}".replace("-", "−")
        ax.set_title(f"{title}\n{numbers}")
    return ax


def nllh_distribution(likelihood: NormalisedLikelihood, ax: Axes | None = None) -> Axes:
    """Draw a histogram of the nLLH over neurons, like Fig. 2H.

    The independent model has 0, a perfect one 1. Values below -1 are counted in the first bin.

    Parameters
    ----------
    likelihood : NormalisedLikelihood
    ax : matplotlib.axes.Axes, optional
        Made if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite.validation.likelihood import nllh_given_probabilities
    >>> v = np.array([[1, 0], [0, 1]])
    >>> nllh_distribution(nllh_given_probabilities(v, 0.2 + 0.6 * v)).get_ylabel()
    'neurons (count)'
    """
    values = np.clip(likelihood.nllh[np.isfinite(likelihood.nllh)], -1.0, 1.0)
    with style_context():
        ax = own_axes(ax, figsize=(3.2, 3.2))
        bins = np.linspace(values.min(initial=-0.1), 1.0, 61)
        ax.hist(values, bins=bins, color=COLOR_MODEL)
        ax.axvline(0.0, color=COLOR_DATA, linewidth=0.8, linestyle="--")
        ax.axvline(likelihood.median, color=COLOR_POSITIVE)
        ax.set(xlabel="nLLH (0 independent, 1 perfect)", ylabel="neurons (count)")
        ax.set_title(f"reconstruction of each neuron\nmedian = {likelihood.median:.2f}")
    return ax


def plot_validation(report: ValidationReport) -> np.ndarray:
    """Draw the five statistics and the nLLH, six panels like Fig. 2C-H.

    Parameters
    ----------
    report : ValidationReport
        Its method ``plot`` calls this function.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, shape (6,)
    """
    import matplotlib.pyplot as plt

    with style_context():
        axes = plt.subplots(2, 3, figsize=(9.6, 6.4))[1].ravel()
    for ax, name in zip(axes, _STATISTICS):
        score_density(getattr(report, name), name, ax)
    nllh_distribution(report.nllh, axes[5])
    panel_letters(axes)
    return axes


def raster(
    spikes: object,
    rate_hz: float,
    ax: Axes | None = None,
    *,
    order: np.ndarray | None = None,
    color: str = COLOR_DATA,
) -> Axes:
    """Draw the spikes of many neurons over time, one row for each neuron.

    Parameters
    ----------
    spikes : (T, N) array of 0/1 or scipy.sparse matrix
    rate_hz : float
        Frames per second.
    ax : matplotlib.axes.Axes, optional
        Made if not given.
    order : (K,) int or (N,) bool, optional
        Neurons to draw, from the bottom up; by default all of them in their own order.
    color : str
        Colour of the spikes (default black).

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `spikes` is not binary, `rate_hz` not positive, or a neuron of `order` does not exist or
        occurs twice.

    Examples
    --------
    >>> import numpy as np
    >>> raster(np.eye(4), rate_hz=2.0).get_xlabel()
    'time (s)'
    """
    from crbm_lite.core.spikes import as_spikes

    rate_hz, spikes = as_rate_hz(rate_hz), as_spikes(spikes, "spikes")
    n_frames, n_neurons = spikes.shape
    drawn = as_indices(slice(None) if order is None else order, n_neurons, "order")
    check_unique(tuple(drawn.tolist()), "order")
    row_of_neuron = np.full(n_neurons, -1)
    row_of_neuron[drawn] = np.arange(len(drawn))
    rows = row_of_neuron[spikes.neurons]
    frames = np.repeat(np.arange(n_frames), np.diff(spikes.frame_starts))[rows >= 0]
    rows = rows[rows >= 0]
    with style_context():
        ax = own_axes(ax)
        ax.plot(frames / rate_hz, rows, linestyle="none", marker=",", color=color, rasterized=True)
        ax.set(xlim=(0, n_frames / rate_hz), ylim=(-0.5, len(drawn) - 0.5))
        ax.set(xlabel="time (s)", ylabel="neuron" if order is None else "neuron (ordered)")
    return ax


def brain_scatter(
    coordinates: np.ndarray,
    values: np.ndarray,
    ax: Axes | None = None,
    *,
    view: str = "dorsal",
    label: str = "weight",
    limit: float | None = None,
    coordinate_unit: str = "um",
) -> Axes:
    """Draw neurons at their places, coloured by a signed value: their weight to a hidden unit.

    In a projection the strongest values are drawn last, so that each place shows its maximum. In
    perspective neurons fade towards zero.

    Parameters
    ----------
    coordinates : (N, 3) float
        x, y, z of each neuron, in `coordinate_unit`.
    values : (N,) float
        Blue below 0, vermilion above; NaN and infinity are not drawn.
    ax : matplotlib.axes.Axes, optional
        For view "3d", axes made with `projection="3d"`. Made if not given.
    view : {"dorsal", "lateral", "frontal", "3d"}
        Projection along z, x or y, or perspective (default "dorsal"); x runs from left to right, y
        from tail to nose.
    label : str
        What the values are; written at the colour bar (default "weight").
    limit : float, optional
        |value| at which colours saturate; by default the 99.5th percentile of the |values| that are
        not 0.
    coordinate_unit : str
        Unit of the coordinates, ``recording.coordinate_unit`` (default "um").

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If shapes do not fit, coordinates are not finite, `view` is unknown or `limit` not positive.

    Examples
    --------
    >>> import numpy as np
    >>> brain_scatter(np.eye(3), np.array([0.0, 0.1, -0.2]), view="lateral").get_ylabel()
    'z (µm)'
    """
    values = as_array(values, "values")
    if values.ndim != 1 or values.dtype.kind not in "fiub" or not np.isfinite(values).any():
        raise ValueError(f"values has shape {values.shape}: give (N,) numbers, some of them finite")
    coordinates, values = finite_places(coordinates, len(values)), values.astype(np.float64)
    if view not in {*VIEWS, "3d"}:
        raise ValueError(f"view is {view!r}: give one of {', '.join(VIEWS)} or 3d")
    order = np.argsort(np.abs(values))[: np.isfinite(values).sum()]  # NaN come last
    values, places = values[order], coordinates[order]
    if limit is None:
        nonzero = np.abs(values[values != 0])
        limit = float(np.quantile(nonzero, 0.995)) if nonzero.size else 1.0
    elif not (isinstance(limit, int | float | np.number) and 0 < limit < np.inf):
        raise ValueError(f"limit is {limit!r}: give a positive number")
    drawing = {
        "c": values,
        "cmap": diverging_colormap(),
        "vmin": -limit,
        "vmax": limit,
        "rasterized": True,
    }
    extent = np.ptp(coordinates, axis=0)
    names = [f"{axis} ({unit_symbol(coordinate_unit)})" for axis in "xyz"]
    with style_context():
        if view == "3d":
            ax = own_axes(ax, subplot_kw={"projection": "3d"})
            drawing |= {"s": _marker_area(ax, extent[:2], len(values)), "edgecolors": "face"}
            alpha = np.clip(np.abs(values) / limit, 0.2, 1.0)  # see through what is near zero
            points = ax.scatter(*places.T, depthshade=False, alpha=alpha, linewidths=0.0, **drawing)
            ax.set(xlabel=names[0], ylabel=names[1], zlabel=names[2])
            ax.set_box_aspect(np.maximum(extent, 1e-9))
            ax.locator_params(nbins=4)  # more would collide on the shorter axes
            ax.tick_params(pad=0)
        else:
            ax = own_axes(ax)
            across, up = VIEWS[view]
            drawing["s"] = _marker_area(ax, extent[[across, up]], len(values))
            points = ax.scatter(places[:, across], places[:, up], **drawing)
            ax.set(xlabel=names[across], ylabel=names[up], aspect="equal")
        pad = 0.2 if view == "3d" else 0.02  # room for the label of the third axis
        ax.figure.colorbar(points, ax=ax, label=label, shrink=0.7, pad=pad)
    return ax


def _marker_area(ax: Axes, extent: np.ndarray, n_neurons: int) -> float:
    """Area of a marker in points squared: all together fill most of the rectangle of the brain."""
    room = 72 * ax.figure.get_size_inches() * ax.get_position().size
    extent = np.maximum(extent, 0.05 * max(extent.max(), 1e-9))  # a plane seen from its edge
    rectangle = extent * (room / extent).min()
    return float(np.clip(0.75 * rectangle.prod() / n_neurons, 1.0, 20.0))
