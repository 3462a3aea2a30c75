r"""Slow chains: what `CRBM()` does about them on a retina, and what jumps and tempering would do.

python -m benchmarks.slow_chains [dorsal] [nasal]     nasal by default

- *Rounds.* The training with all frames goes on until the model has converged. For every round: its
  Gibbs steps, the verdict, the largest residual in units of what is tolerated, the activity of the
  chains beside that of the data, and the left-out log-likelihood of test frames.
- *Mixing.* Of the model at the end, the integrated autocorrelation time of the activity of a chain,
  in Gibbs steps, without jumps and with a sweep of jumps every so many steps, and what a step of a
  chain costs.
- *Tempering.* The activity of the same model with all weights times beta, and fields between those
  of independent neurons and its own, as `log_likelihood` anneals it.

Results go to results/slow_chains.json.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.special import logit

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.like_for_like import RETINAS
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.left_out import log_likelihood_given_others
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.training.search import run as search_run
from crbm_lite.training.task import TrainingResult, TrainingTask
from crbm_lite.validation.frame_likelihood import field_at

RESULTS = stored.RESULTS / "slow_chains.json"
JUMP_EVERY = (0, 24, 6, 1)
BETAS = (1.0, 0.95, 0.9, 0.8)
N_CHAINS, BURN_IN, BETWEEN, N_SAVED = 200, 2000, 12, 1500


def trained(train: cl.Recording, test: Spikes) -> tuple[cl.CRBM, list[dict]]:
    """Train with nothing set, and say how every training with all frames ended."""
    rounds, began = [], time.process_time()
    result_of = search_run.result_of

    def told(task: TrainingTask, *rest: object) -> TrainingResult:
        result = result_of(task, *rest)
        found, units = result.certificate, cl.DReLU(*result.potential)
        left_out = log_likelihood_given_others(test, result.weights, result.fields, units)
        rounds.append(
            {
                "n_gibbs": task.schedule.n_gibbs, "verdict": result.verdict,
                "largest_residual": float(np.nanmax(found.residual_by_unit)),
                "activity_data": found.activity_data, "activity_model": found.activity_model,
                "left_out_nats_per_frame": float(left_out.sum()),
                "cpu_s_so_far": round(time.process_time() - began, 1),
            }
        )  # fmt: skip
        return result

    search_run.result_of = told
    try:
        model = cl.CRBM(random_state=0, progress=False).fit(train)
    finally:
        search_run.result_of = result_of
    return model, rounds


def autocorrelation_time(x: np.ndarray) -> float:
    """Integrated autocorrelation time of chains (T, chains), in samples, to a lag of five of it."""
    x, n = x - x.mean(), len(x)
    power = np.abs(np.fft.rfft(x, 2 * n, axis=0)) ** 2
    correlation = np.fft.irfft(power, axis=0)[:n].mean(axis=1) / np.arange(n, 0, -1)
    times = 2.0 * np.cumsum(correlation / correlation[0]) - 1.0
    enough = np.arange(n) >= 5 * times
    return float(times[enough.argmax() if enough.any() else -1])


def chains_of(model: cl.CRBM, spikes: Spikes, jump_every: int) -> GibbsChains:
    """Chains that start from frames of the data."""
    rng = np.random.default_rng(0)
    chains = GibbsChains(*model.weights_.shape, N_CHAINS, seed=1, jump_every=jump_every)
    chains.set_weights(model.weights_)
    inputs = spikes.inputs(model.weights_, rng.integers(spikes.n_frames, size=2000))
    chains.propose_from(model.units.sample(inputs, rng))
    chains.set_spikes(spikes.dense(rng.integers(spikes.n_frames, size=N_CHAINS)))
    return chains


def activity_of(chains: GibbsChains, model: cl.CRBM, fields: np.ndarray, beta: float) -> np.ndarray:
    """The activity of every chain in the samples (T, chains), after a burn-in."""
    given = model.weights_, fields.astype(np.float32), model.units.parameters
    chains.step(BURN_IN, *given, scale=beta)
    activity = np.empty((N_SAVED, N_CHAINS))
    for k in range(N_SAVED):
        chains.step(BETWEEN, *given, scale=beta)
        activity[k] = chains.v[:, :N_CHAINS].mean(axis=0)
    return activity


def mixing(model: cl.CRBM, spikes: Spikes, jump_every: int) -> dict:
    """How long the chains take to forget their activity, and what a step costs."""
    chains = chains_of(model, spikes, jump_every)
    began = time.process_time()
    activity = activity_of(chains, model, model.fields_, 1.0)
    cpu_s = time.process_time() - began
    return {
        "steps": BETWEEN * autocorrelation_time(activity), "activity": float(activity.mean()),
        "us_per_step_and_chain": 1e6 * cpu_s / (BURN_IN + BETWEEN * N_SAVED) / N_CHAINS,
    }  # fmt: skip


def tempered(model: cl.CRBM, spikes: Spikes, beta: float) -> dict:
    """The activity at a beta, and how long the chains take to forget it there."""
    n = spikes.n_frames
    base = logit((spikes.activity() * n + 0.5) / (n + 1.0))
    fields = field_at(beta, base, model.fields_)
    activity = activity_of(chains_of(model, spikes, JUMP_EVERY[1]), model, fields, beta)
    return {
        "activity": float(activity.mean()), "steps": BETWEEN * autocorrelation_time(activity)
    }  # fmt: skip


def main(*names: str) -> None:
    """Measure the retinas named."""
    for name in names or ("nasal",):
        if stored.is_current(RESULTS, f"{name}/tempering"):
            continue
        train, test = cl.split_train_test(cl.load_retina(RETINAS[name]))
        spikes = as_spikes(train)
        model, rounds = trained(train, as_spikes(test))
        found = {
            "rounds": rounds,
            "mixing": {f"jumps every {k}": mixing(model, spikes, k) for k in JUMP_EVERY},
            "tempering": {f"beta {beta:g}": tempered(model, spikes, beta) for beta in BETAS},
        }
        stored.keep(RESULTS, name, found)
        print(name, found, flush=True)


if __name__ == "__main__":
    command.run(main)
