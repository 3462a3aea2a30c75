"""Plates of assemblies: maximum projections like Fig. 3, one for each unit or left/right pair.

A maximum projection draws neurons in the order of |w|, so that the largest weight along a line of
sight is what is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from crbm_lite.checks.arrays import as_indices, finite_places, finite_weights
from crbm_lite.plotting.figures import VIEWS, brain_scatter
from crbm_lite.plotting.style import style_context

__all__ = ["assembly_plates"]


def assembly_plates(
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    units: Sequence[int | tuple[int, ...]],
    view: str = "dorsal",
    coordinate_unit: str = "um",
) -> np.ndarray:
    """Draw a maximum projection for each assembly, or group of assemblies, in a list (Fig. 3).

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float, in `coordinate_unit`
    units : sequence of int or tuple of int
        Hidden units to draw. Those of a tuple share a plate, as the pairs of
        `crbm_lite.assemblies.matching.symmetric_pairs` do; there a neuron has its largest weight
        among them.
    view : {"dorsal", "lateral", "frontal"}
        Projection along z, x or y (default "dorsal").
    coordinate_unit : str
        Unit of the coordinates, ``recording.coordinate_unit`` (default "um").

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, one for each plate

    Raises
    ------
    ValueError
        If there are no coordinates or no units, a unit or the view does not exist, or weights and
        coordinates are not finite or do not fit.

    Examples
    --------
    >>> axes = assembly_plates(np.eye(3), np.eye(3), [0, (1, 2)])
    >>> axes[1].get_title(loc="left")
    'HU 1 + 2'
    """
    weights = finite_weights(weights)
    places = finite_places(coordinates, len(weights))
    if not isinstance(units, Iterable) or not len(units):
        raise ValueError(f"units is {units!r}: give a list of one hidden unit or more")
    n_units = weights.shape[1]
    groups = [tuple(as_indices(np.atleast_1d(u), n_units, "units").tolist()) for u in units]
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}: give one of {', '.join(VIEWS)}")
    import matplotlib.pyplot as plt

    values = []
    for group in groups:
        w = weights[:, group]
        values.append(w[np.arange(len(w)), np.abs(w).argmax(axis=1)])
    drawn = np.abs(np.concatenate(values))
    limit = float(np.quantile(drawn[drawn > 0], 0.99)) if drawn.any() else 1.0
    across, up = np.ptp(places, axis=0)[list(VIEWS[view])]
    columns, width = (4, 2.0) if up > 0.6 * across else (3, 3.2)
    n_columns = min(columns, len(groups))
    n_rows = -(-len(groups) // n_columns)
    height = float(np.clip(0.95 * width * up / max(across, 1e-9), 0.9, 3.8)) + 0.5
    tall = height * n_rows > 3.0
    with style_context():
        figure, grid = plt.subplots(
            n_rows,
            n_columns,
            figsize=(width * n_columns + 1.0, height * n_rows + 0.4),
            squeeze=False,
            sharex=True,
            sharey=True,
            layout="compressed",
        )
        axes = grid.ravel()[: len(groups)]
        for ax, group, value in zip(axes, groups, values, strict=True):
            options = {"view": view, "limit": limit, "coordinate_unit": coordinate_unit}
            brain_scatter(places, value, ax, **options)
            points = ax.collections[0]
            points.colorbar.remove()  # one for all, below
            ax.set_title("HU " + " + ".join(map(str, group)))
            ax.label_outer()
        for ax in grid.ravel()[len(groups) :]:
            ax.remove()
        look = {"shrink": 0.6, "aspect": 30} if tall else {"aspect": 12}
        figure.colorbar(points, ax=axes, label="weight", extend="both", **look)
    return axes
