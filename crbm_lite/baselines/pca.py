r"""PCA, ICA and NMF as rivals, and the sparsity of any method's weights (Fig. 2I-K, 2-S6).

Loadings are brought to a common form, (N, M) with columns of unit norm that are positive in sum, so
that they can stand beside the weights of a cRBM. Two questions are asked of such weights W:

- Strong weights: with the threshold at the (1 - 1/M) quantile of all :math:`|w_{i\mu}|`, one strong
  weight is expected for each neuron. A method that assigns neurons to assemblies gives most
  neurons about one; chance, the entries of W in random order, follows a binomial distribution.
- Regions of an assembly: with the occupancy o of R regions by a column of W, the effective number
  is R times its participation ratio, :math:`(\sum_r o_r^2)^2 / \sum_r o_r^4`, from 1 to R.
  Occupancy is the mean of :math:`|w|` over a region's neurons, normalised to sum 1 (the published
  code), or the sum of w over the region (the paper's text).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse

from crbm_lite.participation import effective_number
from crbm_lite.spikes import as_spikes

__all__ = [
    "Components",
    "StrongWeights",
    "effective_regions",
    "fit_components",
    "regional_occupancy",
    "strong_weights",
]


@dataclass(frozen=True, eq=False)
class Components:
    """Linear components of binary activity.

    Attributes
    ----------
    method : str
        "pca", "ica" or "nmf".
    loadings : (N, M) float64
        Unit norm, positive in sum. For PCA by falling variance.
    mean : (N,) float64
        Mean activity, which PCA and ICA take away; 0 for NMF.
    activity : (T, M) float64
        Of each component in the frames fitted, which ``mean + activity @ loadings.T``
        approximates.
    """

    method: str
    loadings: np.ndarray = field(repr=False)
    mean: np.ndarray = field(repr=False)
    activity: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class StrongWeights:
    """Number of strong weights of each neuron, and by chance.

    Attributes
    ----------
    threshold : float
        The (1 - 1/M) quantile of abs(w).
    per_neuron : (N,) int64
    shuffled : (n_shuffles, N) int64
        The same for shuffled W.
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
        """The same by chance, near (1 - 1/M)^M."""
        return float(np.mean(self.shuffled == 0))


def fit_components(
    v: object,
    n_components: int,
    method: str = "pca",
    random_state: int = 0,
) -> Components:
    """Fit PCA, ICA or NMF by scikit-learn and bring the loadings to unit norm.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
    n_components : int
        M, at most min(T, N).
    method : str
        "pca", "ica" (FastICA) or "nmf" (non-negative matrix factorisation).
    random_state : int
        Of the randomised solvers.

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        If `v` is not binary, `method` is unknown or `n_components` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> v = rng.random((500, 6)) < np.where(rng.random((500, 1)) < 0.4, [0.9] * 3 + [0.2] * 3, 0.2)
    >>> fit_components(v, 1).loadings[:, 0] > 0.4
    array([ True,  True,  True, False, False, False])
    """
    from sklearn.decomposition import NMF, PCA, FastICA

    spikes = as_spikes(v)
    if not 1 <= n_components <= min(spikes.shape):
        raise ValueError(
            f"n_components is {n_components}: give 1 to {min(spikes.shape)} for "
            f"{spikes.shape[0]} frames of {spikes.shape[1]} neurons."
        )
    x = spikes.to_csr(np.float64).toarray()
    mean = x.mean(axis=0)
    if method == "pca":
        solver = PCA(n_components, svd_solver="covariance_eigh")
        activity = solver.fit_transform(x)
        loadings = solver.components_.T
    elif method == "ica":
        solver = FastICA(
            n_components, whiten="unit-variance", random_state=random_state, max_iter=1000, tol=1e-3
        )
        activity = solver.fit_transform(x)
        loadings = solver.mixing_
    elif method == "nmf":
        solver = NMF(n_components, init="nndsvda", random_state=random_state, max_iter=1000)
        activity = solver.fit_transform(x)
        loadings = solver.components_.T
        mean = np.zeros_like(mean)
    else:
        raise ValueError(f"method is {method!r}: give 'pca', 'ica' or 'nmf'.")
    norm = np.linalg.norm(loadings, axis=0)
    scale = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0) * norm
    used = np.where(norm > 0, scale, 1.0)  # NMF may leave a component empty
    return Components(method, loadings / used, mean, activity * used)


def strong_weights(
    weights: np.ndarray, n_shuffles: int = 20, random_state: int | np.random.Generator | None = None
) -> StrongWeights:
    """Count each neuron's strong weights, in W and in W with its entries in random order.

    Parameters
    ----------
    weights : (N, M) array
        Of any method, M at least 2.
    n_shuffles : int
    random_state : int, Generator or None

    Returns
    -------
    StrongWeights

    Raises
    ------
    ValueError
        If `weights` has fewer than two columns or is not finite.

    Examples
    --------
    Every neuron in one of two assemblies:

    >>> import numpy as np
    >>> strong_weights(np.repeat(np.eye(2), 5, axis=0), random_state=0).per_neuron
    array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[1] < 2 or not np.isfinite(weights).all():
        raise ValueError("weights must be a finite (N, M) array with M of 2 or more.")
    rng = np.random.default_rng(random_state)
    magnitude = np.abs(weights)
    # Among tied weights "at the threshold" is no less strong: W of 0 and 1 must count its ones.
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
    """How much of each assembly lies in each region.

    Parameters
    ----------
    weights : (N, M) array
    labels : (N, R) bool array or scipy.sparse matrix
        Which neuron lies in which region, as in ``recording.labels``.
    definition : str
        "mean_absolute": mean of abs(w) over the region's neurons, then columns of sum 1;
        "signed_sum": sum of w over the region's neurons.

    Returns
    -------
    (R, M) float64
        0 for a region without neurons.

    Raises
    ------
    ValueError
        If `labels` has another number of neurons, or `definition` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    >>> regional_occupancy(np.array([[1.0], [3.0], [-2.0]]), labels).ravel()
    array([0.5, 0.5])
    """
    weights = np.asarray(weights, dtype=np.float64)
    member = scipy.sparse.csr_array(labels).astype(np.float64)
    if weights.ndim != 2 or member.shape[0] != len(weights):
        raise ValueError(
            f"labels have shape {member.shape} and weights {weights.shape}: give one row a neuron "
            "in both."
        )
    if definition == "signed_sum":
        return member.T @ weights
    if definition != "mean_absolute":
        raise ValueError(f"definition is {definition!r}: give 'mean_absolute' or 'signed_sum'.")
    size = np.maximum(member.sum(axis=0), 1.0)
    mean = (member.T @ np.abs(weights)) / size[:, None]
    total = mean.sum(axis=0)
    return mean / np.where(total > 0, total, 1.0)


def effective_regions(
    weights: np.ndarray, labels: object, definition: str = "mean_absolute"
) -> np.ndarray:
    """Effective number of regions of each assembly: R times the participation ratio of occupancy.

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
        As `regional_occupancy`.

    Examples
    --------
    >>> import numpy as np
    >>> effective_regions(np.array([[1.0, 1.0], [0.0, 1.0]]), np.eye(2, dtype=bool))
    array([1., 2.])
    """
    return effective_number(regional_occupancy(weights, labels, definition), axis=0)
