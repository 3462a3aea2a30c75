"""The assemblies of a cRBM in the form of the detectors.

A hidden unit with two wells may stand for two assemblies that exclude each other, one for each sign
of its weights. The sign of its largest weight counts always, and the other one if its largest
weight is at least half as large. Members are the cells whose weight is not 0, as everywhere in
`crbm_lite.assemblies.members`. Assemblies of fewer than five members are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.baselines.detectors.detection import DetectedAssemblies

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["assemblies_of_model", "detect_by_crbm"]

_OTHER_SIGN = 0.5


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
    weights, h = np.asarray(model.weights_, dtype=np.float64), model.mean_h_given_v(v)
    scores = np.hstack([np.maximum(weights, 0.0), np.maximum(-weights, 0.0)])
    members, activity = scores > 0, np.hstack([h, -h]).astype(np.float64)
    largest = scores.max(axis=0).reshape(2, -1)
    counts = (largest >= _OTHER_SIGN * largest.max(axis=0)).ravel()
    found = DetectedAssemblies("cRBM", members, scores, activity)
    return found.select(counts & (members.sum(axis=0) >= least))


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

    n_hidden = "auto" if n_assemblies is None else n_assemblies
    model = CRBM(n_hidden=n_hidden, random_state=random_state, progress=False)
    return assemblies_of_model(model.fit(v), v)
