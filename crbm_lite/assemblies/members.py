r"""Which neurons work together, and where they sit: assemblies from the weights.

An assembly is the neurons whose weights in one hidden unit are not zero and have one sign. Every
unit in use has one, of the sign of its largest weight. A unit whose largest weight of the other
sign is at least half as large is *two-sided*: the two sides are two assemblies, which are not up
together. Smaller weights of the other sign say who is silent meanwhile; they make no assembly.

This is the only definition. `assemblies_of_weights` applies it to the weights of a cRBM or of any
other method, and whatever counts or lists assemblies takes them from there. Its variants differ
in the weights that count:

- *not zero*, the threshold 0 and the default;
- *above a threshold*, :math:`|w_{i\mu}| > threshold`, as in the paper;
- *strong*, from the (1 - 1/M) quantile of all :math:`|w_{i\mu}|` up (Fig. 2J, K). One strong weight
  is expected for each neuron. A method that assigns neurons to assemblies gives most neurons about
  one. By chance, with the entries of W in random order, the number follows a binomial distribution.

A column of W occupies R regions by o. Their effective number is R times the participation ratio of
o, :math:`(\sum_r o_r^2)^2 / \sum_r o_r^4`, from 1 to R. Weights of both signs count here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crbm_lite.checks.arguments import as_array, as_count, as_generator
from crbm_lite.checks.arrays import finite_places, finite_weights, region_members
from crbm_lite.measures import effective_number

__all__ = [
    "Assemblies",
    "StrongWeights",
    "assemblies_of_weights",
    "assembly_sizes",
    "compactness",
    "effective_regions",
    "embedding",
    "regional_occupancy",
    "strong_weights",
]

STRONG = "strong"
_OTHER_SIDE = 0.5  # of the largest weight: from here on, weights of the other sign are an assembly


@dataclass(frozen=True, eq=False)
class Assemblies:
    """The assemblies of a matrix of weights, by hidden unit; `assemblies_of_weights` makes them.

    Parameters
    ----------
    units : (K,) int64
        The hidden unit of each assembly, in increasing order.
    signs : (K,) int64
        The sign of its weights, 1 or -1. A two-sided unit has 1 first.
    members : (N, K) bool
        Which neuron belongs to which assembly.
    """

    units: np.ndarray
    signs: np.ndarray
    members: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        """Count the assemblies, K."""
        return len(self.units)

    @property
    def sizes(self) -> np.ndarray:
        """The number of members of each assembly, (K,) int64."""
        return self.members.sum(axis=0)

    @property
    def names(self) -> tuple[str, ...]:
        """The unit of each assembly, such as "HU 3"; with its sign if the unit has two."""
        both = np.bincount(self.units)[self.units] > 1 if len(self) else ()
        signs = np.where(self.signs > 0, " (+)", " (\u2212)")
        sides = zip(self.units, signs, both, strict=True)
        return tuple(f"HU {unit}{sign if two else ''}" for unit, sign, two in sides)


def assemblies_of_weights(weights: np.ndarray, threshold: float | str = 0.0) -> Assemblies:
    """Take the assemblies out of weights: neurons whose weights in a unit have one sign.

    Parameters
    ----------
    weights : (N, M) float
    threshold : float, not negative, or "strong"
        |w| that a member exceeds (default 0: every weight that is not zero counts). "strong" is the
        (1 - 1/M) quantile of |w|, with which a neuron has one strong weight on average.

    Returns
    -------
    Assemblies
        Those that have members.

    Raises
    ------
    ValueError
        If the weights are not (N, M) and finite, the threshold is neither 0 or more nor "strong",
        or weights of fewer than two hidden units are asked for strong ones.

    Examples
    --------
    The second unit has two sides. The first has one; its weight of -0.2 is too small for another:

    >>> found = assemblies_of_weights(np.array([[0.9, 1.0], [0.5, 0.0], [-0.2, -0.8]]))
    >>> found.names, found.sizes
    (('HU 0', 'HU 1 (+)', 'HU 1 (\u2212)'), array([2, 1, 1]))
    """
    weights = finite_weights(weights)
    counts = _counts(weights, threshold)
    largest = np.maximum([weights.max(axis=0), -weights.min(axis=0)], 0.0)  # (2, M)
    is_side = (largest > 0) & (largest >= _OTHER_SIDE * largest.max(axis=0))
    units, side = np.nonzero(is_side.T)
    signs = 1 - 2 * side
    members = counts[:, units] & (np.sign(weights[:, units]) == signs)
    some = members.any(axis=0)
    return Assemblies(units[some], signs[some], members[:, some])


def _counts(weights: np.ndarray, threshold: float | str) -> np.ndarray:
    """Which weights count for a threshold, (N, M) bool."""
    size = np.abs(weights)
    if isinstance(threshold, str) and threshold == STRONG:
        return _strong(size)[0]
    is_number = np.isscalar(threshold) and np.asarray(threshold).dtype.kind in "iuf"
    if not is_number or not threshold >= 0:
        raise ValueError(f"threshold is {threshold!r}: give a number of 0 or more, or {STRONG!r}")
    return size > threshold


def _strong(size: np.ndarray) -> tuple[np.ndarray, float]:
    """Which |w| are strong, (N, M) bool, and from where on."""
    if size.shape[1] < 2:
        raise ValueError(
            f"weights has shape {size.shape}: give weights of two hidden units or more"
        )
    share = 1 - 1 / size.shape[1]
    threshold = float(np.quantile(size.astype(np.float64), share, method="higher"))
    # Weights at the threshold count, so that the ones of a W of 0 and 1 are strong.
    return (size >= threshold) & (size > 0), threshold


def assembly_sizes(weights: np.ndarray, threshold: float | str = 0.0) -> np.ndarray:
    """Count the neurons of each assembly.

    Parameters
    ----------
    weights, threshold
        As in `assemblies_of_weights`.

    Returns
    -------
    (K,) int64

    Examples
    --------
    >>> assembly_sizes(np.array([[0.3, 0.0], [0.1, 0.2]]), 0.15)
    array([1, 1])
    """
    return assemblies_of_weights(weights, threshold).sizes


def embedding(weights: np.ndarray, threshold: float | str = 0.0, at_least: int = 1) -> float:
    """Give the fraction of neurons that are in `at_least` assemblies or more (Fig. 2-S4).

    Parameters
    ----------
    weights, threshold
        As in `assemblies_of_weights`.
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
    at_least = as_count(at_least, "at_least", 0)
    members = assemblies_of_weights(weights, threshold).members
    return float((members.sum(axis=1) >= at_least).mean())


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
    weights = finite_weights(weights)
    n_shuffles = as_count(n_shuffles, "n_shuffles")
    if weights.shape[1] < 2:
        raise ValueError(
            f"weights has shape {weights.shape}: give weights of two hidden units or more"
        )
    rng = as_generator(random_state)
    strong, threshold = _strong(np.abs(weights))
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
    """Measure how much of each hidden unit's weights lies in each region.

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
        The mean over an empty region is NaN, and so is the whole column of a unit without weights
        in any region. The sum over an empty region is 0.

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
    """Count the regions of each hidden unit: R times its occupancy's participation ratio.

    Parameters
    ----------
    weights, labels, definition
        As in `regional_occupancy`.

    Returns
    -------
    (M,) float64
        From 1 to the number of regions; NaN for a unit without weights.

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
        Which neuron belongs to which assembly, as ``assemblies_of_weights(weights).members``.
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
    n_shuffles = as_count(n_shuffles, "n_shuffles")
    if member.ndim != 2 or not binary:
        raise ValueError(f"member has shape {member.shape}: give (N, M) of 0 and 1")
    member = member.astype(bool)
    places = finite_places(coordinates, len(member))
    rng = as_generator(random_state)
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
