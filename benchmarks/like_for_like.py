"""All methods by scores that mean the same for each: neurons left out, and whole frames.

python -m benchmarks.like_for_like [larva] [dorsal] [nasal] [maccione]     all by default

For every method: the median nLLH with the neuron left out, its mean log-likelihood over neurons,
and beside them the paper's nLLH, for which cRBM and VAE have seen the neuron. A cRBM whose other
neurons are shifted in time shows what it knows of a neuron alone. Then the log-likelihood of whole
held-out frames, in nats per frame with the ends of log Z: independent neurons, the Ising model, and
cRBMs of several sizes. Penalties of the regressions are chosen by blocks of the training frames.
Results go to results/like_for_like.json, row by row.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.baselines.glm import GLM, fit_glm, sweep_l2
from crbm_lite.baselines.independent import fit_independent
from crbm_lite.baselines.ising import symmetrised
from crbm_lite.baselines.vae_cache import cached_vae
from crbm_lite.recordings.controls import shift_time
from crbm_lite.validation.frame_likelihood import LikelihoodRefused, log_likelihood
from crbm_lite.validation.likelihood import left_out_nllh, nllh

RESULTS = stored.RESULTS / "like_for_like.json"
RETINAS = {
    "dorsal": "Stafford2009_WT_37C_Dorsal_2008-10-11-0",
    "nasal": "Stafford2009_WT_37C_Nasal_2008-05-08-0",
    "maccione": "Maccione2014_P11_m1r2_Spkts_bursts_filtered",
}
L2 = (3.0, 10.0, 30.0, 100.0, 300.0)
FRAMES = {"n_temperatures": 2000, "burn_in": 3000, "max_gap": 2.0}
SIZES = (5, 10, 20, 40, 80)


def crbm(name: str, n_hidden: int) -> cl.CRBM:
    """Return the estimator for a recording, as the chapters use it."""
    usual = {"n_hidden": n_hidden, "random_state": 0, "progress": False}
    if name == "larva":
        return cl.CRBM(l1=0.01, n_updates=2000, n_gibbs=10, **usual)
    return cl.CRBM(l1=0.002, n_updates=6000, n_gibbs=6, jump_every=0, **usual)


def of_neurons(model: object, test: cl.Recording, reconstructs: bool = False) -> dict:
    """The scores with each neuron left out and, for some models, of its reconstruction."""
    score = left_out_nllh(model, test)
    found = {
        "left_out": score.median,
        "left_out_nats": float(score.log_likelihood.mean()),
        "left_out_nats_per_frame": float(score.log_likelihood.sum()),
    }
    return found | ({"nllh": nllh(model, test).median} if reconstructs else {})


def of_frames(model: object, test: cl.Recording) -> dict:
    """The log-likelihood of whole frames, or why there is none."""
    try:
        found = log_likelihood(model, test, **FRAMES, random_state=0)
    except LikelihoodRefused as error:
        return {"frame_refused": str(error)}
    return {"frame_nats": found.mean, "frame_nats_interval": list(found.interval)}


def measure(name: str) -> None:
    """Score every method on one recording; what is there already is not measured again."""
    recording = cl.load_retina(RETINAS[name]) if name in RETINAS else cl.simulate_recording()
    train, test = cl.split_train_test(recording)

    def keep(method: str, make) -> None:
        if not stored.is_current(RESULTS, f"{name}/{method}"):
            found = make()
            stored.keep(RESULTS, name, {method: found})
            print(name, method, found, flush=True)

    def independent() -> dict:
        scores = of_neurons(fit_independent(train), test)
        return scores | {"frame_nats": scores["left_out_nats_per_frame"]}

    @cache
    def glm() -> tuple[GLM, dict]:
        some = np.arange(0, train.n_neurons, max(train.n_neurons // 100, 1))
        sweep = sweep_l2(train, L2, neurons=some)
        chosen = {"l2": sweep.best, "at_edge": sweep.at_edge}
        return fit_glm(train, sweep.best, tol=1e-3), chosen

    def regression() -> dict:
        fitted, chosen = glm()
        return of_neurons(fitted, test) | chosen

    def pairwise() -> dict:
        fitted, chosen = glm()
        ising = symmetrised(fitted)
        return of_neurons(ising, test) | of_frames(ising, test) | chosen

    def vae() -> dict:
        n_hidden, l1, n_updates = (300, 0.01, 4000) if name == "larva" else (40, 0.003, 8000)
        rates = {"n_updates": n_updates, "learning_rate": (2e-3, 2e-4)}
        return of_neurons(cached_vae(train, n_hidden, l1, **rates)[0], test, reconstructs=True)

    def boltzmann(n_hidden: int) -> dict:
        model = cl.cached_fit(crbm(name, n_hidden), train)
        shifted = left_out_nllh(model, test, others=shift_time(test, random_state=0))
        found = of_neurons(model, test, reconstructs=True) | of_frames(model, test)
        return found | {"left_out_of_shifted_others": shifted.median, "verdict": model.verdict_}

    keep("independent", independent)
    for n_hidden in SIZES:
        keep(f"cRBM {n_hidden}", lambda m=n_hidden: boltzmann(m))
    keep("GLM", regression)
    keep("VAE", vae)
    keep("Ising", pairwise)


def main(*names: str) -> None:
    """Measure the recordings named, or all."""
    warnings.simplefilter("ignore")  # verdicts are in the table
    for name in names or ("larva", *RETINAS):
        measure(name)


if __name__ == "__main__":
    command.run(main)
