r"""Which path from independent neurons to a model gives log Z: three of them, on the same models.

python -m benchmarks.annealing_paths [larva] [dorsal] [nasal]     all by default

`log_likelihood` anneals along beta, the factor of the weights. Two others have been proposed:

- *training*: the models that a training from small random weights has gone through (trajectory
  annealed importance sampling; Bereux, Decelle, Furtlehner, Rosset & Seoane, arXiv 2405.15376);
- *units*: one hidden unit more at a time, those whose cumulants vary most come first.

Both are piecewise linear between models, with independent neurons at their beginning. The steps are
spread over the pieces so that all are equally long, as measured by the standard deviation of
:math:`D = L_{k+1} - L_k` over the states at the end of a piece. For every path the same number of
steps, chains and jumps. Results go to results/annealing_paths.json: by path the gap of the
forward and the reverse estimate in nats, the standard error of Bennett's ratio, and the seconds of
CPU.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.like_for_like import RETINAS, crbm
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.reference import potential_given_coordinates
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.training.run import train
from crbm_lite.validation.frame_likelihood import LikelihoodRefused, log_likelihood

RESULTS = stored.RESULTS / "annealing_paths.json"
STEPS = (300, 1000)
N_MODELS, FIRST_UPDATE = 40, 20  # kept of a training, at equal ratios of the update
N_UNITS = 20


@dataclass(frozen=True, eq=False)
class Rung:
    """A model on a path: W (N, M), g (N,), the potentials (4, M), and states of it (n, N)."""

    weights: np.ndarray
    fields: np.ndarray
    potential: np.ndarray
    states: np.ndarray

    def log_weight(self, v: np.ndarray) -> np.ndarray:
        """Log P(v) + log Z of frames (T, N)."""
        cumulant = DReLU(*self.potential).cumulant(v @ self.weights.astype(np.float64))
        return v @ self.fields + cumulant.sum(axis=1)

    def of_neurons(self, neurons: np.ndarray) -> Rung:
        """The same of some neurons."""
        return Rung(
            self.weights[neurons], self.fields[neurons], self.potential, self.states[:, neurons]
        )

    def without_units(self, off: np.ndarray) -> Rung:
        """The same with some units' weights set to zero; fields stay as they are."""
        return Rung(np.where(off, np.float32(0), self.weights), self.fields, self.potential,
                    self.states)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PiecewisePath:
    """A model, the last of some rungs, with a path of its own: `log_likelihood` takes it."""

    rungs: Sequence[Rung]

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.rungs[-1].fields)

    def annealing_path(self, base_fields: np.ndarray) -> _Path:
        """The path from independent neurons with these fields; see `AnnealingPath`."""
        return _Path(self.rungs, base_fields)


class _Path:
    """See `crbm_lite.validation.frame_likelihood.AnnealingPath`."""

    def __init__(self, rungs: Sequence[Rung], base_fields: np.ndarray) -> None:
        # A neuron without weights on the whole path is independent: its share of log Z is exact.
        connected = np.any([rung.weights.any(axis=1) for rung in rungs], axis=0)
        self.whole, self.neurons = rungs[-1], np.flatnonzero(connected)
        alone = self.whole.fields[~connected]
        self.log_z_of_others = float(np.logaddexp(0.0, alone).sum())
        rungs = [rung.of_neurons(self.neurons) for rung in rungs]
        first, self.last, self.base_fields = rungs[0], rungs[-1], base_fields[connected]
        nothing = Rung(
            np.zeros_like(first.weights), self.base_fields, first.potential, first.states
        )
        self.rungs = [nothing, *rungs]
        pairs = zip(self.rungs[:-1], rungs, strict=True)
        lengths = [np.std(b.log_weight(b.states) - a.log_weight(b.states)) + 1e-9 for a, b in pairs]
        self.ends = np.concatenate([[0.0], np.cumsum(lengths) / np.sum(lengths)])
        hidden = DReLU(*first.potential).cumulant(np.zeros((1, first.weights.shape[1]))).sum()
        self.log_z_at_start = float(np.logaddexp(0.0, self.base_fields).sum() + hidden)

    def at(self, beta: float) -> tuple[int, float]:
        """The piece that a point of the path lies in, and how far."""
        k = int(np.clip(np.searchsorted(self.ends, beta, side="right") - 1, 0, len(self.ends) - 2))
        return k, (beta - self.ends[k]) / (self.ends[k + 1] - self.ends[k])

    def between(self, beta: float) -> Rung:
        """The model at a point of the path."""
        k, share = self.at(beta)
        a, b = self.rungs[k], self.rungs[k + 1]
        return Rung(
            np.float32(1.0 - share) * a.weights + np.float32(share) * b.weights,
            *(
                (1.0 - share) * getattr(a, x) + share * getattr(b, x)
                for x in ("fields", "potential")
            ),
            b.states,
        )

    def log_weight_of_frames(self, spikes: Spikes) -> np.ndarray:
        return self.whole.log_weight(spikes.dense().astype(np.float64))

    def chains(self, v: np.ndarray, seed: int, reverse: bool = False) -> _Chains:
        return _Chains(self, v, seed, reverse)


