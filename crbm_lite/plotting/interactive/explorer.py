"""A figure with sliders: panels of lines or cells, computed beforehand for all positions.

No equations; `crbm_lite.plotting.interactive.explorers` makes figures of this kind. A page shows
one without a kernel (`crbm_lite.plotting.interactive.explorer_page`), a live notebook with
ipywidgets (`crbm_lite.plotting.interactive.widgets.explore`), and `Explorer.draw` with matplotlib:
the same numbers three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.plotting.style import PALETTE, diverging_colormap, sequential_colormap, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Cells", "Control", "Explorer", "Lines"]


@dataclass(frozen=True)
class Control:
    """A slider, or a list if its values are texts.

    Parameters
    ----------
    label : str
    values : tuple of float or str
    start : int
        Position shown at first.
    """

    label: str
    values: tuple[float | str, ...]
    start: int = 0

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as they are shown."""
        return tuple(v if isinstance(v, str) else f"{v:g}" for v in self.values)


@dataclass(frozen=True, eq=False)
class Lines:
    """A panel of lines; a value without neighbours is a dot, NaN is a gap.

    Parameters
    ----------
    title, xlabel, ylabel : str
    x : (K,) float
    y : (..., L, K) float
        First the axes of the controls.
    limits : (float, float)
        Of the vertical axis.
    x_texts : tuple of K str, optional
        Written below the axis in place of numbers.
    """

    title: str
    xlabel: str
    ylabel: str
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    limits: tuple[float, float]
    x_texts: tuple[str, ...] = ()

    @property
    def values(self) -> np.ndarray:
        """What changes with the controls."""
        return self.y


@dataclass(frozen=True, eq=False)
class Cells:
    """A panel of coloured cells.

    Parameters
    ----------
    title, xlabel, ylabel : str
    columns, rows : tuple of str
        Names along the axes, or nothing.
    values : (..., R, C) float
        First the axes of the controls; NaN stays empty.
    limits : (float, float)
        Of the values; symmetric around 0 for signed values.
    color_limits : (float, float), optional
        Of the colours, where they are to be narrower: values beyond have the colour of the limit.
    """

    title: str
    xlabel: str
    ylabel: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: np.ndarray = field(repr=False)
    limits: tuple[float, float]
    color_limits: tuple[float, float] | None = None

    @property
    def signed(self) -> bool:
        """Whether the colours diverge from 0."""
        return self.limits[0] == -self.limits[1]


@dataclass(frozen=True, eq=False)
class Explorer:
    """Panels that follow their controls. The last line of a cell shows it.

    Parameters
    ----------
    controls : tuple of Control
    panels : tuple of Lines or Cells
    notes : array of str, shaped like the controls
        A sentence for every position.

    Raises
    ------
    ValueError
        If there is no panel, a control does not start at one of its values, an array has not the
        shape that the controls ask for, or limits do not increase.
    """

    controls: tuple[Control, ...]
    panels: tuple[Lines | Cells, ...]
    notes: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        """Check that everything fits together."""
        shape = tuple(len(control.values) for control in self.controls)
        if np.shape(self.notes) != shape:
            raise ValueError(f"notes has shape {np.shape(self.notes)}, the controls {shape}")
        if not self.panels:
            raise ValueError("panels is empty: there is nothing to show")
        for control in self.controls:
            if not 0 <= control.start < len(control.values):
                raise ValueError(
                    f"control {control.label!r} starts at {control.start}: it has "
                    f"{len(control.values)} values"
                )
        for panel in self.panels:
            low, high = panel.limits
            if not (low < high and np.isfinite(high - low)):
                raise ValueError(
                    f"panel {panel.title!r} has limits {panel.limits}: give low < high"
                )
            if isinstance(panel, Lines) and np.shape(panel.x) != panel.y.shape[-1:]:
                raise ValueError(
                    f"panel {panel.title!r} has x of shape {np.shape(panel.x)} for y of shape "
                    f"{panel.y.shape}"
                )
            if panel.values.shape[: len(shape)] != shape or panel.values.ndim != len(shape) + 2:
                raise ValueError(
                    f"panel {panel.title!r} has shape {panel.values.shape}: expected {shape} and "
                    "two more axes"
                )

    @property
    def start(self) -> tuple[int, ...]:
        """Position of every control at first."""
        return tuple(control.start for control in self.controls)

    def draw(self, position: Sequence[int] | None = None) -> Figure:
        """Draw the panels at a position, one index a control, by default the first one.

        Raises
        ------
        ValueError
            If there is no such position.
        """
        position = self.start if position is None else tuple(np.atleast_1d(position).tolist())
        shape = self.notes.shape
        whole = len(position) == len(shape) and all(isinstance(p, int) for p in position)
        if not whole or not all(0 <= p < n for p, n in zip(position, shape)):
            raise ValueError(f"position is {position}: give an index below each of {shape}")
        import matplotlib.pyplot as plt

        with style():
            figure, axes = plt.subplots(
                1, len(self.panels), figsize=(3.2 * len(self.panels), 2.9), squeeze=False,
                layout="constrained",
            )  # fmt: skip
            for ax, panel in zip(axes[0], self.panels):
                (_draw_lines if isinstance(panel, Lines) else _draw_cells)(ax, panel, position)
                ax.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
        return figure

    def _repr_html_(self) -> str:
        from crbm_lite.plotting.interactive.explorer_page import fragment

        return fragment(self)


def _draw_lines(ax: Axes, panel: Lines, position: tuple[int, ...]) -> None:
    for y, color in zip(panel.y[position], PALETTE):
        alone = np.isfinite(y).sum() == 1
        ax.plot(panel.x, y, "o" if alone else "-", color=color)
    ax.set_ylim(panel.limits)
    if panel.x_texts:
        ax.set_xticks(panel.x, panel.x_texts)


def _draw_cells(ax: Axes, panel: Cells, position: tuple[int, ...]) -> None:
    colors = diverging_colormap() if panel.signed else sequential_colormap()
    low, high = panel.color_limits or panel.limits
    image = ax.imshow(
        panel.values[position], aspect="auto", vmin=low, vmax=high, cmap=colors,
        interpolation="nearest",
    )  # fmt: skip
    if panel.columns:
        ax.set_xticks(range(len(panel.columns)), panel.columns)
    if panel.rows:
        ax.set_yticks(range(len(panel.rows)), panel.rows)
    ax.figure.colorbar(image, ax=ax)
