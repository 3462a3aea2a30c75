"""The figure style and the palette, one for the whole package and its book.

No equations. Colours mean the same thing in every figure: data black, model blue, positive weights
vermilion, negative weights blue. The style lives in `crbm_lite/plotting/crbm_lite.mplstyle`; it is
applied while a function of `crbm_lite.plotting.figures` draws, and leaves matplotlib's global
settings alone.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    "PALETTE",
    "SEQUENTIAL",
    "SIGNED",
    "STYLE_FILE",
    "diverging_colormap",
    "own_axes",
    "sequential_colormap",
    "style",
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
# One hue, from little to much. Its palest differs from the page, where nothing is; and the negative
# that the book shows on a dark page still has the strongest contrast where there is most.
SEQUENTIAL = ("#C3DAEA", PALETTE[0], "#062A44")


@contextmanager
def style() -> Iterator[None]:
    """Apply the package's figure style inside a with-block.

    Examples
    --------
    >>> import matplotlib
    >>> with style():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    import matplotlib.style

    # A notebook's backend is loaded by the first figure and switches interactive mode on; leaving
    # the context would switch it off again, and no later figure would be shown.
    with matplotlib.style.context(STYLE_FILE):
        try:
            yield
        finally:
            interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)


def own_axes(ax: Axes | None, **keywords) -> Axes:
    """The axes given, or new ones made with `keywords` of ``plt.subplots``.

    Examples
    --------
    >>> float(own_axes(None, figsize=(3, 2)).figure.get_figwidth())
    3.0
    """
    import matplotlib.pyplot as plt

    return plt.subplots(**keywords)[1] if ax is None else ax


def diverging_colormap() -> Colormap:
    """Colours for signed values: negative blue, zero light grey, positive vermilion.

    Examples
    --------
    >>> from matplotlib.colors import to_hex
    >>> to_hex(diverging_colormap()(1.0)).upper() == COLOR_POSITIVE
    True
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("crbm_lite", SIGNED)


def sequential_colormap() -> Colormap:
    """Colours for amounts: little pale blue, much dark blue.

    Examples
    --------
    >>> from matplotlib.colors import to_hex
    >>> to_hex(sequential_colormap()(0.0)).upper() == SEQUENTIAL[0]
    True
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("crbm_lite_sequential", SEQUENTIAL)
