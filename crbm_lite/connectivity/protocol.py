"""The paper's protocol for functional connectivity, from recordings to one matrix of regions.

Each animal gets several models, trained on all of its frames from different seeds. Those with
0.01 < std(w) < 0.1 are kept. Their couplings (Eq. 17) are averaged before the absolute value is
taken, the pairs of neurons are averaged by region, and the animals are averaged with weights
T_F (N_r + N_r') (Eq. 22).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from crbm_lite.checks.arguments import as_count
from crbm_lite.connectivity.couplings import factor_of_models, kept_by_weight_spread
from crbm_lite.connectivity.regions import (
    RegionConnectivity,
    check_region_options,
    region_connectivity,
    region_given_neuron,
)
from crbm_lite.connectivity.structure import average_connectivity, check_missing
from crbm_lite.recordings.recording import as_recordings

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM
    from crbm_lite.recordings.files import Recording

__all__ = ["ConnectivityOfAnimals", "connectivity_of_animals"]


@dataclass(frozen=True, eq=False)
class ConnectivityOfAnimals:
    """The region couplings of several animals and their average.

    Attributes
    ----------
    average : ndarray, shape (R, R)
        Eq. 22.
    animals : tuple of RegionConnectivity or None
        One for each animal; None where no run was kept.
    n_kept : tuple of int
        Runs of each animal that were kept, out of ``n_repeats``.
    n_repeats : int
    """

    average: np.ndarray
    animals: tuple[RegionConnectivity | None, ...]
    n_kept: tuple[int, ...]
    n_repeats: int


def connectivity_of_animals(
    model: CRBM,
    recordings: Sequence[Recording],
    *,
    n_repeats: int = 5,
    fit: Callable[[CRBM, Recording], CRBM] | None = None,
    keep: Callable[[Sequence[CRBM]], Sequence[CRBM]] = kept_by_weight_spread,
    missing: str = "skip",
    min_neurons: int = 5,
    diagonal: str = "pairs",
    random_state: int = 0,
) -> ConnectivityOfAnimals:
    """Train several models per animal, keep some, and average over repeats, regions and animals.

    Parameters
    ----------
    model : CRBM
        Gives the hyperparameters. It is not changed.
    recordings : sequence of Recording
        One for each animal, with the same ``label_names``. Labels must not overlap.
    n_repeats : int
        Models for each animal (default 5).
    fit : callable, optional
        Trains a model on a recording and returns it, such as `crbm_lite.model.cache.cached_fit`
        (default: ``model.fit(recording)``).
    keep : callable
        Chooses among the models of an animal (default: the paper's rule). For other sizes give
        ``lambda models: [m for m in models if m.converged_]``.
    missing : {"skip", "zero"}
        See `crbm_lite.connectivity.structure.average_connectivity`.
    min_neurons, diagonal
        See `crbm_lite.connectivity.regions.region_connectivity`.
    random_state : int
        Seed of the first repeat (default 0); the others count on from there.

    Returns
    -------
    ConnectivityOfAnimals

    Raises
    ------
    ValueError
        If a recording has no labels or others than the first, labels overlap, or an option is
        unknown. These are raised before anything is trained. Also if no run of any animal was kept.

    Examples
    --------
    >>> import numpy as np
    >>> import crbm_lite as cl
    >>> larva = cl.simulate_recording(n_neurons=300, n_frames=100, random_state=0)
    >>> known = cl.CRBM.from_parameters(
    ...     np.full((300, 1), 0.5) * (np.arange(300) % 50 < 2)[:, None], np.zeros(300),
    ...     [1], [1], [0], [0])
    >>> result = connectivity_of_animals(known, [larva], fit=lambda model, recording: known)
    >>> result.n_kept, result.average.shape
    ((5,), (20, 20))
    """
    recordings = as_recordings(recordings)
    n_repeats = as_count(n_repeats, "n_repeats")
    random_state = as_count(random_state, "random_state", 0)
    for k, recording in enumerate(recordings):
        if recording.labels is None:
            raise ValueError(f"recordings[{k}] has no labels: give one with the regions of neurons")
        if recording.label_names != recordings[0].label_names:
            raise ValueError(
                f"recordings[{k}] has other label_names than recordings[0]: give the same regions"
            )
        try:  # find what is wrong before the hours of training
            n_regions = region_given_neuron(recording.labels)[1]
            check_region_options(n_regions, n_regions, min_neurons, diagonal)
        except ValueError as error:
            raise ValueError(f"recordings[{k}]: {error}") from error
    check_missing(missing)
    train = fit or (lambda new, recording: new.fit(recording))
    animals, n_kept = [], []
    for recording in recordings:
        repeats = []
        for r in range(n_repeats):
            new = clone(model).set_params(random_state=random_state + r)
            repeats.append(train(new, recording))
        kept = keep(repeats)
        n_kept.append(len(kept))
        animals.append(
            region_connectivity(
                *factor_of_models(kept, recording),
                recording.labels,
                min_neurons=min_neurons,
                diagonal=diagonal,
            )
            if kept
            else None
        )
    found = [k for k, a in enumerate(animals) if a is not None]
    if not found:
        raise ValueError("keep kept no run of any animal: train longer, or give another rule")
    average = average_connectivity(
        [animals[k].values for k in found],
        [animals[k].n_neurons for k in found],
        [recordings[k].n_frames for k in found],
        missing=missing,
    )
    return ConnectivityOfAnimals(average, tuple(animals), tuple(n_kept), n_repeats)
