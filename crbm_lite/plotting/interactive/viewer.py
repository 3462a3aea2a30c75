"""The 3-D brain viewer: choose an assembly or a region, see its neurons and its trace.

No equations. A plotly figure shows the neurons of one choice, coloured by weight, inside the
outline of the brain, with the trace of the hidden unit below. In a page the choice is made without
a kernel and without the network, by `crbm_lite/plotting/interactive/viewer.js`, which fills the
same figure from quantised data (`crbm_lite.plotting.interactive.page_data`); in a live notebook by
`crbm_lite.plotting.interactive.widgets.browse_assemblies`.

An assembly's neurons have its weights. A region's neurons have the weight that is largest in
modulus over all assemblies, as in Fig. 1C, with the trace of the assembly whose mean |w| is largest
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from crbm_lite.assemblies.members import regional_occupancy
from crbm_lite.checks.arguments import as_rate_hz
from crbm_lite.checks.arrays import (
    check_unique,
    finite_places,
    finite_weights,
    region_members,
    region_names,
)
from crbm_lite.plotting.interactive.page_data import brain_outline

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from plotly.graph_objects import Figure

__all__ = ["AssemblyViewer", "Selection", "view_assemblies"]


@dataclass(frozen=True, eq=False)
class Selection:
    """Neurons of one choice.

    Parameters
    ----------
    neurons : (K,) int
    weights : (K,) float64
    unit : int
        Column of the hidden unit whose trace belongs to the choice.
    """

    neurons: np.ndarray
    weights: np.ndarray
    unit: int


@dataclass(frozen=True, eq=False)
class AssemblyViewer:
    """Assemblies in their brain; `view_assemblies` makes it. The last line of a cell shows it.

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float, um
    labels : (N, R) bool
    label_names : tuple of R str
    activity : (T, M) float
        Without frames if no activity was given.
    rate_hz : float
    unit_names : tuple of M str
    """

    weights: np.ndarray = field(repr=False)
    coordinates: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    label_names: tuple[str, ...] = field(repr=False)
    activity: np.ndarray = field(repr=False)
    rate_hz: float
    unit_names: tuple[str, ...] = field(repr=False)

    @property
    def choices(self) -> tuple[str, ...]:
        """Names of what can be chosen: first the M assemblies, then the R regions."""
        return self.unit_names + self.label_names

    @cached_property
    def outline(self) -> np.ndarray:
        """(P, 3) lines around the brain, um, NaN between them."""
        return brain_outline(self.coordinates)

    @cached_property
    def unit_of_region(self) -> np.ndarray:
        """(R,) hidden unit with the largest mean |w| over a region's neurons, 0 if it has none."""
        size = np.maximum(self.labels.sum(axis=0), 1)[:, None]
        return (self.labels.T.astype(np.float64) @ np.abs(self.weights) / size).argmax(axis=1)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """A sentence on each choice."""
        notes = []
        place = [""] * len(self.unit_names)
        if self.label_names:
            occupancy = np.nan_to_num(regional_occupancy(self.weights, self.labels), nan=-1.0)
            place = [f", densest in {self.label_names[r]}" for r in occupancy.argmax(axis=0)]
        for unit, name in enumerate(self.unit_names):
            w = self.weights[:, unit]
            largest = w[np.abs(w).argmax()]
            where = place[unit] if largest else ""
            switching = "" if self._switches(unit) else ", never switches"
            notes.append(
                f"{name}: {np.count_nonzero(w)} neurons, strongest weight "
                f"{largest:.2f}{where}{switching}"
            )
        for region, name in enumerate(self.label_names):
            count = int(self.labels[:, region].sum())
            unit = self.unit_names[self.unit_of_region[region]]
            notes.append(f"{name}: {count} neurons, coloured by strongest weight; trace of {unit}")
        return tuple(notes)

    def _switches(self, unit: int) -> bool:
        trace = self.activity[:, unit]
        return not len(trace) or bool(np.isfinite(trace).all() and np.ptp(trace) > 0)

    def selection(self, choice: int) -> Selection:
        """Neurons and weights of a choice, an index into `choices`.

        Raises
        ------
        ValueError
            If there is no such choice.
        """
        n_units = len(self.unit_names)
        whole = isinstance(choice, int | np.integer) and not isinstance(choice, bool)
        if not whole or not 0 <= choice < len(self.choices):
            raise ValueError(f"choice is {choice!r}: give 0 to {len(self.choices) - 1}")
        if choice < n_units:
            neurons = np.flatnonzero(self.weights[:, choice])
            return Selection(neurons, self.weights[neurons, choice], choice)
        region = choice - n_units
        neurons = np.flatnonzero(self.labels[:, region])
        strongest = np.abs(self.weights[neurons]).argmax(axis=1)
        return Selection(
            neurons, self.weights[neurons, strongest], int(self.unit_of_region[region])
        )

    def regions_of(self, neurons: np.ndarray) -> list[str]:
        """Names of the regions of each neuron, joined by a comma."""
        rows = scipy.sparse.csr_array(self.labels[neurons])
        starts, names = rows.indptr, self.label_names
        return [
            ", ".join(names[r] for r in sorted(rows.indices[a:b])) or "no region"
            for a, b in zip(starts[:-1], starts[1:], strict=True)
        ]

    def figure(self, choice: int | None = None) -> Figure:
        """A plotly figure of a choice; see the module `viewer_figure`."""
        from crbm_lite.plotting.interactive.viewer_figure import viewer_figure

        return viewer_figure(self, choice)

    def _repr_html_(self) -> str:
        from crbm_lite.plotting.interactive.viewer_page import fragment

        return fragment(self)

    def save(self, path: str | os.PathLike) -> Path:
        """Write a page that needs no network, with its data and plotly.js beside it.

        See `crbm_lite.plotting.interactive.viewer_page.save_page`.
        """
        from crbm_lite.plotting.interactive.viewer_page import save_page

        return save_page(self, path)


