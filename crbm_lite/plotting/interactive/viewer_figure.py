"""The plotly figure of the 3-D brain viewer, the same in pages and in live notebooks.

It has four traces: the outline of the brain, all neurons in grey, the chosen neurons, and below
them the activity of the hidden unit. The neurons of an assembly are coloured and sized by weight,
those of a region have the colour of their strongest unit. The outline is made of lines, or of the
triangles of a surface; then the ends of the axes are named.
`crbm_lite/plotting/interactive/viewer.js` takes the figure without a choice as its template and
fills the four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.plotting.interactive.html import html_text
from crbm_lite.plotting.style import COLOR_NEGATIVE, COLOR_POSITIVE, unit_symbol

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from crbm_lite.plotting.interactive.scene import Scene

__all__ = ["HOVER_UNIT", "background_stride", "color_limit", "draw_scene", "unit_color"]

_MOST_IN_BACKGROUND = 10_000  # neurons drawn in grey; more would hide the rest
_SATURATED = 0.05  # of the neurons, so that a few large weights do not make the others pale
_GREY = "#8A8A8A"
_GRID = {"gridcolor": "rgba(138,138,138,0.25)"}
_HOVER_WEIGHT = "%{text}<br>weight %{marker.color:.3f}<br>neuron %{customdata}<extra></extra>"
#: What pointing at a neuron of a region shows.
HOVER_UNIT = "%{text}<br>neuron %{customdata}<extra></extra>"
_COLORS = [[0.0, COLOR_NEGATIVE], [0.5, "#BDBDBD"], [1.0, COLOR_POSITIVE]]


def background_stride(n_neurons: int) -> int:
    """Give the step from one neuron that is drawn in grey to the next.

    Examples
    --------
    >>> background_stride(10_000), background_stride(10_001)
    (1, 2)
    """
    return -(-n_neurons // _MOST_IN_BACKGROUND)


def color_limit(weights: np.ndarray) -> float:
    """Give the |weight| from which colours are full: 5 % of the neurons exceed it.

    Examples
    --------
    >>> color_limit(np.append(np.full(20, -0.5), 9.0)), color_limit(np.zeros(0))
    (0.5, 1.0)
    """
    size = np.sort(np.abs(weights))
    if not size.any():
        return 1.0
    return float(size[int((1 - _SATURATED) * (len(size) - 1))] or size[-1])


def unit_color(unit: int) -> str:
    """Give a hidden unit its colour among many; -1, no unit, is grey.

    Examples
    --------
    >>> unit_color(0), unit_color(1), unit_color(-1)
    ('hsl(0, 65%, 45%)', 'hsl(138, 65%, 60%)', '#8A8A8A')
    """
    if unit < 0:
        return _GREY
    # Steps of the golden angle keep neighbours apart, however many there are.
    return f"hsl({round(unit * 137.508) % 360}, 65%, {(45, 60)[unit % 2]}%)"


def draw_scene(scene: Scene, choice: int | None = None) -> Figure:
    """Draw one choice of a scene; without a choice, draw the same figure with nothing in it.

    Parameters
    ----------
    scene : Scene
    choice : int, optional
        Index into ``scene.choices``.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If there is no such choice.

    Examples
    --------
    >>> from crbm_lite.plotting.interactive.viewer import view_assemblies
    >>> figure = draw_scene(view_assemblies(np.diag([1.0, 2.0, 0.5]), np.eye(3)), 1)
    >>> figure.data[2].marker.color, figure.data[2].x
    (array([2.]), array([0.]))
    """
    import plotly.graph_objects as go

    outline = background = places = np.empty((0, 3))
    neurons, weights, trace, regions = np.empty(0, int), np.empty(0), np.empty(0), []
    strongest = None
    if choice is not None:
        outline = scene.outline
        background = scene.coordinates[:: background_stride(len(scene.coordinates))]
        chosen = scene.selection(choice)
        neurons, weights = chosen.neurons, chosen.weights
        places = scene.coordinates[neurons]
        regions = [html_text(text) for text in scene.regions_of(neurons)]
        strongest = chosen.strongest
        trace = np.nan_to_num(scene.activity[:, chosen.unit])
        if scene.names is not None:
            neurons = [html_text(scene.names[i]) for i in neurons]
    limit = color_limit(weights)
    marker = {
        "size": 2.0 + 4.0 * np.minimum(np.abs(weights) / limit, 1.0),
        "color": weights,
        "cmin": -limit,
        "cmax": limit,
        "colorscale": _COLORS,
        "colorbar": {"title": "weight", "len": 0.5, "y": 0.65, "thickness": 12},
        "opacity": 0.85,
        "line": {"width": 0},
    }
    hover = _HOVER_WEIGHT
    if strongest is not None:
        marker |= {"color": [unit_color(unit) for unit in strongest], "showscale": False}
        for name in ("cmin", "cmax", "colorscale", "colorbar"):
            del marker[name]
        units = ["no unit" if k < 0 else scene.unit_names[k] for k in strongest]
        regions = [
            f"{region}<br>{unit}, weight {w:.3f}"
            for region, unit, w in zip(regions, units, weights, strict=True)
        ]
        hover = HOVER_UNIT
    return go.Figure(
        [
            _outline(scene, outline),
            go.Scatter3d(
                **_xyz(background),
                mode="markers",
                hoverinfo="skip",
                marker={"size": 1.2, "color": _GREY, "opacity": 0.25},
            ),
            go.Scatter3d(
                **_xyz(places),
                mode="markers",
                marker=marker,
                text=regions,
                customdata=neurons,
                hovertemplate=hover,
            ),
            go.Scatter(
                x=np.arange(len(trace)) / scene.rate_hz,
                y=trace,
                mode="lines",
                line={"color": COLOR_NEGATIVE, "width": 1},
                hoverinfo="x+y",
            ),
        ],
        _layout(scene),
    )


def _outline(scene: Scene, places: np.ndarray) -> object:
    """Draw lines, or the triangles of the surface; without places, an empty trace of that kind."""
    import plotly.graph_objects as go

    if scene.surface is None:
        line = {"color": _GREY, "width": 1.5}
        return go.Scatter3d(**_xyz(places), mode="lines", hoverinfo="skip", line=line)
    triangles = scene.surface[1] if len(places) else np.empty((0, 3), int)
    return go.Mesh3d(
        **_xyz(places),
        **dict(zip("ijk", triangles.T, strict=True)),
        color=_GREY,
        opacity=0.12,
        hoverinfo="skip",
        lighting={"ambient": 0.7, "diffuse": 0.5, "specular": 0.0},
    )


def _marks(low: np.ndarray, high: np.ndarray) -> list[dict]:
    """Name the ends of the axes of the body."""
    middle = (low + high) / 2
    ends = {"L": (0, low), "R": (0, high), "caudal": (1, low), "rostral": (1, high)}
    marks = []
    for text, (axis, end) in ends.items():
        place = middle.copy()
        place[axis] = end[axis]
        marks.append(
            dict(zip("xyz", place.tolist(), strict=True)) | {"text": text, "showarrow": False}
        )
    marks[-1]["xshift"] = -35  # pixels: the numbers of x stand at this end
    return marks


def _xyz(places: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip("xyz", places.T, strict=True))


def _layout(scene: Scene) -> dict:
    shown = np.concatenate([scene.coordinates, scene.outline])
    low, high = np.nanmin(shown, axis=0), np.nanmax(shown, axis=0)
    extent = np.maximum(high - low, max(0.05 * (high - low).max(), 1e-9))  # a plane has no height
    # Seen from above; an animal that is longer than wide lies with its nose (high y) to the left.
    lying = extent[1] > extent[0]
    eye, up = ((-0.9, 0, 1.2), (1, 0, 0)) if lying else ((0, -0.9, 1.2), (0, 1, 0))
    space = {
        "domain": {"x": [0, 1], "y": [0.24, 1]},
        "dragmode": "orbit",
        "aspectmode": "manual",
        "aspectratio": dict(zip("xyz", 2.8 * extent / extent.max(), strict=True)),
        "camera": {
            "eye": dict(zip("xyz", eye, strict=True)),
            "up": dict(zip("xyz", up, strict=True)),
            "projection": {"type": "orthographic"},
        },
    }
    if scene.surface is not None:
        space["annotations"] = _marks(low - 0.02 * extent, high + 0.02 * extent)
    for name, middle, length in zip("xyz", (low + high) / 2, extent, strict=True):
        space[f"{name}axis"] = {
            "title": "",  # a title would lie on the numbers of its axis
            "tickprefix": f"{name} ",
            "ticksuffix": f" {unit_symbol(scene.coordinate_unit)}",
            "tickangle": 0,  # else numbers stand on their heads with the axis
            "range": [middle - 0.52 * length, middle + 0.52 * length],
            "showtickprefix": "last",
            "showticksuffix": "last",
            "nticks": 6,
            "showbackground": False,
            "showgrid": False,
            "showspikes": False,
            "zeroline": False,
        }
    space["zaxis"]["showticklabels"] = False  # seen end on, they would collide
    given = len(scene.activity) > 0
    return {
        "template": "none",
        "height": 640,
        "showlegend": False,
        "uirevision": "keep the camera",
        "margin": {"l": 60, "r": 10, "t": 10, "b": 45},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": _GREY, "activecolor": COLOR_NEGATIVE},
        "font": {"color": "#333333"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "scene": space,
        "xaxis": {"title": "time (s)" if given else "no activity was given", "zeroline": False}
        | _GRID,
        "yaxis": {"title": "h (s.d.)", "domain": [0, 0.18], "zerolinecolor": _GREY} | _GRID,
    }
