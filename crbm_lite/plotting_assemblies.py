"""Figures of assemblies and their dynamics: plates like Fig. 3, panels like Fig. 4.

No equations live here: `crbm_lite.assemblies` and `crbm_lite.dynamics` compute what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crbm_lite.correlations import correlations_of_columns
from crbm_lite.dynamics import ward_order
from crbm_lite.plotting import brain_scatter
from crbm_lite.style import COLOR_DATA, diverging_colormap, style

__all__ = ["assembly_plates", "plot_ward"]


def assembly_plates(
    weights: np.ndarray, coordinates: np.ndarray | None, units: Sequence[int]
) -> np.ndarray:
    """Draw a maximum projection from above for each assembly in a list (Fig. 3).

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float, um
    units : sequence of int
        Hidden units to draw.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, one a unit

    Raises
    ------
    ValueError
        If there are no coordinates or no units.

    Examples
    --------
    >>> assembly_plates(np.eye(3), np.eye(3), [0, 2])[1].get_title(loc="left")
    'HU 2'
    """
    if coordinates is None:
        raise ValueError("coordinates is None: give the (N, 3) positions of the neurons, in um")
    if not len(units):
        raise ValueError("units is empty: name at least one hidden unit")
    import matplotlib.pyplot as plt

    n_columns = min(4, len(units))
    n_rows = -(-len(units) // n_columns)
    with style():
        size = (3 * n_columns, 3.6 * n_rows)
        axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)[1].ravel()
        for ax, unit in zip(axes, units, strict=False):
            brain_scatter(coordinates, weights[:, unit], ax)
            ax.set_title(f"HU {unit}")
        for ax in axes[len(units) :]:
            ax.remove()
    return axes[: len(units)]


def plot_ward(activity: np.ndarray, rate_hz: float) -> np.ndarray:
    """Draw dendrogram, activity in Ward order and correlations (Fig. 4A, C).

    Parameters
    ----------
    activity : (T, M) float
        Trace minus transition point; NaN and constant units are drawn at 0.
    rate_hz : float
        Frames per second.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, shape (3,)

    Raises
    ------
    ValueError
        If there are fewer than two hidden units.

    Examples
    --------
    >>> plot_ward(np.random.default_rng(0).normal(size=(20, 3)), 2.0)[1].get_xlabel()
    'time (s)'
    """
    import matplotlib.pyplot as plt
    from scipy.cluster.hierarchy import dendrogram

    order, tree = ward_order(activity)
    drawn = np.nan_to_num(activity)[:, order]
    image = {"cmap": diverging_colormap(), "aspect": "auto", "origin": "lower"}
    limit = max(float(np.quantile(np.abs(drawn), 0.99)), 1e-9)
    extent = (0, len(drawn) / rate_hz, -0.5, len(order) - 0.5)
    with style():
        axes = plt.subplots(1, 3, figsize=(10, 3.4), width_ratios=(1, 4, 3))[1]
        dendrogram(
            tree,
            ax=axes[0],
            orientation="left",
            no_labels=True,
            color_threshold=0,
            above_threshold_color=COLOR_DATA,
        )
        axes[0].set_axis_off()
        axes[1].imshow(drawn.T, vmin=-limit, vmax=limit, extent=extent, **image)
        axes[1].set(xlabel="time (s)", ylabel="hidden unit (Ward order)")
        matrix = axes[2].imshow(correlations_of_columns(drawn), vmin=-1, vmax=1, **image)
        axes[2].set(xlabel="hidden unit (Ward order)")
        axes[2].figure.colorbar(matrix, ax=axes[2], label="Pearson r")
    return axes
