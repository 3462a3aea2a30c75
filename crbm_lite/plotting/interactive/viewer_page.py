"""The 3-D brain viewer as HTML: in a cell's output, or as a page with its data beside it.

No equations. What a page needs is plotly.js, `crbm_lite/plotting/interactive/viewer.js`, and the
viewer's data, quantised (`crbm_lite.plotting.interactive.page_data`). In a cell's output the data
travel with it. A saved page holds none: they lie in a script beside it, which is loaded when the
viewer comes into sight, and a script, unlike a request for data, may be loaded from ``file://`` as
well.
"""

from __future__ import annotations

import json
import os
import uuid
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import scipy.sparse

from crbm_lite.plotting.interactive.page_data import (
    encode,
    quantise_columns,
    quantise_places,
    quantise_weights,
    script_json,
)
from crbm_lite.plotting.interactive.viewer_figure import background_stride

if TYPE_CHECKING:
    from crbm_lite.plotting.interactive.viewer import AssemblyViewer

__all__ = ["fragment", "payload", "save_page"]

_SCRIPT = Path(__file__).with_name("viewer.js")
_HEIGHT_PX = 640
_HELP = (
    "Left and right arrow keys step through the assemblies, Home and End go to the first and the "
    "last. Drag to turn the brain."
)


def payload(viewer: AssemblyViewer) -> dict:
    """What viewer.js draws from: the empty figure, and all arrays, quantised and in base64.

    Parameters
    ----------
    viewer : AssemblyViewer

    Returns
    -------
    dict
        Of strings, numbers and lists, ready for JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite.plotting.interactive.viewer import view_assemblies
    >>> payload(view_assemblies(np.eye(3), np.eye(3)))["neurons"]
    3
    """
    steps, low, step = quantise_places(viewer.coordinates)
    weights, weight_step = quantise_weights(viewer.weights)
    labels = scipy.sparse.csc_array(viewer.labels)
    activity, activity_step = quantise_columns(viewer.activity)
    index = "u2" if len(viewer.coordinates) <= 2**16 else "u4"
    return {
        "figure": json.loads(viewer.figure().to_json()),
        "neurons": len(viewer.coordinates),
        "stride": background_stride(len(viewer.coordinates)),
        "frames": len(viewer.activity),
        "rate_hz": viewer.rate_hz,
        "units": list(viewer.unit_names),
        "regions": list(viewer.label_names),
        "unit_of_region": viewer.unit_of_region.tolist(),
        "notes": list(viewer.notes),
        "index": index,
        "low": low.tolist(),
        "step": step.tolist(),
        "places": encode(steps.T, "u2"),
        "outline": encode(viewer.outline.T, "f4"),
        "weight_starts": weights.indptr.tolist(),
        "weight_neurons": encode(weights.indices, index),
        "weights": encode(weights.data, "i1"),
        "weight_step": weight_step.tolist(),
        "label_starts": labels.indptr.tolist(),
        "label_neurons": encode(labels.indices, index),
        "activity": encode(activity.T, "i1"),
        "activity_step": activity_step.tolist(),
    }


def _controls(viewer: AssemblyViewer, name: str, mount: str) -> str:
    def options(names: tuple[str, ...], first: int) -> str:
        return "".join(
            f'<option value="{k}">{escape(text)}</option>' for k, text in enumerate(names, first)
        )

    n_units = len(viewer.unit_names)
    regions = options(viewer.label_names, n_units)
    regions = f'<optgroup label="Regions">{regions}</optgroup>' if regions else ""
    units = options(viewer.unit_names, 0)
    return f"""<div class="crbm-viewer" id="{name}">
<div class="crbm-viewer-controls">
<label for="{name}-choice">Show</label>
<select id="{name}-choice"><optgroup label="Assemblies">{units}</optgroup>{regions}</select>
<button type="button" data-step="-1">Previous</button>
<button type="button" data-step="1">Next</button>
</div>
<p class="crbm-viewer-note" role="status">Loading the viewer …</p>
<div class="crbm-viewer-plot" style="height: {_HEIGHT_PX}px" tabindex="0" role="group"
 aria-describedby="{name}-help"
 aria-label="Neurons of an assembly in the brain, and the trace of its hidden unit"></div>
<p class="crbm-viewer-help" id="{name}-help">{_HELP}</p>
<script>{_SCRIPT.read_text(encoding="utf-8")}</script>
<script>crbmViewer.mount({mount});</script>
</div>"""


def fragment(viewer: AssemblyViewer) -> str:
    """HTML of the viewer with its data inside, for a cell's output.

    plotly.js is taken from the page if it has it, else from where this book's pages keep it. Where
    plotly shows its own figures as HTML (its renderer "notebook", the default in Jupyter),
    plotly.js travels with the output, as it does with those.
    """
    import plotly.io
    from plotly.offline import get_plotlyjs

    name = f"viewer-{uuid.uuid4().hex[:8]}"
    library = ""
    if "notebook" in plotly.io.renderers.default.split("+"):
        library = f"<script>window.Plotly || (() => {{{get_plotlyjs()}}})();</script>\n"
    return library + _controls(viewer, name, f'"{name}",{script_json({"data": payload(viewer)})}')


def save_page(viewer: AssemblyViewer, path: str | os.PathLike) -> Path:
    """Write ``<name>.html``, ``<name>_data.js`` and ``plotly.min.js`` into one folder.

    The three open from a web server and from ``file://`` alike; keep them together.

    Parameters
    ----------
    viewer : AssemblyViewer
    path : path of the page, ending in .html

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    ValueError
        If the path does not end in .html.

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

    path = Path(path)
    if path.suffix != ".html":
        raise ValueError(f"path is {str(path)!r}: give a page's name, ending in .html")
    data, library = path.with_name(f"{path.stem}_data.js"), path.with_name("plotly.min.js")
    places = {"source": data.name, "plotly": library.name}
    body = _controls(viewer, "viewer", f'"viewer",{script_json(places)}')
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Assemblies</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>:root { color-scheme: light dark; }\n"
        "body { font: 16px sans-serif; margin: 1rem auto; max-width: 60rem; }</style>\n"
        f"</head><body><main><h1>Assemblies</h1>\n{body}\n</main></body></html>\n",
        encoding="utf-8",
    )
    arrays = script_json(payload(viewer))
    data.write_text(f'crbmViewer.receive("viewer",{arrays});\n', encoding="utf-8")
    library.write_text(get_plotlyjs(), encoding="utf-8")
    return path
