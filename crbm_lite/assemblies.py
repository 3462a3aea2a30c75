r"""Which neurons work together, and where they sit: assemblies from the weights.

An assembly is :math:`\{i : |w_{i\mu}| > threshold\}`; with threshold 0 it is the neurons whose
weight is not exactly zero. Strong weights exceed the (1 - 1/M) quantile of |w|, so that one is
expected per neuron (Fig. 2J, K). Effective regions are n PR(x) of the occupancy x over n regions,
with the participation ratio PR(x) = (sum x^2)^2 / (n sum x^4).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crbm_lite.correlations import correlations_of_columns
from crbm_lite.participation import effective_number

__all__ = [
    "AssemblyMatch",
    "assembly_sizes",
    "compactness",
    "effective_regions",
    "embedding",
    "export_csv",
    "match_assemblies",
    "membership",
    "regional_occupancy",
    "strong_weights_per_neuron",
]


def _weights(weights: np.ndarray, name: str = "weights") -> np.ndarray:
    weights = np.asarray(weights)
    if weights.ndim != 2 or 0 in weights.shape or not np.isfinite(weights).all():
        raise ValueError(
            f"{name} has shape {weights.shape}: give finite (N, M) weights, model.weights_"
        )
    return weights


def membership(weights: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Tell which neuron belongs to which assembly, (N, M) bool.

    Parameters
    ----------
    weights : (N, M) float
    threshold : float, not negative
        On |w|; 0 is every weight that is not exactly zero.

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
        raise ValueError(f"threshold is {threshold}: give a number that is not negative")
    return np.abs(_weights(weights)) > threshold


def assembly_sizes(weights: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Count the neurons of each assembly, (M,) int.

    Examples
    --------
    >>> assembly_sizes(np.array([[0.3, 0.0], [0.1, 0.2]]), 0.15)
    array([1, 1])
    """
    return membership(weights, threshold).sum(axis=0)


def embedding(weights: np.ndarray, threshold: float = 0.0, at_least: int = 1) -> float:
    """Fraction of neurons in at least some number of assemblies (Fig. 2-S4).

    Examples
    --------
    >>> embedding(np.array([[0.3, 0.0], [0.0, 0.0]]))
    0.5
    """
    return float((membership(weights, threshold).sum(axis=1) >= at_least).mean())


