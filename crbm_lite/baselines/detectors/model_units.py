"""The assemblies of a cRBM in the form of the detectors.

They are those of `crbm_lite.assemblies.members`: a hidden unit with two sides stands for two
assemblies that exclude each other. Assemblies of fewer than five members are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.assemblies.members import assemblies_of_weights
from crbm_lite.baselines.detectors.detection import DetectedAssemblies, as_number_told
from crbm_lite.checks.arguments import as_count
from crbm_lite.core.spikes import spikes_of_model

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["assemblies_of_model", "detect_by_crbm"]


def assemblies_of_model(model: CRBM, v: object, least: int = 5) -> DetectedAssemblies:
    """Take the assemblies of a fitted cRBM.

    Parameters
    ----------
    model : CRBM
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Frames in which the activity is wanted.
    least : int
        Members of the smallest assembly (default 5).

    Returns
    -------
    DetectedAssemblies
        Scores are weights of one sign, activity is the mean of the hidden unit, with that sign.

    Examples
    --------
    >>> import crbm_lite as cl
    >>> weights = np.repeat([2.0, 0.0, -1.0], [6, 3, 2])[:, None]
    >>> model = cl.CRBM.from_parameters(weights, np.full(11, -2.0), [1], [1], [0], [0])
    >>> assemblies_of_model(model, np.eye(11)).members.sum(axis=0)
    array([6])
    """
    least = as_count(least, "least")
    spikes = spikes_of_model(model, v)
    found = assemblies_of_weights(model.weights_)
    scores = found.members * np.abs(model.weights_[:, found.units]).astype(np.float64)
    activity = found.signs * model.mean_h_given_v(spikes)[:, found.units].astype(np.float64)
    detected = DetectedAssemblies("cRBM", found.members, scores, activity)
    return detected.select(found.sizes >= least)


def detect_by_crbm(
    v: object, n_assemblies: int | None = None, *, random_state: int = 0
) -> DetectedAssemblies:
    """Detect assemblies by training `crbm_lite.CRBM`, with nothing set by hand.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
    n_assemblies : int, optional
        The number of hidden units; by default the training chooses.
    random_state : int
        Seed of the training (default 0).

    Returns
    -------
    DetectedAssemblies
    """
    from crbm_lite.model.model import CRBM

    n_hidden = as_number_told(n_assemblies) or "auto"
    model = CRBM(n_hidden=n_hidden, random_state=random_state, progress=False)
    return assemblies_of_model(model.fit(v), v)
