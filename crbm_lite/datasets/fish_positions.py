"""Where the neurons of a simulated fish lie: so many in each region, in voxels of that region.

At full size every neuron of the paper's fish has a counterpart with the same label. A smaller fish
keeps a share of each region, rounded by largest remainders so that the counts add up. A neuron
lies anywhere in the voxels of its region and side. One without a label lies in unlabelled tissue
(`crbm_lite.datasets.atlas_volume`), in the plane of a labelled one: the microscope did not reach
the belly.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.datasets.atlas_volume import AtlasVolume

__all__ = ["place_neurons", "share_out", "thin_labels"]


def share_out(counts: np.ndarray, scale: float) -> np.ndarray:
    """Scale counts by largest remainders: they add up to the scaled total.

    Parameters
    ----------
    counts : (R,) int
    scale : float in (0, 1]

    Returns
    -------
    (R,) int64
        None is above its count.

    Examples
    --------
    >>> share_out(np.array([4, 3, 3]), 0.5)
    array([2, 2, 1])
    """
    wanted = scale * np.asarray(counts)
    kept = np.floor(wanted).astype(np.int64)
    missing = round(scale * int(np.sum(counts))) - kept.sum()
    kept[np.argsort(kept - wanted, kind="stable")[:missing]] += 1
    return kept


def thin_labels(labels: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Keep a share of the neurons of each region, in their order.

    Parameters
    ----------
    labels : (N,) int
        Region of each neuron, -1 where it has none.
    scale : float in (0, 1]
    rng : numpy.random.Generator

    Returns
    -------
    (round(scale N),) int

    Examples
    --------
    >>> thin_labels(np.array([3, -1, 3, -1]), 0.5, np.random.default_rng(0)).tolist()
    [3, -1]
    """
    _, where = np.unique(labels, return_inverse=True)
    counts = share_out(np.bincount(where), scale)
    kept = [rng.permutation(np.flatnonzero(where == r))[:n] for r, n in enumerate(counts)]
    return labels[np.sort(np.concatenate(kept))]


def place_neurons(labels: np.ndarray, volume: AtlasVolume, rng: np.random.Generator) -> np.ndarray:
    """Draw a place for each neuron.

    Parameters
    ----------
    labels : (N,) int
        Region of each neuron, -1 where it has none.
    volume : AtlasVolume
    rng : numpy.random.Generator

    Returns
    -------
    (N, 3) float64, um

    Raises
    ------
    ValueError
        If the volume lacks a region that has neurons, or no neuron has a region.
    """
    voxels = np.full(labels.size, -1)
    for region in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == region)
        voxels[members] = volume.draw_voxels(int(region), members.size, rng)
    planes = volume.plane_of(voxels[voxels >= 0])
    rest = np.flatnonzero(voxels < 0)
    if rest.size == labels.size:
        raise ValueError(
            "labels has no neuron in a region: give some, which set the depth of others"
        )
    plane_of_rest = rng.choice(planes, size=rest.size)
    for plane in np.unique(plane_of_rest):
        members = rest[plane_of_rest == plane]
        voxels[members] = volume.draw_unlabelled(int(plane), members.size, rng)
    return volume.coordinates_um(voxels, rng)
