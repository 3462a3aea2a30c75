r"""Persistent contrastive divergence: the training loop (Eq. 14 and Methods of the paper).

One update: a batch of frames gives the data's averages, the persistent chains take some Gibbs steps
and give the model's, the gradient of the penalised likelihood (`crbm_lite.training.update_kernels`)
moves the parameters by RMSprop with an exact soft threshold, and h is rescaled to unit variance.
Means of h given v, not samples, enter in both phases. The run around it (start, monitors, rewind,
verdict) is `crbm_lite.training.run`.

The chains follow the parameters with a lag, so the two swing around the optimum like a weakly
damped oscillator, the more the slower the chains mix. What a run returns is therefore the mean of
its parameters over the later updates (Polyak and Juditsky 1992). They are those of Eq. 13, in which
the energy is linear, so the mean is the geometric mean of the models passed through.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import fields, replace

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes, frames_given_neuron, tiles
from crbm_lite.training import coordinates as co
from crbm_lite.training import update_kernels as updates
from crbm_lite.training.parameters import BEGUN_AGAIN, Parameters, initial_parameters
from crbm_lite.training.schedule import Schedule
from crbm_lite.training.start import Start

VARIANCE_RATE = 0.05  # share of a batch in the running variance and mean of h
_AVERAGING = 0.01  # share of an update in the averaged gradient that revives a weight at zero
HISTOGRAM_DECAY = 0.98
_AVERAGED_EVERY = 10  # updates; the swings are a hundred updates long and longer


class Trainer:
    """State of one training run and its update.

    Parameters
    ----------
    spikes : Spikes
    start : Start
    schedule : Schedule
    rng : numpy.random.Generator
    """

    def __init__(
        self, spikes: Spikes, start: Start, schedule: Schedule, rng: np.random.Generator
    ) -> None:
        self.spikes, self.rng = spikes, rng
        least_ramp = min(start.ramp_updates / schedule.n_updates, 0.5)
        self.schedule = replace(schedule, ramp=max(schedule.ramp, least_ramp))
        self.activity = spikes.activity()
        n, m = start.weights.shape
        self.now = initial_parameters(start, spikes, self.activity)
        self.update = 0
        self._boost = start.boost
        self.learning_rate_factor = 1.0
        self._order = np.empty(0, np.int64)
        seed = int(rng.integers(2**63))
        self.chains = GibbsChains(n, m, schedule.n_chains, seed, schedule.jump_every)
        self._sums = np.zeros((len(self.chains.partial_input), 3, m))
        self.start_from_data()

    @property
    def potential(self) -> np.ndarray:
        """Rows gamma_plus, gamma_minus, theta_plus, theta_minus (4, M) of Eq. 13."""
        return co.potential_given_coordinates(self.now.hidden, self.now.offset)

    def start_from_data(self) -> None:
        """Start the chains at random frames of the data."""
        chains = self.chains
        chains.set_weights(self.now.weights)
        inputs = self.spikes.inputs(
            self.now.weights, self.rng.integers(self.spikes.n_frames, size=500)
        )
        chains.propose_from(DReLU(*self.potential).sample(inputs, self.rng))
        chains.set_spikes(
            self.spikes.dense(self.rng.integers(self.spikes.n_frames, size=chains.n_chains))
        )

    def _next_frames(self) -> np.ndarray:
        """The next batch of a random order of all frames; a new order when it is used up."""
        size = min(self.schedule.batch_size, self.spikes.n_frames)
        if len(self._order) < size:
            self._order = self.rng.permutation(self.spikes.n_frames)
        frames, self._order = self._order[:size], self._order[size:]
        return np.sort(frames)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update: the schedule's, halved at every rewind."""
        return self.schedule.learning_rate_at(self.update) * self.learning_rate_factor

    def _decay_of_average(self) -> float:
        """Decay of the averaged gradient: small steps need long averages.

        A revived weight must be worth more than noise.
        """
        return 1.0 - _AVERAGING * max(self.learning_rate / self.schedule.learning_rate, 0.02)

    def _is_averaged(self) -> bool:
        """Whether the means over the later updates include the update just made."""
        return self.schedule.is_averaged(self.update) and self.update % _AVERAGED_EVERY == 0

    def one_update(self, measure: bool = False) -> float | None:
        """Move the parameters once.

        With ``measure``, return the effective share of the chains under the importance weights from
        the old to the new parameters: 1 while they stay in equilibrium, 1/chains when the update
        was far too large for them.
        """
        now, schedule, chains = self.now, self.schedule, self.chains
        learning_rate, keep = self.learning_rate, self._decay_of_average()
        l1, l1_at_zero = schedule.l1_at(self.update), schedule.l1_at_zero(self.update)
        potential = self.potential

        # the data's averages, over a batch
        frames = self._next_frames()
        starts, rows = frames_given_neuron(
            self.spikes.frame_starts, self.spikes.neurons, frames, self.spikes.n_neurons
        )
        if chains.is_dense:
            inputs = self.spikes.inputs(now.weights, frames)
        else:
            inputs = chains.batch_inputs(starts, rows, len(frames))
        data = updates.hidden_statistics(inputs, potential, now.mean_h)
        # the model's averages, over the chains
        if chains.jump_every:
            chains.propose_from(DReLU(*potential).sample(inputs, self.rng), HISTOGRAM_DECAY)
        chains.step(schedule.n_gibbs, now.weights, now.fields.astype(np.float32), potential)
        model = updates.hidden_statistics(chains.inputs(), potential, now.mean_h)
        log_p_before = self._chain_log_probability() if measure else None

        # gradients, and the rescaling of h to unit variance
        kappa = 0.5 * l1 * now.size
        mean_data, mean_model = data.mean(axis=1), model.mean(axis=1)
        gradient = updates.potential_gradient(mean_data, mean_model, kappa)
        h_data = (data[updates.MEAN] - kappa * data[updates.VAR_I] - now.mean_h) / len(frames)
        h_chains = (model[updates.MEAN] - now.mean_h) / chains.n_chains
        scale = self._unit_variance(mean_data)
        self._move_hidden(gradient, learning_rate, scale)

        # weights and fields
        drift = h_data.sum(axis=0) - h_chains.sum(axis=0)
        h_data, h_chains, drift, scale, mean_h = (
            x.astype(np.float32) for x in (h_data, h_chains, drift, scale, now.mean_h)
        )
        updates.update_rows(
            now.weights, now.weight_square, now.weight_average, now.fields, now.field_square,
            self.activity, starts, rows, h_data, h_chains, drift, scale, mean_h,
            (learning_rate, l1, l1_at_zero, self._boost * learning_rate),
            (schedule.beta2, self._bias_correction(), schedule.epsilon, keep),
            chains.rows_per_tile, chains.v, chains.n_chains, chains.packed_rows,
            chains.partial_input, self._sums,
        )  # fmt: skip
        now.offset, now.size, n_nonzero = self._sums.sum(axis=0)
        now.density = float(n_nonzero.sum() / now.weights.size)
        self.update += 1
        if self._is_averaged():
            self._average()
        if log_p_before is None:
            return None
        gain = self._chain_log_probability() - log_p_before
        w = np.exp(gain - gain.max())
        return float(w.sum() ** 2 / (len(w) * (w**2).sum()))

    def _average(self) -> None:
        """Let the means over the later updates include the present parameters."""
        now = self.now
        now.n_averaged += 1
        share = 1.0 / now.n_averaged
        updates.move_mean(now.mean_weights, now.weights, share)
        now.mean_fields += share * (now.fields - now.mean_fields)
        now.mean_potential += share * (self.potential - now.mean_potential)

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, fields and potential (4, M) of the run: their means over the later updates.

        A weight that is zero at the end stays zero. The chains get these weights.
        """
        now = self.now
        if now.n_averaged == 0:
            return now.weights, now.fields, self.potential
        weights = np.where(now.weights != 0, now.mean_weights, np.float32(0.0))
        self.chains.set_weights(weights)
        self.chains.update_inputs()
        return weights, now.mean_fields, now.mean_potential

    def _chain_log_probability(self) -> np.ndarray:
        """Unnormalised log P(v) of the chains, shape (chains,)."""
        v = self.chains.v[:, : self.chains.n_chains]
        cumulant = DReLU(*self.potential).cumulant(self.chains.inputs()).sum(axis=1)
        return sum(self.now.fields[tile] @ v[tile] for tile in tiles(len(v))) + cumulant

    def _values(self) -> dict[str, object]:
        now = {f.name: getattr(self.now, f.name) for f in fields(Parameters)}
        return now | {"v": self.chains.v, "update": self.update}

    def _take(self, values: Mapping[str, object]) -> None:
        # into the arrays at hand: for a second set of them there may be no room
        for name in {f.name for f in fields(Parameters)} & values.keys():
            if isinstance(values[name], np.ndarray):
                getattr(self.now, name)[:] = values[name]
            else:
                setattr(self.now, name, values[name])
        self.update = values["update"]
        self.chains.v[:] = values["v"]
        self.chains.set_weights(self.now.weights)

    def snapshot(self) -> dict[str, object]:
        """Copy of everything that a rewind needs; of W only what is not zero."""
        weights, on = self.now.weights, self.now.weights != 0
        left_out = {"weights", *BEGUN_AGAIN}
        copied = {k: copy(value) for k, value in self._values().items() if k not in left_out}
        return copied | {"weights_on": weights[on], "on": np.packbits(on)}

    def rewind(self, snapshot: Mapping[str, object]) -> None:
        """Go back to a snapshot with half the learning rate."""
        on = np.unpackbits(snapshot["on"], count=self.now.weights.size).view(bool)
        for name in ("weights", *BEGUN_AGAIN):
            getattr(self.now, name)[:] = 0.0  # they may have become NaN
        self.now.weights.reshape(-1)[on] = snapshot["weights_on"]
        self._take(snapshot)
        self.now.n_averaged = 0
        self.chains.update_inputs()
        self.learning_rate_factor *= 0.5

    def state(self) -> dict[str, object]:
        """Everything on which the updates to come depend; the arrays are not copied."""
        chains = self.chains
        return (
            self._values()
            | {
                "partial_input": chains.partial_input,
                "proposal_counts": chains.proposal_counts,
                "n_steps_done": chains.n_steps_done,
                "seed": chains.seed,
            }
            | self._course()
        )

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state` as if nothing had happened in between."""
        self._take(state)
        chains = self.chains
        chains.partial_input[:] = state["partial_input"]
        chains.proposal_counts[:] = state["proposal_counts"]
        chains.propose_from(np.empty((0, chains.n_hidden)), keep=1.0)
        chains.n_steps_done, chains.seed = state["n_steps_done"], np.uint64(state["seed"])
        self._take_course(state)

    def _course(self) -> dict[str, object]:
        """What is left of the schedule, the order of the frames and the random numbers."""
        return {
            "boost": self._boost,
            "ramp": self.schedule.ramp,
            "learning_rate_factor": self.learning_rate_factor,
            "order": self._order,
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def _take_course(self, state: Mapping[str, object]) -> None:
        self._boost, self.learning_rate_factor = state["boost"], state["learning_rate_factor"]
        self.schedule = replace(self.schedule, ramp=state["ramp"])
        self._order = state["order"].copy()
        self.rng.bit_generator.state = json.loads(state["rng"])

    def _bias_correction(self) -> float:
        return 1.0 / (1.0 - self.schedule.beta2 ** (self.update + 1))

    def _unit_variance(self, mean_data: np.ndarray) -> np.ndarray:
        """Factor on W that brings Var(h) towards 1; updates the mean of h."""
        now = self.now
        mean, square = mean_data[updates.MEAN], mean_data[updates.SQUARE]
        variance = square - 2.0 * now.mean_h * mean + now.mean_h**2
        scale = np.sqrt(np.clip(1.0 + VARIANCE_RATE * (variance - 1.0), 0.8, 1.25))
        now.mean_h = (now.mean_h + VARIANCE_RATE * (mean - now.mean_h)) / scale
        return scale

    def _move_hidden(self, gradient: np.ndarray, learning_rate: float, scale: np.ndarray) -> None:
        now, beta2 = self.now, self.schedule.beta2
        gradient = co.gradient_in_coordinates(now.hidden, gradient)
        now.hidden_square = beta2 * now.hidden_square + (1.0 - beta2) * gradient**2
        root = np.sqrt(now.hidden_square * self._bias_correction()) + self.schedule.epsilon
        now.hidden += self._boost * learning_rate * gradient / root
        now.hidden[co.ETA] = np.clip(now.hidden[co.ETA], -co.MAX_ASYMMETRY, co.MAX_ASYMMETRY)
        co.rescale(now.hidden, scale)
