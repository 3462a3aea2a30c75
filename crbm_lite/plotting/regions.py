"""A matrix of brain regions to point at: names on hover, in the order given.

No equations. The figure is plotly's; it takes the width that the page has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

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
    height_px: int = 600,
) -> Figure:
    """Draw the logarithm of a region matrix as squares that tell their names and value.

    Parameters
    ----------
    matrix : (Q, R) array
        Values above 0 are coloured by log10; zeros and NaN stay empty.
    names : sequence of R str
        Of the columns, and of the rows without `row_names`; underscores are shown as spaces.
    label : str
        What the values are, with their unit if they have one.
    row_names : sequence of Q str, optional
        For a matrix that is not of regions with regions; it then fills the figure.
    short_names : sequence of R str, optional
        Written along the axes in place of `names`, which still show on hover.
    height_px : int

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If names and matrix do not fit, a name occurs twice, the matrix holds infinity or no
        numbers, or nothing is above 0.

    Examples
    --------
    >>> figure = region_matrix([[1.0, 0.1], [0.1, 0.0]], ["tectum_left", "tectum_right"], "|J|")
    >>> figure.data[0].x, figure.data[0].z.tolist()
    (('tectum left', 'tectum right'), [[0.0, -1.0], [-1.0, nan]])
    """
    import plotly.graph_objects as go

    values = np.asarray(matrix)
    if values.dtype.kind not in "fiub" or np.isinf(values).any():
        raise ValueError("matrix holds infinity or no numbers: give (Q, R) finite values, or NaN.")
    if names is None:
        raise ValueError("names is None: give the name of each column.")
    values = values.astype(np.float64)
    columns = [str(name).replace("_", " ") for name in names]
    rows = columns if row_names is None else [str(name).replace("_", " ") for name in row_names]
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"matrix has shape {values.shape} for {len(rows)} row and {len(columns)} column names."
        )
    if len(set(columns)) < len(columns) or len(set(rows)) < len(rows):
        raise ValueError("names holds a name twice: rows and columns are told apart by them.")
    if short_names is not None and len(short_names) != len(columns):
        raise ValueError(f"short_names has {len(short_names)} entries for {len(columns)} names.")
    if not (values > 0).any():
        raise ValueError("matrix has no value above 0: there is nothing to show.")
    logs = np.log10(values, out=np.full_like(values, np.nan), where=values > 0)
    figure = go.Figure(
        go.Heatmap(
            z=logs.round(2),
            x=columns,
            y=rows,
            colorscale=list(SEQUENTIAL),
            hovertemplate=f"%{{y}}<br>%{{x}}<br>log10 {label}: %{{z}}<extra></extra>",
            colorbar={
                "title": {"text": f"log10 {label}", "side": "top"},
                "orientation": "h", "y": 1.02, "yanchor": "bottom", "thickness": 12,
            },
        )
    )  # fmt: skip
    margin = {"t": 60, "l": 10, "r": 10, "b": 10}
    figure.update_layout(height=height_px, margin=margin, plot_bgcolor="white")
    short = columns if short_names is None else [str(name) for name in short_names]
    ticks = {"tickfont": {"size": 9}, "automargin": True, "constrain": "domain", "showgrid": False}
    written = {"tickmode": "array", "tickvals": columns, "ticktext": short}
    figure.update_xaxes(tickangle=90, **written, **ticks)
    figure.update_yaxes(autorange="reversed", constraintoward="top", **ticks)
    if row_names is None:
        figure.update_yaxes(scaleanchor="x", **written)
    return figure