def view_assemblies(
    weights: np.ndarray,
    coordinates: np.ndarray | None,
    *,
    labels: object = None,
    label_names: Sequence[str] | None = None,
    activity: np.ndarray | None = None,
    rate_hz: float = 1.0,
) -> AssemblyViewer:
    """Show assemblies in their brain; hidden units without weights are left out.

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float, um
    labels : (N, R) bool or scipy.sparse, optional
        Regions, to hover over and to choose.
    label_names : sequence of R str, optional
    activity : (T, M) float, optional
        Trace minus transition point, ``hidden_states(...).activity``.
    rate_hz : float
        Frames per second.

    Returns
    -------
    AssemblyViewer

    Raises
    ------
    ValueError
        If there are no coordinates, no hidden unit has weights, numbers are not finite, shapes do
        not fit together, a region's name occurs twice, or the rate is not positive. A trace of
        NaN is one that never switches.

    Examples
    --------
    >>> viewer = view_assemblies(np.eye(3), np.eye(3), labels=np.ones((3, 1)))
    >>> viewer.choices
    ('HU 0', 'HU 1', 'HU 2', 'region 0')
    >>> viewer.selection(3).weights
    array([1., 1., 1.])
    """
    weights = finite_weights(weights)
    places = finite_places(coordinates, len(weights))
    used = np.flatnonzero((weights != 0).any(axis=0))
    if not used.size:
        raise ValueError("weights are all 0: there is no assembly to show")
    if labels is None:
        labels = np.zeros((len(weights), 0), dtype=bool)
    labels = region_members(labels, len(weights)).toarray()
    names = region_names(label_names, labels.shape[1])
    check_unique(names, "label_names")
    rate_hz = as_rate_hz(rate_hz)
    activity = np.empty((0, weights.shape[1])) if activity is None else np.asarray(activity)
    fits = activity.ndim == 2 and activity.shape[1] == weights.shape[1]
    if not fits or activity.dtype.kind not in "fiub":
        raise ValueError(
            f"activity has shape {activity.shape}, dtype {activity.dtype}: give "
            f"(T, {weights.shape[1]}) numbers, time first"
        )
    if np.isinf(activity).any():
        raise ValueError("activity holds infinity: leave those units or frames out")
    kept = labels.any(axis=0)  # a region without neurons shows nothing
    return AssemblyViewer(
        weights[:, used].astype(np.float64), places, labels[:, kept],
        tuple(n for n, keep in zip(names, kept, strict=True) if keep),
        activity[:, used], rate_hz, tuple(f"HU {k}" for k in used),
    )  # fmt: skip
