r"""The template of the simulated larva: regions, planted structure, a plan of assemblies.

Each side has ten regions. A region is an ellipsoid (the tectum is a shell) in a box of about
400 x 900 x 250 um: x runs from left to right with the midline at 200, y from the tail to the nose,
z from the belly to the back. This is a sketch of the brain of a larval zebrafish, not an atlas.

The planted structural connectivity between regions r and r' at distance d is

.. math:: S_{rr'} = \exp(-d_{rr'} / 200\,\mu m)\; e^{\xi_{rr'}}, \qquad \xi \sim N(0, 1),

and three times that between a region and its mirror image. It is zero for 40 % of the pairs. It is
symmetric and equal on the two sides, and its diagonal is zero. An assembly that spans two regions
is drawn with a probability proportional to S.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from crbm_lite.checks.arguments import as_count

__all__ = [
    "REGION_NAMES",
    "AssemblyPlan",
    "draw_dwell_times",
    "plan_assemblies",
    "plant_structure",
    "sample_inside",
    "sample_positions",
]

MIDLINE_UM = 200.0
# name: (centre from the midline, y, z), half axes, density, inner edge of the shell
_ANATOMY: dict[str, tuple[tuple, tuple, float, float]] = {
    "telencephalon": ((42, 795, 130), (50, 85, 70), 1.0, 0.0),
    "habenula": ((20, 712, 195), (22, 30, 24), 4.0, 0.0),
    "thalamus": ((32, 690, 125), (36, 55, 55), 1.2, 0.0),
    "hypothalamus": ((38, 645, 45), (46, 95, 40), 1.0, 0.0),
    "pretectum": ((62, 650, 165), (38, 42, 42), 1.2, 0.0),
    "tectum": ((100, 540, 165), (95, 125, 80), 1.2, 0.6),
    "tegmentum": ((36, 520, 85), (45, 95, 50), 1.0, 0.0),
    "cerebellum": ((55, 405, 185), (70, 45, 48), 1.5, 0.0),
    "anterior_hindbrain": ((45, 335, 110), (58, 90, 65), 1.0, 0.0),
    "posterior_hindbrain": ((34, 155, 95), (42, 150, 70), 0.8, 0.0),
}
#: Names of the regions. The left one of each pair comes first, so even indices are left.
REGION_NAMES: tuple[str, ...] = tuple(
    f"{name}_{side}" for name in _ANATOMY for side in ("left", "right")
)
_INDEX = {name: r for r, name in enumerate(REGION_NAMES)}


@dataclass(frozen=True)
class AssemblyPlan:
    """One assembly of the template, before an animal draws its own members.

    Parameters
    ----------
    name, kind : str
        Kind is "antiphasic", "tile", "dispersed", "compact" (one blob), "spanning" (two) or
        "projecting" (`crbm_lite.simulation.projections`).
    regions : tuple of int
        Region of each blob; empty for a dispersed assembly.
    centres_um : (B, 3) float64
        Centre of each blob.
    relative_size : float
        Its size in units of the mean size. For a tile the unit is its share of the tectum.
    active_s, inactive_s : float
        Mean dwell times.
    shares : tuple of float, optional
        The share of each blob's region that are its members. The size does not count then.
    """

    name: str
    kind: str
    regions: tuple[int, ...]
    centres_um: np.ndarray
    relative_size: float
    active_s: float
    inactive_s: float
    shares: tuple[float, ...] | None = None


def sample_inside(region: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n points uniformly in the ellipsoid or shell of a region, on its own side; (n, 3) um.

    Examples
    --------
    >>> points = sample_inside(1, 100, np.random.default_rng(0))
    >>> points.shape, bool((points[:, 0] > MIDLINE_UM).all())
    ((100, 3), True)
    """
    centre, axes, _, inner = list(_ANATOMY.values())[region // 2]
    points = np.empty((0, 3))
    while len(points) < n:
        cube = rng.uniform(-1, 1, size=(4 * n + 16, 3))
        radius = np.linalg.norm(cube, axis=1)
        cube = cube[(radius < 1) & (radius >= inner)] * axes + centre
        points = np.concatenate([points, cube[cube[:, 0] > 1.0]])  # 1 um off the midline
    points = points[:n]
    points[:, 0] = MIDLINE_UM + points[:, 0] * (1 if region % 2 else -1)
    return points


def _mirror(region: int) -> int:
    return region ^ 1


def _mirror_um(points: np.ndarray) -> np.ndarray:
    return np.asarray(points) * [-1, 1, 1] + [2 * MIDLINE_UM, 0, 0]


def _region_share() -> np.ndarray:
    """Return the relative number of neurons of each region, (R,)."""
    share = [
        density * np.prod(axes) * (1 - inner**3) for _, axes, density, inner in _ANATOMY.values()
    ]
    return np.repeat(share, 2)


def sample_positions(n_neurons: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Place neurons in the regions of one animal, in the space of the template.

    The number of neurons in a region varies by about 5 % between animals. The places are drawn anew
    for each animal.

    Parameters
    ----------
    n_neurons : int
    rng : numpy.random.Generator

    Returns
    -------
    coordinates : (N, 3) float64, um
    region : (N,) int64
        Index into REGION_NAMES, in increasing order.

    Examples
    --------
    >>> coordinates, region = sample_positions(500, np.random.default_rng(0))
    >>> coordinates.shape, len(np.unique(region))
    ((500, 3), 20)
    """
    share = _region_share() * np.exp(rng.normal(0, 0.05, size=len(REGION_NAMES)))
    edges = np.round(np.append(0, np.cumsum(share)) / share.sum() * n_neurons).astype(int)
    region = np.repeat(np.arange(len(REGION_NAMES)), np.diff(edges))
    points = [sample_inside(r, n, rng) for r, n in enumerate(np.diff(edges))]
    return np.concatenate(points), region


def plant_structure(rng: np.random.Generator) -> np.ndarray:
    """Draw the planted structural connectivity S of the module's docstring; (R, R) float64."""
    centre = np.array([centre for centre, *_ in _ANATOMY.values()], dtype=np.float64)
    left, right = centre * [-1, 1, 1], centre
    n = len(centre)
    blocks = []
    for other in (right, left):  # same side, then across
        distance = np.linalg.norm(right[:, None] - other[None], axis=2)
        strength = np.exp(-distance / 200.0 + rng.normal(size=(n, n)))
        strength[rng.random((n, n)) < 0.4] = 0.0
        blocks.append(np.triu(strength, 1) + np.triu(strength, 1).T)
    same, across = blocks
    homotopic = np.exp(-2 * right[:, 0] / 200.0 + rng.normal(size=n))
    np.fill_diagonal(across, 3 * homotopic)
    structure = np.empty((2 * n, 2 * n))
    structure[::2, ::2] = structure[1::2, 1::2] = same
    structure[::2, 1::2] = structure[1::2, ::2] = across
    return structure


def draw_dwell_times(rng: np.random.Generator) -> dict[str, float]:
    """Draw the mean times that an assembly stays active and inactive, in seconds.

    Examples
    --------
    >>> times = draw_dwell_times(np.random.default_rng(0))
    >>> 3 < times["active_s"] < 8 and 20 < times["inactive_s"] < 50
    True
    """
    return {
        "active_s": float(np.exp(rng.uniform(np.log(3), np.log(8)))),
        "inactive_s": float(np.exp(rng.uniform(np.log(20), np.log(50)))),
    }


def plan_assemblies(
    n_assemblies: int, structure: np.ndarray, rng: np.random.Generator
) -> list[AssemblyPlan]:
    """Plan the assemblies that all animals of a template share.

    There is an antiphasic pair in the anterior hindbrain. Tiles cover the tectum; those on one side
    mirror those on the other (18 tiles from 60 assemblies on, fewer below). A tenth of the
    assemblies are dispersed over the brain. Of the rest, half lie in one region and half span two,
    and some have a mirror image.

    Parameters
    ----------
    n_assemblies : int
        At least 8.
    structure : (R, R) float64
    rng : numpy.random.Generator

    Returns
    -------
    list of AssemblyPlan

    Raises
    ------
    ValueError
        If n_assemblies is below 8.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> plan = plan_assemblies(24, plant_structure(rng), rng)
    >>> len(plan), sorted({p.kind for p in plan})
    (24, ['antiphasic', 'compact', 'dispersed', 'spanning', 'tile'])
    """
    n_assemblies = as_count(n_assemblies, "n_assemblies", 8)
    plans = []
    artr = np.array([[MIDLINE_UM + 35, 340, 95]])
    for name in ("anterior_hindbrain_left", "anterior_hindbrain_right"):
        right = name.endswith("right")
        plans.append(
            AssemblyPlan(
                f"antiphasic {name}",
                "antiphasic",
                (_INDEX[name],),
                artr if right else _mirror_um(artr),
                0.8,
                15.0,
                19.0,
            )
        )

    n_tiles = 9 if n_assemblies >= 60 else max(1, round(n_assemblies / 8))
    right = _INDEX["tectum_right"]
    centres, _ = kmeans2(sample_inside(right, 4000, rng), n_tiles, minit="++", rng=rng)
    for tile, centre in enumerate(centres[np.argsort(centres[:, 1])]):
        for region in (_mirror(right), right):
            blob = centre[None] if region == right else _mirror_um(centre[None])
            plans.append(
                AssemblyPlan(
                    f"{REGION_NAMES[region]} tile {tile}",
                    "tile",
                    (region,),
                    blob,
                    0.9,
                    **draw_dwell_times(rng),
                )
            )

    for k in range(max(1, round(n_assemblies / 10))):
        nowhere, dwell = np.empty((0, 3)), draw_dwell_times(rng)
        plans.append(AssemblyPlan(f"dispersed {k}", "dispersed", (), nowhere, 1.0, **dwell))

    pairs = np.argwhere(np.triu(structure))
    pair_share = structure[tuple(pairs.T)] / structure[tuple(pairs.T)].sum()
    # The tiles cover the tectum. The other regions fill up in proportion to their neurons, except
    # for those that are too small for an assembly of nearly the mean size.
    room = _region_share() / _region_share().sum()
    room[[_INDEX["tectum_left"], _INDEX["tectum_right"]]] = 0.0
    room[room < min(0.75 / n_assemblies, room.max() / 2)] = 0.0
    blobs_of = {r: np.empty((0, 3)) for r in range(len(REGION_NAMES))}
    while len(plans) < n_assemblies:
        if rng.random() < 0.5:
            weight = room / [1 + len(blobs_of[r]) for r in range(room.size)]
            regions = (int(rng.choice(room.size, p=weight / weight.sum())),)
        else:
            regions = tuple(int(r) for r in pairs[rng.choice(len(pairs), p=pair_share)])
        centres = np.array([_far_from(blobs_of[r], sample_inside(r, 8, rng)) for r in regions])
        size = float(rng.uniform(0.7, 1.5))
        images = [(regions, centres)]
        mirrored = tuple(_mirror(r) for r in regions)
        if set(mirrored) != set(regions) and rng.random() < 0.3:
            images.append((mirrored, _mirror_um(centres)))
        for regions, centres in images[: n_assemblies - len(plans)]:
            for r, centre in zip(regions, centres, strict=True):
                blobs_of[r] = np.vstack([blobs_of[r], centre])
            plans.append(
                AssemblyPlan(
                    f"{' + '.join(REGION_NAMES[r] for r in regions)} {len(plans)}",
                    "spanning" if len(regions) > 1 else "compact",
                    regions,
                    centres,
                    size,
                    **draw_dwell_times(rng),
                )
            )
    return plans


def _far_from(others: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Choose the candidate that is farthest from all others, or the first if there are none."""
    if not len(others):
        return candidates[0]
    distance = np.linalg.norm(candidates[:, None] - others[None], axis=2).min(axis=1)
    return candidates[np.argmax(distance)]
