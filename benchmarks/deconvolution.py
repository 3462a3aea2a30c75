"""Deconvolution of 10,000 neurons x 5,000 frames: seconds of each step.

python -m benchmarks.deconvolution [neurons [frames]]
"""

from __future__ import annotations

import numba
import numpy as np

import crbm_lite as cl
from benchmarks import command
from crbm_lite.calcium.deconvolution import GCAMP6S, deconvolve, infer_kernel
from crbm_lite.calcium.preprocessing import delta_f_over_f
from crbm_lite.calcium.spike_scores import score_spikes
from crbm_lite.simulation.larva_recording import calcium_traces


def main(n_neurons: int = 10_000, n_frames: int = 5000) -> None:
    """Time each step on the simulated larva; wall and CPU seconds."""
    recording = cl.simulate_recording(n_neurons=n_neurons, n_frames=n_frames, random_state=0)
    dff = calcium_traces(
        recording.spikes, recording.rate_hz, 0, rise_s=GCAMP6S.rise_s, decay_s=GCAMP6S.decay_s
    )
    deconvolve(dff[:, :2], recording.rate_hz)  # compiled or loaded before the clock starts
    print(f"{n_neurons} neurons x {n_frames} frames, {numba.get_num_threads()} threads")

    def timed(name: str, function: object) -> object:
        with command.timed() as step:
            result = function()
        print(f"{name:<16} {step.wall_s:7.1f} s wall {step.cpu_s:7.1f} s CPU", flush=True)
        return result

    timed("dF/F", lambda: delta_f_over_f(1 + np.maximum(dff, -0.9), recording.rate_hz))
    timed("infer kernel", lambda: infer_kernel(dff, recording.rate_hz))
    found = timed("deconvolve", lambda: deconvolve(dff, recording.rate_hz))
    print(score_spikes(recording.spikes, found.spikes))


if __name__ == "__main__":
    command.run(main)
