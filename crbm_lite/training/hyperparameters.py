"""The hyperparameters of a training run: checked, and as they change over its updates.

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

from crbm_lite.core.spikes import Spikes, SpikesError

BACKENDS = ("numba", "jax", "jax-tf32", "jax-bf16")
_WITHOUT_EFFECT = ("progress",)  # hyperparameters that leave the trained model as it is


class HyperparameterError(ValueError):
    """An impossible hyperparameter."""


class SpikesWarning(UserWarning):
    """A recording that can be trained on but deserves a look."""


@dataclass(frozen=True)
class Schedule:
    """Hyperparameters of a run; the names are those of `crbm_lite.CRBM`."""

    n_updates: int
    batch_size: int
    n_chains: int
    n_gibbs: int
    jump_every: int
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
        """Constant, then geometric decay from ``decay_start`` to the end."""
        done = (update / self.n_updates - self.decay_start) / max(1.0 - self.decay_start, 1e-9)
        decay = self.final_learning_rate / self.learning_rate
        return self.learning_rate * decay ** min(max(done, 0.0), 1.0)

    def is_refit(self, update: int) -> bool:
        """Whether the update is one of the last, which move only weights that are not zero."""
        return self.refit > 0.0 and update >= (1.0 - self.refit) * self.n_updates

    @property
    def l1_nonzero(self) -> float:
        """Penalty under which the weights that are not zero end."""
        return 0.0 if self.refit > 0.0 else self.l1

    def is_averaged(self, update: int) -> bool:
        """Whether parameters after so many updates are averaged; the refit's first half is not."""
        half_of_refit = 1.0 - 0.5 * self.refit if self.refit > 0.0 else 0.0
        return update > max(self.average_from, half_of_refit) * self.n_updates

    def l1_at(self, update: int) -> float:
        """Penalty, raised linearly from zero over the share ``ramp`` of the updates; refit: 0."""
        if self.is_refit(update):
            return 0.0
        return self.l1 * min((update + 1) / max(self.ramp * self.n_updates, 1.0), 1.0)

    def l1_at_zero(self, update: int) -> float:
        """What the gradient of a weight at zero has to exceed to move it; refit: infinite."""
        return math.inf if self.is_refit(update) else self.l1_at(update)


def _check_integer(name: str, value: object, least: int, most: int = 2**31) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise HyperparameterError(f"{name} must be an integer, got {value!r}.")
    if not least <= value <= most:
        raise HyperparameterError(f"{name} must be from {least} to {most}, got {value}.")


def _check_number(name: str, value: object, low: float, high: float, *, open_low: bool) -> None:
    bad = not isinstance(value, numbers.Real) or isinstance(value, bool) or not np.isfinite(value)
    if bad or value < low or value > high or (open_low and value == low):
        bracket = "(" if open_low else "["
        raise HyperparameterError(
            f"{name} must be a number in {bracket}{low}, {high}], got {value!r}."
        )


def checked_schedule(model: object) -> Schedule:
    """The schedule of an estimator's hyperparameters.

    Raises
    ------
    HyperparameterError
        If one is impossible.
    """
    _check_integer("n_hidden", model.n_hidden, 1, 65535)
    for name in ("n_updates", "batch_size", "n_gibbs"):
        _check_integer(name, getattr(model, name), 1)
    _check_integer("n_chains", model.n_chains, 2)
    _check_integer("jump_every", model.jump_every, 0)
    _check_number("l1", model.l1, 0.0, 1.0, open_low=False)
    _check_number("learning_rate", model.learning_rate, 0.0, 1.0, open_low=True)
    _check_number(
        "final_learning_rate", model.final_learning_rate, 0.0, model.learning_rate, open_low=True
    )
    _check_number("decay_start", model.decay_start, 0.0, 1.0, open_low=False)
    _check_number("ramp", model.ramp, 0.0, 1.0, open_low=False)
    _check_number("refit", model.refit, 0.0, 1.0, open_low=False)
    _check_number("average_from", model.average_from, 0.0, 1.0, open_low=False)
    _check_number("beta2", model.beta2, 0.0, 0.999999, open_low=False)
    _check_number("epsilon", model.epsilon, 0.0, 1.0, open_low=True)
    if model.init not in ("pca", "random"):
        raise HyperparameterError(f'init must be "pca" or "random", got {model.init!r}.')
    if model.backend not in BACKENDS:
        raise HyperparameterError(f"backend must be one of {BACKENDS}, got {model.backend!r}.")
    return Schedule(**{name: getattr(model, name) for name in Schedule.__dataclass_fields__})


def check_recording(spikes: Spikes, batch_size: int) -> None:
    """Whether a model can be trained on these spikes.

    Raises
    ------
    SpikesError
        If there are fewer frames than a batch, or no spikes at all.

    Warns
    -----
    SpikesWarning
        If neurons never spike or always do.
    """
    if spikes.n_frames < batch_size:
        raise SpikesError(
            f"v has n_samples = {spikes.n_frames} frames, fewer than batch_size = {batch_size}: "
            "pass a longer recording or a smaller batch_size."
        )
    activity = spikes.activity()
    if not activity.any():
        raise SpikesError("v contains no spike: check the threshold of your deconvolution.")
    for word, which in (("never spike", activity == 0), ("spike in every frame", activity == 1)):
        if which.any():
            some = np.flatnonzero(which)[:5].tolist()
            warnings.warn(
                f"{which.sum()} neurons {word} (first: {some}); nothing can be learned about them. "
                "Remove them with recording.select_neurons.",
                SpikesWarning,
                stacklevel=3,
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


def check_sampling(n_samples: int, n_chains: int, n_steps: int, burn_in: int) -> None:
    """Arguments of ``CRBM.sample``; raises HyperparameterError."""
    for name, value, least in (
        ("n_samples", n_samples, 1),
        ("n_chains", n_chains, 1),
        ("n_steps", n_steps, 1),
        ("burn_in", burn_in, 0),
    ):
        _check_integer(name, value, least)
