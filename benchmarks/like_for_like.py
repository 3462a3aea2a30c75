"""All methods by scores that mean the same for each: neurons left out, and whole frames.

python -m benchmarks.like_for_like [larva] [dorsal] [nasal] [maccione]     all by default

For every method: the median nLLH with the neuron left out, its mean log-likelihood over neurons,
and beside them the paper's nLLH, for which cRBM and VAE have seen the neuron. A cRBM whose other
neurons are shifted in time shows what it knows of a neuron alone. Then the log-likelihood of whole
held-out frames, in nats per frame with the ends of log Z: independent neurons, the Ising model, and
cRBMs. All that is compared is chosen on blocks of the training frames: M, lambda and all else of
CRBM(), the penalties of the GLM and the Ising model, M and lambda of the VAE. The cRBMs of five
sizes have settings by hand and show what M does; none of them is chosen. Results go to
results/like_for_like.json, row by row.
"""

from __future__ import annotations

import warnings

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.baselines.glm import fit_glm, sweep_l2
from crbm_lite.baselines.independent import fit_independent
from crbm_lite.baselines.ising import sweep_ising_l2, symmetrised
from crbm_lite.baselines.vae_cache import cached_vae
from crbm_lite.baselines.vae_validation import sweep_vae
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
VAES = ((20, 0.001), (20, 0.003), (40, 0.001), (40, 0.003), (100, 0.003), (300, 0.003), (300, 0.01))
RATES = {"learning_rate": (2e-3, 2e-4)}
N_UPDATES_VAE = 4000, 8000  # to choose, and to train
N_NEURONS_CHOOSING = 500  # on more, the Ising model's penalty is chosen on a part of the network
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

    def regression() -> dict:
        some = np.arange(0, train.n_neurons, max(train.n_neurons // 100, 1))
        sweep = sweep_l2(train, L2, neurons=some)
        scores = of_neurons(fit_glm(train, sweep.best, tol=1e-3), test)
        return scores | {"l2": sweep.best, "at_edge": sweep.at_edge}

    def pairwise() -> dict:
        some = train.spikes[:, :: max(train.n_neurons // N_NEURONS_CHOOSING, 1)]
        sweep = sweep_ising_l2(some, L2, n_folds=2)
        ising = symmetrised(fit_glm(train, sweep.best, tol=1e-3))
        scores = of_neurons(ising, test) | of_frames(ising, test)
        return scores | {"l2": sweep.best, "at_edge": sweep.at_edge}

    def vae() -> dict:
        choosing, training = N_UPDATES_VAE
        sweep = sweep_vae(train, VAES, n_folds=2, n_updates=choosing, **RATES)
        fitted, _ = cached_vae(train, *sweep.best, n_updates=training, **RATES)
        n_hidden, l1 = sweep.best
        return of_neurons(fitted, test, reconstructs=True) | {"n_hidden": n_hidden, "l1": l1}

    def boltzmann(estimator: cl.CRBM) -> dict:
        model = cl.cached_fit(estimator, train)
        shifted = left_out_nllh(model, test, others=shift_time(test, random_state=0))
        found = of_neurons(model, test, reconstructs=True) | of_frames(model, test)
        made = {"n_hidden": model.weights_.shape[1], "verdict": model.verdict_}
        return found | {"left_out_of_shifted_others": shifted.median} | made

    keep("independent", independent)
    keep("CRBM()", lambda: boltzmann(cl.CRBM(random_state=0, progress=False)))
    for n_hidden in SIZES:
        keep(f"cRBM {n_hidden}", lambda m=n_hidden: boltzmann(crbm(name, m)))
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
