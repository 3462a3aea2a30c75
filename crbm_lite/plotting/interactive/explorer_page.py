"""A figure with sliders as HTML: in a cell's output, without a kernel and without a network.

The browser draws with `crbm_lite/plotting/interactive/explorer.js`, from two bytes for each value.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.plotting.interactive.html import figure_html, html_text, menu_options
from crbm_lite.plotting.interactive.page_data import encode, quantise_between
from crbm_lite.plotting.interactive.panels import Lines
from crbm_lite.plotting.style import PALETTE, SEQUENTIAL, SIGNED

if TYPE_CHECKING:
    from crbm_lite.plotting.interactive.panels import Cells, Control, Panels

__all__ = ["lines_within", "panels_data", "panels_html"]

_COLUMNS = "grid-template-columns:repeat(auto-fit,minmax(min(230px,100%),1fr))"
# Lighter relatives of the palette's first colours, for a dark page.
_ON_DARK = ("#56B4E9", "#FF8C3B", "#2EC99A", "#E3A6C6")


def lines_within(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Cut lines where they leave the limits: only the first point outside is kept.

    Drawn at the limit, all points outside would look like a plateau.

    Parameters
    ----------
    values : array of float, points along the last axis
    limits : (float, float)

    Returns
    -------
    array of float, same shape
        NaN where a line is cut.

    Examples
    --------
    >>> lines_within(np.array([0.0, 1.0, 2.0, 3.0]), (-1.0, 1.5))
    array([ 0.,  1.,  2., nan])
    """
    outside = (values < limits[0]) | (values > limits[1])
    first = np.zeros_like(outside)
    first[..., 1:] |= ~outside[..., :-1]
    first[..., :-1] |= ~outside[..., 1:]
    return np.where(outside & ~first, np.nan, values)


def panels_data(panels: Panels) -> dict:
    """Collect what explorer.js draws from.

    Parameters
    ----------
    panels : Panels

    Returns
    -------
    dict
        Strings, numbers and lists, ready for JSON.

    Examples
    --------
    >>> from crbm_lite.plotting.interactive.explorers import drelu_explorer
    >>> panels_data(drelu_explorer())["shape"]
    [4, 4, 7, 7]
    """
    return {
        "shape": list(panels.notes.shape),
        "texts": [list(control.texts) for control in panels.controls],
        "notes": panels.notes.ravel().tolist(),
        "panels": [_panel_data(panel) for panel in panels.panels],
        "light": list(PALETTE[:4]),
        "dark": list(_ON_DARK),
    }


def _panel_data(panel: Lines | Cells) -> dict:
    lines = isinstance(panel, Lines)
    rows, columns = panel.values.shape[-2:]
    values = lines_within(panel.values, panel.limits) if lines else panel.values
    shared = {
        "kind": "lines" if lines else "cells",
        "title": panel.title, "xlabel": panel.xlabel, "ylabel": panel.ylabel,
        "limits": list(panel.limits), "rows": rows, "columns": columns,
        "values": encode(quantise_between(values, panel.limits), "u2"),
    }  # fmt: skip
    if lines:
        return shared | {"x": np.round(panel.x, 4).tolist(), "x_texts": list(panel.x_texts)}
    names = {"x_texts": list(panel.columns), "y_texts": list(panel.rows)}
    limits = panel.colors().reshape(-1, 2).tolist()
    colors = list(SIGNED if panel.signed else SEQUENTIAL)
    return shared | names | {"colors": colors, "signed": panel.signed, "color_limits": limits}


def _control_html(control: Control, name: str) -> str:
    label = f'<label for="{name}">{html_text(control.label)}</label>'
    if control.is_menu:
        options = menu_options(control.texts, selected=control.start)
        return f'<span>{label} <select id="{name}">{options}</select></span>'
    return (
        f'<span>{label} <input type="range" id="{name}" min="0" max="{len(control.values) - 1}" '
        f'step="1" value="{control.start}"> <output for="{name}"></output></span>'
    )


def panels_html(panels: Panels) -> str:
    """Write the figure as HTML with its data inside, for a cell's output."""
    name = f"explorer-{uuid.uuid4().hex[:8]}"
    controls = "\n".join(
        _control_html(control, f"{name}-{k}") for k, control in enumerate(panels.controls)
    )
    inside = f"""<div class="crbm-explorer-controls"
 style="display:flex;flex-wrap:wrap;gap:0.3rem 1.5rem">
{controls}
</div>
<div class="crbm-explorer-panels" style="display:grid;gap:0.5rem;{_COLUMNS}"></div>
<p class="crbm-explorer-note" role="status"></p>"""
    return figure_html("explorer", name, inside, panels_data(panels))
