"""Rivals that are told how many assemblies there are: NMF, ICA and PCA rotated by varimax.

All are called as ``fit(v, K)``. A neuron is a member of an assembly where its score exceeds the
threshold of Otsu (1979), which splits the scores above zero into two groups with as much of their
variance between them as can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crbm_lite.baselines.detectors.detection import otsu_threshold
from crbm_lite.baselines.pca import Components, fit_components
from crbm_lite.training.linear_units import varimax


@dataclass(frozen=True, eq=False)
class Assemblies:
    """What a method found: members (N, K) bool, scores (N, K) and activity (T, K) float64."""

    members: np.ndarray
    scores: np.ndarray
    activity: np.ndarray


def members_of(scores: np.ndarray) -> np.ndarray:
    """Say which neurons are members, (N, K) bool, given the scores."""
    threshold = [otsu_threshold(column[column > 0]) for column in scores.T]
    return scores > np.array(threshold)


def _found(scores: np.ndarray, activity: np.ndarray) -> Assemblies:
    return Assemblies(members_of(scores), scores, activity)


def _of_components(components: Components) -> Assemblies:
    return _found(components.loadings, components.activity)


def nmf(v: object, n_assemblies: int) -> Assemblies:
    """Non-negative matrix factorisation of scikit-learn."""
    return _of_components(fit_components(v, n_assemblies, "nmf"))


def ica(v: object, n_assemblies: int) -> Assemblies:
    """FastICA of scikit-learn within the first K principal components."""
    return _of_components(fit_components(v, n_assemblies, "ica"))


def rotated_pca(v: object, n_assemblies: int) -> Assemblies:
    """The first K principal components times their standard deviations, rotated by varimax."""
    pca = fit_components(v, n_assemblies, "pca")
    sd = pca.activity.std(axis=0)
    rotation = varimax(pca.loadings * sd)
    scores = pca.loadings * sd @ rotation
    sign = np.where(scores.sum(axis=0) < 0, -1.0, 1.0)
    return _found(scores * sign, pca.activity / sd @ rotation * sign)


RIVALS: Mapping[str, Callable[[object, int], Assemblies]] = {
    "NMF": nmf,
    "ICA": ica,
    "varimax": rotated_pca,
}
