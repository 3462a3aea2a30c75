r"""Structural connectivity from tracings, and the average of region matrices over animals.

Structure from tracings is, with each neuron mirrored to the other side,

.. math::

    c_{rr'} = \mathrm{Sym}\Big\{ \frac{\sum_n \delta(r(n), r)\, l_n(r')}
                                     {V_{r'} \sum_n \delta(r(n), r)} \Big\}

(Eq. 20). The form of 2019 (Eq. 21) is :math:`\sum_n [l_n(r) + l_n(r')] / (N (V_r + V_{r'}))`, with
the sum over the neurons that have soma or neurites in both regions. The paper does not say which N
divides: that of the neurons in both regions, or that of all traced neurons. Both are offered, and
they rank the pairs of regions differently.

The average over animals (Eq. 22) weighs each by :math:`T_F (N_r + N_{r'})`.
`crbm_lite.connectivity.region_statistics` compares structural with functional connectivity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crbm_lite.checks.arguments import as_array, as_numbers
from crbm_lite.connectivity.region_matrices import as_squares

__all__ = ["average_connectivity", "structural_connectivity"]


def check_missing(missing: str) -> None:
    """Raise ValueError unless this is an option of `average_connectivity`."""
    if missing not in ("skip", "zero"):
        raise ValueError(f'missing is {missing!r}: give "skip" or "zero"')


def average_connectivity(
    matrices: Sequence[np.ndarray],
    n_neurons: np.ndarray,
    n_frames: np.ndarray | None = None,
    *,
    missing: str = "skip",
) -> np.ndarray:
    """Average region matrices over animals with weights T_F (N_r + N_r'), Eq. 22.

    Parameters
    ----------
    matrices : sequence of A arrays, shape (R, R)
        NaN where an animal has too few neurons in a region.
    n_neurons : array_like, shape (A, R)
        Number of neurons of each region in each animal.
    n_frames : array_like, shape (A,), optional
        T_F (default: the same for all).
    missing : {"skip", "zero"}
        Leave an animal out of the entries that it lacks (default), or, as in the publication, count
        it there as a zero, with its weight in the denominator.

    Returns
    -------
    ndarray, shape (R, R)
        NaN where no animal has a value.

    Raises
    ------
    ValueError
        If shapes disagree, matrices hold infinity, a number is negative or `missing` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.full((2, 2), 4.0), np.array([[1.0, np.nan], [np.nan, np.nan]])
    >>> average_connectivity([a, b], [[10, 10], [10, 2]])[0]
    array([2.5, 4. ])
    >>> average_connectivity([a, b], [[10, 10], [10, 2]], missing="zero")[0]
    array([2.5, 2.5])
    """
    stack = as_squares(matrices, "matrices")
    counts = as_numbers(n_neurons, "n_neurons")
    frames = np.ones(len(stack)) if n_frames is None else as_numbers(n_frames, "n_frames")
    if counts.shape != stack.shape[:2] or frames.shape != stack.shape[:1]:
        raise ValueError(
            f"n_neurons has shape {counts.shape}, n_frames {frames.shape}: give {stack.shape[:2]} "
            f"and ({len(stack)},) for {len(stack)} matrices of {stack.shape[1]} regions"
        )
    if not all((x >= 0).all() and np.isfinite(x).all() for x in (counts, frames)):
        raise ValueError(
            "n_neurons or n_frames holds NaN, infinity or negative numbers: give finite numbers of "
            "0 or more"
        )
    check_missing(missing)
    weights = frames[:, None, None] * (counts[:, :, None] + counts[:, None, :])
    known = ~np.isnan(stack)
    total = np.where(known, weights * np.where(known, stack, 0.0), 0.0).sum(axis=0)
    weight = (weights if missing == "zero" else weights * known).sum(axis=0)
    seen = known.any(axis=0) & (weight > 0)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=seen)


def structural_connectivity(
    lengths_um: np.ndarray,
    soma_region: np.ndarray,
    volumes_um3: np.ndarray,
    *,
    mirror: np.ndarray | None = None,
    formula: int = 20,
    divide_by: str = "both",
) -> np.ndarray:
    """Make the structural matrix of traced neurons, Eq. 20 or 21.

    Parameters
    ----------
    lengths_um : array_like, shape (n, R)
        Length of each neuron's neurites (axon and dendrites together) in each region.
    soma_region : array_like of int, shape (n,)
        Region of the cell body, -1 for none.
    volumes_um3 : array_like, shape (R,)
        Volume of each region.
    mirror : array_like of int, shape (R,), optional
        The region on the other side. With it every neuron is counted a second time, mirrored.
    formula : {20, 21}
        Eq. 20 (default) takes lengths by the region of the soma and symmetrises them. Eq. 21 takes
        mean lengths over neurons with soma or neurites in both regions, with a diagonal of 0 as the
        matrix of 2019 has.
    divide_by : {"both", "all"}
        The N of Eq. 21: the neurons in both regions (default), or all n traced neurons (2n with
        `mirror`). It has no effect on Eq. 20.

    Returns
    -------
    ndarray, shape (R, R)
        Symmetric, in um per um^3. In Eq. 20 a region without somata contributes 0 to its row
        before symmetrisation.

    Raises
    ------
    ValueError
        If shapes disagree, lengths are negative, volumes are not positive, `mirror` does not pair
        the regions, or an option is unknown.

    Examples
    --------
    >>> structural_connectivity([[0.0, 6.0]], [0], [1.0, 3.0])
    array([[0., 1.],
           [1., 0.]])
    """
    lengths = as_numbers(lengths_um, "lengths_um")
    soma = as_array(soma_region, "soma_region")
    volumes = as_numbers(volumes_um3, "volumes_um3")
    if lengths.ndim != 2 or soma.shape != lengths.shape[:1] or volumes.shape != lengths.shape[1:]:
        raise ValueError(
            f"lengths_um has shape {lengths.shape}, soma_region {soma.shape}, volumes_um3 "
            f"{volumes.shape}: give (n, R), (n,) and (R,)"
        )
    n_regions = len(volumes)
    finite = np.isfinite(lengths).all() and np.isfinite(volumes).all()
    if not (finite and (lengths >= 0).all() and (volumes > 0).all()):
        raise ValueError(
            "lengths_um or volumes_um3 holds impossible numbers: give finite lengths of 0 or more "
            "and finite volumes above 0"
        )
    if soma.dtype.kind not in "iu" or (soma < -1).any() or (soma >= n_regions).any():
        raise ValueError(
            f"soma_region holds other values: give whole numbers from -1 to {n_regions - 1}"
        )
    if formula not in (20, 21):
        raise ValueError(f"formula is {formula!r}: give 20 or 21, the equation")
    if divide_by not in ("both", "all"):
        raise ValueError(f'divide_by is {divide_by!r}: give "both" or "all"')
    if mirror is not None:
        other = as_array(mirror, "mirror")
        paired = other.shape == (n_regions,) and other.dtype.kind in "iu"
        paired = paired and (other >= 0).all() and (other < n_regions).all()
        if not paired or (other[other] != np.arange(n_regions)).any():
            raise ValueError("mirror does not pair regions: give mirror[mirror[r]] == r for each r")
        lengths = np.concatenate([lengths, lengths[:, other]])
        soma = np.concatenate([soma, np.where(soma >= 0, other[soma], -1)])
    has_soma = (soma[:, None] == np.arange(n_regions)).astype(np.float64)
    if formula == 20:
        n_somata = has_soma.sum(axis=0)[:, None]
        directed = has_soma.T @ lengths / volumes
        directed = np.divide(directed, n_somata, out=np.zeros_like(directed), where=n_somata > 0)
        return (directed + directed.T) / 2
    present = ((has_soma > 0) | (lengths > 0)).astype(np.float64)
    both = present.T @ present if divide_by == "both" else np.full((n_regions,) * 2, len(soma))
    total = present.T @ (lengths * present)  # (r, r'): length in r' of the neurons in both
    total = total + total.T
    scale = both * (volumes[:, None] + volumes)
    matrix = np.divide(total, scale, out=np.zeros_like(total), where=scale > 0)
    np.fill_diagonal(matrix, 0.0)
    return matrix
