r"""A student: a model of one animal whose hidden units are those of another's, the teacher's.

Teacher and student (Dommanget-Kott et al. 2026) are trained one after the other. The student begins
with the teacher's weights, carried over through space (`crbm_lite.animals.space`) and scaled by the
unit's beta; with the teacher's potentials; and with the fields at which its neurons have their
activity. It is then trained on both sides at once,

.. math:: F = (1 - s)\,\langle \log P(v) \rangle_{\text{student's frames}}
          + s\,\langle \log P(h) \rangle_{\text{teacher's } h}
          - \lambda \sum_\mu \sigma_\mu \sum_i |w_{i\mu}| ,

where the teacher's h are drawn from P(h|v), once for each of its frames, and sigma is their
standard deviation: the penalty and the scale of h are the teacher's. Units keep their order and
their signs.
Potentials act on one unit at a time, so correlations of h can come from W alone, and log P(h) makes
W bear those of the teacher (`crbm_lite.training.hidden_term`).

By default the potentials stay. While the weights are still poor, potentials that move learn the law
of h on their own, and leave the weights without a task; in simulations that cost units.

A unit whose neurons have no counterpart in the student has no map to begin with. Nothing ties it to
a place, and `Alignment.without_tissue` names it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from crbm_lite.animals.animal import Animal, as_animals, check_places, units_with_weights
from crbm_lite.animals.space import CUT, chosen_width_um, interpolation, map_scale, reach
from crbm_lite.checks.arguments import as_flag, as_generator, as_number
from crbm_lite.core.drelu import PARAMETERS
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.start import Start, balance_fields

__all__ = ["STARTS", "Alignment", "align", "train_student"]

STARTS = ("maps", "permuted maps", "random")
_N_UPDATES = 2000
_UNSEEN = 0.25  # share of the teacher's h that no student is trained on
_RANDOM_WEIGHT = 0.01  # standard deviation
_LEAST_REACH = 0.5
_LIKE_RATES, _MOST_RATES = 1.1, 1.5  # ratios of frame rates: as good as the same; refused


@dataclass(frozen=True, eq=False)
class Alignment:
    """A student, and where it comes from.

    Attributes
    ----------
    student : Animal
        Its units are those of the teacher, in order, sign and scale.
    teachers : tuple of Animal
    before : Animal
        The student before its training: the maps as they were carried over.
    hidden_share : float
        What log P(h) counted.
    unseen_h : ndarray, shape (n, M)
        Draws of the teacher's h that the student was not trained on.
    sigma_um : float
        Width of the kernel that carried the maps over.
    scale : ndarray, shape (M,)
        The factor beta of each map: 1 for a smooth one, 0 where neighbours say nothing.
    reach : ndarray, shape (M,)
        Share of the weights of each unit, by |w|, that has a neuron of the student within three
        widths.
    notes : tuple of str
        What to know about this pair, in words.
    """

    student: Animal
    teachers: tuple[Animal, ...]
    before: Animal
    hidden_share: float
    unseen_h: np.ndarray
    sigma_um: float
    scale: np.ndarray
    reach: np.ndarray
    notes: tuple[str, ...]

    @property
    def without_tissue(self) -> np.ndarray:
        """Units that have weights, and most of them where the student has no neurons."""
        is_alive = units_with_weights(each.model for each in self.teachers)
        return np.flatnonzero(is_alive & (self.reach < _LEAST_REACH))


def align(
    teacher: Animal | Sequence[Animal],
    recording: Recording,
    *,
    hidden_share: float = 0.5,
    freeze_hidden: bool = True,
    start: str = "maps",
    sigma_um: float | None = None,
    random_state: int | np.random.Generator | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 1000,
    resume: bool = False,
    **hyperparameters: object,
) -> Alignment:
    """Train a student: a model of a recording with the hidden units of a teacher.

    Parameters
    ----------
    teacher : Animal, or several that share their hidden units
        Several count as one animal with the neurons and the frames of all. The potentials are those
        of the first.
    recording : Recording
        Of the student, in the same space.
    hidden_share : float from 0 to 1, default 0.5
        What the log P(h) of the teacher's h counts; log P(v) of the student's frames counts the
        rest. At 0 the teacher gives nothing but the start.
    freeze_hidden : bool, default True
        Whether the potentials stay the teacher's.
    start : {"maps", "permuted maps", "random"}, default "maps"
        Where the weights begin. The last two are controls: maps that are dealt to wrong units, and
        small random weights.
    sigma_um : float, optional
        Width of the kernel that carries maps over; by default the one at which the teacher's own
        weights are best predicted by their neighbours.
    random_state : int, numpy.random.Generator or None, default None
        Of the teacher's h and of the training.
    checkpoint, checkpoint_every, resume
        As in ``CRBM.fit``; give an integer ``random_state`` to go on.
    **hyperparameters
        Of the student's ``CRBM``. By default they are those of the teacher, with 2,000 updates.

    Returns
    -------
    Alignment

    Raises
    ------
    ValueError
        If there are no coordinates; if no unit has neurons of the student near; if the frame rates
        differ by more than a half; if an argument is out of its range.

    Warns
    -----
    ConvergenceWarning
        If the student's verdict is not "converged".

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> from crbm_lite import simulate_recording
    >>> first, second = (simulate_recording(200, 300, animal=k, n_assemblies=8) for k in (0, 1))
    >>> model = CRBM(n_hidden=8, l1=0.01, n_updates=20, random_state=0, progress=False)
    >>> found = align(Animal(model.fit(first), first), second, n_updates=20, random_state=0)
    >>> found.student.model.weights_.shape
    (200, 8)
    """
    teachers = as_animals(teacher, "teacher")
    check_places(recording)
    as_flag(freeze_hidden, "freeze_hidden")
    hidden_share = _checked_share(hidden_share)
    if start not in STARTS:
        raise ValueError(f"start is {start!r}: give one of {', '.join(STARTS)}")
    notes = tuple(note for each in teachers if (note := _note_on_rates(each, recording)))
    rng = as_generator(random_state)
    h = np.concatenate([each.sample_h(rng) for each in teachers])
    order = rng.permutation(len(h))
    n_unseen = round(_UNSEEN * len(h))
    unseen_h, h = h[order[:n_unseen]], h[order[n_unseen:]]

    places = np.concatenate([each.coordinates for each in teachers])
    weights = np.concatenate([each.model.weights_ for each in teachers]).astype(np.float64)
    sigma_um = (
        chosen_width_um(weights, places)
        if sigma_um is None
        else as_number(sigma_um, "sigma_um", "a width in um", positive=True)
    )
    reached = reach(weights, places, recording.coordinates, CUT * sigma_um)
    if not reached.any():
        raise ValueError(
            f"no neuron of the student lies within {CUT * sigma_um:.3g} um of one with weights: "
            "give coordinates in the same space, or a larger sigma_um"
        )
    scale = map_scale(weights, places, sigma_um)
    maps = scale * (interpolation(places, recording.coordinates, sigma_um) @ weights)
    if start == "permuted maps":
        maps = np.roll(maps, 1, axis=1)
    elif start == "random":
        maps = _RANDOM_WEIGHT * rng.standard_normal(maps.shape)
    first = teachers[0].model
    spikes = as_spikes(recording)
    begun = Start(
        maps.astype(np.float32), balance_fields(spikes, maps, h),
        np.stack(first.units.parameters), field_rate_factor=1.0,
    )  # fmt: skip
    before = CRBM.from_parameters(begun.weights, begun.fields, *begun.potential)
    term = HiddenTerm(h, hidden_share, freeze_hidden) if hidden_share > 0.0 else None
    model = train_student(
        student_given(first, hyperparameters, rng), recording, begun, h,
        term, checkpoint=checkpoint, checkpoint_every=checkpoint_every, resume=resume,
    )  # fmt: skip
    student = Animal(model, recording)
    return Alignment(
        student, teachers, Animal(before, recording), hidden_share, unseen_h, float(sigma_um),
        scale, reached, notes,
    )  # fmt: skip


def student_given(
    teacher: CRBM, hyperparameters: dict[str, object], rng: np.random.Generator
) -> CRBM:
    """Make a model with a teacher's hyperparameters and 2,000 updates, unless others are given."""
    fixed = {
        "n_updates": _N_UPDATES,
        "n_hidden": teacher.units.n_hidden,
        "l1": getattr(teacher, "l1_", teacher.l1),
        "random_state": int(rng.integers(2**31)),
    }
    return clone(teacher).set_params(**fixed | hyperparameters)


