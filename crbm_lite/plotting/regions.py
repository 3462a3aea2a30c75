"""The region matrix: squares in a colour scale, which name their regions when pointed at.

The figure is plotly's and takes the width that the page has. Its colour scale is
`crbm_lite.plotting.style.SEQUENTIAL`, over log10 of the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.checks.arguments import as_array, as_texts
from crbm_lite.checks.arrays import check_unique
from crbm_lite.plotting.interactive.html import html_text
from crbm_lite.plotting.style import SEQUENTIAL

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["region_matrix"]


def region_matrix(
    matrix: np.ndarray,
    names: Sequence[str],
    label: str,
    *,
    row_names: Sequence[str] | None = None,
    short_names: Sequence[str] | None = None,
    letter: str = "",
    height_px: int = 600,
) -> Figure:
    """Draw the logarithm of a region matrix; pointing at a square shows its names and value.

    Parameters
    ----------
    matrix : (Q, R) array
        Values above 0 are coloured by log10; zeros and NaN stay empty.
    names : sequence of R str
        Names of the columns, and of the rows if there are no `row_names`; underscores are shown as
        spaces.
    label : str
        What the values are, with their unit if they have one.
    row_names : sequence of Q str, optional
        For a matrix whose rows are no regions, such as animals; it then fills the figure.
    short_names : sequence of R str, optional
        Written along the axes instead of `names`, which still show on hover.
    letter : str
        Capital that marks the matrix among others, in bold on top of it (default none).
    height_px : int
        Height of the figure (default 600).

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If names and matrix do not fit, a name occurs twice, the matrix holds infinity or no
        numbers, or no value is above 0.

    Examples
    --------
    >>> figure = region_matrix([[1.0, 0.1], [0.1, 0.0]], ["tectum_left", "tectum_right"], "|J|")
    >>> figure.data[0].x, figure.data[0].z.tolist()
    (('tectum left', 'tectum right'), [[0.0, -1.0], [-1.0, nan]])
    """
    import plotly.graph_objects as go

    values = as_array(matrix, "matrix")
    if values.dtype.kind not in "fiub" or np.isinf(values).any():
        raise ValueError("matrix holds infinity or no numbers: give (Q, R) finite values, or NaN")
    values = values.astype(np.float64)
    columns = _shown_names(names, "names")
    rows = columns if row_names is None else _shown_names(row_names, "row_names")
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"matrix has shape {values.shape}: give {len(rows)} rows and {len(columns)} columns, "
            "one for each name"
        )
    short = columns
    if short_names is not None:
        short = tuple(html_text(name) for name in as_texts(short_names, "short_names"))
    if len(short) != len(columns):
        raise ValueError(f"short_names has {len(short)} entries: give {len(columns)}, as in names")
    if not (values > 0).any():
        raise ValueError("matrix has no value above 0: give one that has something to show")
    scale = f"log10 {html_text(label)}"
    logs = np.log10(values, out=np.full_like(values, np.nan), where=values > 0)
    figure = go.Figure(
        go.Heatmap(
            z=logs.round(2),
            x=columns,
            y=rows,
            colorscale=list(SEQUENTIAL),
            meta=scale,
            hovertemplate="%{y}<br>%{x}<br>%{meta}: %{z}<extra></extra>",
            colorbar={
                "title": {"text": scale, "side": "top"},
                "orientation": "h", "y": 1.02, "yanchor": "bottom", "thickness": 12,
            },
        )
    )  # fmt: skip
    margin = {"t": 60, "l": 10, "r": 10, "b": 10}
    figure.update_layout(height=height_px, margin=margin, plot_bgcolor="white")
    if letter:
        figure.add_annotation(
            text=f"<b>{html_text(letter)}</b>", font={"size": 16}, showarrow=False,
            xref="paper", yref="paper", x=0, y=1.02, xanchor="right", yanchor="bottom", xshift=-4,
        )  # fmt: skip
    ticks = {
        "type": "category",  # names may look like numbers or dates
        "tickfont": {"size": 11}, "automargin": True, "constrain": "domain", "showgrid": False,
    }  # fmt: skip
    written = {"tickmode": "array", "tickvals": columns, "ticktext": short}
    figure.update_xaxes(tickangle=90, **written, **ticks)
    figure.update_yaxes(autorange="reversed", constraintoward="top", **ticks)
    if row_names is None:
        figure.update_yaxes(scaleanchor="x", **written)
    return figure


def _shown_names(names: Sequence[str], argument: str) -> tuple[str, ...]:
    shown = tuple(html_text(name.replace("_", " ")) for name in as_texts(names, argument))
    check_unique(shown, argument)  # rows and columns are told apart by their names
    return shown
