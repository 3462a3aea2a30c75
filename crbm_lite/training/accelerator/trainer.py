"""The JAX trainer: ``CRBM(backend="jax")`` makes its updates on an accelerator.

One update is `crbm_lite.training.accelerator.update`, one compiled program on arrays that stay on
the device. What goes there is the list of frames of each batch. What comes back are the monitors,
every so many updates, and the state where a rewind or a checkpoint needs it. The run around it is
that of the other trainer (`crbm_lite.training.task`). This module is imported only where JAX is
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import numpy as np

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.persistence import begin_watch
from crbm_lite.core.spikes import Spikes
from crbm_lite.training.accelerator import update as on_device
from crbm_lite.training.accelerator.devices import Devices, check_memory
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.parameters import (
    RESET_BY_REWIND,
    TrainedParameters,
    initial_chains,
    initial_parameters,
)
from crbm_lite.training.start import Start
from crbm_lite.training.update_plan import UpdatePlan

__all__ = ["JaxTrainer"]

_FRAMES_AT_ONCE = 500  # packed into bits


class JaxTrainer:
    """Train on all devices that JAX shows: hold the state of a run there and make its updates.

    Parameters
    ----------
    spikes : Spikes
    start : Start
    schedule : Schedule
    rng : numpy.random.Generator
    hidden : HiddenTerm, optional
        Values of the hidden units that count as data, too.

    Attributes
    ----------
    plan : UpdatePlan

    Raises
    ------
    DeviceMemoryError
        If the training does not fit into the devices' memory.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> from crbm_lite.training.start import random_start
    >>> schedule = Schedule(n_updates=5, batch_size=10, n_chains=4, n_gibbs=1, jump_every=0,
    ...     l1=0.02, learning_rate=0.01, final_learning_rate=0.01, decay_start=0.0, ramp=0.0,
    ...     average_from=0.5, beta2=0.9, epsilon=1e-6)
    >>> rng = np.random.default_rng(0)
    >>> spikes = as_spikes(rng.random((50, 12)) < 0.2)
    >>> trainer = JaxTrainer(spikes, random_start(spikes, 3, rng), schedule, rng)
    >>> trainer.one_update()
    >>> trainer.plan.update, trainer.is_finite()
    (1, True)
    """

    def __init__(
        self,
        spikes: Spikes,
        start: Start,
        schedule: Schedule,
        rng: np.random.Generator,
        hidden: HiddenTerm | None = None,
    ) -> None:
        self._devices, self._hidden = Devices(spikes.n_neurons), hidden
        batch = min(schedule.batch_size, spikes.n_frames) * (1 if hidden is None else 2)
        check_memory(
            self._devices.available, self._devices.mesh.size, *start.weights.shape,
            schedule.n_chains, batch, spikes.n_frames, jumps=schedule.jump_every != 0,
        )  # fmt: skip
        self.plan = UpdatePlan(schedule, start, spikes.n_frames, rng)
        activity = spikes.activity()
        centre = activity if hidden is None else hidden.centre(activity)
        parameters = initial_parameters(start, spikes, centre)
        # on the host, for finish
        self._chains = initial_chains(spikes, parameters, schedule, rng, start.frames)
        holds_potential = hidden is not None and hidden.holds_potential
        self._settings = on_device.Settings(
            schedule.n_gibbs, self._chains.jump_every, holds_potential
        )
        self._seed = int(self._chains.seed)
        with jax.enable_x64(True):
            on_all = self._devices.put({"data": _as_bits(spikes), "activity": activity})
        self._data, self._activity = on_all["data"], on_all["activity"]
        values = vars(parameters) | {
            "v": self._chains.spikes(),
            "counts": self._chains.proposal_counts,
            "n_steps": 0,
            "n_nonzero": np.count_nonzero(start.weights),
        }
        if schedule.jump_every == "auto":
            values |= begin_watch(*self._chains.partial_input.shape[1:])
        del values["density"]  # the device counts the weights that are not zero
        self._put(values)

    def one_update(self, measure: bool = False) -> float | None:
        """Move the parameters once, without waiting for it unless ``measure``.

        With ``measure``, return the effective share of the chains under the importance weights from
        the old to the new parameters.
        """
        rates = np.array(self.plan.rates())
        frames = self.plan.next_frames().astype(np.int32)
        with jax.enable_x64(True):
            self._state, log_p_before = on_device.one_update(
                self._state, self._activity, self._data, frames, rates, self._key,
                settings=self._settings, term=self._hidden_values(len(frames)),
            )  # fmt: skip
            if weight := self.plan.count_update():
                self._state = on_device.averaged(self._state, np.float64(weight))
            if not measure:
                return None
            return float(on_device.effective_share(self._state, log_p_before))

    def _hidden_values(self, n_frames: int) -> on_device.HiddenValues | None:
        """Draw some of the given values of h for an update."""
        term = self._hidden
        if term is None:
            return None
        h = term.draw_h(n_frames, self.plan.rng).astype(np.float32)
        return on_device.HiddenValues(h, term.statistics, np.float64(term.share))

    def activity_of_chains(self) -> float:
        """Return the spikes per neuron and chain."""
        return float(self._state["v"][:, : self._devices.n_neurons].mean())

    def density(self) -> float:
        """Return the share of weights that are not zero."""
        n_weights = self._devices.n_neurons * self._state["size"].shape[0]
        return float(self._state["n_nonzero"]) / n_weights

    def is_finite(self) -> bool:
        """Say whether all parameters are finite."""
        return all(
            bool(np.isfinite(self._fetch(name)).all()) for name in ("size", "fields", "hidden")
        )

    def jumping(self) -> np.ndarray | None:
        """Say which units need jumps (M,), or None where that was not to be found out."""
        return self._fetch("slow") if "slow" in self._state else None

    def finish(self) -> tuple[TrainedParameters, GibbsChains]:
        """Return the parameters of the run, their means over the later updates, and the chains.

        A weight that is zero at the end stays zero. The chains come back to the host with these
        weights.
        """
        last = self._fetch_all()
        if self.plan.n_averaged:
            weights = np.where(last["weights"] != 0, last["mean_weights"], np.float32(0.0))
            fields, potential = last["mean_fields"], last["mean_potential"]
        else:
            weights, fields = last["weights"], last["fields"]
            with jax.enable_x64(True):
                potential = np.array(
                    on_device.potential_given(self._state["hidden"], self._state["offset"])
                )
        chains = self._chains
        if "slow" in last:
            chains.jumping = last["slow"]
        chains.seed, chains.n_steps_done = np.uint64(self._seed), int(last["n_steps"])
        chains.set_weights(weights)
        chains.set_spikes(last["v"])
        chains.proposal_counts[:] = last["counts"]
        chains.propose_from(np.empty((0, chains.n_hidden)), keep=1.0)
        return TrainedParameters(weights, fields, potential, last["mean_h"]), chains

    def snapshot(self) -> dict[str, object]:
        """Copy, to the host, everything that a rewind needs."""
        values = {name: x for name, x in self._fetch_all().items() if name not in RESET_BY_REWIND}
        return values | {"update": self.plan.update}

    def rewind(self, snapshot: Mapping[str, object]) -> None:
        """Go back to a snapshot with half the learning rate, and on with the random numbers."""
        values = dict(snapshot)
        self.plan.rewind(values.pop("update"))
        values["n_steps"] = np.array(self._state["n_steps"])
        for name in RESET_BY_REWIND:
            values[name] = np.zeros(self._state[name].shape, self._state[name].dtype)
        self._put(values)

    def state(self) -> dict[str, object]:
        """Return everything on which the updates to come depend, copied to the host."""
        return self._fetch_all() | self.plan.state() | {"seed": self._seed}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state` as if nothing had happened in between."""
        self.plan.restore(state)
        self._seed = state["seed"]
        self._put({name: state[name] for name in self._state})

    def _fetch(self, name: str) -> np.ndarray:
        return self._devices.fetch(name, self._state[name])

    def _fetch_all(self) -> dict[str, np.ndarray]:
        return {name: self._fetch(name) for name in self._state}

    def _put(self, values: Mapping[str, object]) -> None:
        with jax.enable_x64(True):
            self._key = jax.random.key(self._seed)
            self._state = {}  # there may be no room for two
            self._state = self._devices.put(values)


def _as_bits(spikes: Spikes) -> np.ndarray:
    """Spikes as bits, shape (T, ceil(N / 8)) uint8."""
    firsts = range(0, spikes.n_frames, _FRAMES_AT_ONCE)
    return np.concatenate(
        [
            np.packbits(spikes.dense(slice(first, first + _FRAMES_AT_ONCE)), axis=1)
            for first in firsts
        ]
    )