def train_student(
    model: CRBM, recording: Recording, start: Start, h: np.ndarray, term: HiddenTerm | None,
    **where: object,
) -> CRBM:  # fmt: skip
    """Fit a model from a start, in the scale of values of h.

    Within the training, h has the standard deviation 1 over the values, so that the penalty on |w|
    is the same for all units. What comes back is in the scale of the values again.

    Parameters
    ----------
    model : CRBM
        It is fitted.
    recording : Recording
    start : Start
    h : ndarray, shape (T, M)
    term : HiddenTerm or None
        Of the same values.
    **where
        The checkpoint, as in ``CRBM.fit``.

    Returns
    -------
    CRBM
    """
    spread = np.maximum(h.std(axis=0), 1e-6)
    unit = _rescaled(start, spread)
    if term is not None:
        term = HiddenTerm(h / spread, term.share, term.holds_potential)
    fitted = model.fit_from(recording, unit, hidden=term, **where)
    end = _rescaled(
        Start(fitted.weights_, fitted.fields_, np.stack(fitted.units.parameters), 1.0), 1.0 / spread
    )
    found = copy(fitted)
    found.weights_ = end.weights
    for name, values in zip(PARAMETERS, end.potential, strict=True):
        setattr(found, f"{name}_", values)
    return found


def _rescaled(start: Start, spread: np.ndarray) -> Start:
    """The same P(v) with h / spread for h."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = start.potential
    potential = np.stack(
        [gamma_plus * spread**2, gamma_minus * spread**2, theta_plus * spread, theta_minus * spread]
    )
    weights = (start.weights * spread).astype(np.float32)
    return Start(weights, start.fields, potential, start.field_rate_factor)


def _checked_share(value: object) -> float:
    share = as_number(value, "hidden_share", "a number from 0 to 1")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"hidden_share is {share}: give a number from 0 to 1")
    return share


def _note_on_rates(teacher: Animal, recording: Recording) -> str | None:
    """Say how frames of two animals differ in length, or raise where they differ too much."""
    rates = sorted((teacher.recording.rate_hz, recording.rate_hz))
    ratio = rates[1] / rates[0]
    if ratio > _MOST_RATES:
        raise ValueError(
            f"rate_hz is {recording.rate_hz:g} for the student and {teacher.recording.rate_hz:g} "
            "for the teacher: give recordings in bins of the same length, since the law of h is "
            "that of one frame"
        )
    if ratio > _LIKE_RATES:
        return f"frames of one animal are {ratio:.2f} times as long as those of the other"
    return None
