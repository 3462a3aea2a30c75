"""What a figure with sliders shows: its controls, and panels of lines or cells.

The panels are computed beforehand for all positions of the controls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Cells", "Control", "Lines", "Panels"]


@dataclass(frozen=True)
class Control:
    """A slider, or a menu if its values are texts.

    Parameters
    ----------
    label : str
    values : tuple of float or str
    start : int
        Position shown at first (default 0).
    """

    label: str
    values: tuple[float | str, ...]
    start: int = 0

    @property
    def is_menu(self) -> bool:
        """Whether the values are texts."""
        return any(isinstance(value, str) for value in self.values)

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as they are shown."""
        return tuple(v if isinstance(v, str) else f"{v:g}" for v in self.values)


@dataclass(frozen=True, eq=False)
class Lines:
    """A panel of lines; a line with one value is a dot, NaN is a gap.

    Parameters
    ----------
    title, xlabel, ylabel : str
    x : (K,) float
    values : (..., L, K) float
        Heights of L lines. The axes of the controls come first.
    limits : (float, float)
        Limits of the vertical axis.
    x_texts : tuple of K str, optional
        Written below the axis instead of numbers.
    """

    title: str
    xlabel: str
    ylabel: str
    x: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    limits: tuple[float, float]
    x_texts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Cells:
    """A panel of coloured cells.

    Parameters
    ----------
    title, xlabel, ylabel : str
    columns, rows : tuple of str
        Names along the axes, or nothing.
    values : (..., R, C) float
        The axes of the controls come first; NaN stays empty.
    limits : (float, float)
        Limits of the values; symmetric around 0 for signed values.
    color_limits : (..., 2) float, optional
        Limits of the colours for every position of the controls, if they are to be others: values
        beyond have the colour of the limit.
    """

    title: str
    xlabel: str
    ylabel: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: np.ndarray = field(repr=False)
    limits: tuple[float, float]
    color_limits: np.ndarray | None = field(default=None, repr=False)

    @property
    def signed(self) -> bool:
        """Whether the colours diverge from 0."""
        return self.limits[0] == -self.limits[1]

    def colors(self) -> np.ndarray:
        """Limits of the colours for every position of the controls, (..., 2)."""
        if self.color_limits is not None:
            return self.color_limits
        return np.broadcast_to(self.limits, (*self.values.shape[:-2], 2))


@dataclass(frozen=True, eq=False)
class Panels:
    """Panels that follow their controls.

    Parameters
    ----------
    controls : tuple of Control
    panels : tuple of Lines or Cells
    notes : array of str, shaped like the controls
        A sentence for every position.

    Raises
    ------
    ValueError
        If there is no panel, a control does not start at one of its values, an array does not have
        the shape that the controls ask for, or limits do not increase.
    """

    controls: tuple[Control, ...]
    panels: tuple[Lines | Cells, ...]
    notes: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        """Check that everything fits together."""
        shape = tuple(len(control.values) for control in self.controls)
        if np.shape(self.notes) != shape:
            raise ValueError(
                f"notes has shape {np.shape(self.notes)}: give {shape}, a sentence for every "
                "position of the controls"
            )
        if not self.panels:
            raise ValueError("panels is empty: give a panel to show")
        for control in self.controls:
            if not 0 <= control.start < len(control.values):
                raise ValueError(
                    f"start of control {control.label!r} is {control.start}: give 0 to "
                    f"{len(control.values) - 1}"
                )
        for panel in self.panels:
            what, given = f"panel {panel.title!r}", panel.values.shape
            low, high = panel.limits
            if not (low < high and np.isfinite(high - low)):
                raise ValueError(f"limits of {what} is {panel.limits}: give low < high")
            if given[: len(shape)] != shape or len(given) != len(shape) + 2:
                raise ValueError(
                    f"values of {what} has shape {given}: give {shape} and two more axes"
                )
            if isinstance(panel, Lines) and np.shape(panel.x) != given[-1:]:
                raise ValueError(
                    f"x of {what} has shape {np.shape(panel.x)}: give {given[-1:]}, as in values"
                )

    @property
    def start(self) -> tuple[int, ...]:
        """Position of every control at first."""
        return tuple(control.start for control in self.controls)
