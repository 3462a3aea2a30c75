r"""The atlas as a volume: where its regions lie, what is brain, and the surface around it.

The volume has 621 x 1406 x 138 voxels of 0.798 x 0.798 x 2 um, the grid of Z-Brain (Randlett et al.
2015). A voxel holds the number of its region, both sides alike, or 0. The publication's own
labelling of the neurons, a notebook of its repository, gives the voxel size and the sides:

- axis 0 runs from left to right: voxels 0 to 310 are left, 311 to 620 right;
- axis 1 runs from the nose to the tail;
- axis 2 runs from the back to the belly.

The labels of the eight fish agree: where the left half of a region has more voxels, it has more
neurons (:math:`r = 0.67` of the log ratios, 23 regions). Coordinates are in um; x runs from left to
right, y from tail to nose and z from belly to back, as in the simulated larva.

What the atlas leaves unlabelled is partly brain and partly water. *Brain* is here the closing of
the labelled voxels, but for the retina, by a ball of 25 um, with its holes filled; *unlabelled
tissue* is what lies inside it and has no region.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from crbm_lite.checks.arguments import as_numbers

__all__ = ["MIDLINE_UM", "AtlasVolume", "load_atlas_volume"]

_VOXEL_UM = np.array([0.798, 0.798, 2.0])
_LAST_LEFT = 310  # voxel of axis 0
_RETINA = 26
_CELL = (8, 8, 3)  # voxels in a cell of the mask of the brain: 6.4 x 6.4 x 6 um
_CLOSING = 4  # cells
#: x of the plane of symmetry, um: the middle of the volume.
MIDLINE_UM = 621 * 0.798 / 2


@dataclass(frozen=True, eq=False)
class AtlasVolume:
    """The regions of the atlas, voxel by voxel.

    Parameters
    ----------
    region : (621, 1406, 138) uint8
        0 where there is none, r + 1 in region r of ``Atlas.names[::2]``, both sides alike.
    """

    region: np.ndarray

    @cached_property
    def brain(self) -> np.ndarray:
        """(78, 176, 46) bool: the cells of 6.4 x 6.4 x 6 um that are brain, see the module."""
        from scipy.ndimage import binary_closing, binary_fill_holes, label

        middle = tuple(slice(c // 2, None, c) for c in _CELL)  # a cell is what its middle is
        labelled = (self.region[middle] > 0) & (self.region[middle] != _RETINA)
        ball = _ball(_CLOSING)
        margin = np.pad(labelled, _CLOSING)
        closed = binary_closing(margin, ball)
        closed = np.stack([binary_fill_holes(plane) for plane in closed.T]).T
        parts, _ = label(closed)
        largest = np.bincount(parts[closed]).argmax()  # without crumbs beside the eyes
        return (parts == largest)[(slice(_CLOSING, -_CLOSING),) * 3]

    @cached_property
    def _boxes(self) -> list[tuple[slice, ...] | None]:
        from scipy.ndimage import find_objects

        return find_objects(self.region)

    def draw_voxels(self, region: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw voxels of a region on its side, each with the same probability.

        Parameters
        ----------
        region : int
            Index into ``Atlas.names``: even ones are left.
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        (n,) int64
            Places in the volume, counted plane by plane.

        Raises
        ------
        ValueError
            If the volume lacks the region.
        """
        kind, right = divmod(region, 2)
        box = self._boxes[kind] if kind < len(self._boxes) else None
        if box is None:
            raise ValueError(f"region is {region}: give one that has voxels in the volume")
        middle = int(np.clip(_LAST_LEFT + 1, box[0].start, box[0].stop))
        side = slice(middle, box[0].stop) if right else slice(box[0].start, middle)
        box = (side, *box[1:])
        inside = self.region[box] == kind + 1
        drawn = rng.choice(np.flatnonzero(inside.T), size=n)
        place = np.unravel_index(drawn, inside.shape, order="F")
        place = [p + part.start for p, part in zip(place, box, strict=True)]
        return np.ravel_multi_index(place, self.region.shape, order="F")

    def draw_unlabelled(self, plane: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw voxels of unlabelled tissue in a plane (index of axis 2), (n,) int64."""
        i, j, k = _CELL
        brain = np.repeat(np.repeat(self.brain[:, :, plane // k], i, axis=0), j, axis=1)
        rows, columns, _ = self.region.shape
        inside = brain[:rows, :columns] & (self.region[:, :, plane] == 0)
        return rng.choice(np.flatnonzero(inside.T), size=n) + plane * rows * columns

    def plane_of(self, voxels: np.ndarray) -> np.ndarray:
        """Return the plane (index of axis 2) of voxels, (V,) int64."""
        return voxels // (self.region.shape[0] * self.region.shape[1])

    def coordinates_um(self, voxels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a place within each voxel, (V, 3) um; voxels as `draw_voxels` gives them."""
        place = np.stack(np.unravel_index(voxels, self.region.shape, order="F"), axis=1)
        place = place + rng.uniform(0.001, 0.999, size=place.shape)  # off the faces of the voxel
        place[:, 1:] = self.region.shape[1:] - place[:, 1:]
        return place * _VOXEL_UM

    def region_at(self, coordinates: np.ndarray) -> np.ndarray:
        """Look up the region at each place.

        Parameters
        ----------
        coordinates : (N, 3) float, um

        Returns
        -------
        (N,) int64
            Index into ``Atlas.names``; -1 where there is none.

        Raises
        ------
        ValueError
            If coordinates are not (N, 3).
        """
        place = as_numbers(coordinates, "coordinates") / _VOXEL_UM
        if place.ndim != 2 or place.shape[1] != 3:
            raise ValueError(f"coordinates has shape {place.shape}: give (N, 3), um")
        place[:, 1:] = self.region.shape[1:] - place[:, 1:]
        voxel = np.floor(place).astype(np.int64)
        inside = ((voxel >= 0) & (voxel < self.region.shape)).all(axis=1)
        kind = self.region[tuple(np.where(inside[:, None], voxel, 0).T)].astype(np.int64)
        side = voxel[:, 0] > _LAST_LEFT
        return np.where(inside & (kind > 0), 2 * (kind - 1) + side, -1)

    def outline(self, cell_um: float = 18.0) -> tuple[np.ndarray, np.ndarray]:
        """Wrap the brain in a mesh of triangles, some hundred kB as text.

        Parameters
        ----------
        cell_um : float
            Length of an edge, about (default 18 um).

        Returns
        -------
        vertices : (V, 3) float64, um
        triangles : (F, 3) int64
            Indices of vertices.

        Raises
        ------
        ValueError
            If the cells are not between 10 and 100 um.
        """
        from scipy.ndimage import gaussian_filter, zoom

        from crbm_lite.datasets.surfaces import surface_of

        if not 10 <= cell_um <= 100:
            raise ValueError(f"cell_um is {cell_um}: give 10 to 100 um")
        size_um = _VOXEL_UM * _CELL
        filled = np.pad(self.brain.astype(np.float64), 4)
        coarse = zoom(gaussian_filter(filled, 0.5 * cell_um / size_um), size_um / cell_um, order=1)
        step_um = size_um * (np.array(filled.shape) - 1) / (np.array(coarse.shape) - 1)
        vertices, triangles = surface_of(coarse, 0.5)
        places = vertices * step_um - 4 * size_um + size_um / 2
        places[:, 1:] = (_VOXEL_UM * self.region.shape)[1:] - places[:, 1:]
        return places, triangles


def _ball(radius: int) -> np.ndarray:
    offset = np.mgrid[(slice(-radius, radius + 1),) * 3]
    return (offset**2).sum(axis=0) <= radius**2


def load_atlas_volume(*, progress: bool = False) -> AtlasVolume:
    """Fetch the volume of the atlas (1.5 MB) and unpack it (120 MB, kept for the next call).

    Raises
    ------
    DatasetUnavailable
        If the atlas is neither at hand nor within reach.
    """
    from crbm_lite.datasets.registry import fetch

    name = "Combined_regions_MPIN_to_zbrain_labeled_matfile.mat"
    return _unpack(fetch(f"zebrafish-atlas/{name}", progress=progress).path)


@lru_cache(maxsize=1)
def _unpack(path: Path) -> AtlasVolume:
    from scipy.io import loadmat

    region = np.asfortranarray(loadmat(path)["imageStack"])  # its planes lie in one piece
    region.flags.writeable = False
    return AtlasVolume(region)
