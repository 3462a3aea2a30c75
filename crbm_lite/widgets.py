"""Widgets of a live notebook, over the figures that the pages show without a kernel.

No equations. ipywidgets is needed only here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipywidgets import VBox

    from crbm_lite.viewer import AssemblyViewer

__all__ = ["browse_assemblies"]


def browse_assemblies(viewer: AssemblyViewer) -> VBox:
    """Choose an assembly or a region from a list, or step through them, in a live notebook.

    Parameters
    ----------
    viewer : AssemblyViewer
        As `crbm_lite.viewer.view_assemblies` makes it.

    Returns
    -------
    ipywidgets.VBox
        The list (a Dropdown) with two buttons, a note, and the figure.

    Examples
    --------
    Outside of a notebook a figure is shown as text:

    >>> import numpy as np
    >>> from crbm_lite.viewer import view_assemblies
    >>> box = browse_assemblies(view_assemblies(np.eye(3), np.eye(3)))
    Figure({...})
    >>> box.children[0].children[0].value = 2
    Figure({...})
    >>> box.children[1].value
    'HU 2: 1 neurons, strongest weight 1.00'
    """
    import ipywidgets
    from IPython.display import display

    n_units = len(viewer.unit_names)
    menu = ipywidgets.Dropdown(
        options=[(name, k) for k, name in enumerate(viewer.choices)], description="Show"
    )
    back, forth = (ipywidgets.Button(description=text) for text in ("Previous", "Next"))
    note = ipywidgets.Label()
    # A fixed height: the page must not jump while one figure takes the place of another.
    output = ipywidgets.Output(layout={"min_height": "650px"})

    def show(_: object = None) -> None:
        note.value = viewer.notes[menu.value]
        output.outputs = ()
        with output:
            display(viewer.figure(menu.value))

    def step(by: int) -> None:
        inside = menu.value < n_units
        menu.value = (menu.value + by) % n_units if inside else (0 if by > 0 else n_units - 1)

    back.on_click(lambda _: step(-1))
    forth.on_click(lambda _: step(1))
    menu.observe(show, "value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([menu, back, forth]), note, output])
