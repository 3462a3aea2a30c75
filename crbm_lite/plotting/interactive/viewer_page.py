"""The 3-D brain viewer as HTML: in a cell's output, or as a page with its data beside it.

A page needs plotly.js, `crbm_lite/plotting/interactive/viewer.js`, and the data of the scene,
quantised (`crbm_lite.plotting.interactive.page_data`). In a cell's output the data travel with it.
A saved page holds none: they lie in a script beside it, which is loaded when the viewer comes into
sight. A script, unlike a request for data, may be loaded from ``file://`` as well.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import scipy.sparse

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.whole import write_whole
from crbm_lite.plotting.interactive.html import figure_html, html_text, menu_options
from crbm_lite.plotting.interactive.page_data import (
    encode,
    quantise_columns,
    quantise_places,
    quantise_weights,
)
from crbm_lite.plotting.interactive.viewer_figure import (
    HOVER_UNIT,
    background_stride,
    draw_scene,
    unit_color,
)

if TYPE_CHECKING:
    from crbm_lite.plotting.interactive.scene import Scene

__all__ = ["save_page", "scene_data", "scene_html"]

_HEIGHT_PX = 640
_HELP = (
    "Left and right arrow keys step through the assemblies, Home and End go to the first and the "
    "last. Play shows one after the other. Drag to turn the brain."
)


def scene_data(scene: Scene) -> dict:
    """Collect what viewer.js draws from: the empty figure, and all arrays in base64.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    dict
        Strings, numbers and lists, ready for JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite.plotting.interactive.viewer import view_assemblies
    >>> scene_data(view_assemblies(np.eye(3), np.eye(3)))["neurons"]
    3
    """
    steps, low, step = quantise_places(scene.coordinates)
    weights, weight_step = quantise_weights(scene.weights)
    labels = scipy.sparse.csc_array(scene.labels)
    activity, activity_step = quantise_columns(scene.activity)
    index = "u2" if len(scene.coordinates) <= 2**16 else "u4"
    return {
        "figure": json.loads(draw_scene(scene).to_json()),
        "neurons": len(scene.coordinates),
        "names": None if scene.names is None else [html_text(name) for name in scene.names],
        "stride": background_stride(len(scene.coordinates)),
        "frames": len(scene.activity),
        "rate_hz": scene.rate_hz,
        "units": list(scene.unit_names),
        "regions": [html_text(name) for name in scene.label_names],
        "unit_of_region": scene.unit_of_region.tolist(),
        "notes": list(scene.notes),
        "index": index,
        "low": low.tolist(),
        "step": step.tolist(),
        "places": encode(steps.T, "u2"),
        "outline": encode(scene.outline.T, "f4"),
        "triangles": None if scene.surface is None else encode(scene.surface[1].T, "u4"),
        "unit_colors": [unit_color(k) for k in range(-1, len(scene.unit_names))],
        "region_hover": HOVER_UNIT,
        "weight_starts": weights.indptr.tolist(),
        "weight_neurons": encode(weights.indices, index),
        "weights": encode(weights.data, "i1"),
        "weight_step": weight_step.tolist(),
        "label_starts": labels.indptr.tolist(),
        "label_neurons": encode(labels.indices, index),
        "activity": encode(activity.T, "i1"),
        "activity_step": activity_step.tolist(),
    }


def _box(scene: Scene, name: str, data: dict) -> str:
    units = menu_options(scene.unit_names)
    regions = menu_options(scene.label_names, first=len(scene.unit_names), selected=-1)
    regions = f'<optgroup label="Regions">{regions}</optgroup>' if regions else ""
    inside = f"""<div class="crbm-viewer-controls">
<label for="{name}-choice">Show</label>
<select id="{name}-choice"><optgroup label="Assemblies">{units}</optgroup>{regions}</select>
<button type="button" data-step="-1">Previous</button>
<button type="button" data-step="1">Next</button>
<button type="button" data-play aria-pressed="false">Play</button>
</div>
<p class="crbm-viewer-note" role="status">Loading the viewer …</p>
<div class="crbm-viewer-plot" style="height: {_HEIGHT_PX}px" tabindex="0" role="group"
 aria-describedby="{name}-help"
 aria-label="Neurons of an assembly in the brain, and the trace of its hidden unit"></div>
<p class="crbm-viewer-help" id="{name}-help">{_HELP}</p>"""
    return figure_html("viewer", name, inside, data)


def scene_html(scene: Scene) -> str:
    """Write the viewer as HTML with its data inside, for a cell's output.

    plotly.js is taken from the page if it has it, else from where this book's pages keep it. Where
    plotly shows its own figures as HTML (its renderer "notebook", the default in Jupyter),
    plotly.js travels with the output, as it does with those.
    """
    import plotly.io
    from plotly.offline import get_plotlyjs

    library = ""
    if "notebook" in plotly.io.renderers.default.split("+"):
        library = f"<script>window.Plotly || (() => {{{get_plotlyjs()}}})();</script>\n"
    return library + _box(scene, f"viewer-{uuid.uuid4().hex[:8]}", {"scene": scene_data(scene)})


def save_page(scene: Scene, path: str | os.PathLike) -> Path:
    """Write ``<name>.html``, ``<name>_data.js`` and ``plotly.min.js`` into one folder.

    The three open from a web server and from ``file://`` alike; keep them together. Each of them
    is written whole or not at all, the page last.

    Parameters
    ----------
    scene : Scene
    path : path of the page, ending in .html

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    ValueError
        If the path does not end in .html.
    OSError
        If a file cannot be written; what stood there before is still there.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from crbm_lite.plotting.interactive.viewer import view_assemblies
    >>> page = save_page(view_assemblies(np.eye(3), np.eye(3)), f"{tempfile.mkdtemp()}/brain.html")
    >>> sorted(file.name for file in page.parent.iterdir())
    ['brain.html', 'brain_data.js', 'plotly.min.js']
    """
    from plotly.offline import get_plotlyjs

    path = as_path(path)
    if path.suffix != ".html":
        raise ValueError(f"path is {str(path)!r}: give the name of a page, ending in .html")
    data, library = path.with_name(f"{path.stem}_data.js"), path.with_name("plotly.min.js")
    addresses = {"source": quote(os.fsencode(data.name)), "plotly": library.name}
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Assemblies</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>:root { color-scheme: light dark; }\n"
        "body { font: 16px sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }\n"
        "</style></head><body><main><h1>Assemblies</h1>\n"
        f"{_box(scene, 'viewer', addresses)}\n</main></body></html>\n"
    )
    arrays = json.dumps(scene_data(scene))
    write_whole(library, get_plotlyjs().encode())
    write_whole(data, f'crbmViewer.receive("viewer",{arrays});\n'.encode())
    write_whole(path, page.encode())
    return path
