"""What everything but training costs at the size of a whole brain: CPU seconds of each step.

python -m benchmarks.whole_brain                     (40,709 neurons, 5,800 frames, 200 units)
python -m benchmarks.whole_brain 4000 2000 50

The recording is a simulated larva. The model is not trained: its hidden units are the planted
assemblies, and its fields keep the activity, since what a step costs depends on the sizes and on
how many weights are not zero. Steps go to results/whole_brain.json one by one, each beside one
product of matrices (T, N) (N, M) in the same run, and what is there is not measured again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

import crbm_lite as cl
from benchmarks import certificates, command, stored
from crbm_lite.baselines.glm import fit_glm
from crbm_lite.calcium.deconvolution import GCAMP6S, deconvolve
from crbm_lite.connectivity.couplings import mean_conditional_variance
from crbm_lite.core.spikes import as_spikes
from crbm_lite.simulation.larva_recording import calcium_traces
from crbm_lite.training.start import logit_activity
from crbm_lite.validation.likelihood import left_out_nllh, nllh

RESULTS = stored.RESULTS / "whole_brain.json"
GLM_NEURONS, TRACES = 20, 1000  # of which the cost of all is told


def model_of_truth(recording: cl.Recording, n_hidden: int) -> cl.CRBM:
    """A cRBM whose hidden units are the first planted assemblies, with Gaussian potentials.

    Its couplings W W' have norm 2. As p (1 - p) is at most 1/4, it has one state: stronger weights
    would hold themselves up, and every spike that a chain has too many costs time.
    """
    weights = recording.truth.effects.toarray()[:, :n_hidden].astype(np.float32)
    weights *= np.sqrt(2.0 / np.linalg.norm(weights.T @ weights, 2))
    ones = np.ones(n_hidden)
    mean_input = weights @ (recording.spikes.mean(axis=0) @ weights)  # the mean of h is its input
    fields = logit_activity(as_spikes(recording)) - mean_input
    return cl.CRBM.from_parameters(weights, fields, ones, ones, 0 * ones, 0 * ones)


def certificate(model: cl.CRBM, train: cl.Recording) -> None:
    """A certificate as a training ends with, by chains that begin at frames of the data."""
    spikes = as_spikes(train)
    certificates.certified(spikes, certificates.parameters_of(model, spikes), 0.01, 0)


def saved_viewer(model: cl.CRBM, train: cl.Recording) -> None:
    """The page of the viewer, written to a file."""
    with tempfile.TemporaryDirectory() as folder:
        cl.view_assemblies(model.weights_, train.coordinates).save(Path(folder) / "brain.html")


def steps(train: cl.Recording, test: cl.Recording, model: cl.CRBM) -> dict[str, Callable]:
    """What is measured, by name."""
    some = train.spikes[:, :TRACES]
    dff = calcium_traces(some, train.rate_hz, 0, rise_s=GCAMP6S.rise_s, decay_s=GCAMP6S.decay_s)
    neurons = np.linspace(0, train.n_neurons - 1, GLM_NEURONS).astype(int)
    return {
        "check": lambda: train.check(),
        "certificate": lambda: certificate(model, train),
        "validate": lambda: cl.validate(model, train, test, random_state=0),
        "left-out likelihood": lambda: left_out_nllh(model, test),
        "reconstruction (Eq. 18)": lambda: nllh(model, test),
        "region connectivity": lambda: cl.region_connectivity(
            model.weights_, mean_conditional_variance(model, train), train.labels
        ),
        f"GLM of {GLM_NEURONS} neurons": lambda: fit_glm(train, neurons=neurons),
        f"deconvolution of {TRACES:,} traces": lambda: deconvolve(dff, train.rate_hz),
        "viewer": lambda: saved_viewer(model, train),
    }


def main(n_neurons: int = 40_709, n_frames: int = 5_800, n_hidden: int = 200) -> None:
    """Measure the steps that are missing; the size named in the results is that of all of them."""
    name = f"{n_neurons:,} neurons, {n_frames:,} frames, {n_hidden} hidden units"
    recording = cl.simulate_recording(n_neurons, n_frames, n_assemblies=n_hidden, random_state=0)
    train, test = cl.split_train_test(recording)
    model = model_of_truth(recording, n_hidden)
    few = slice(0, min(200, train.n_neurons))
    small = model_of_truth(recording.select_neurons(few), n_hidden)
    for step in steps(train.select_neurons(few), test.select_neurons(few), small).values():
        step()  # compile
    with command.timed() as product:
        train.spikes.astype(np.float32) @ model.weights_.astype(np.float32)
    for step, call in steps(train, test, model).items():
        if step in stored.read(RESULTS).get(name, {}) and stored.is_current(
            RESULTS, f"{name}/{step}"
        ):
            continue
        with command.timed() as cost:
            call()
        found = {
            "cpu_s": round(cost.cpu_s, 1), "wall_s": round(cost.wall_s, 1),
            "products": round(cost.cpu_s / product.cpu_s, 1),
            "peak_gb": round(command.peak_gb(), 2),
            "density": round(float((model.weights_ != 0).mean()), 3),
            "threads": numba.get_num_threads(),
        }  # fmt: skip
        print(
            f"{step:<32}{found['cpu_s']:8.1f} CPU s, {found['products']:.1f} products", flush=True
        )
        stored.keep(RESULTS, name, {step: found})


if __name__ == "__main__":
    command.run(main)
