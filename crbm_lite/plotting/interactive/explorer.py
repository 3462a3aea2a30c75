"""A figure with sliders that shows itself: in a page, in a live notebook, or with matplotlib.

A page needs no kernel (`crbm_lite.plotting.interactive.explorer_page`), a live notebook uses
ipywidgets (`crbm_lite.plotting.interactive.widgets.explore`), and `Explorer.draw` uses matplotlib;
all three show the same numbers. `crbm_lite.plotting.interactive.explorers` makes such figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.plotting.interactive.explorer_page import panels_html
from crbm_lite.plotting.interactive.panels import Lines, Panels
from crbm_lite.plotting.style import (
    PALETTE,
    diverging_colormap,
    sequential_colormap,
    style_context,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from crbm_lite.plotting.interactive.panels import Cells

__all__ = ["Explorer"]


class Explorer(Panels):
    """Panels that show themselves as the last line of a cell; made as `Panels` are."""

    def draw(self, position: Sequence[int] | None = None) -> Figure:
        """Draw the panels with matplotlib.

        Parameters
        ----------
        position : sequence of int, optional
            One index for each control; by default where the controls start.

        Returns
        -------
        matplotlib.figure.Figure

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

        with style_context():
            figure, axes = plt.subplots(
                1, len(self.panels), figsize=(3.2 * len(self.panels), 2.9), squeeze=False,
                layout="constrained",
            )  # fmt: skip
            for ax, panel in zip(axes[0], self.panels):
                (_draw_lines if isinstance(panel, Lines) else _draw_cells)(ax, panel, position)
                ax.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
        return figure

    def _repr_html_(self) -> str:
        return panels_html(self)


def _draw_lines(ax: Axes, panel: Lines, position: tuple[int, ...]) -> None:
    for y, color in zip(panel.values[position], PALETTE):
        has_one_value = np.isfinite(y).sum() == 1
        ax.plot(panel.x, y, "o" if has_one_value else "-", color=color)
    ax.set_ylim(panel.limits)
    if panel.x_texts:
        ax.set_xticks(panel.x, panel.x_texts)


def _draw_cells(ax: Axes, panel: Cells, position: tuple[int, ...]) -> None:
    colors = diverging_colormap() if panel.signed else sequential_colormap()
    low, high = panel.colors()[position]
    image = ax.imshow(
        panel.values[position], aspect="auto", vmin=low, vmax=high, cmap=colors,
        interpolation="nearest",
    )  # fmt: skip
    if panel.columns:
        ax.set_xticks(range(len(panel.columns)), panel.columns)
    if panel.rows:
        ax.set_yticks(range(len(panel.rows)), panel.rows)
    ax.figure.colorbar(image, ax=ax)
