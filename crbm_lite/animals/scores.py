r"""How well one animal's activity is said in another's neurons: scores, each beside its controls.

Entries of two arrays are compared by

.. math:: \mathrm{nRMSE}(x, y) = \frac{\mathrm{RMSE}(x, y)}{\mathrm{RMSE}_\mathrm{shuffled}}, \qquad
    \mathrm{RMSE}_\mathrm{shuffled}^2 = \mathrm{Var}(x) + \mathrm{Var}(y) + (\bar x - \bar y)^2,

which is 0 for equal entries and 1 for entries in random order. Every score of a translation comes
with two others: *own*, the recipient's frames through its own model and back, which is the best
that a translation can hope for; and *permuted*, a translation in which the hidden units are dealt
to wrong ones between the two models. A translation that is no better than *permuted* says nothing.

The free-energy contrast of frames x to the recipient, whose F needs no Z, is

.. math:: \frac{\mathrm{med}\,F(x) - \mathrm{med}\,F(\text{own})}
               {\mathrm{med}\,F(\text{shuffled}) - \mathrm{med}\,F(\text{own})} .

In *shuffled* every neuron has its own spikes at other times. 0 is as likely as the recipient's own
frames, 1 as unlikely as shuffled ones. Frames whose neurons are shuffled, too, are a second
control. The measures are those of Dommanget-Kott et al. (2026), which has no permuted units.

In a simulation the answer is known (`state_correlations`): where the sender's assembly is active,
the translated frame must show that assembly in the recipient's members.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.animals.alignment import Alignment
from crbm_lite.animals.animal import Animal, units_with_weights
from crbm_lite.animals.space import interpolation, spacing_um
from crbm_lite.checks.arguments import as_generator
from crbm_lite.measures import centred_columns
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.ground_truth import GroundTruth

__all__ = [
    "AlignmentScores",
    "TranslationScores",
    "nrmse_of_entries",
    "score_alignment",
    "score_translation",
    "state_correlations",
]

_N_NEURONS = 1000  # whose covariances are compared
_N_FRAMES = 2000  # at most, of either animal
_QUANTILES = np.linspace(0.0, 1.0, 1001)
_N_GENERATED = 1500
_TITLES = {
    "mean_v": "activity of neurons, nRMSE",
    "covariance_vv": "covariances of neurons, nRMSE",
    "free_energy": "free energies, contrast",
    "frames": "frames in space, r",
    "quantiles": "quantiles of h, nRMSE",
    "covariance_hh": "covariances of h, nRMSE",
    "maps": "maps, r",
}


@dataclass(frozen=True)
class TranslationScores:
    """Scores of a translation, each as a mapping from what was scored to a number.

    Attributes
    ----------
    mean_v, covariance_vv : dict of "translated", "own", "permuted" to float
        nRMSE of the means and of the covariances of neurons against the recipient's data; NaN for
        the covariances of a single neuron.
    free_energy : dict of the same and "shuffled", "neurons shuffled" to float
        Contrast of free energies; NaN where shuffled frames are as likely as own ones.
    frames : dict of "translated", "permuted", "other frames" to float
        Median over frames of the correlation, over neurons, of the recipient's decoded frame with
        the sender's, carried over through space; "other frames" pairs frames at random. NaN where
        fewer than two neurons can be compared.
    """

    mean_v: dict[str, float]
    covariance_vv: dict[str, float]
    free_energy: dict[str, float]
    frames: dict[str, float]

    def table(self) -> str:
        """Write all scores as a text."""
        return _table(vars(self))


@dataclass(frozen=True)
class AlignmentScores:
    """How far a student has its teacher's hidden units.

    Attributes
    ----------
    quantiles, covariance_hh : dict of "student", "before", "permuted" to float
        nRMSE of the quantiles of every unit, and of the covariances of units, in frames that the
        student generates, against the teacher's h on which it was not trained.
    maps : dict of "student", "before", "permuted" to float
        Median over units of the correlation of the student's weights with the teacher's, carried
        over through space.
    map_correlation : ndarray, shape (M,)
        The same of each unit of the student; NaN where one of the two maps is constant.
    """

    quantiles: dict[str, float]
    covariance_hh: dict[str, float]
    maps: dict[str, float]
    map_correlation: np.ndarray

    def table(self) -> str:
        """Write all scores as a text."""
        return _table({k: x for k, x in vars(self).items() if isinstance(x, dict)})


def _table(scores: dict[str, dict[str, float]]) -> str:
    return "\n".join(
        f"{_TITLES[name]:32}" + "  ".join(f"{what} {value:6.3f}" for what, value in each.items())
        for name, each in scores.items()
    )


def nrmse_of_entries(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the RMSE of two arrays, over that of entries in random order.

    Returns
    -------
    float
        NaN where all entries of both are one number, or there are none.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 2.0])
    >>> nrmse_of_entries(x, x), nrmse_of_entries(x, np.full(3, 1.0))
    (0.0, 1.0)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    both = np.concatenate([x.ravel(), y.ravel()])
    if (both == both[:1]).all():  # the variance of one number may be that of rounding
        return float("nan")
    shuffled = np.sqrt(np.var(x) + np.var(y) + (np.mean(x) - np.mean(y)) ** 2)
    return float(np.sqrt(np.mean(np.square(x - y))) / shuffled)


def score_translation(
    sender: Animal, recipient: Animal, *, random_state: int | np.random.Generator | None = None
) -> TranslationScores:
    """Translate the sender's recording and compare it with the recipient's.

    Parameters
    ----------
    sender, recipient : Animal
        They share their hidden units. At most 2,000 frames of each are looked at.
    random_state : int, numpy.random.Generator or None, default None
        Of samples and permutations.

    Returns
    -------
    TranslationScores

    Raises
    ------
    ValueError
        If the models have other numbers of hidden units.
    """
    if sender.n_hidden != recipient.n_hidden:
        raise ValueError(
            f"sender has {sender.n_hidden} hidden units and recipient {recipient.n_hidden}: give "
            "animals that share their units"
        )
    rng = as_generator(random_state)
    model = recipient.model
    data, sent = (_some_frames(a.recording.spikes, rng) for a in (recipient, sender))
    h = sender.model.sample_h_given_v(sent, rng)
    alive = np.flatnonzero(units_with_weights([sender.model, model]))
    h_wrong = _dealt_to_wrong_units(h, alive, rng)
    said = {
        "translated": model.sample_v_given_h(h, rng),
        "own": model.sample_v_given_h(model.sample_h_given_v(data, rng), rng),
        "permuted": model.sample_v_given_h(h_wrong, rng),
    }
    some = rng.permutation(recipient.recording.n_neurons)[:_N_NEURONS]
    covariance = _covariances(data[:, some])
    return TranslationScores(
        mean_v={k: nrmse_of_entries(data.mean(axis=0), v.mean(axis=0)) for k, v in said.items()},
        covariance_vv={
            k: nrmse_of_entries(covariance, _covariances(v[:, some])) for k, v in said.items()
        },
        free_energy=_free_energies(model, said, data, rng),
        frames=_frame_correlations(sender, recipient, h, h_wrong, rng),
    )


def score_alignment(
    alignment: Alignment, *, random_state: int | np.random.Generator | None = None
) -> AlignmentScores:
    """Compare the hidden units of a student with its teacher's.

    Parameters
    ----------
    alignment : Alignment
    random_state : int, numpy.random.Generator or None, default None

    Returns
    -------
    AlignmentScores
    """
    rng = as_generator(random_state)
    student, before = alignment.student.model, alignment.before.model
    target = alignment.unseen_h
    h = {"student": _generated_h(student, rng), "before": _generated_h(before, rng)}
    alive = np.flatnonzero(units_with_weights(each.model for each in alignment.teachers))
    h["permuted"] = _dealt_to_wrong_units(h["student"], alive, rng)
    places = np.concatenate([each.coordinates for each in alignment.teachers])
    weights = np.concatenate([each.model.weights_ for each in alignment.teachers])
    to_um = alignment.student.coordinates
    carried = interpolation(places, to_um, alignment.sigma_um) @ weights.astype(np.float64)
    maps = {"student": student.weights_, "before": before.weights_}
    maps["permuted"] = _dealt_to_wrong_units(student.weights_, alive, rng)
    each = {k: _correlations(w, carried) for k, w in maps.items()}
    quantiles = np.quantile(target, _QUANTILES, axis=0)
    pair = np.triu_indices(target.shape[1])
    covariance = _covariance_matrix(target)[pair]
    return AlignmentScores(
        quantiles={
            k: nrmse_of_entries(quantiles, np.quantile(x, _QUANTILES, axis=0))
            for k, x in h.items()
        },
        covariance_hh={
            k: nrmse_of_entries(covariance, _covariance_matrix(x)[pair]) for k, x in h.items()
        },
        maps={k: float(np.nanmedian(r)) for k, r in each.items()},
        map_correlation=each["student"],
    )  # fmt: skip


def state_correlations(
    activity: np.ndarray, recipient: GroundTruth, sender: GroundTruth
) -> np.ndarray:
    """Correlate the recipient's planted assemblies with the sender's states, (K,).

    Parameters
    ----------
    activity : ndarray, shape (T, N)
        The sender's frames, translated to the recipient's neurons.
    recipient, sender : GroundTruth
        Of two animals that share the plan of their K assemblies. The members of an assembly are the
        recipient's; its states, over T frames, are the sender's.

    Returns
    -------
    ndarray of float64
        Correlation over frames of the mean activity of an assembly's members with its states. NaN
        where either is constant.

    Raises
    ------
    ValueError
        If the numbers of assemblies, frames or neurons differ.

    Examples
    --------
    >>> from crbm_lite import simulate_recording
    >>> truth = simulate_recording(200, 300, n_assemblies=8).truth
    >>> bool(np.nanmedian(state_correlations(truth.probability(), truth, truth)) > 0.5)
    True
    """
    if recipient.n_assemblies != sender.n_assemblies:
        raise ValueError(
            f"recipient has {recipient.n_assemblies} assemblies and sender {sender.n_assemblies}: "
            "give animals of one plan"
        )
    if np.shape(activity) != (sender.n_frames, recipient.n_neurons):
        raise ValueError(
            f"activity has shape {np.shape(activity)}: give ({sender.n_frames}, "
            f"{recipient.n_neurons}), the sender's frames in the recipient's neurons"
        )
    members = (recipient.membership > 0).astype(np.float64)
    shown = activity @ (members / np.maximum(members.sum(axis=0), 1.0))
    return _correlations(shown, sender.states.astype(np.float64))


def _some_frames(spikes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most so many frames, drawn without replacement, in order."""
    if len(spikes) <= _N_FRAMES:
        return spikes
    return spikes[np.sort(rng.permutation(len(spikes))[:_N_FRAMES])]


