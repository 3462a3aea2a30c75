"""Widgets of a live notebook, over the figures that the pages show without a kernel.

Only this module needs ipywidgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipywidgets import Output, VBox

    from crbm_lite.plotting.interactive.explorer import Explorer
    from crbm_lite.plotting.interactive.panels import Control
    from crbm_lite.plotting.interactive.viewer import AssemblyViewer

__all__ = ["browse_assemblies", "explore"]


def _show_in(output: Output, figure: object) -> None:
    from IPython import get_ipython
    from IPython.display import clear_output, display

    with output:
        if get_ipython() is not None:  # elsewhere it would print control characters
            # The page clears, not this process: it knows what it shows, however fast the clicks.
            clear_output(wait=True)
        display(figure)


def browse_assemblies(viewer: AssemblyViewer) -> VBox:
    """Choose an assembly or a region from a menu, or step through them, in a live notebook.

    Parameters
    ----------
    viewer : AssemblyViewer
        As `crbm_lite.plotting.interactive.viewer.view_assemblies` makes it.

    Returns
    -------
    ipywidgets.VBox
        The menu with two buttons, a note, and the figure.

    Examples
    --------
    Outside of a notebook a figure is shown as text:

    >>> import numpy as np
    >>> from crbm_lite.plotting.interactive.viewer import view_assemblies
    >>> box = browse_assemblies(view_assemblies(np.eye(3), np.eye(3)))
    Figure({...})
    >>> box.children[0].children[0].value = 2
    Figure({...})
    >>> box.children[1].value
    'HU 2: 1 neuron, strongest weight 1.00'
    """
    import ipywidgets

    n_units = len(viewer.unit_names)
    menu = ipywidgets.Dropdown(
        options=[(name, k) for k, name in enumerate(viewer.choices)], description="Show"
    )
    back, forth = (ipywidgets.Button(description=text) for text in ("Previous", "Next"))
    note = ipywidgets.Label()
    # A fixed height keeps the page from jumping while one figure replaces another.
    output = ipywidgets.Output(layout={"min_height": "650px"})

    def show(_: object = None) -> None:
        note.value = viewer.notes[menu.value]
        _show_in(output, viewer.figure(menu.value))

    def step(by: int) -> None:
        inside = menu.value < n_units
        menu.value = (menu.value + by) % n_units if inside else (0 if by > 0 else n_units - 1)

    back.on_click(lambda _: step(-1))
    forth.on_click(lambda _: step(1))
    menu.observe(show, "value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([menu, back, forth]), note, output])


def explore(explorer: Explorer) -> VBox:
    """Move the sliders of a figure in a live notebook, where matplotlib draws it anew.

    Parameters
    ----------
    explorer : Explorer
        As the functions of `crbm_lite.plotting.interactive.explorers` make it.

    Returns
    -------
    ipywidgets.VBox
        A slider or menu for each control, a note, and the figure.

    Examples
    --------
    Outside of a notebook a figure is shown as text:

    >>> from crbm_lite.plotting.interactive.explorers import selection_surface
    >>> surfaces = {"score": [[0.1, 0.2]], "nLLH": [[0.3, 0.1]]}
    >>> box = explore(selection_surface([2], [0.01, 0.02], surfaces))
    Figure(...)
    >>> box.children[0].value = "nLLH"
    Figure(...)
    >>> box.children[1].value
    'nLLH: largest at M = 2, λ = 0.01, where it is 0.30'
    """
    import ipywidgets
    import matplotlib.pyplot as plt

    def chooser(control: Control) -> ipywidgets.Widget:
        kind = ipywidgets.Dropdown if control.is_menu else ipywidgets.SelectionSlider
        return kind(
            options=control.texts, index=control.start, description=control.label,
            style={"description_width": "initial"},
        )  # fmt: skip

    choosers = [chooser(control) for control in explorer.controls]
    note = ipywidgets.Label()
    output = ipywidgets.Output(layout={"min_height": "300px"})  # the page must not jump

    def show(_: object = None) -> None:
        position = tuple(chooser.index for chooser in choosers)
        note.value = explorer.notes[position]
        figure = explorer.draw(position)
        _show_in(output, figure)
        plt.close(figure)

    for chooser in choosers:
        chooser.observe(show, "index")
    show()
    return ipywidgets.VBox([*choosers, note, output])
