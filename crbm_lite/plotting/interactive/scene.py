"""What the 3-D viewer shows: the neurons of a hidden unit or a region, their weights, the brain.

The neurons of a hidden unit are all that have a weight in it: those of its assembly, or of its two,
and those whose small weights have the other sign. The neurons of a region have the weight that is
largest in modulus over all units, and the colour of that unit, as in Fig. 1C; the trace is that of
the unit whose mean |w| is largest there. The brain is outlined by sections around its neurons,
or by a surface that is given, such as that of the atlas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse

from crbm_lite.assemblies.members import Assemblies, assemblies_of_weights, regional_occupancy
from crbm_lite.checks.arguments import as_numbers, is_integer

__all__ = ["Scene", "Selection", "brain_outline"]

_CELLS = 40  # of the longer side of a section


@dataclass(frozen=True, eq=False)
class Selection:
    """The neurons of one choice.

    Parameters
    ----------
    neurons : (K,) int
    weights : (K,) float64
    unit : int
        Column of the hidden unit whose trace belongs to the choice.
    strongest : (K,) int, or None
        In a region, the hidden unit of each neuron's weight, -1 where it has none.
    """

    neurons: np.ndarray
    weights: np.ndarray
    unit: int
    strongest: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """Assemblies in their brain.

    Parameters
    ----------
    weights : (N, M) float
    coordinates : (N, 3) float, in `coordinate_unit`
    labels : (N, R) bool
        Whether a neuron lies in a region.
    label_names : tuple of R str
    activity : (T, M) float
        Trace minus transition point; without frames if there is none.
    rate_hz : float
        Frames per second.
    unit_names : tuple of M str
        Names of the hidden units.
    names : tuple of N str, or None
        Names of the neurons, which have their numbers otherwise.
    coordinate_unit : str
    surface : ((V, 3) float, (F, 3) int), or None
        Vertices and triangles around the brain, x from left to right, y from tail to nose.
    """

    weights: np.ndarray = field(repr=False)
    coordinates: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    label_names: tuple[str, ...] = field(repr=False)
    activity: np.ndarray = field(repr=False)
    rate_hz: float
    unit_names: tuple[str, ...] = field(repr=False)
    names: tuple[str, ...] | None = field(repr=False)
    coordinate_unit: str
    surface: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    @property
    def choices(self) -> tuple[str, ...]:
        """Names of what can be chosen: first the M hidden units, then the R regions."""
        return self.unit_names + self.label_names

    @cached_property
    def outline(self) -> np.ndarray:
        """(P, 3) vertices of the surface, or lines around the brain with NaN between them."""
        return brain_outline(self.coordinates) if self.surface is None else self.surface[0]

    @cached_property
    def unit_of_region(self) -> np.ndarray:
        """(R,) hidden unit with the largest mean |w| over a region's neurons, 0 if it has none."""
        size = np.maximum(self.labels.sum(axis=0), 1)[:, None]
        return (self.labels.T.astype(np.float64) @ np.abs(self.weights) / size).argmax(axis=1)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """A sentence on each choice."""
        notes, found = [], assemblies_of_weights(self.weights)
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
                f"{name}: {_count(np.count_nonzero(w))}{_sides(found, unit, np.count_nonzero(w))}, "
                f"strongest weight {largest:.2f}{where}{switching}"
            )
        for name, member, unit in zip(self.label_names, self.labels.T, self.unit_of_region):
            notes.append(
                f"{name}: {_count(member.sum())}, coloured by strongest unit; trace of "
                f"{self.unit_names[unit]}"
            )
        return tuple(notes)

    def _switches(self, unit: int) -> bool:
        trace = self.activity[:, unit]
        return not len(trace) or bool(np.isfinite(trace).all() and np.ptp(trace) > 0)

    def selection(self, choice: int) -> Selection:
        """Select the neurons and weights of a choice, an index into `choices`.

        Raises
        ------
        ValueError
            If there is no such choice.
        """
        n_units = len(self.unit_names)
        whole = is_integer(choice)
        if not whole or not 0 <= choice < len(self.choices):
            raise ValueError(f"choice is {choice!r}: give 0 to {len(self.choices) - 1}")
        if choice < n_units:
            neurons = np.flatnonzero(self.weights[:, choice])
            return Selection(neurons, self.weights[neurons, choice], choice)
        region = choice - n_units
        neurons = np.flatnonzero(self.labels[:, region])
        strongest = np.abs(self.weights[neurons]).argmax(axis=1)
        weights = self.weights[neurons, strongest]
        strongest[weights == 0] = -1
        return Selection(neurons, weights, int(self.unit_of_region[region]), strongest)

    def regions_of(self, neurons: np.ndarray) -> list[str]:
        """List the regions of each neuron, their names joined by a comma."""
        rows = scipy.sparse.csr_array(self.labels[neurons])
        starts, names = rows.indptr, self.label_names
        return [
            ", ".join(names[r] for r in sorted(rows.indices[a:b])) or "no region"
            for a, b in zip(starts[:-1], starts[1:], strict=True)
        ]


