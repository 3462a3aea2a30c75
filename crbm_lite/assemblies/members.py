r"""Which neurons work together, and where they sit: assemblies from the weights.

An assembly is :math:`\{i : |w_{i\mu}| > threshold\}`. With threshold 0 it has the neurons whose
weight is not exactly zero. The weights may be those of a cRBM or of any other method.

- Strong weights (Fig. 2J, K): if the threshold is the (1 - 1/M) quantile of all
  :math:`|w_{i\mu}|`, one strong weight is expected for each neuron. A method that assigns neurons
  to assemblies gives most neurons about one. By chance, with the entries of W in random order, the
  number follows a binomial distribution.
- Regions of an assembly: a column of W occupies R regions by o. Their effective number is R times
  the participation ratio of o, :math:`(\sum_r o_r^2)^2 / \sum_r o_r^4`, from 1 to R.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crbm_lite.checks.arguments import as_array
from crbm_lite.checks.arrays import finite_places, finite_weights, region_members
from crbm_lite.measures import effective_number

__all__ = [
    "StrongWeights",
    "assembly_sizes",
    "compactness",
    "effective_regions",
    "embedding",
    "membership",
    "regional_occupancy",
    "strong_weights",
]


def membership(weights: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Tell which neuron belongs to which assembly.

    Parameters
    ----------
    weights : (N, M) float
    threshold : float, not negative
        |w| that a member exceeds (default 0: every weight that is not exactly zero counts).

    Returns
    -------
    (N, M) bool

    Raises
    ------
    ValueError
        If the weights are not (N, M) and finite, or the threshold is negative.

    Examples
    --------
    >>> membership(np.array([[0.0, -0.2], [0.1, 0.0]]))
    array([[False,  True],
           [ True, False]])
    """
    if not threshold >= 0:
        raise ValueError(f"threshold is {threshold}: give a number of 0 or more")
    return np.abs(finite_weights(weights)) > threshold


