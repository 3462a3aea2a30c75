"""Plates of assemblies: maximum projections like Fig. 3, one a unit or a left/right pair.

No equations live here. A maximum projection draws neurons in the order of |w|, so that the largest
weight along a line of sight is what is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crbm_lite.plotting import brain_scatter
from crbm_lite.style import style

__all__ = ["assembly_plates"]


def assembly_plates(
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    units: Sequence[int | tuple[int, ...]],
    view: str = "dorsal",
) -> np.ndarray:
    """Draw a maximum projection for each assembly, or group of assemblies, in a list (Fig. 3).

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float, um
    units : sequence of int or tuple of int
        Hidden units to draw; those of a tuple share a plate, as the pairs of
        `crbm_lite.matching.symmetric_pairs` do, and a neuron has its largest weight among them.
    view : {"dorsal", "lateral", "frontal"}

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, one a plate

    Raises
    ------
    ValueError
        If there are no coordinates or no units, or a unit does not exist.

    Examples
    --------
    >>> axes = assembly_plates(np.eye(3), np.eye(3), [0, (1, 2)])
    >>> axes[1].get_title(loc="left")
    'HU 1 + 2'
    """
    if coordinates is None:
        raise ValueError("coordinates is None: give the (N, 3) positions of the neurons, in um")
    if not len(units):
        raise ValueError("units is empty: name at least one hidden unit")
    groups = [tuple(np.atleast_1d(group).tolist()) for group in units]
    weights = np.asarray(weights)
    if not all(0 <= unit < weights.shape[1] for group in groups for unit in group):
        raise ValueError(f"units names a unit beyond 0 to {weights.shape[1] - 1}: {groups}")
    import matplotlib.pyplot as plt

    n_columns = min(4, len(groups))
    n_rows = -(-len(groups) // n_columns)
    with style():
        size = (2.6 * n_columns, 3.6 * n_rows)
        axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)[1].ravel()
        for ax, group in zip(axes, groups, strict=False):
            w = weights[:, group]
            largest = np.abs(w).argmax(axis=1)
            brain_scatter(coordinates, w[np.arange(len(w)), largest], ax, view=view)
            ax.set_title("HU " + " + ".join(map(str, group)))
        for ax in axes[len(groups) :]:
            ax.remove()
    return axes[: len(groups)]
