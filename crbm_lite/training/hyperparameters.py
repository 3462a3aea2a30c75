"""The hyperparameters of a training run, and what they say about each of its updates.

The paper's schedule is a constant learning rate, then geometric decay (Methods). The refit is the
relaxed lasso of Meinshausen (2007): the penalty chooses the weights, and those that it left are
then fitted without it, which takes out the penalty's bias.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_flag, as_generator, is_integer
from crbm_lite.core.spikes import Spikes, SpikesError

__all__ = [
    "BACKENDS",
    "HyperparameterError",
    "Schedule",
    "SpikesWarning",
    "check_trainable",
    "checked_sampling",
    "checked_schedule",
    "chosen_by_evidence",
    "hyperparameters_as_json",
    "run_hyperparameters",
]

BACKENDS = ("numba", "jax")
_STARTS = ("auto", "pca", "nmf", "random")
_CHOSEN = ("n_hidden", "l1", "n_updates")  # what "auto" leaves to evidence
_CHOSEN_WITH = {"refit": "l1"}  # what "auto" leaves to evidence if that of another does
_WITHOUT_EFFECT = ("progress",)  # hyperparameters that leave the trained model as it is
_MOST = 2**31
_FROM_ONE = ("n_updates", "batch_size", "n_gibbs")
_SHARES = ("l1", "decay_start", "ramp", "refit", "average_from")  # numbers from 0 to 1


class HyperparameterError(ValueError):
    """A hyperparameter that is impossible."""


class SpikesWarning(UserWarning):
    """A recording that can be trained on but deserves a look."""


@dataclass(frozen=True)
class Schedule:
    """Hold the hyperparameters of a run; the names are those of `crbm_lite.CRBM`."""

    n_updates: int
    batch_size: int
    n_chains: int
    n_gibbs: int
    jump_every: int | str
    l1: float
    learning_rate: float
    final_learning_rate: float
    decay_start: float
    ramp: float
    average_from: float
    beta2: float
    epsilon: float
    refit: float = 0.0

    def learning_rate_at(self, update: int) -> float:
        """Return the learning rate: constant, then geometric decay from ``decay_start`` on."""
        done = (update / self.n_updates - self.decay_start) / max(1.0 - self.decay_start, 1e-9)
        decay = self.final_learning_rate / self.learning_rate
        return self.learning_rate * decay ** min(max(done, 0.0), 1.0)

    def is_refit(self, update: int) -> bool:
        """Say whether the update is one of the last, which move no weight that is zero."""
        return self.refit > 0.0 and update >= (1.0 - self.refit) * self.n_updates

    @property
    def l1_nonzero(self) -> float:
        """Penalty under which the weights that are not zero end."""
        return 0.0 if self.refit > 0.0 else self.l1

    def is_averaged(self, update: int) -> bool:
        """Say whether parameters after so many updates belong to the mean over the later ones.

        In a refit only its second half does.
        """
        half_of_refit = 1.0 - 0.5 * self.refit if self.refit > 0.0 else 0.0
        return update > max(self.average_from, half_of_refit) * self.n_updates

    def l1_at(self, update: int) -> float:
        """Return the penalty: it rises from zero over the share ``ramp``, and a refit has none."""
        if self.is_refit(update):
            return 0.0
        return self.l1 * min((update + 1) / max(self.ramp * self.n_updates, 1.0), 1.0)

    def l1_at_zero(self, update: int) -> float:
        """Return what the gradient of a weight at zero must exceed; it is infinite in a refit."""
        return math.inf if self.is_refit(update) else self.l1_at(update)


def _check_integer(name: str, value: object, least: int, most: int = _MOST) -> None:
    if not is_integer(value) or not least <= value <= most:
        raise HyperparameterError(
            f"{name} is {value!r}: give an integer from {least} to {most}{_or_auto(name)}"
        )


def _check_number(name: str, value: object, most: float, *, zero: bool) -> None:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value <= most or (value == 0.0 and not zero):
        least = "from 0" if zero else "above 0, and"
        raise HyperparameterError(
            f"{name} is {value!r}: give a number {least} to {most:g}{_or_auto(name)}"
        )


def _or_auto(name: str) -> str:
    return ', or "auto"' if name in (*_CHOSEN, *_CHOSEN_WITH) else ""


def chosen_by_evidence(estimator: object) -> tuple[str, ...]:
    """Name the hyperparameters of an estimator that are "auto".

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> chosen_by_evidence(CRBM(n_hidden=20, l1=0.01))
    ('n_updates',)
    """
    names = [name for name in (*_CHOSEN, *_CHOSEN_WITH) if _is_auto(getattr(estimator, name))]
    return tuple(name for name in names if _CHOSEN_WITH.get(name, name) in names)


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value == "auto"


def _check_jump_every(value: object) -> None:
    if not _is_auto(value) and not (is_integer(value) and 0 <= value <= _MOST):
        raise HyperparameterError(
            f"jump_every is {value!r}: give 'auto' or an integer from 0 to {_MOST}"
        )


def checked_schedule(estimator: object) -> Schedule:
    """Check an estimator's hyperparameters and return its schedule.

    What is "auto" becomes the least that is possible, for the search to replace
    (`crbm_lite.training.search`).

    Parameters
    ----------
    estimator : CRBM, or another object with the attributes of its hyperparameters

    Raises
    ------
    HyperparameterError
        If a hyperparameter is impossible.
    """
    values = {name: getattr(estimator, name) for name in Schedule.__dataclass_fields__}
    values |= {"n_hidden": estimator.n_hidden}
    values |= {name: 0.0 if name == "l1" else 1 for name in _CHOSEN if _is_auto(values[name])}
    values |= {name: 0.0 for name in _CHOSEN_WITH if _is_auto(values[name])}
    _check_integer("n_hidden", values["n_hidden"], 1, 65535)
    for name in _FROM_ONE:
        _check_integer(name, values[name], 1)
    _check_integer("n_chains", estimator.n_chains, 2)
    _check_jump_every(estimator.jump_every)
    for name in _SHARES:
        _check_number(name, values[name], 1.0, zero=True)
    _check_number("learning_rate", estimator.learning_rate, 1.0, zero=False)
    highest = float(estimator.learning_rate)
    _check_number("final_learning_rate", estimator.final_learning_rate, highest, zero=False)
    _check_number("beta2", estimator.beta2, 0.999999, zero=True)
    _check_number("epsilon", estimator.epsilon, 1.0, zero=False)
    for name, choices in (("init", _STARTS), ("backend", BACKENDS)):
        if (value := getattr(estimator, name)) not in choices:
            raise HyperparameterError(f"{name} is {value!r}: give one of {', '.join(choices)}")
    if estimator.init == "nmf" and not chosen_by_evidence(estimator):
        raise HyperparameterError(
            "init is 'nmf', which only a search tries: give 'pca' or 'random', or leave n_hidden, "
            'l1 or n_updates "auto"'
        )
    try:
        as_flag(estimator.progress, "progress")
        as_generator(estimator.random_state)
    except ValueError as error:
        raise HyperparameterError(str(error)) from error
    del values["n_hidden"]
    return Schedule(**values)


def check_trainable(spikes: Spikes, batch_size: int) -> None:
    """Check that a model can be trained on these spikes.

    Raises
    ------
    SpikesError
        If there are fewer frames than a batch has, no spikes at all, or no neuron changes.

    Warns
    -----
    SpikesWarning
        If neurons never spike or always do.
    """
    if spikes.n_frames < batch_size:
        raise SpikesError(
            f"v has n_samples = {spikes.n_frames} frames, fewer than batch_size = {batch_size}: "
            "give a longer recording or a smaller batch_size"
        )
    activity = spikes.activity()
    if not activity.any():
        raise SpikesError("v contains no spike: check the threshold of your deconvolution")
    if not ((activity > 0) & (activity < 1)).any():
        raise SpikesError("v is the same in every frame: check the threshold of your deconvolution")
    for word, which in (("never spike", activity == 0), ("spike in every frame", activity == 1)):
        if which.any():
            some = np.flatnonzero(which)[:5].tolist()
            warnings.warn(
                f"neurons that {word}: {which.sum()} (first: {some}). Nothing can be learned about "
                "them: leave them out with recording.select_neurons",
                SpikesWarning,
                stacklevel=4,  # the caller of CRBM.fit or fit_from
            )


def hyperparameters_as_json(parameters: Mapping[str, object]) -> dict[str, object]:
    """Hyperparameters as JSON can hold them: numpy's numbers become Python's.

    A ``random_state`` that is no integer becomes None, since no file can hold a generator.

    Examples
    --------
    >>> hyperparameters_as_json({"n_hidden": np.int64(3), "random_state": np.random.default_rng()})
    {'n_hidden': 3, 'random_state': None}
    """
    plain = {name: x.item() if isinstance(x, np.generic) else x for name, x in parameters.items()}
    if not isinstance(plain.get("random_state"), int | None):
        plain["random_state"] = None
    return plain


def run_hyperparameters(parameters: Mapping[str, object]) -> dict[str, object]:
    """The hyperparameters that a training run depends on, as JSON can hold them.

    Examples
    --------
    >>> run_hyperparameters({"n_hidden": 3, "progress": True})
    {'n_hidden': 3}
    """
    plain = hyperparameters_as_json(parameters)
    return {name: x for name, x in plain.items() if name not in _WITHOUT_EFFECT}


def checked_sampling(
    n_samples: int, n_chains: int, n_steps: int, burn_in: int
) -> tuple[int, int, int, int]:
    """Return the arguments of ``CRBM.sample``, or raise a HyperparameterError.

    Products of small integers of numpy would overflow, so they become Python's. There are no more
    chains than samples.

    Examples
    --------
    >>> checked_sampling(100, np.uint8(200), np.uint8(20), 100)
    (100, 100, 20, 100)
    """
    _check_integer("n_samples", n_samples, 1)
    _check_integer("n_chains", n_chains, 1)
    _check_integer("n_steps", n_steps, 1)
    _check_integer("burn_in", burn_in, 0)
    return int(n_samples), min(int(n_chains), int(n_samples)), int(n_steps), int(burn_in)
