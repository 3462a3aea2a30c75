"""Cost of one update at the paper's scale, as a ratio to 15 products of BLAS in the same run.

python -m benchmarks.update

The two take turns, because a shared machine changes its speed within minutes: a ratio is the median
over rounds of 15 products and some updates. The update and its parts are measured for each density
of W. Beside a part stands its own limit: the time for its multiplications and additions at the rate
of `np.dot`, or for its bytes at the rate of a plain copy, whichever is longer. The rehearsal ends
at 3 % and has 10 % in the mean; at lambda = 0.02 it ends at 1.5 %.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numba
import numpy as np

from benchmarks import command, stored
from benchmarks.still_trainer import random_weights, still_trainer
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.sample_hidden import sample_h_given_partial_input
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.trainer import NumbaTrainer

N, M, CHAINS, STEPS, FRAMES, ACTIVITY = 40_709, 200, 100, 15, 400, 0.04
DENSITIES = (0.015, 0.03, 0.07, 0.10, 1.0)
RESULTS = stored.RESULTS / "update.json"


def median_seconds(call: Callable[[], object], repeats: int = 7) -> float:
    """Median wall time of ``call``, after one call to warm up."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def paired_seconds(
    call: Callable[[], object], reference: Callable[[], object], rounds: int = 7
) -> tuple[float, float]:
    """Median seconds of ``call``, and its ratio to 15 of ``reference`` that take turns with it."""
    seconds, ratios = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(STEPS):
            reference()
        products = time.perf_counter() - began
        seconds.append(median_seconds(call, 3))
        ratios.append(seconds[-1] / products)
    return float(np.median(seconds)), float(np.median(ratios))


@numba.njit(parallel=True)
def copy(source: np.ndarray, target: np.ndarray) -> None:
    """Copy by all threads."""
    for i in numba.prange(source.shape[0]):
        target[i] = source[i]


def trainer_at(density: float, jump_every: int, rng: np.random.Generator) -> NumbaTrainer:
    """A trainer whose W has random entries, and which does not move them."""
    spikes = as_spikes(rng.random((FRAMES, N), dtype=np.float32) < ACTIVITY)
    return still_trainer(
        NumbaTrainer, spikes, random_weights(N, M, density, rng), rng, n_chains=CHAINS,
        n_gibbs=STEPS, jump_every=jump_every, l1=0.0 if density == 1 else 1.0,
    )  # fmt: skip


def seconds_in_steps(trainer: NumbaTrainer) -> dict[str, float]:
    """Seconds of the Gibbs steps of an update: all, and those of its parts.

    A step on a W without entries draws spikes and nothing else, beside the hidden units.
    """
    chains, now = trainer.chains, trainer.parameters
    potential, fields = tuple(trainer.potential), now.fields.astype(np.float32)
    nothing = np.zeros_like(now.weights)
    empty = GibbsChains(N, M, CHAINS, 1, 0)
    empty.set_weights(nothing)
    empty.set_spikes(chains.spikes())
    key, h = np.uint64(1), np.zeros_like(chains._h)
    step = median_seconds(lambda: chains.step(1, now.weights, fields, potential))
    without = median_seconds(lambda: empty.step(1, nothing, fields, potential))
    hidden = median_seconds(
        lambda: sample_h_given_partial_input(chains.partial_input, 1.0, *potential, key, h)
    )
    up = median_seconds(chains.update_inputs) - median_seconds(empty.update_inputs)
    parts = {
        "hidden units": hidden,
        "spikes": without - hidden,
        "up": up,
        "down": step - without - up,
    }
    return {name: STEPS * seconds for name, seconds in parts.items()}


def seconds_in_rows(trainer: NumbaTrainer) -> float:
    """Seconds of the pass that forms the gradient and moves the weights."""
    spent, update_rows = [], kernels.update_rows

    def timed(*arguments: object) -> None:
        began = time.perf_counter()
        update_rows(*arguments)
        spent.append(time.perf_counter() - began)

    kernels.update_rows = timed
    try:
        for _ in range(7):
            trainer.one_update()
    finally:
        kernels.update_rows = update_rows
    return float(np.median(spent[1:]))


def limits(density: float, flop_s: float, byte_s: float) -> dict[str, float]:
    """Seconds that each part takes at the rate of ``np.dot`` or of a copy."""
    entries = density * N * M
    product = 2 * entries * CHAINS / flop_s
    return {
        "hidden units": 64 * CHAINS * M * 4 / byte_s * STEPS,  # 64 shares of the inputs
        "spikes": N * CHAINS * 25 / flop_s * STEPS,  # an exponential and its decision: 25
        "up": ACTIVITY * product * STEPS,
        "down": max(product, 6 * entries / byte_s) * STEPS,  # 6 bytes an entry, once a step
        "gradient and optimiser": 6 * 4 * N * M / byte_s,  # three arrays in and out
    }


def main() -> None:
    """Print and store one line for each density of W, with its parts where there are no jumps."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((CHAINS, M), dtype=np.float32)
    b = rng.standard_normal((M, N), dtype=np.float32)
    reference = STEPS * median_seconds(lambda: np.dot(a, b))
    flop_s = STEPS * 2 * CHAINS * N * M / reference
    c = np.empty_like(b)
    byte_s = 2 * b.nbytes / median_seconds(lambda: copy(b, c))
    threads = numba.get_num_threads()
    print(
        f"15 x np.dot: {reference * 1e3:.1f} ms ({flop_s / 1e9:.0f} GFLOP/s); "
        f"copy: {byte_s / 1e9:.0f} GB/s; {threads} threads"
    )
    rows = []
    for jump_every in (0, STEPS, 3):
        for density in DENSITIES:
            trainer = trainer_at(density, jump_every, rng)
            seconds, ratio = paired_seconds(trainer.one_update, lambda: np.dot(a, b))
            row = {"density": density, "jump_every": jump_every, "ms": 1e3 * seconds}
            row["ratio"] = ratio
            print(
                f"density {density:.3f} jump_every {jump_every:2d}: "
                f"{row['ms']:7.1f} ms an update, ratio {row['ratio']:.2f}",
                flush=True,
            )
            if jump_every == 0 and density < 1:
                parts = seconds_in_steps(trainer)
                parts["gradient and optimiser"] = seconds_in_rows(trainer)
                parts["the rest"] = seconds - sum(parts.values())
                least = limits(density, flop_s, byte_s)
                row["parts_ms"] = {name: 1e3 * x for name, x in parts.items()}
                row["limits_ms"] = {name: 1e3 * x for name, x in least.items()}
                for name, x in parts.items():
                    limit = f" (limit {1e3 * least[name]:.1f})" if name in least else ""
                    print(f"    {name:<23}{1e3 * x:6.1f} ms{limit}")
            rows.append(row)
    report = {"dot_ms": 1e3 * reference, "gflop_s": flop_s / 1e9, "gb_s": byte_s / 1e9}
    report |= {"threads": threads, "rows": rows}
    stored.write(RESULTS, report)


if __name__ == "__main__":
    command.run(main)
