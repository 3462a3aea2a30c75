r"""Several animals on one hidden layer: all of them students of each other.

Every animal k has weights and fields of its own; the potentials are the same for all. What is
maximised is the objective of a student (`crbm_lite.animals.alignment`) for each animal, with the
hidden units of all others in the place of the teacher's,

.. math:: F_k = (1 - s)\,\langle \log P_k(v) \rangle_{v \in k}
          + s\,\langle \log P_k(h) \rangle_{h \sim P_j(h|v),\; j \ne k}
          - \lambda \sum_\mu \sigma_\mu \sum_i |w^k_{i\mu}| ,

one animal after the other, in a few sweeps. The first animal is trained alone and gives the units
their potentials, and the maps that the others begin with. Each step draws the same number of values
of h, however many animals they come from. So the cost grows with the number of animals, and not
with its square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.base import clone

from crbm_lite.animals.alignment import align, student_given, train_student
from crbm_lite.animals.animal import Animal, check_places
from crbm_lite.checks.arguments import as_count, as_generator, as_number
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.start import Start

__all__ = ["train_jointly"]

_N_VALUES = 4000  # of h, that one step draws from all other animals together


def train_jointly(
    model: CRBM,
    recordings: Sequence[Recording],
    *,
    hidden_share: float = 0.5,
    n_sweeps: int = 1,
    random_state: int | np.random.Generator | None = None,
    **hyperparameters: object,
) -> tuple[Animal, ...]:
    """Train models of several animals on one hidden layer.

    Parameters
    ----------
    model : CRBM
        Hyperparameters of the first animal's training; it is not changed.
    recordings : sequence of K Recording
        Two or more, in one space, the first of which gives the potentials.
    hidden_share : float, above 0 and at most 1, default 0.5
        What log P(h) counts.
    n_sweeps : int, default 1
        How often each animal is trained on the hidden units of all others, after all are aligned
        with the first.
    random_state : int, numpy.random.Generator or None, default None
    **hyperparameters
        Of the trainings after the first, as in `align`.

    Returns
    -------
    tuple of K Animal
        In the order of the recordings; a teacher of several animals for `align`.

    Raises
    ------
    ValueError
        If there are fewer than two recordings, or as `align`.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> from crbm_lite import simulate_recording
    >>> larvae = [simulate_recording(200, 300, animal=k, n_assemblies=8) for k in (0, 1)]
    >>> model = CRBM(n_hidden=8, l1=0.01, n_updates=20, random_state=0, progress=False)
    >>> first, second = train_jointly(model, larvae, n_updates=10, random_state=0)
    >>> np.allclose(first.model.gamma_plus_, second.model.gamma_plus_)
    True
    """
    if not isinstance(model, CRBM):
        raise ValueError(f"model is a {type(model).__name__}: give a CRBM")
    recordings = (recordings,) if isinstance(recordings, Recording) else tuple(recordings)
    if len(recordings) < 2:
        raise ValueError(
            f"recordings holds {len(recordings)} animal: give two or more, or fit a CRBM to the one"
        )
    n_sweeps = as_count(n_sweeps, "n_sweeps", 0)
    for recording in recordings:
        check_places(recording)
    hidden_share = as_number(hidden_share, "hidden_share", "a number above 0 and up to 1")
    if not 0.0 < hidden_share <= 1.0:
        raise ValueError(f"hidden_share is {hidden_share}: give a number above 0 and up to 1")
    rng = as_generator(random_state)
    first = Animal(clone(model).fit(recordings[0]), recordings[0])
    given = {"hidden_share": hidden_share, "random_state": rng}
    animals = [first] + [
        align(first, recording, **given, **hyperparameters).student for recording in recordings[1:]
    ]
    for _ in range(n_sweeps):
        for k, animal in enumerate(animals):
            others = animals[:k] + animals[k + 1 :]
            animals[k] = _trained_on(animal, others, hidden_share, hyperparameters, rng)
    return tuple(animals)


def _trained_on(
    animal: Animal, others: list[Animal], hidden_share: float,
    hyperparameters: dict[str, object], rng: np.random.Generator,
) -> Animal:  # fmt: skip
    """Go on with the training of an animal, on draws of h of the others."""
    h = np.concatenate([each.sample_h(rng, -(-_N_VALUES // len(others))) for each in others])
    old = animal.model
    start = Start(old.weights_, old.fields_, np.stack(old.units.parameters), 1.0)
    term = HiddenTerm(h, hidden_share, holds_potential=True)
    model = student_given(old, hyperparameters, rng)
    return replace(animal, model=train_student(model, animal.recording, start, h, term))