def strong_weights_per_neuron(
    weights: np.ndarray, random_state: int | np.random.Generator = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Count each neuron's strong weights, and those after a shuffle of all entries (Fig. 2J, K).

    Returns
    -------
    counts, counts_shuffled : (N,) int

    Examples
    --------
    >>> strong_weights_per_neuron(np.eye(4))[0]
    array([1, 1, 1, 1])
    """
    size = np.abs(_weights(weights))
    n_strong = size.shape[0]  # one in M of all N M entries
    strong = np.zeros(size.size, dtype=bool)
    strong[np.argsort(-size, axis=None, kind="stable")[:n_strong]] = True
    strong[size.ravel() == 0] = False
    shuffled = np.random.default_rng(random_state).permutation(strong)
    return tuple(x.reshape(size.shape).sum(axis=1) for x in (strong, shuffled))


def regional_occupancy(
    weights: np.ndarray, labels: np.ndarray | None, definition: str = "mean_abs"
) -> np.ndarray:
    """How much of each assembly lies in each region.

    Parameters
    ----------
    weights : (N, M) float
    labels : (N, R) bool
    definition : {"mean_abs", "signed_sum"}
        The mean of |w| over a region's neurons, scaled to sum 1 over regions (the published
        code), or the sum of w over the region (the paper's text).

    Returns
    -------
    (R, M) float64
        NaN for an empty region's mean and for an assembly without weights in any region.

    Raises
    ------
    ValueError
        If there are no labels, they do not fit, or the definition is unknown.

    Examples
    --------
    >>> regional_occupancy(np.array([[0.3], [-0.1]]), np.eye(2)).ravel().round(2)
    array([0.75, 0.25])
    """
    weights = _weights(weights)
    if labels is None:
        raise ValueError("labels is None: give the (N, R) regions of the neurons")
    labels = np.asarray(labels, dtype=np.float64)
    if labels.ndim != 2 or len(labels) != len(weights):
        raise ValueError(f"labels has shape {labels.shape}: expected ({len(weights)}, R)")
    if definition == "signed_sum":
        return labels.T @ weights
    if definition != "mean_abs":
        raise ValueError(f"definition is {definition!r}: give mean_abs or signed_sum")
    with np.errstate(invalid="ignore"):
        mean = labels.T @ np.abs(weights) / labels.sum(axis=0)[:, None]
        return mean / np.nansum(mean, axis=0)


def effective_regions(occupancy: np.ndarray) -> np.ndarray:
    """Effective number of regions of each assembly, n PR of its occupancy; (M,), NaN if empty.

    Examples
    --------
    >>> effective_regions(np.array([[0.5, 1.0], [0.5, 0.0]]))
    array([2., 1.])
    """
    return effective_number(np.nan_to_num(np.asarray(occupancy, dtype=np.float64)), axis=0)


def compactness(
    member: np.ndarray,
    coordinates: np.ndarray | None,
    n_shuffles: int = 100,
    random_state: int | np.random.Generator = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Radius of gyration of each assembly, and its rank among random sets of the same size.

    Parameters
    ----------
    member : (N, M) bool
    coordinates : (N, 3) float, um
    n_shuffles : int
        Draws of as many neurons from all positions.
    random_state : int or numpy.random.Generator

    Returns
    -------
    radius_um : (M,) float64
    p_value : (M,) float64
        Share of draws, the assembly among them, that are as compact. NaN below two members.

    Raises
    ------
    ValueError
        If there are no coordinates or they do not fit.

    Examples
    --------
    >>> line = np.c_[np.arange(50.0), np.zeros((50, 2))]
    >>> radius_um, p = compactness(np.arange(50)[:, None] < 5, line)
    >>> bool(p[0] < 0.05)
    True
    """
    member = np.asarray(member, dtype=bool)
    if coordinates is None:
        raise ValueError("coordinates is None: give the (N, 3) positions of the neurons, in um")
    places = np.asarray(coordinates, dtype=np.float64)
    if member.ndim != 2 or places.ndim != 2 or len(places) != len(member):
        raise ValueError(f"coordinates has shape {places.shape}, member {member.shape}: N differs")
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


@dataclass(frozen=True, eq=False)
class AssemblyMatch:
    """Pairs of assemblies of two runs, best first.

    Parameters
    ----------
    first, second : (K,) int
        Columns of the first and the second weights.
    correlation : (K,) float64
        Signed Pearson correlation over neurons; a pair of opposite sign is the same assembly.
    """

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray


def match_assemblies(first: np.ndarray, second: np.ndarray) -> AssemblyMatch:
    """Match assemblies one to one so that the sum of |correlation| is largest (Hungarian).

    Parameters
    ----------
    first : (N, M) float
    second : (N, K) float
        Weights of another run, or ``truth.effects.toarray()``.

    Raises
    ------
    ValueError
        If the numbers of neurons differ.

    Examples
    --------
    >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> match_assemblies(w, -w[:, ::-1]).correlation.round(6)
    array([-1., -1.])
    """
    from scipy.optimize import linear_sum_assignment

    first, second = _weights(first, "first"), _weights(second, "second")
    if len(first) != len(second):
        raise ValueError(f"first has {len(first)} neurons, second {len(second)}: give the same")
    r = correlations_of_columns(first, second)
    rows, columns = linear_sum_assignment(-np.abs(r))
    best = np.argsort(-np.abs(r[rows, columns]), kind="stable")
    rows, columns = rows[best], columns[best]
    return AssemblyMatch(rows, columns, r[rows, columns])


def export_csv(path: str | Path, weights: np.ndarray, coordinates: np.ndarray) -> None:
    """Write neuron, x, y, z and each assembly's weights to a CSV file.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "assemblies.csv"
    >>> export_csv(file, np.ones((1, 2)), np.zeros((1, 3)))
    >>> file.read_text().splitlines()
    ['neuron,x_um,y_um,z_um,w0,w1', '0,0,0,0,1,1']
    """
    weights = _weights(weights)
    header = ",".join(["neuron,x_um,y_um,z_um", *(f"w{k}" for k in range(weights.shape[1]))])
    table = np.c_[np.arange(len(weights)), coordinates, weights]
    np.savetxt(path, table, fmt="%.9g", delimiter=",", header=header, comments="")
