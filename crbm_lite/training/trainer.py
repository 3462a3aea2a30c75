r"""The numba trainer: persistent contrastive divergence, update by update (Eq. 14 and Methods).

One update makes the five steps of the plain one, `crbm_lite.core.reference`, by the kernels of
`crbm_lite.training.update_kernels`. The run around it (start, monitors, rewind, verdict) is
`crbm_lite.training.task`; what that asks of a trainer is `crbm_lite.training.monitors.Trainer`.

The chains follow the parameters with a lag, so the two swing around the optimum like a weakly
damped oscillator, the more so the slower the chains mix. A run therefore returns the mean of its
parameters over the later updates (Polyak and Juditsky 1992). The mean is that of Eq. 13's
parameters, in which the energy E(v, h) is linear, so it belongs to the geometric mean of the joint
models P(v, h) passed through. That does not hold for P(v).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import numpy as np

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.jumps import empty_counts
from crbm_lite.core.persistence import begin_watch, watched
from crbm_lite.core.reference import (
    VARIANCE_RATE,
    Rates,
    potential_given_coordinates,
    unit_variance_scale,
)
from crbm_lite.core.spikes import Spikes, frames_given_neuron, tiles
from crbm_lite.training import coordinates as co
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.hidden_term import HiddenTerm, joined_batch
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.parameters import (
    RESET_BY_REWIND,
    TrainedParameters,
    initial_chains,
    initial_parameters,
)
from crbm_lite.training.start import Start
from crbm_lite.training.update_plan import UpdatePlan

__all__ = ["HISTOGRAM_DECAY", "NumbaTrainer"]

_OF_WEIGHTS = ("weights", "weight_square")  # arrays of which a snapshot keeps some entries
HISTOGRAM_DECAY = 0.98  # share of the past in the histogram of h that jumps are proposed from


class NumbaTrainer:
    """Train on the CPU: hold the state of a run and make its updates.

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
    parameters : Parameters
    chains : GibbsChains

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> from crbm_lite.training.start import random_start
    >>> schedule = Schedule(n_updates=5, batch_size=10, n_chains=4, n_gibbs=1, jump_every=0,
    ...     l1=0.02, learning_rate=0.01, final_learning_rate=0.01, decay_start=0.0, ramp=0.0,
    ...     average_from=0.5, beta2=0.9, epsilon=1e-6)
    >>> rng = np.random.default_rng(0)
    >>> spikes = as_spikes(rng.random((50, 12)) < 0.2)
    >>> trainer = NumbaTrainer(spikes, random_start(spikes, 3, rng), schedule, rng)
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
        self._spikes, self._activity, self._hidden = spikes, spikes.activity(), hidden
        self._centre = self._activity if hidden is None else hidden.centre(self._activity)
        self.plan = UpdatePlan(schedule, start, spikes.n_frames, rng)
        self.parameters = initial_parameters(start, spikes, self._centre)
        self.chains = initial_chains(spikes, self.parameters, schedule, rng, start.frames)
        choose = schedule.jump_every == "auto"
        self._watch = begin_watch(*self.chains.partial_input.shape[1:]) if choose else {}
        self._sums = np.zeros((len(self.chains.partial_input), 3, self.chains.n_hidden))

    @property
    def potential(self) -> np.ndarray:
        """Rows gamma_plus, gamma_minus, theta_plus, theta_minus (4, M) of Eq. 13."""
        return potential_given_coordinates(self.parameters.hidden, self.parameters.offset)

    def one_update(self, measure: bool = False) -> float | None:
        """Move the parameters once.

        With ``measure``, return the effective share of the chains under the importance weights from
        the old to the new parameters. It is 1 while they stay in equilibrium, and 1/chains when the
        update was far too large for them.
        """
        now, rates, potential = self.parameters, self.plan.rates(), self.potential
        # nothing is rescaled where values of h fix their scale, and then the penalty has no kappa
        kappa = 0.5 * rates.l1 * now.size if self._hidden is None else np.zeros_like(now.size)
        # 1. Data
        frames = self.plan.next_frames()
        starts, rows = frames_given_neuron(
            self._spikes.frame_starts, self._spikes.neurons, frames, self._spikes.n_neurons
        )
        inputs = self._inputs_of_batch(frames, starts, rows)
        data = kernels.hidden_statistics(inputs, potential, now.mean_h)
        # 2. Chains
        self._step_chains(inputs, potential)
        model = kernels.hidden_statistics(self.chains.inputs(), potential, now.mean_h)
        log_p_before = self._log_probability_of_chains() if measure else None
        if self._watch:
            spread = data[kernels.MEAN].var(axis=0)
            self._choose_jumps(watched(self._watch, model[kernels.MEAN], spread))
        # 3. Gradient of the potentials, 5. unit variance
        mean_data, mean_model = data.mean(axis=1), model.mean(axis=1)
        h_data = (data[kernels.MEAN] - kappa * data[kernels.VAR_I] - now.mean_h) / len(frames)
        batch = kernels.Batch(starts, rows, h_data, self._activity)
        if self._hidden is not None:
            mean_data, batch = self._joined_by_hidden(mean_data, batch)
        slope = kernels.potential_gradient(mean_data, mean_model, kappa)
        h_chains = (model[kernels.MEAN] - now.mean_h) / self.chains.n_chains
        scale = self._rescaling(mean_data)
        self._move_potentials(slope, rates, scale)
        # 3. Gradient of weights and fields, 4. soft threshold
        self._move_weights(batch, h_chains, scale, rates)
        if weight := self.plan.count_update():
            self._average(weight)
        return None if log_p_before is None else self._effective_share(log_p_before)

    def _joined_by_hidden(
        self, mean_data: np.ndarray, batch: kernels.Batch
    ) -> tuple[np.ndarray, kernels.Batch]:
        """Let given values of h join the means of the data and the batch."""
        term, now = self._hidden, self.parameters
        v, h = term.draw(len(batch.h), self.chains, now.fields.astype(np.float32), self.plan.rng)
        mean_data = term.mixed(mean_data, term.statistics)
        return mean_data, joined_batch(term, batch, v, h - now.mean_h)

    def _inputs_of_batch(
        self, frames: np.ndarray, starts: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        if self.chains.is_dense:
            return self._spikes.inputs(self.parameters.weights, frames)
        return self.chains.batch_inputs(starts, rows, len(frames))

    def _step_chains(self, data_inputs: np.ndarray, potential: np.ndarray) -> None:
        """Let the chains take their Gibbs steps, with jumps proposed from h of the data."""
        now, chains = self.parameters, self.chains
        if chains.jumping.any():
            h = DReLU(*potential).sample(data_inputs, self.plan.rng)
            chains.propose_from(h, HISTOGRAM_DECAY)
        n_gibbs = self.plan.schedule.n_gibbs
        chains.step(n_gibbs, now.weights, now.fields.astype(np.float32), potential)

    def _choose_jumps(self, watch: dict[str, np.ndarray]) -> None:
        """Let those units jump that `crbm_lite.core.persistence` chooses."""
        begins = watch["jumping"] & ~self.chains.jumping
        self.chains.proposal_counts[begins] = empty_counts(int(begins.sum()))  # they are old
        self._watch, self.chains.jumping = watch, watch["jumping"]

    def _rescaling(self, mean_data: np.ndarray) -> np.ndarray:
        """Return the factor on W that brings Var(h) towards 1; update the mean of h.

        It is 1 where given values of h fix their scale.
        """
        now = self.parameters
        mean, scale = mean_data[kernels.MEAN], np.ones_like(now.mean_h)
        if self._hidden is None:
            scale = unit_variance_scale(mean, mean_data[kernels.SQUARE], now.mean_h)
        now.mean_h = (now.mean_h + VARIANCE_RATE * (mean - now.mean_h)) / scale
        return scale

    def _move_potentials(self, slope: np.ndarray, rates: Rates, scale: np.ndarray) -> None:
        now = self.parameters
        if self._hidden is not None and self._hidden.holds_potential:
            return
        slope = co.gradient_in_coordinates(now.hidden, slope)
        now.hidden_square = rates.beta2 * now.hidden_square + (1.0 - rates.beta2) * slope**2
        root = np.sqrt(now.hidden_square * rates.bias_correction) + rates.epsilon
        now.hidden += rates.field_rate * slope / root
        co.bound(now.hidden)
        co.rescale(now.hidden, scale)

    def _move_weights(
        self, batch: kernels.Batch, h_chains: np.ndarray, scale: np.ndarray, rates: Rates
    ) -> None:
        now, chains = self.parameters, self.chains
        drift = batch.h.sum(axis=0) - h_chains.sum(axis=0)
        kernels.update_rows(
            kernels.NeuronArrays(
                now.weights, now.weight_square, now.weight_average, now.fields, now.field_square
            ),
            batch._replace(h=batch.h.astype(np.float32)),
            kernels.ChainArrays(
                chains.v, chains.n_chains, h_chains.astype(np.float32), chains.rows_per_tile,
                *chains.packed_rows, chains.partial_input,
            ),
            kernels.Centre(
                self._centre, *(x.astype(np.float32) for x in (now.mean_h, drift, scale))
            ),
            rates,
            self._sums,
        )  # fmt: skip
        now.offset, now.size, n_nonzero = self._sums.sum(axis=0)
        now.density = float(n_nonzero.sum() / now.weights.size)

    def _average(self, weight: float) -> None:
        """Let the means over the later updates include the present parameters."""
        now = self.parameters
        kernels.move_mean(now.mean_weights, now.weights, weight)
        now.mean_fields += weight * (now.fields - now.mean_fields)
        now.mean_potential += weight * (self.potential - now.mean_potential)

    def _log_probability_of_chains(self) -> np.ndarray:
        """Unnormalised log P(v) of the chains, shape (chains,)."""
        v = self.chains.v[:, : self.chains.n_chains]
        cumulant = DReLU(*self.potential).cumulant(self.chains.inputs()).sum(axis=1)
        return sum(self.parameters.fields[tile] @ v[tile] for tile in tiles(len(v))) + cumulant

    def _effective_share(self, log_p_before: np.ndarray) -> float:
        gain = self._log_probability_of_chains() - log_p_before
        w = np.exp(gain - gain.max())
        return float(w.sum() ** 2 / (len(w) * (w**2).sum()))

    def activity_of_chains(self) -> float:
        """Return the spikes per neuron and chain."""
        return float(self.chains.v[:, : self.chains.n_chains].mean())

    def density(self) -> float:
        """Return the share of weights that are not zero."""
        return self.parameters.density

    def is_finite(self) -> bool:
        """Say whether all parameters are finite."""
        now = self.parameters
        return all(bool(np.isfinite(x).all()) for x in (now.size, now.fields, now.hidden))

    def jumping(self) -> np.ndarray | None:
        """Say which units need jumps (M,), or None where that was not to be found out."""
        return self._watch.get("slow")

    def finish(self) -> tuple[TrainedParameters, GibbsChains]:
        """Return the parameters of the run, their means over the later updates, and the chains.

        A weight that is zero at the end stays zero. The chains get these weights, and jumps for the
        units that need them.
        """
        now = self.parameters
        if self._watch:
            self.chains.jumping = self._watch["slow"]
        if self.plan.n_averaged == 0:
            last = TrainedParameters(now.weights, now.fields, self.potential, now.mean_h)
            return last, self.chains
        weights = np.where(now.weights != 0, now.mean_weights, np.float32(0.0))
        self.chains.set_weights(weights)
        self.chains.update_inputs()
        mean = TrainedParameters(weights, now.mean_fields, now.mean_potential, now.mean_h)
        return mean, self.chains

    def snapshot(self) -> dict[str, object]:
        """Copy what a rewind needs; of W and its squared gradients only where W is not zero."""
        now = vars(self.parameters)
        on = now["weights"] != 0
        left_out = {*_OF_WEIGHTS, *RESET_BY_REWIND}
        copies = {name: copy(value) for name, value in now.items() if name not in left_out}
        return (
            copies
            | {
                **{f"{name}_on": now[name][on] for name in _OF_WEIGHTS},
                "on": np.packbits(on),
                "v": self.chains.v.copy(),
                "update": self.plan.update,
            }
            | self._watch
        )

    def rewind(self, snapshot: Mapping[str, object]) -> None:
        """Go back to a snapshot with half the learning rate.

        Weights that were zero begin with the mean squared gradient of the others.
        """
        now = self.parameters
        on = np.unpackbits(snapshot["on"], count=now.weights.size).view(bool)
        for name in ("weights", *RESET_BY_REWIND):
            getattr(now, name)[:] = 0.0  # they may have become NaN
        now.weight_square[:] = snapshot["weight_square_on"].mean() if on.any() else 0.0
        for name in _OF_WEIGHTS:
            getattr(now, name).reshape(-1)[on] = snapshot[f"{name}_on"]
        self._restore_parameters(snapshot)
        self.chains.update_inputs()
        self.plan.rewind(snapshot["update"])

    def state(self) -> dict[str, object]:
        """Return everything on which the updates to come depend.

        The large arrays are not copied: save them before the next update.
        """
        chains = self.chains
        return vars(self.parameters) | self.plan.state() | {
            "v": chains.v,
            "partial_input": chains.partial_input.copy(),  # finish() changes it
            "proposal_counts": chains.proposal_counts,
            "n_steps_done": chains.n_steps_done,
            "seed": chains.seed,
        } | self._watch  # fmt: skip

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state` as if nothing had happened in between."""
        self.plan.restore(state)
        self._restore_parameters(state)
        chains = self.chains
        chains.partial_input[:] = state["partial_input"]
        chains.proposal_counts[:] = state["proposal_counts"]
        chains.propose_from(np.empty((0, chains.n_hidden)), keep=1.0)
        chains.n_steps_done, chains.seed = state["n_steps_done"], np.uint64(state["seed"])

    def _restore_parameters(self, values: Mapping[str, object]) -> None:
        """Take what is there of the parameters, and the chains' spikes, from a mapping."""
        for name in vars(self.parameters).keys() & values.keys():
            if isinstance(values[name], np.ndarray):
                # into the array at hand: for a second set of them there may be no room
                getattr(self.parameters, name)[:] = values[name]
            else:
                setattr(self.parameters, name, values[name])
        chains = self.chains
        chains.v[:] = values["v"]
        chains.set_weights(self.parameters.weights)
        if self._watch:
            self._watch = {name: values[name] for name in self._watch}
            chains.jumping = self._watch["jumping"]
