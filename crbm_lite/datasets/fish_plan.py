r"""The plan of assemblies that all simulated fish share, drawn on the atlas.

- An *antiphasic pair* lies in the anterior hindbrain, and each side *gates* one other assembly.
- A *pathway* runs from the thalamus to the caudal hindbrain.
- Eighteen *tiles* cover the tectum, nine on each side, the left ones mirror images of the right.
- Eight assemblies are *dispersed* over the whole brain.
- All others *span* two to six regions: a seed and targets q that are drawn with the weight
  :math:`S_{rq}^{a} e^{\zeta}, \zeta \sim N(0, \sigma^2)`, where S is the atlas' structural matrix;
  a tenth of the targets is drawn anywhere. Most have a mirror image.

A blob is the part of an assembly in one region: the neurons nearest to its centre. Its share of
the region is such that the blobs of a region together take each neuron 1.9 times on average. The
plan has one seed of its own. The three smallest fish have its first half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from crbm_lite.checks.arguments import is_integer
from crbm_lite.datasets.atlas import Atlas
from crbm_lite.datasets.atlas_volume import MIDLINE_UM, AtlasVolume

__all__ = ["FishAssembly", "plan_fish"]

_SEED = 83139  # of the plan, which belongs to the species
_MIN_NEURONS = 5  # of a region, on each side, on average over the fish
_CANDIDATES = 200  # places drawn in each region, among which centres are chosen
_COVERAGE = 1.9
_MOST = 0.5  # of a region in one blob
_EXPONENT = 0.7  # a
_SCATTER = 0.7  # sigma
_ANYWHERE = 0.1
_N_REGIONS = ((2, 3, 4, 5, 6), (0.05, 0.15, 0.25, 0.3, 0.25))
_TECTUM = 0.4  # of its weight as a target, for it is tiled
_MIRRORED = 0.7
_MIN_SEED = 10  # neurons of a region with seeds, on each side of every fish
_EVEN = 0.6  # how nearly an assembly takes the same share of all its regions, 0 to 1
_DISPERSED = 0.012  # share of all neurons in a dispersed assembly, median
# Regions of the special assemblies, on the right, with weights.
_ANTIPHASIC = {"MO_stripe_2": 1.0, "MO_stripe_3": 0.8, "MO_stripe_1": 0.5}
_GATED = {"Intermediate_reticular_formation": 1.0, "MO_stripe_4": 1.0}
_PATHWAY = {
    "Thalamus": 0.5, "Tegmentum": 0.7, "Intermediate_reticular_formation": 1.0,
    "Posterior_reticular_formation": 1.0, "MO_stripe_5": 0.7, "Vagus_motor_neurons": 0.7,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class FishAssembly:
    """One assembly of the plan, before a fish draws its own members.

    Parameters
    ----------
    name, kind : str
        Kind is "antiphasic", "gated", "pathway", "tile", "spanning" or "dispersed".
    regions : tuple of B int
        Region of each blob, an index into ``Atlas.names``; empty for a dispersed assembly.
    centres_um : (B, 3) float64
    shares : (B,) float64
        Share of each blob's region that are its members; (1,), of all neurons, if dispersed.
    mirror : int
        Place of the mirror image in the plan, or -1.
    """

    name: str
    kind: str
    regions: tuple[int, ...]
    centres_um: np.ndarray
    shares: np.ndarray
    mirror: int = -1


@dataclass(frozen=True, eq=False)
class _Ground:
    """What the plan is drawn on: regions in use, places in them, and the structure."""

    names: tuple[str, ...]
    regions: np.ndarray
    n_neurons: np.ndarray
    fewest: np.ndarray
    places: dict[int, np.ndarray]
    structure: np.ndarray


def plan_fish(atlas: Atlas, volume: AtlasVolume, n_assemblies: int = 200) -> list[FishAssembly]:
    """Plan the assemblies; the same call gives the same plan.

    Parameters
    ----------
    atlas : Atlas
    volume : AtlasVolume
    n_assemblies : int
        From 30 to 200 (default). Fewer are the first ones of the whole plan, with larger shares.

    Returns
    -------
    list of FishAssembly

    Raises
    ------
    ValueError
        If n_assemblies is out of range.
    """
    if not is_integer(n_assemblies) or not 30 <= n_assemblies <= 200:
        raise ValueError(f"n_assemblies is {n_assemblies!r}: give 30 to 200")
    rng = np.random.default_rng(_SEED)
    ground = _survey(atlas, volume, rng)
    plans = [*_special(ground), *_tiles(ground, rng)]
    n_blobs = np.zeros(len(atlas.names))
    while len(plans) < 200:
        if len(plans) % 20 == 0:
            share = np.array([_DISPERSED * np.exp(rng.normal(0, 0.4))])
            name = f"dispersed {len(plans)}"
            plans.append(FishAssembly(name, "dispersed", (), np.empty((0, 3)), share))
        else:
            plans += _spanning(ground, n_blobs, len(plans), rng)
    return _with_shares(plans[:n_assemblies], len(atlas.names))


def _survey(atlas: Atlas, volume: AtlasVolume, rng: np.random.Generator) -> _Ground:
    """Draw places in the regions; those on the left are images of those on the right."""
    regions = atlas.used_regions(_MIN_NEURONS)
    counts = atlas.n_neurons.mean(axis=0)
    both = np.repeat((counts[::2] + counts[1::2]) / 2, 2)
    fewest = atlas.n_neurons.min(axis=0)
    fewest = np.repeat(np.minimum(fewest[::2], fewest[1::2]), 2)
    places = {}
    for r in regions[1::2].tolist():
        voxels = volume.draw_voxels(r, _CANDIDATES, rng)
        places[r] = volume.coordinates_um(voxels, rng)
        places[r - 1] = _mirror_um(places[r])
    return _Ground(atlas.names, regions, both, fewest, places, atlas.structure)


def _mirror_um(places: np.ndarray) -> np.ndarray:
    return places * [-1, 1, 1] + [2 * MIDLINE_UM, 0, 0]


def _both_sides(
    name: str,
    kind: str,
    regions: tuple[int, ...],
    centres: np.ndarray,
    weights: np.ndarray,
    at: int,
) -> list[FishAssembly]:
    """Make an assembly and its mirror image, the left one first, from place `at` on."""
    images = [
        (regions, centres),
        (tuple(r ^ 1 for r in regions), _mirror_um(centres)),
    ]
    images.sort(key=lambda image: image[0][0] % 2)
    return [
        FishAssembly(f"{name} {side}", kind, *image, weights, mirror)
        for side, image, mirror in zip(("left", "right"), images, (at + 1, at), strict=True)
    ]


def _special(ground: _Ground) -> list[FishAssembly]:
    plans = []
    for kind, weights in (("antiphasic", _ANTIPHASIC), ("gated", _GATED)):
        regions = tuple(ground.names.index(f"{name}_right") for name in weights)
        centre = ground.places[regions[0]].mean(axis=0)
        centres = np.array([_nearest(ground.places[r], centre) for r in regions])
        share = np.array(list(weights.values()))
        plans += _both_sides(kind, kind, regions, centres, share, len(plans))
    regions = tuple(ground.names.index(f"{name}_right") for name in _PATHWAY)
    centres = np.array([ground.places[r].mean(axis=0) for r in regions])
    plans.append(
        FishAssembly("pathway", "pathway", regions, centres, np.array([*_PATHWAY.values()]))
    )
    return plans


def _tiles(ground: _Ground, rng: np.random.Generator) -> list[FishAssembly]:
    """Tile the tectum from nose to tail, each tile with a part of a region that is linked to it."""
    tectum = ground.names.index("Tectum_right")
    centres, _ = kmeans2(ground.places[tectum], 9, minit="++", rng=rng)
    reach = ground.structure[tectum, ground.regions] * (ground.regions % 2)
    reach[ground.regions == tectum] = 0.0
    plans = []
    for tile, centre in enumerate(centres[np.argsort(-centres[:, 1])]):
        partner = int(rng.choice(ground.regions, p=reach / reach.sum()))
        spots = np.array([centre, _nearest(rng.choice(ground.places[partner], size=20), centre)])
        weights = np.exp(rng.normal([0.0, -1.3], 0.2))
        name = f"tectum tile {tile}"
        plans += _both_sides(name, "tile", (tectum, partner), spots, weights, 5 + len(plans))
    return plans


def _spanning(
    ground: _Ground, n_blobs: np.ndarray, at: int, rng: np.random.Generator
) -> list[FishAssembly]:
    """Draw an assembly over two to six regions, with its mirror image or without."""
    weight = ground.n_neurons[ground.regions] ** 0.7 / (1 + n_blobs[ground.regions])
    tiled = np.array(["Tectum" in ground.names[r] for r in ground.regions])
    weight[tiled | (ground.fewest[ground.regions] < _MIN_SEED)] = 0.0
    seed = int(rng.choice(ground.regions, p=weight / weight.sum()))
    reach = ground.structure[seed, ground.regions] ** _EXPONENT
    reach *= np.exp(rng.normal(0, _SCATTER, size=reach.size))
    reach[tiled] *= _TECTUM
    reach /= reach.sum()
    reach = (1 - _ANYWHERE) * reach + _ANYWHERE / reach.size
    reach[ground.regions == seed] = 0.0
    n_targets = rng.choice(_N_REGIONS[0], p=_N_REGIONS[1]) - 1
    targets = rng.choice(ground.regions, size=n_targets, replace=False, p=reach / reach.sum())
    regions = (seed, *targets.tolist())
    centre = rng.choice(ground.places[seed])
    centres = [centre]
    for r in regions[1:]:  # compact: in each region near the seed, among a few places
        centres.append(_nearest(rng.choice(ground.places[r], size=20), centre))
    share = np.exp(rng.normal(0, 0.35, size=len(regions)))
    name = f"{'+'.join(ground.names[r] for r in regions)} {at}"
    plan = FishAssembly(name, "spanning", regions, np.array(centres), share)
    paired = rng.random() < _MIRRORED and {r ^ 1 for r in regions} != set(regions)
    plans = [plan]
    if paired and at % 20 != 19:  # the next place is kept for a dispersed one
        plans = _both_sides(name, "spanning", regions, np.array(centres), share, at)
    for plan in plans:
        np.add.at(n_blobs, list(plan.regions), 1)
    return plans


def _nearest(places: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return places[np.linalg.norm(places - centre, axis=1).argmin()]


def _with_shares(plans: list[FishAssembly], n_regions: int) -> list[FishAssembly]:
    """Turn the weights of the blobs into shares of their regions."""
    total = np.zeros(n_regions)
    for plan in plans:
        np.add.at(total, list(plan.regions), plan.shares[: len(plan.regions)])
    scaled = []
    for _k, plan in enumerate(plans):
        shares = plan.shares
        if plan.regions:
            shares = np.minimum(_MOST, _COVERAGE * shares / total[list(plan.regions)])
            if plan.kind == "spanning":
                shares = shares ** (1 - _EVEN) * np.exp(_EVEN * np.log(shares).mean())
        mirror = plan.mirror if plan.mirror < len(plans) else -1
        scaled.append(
            FishAssembly(plan.name, plan.kind, plan.regions, plan.centres_um, shares, mirror)
        )
    return scaled