def _sides(found: Assemblies, unit: int, n_drawn: int) -> str:
    """How many of a unit's neurons are in its assembly, or in its two, if they are not in one."""
    sizes = found.sizes[found.units == unit]
    if len(sizes) == 2:
        return f" in two assemblies, {sizes[0]:,} (+) and {sizes[1]:,} (\u2212)"
    rest = n_drawn - sizes.sum()
    return f", {sizes.sum():,} in its assembly and {rest:,} of the other sign" if rest else ""


def _count(n_neurons: int) -> str:
    return f"{n_neurons:,} neuron{'' if n_neurons == 1 else 's'}"


def brain_outline(coordinates: np.ndarray, n_sections: int = 8) -> np.ndarray:
    """Outline the recorded volume in horizontal sections.

    The line of a section is the contour that holds 97 % of its neurons in a smoothed density.

    Parameters
    ----------
    coordinates : (N, 3) float
    n_sections : int
        Most sections, of equal height (default 8). There are fewer where a section would have less
        than 400 neurons, and one where all neurons share one z.

    Returns
    -------
    (P, 3) float64, in the unit of the coordinates
        Closed lines with a row of NaN after each; empty where there are too few neurons.

    Examples
    --------
    >>> places = np.random.default_rng(0).uniform(size=(3000, 3)) * [300, 600, 0]
    >>> line = brain_outline(places)[:-1]
    >>> bool(np.ptp(line[:, 0]) > 250 and np.ptp(line[:, 1]) > 550)
    True
    """
    from contourpy import contour_generator
    from scipy.ndimage import gaussian_filter, map_coordinates

    places = as_numbers(coordinates, "coordinates")
    low, high = places.min(axis=0), places.max(axis=0)
    n_sections = min(n_sections, max(len(places) // 400, 1)) if high[2] > low[2] else 1
    edges = np.linspace(low[2], high[2], n_sections + 1)
    section = np.clip(np.searchsorted(edges, places[:, 2], side="right") - 1, 0, n_sections - 1)
    cell = max(*(high - low)[:2], 1e-9) / _CELLS
    lines = []
    for k in range(n_sections):
        inside = places[section == k][:, :2]
        if len(inside) < 10:
            continue
        sigma = np.clip(_CELLS / np.sqrt(len(inside)), 1.2, 4.0)  # cells
        pad = int(4 * sigma) + 1
        shape = np.ceil((high - low)[:2] / cell).astype(int) + 2 * pad + 1
        at = (inside - low[:2]) / cell + pad
        counts = np.zeros(shape)
        np.add.at(counts, tuple(np.round(at).astype(int).T), 1.0)
        density = gaussian_filter(counts, sigma)
        level = np.quantile(map_coordinates(density, at.T, order=1), 0.03)
        axes = [low[d] + cell * (np.arange(shape[d]) - pad) for d in (0, 1)]
        for line in contour_generator(*axes, density.T).lines(level):
            z = np.full(len(line), (edges[k] + edges[k + 1]) / 2)
            lines += [np.c_[line, z], np.full((1, 3), np.nan)]
    return np.concatenate(lines) if lines else np.empty((0, 3))
