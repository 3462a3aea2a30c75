"""A video of the assemblies, one after the other, with their traces: Video 1 of the paper.

The brain is seen from above. A .gif needs pillow, which matplotlib brings along, and an .mp4 needs
the program ffmpeg.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.checks.arguments import as_number, as_path
from crbm_lite.files.whole import write_whole
from crbm_lite.plotting.interactive.scene import brain_outline
from crbm_lite.plotting.interactive.viewer_figure import background_stride, color_limit
from crbm_lite.plotting.style import COLOR_NEGATIVE, diverging_colormap, unit_symbol

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from crbm_lite.plotting.interactive.scene import Scene

__all__ = ["save_video"]

_GREY = "0.6"
_SIZE_IN, _DPI = (6.0, 7.0), 100


def save_video(
    scene: Scene,
    path: str | os.PathLike,
    *,
    choices: Sequence[int] | None = None,
    seconds_each: float = 1.0,
) -> Path:
    """Write a video that shows one choice after the other.

    Parameters
    ----------
    scene : Scene
    path : path of the video, ending in .gif or .mp4
    choices : sequence of int, optional
        Indices into ``scene.choices``; by default all assemblies.
    seconds_each : float, default 1.0
        How long each is seen.

    Returns
    -------
    pathlib.Path
        The video, which is written whole or not at all.

    Raises
    ------
    ValueError
        If the path ends otherwise, there is no such choice, or the time is not positive.
    RuntimeError
        If ffmpeg is needed and missing.

    Examples
    --------
    >>> import tempfile
    >>> from crbm_lite.plotting.interactive.viewer import view_assemblies
    >>> viewer = view_assemblies(np.eye(3), np.eye(3))
    >>> save_video(viewer, f"{tempfile.mkdtemp()}/assemblies.gif").name
    'assemblies.gif'
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    path = as_path(path)
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"path is {str(path)!r}: give the name of a .gif or an .mp4")
    if path.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise RuntimeError(
            f"path is {str(path)!r} and there is no program ffmpeg: install it, or give a .gif"
        )
    seconds_each = as_number(seconds_each, "seconds_each", "how long each is seen", positive=True)
    choices = range(len(scene.unit_names)) if choices is None else choices
    if not len(choices):
        raise ValueError("choices is empty: give at least one")
    shown = [scene.selection(k) for k in choices]  # before anything is written
    make_writer = PillowWriter if path.suffix == ".gif" else FFMpegWriter
    writer = make_writer(fps=1.0 / seconds_each)
    figure, update = _drawing(scene)
    with tempfile.TemporaryDirectory() as folder:
        unfinished = Path(folder) / f"video{path.suffix}"
        with writer.saving(figure, unfinished, _DPI):
            for choice, selection in zip(choices, shown, strict=True):
                update(choice, selection)
                writer.grab_frame()
        write_whole(path, unfinished.read_bytes())
    return path


def _drawing(scene: Scene) -> tuple[Figure, object]:
    """Draw what stays, and return what changes it to a choice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(_SIZE_IN, layout="constrained")
    FigureCanvasAgg(figure)
    brain, trace = figure.subplots(2, 1, height_ratios=[5, 1])
    places = scene.coordinates
    some = places[:: background_stride(len(places))]
    outline = scene.outline
    if scene.surface is not None:
        outline = brain_outline(np.c_[outline[:, :2], np.zeros(len(outline))])
    brain.plot(*outline[:, :2].T, color=_GREY, lw=0.8)
    brain.scatter(*some[:, :2].T, s=1, color=_GREY, alpha=0.3, lw=0)
    unit = unit_symbol(scene.coordinate_unit)
    brain.set(aspect="equal", xlabel=f"x ({unit})", ylabel=f"y ({unit})")
    time_s = np.arange(len(scene.activity)) / scene.rate_hz
    trace.set(xlabel="time (s)", ylabel="h (s.d.)")
    (line,) = trace.plot([], [], color=COLOR_NEGATIVE, lw=0.8)
    members: list[Artist] = []

    def update(choice: int, selection: object) -> None:
        for artist in members:
            artist.remove()
        limit = color_limit(selection.weights)
        at = places[selection.neurons]
        members[:] = [
            brain.scatter(
                *at[:, :2].T, s=4 + 16 * np.minimum(np.abs(selection.weights) / limit, 1.0),
                c=selection.weights, cmap=diverging_colormap(), vmin=-limit, vmax=limit, lw=0,
            )
        ]  # fmt: skip
        figure.suptitle(scene.notes[choice], fontsize=9, wrap=True)
        line.set_data(time_s, np.nan_to_num(scene.activity[:, selection.unit]))
        trace.relim()
        trace.autoscale_view()

    return figure, update