def _dealt_to_wrong_units(x: np.ndarray, units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give every one of some columns the values of another one of them."""
    order = rng.permutation(units)
    dealt = x.copy()
    dealt[:, order] = x[:, np.roll(order, 1)]
    return dealt


def _covariance_matrix(x: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(x.T))  # of one column, too


def _covariances(v: np.ndarray) -> np.ndarray:
    """Covariances of all pairs of neurons, those with themselves left out."""
    return _covariance_matrix(v.astype(np.float32))[np.triu_indices(v.shape[1], 1)]


def _free_energies(
    model: CRBM, said: dict[str, np.ndarray], data: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Contrasts of free energies: 1 for frames whose neurons are shuffled in time.

    NaN where those are as likely as the own frames, as where most frames are empty.
    """
    shuffled = rng.permuted(data, axis=0)
    frames = said | {
        "shuffled": shuffled, "neurons shuffled": rng.permuted(shuffled, axis=1)
    }  # fmt: skip
    median = {k: float(np.median(model.free_energy(v))) for k, v in frames.items()}
    unit = median["shuffled"] - median["own"]
    return {
        k: (f - median["own"]) / unit if unit else float("nan")
        for k, f in median.items()
        if k != "own"
    }


def _frame_correlations(
    sender: Animal, recipient: Animal, h: np.ndarray, h_wrong: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Correlate frames of both animals that the same h is decoded to, in space."""
    nothing = dict.fromkeys(("translated", "permuted", "other frames"), float("nan"))
    if min(len(a.coordinates) for a in (sender, recipient)) < 2:
        return nothing  # a correlation over neurons takes two
    width = max(spacing_um(a.coordinates) for a in (sender, recipient))
    carry = interpolation(sender.coordinates, recipient.coordinates, width)
    reached = np.diff(carry.indptr) > 0
    if reached.sum() < 2:
        return nothing
    sent = (carry @ sender.model.mean_v_given_h(h).T).T[:, reached]
    others = rng.permutation(len(h))
    received = {
        "translated": recipient.model.mean_v_given_h(h),
        "permuted": recipient.model.mean_v_given_h(h_wrong),
    }
    received["other frames"] = received["translated"][others]
    return {
        k: float(np.nanmedian(_correlations(sent.T, v[:, reached].T))) for k, v in received.items()
    }


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlate columns with the same columns; NaN where one is constant."""
    x, y = centred_columns(x), centred_columns(y)
    norm = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.divide((x * y).sum(axis=0), norm, out=np.full(norm.shape, np.nan), where=norm > 0)


def _generated_h(model: CRBM, rng: np.random.Generator) -> np.ndarray:
    """Draw h of frames that a model generates."""
    v = model.sample(_N_GENERATED, n_steps=10, burn_in=50, random_state=rng)
    return model.sample_h_given_v(v, rng)
