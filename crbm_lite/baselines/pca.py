"""PCA, ICA and NMF as rivals (Fig. 2I-K, 2-S6).

Loadings are brought to a common form, (N, M) with columns of unit norm that are positive in sum, so
that they can stand beside the weights of a cRBM. No equations beyond scikit-learn's live here:
`crbm_lite.assemblies` measures the sparsity and the regions of any method's weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crbm_lite.spikes import as_spikes

__all__ = ["Components", "fit_components"]


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