class _Chains:
    """Gibbs steps with a sweep of jumps in each; the units jump in the reversed order backwards."""

    def __init__(self, path: _Path, v: np.ndarray, seed: int, reverse: bool) -> None:
        self.path, self.order = path, slice(None, None, -1 if reverse else 1)
        last = path.last
        inputs = last.states @ last.weights.astype(np.float64)
        h = DReLU(*last.potential).sample(inputs, np.random.default_rng(0))
        self.gibbs = GibbsChains(*last.weights.shape, len(v), seed, jump_every=1)
        self.gibbs.propose_from(h[:, self.order])
        self.gibbs.set_spikes(v)

    def step(self, beta: float, n_steps: int = 1) -> None:
        now = self.path.between(beta)
        weights = np.ascontiguousarray(now.weights[:, self.order])
        self.gibbs.set_weights(weights)
        self.gibbs.update_inputs()
        potential = tuple(np.ascontiguousarray(now.potential[:, self.order]))
        self.gibbs.step(n_steps, weights, now.fields.astype(np.float32), potential)

    def log_weight(self, *betas: float) -> list[np.ndarray]:
        v = self.spikes().astype(np.float64)
        return [self.path.between(beta).log_weight(v) for beta in betas]

    def spikes(self) -> np.ndarray:
        return self.gibbs.spikes()


def along_training(estimator: cl.CRBM, spikes: Spikes, at: Sequence[int]) -> list[Rung]:
    """Train a model and keep those of some updates; the last one is what the training ends with."""
    kept: dict[int, Rung] = {}

    def keep(state: Mapping[str, np.ndarray]) -> None:
        update = int(state["trainer/update"])
        for later in [u for u in kept if u >= update]:
            del kept[later]  # the run went back
        if update in at:
            potential = potential_given_coordinates(
                state["trainer/hidden"], state["trainer/offset"]
            )
            v = state["trainer/v"][:, : estimator.n_chains].T.astype(np.float64)
            weights, fields = state["trainer/weights"].copy(), state["trainer/fields"].copy()
            kept[update] = Rung(weights, fields, potential, v)

    seed = int(np.random.default_rng(estimator.random_state).integers(2**63))  # as in `fit`
    found = train(
        spikes, estimator.n_hidden, checked_schedule(estimator), estimator.init,
        seed, tqdm(disable=True), save=keep,
    )  # fmt: skip
    last = Rung(found.weights, found.fields, found.potential, found.chains.astype(np.float64))
    return [*(_with_signs_of(rung, last) for rung in kept.values()), last]


def _with_signs_of(rung: Rung, last: Rung) -> Rung:
    """Turn units whose sign was changed at the end of the training."""
    turn = np.einsum("im,im->m", rung.weights, last.weights) < 0
    plus, minus, theta_plus, theta_minus = rung.potential
    turned = np.stack([minus, plus, -theta_minus, -theta_plus])
    weights = np.where(turn, -rung.weights, rung.weights)
    return Rung(weights, rung.fields, np.where(turn, turned, rung.potential), rung.states)


def unit_by_unit(last: Rung) -> list[Rung]:
    """Switch units on one after the other, those first whose cumulants vary most."""
    inputs = last.states @ last.weights.astype(np.float64)
    order = np.argsort(-DReLU(*last.potential).cumulant(inputs).var(axis=0))
    off = np.ones(len(order), bool)
    rungs = []
    for unit in order:
        off[unit] = False
        rungs.append(last.without_units(off))
    return rungs


def measure(name: str) -> None:
    """Estimate log Z of one model along the three paths."""
    recording = cl.load_retina(RETINAS[name]) if name in RETINAS else cl.simulate_recording()
    train_frames, test = cl.split_train_test(recording)
    if all(stored.is_current(RESULTS, f"{name}/{n} steps") for n in STEPS):
        return
    estimator = crbm(name, N_UNITS).set_params(init="random")
    at = np.unique(np.geomspace(FIRST_UPDATE, estimator.n_updates - 1, N_MODELS).astype(int))
    rungs = along_training(estimator, as_spikes(train_frames), at.tolist())
    last = rungs[-1]
    paths = {
        "beta": cl.CRBM.from_parameters(last.weights, last.fields, *last.potential),
        "training": PiecewisePath(rungs),
        "units": PiecewisePath(unit_by_unit(last)),
    }
    for n_steps in STEPS:
        found = {path: along(model, test, n_steps) for path, model in paths.items()}
        stored.keep(RESULTS, name, {f"{n_steps} steps": found})
        print(name, n_steps, found, flush=True)


def along(model: object, test: cl.Recording, n_steps: int) -> dict:
    """Estimate log P of test frames along one path, whatever the gap."""
    began = time.process_time()
    try:
        found = log_likelihood(
            model, test, max_gap=1e6, n_temperatures=n_steps, burn_in=2000, random_state=0
        )
    except LikelihoodRefused as error:
        return {"refused": str(error)}
    log_z = found.log_partition
    return {
        "frame_nats": found.mean, "gap": log_z.gap, "standard_error": log_z.standard_error,
        "cpu_s": round(time.process_time() - began, 1),
    }  # fmt: skip


def main(*names: str) -> None:
    """Measure the recordings named, or all."""
    for name in names or ("larva", "dorsal", "nasal"):
        measure(name)


if __name__ == "__main__":
    command.run(main)
