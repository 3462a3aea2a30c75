"""How cost and memory grow, and how long it takes to begin.

python -m benchmarks.scaling [start] [cost] [memory] [million]     all four if none is named

start    seconds to import and to the end of a first small fit, from a warm and a cold numba cache
cost     seconds of an update, the least of seven, against N, M, chains and active neurons, one at
         a time; the exponent is the slope of the logarithms, of all and of what is above a fixed
         part
memory   peak memory of a fit of 65,517 neurons x 6,000 frames, 200 hidden units, spikes included;
         the recording is a file of bits
million  the same for 1,000,000 neurons x 2,000 frames

Seconds are CPU seconds divided by the number of threads. Results go to results/scaling.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numba
import numpy as np

from benchmarks import command, stored
from benchmarks.still_trainer import random_weights, still_trainer

RESULTS = stored.RESULTS / "scaling.json"
AT = {"N": 20_000, "M": 200, "chains": 100, "activity": 0.04}
SWEEPS = {
    "N": (5000, 10_000, 20_000, 50_000, 100_000, 200_000),
    "M": (50, 100, 200, 400, 800),
    "chains": (50, 100, 200, 400, 800),
    "activity": (0.02, 0.04, 0.08, 0.16, 0.32),
}
DENSITY, N_FRAMES, N_GIBBS = 0.05, 300, 15
MEMORY = {"memory": (65_517, 6000, 200, 30), "million": (1_000_000, 2000, 200, 12)}
FIRST_FIT = """
import time
began = time.perf_counter(), time.process_time()
import crbm_lite
imported = time.perf_counter(), time.process_time()
import warnings
import numpy as np
warnings.simplefilter("ignore")
v = np.random.default_rng(0).random((300, 200)) < 0.1
crbm_lite.CRBM(n_hidden=5, l1=0.01, n_updates=20, random_state=0, progress=False).fit(v)
fitted = time.perf_counter(), time.process_time()
print(*(b - a for a, b in zip(began, imported)), *(b - a for a, b in zip(imported, fitted)))
"""


def first_fit(cache: str) -> dict[str, float]:
    """Seconds, wall and CPU, in a new process."""
    run = subprocess.run(
        [sys.executable, "-c", FIRST_FIT], env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = ("import_s", "import_cpu_s", "first_fit_s", "first_fit_cpu_s")
    return dict(zip(names, map(float, run.stdout.split()), strict=True))


def measure_start() -> dict:
    """Cold, then warm."""
    with tempfile.TemporaryDirectory() as cache:
        cold = first_fit(cache)
        warm = min((first_fit(cache) for _ in range(3)), key=lambda x: x["first_fit_s"])
    for name, x in (("cold", cold), ("warm", warm)):
        print(f"{name}: import {x['import_s']:.2f} s, first fit {x['first_fit_s']:.1f} s")
    return {"cold": cold, "warm": warm}


def update_seconds(n: int, m: int, chains: int, activity: float) -> float:
    """CPU seconds per thread of an update with jumps: the least of seven, since noise only adds."""
    from crbm_lite.core.spikes import as_spikes
    from crbm_lite.training.trainer import NumbaTrainer

    rng = np.random.default_rng(0)
    spikes = as_spikes(rng.random((N_FRAMES, n), dtype=np.float32) < activity)
    trainer = still_trainer(
        NumbaTrainer, spikes, random_weights(n, m, DENSITY, rng), rng, n_chains=chains,
        n_gibbs=N_GIBBS, jump_every=3, l1=1.0,
    )  # fmt: skip
    trainer.one_update()
    seconds = []
    for _ in range(7):
        with command.timed() as update:
            trainer.one_update()
        seconds.append(update.cpu_s)
    return min(seconds) / numba.get_num_threads()


def measure_cost() -> dict:
    """One sweep for each quantity, the others as in AT."""
    out = {}
    for name, values in SWEEPS.items():
        seconds = [update_seconds(*(AT | {name: x}).values()) for x in values]
        out[name] = found = {"values": values, "seconds": seconds} | growth(values, seconds)
        line = ", ".join(f"{x:g}: {1e3 * s:.0f}" for x, s in zip(values, seconds, strict=True))
        print(
            f"{name:<9} exponent {found['exponent']:.2f}, {found['exponent_above_fixed']:.2f} "
            f"above {1e3 * found['fixed_s']:.0f} ms   ms {line}",
            flush=True,
        )
    return out | {"at": AT, "density": DENSITY, "n_gibbs": N_GIBBS}


def growth(values: tuple, seconds: list[float]) -> dict[str, float]:
    """Exponents, and the fixed part: where the straight line nearest in ratio meets x = 0."""
    x, s = np.asarray(values, dtype=float), np.asarray(seconds)
    slope, fixed = np.polyfit(x, s, 1, w=1 / s)
    fixed = float(np.clip(fixed, 0.0, 0.99 * s.min()))  # noise must not leave less than nothing
    return {
        "exponent": float(np.polyfit(np.log(x), np.log(s), 1)[0]),
        "fixed_s": fixed,
        "exponent_above_fixed": float(np.polyfit(np.log(x), np.log(s - fixed), 1)[0]),
        "line_error": float(np.max(np.abs(slope * x + fixed - s) / s)),
    }


def write_bits(path: Path, n: int, t: int, n_groups: int, rng: np.random.Generator) -> None:
    """Write packed spikes, a few frames at a time: groups that are on in 5 % of the frames."""
    shape = (t, -(-n // 8))
    bits = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    group = rng.integers(n_groups, size=n)
    for first in range(0, t, 50):
        size = min(50, t - first)
        on = rng.random((size, n_groups)) < 0.05
        p = np.where(on, 100, 7).astype(np.uint8)[:, group]  # of 256: 4.5 % on average
        v = rng.integers(256, size=(size, n), dtype=np.uint8) < p
        bits[first : first + size] = np.packbits(v, axis=1)


def fit_once(name: str) -> None:
    """In a process of its own: fit bits that stay in a file; print peak memory and seconds."""
    import crbm_lite as cl

    n, t, m, n_updates = MEMORY[name]
    model = cl.CRBM(
        n_hidden=m, l1=0.01, n_updates=n_updates, n_gibbs=1, jump_every=0, random_state=0,
        progress=False,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bits.npy"
        write_bits(path, n, t, m, np.random.default_rng(0))
        spikes = cl.spikes_given_bits(np.load(path, mmap_mode="r"), n_neurons=n)
        before = command.peak_gb()
        warnings.simplefilter("ignore")
        with command.timed() as fit:
            model.fit(spikes)
    values = {
        "N": n, "T": t, "M": m, "updates": n_updates, "gb_before_fit": before,
        "peak_gb": command.peak_gb(), "seconds": fit.wall_s, "cpu_s": fit.cpu_s,
        "start": model.history_.events[0],
        "density": float(np.mean(model.weights_ != 0)),
    }  # fmt: skip
    print(json.dumps(values))


def measure_memory(name: str) -> dict:
    """Fit in a new process, whose peak is the fit's."""
    code = f"from benchmarks.scaling import fit_once; fit_once({name!r})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["killed"])[-1]
        print(f"{name}: not possible here ({last})")
        return {"failed": last}
    found = json.loads(run.stdout.splitlines()[-1])
    print(
        f"{name}: N = {found['N']:,}, T = {found['T']:,}, M = {found['M']}: peak "
        f"{found['peak_gb']:.2f} GB ({found['gb_before_fit']:.2f} GB before the fit), "
        f"{found['seconds']:.0f} s for {found['updates']} updates; {found['start']}"
    )
    return found


def main(*parts: str) -> None:
    """Measure the named parts, or what is old, and merge them into the results."""
    measures = {
        "start": measure_start,
        "cost": measure_cost,
        **{name: lambda name=name: measure_memory(name) for name in MEMORY},
    }
    for part in parts or [p for p in measures if not stored.is_current(RESULTS, p)]:
        found = measures[part]() | {"threads": numba.get_num_threads()}
        stored.write(RESULTS, stored.read(RESULTS) | {part: found}, part)


if __name__ == "__main__":
    command.run(main)
