"""The figure style, the palette and the colour scales, one for the whole package and its book.

Colours mean the same thing in every figure: data are black, the model is blue, positive weights are
vermilion and negative weights are blue. Amounts, such as the entries of a region matrix, run from
pale to dark blue (`SEQUENTIAL`). The style lives in `crbm_lite/plotting/crbm_lite.mplstyle`. The
functions of `crbm_lite.plotting` apply it while they draw and leave matplotlib's global settings
alone; `use_style` sets these, for figures of your own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = [
    "COLOR_DATA",
    "COLOR_MODEL",
    "COLOR_NEGATIVE",
    "COLOR_POSITIVE",
    "PAIRED",
    "PALETTE",
    "SEQUENTIAL",
    "SIGNED",
    "STYLE_FILE",
    "diverging_colormap",
    "own_axes",
    "paired_colormap",
    "panel_letters",
    "sequential_colormap",
    "style_context",
    "unit_symbol",
    "use_style",
]

STYLE_FILE = Path(__file__).with_name("crbm_lite.mplstyle")

# Okabe and Ito's colours for the colour-blind, without the yellow that is too faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
COLOR_DATA = "#000000"
COLOR_MODEL = PALETTE[0]
COLOR_POSITIVE = PALETTE[1]
COLOR_NEGATIVE = PALETTE[0]
# Signed values, negative to positive.
SIGNED = (COLOR_NEGATIVE, "#E6E6E6", COLOR_POSITIVE)
# Two hidden units that share a picture, such as mirror images: one hue each, pale near 0.
PAIRED = (PALETTE[2], "#E6E6E6", "#7B3294")
# One hue, from little to much. The palest differs from the page, which shows where nothing is. A
# dark page of the book shows the negative; there, too, contrast is strongest where there is most.
SEQUENTIAL = ("#C3DAEA", PALETTE[0], "#062A44")


def use_style() -> None:
    """Draw all figures that follow in the package's style: one line at the top of a notebook.

    Examples
    --------
    >>> import matplotlib
    >>> with matplotlib.rc_context():  # as it was, afterwards
    ...     use_style()
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    import matplotlib.style

    matplotlib.style.use(STYLE_FILE)


@contextmanager
def style_context() -> Iterator[None]:
    """Apply the package's figure style inside a with-block.

    Examples
    --------
    >>> import matplotlib
    >>> with style_context():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    import matplotlib.style

    # The first figure of a notebook loads a backend, which switches interactive mode on. Leaving
    # the context would switch it off again, and no later figure would be shown.
    with matplotlib.style.context(STYLE_FILE):
        try:
            yield
        finally:
            interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)


def own_axes(ax: Axes | None, **keywords) -> Axes:
    """Return the axes given, or make new ones with `keywords` of ``plt.subplots``.

    Examples
    --------
    >>> float(own_axes(None, figsize=(3, 2)).figure.get_figwidth())
    3.0
    """
    import matplotlib.pyplot as plt

    return plt.subplots(**keywords)[1] if ax is None else ax


def panel_letters(axes: Iterable[Axes], first: str = "A") -> None:
    """Mark the panels of a figure with bold capitals, above their upper left corners.

    Parameters
    ----------
    axes : iterable of Axes, or arrays of them
        Panels, row by row.
    first : str
        Letter of the first one (default "A").

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure, axes = plt.subplots(2, 2)
    >>> panel_letters(axes)
    >>> axes[1, 1].texts[0].get_text()
    'D'
    """
    import numpy as np

    panels = np.concatenate([np.ravel(ax) for ax in axes])
    for k, ax in enumerate(panels):
        ax.annotate(
            chr(ord(first) + k),
            (0, 1),
            (-24, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            size=12,
            weight="bold",
        )


def unit_symbol(coordinate_unit: str) -> str:
    """Write a unit of coordinates as an axis shows it.

    Examples
    --------
    >>> unit_symbol("um"), unit_symbol("pixel")
    ('µm', 'pixel')
    """
    return "µm" if coordinate_unit == "um" else coordinate_unit


def diverging_colormap() -> Colormap:
    """Make colours for signed values: negative blue, zero light grey, positive vermilion.

    Examples
    --------
    >>> from matplotlib.colors import to_hex
    >>> to_hex(diverging_colormap()(1.0)).upper() == COLOR_POSITIVE
    True
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("crbm_lite", SIGNED)


def paired_colormap() -> Colormap:
    """Make colours for two hidden units in one picture: the first green, the second purple.

    Examples
    --------
    >>> from matplotlib.colors import to_hex
    >>> to_hex(paired_colormap()(0.0)).upper() == PAIRED[0]
    True
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("crbm_lite_paired", PAIRED)


def sequential_colormap() -> Colormap:
    """Make colours for amounts, from pale blue (little) to dark blue (much).

    Examples
    --------
    >>> from matplotlib.colors import to_hex
    >>> to_hex(sequential_colormap()(0.0)).upper() == SEQUENTIAL[0]
    True
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("crbm_lite_sequential", SEQUENTIAL)
