"""A figure with sliders as HTML: in a cell's output, without a kernel and without a network.

No equations. The browser draws with `crbm_lite/plotting/interactive/explorer.js`, from two bytes a
value: 0 to 65,534 are steps between the limits of the panel, 65,535 is NaN.
"""

from __future__ import annotations

import uuid
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.plotting.interactive.explorer import Lines
from crbm_lite.plotting.interactive.page_data import encode, script_json
from crbm_lite.plotting.style import PALETTE, SEQUENTIAL, SIGNED

if TYPE_CHECKING:
    from crbm_lite.plotting.interactive.explorer import Cells, Control, Explorer

__all__ = ["fragment", "payload", "quantise", "within"]

_SCRIPT = Path(__file__).with_name("explorer.js")
_STEPS = 65534
_COLUMNS = "grid-template-columns:repeat(auto-fill,minmax(min(260px,100%),1fr))"
# Lighter relatives of the palette's first colours, for a dark page.
_ON_DARK = ("#56B4E9", "#FF8C3B", "#2EC99A", "#E3A6C6")


def quantise(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Steps of 1/65,534 of the limits, what lies outside of them at the limit; NaN is 65,535.

    Parameters
    ----------
    values : array of float
    limits : (float, float)

    Returns
    -------
    array of uint16, same shape

    Examples
    --------
    >>> quantise(np.array([-1.0, 0.0, 1.0, 9.0, np.nan]), (-1.0, 1.0))
    array([    0, 32767, 65534, 65534, 65535], dtype=uint16)
    """
    low, high = limits
    steps = np.rint(np.clip((values - low) / (high - low), 0, 1) * _STEPS)
    return np.where(np.isnan(values), _STEPS + 1, steps).astype(np.uint16)


def within(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Lines cut where they leave the limits: NaN but for the first point outside.

    Drawn at the limit, what lies outside would look like a plateau.

    Parameters
    ----------
    values : array of float, points along the last axis
    limits : (float, float)

    Returns
    -------
    array of float, same shape

    Examples
    --------
    >>> within(np.array([0.0, 1.0, 2.0, 3.0]), (-1.0, 1.5))
    array([ 0.,  1.,  2., nan])
    """
    outside = (values < limits[0]) | (values > limits[1])
    first = np.zeros_like(outside)
    first[..., 1:] |= ~outside[..., :-1]
    first[..., :-1] |= ~outside[..., 1:]
    return np.where(outside & ~first, np.nan, values)


def payload(explorer: Explorer) -> dict:
    """What explorer.js draws from, ready for JSON.

    Parameters
    ----------
    explorer : Explorer

    Returns
    -------
    dict
        Of strings, numbers and lists.

    Examples
    --------
    >>> from crbm_lite.plotting.interactive.explorers import drelu_explorer
    >>> payload(drelu_explorer())["shape"]
    [4, 4, 7, 7]
    """
    return {
        "shape": list(explorer.notes.shape),
        "texts": [list(control.texts) for control in explorer.controls],
        "notes": explorer.notes.ravel().tolist(),
        "panels": [_panel(panel) for panel in explorer.panels],
        "light": list(PALETTE[:4]),
        "dark": list(_ON_DARK),
    }


def _panel(panel: Lines | Cells) -> dict:
    lines = isinstance(panel, Lines)
    rows, columns = panel.values.shape[-2:]
    values = within(panel.values, panel.limits) if lines else panel.values
    shared = {
        "kind": "lines" if lines else "cells",
        "title": panel.title, "xlabel": panel.xlabel, "ylabel": panel.ylabel,
        "limits": list(panel.limits), "rows": rows, "columns": columns,
        "values": encode(quantise(values, panel.limits), "u2"),
    }  # fmt: skip
    if lines:
        return shared | {"x": np.round(panel.x, 4).tolist(), "x_texts": list(panel.x_texts)}
    names = {"x_texts": list(panel.columns), "y_texts": list(panel.rows)}
    limits = list(panel.color_limits or panel.limits)
    colors = list(SIGNED if panel.signed else SEQUENTIAL)
    return shared | names | {"colors": colors, "signed": panel.signed, "color_limits": limits}


def _control(control: Control, name: str) -> str:
    label = f'<label for="{name}">{escape(control.label)}</label>'
    if any(isinstance(value, str) for value in control.values):
        marks = [" selected" if k == control.start else "" for k in range(len(control.values))]
        options = "".join(
            f'<option value="{k}"{mark}>{escape(text)}</option>'
            for k, (mark, text) in enumerate(zip(marks, control.texts))
        )
        return f'<span>{label} <select id="{name}">{options}</select></span>'
    return (
        f'<span>{label} <input type="range" id="{name}" min="0" max="{len(control.values) - 1}" '
        f'step="1" value="{control.start}"> <output for="{name}"></output></span>'
    )


def fragment(explorer: Explorer) -> str:
    """HTML of the figure with its data inside, for a cell's output."""
    name = f"explorer-{uuid.uuid4().hex[:8]}"
    controls = "\n".join(
        _control(control, f"{name}-{k}") for k, control in enumerate(explorer.controls)
    )
    data = script_json(payload(explorer))
    return f"""<div class="crbm-explorer" id="{name}">
<div class="crbm-explorer-controls" style="display:flex;flex-wrap:wrap;gap:0.3rem 1.5rem">
{controls}
</div>
<div class="crbm-explorer-panels" style="display:grid;gap:0.5rem;{_COLUMNS}"></div>
<p class="crbm-explorer-note" role="status"></p>
<script>{_SCRIPT.read_text(encoding="utf-8")}</script>
<script>crbmExplorer.mount("{name}",{data});</script>
</div>"""
