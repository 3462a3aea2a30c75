"""Figures of assemblies: plates like Fig. 3, one for each unit or left/right pair, and stability.

A maximum projection draws neurons in the order of |w|, so that the largest weight along a line of
sight is what is seen. Two units that share a plate have a hue each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.assemblies.members import assemblies_of_weights
from crbm_lite.checks.arrays import as_indices, finite_places, finite_weights
from crbm_lite.plotting.figures import VIEWS, brain_scatter
from crbm_lite.plotting.style import PALETTE, paired_colormap, panel_letters, style_context

if TYPE_CHECKING:
    from crbm_lite.validation.stability import StabilitySelection

__all__ = ["assembly_plates", "plot_stability"]


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
        among them. Of a pair the members of the first unit are green, those of the second purple.
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
        values.append(_pair(weights[:, group]) if len(group) == 2 else _largest(weights[:, group]))
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
            if len(group) == 2:
                points.set_cmap(paired_colormap())
            ax.set_title("HU " + " + ".join(map(str, group)))
            ax.label_outer()
        for ax in grid.ravel()[len(groups) :]:
            ax.remove()
        look = {"shrink": 0.6, "aspect": 30} if tall else {"aspect": 12}
        shown = {len(group) == 2: ax.collections[0] for group, ax in zip(groups, axes, strict=True)}
        for is_pair, points in sorted(shown.items()):
            label = "|weight| in the first (green) or second unit" if is_pair else "weight"
            bar = figure.colorbar(points, ax=axes, label=label, extend="both", **look)
            if is_pair:
                bar.formatter = lambda w, _: f"{abs(w):g}"
        panel_letters(axes)
    return axes


def _largest(weights: np.ndarray) -> np.ndarray:
    """Each neuron's weight of largest modulus, (N,)."""
    return weights[np.arange(len(weights)), np.abs(weights).argmax(axis=1)]


def _pair(weights: np.ndarray) -> np.ndarray:
    """Each neuron's larger |w| of the assemblies of two units, negative for the first one, (N,)."""
    found = assemblies_of_weights(weights)
    of_unit = [found.members[:, found.units == unit].any(axis=1) for unit in (0, 1)]
    return _largest(np.abs(weights) * np.transpose(of_unit) * (-1, 1))


def plot_stability(found: StabilitySelection, probability: float = 0.8) -> np.ndarray:
    """Draw which assemblies and which members are found again in halves of the frames.

    On the left every run is a point: the correlation of an assembly with its match, assemblies in
    the order of their medians, and in grey the same on frames shifted in time. On the right is the
    membership probability of the members of all assemblies: the share of members that have at least
    that probability.

    Parameters
    ----------
    found : StabilitySelection
        From `crbm_lite.validation.stability.stability_selection`.
    probability : float
        Least membership probability of a stable member, which is marked (default 0.8).

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, shape (2,)

    Raises
    ------
    ValueError
        If the model has no assembly.

    Examples
    --------
    >>> from crbm_lite.validation.stability import StabilitySelection
    >>> w, r, share = np.ones((4, 2)), np.full((3, 2), 0.9), np.ones((4, 2))
    >>> found = StabilitySelection(w, r, share, 8.0, 0 * r, 0 * share, min_correlation=0.5)
    >>> plot_stability(found)[0].get_ylabel()
    'correlation with its match'
    """
    import matplotlib.pyplot as plt

    assemblies = found.assemblies
    if not len(assemblies):
        raise ValueError("found has no hidden unit with weights: there is no assembly to draw")
    order = np.argsort(-np.median(found.correlation, axis=0), kind="stable")
    with style_context():
        _, axes = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(3, 2))
        kinds = ("shifted time", "0.7"), ("halves", PALETTE[0])
        for (label, color), correlation in zip(
            kinds, (found.null_correlation, found.correlation), strict=True
        ):
            place = np.tile(np.arange(order.size), len(correlation))
            axes[0].plot(place, correlation[:, order].ravel(), "o", ms=3, color=color, label=label)
        axes[0].axhline(found.min_correlation, color="black", ls="--", lw=0.8)
        axes[0].set(
            xlabel="assembly, most stable first", ylabel="correlation with its match",
            ylim=(-0.02, 1.02),
        )  # fmt: skip
        axes[0].legend(loc="best")

        for (label, color), share in zip(
            kinds, (found.null_membership, found.membership), strict=True
        ):
            shares = np.sort(share[assemblies.members])[::-1]
            reached = np.arange(1, shares.size + 1) / shares.size
            axes[1].step(shares, reached, color=color, label=label)
        axes[1].axvline(probability, color="black", ls="--", lw=0.8)
        axes[1].set(
            xlabel="membership probability, at least", ylabel="share of members",
            xlim=(-0.02, 1.02), ylim=(0, 1.02),
        )  # fmt: skip
        panel_letters(axes)
    return axes
