"""Cost of one update at the paper's scale, as a ratio to 15 products of BLAS in the same run.

python -m benchmarks.update
"""

from __future__ import annotations

import time

import numba
import numpy as np

from crbm_lite.schedule import Schedule
from crbm_lite.spikes import as_spikes
from crbm_lite.training import Trainer
from crbm_lite.warm_start import Start

N, M, CHAINS, BATCH, STEPS, FRAMES, ACTIVITY = 40_709, 200, 100, 100, 15, 400, 0.04


def median_seconds(call: object, repeats: int = 7) -> float:
    """Median wall time of ``call``, after one call to warm up."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    """Print one line a density of W."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((CHAINS, M), dtype=np.float32)
    b = rng.standard_normal((M, N), dtype=np.float32)
    reference = STEPS * median_seconds(lambda: np.dot(a, b))
    print(f"15 x np.dot: {reference * 1e3:.1f} ms; {numba.get_num_threads()} threads")
    spikes = as_spikes(rng.random((FRAMES, N), dtype=np.float32) < ACTIVITY)
    for jump_every in (0, 3):
        for density in (0.03, 0.07, 1.0):
            weights = np.zeros((N, M), np.float32)
            on = rng.random((N, M)) < density
            weights[on] = 0.1 / np.sqrt(density * M) * rng.standard_normal(on.sum())
            potential = np.stack([np.ones(M), np.ones(M), np.zeros(M), np.zeros(M)])
            start = Start(weights, np.full(N, -3.2), potential, boost=1.0)
            schedule = Schedule(
                n_updates=1000, batch_size=BATCH, n_chains=CHAINS, n_gibbs=STEPS,
                jump_every=jump_every, l1=0.0, learning_rate=1e-12, final_learning_rate=1e-12,
                decay_start=0.25, ramp=0.0, average_from=0.0, beta2=0.999, epsilon=1e-6,
            )  # fmt: skip
            trainer = Trainer(spikes, start, schedule, rng)
            # the gate for zeros needs lambda: without it every zero would move
            trainer.schedule = Schedule(**(vars(schedule) | {"l1": 0.0 if density == 1 else 1.0}))
            trainer.now.weight_square[:] = 1.0
            seconds = median_seconds(trainer.one_update)
            print(
                f"density {trainer.now.density:.3f} jump_every {jump_every}: "
                f"{seconds * 1e3:7.1f} ms an update, ratio {seconds / reference:.2f}"
            )


if __name__ == "__main__":
    main()
