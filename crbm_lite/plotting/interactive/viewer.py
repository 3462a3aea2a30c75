"""The 3-D brain viewer: choose an assembly or a region, see its neurons and its trace.

A plotly figure shows the neurons of one choice, coloured by weight, inside the outline of the
brain, with the trace of the hidden unit below. A page needs neither a kernel nor the network to
change the choice: `crbm_lite/plotting/interactive/viewer.js` fills the same figure from data that
the page carries. In a live notebook `crbm_lite.plotting.interactive.widgets.browse_assemblies`
does so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.checks.arguments import as_array, as_rate_hz, as_text
from crbm_lite.checks.arrays import (
    check_unique,
    finite_places,
    finite_weights,
    hidden_unit_names,
    neuron_names,
    region_members,
    region_names,
)
from crbm_lite.plotting.interactive.scene import Scene
from crbm_lite.plotting.interactive.video import save_video
from crbm_lite.plotting.interactive.viewer_figure import draw_scene
from crbm_lite.plotting.interactive.viewer_page import save_page, scene_html

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from plotly.graph_objects import Figure

__all__ = ["AssemblyViewer", "view_assemblies"]


class AssemblyViewer(Scene):
    """A scene that shows itself as the last line of a cell; `view_assemblies` makes it."""

    def figure(self, choice: int | None = None) -> Figure:
        """Draw a choice, see `crbm_lite.plotting.interactive.viewer_figure.draw_scene`."""
        return draw_scene(self, choice)

    def save(self, path: str | os.PathLike) -> Path:
        """Write a page, see `crbm_lite.plotting.interactive.viewer_page.save_page`."""
        return save_page(self, path)

    def save_video(
        self,
        path: str | os.PathLike,
        *,
        choices: Sequence[int] | None = None,
        seconds_each: float = 1.0,
    ) -> Path:
        """Write a .gif or .mp4, see `crbm_lite.plotting.interactive.video.save_video`."""
        return save_video(self, path, choices=choices, seconds_each=seconds_each)

    def _repr_html_(self) -> str:
        return scene_html(self)


def view_assemblies(
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    *,
    labels: object = None,
    label_names: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    unit_names: Sequence[str] | None = None,
    coordinate_unit: str = "um",
    activity: np.ndarray | None = None,
    rate_hz: float = 1.0,
    surface: tuple[np.ndarray, np.ndarray] | None = None,
) -> AssemblyViewer:
    """Show assemblies in their brain; hidden units without weights are left out.

    The viewer shows itself as the last line of a notebook's cell. In a script or a console nothing
    appears: ``view_assemblies(...).save("assemblies.html")`` writes a page for any browser.

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float
        Where the neurons are.
    labels : (N, R) bool or scipy.sparse, optional
        Regions, to hover over and to choose.
    label_names : sequence of R str, optional
        Default "region 0", "region 1" and so on.
    names : sequence of N str, optional
        Names of the neurons; by default they have their numbers.
    unit_names : sequence of M str, optional
        Names of the hidden units; by default "HU 0", "HU 1" and so on.
    coordinate_unit : str
        Unit of the coordinates, ``recording.coordinate_unit`` (default "um").
    activity : (T, M) float, optional
        Trace minus transition point, ``hidden_states(...).activity``. A trace of NaN belongs to a
        unit that never switches.
    rate_hz : float
        Frames per second (default 1).
    surface : ((V, 3) float, (F, 3) int), optional
        Vertices and triangles to draw as the outline of the brain, in the unit of the coordinates,
        such as ``load_atlas_volume().outline()``. Left, right, rostral and caudal are marked with
        it: x runs from left to right, y from tail to nose. By default the outline is drawn around
        the neurons, without marks.

    Returns
    -------
    AssemblyViewer

    Raises
    ------
    ValueError
        If there are no coordinates, no hidden unit has weights, numbers are not finite, shapes do
        not fit together, the name of a unit or of a region occurs twice, a triangle names a vertex
        that is not there, or the rate is not positive.

    Examples
    --------
    >>> viewer = view_assemblies(np.eye(3), np.eye(3), labels=np.ones((3, 1)))
    >>> viewer.choices
    ('HU 0', 'HU 1', 'HU 2', 'region 0')
    >>> viewer.selection(3).weights
    array([1., 1., 1.])
    """
    weights = finite_weights(weights)
    places = finite_places(coordinates, len(weights))
    used = np.flatnonzero((weights != 0).any(axis=0))
    if not used.size:
        raise ValueError("weights is all 0: give weights with an assembly to show")
    if labels is None:
        labels = np.zeros((len(weights), 0), dtype=bool)
    labels = region_members(labels, len(weights)).toarray()
    label_names = region_names(label_names, labels.shape[1])
    check_unique(label_names, "label_names")
    names = neuron_names(names, len(weights))
    unit_names = hidden_unit_names(unit_names, weights.shape[1])
    unit = as_text(coordinate_unit, "coordinate_unit", 'a unit, such as "um"')
    rate_hz = as_rate_hz(rate_hz)
    activity = np.empty((0, weights.shape[1])) if activity is None else activity
    activity = as_array(activity, "activity")
    fits = activity.ndim == 2 and activity.shape[1] == weights.shape[1]
    if not fits or activity.dtype.kind not in "fiub":
        raise ValueError(
            f"activity has shape {activity.shape}, dtype {activity.dtype}: give "
            f"(T, {weights.shape[1]}) numbers, time first"
        )
    if np.isinf(activity).any():
        raise ValueError("activity holds infinity: leave those units or frames out")
    surface = None if surface is None else _as_surface(surface)
    kept = labels.any(axis=0)  # a region without neurons shows nothing
    return AssemblyViewer(
        weights=weights[:, used].astype(np.float64),
        coordinates=places,
        labels=labels[:, kept],
        label_names=tuple(n for n, keep in zip(label_names, kept, strict=True) if keep),
        activity=activity[:, used],
        rate_hz=rate_hz,
        unit_names=tuple(unit_names[k] for k in used),
        names=names,
        coordinate_unit=unit,
        surface=surface,
    )


def _as_surface(surface: object) -> tuple[np.ndarray, np.ndarray]:
    """Check vertices and triangles."""
    if not isinstance(surface, tuple | list) or len(surface) != 2:
        raise ValueError(f"surface is a {type(surface).__name__}: give (vertices, triangles)")
    vertices, triangles = as_array(surface[0], "surface[0]"), as_array(surface[1], "surface[1]")
    vertices = finite_places(vertices, len(vertices))
    whole = triangles.ndim == 2 and triangles.shape[1] == 3 and triangles.dtype.kind in "iu"
    if not whole or not triangles.size or triangles.min() < 0 or triangles.max() >= len(vertices):
        raise ValueError(
            f"surface[1] has shape {triangles.shape}, dtype {triangles.dtype}: give (F, 3) indices "
            f"of the {len(vertices)} vertices"
        )
    return vertices, triangles