def assembly_sizes(weights: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Count the neurons of each assembly.

    Parameters
    ----------
    weights, threshold
        As in `membership`.

    Returns
    -------
    (M,) int64

    Examples
    --------
    >>> assembly_sizes(np.array([[0.3, 0.0], [0.1, 0.2]]), 0.15)
    array([1, 1])
    """
    return membership(weights, threshold).sum(axis=0)


def embedding(weights: np.ndarray, threshold: float = 0.0, at_least: int = 1) -> float:
    """Give the fraction of neurons that are in `at_least` assemblies or more (Fig. 2-S4).

    Parameters
    ----------
    weights, threshold
        As in `membership`.
    at_least : int
        Number of assemblies (default 1).

    Returns
    -------
    float

    Examples
    --------
    >>> embedding(np.array([[0.3, 0.0], [0.0, 0.0]]))
    0.5
    """
    return float((membership(weights, threshold).sum(axis=1) >= at_least).mean())


@dataclass(frozen=True, eq=False)
class StrongWeights:
    """How many strong weights each neuron has, and how many by chance.

    Parameters
    ----------
    threshold : float
        The (1 - 1/M) quantile of |w|.
    per_neuron : (N,) int64
        Strong weights of each neuron.
    shuffled : (n_shuffles, N) int64
        The same with the entries of W in random order.
    """

    threshold: float
    per_neuron: np.ndarray = field(repr=False)
    shuffled: np.ndarray = field(repr=False)

    @property
    def fraction_without(self) -> float:
        """Fraction of neurons without a strong weight."""
        return float(np.mean(self.per_neuron == 0))

    @property
    def fraction_without_shuffled(self) -> float:
        """The same fraction by chance, near (1 - 1/M)^M."""
        return float(np.mean(self.shuffled == 0))


def strong_weights(
    weights: np.ndarray, n_shuffles: int = 20, random_state: int | np.random.Generator | None = None
) -> StrongWeights:
    """Count each neuron's strong weights, in W and in W with its entries in random order.

    Parameters
    ----------
    weights : (N, M) array
        Weights of any method; M is 2 or more.
    n_shuffles : int
        How often the entries of W are put in random order (default 20).
    random_state : int, Generator or None
        Seed of the random order (default None, another one each time).

    Returns
    -------
    StrongWeights

    Raises
    ------
    ValueError
        If weights has fewer than two columns or is not finite, or n_shuffles is not positive.

    Examples
    --------
    Every neuron is in one of two assemblies:

    >>> strong_weights(np.repeat(np.eye(2), 5, axis=0), random_state=0).per_neuron
    array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    weights = finite_weights(weights).astype(np.float64)
    if weights.shape[1] < 2 or n_shuffles < 1:
        raise ValueError(
            f"weights has shape {weights.shape}, n_shuffles is {n_shuffles}: give weights of two "
            "hidden units or more, and one shuffle or more"
        )
    rng = np.random.default_rng(random_state)
    magnitude = np.abs(weights)
    # Weights at the threshold count, so that the ones of a W of 0 and 1 are strong.
    threshold = float(np.quantile(magnitude, 1 - 1 / weights.shape[1], method="higher"))
    strong = magnitude >= threshold if threshold > 0 else magnitude > 0
    shuffled = np.array(
        [
            rng.permutation(strong.ravel()).reshape(strong.shape).sum(axis=1)
            for _ in range(n_shuffles)
        ]
    )
    return StrongWeights(threshold, strong.sum(axis=1), shuffled)


def regional_occupancy(
    weights: np.ndarray, labels: object, definition: str = "mean_absolute"
) -> np.ndarray:
    """Measure how much of each assembly lies in each region.

    Parameters
    ----------
    weights : (N, M) float
    labels : (N, R) bool array or scipy.sparse matrix
        Which neuron lies in which region, as in ``recording.labels``.
    definition : {"mean_absolute", "signed_sum"}
        "mean_absolute" (default) is the mean of |w| over a region's neurons, scaled to sum 1 over
        regions, as in the published code. "signed_sum" is the sum of w over the region, as in the
        paper's text.

    Returns
    -------
    (R, M) float64
        The mean over an empty region is NaN, and so is the whole column of an assembly without
        weights in any region. The sum over an empty region is 0.

    Raises
    ------
    ValueError
        If there are no labels, they do not fit the weights, or the definition is unknown.

    Examples
    --------
    >>> labels = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    >>> regional_occupancy(np.array([[1.0], [3.0], [-2.0]]), labels).ravel()
    array([0.5, 0.5])
    """
    weights = finite_weights(weights)
    member = region_members(labels, len(weights)).astype(np.float64)
    if definition == "signed_sum":
        return member.T @ weights.astype(np.float64)
    if definition != "mean_absolute":
        raise ValueError(f"definition is {definition!r}: give 'mean_absolute' or 'signed_sum'")
    with np.errstate(invalid="ignore"):
        mean = (member.T @ np.abs(weights)) / member.sum(axis=0)[:, None]
        return mean / np.nansum(mean, axis=0)


def effective_regions(
    weights: np.ndarray, labels: object, definition: str = "mean_absolute"
) -> np.ndarray:
    """Count the regions of each assembly: R times the participation ratio of its occupancy.

    Parameters
    ----------
    weights, labels, definition
        As in `regional_occupancy`.

    Returns
    -------
    (M,) float64
        From 1 to the number of regions; NaN for an assembly without weights.

    Raises
    ------
    ValueError
        As in `regional_occupancy`.

    Examples
    --------
    >>> effective_regions(np.array([[1.0, 1.0], [0.0, 1.0]]), np.eye(2, dtype=bool))
    array([1., 2.])
    """
    occupancy = regional_occupancy(weights, labels, definition)
    return effective_number(np.nan_to_num(occupancy), axis=0)


def compactness(
    member: np.ndarray,
    coordinates: np.ndarray | None,
    n_shuffles: int = 100,
    random_state: int | np.random.Generator = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the radius of gyration of each assembly and compare it with random sets of neurons.

    Parameters
    ----------
    member : (N, M) bool
        Which neuron belongs to which assembly, as `membership` tells.
    coordinates : (N, 3) float
    n_shuffles : int
        Random sets of as many neurons (default 100).
    random_state : int or numpy.random.Generator
        Seed of the random sets (default 0).

    Returns
    -------
    radius : (M,) float64
        In the unit of the coordinates.
    p_value : (M,) float64
        Share of sets, the assembly among them, that are as compact. Both are NaN for fewer than two
        members.

    Raises
    ------
    ValueError
        If there are no coordinates, they are not finite or do not fit, member is not (N, M) of 0
        and 1, or n_shuffles is not positive.

    Examples
    --------
    >>> line = np.c_[np.arange(50.0), np.zeros((50, 2))]
    >>> radius, p = compactness(np.arange(50)[:, None] < 5, line)
    >>> bool(p[0] < 0.05)
    True
    """
    member = as_array(member, "member")
    binary = member.dtype.kind in "biuf" and np.isin(member, (0, 1)).all()
    if member.ndim != 2 or not binary or n_shuffles < 1:
        raise ValueError(
            f"member has shape {member.shape}, n_shuffles is {n_shuffles}: give (N, M) of 0 and 1, "
            "and one random set or more"
        )
    member = member.astype(bool)
    places = finite_places(coordinates, len(member))
    rng = np.random.default_rng(random_state)
    radius, p_value = np.full((2, member.shape[1]), np.nan)
    for unit, size in enumerate(member.sum(axis=0)):
        if size < 2:
            continue
        radius[unit] = np.sqrt(places[member[:, unit]].var(axis=0).sum())
        draws = [
            np.sqrt(places[rng.choice(len(places), size, replace=False)].var(axis=0).sum())
            for _ in range(n_shuffles)
        ]
        p_value[unit] = (1 + np.sum(np.array(draws) <= radius[unit])) / (n_shuffles + 1)
    return radius, p_value
