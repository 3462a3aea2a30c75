"""``CRBM(backend="jax")``: the trainer whose updates run on an accelerator.

No equations: one update is `crbm_lite.training.accelerator.update`, one compiled program on arrays
that stay on the device. What goes there is the list of frames of each batch; what comes back are
the monitors, every so many updates, and the state where a rewind or a checkpoint needs it. The
start, the watch over the run, the verdict and the certificate are those of the other backend. This
module is imported only where JAX is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import jax
import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.accelerator import update as jax_update
from crbm_lite.training.accelerator.devices import Devices, check_memory, warn_without_accelerator
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.parameters import BEGUN_AGAIN
from crbm_lite.training.start import Start
from crbm_lite.training.trainer import Trainer

_CHUNK = 500  # frames packed at once


class JaxTrainer(Trainer):
    """State of one training run and its update, on all devices that JAX shows.

    Parameters
    ----------
    spikes : Spikes
    start : Start
    schedule : Schedule
    rng : numpy.random.Generator
    products : {"float32", "tf32", "bf16"}
        How the inputs of hidden units and neurons are multiplied.

    Raises
    ------
    DeviceMemoryError
        If the training does not fit into the devices' memory.

    Examples
    --------
    >>> from crbm_lite.model.model import CRBM
    >>> model = CRBM(n_hidden=2, n_updates=10, backend="jax")
    """

    def __init__(
        self,
        spikes: Spikes,
        start: Start,
        schedule: Schedule,
        rng: np.random.Generator,
        products: str = "float32",
    ) -> None:
        devices = Devices(spikes.n_neurons)
        batch = min(schedule.batch_size, spikes.n_frames)
        check_memory(
            devices.available, devices.mesh.size, *start.weights.shape, schedule.n_chains, batch,
            spikes.n_frames, jumps=schedule.jump_every > 0,
        )  # fmt: skip
        super().__init__(spikes, start, schedule, rng)
        self._devices, self._host_chains = devices, self.chains
        self._settings = jax_update.Settings(
            schedule.n_gibbs, schedule.jump_every, schedule.beta2, schedule.epsilon, products
        )
        values = vars(self.now) | {
            "v": self.chains.spikes(),
            "counts": self.chains.proposal_counts,
            "n_steps": 0,
            "n_nonzero": np.count_nonzero(start.weights),
        }
        del values["density"]
        self._seed = int(self.chains.seed)
        self.now, self.chains = _OnHost(self), _DeviceChains(self)
        with jax.enable_x64(True):
            self._data = devices.put({"data": _as_bits(spikes)})["data"]
            self._activity = devices.put({"activity": self.activity})["activity"]
        self._take(values | {"update": 0})

    @property
    def potential(self) -> np.ndarray:
        """Rows gamma_plus, gamma_minus, theta_plus, theta_minus (4, M) of Eq. 13."""
        if not hasattr(self, "_state"):
            return super().potential
        with jax.enable_x64(True):
            return np.array(
                jax_update.potential_given(self._state["hidden"], self._state["offset"])
            )

    def one_update(self, measure: bool = False) -> float | None:
        """Move the parameters once, without waiting for it unless ``measure``.

        With ``measure``, return the effective share of the chains under the importance weights from
        the old to the new parameters.
        """
        l1, l1_at_zero = (
            self.schedule.l1_at(self.update),
            self.schedule.l1_at_zero(self.update),
        )
        rates = np.array([
            self.learning_rate, l1, l1_at_zero, self._bias_correction(), self._decay_of_average(),
            self._boost,
        ])  # fmt: skip
        frames = self._next_frames().astype(np.int32)
        with jax.enable_x64(True):
            self._state, log_p = jax_update.one_update(
                self._state, self._activity, self._data, frames, rates, self._key,
                settings=self._settings,
            )  # fmt: skip
            self.update += 1
            if self._is_averaged():
                self._n_averaged += 1
                self._state = jax_update.averaged(self._state, np.float64(1.0 / self._n_averaged))
            if not measure:
                return None
            return float(
                jax_update.effective_share(self._state, log_p, products=self._settings.products)
            )

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, fields and potential (4, M) of the run: their means over the later updates.

        A weight that is zero at the end stays zero. The chains come back to the host with these
        weights.
        """
        values = self._values()
        weights, fields, potential = values["weights"], values["fields"], self.potential
        if self._n_averaged:
            weights = np.where(weights != 0, values["mean_weights"], np.float32(0.0))
            fields, potential = values["mean_fields"], values["mean_potential"]
        chains = self._host_chains
        chains.seed = np.uint64(self._seed)
        chains.set_weights(weights)
        chains.set_spikes(values["v"])
        chains.proposal_counts[:] = values["counts"]
        chains.propose_from(np.empty((0, chains.n_hidden)), keep=1.0)
        chains.n_steps_done = int(values["n_steps"])
        self.chains = chains
        return weights, fields, potential

    def _values(self) -> dict[str, object]:
        arrays = {name: self._devices.fetch(name, x) for name, x in self._state.items()}
        return arrays | {"update": self.update, "n_averaged": self._n_averaged}

    def _take(self, values: Mapping[str, object]) -> None:
        values = dict(values)
        self.update, self._n_averaged = values.pop("update"), values.pop("n_averaged")
        with jax.enable_x64(True):
            self._key = jax.random.key(self._seed)
            self._state = {}  # there may be no room for two
            self._state = self._devices.put(values)

    def snapshot(self) -> dict[str, object]:
        """Copy, on the host, of everything that a rewind needs."""
        return {name: x for name, x in self._values().items() if name not in BEGUN_AGAIN}

    def rewind(self, snapshot: Mapping[str, object]) -> None:
        """Go back to a snapshot with half the learning rate, and on with the random numbers."""
        kept: dict[str, object] = {"n_averaged": 0, "n_steps": np.array(self._state["n_steps"])}
        for name in BEGUN_AGAIN:
            kept[name] = np.zeros(self._state[name].shape, self._state[name].dtype)
        self._take({**snapshot, **kept})
        self.learning_rate_factor *= 0.5

    def state(self) -> dict[str, object]:
        """Everything on which the updates to come depend, copied to the host."""
        return self._values() | {"seed": self._seed} | self._course()

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state` as if nothing had happened in between."""
        self._seed = state["seed"]
        self._take_course(state)
        apart = {"seed", *self._course()}
        self._take({name: value for name, value in state.items() if name not in apart})


class _OnHost:
    """What the monitors read of the parameters, fetched as they ask for it."""

    def __init__(self, trainer: JaxTrainer) -> None:
        self._trainer = trainer

    def __getattr__(self, name: str) -> np.ndarray:
        if name not in self._trainer._state:
            raise AttributeError(name)
        return self._trainer._devices.fetch(name, self._trainer._state[name])

    @property
    def density(self) -> float:
        """Share of non-zero weights."""
        spikes = self._trainer.spikes
        return float(self.n_nonzero) / (spikes.n_neurons * len(self.size))


class _DeviceChains:
    """What the monitors read of the chains: their number and their spikes."""

    def __init__(self, trainer: JaxTrainer) -> None:
        self._trainer = trainer
        self.n_chains = trainer.schedule.n_chains

    @property
    def v(self) -> jax.Array:
        """Spikes (N, chains), on the device."""
        return self._trainer._state["v"][:, : self._trainer.spikes.n_neurons].T


def _as_bits(spikes: Spikes) -> np.ndarray:
    """Spikes as bits, shape (T, ceil(N / 8)) uint8."""
    firsts = range(0, spikes.n_frames, _CHUNK)
    return np.concatenate(
        [np.packbits(spikes.dense(slice(first, first + _CHUNK)), axis=1) for first in firsts]
    )


def trainer_given_backend(backend: str) -> partial[JaxTrainer]:
    """What makes the trainers of a run with the backend "jax", "jax-tf32" or "jax-bf16".

    Warns
    -----
    BackendWarning
        If there is no accelerator: it runs on the CPU.
    """
    warn_without_accelerator()
    return partial(JaxTrainer, products=backend.partition("-")[2] or "float32")
