"""PCA, ICA and NMF as rivals (Fig. 2I-K, 2-S6).

Loadings are brought to a common form, (N, M) with columns of unit norm that are positive in sum, so
that they can stand beside the weights of a cRBM. `crbm_lite.assemblies.members` measures the
sparsity and the regions of any method's weights.

The number of components is chosen by predicting activity that is new in time and space. On held-out
frames one half of the neurons gives the components' activity (by least squares; for NMF without
negative values), and this predicts the other half. The reconstruction of the same neurons would
only ever improve with the number of components. ICA rotates the subspace of PCA, so it predicts the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.checks.arguments import as_generator, is_integer
from crbm_lite.core.spikes import as_spikes

__all__ = ["Components", "fit_components", "sweep_components"]

_NULL = 1e-7  # of the largest singular value, below which one is rounding: the solver takes roots


@dataclass(frozen=True, eq=False)
class Components:
    """Linear components of binary activity.

    Attributes
    ----------
    method : str
        "pca", "ica" or "nmf".
    loadings : (N, M) float64
        Columns of unit norm, positive in sum; for PCA in order of falling variance.
    mean : (N,) float64
        Mean activity, which PCA and ICA subtract; 0 for NMF.
    activity : (T, M) float64
        Activity of each component in the fitted frames, which ``mean + activity @ loadings.T``
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
    random_state: int | np.random.Generator | None = 0,
) -> Components:
    """Fit PCA, ICA or NMF by scikit-learn and bring the loadings to unit norm.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
    n_components : int
        M, at most min(T, N); for ICA at most the rank of the activity about its mean, as more
        axes cannot be brought to unit variance.
    method : {"pca", "ica", "nmf"}
        "ica" is FastICA, "nmf" is non-negative matrix factorisation (default "pca").
    random_state : int, Generator or None
        Seed of the randomised solvers (default 0).

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        If `v` is not binary, `method` is unknown or `n_components` out of range, or if no neuron
        changes and the method is not "nmf".

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
    if method not in ("pca", "ica", "nmf"):
        raise ValueError(f"method is {method!r}: give 'pca', 'ica' or 'nmf'")
    if not is_integer(n_components) or not 1 <= n_components <= min(spikes.shape):
        raise ValueError(
            f"n_components is {n_components!r}: give an integer from 1 to {min(spikes.shape)} for "
            f"{spikes.shape[0]} frames of {spikes.shape[1]} neurons"
        )
    rng = as_generator(random_state)
    if not is_integer(random_state) or random_state >= 2**32:  # what scikit-learn does not know
        random_state = int(rng.integers(2**31))
    x = spikes.to_csr(np.float64)  # stays sparse: most products are ten times shorter
    mean = spikes.activity()
    if method in ("pca", "ica"):
        if np.isin(mean, (0.0, 1.0)).all():
            raise ValueError("v has no neuron that changes: give frames that differ")
        # Lanczos steps find fewer components than there are; the case that is left is small or odd
        solver = "arpack" if n_components < min(spikes.shape) else "full"
        pca = PCA(n_components, svd_solver=solver, random_state=random_state)
        activity = pca.fit_transform(x if solver == "arpack" else x.toarray())
        loadings = pca.components_.T
    if method == "ica":  # whitening happens in the principal plane, where ICA remains
        rank = int((pca.singular_values_ > _NULL * pca.singular_values_[0]).sum())
        if rank < n_components:  # whitening would blow rounding up to unit variance
            raise ValueError(f"n_components is {n_components}: v has rank {rank}, give 1 to {rank}")
        ica = FastICA(whiten="unit-variance", random_state=random_state, max_iter=1000, tol=1e-3)
        activity = ica.fit_transform(activity)
        loadings = loadings @ ica.mixing_
    elif method == "nmf":
        nmf = NMF(n_components, init="nndsvda", random_state=random_state, max_iter=1000)
        activity = nmf.fit_transform(x)
        loadings = nmf.components_.T
        mean = np.zeros_like(mean)
    norm = np.linalg.norm(loadings, axis=0)
    scale = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0) * norm
    used = np.where(norm > 0, scale, 1.0)  # NMF may leave a component empty
    return Components(method, loadings / used, mean, activity * used)


def sweep_components(
    train: object,
    n_components: Sequence[int],
    method: str = "pca",
    *,
    n_folds: int = 3,
    random_state: int | np.random.Generator | None = 0,
) -> Sweep:
    """Choose the number of components by predicting one half of the neurons from the other.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.
    n_components : sequence of int
        The numbers to try, at most half of the neurons.
    method : {"pca", "nmf"}
        The numbers of "pca" also hold for ICA (default "pca").
    n_folds : int
        Blocks of frames, each held out once (default 3).
    random_state : int, Generator or None
        Chooses the halves, and drives NMF (default 0).

    Returns
    -------
    Sweep
        Its scores are the predicted fraction of the held-out variance about the fitted means.

    Raises
    ------
    ValueError
        If `method` is unknown, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> on = np.repeat(rng.random((600, 2)) < 0.4, 10, axis=1)
    >>> sweep_components(rng.random((600, 20)) < np.where(on, 0.8, 0.1), (1, 2, 6)).best
    2
    """
    spikes = as_spikes(train, "train")
    if method not in ("pca", "nmf"):
        raise ValueError(f"method is {method!r}: give 'pca' (which also holds for ICA) or 'nmf'")
    most = spikes.n_neurons // 2
    wrong = [m for m in n_components if not is_integer(m) or not 1 <= m <= most]
    if wrong:
        raise ValueError(
            f"n_components holds {wrong[0]!r}: give integers from 1 to {most}, half of the neurons"
        )
    halves = np.array_split(as_generator(random_state).permutation(spikes.n_neurons), 2)

    def score(fitted: object, held_out: object) -> list[float]:
        y = held_out.toarray()
        mean = np.asarray(fitted.mean(axis=0)).ravel()
        if method == "pca":  # the first columns of the largest fit are the smaller fits
            largest = fit_components(fitted, max(n_components)).loadings
            loadings = [largest[:, :m] for m in n_components]
        else:
            loadings = [
                fit_components(fitted, m, "nmf", random_state).loadings for m in n_components
            ]
        offset = mean if method == "pca" else np.zeros_like(mean)
        total = ((y - mean) ** 2).sum()
        return [1.0 - _error_across_halves(y - offset, w, halves, method) / total for w in loadings]

    return cross_validate(train, n_components, score, n_folds)


def _error_across_halves(
    y: np.ndarray, loadings: np.ndarray, halves: list[np.ndarray], method: str
) -> float:
    """Sum the squared errors of predicting each half of the neurons from the other."""
    from sklearn.decomposition import non_negative_factorization

    error = 0.0
    for seen, unseen in (halves, halves[::-1]):
        if method == "pca":
            activity = np.linalg.lstsq(loadings[seen], y[:, seen].T, rcond=None)[0].T
        else:
            activity = non_negative_factorization(
                y[:, seen], H=loadings[seen].T.copy(), update_H=False, max_iter=500
            )[0]
        error += ((y[:, unseen] - activity @ loadings[unseen].T) ** 2).sum()
    return error
