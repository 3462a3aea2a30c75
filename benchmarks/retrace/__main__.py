"""Retrace the paper on simulated fish of its anatomy and size, or on recordings in files.

python -m benchmarks.retrace [3 8 5 | recording.h5 ...] [--scale 1.0] [--steps data,training]
    [--repeats 5] [--folder results]

By default fish 3, then the other seven, at full size: hours on two cores. Every step of every fish
is kept in results/retrace.json as soon as it is done, and what the present code has measured is not
measured again, so the same command goes on where it was stopped. Models are kept by
`crbm_lite.cached_fit`. Results of a recording in a file, such as the published ones, go to
`retrace.json` in the folder (by default the present one); delete it to measure again. The steps:

- data           filters, split (Methods)
- training       M, lambda, verdict, planted assemblies found (2-S1)
- generation     the five statistics, nLLH (2C-H)
- glm            a generalised linear model of 5,000 neurons (2H, 2-S2)
- pca, vae       the baselines (2I-K, 2-S6, 2-S7)
- assemblies     who, where, mirror pairs (1C, 3, 2-S4, 2-S6)
- dynamics       states, modes, times (4, 2-S3)
- connectivity   repeats, couplings of regions, baselines (5A-D)
- ablations      the training without each of its parts, on the first fish
- animals        conservation, structure and function (5E, 5F, 6), over all fish of this scale
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import command, stored
from benchmarks.retrace import (
    ablations,
    animals,
    assemblies,
    components,
    connectivity,
    data,
    dynamics,
    generation,
    prediction,
    training,
)
from benchmarks.retrace.compact import compact
from benchmarks.retrace.paper import RESULTS
from benchmarks.retrace.subject import Subject
from crbm_lite.datasets.atlas import load_atlas

FISH = ("3", "1", "2", "4", "5", "6", "7", "8")
STEPS = (
    "data", "training", "generation", "glm", "pca", "vae", "assemblies", "dynamics",
    "connectivity", "ablations", "animals",
)  # fmt: skip


def measures(n_repeats: int) -> dict[str, Callable[[Subject], dict]]:
    """The steps of one fish by name."""
    return {
        "data": data.measure,
        "training": training.measure,
        "generation": generation.measure,
        "glm": prediction.measure,
        "pca": components.pca,
        "vae": components.vae,
        "assemblies": assemblies.measure,
        "dynamics": dynamics.measure,
        "connectivity": partial(connectivity.measure, n_repeats=n_repeats),
        "ablations": ablations.measure,
    }


def is_done(path: Path, key: str, step: str, n_repeats: int) -> bool:
    """Whether a step need not be measured again."""
    found = stored.read(path).get(key, {}).get(step)
    if found is None or found.get("n_repeats", n_repeats) != n_repeats:
        return False
    return path != RESULTS or stored.is_current(path, f"{key}/{step}")


def keep(path: Path, key: str, step: str, make: Callable[[], dict]) -> None:
    """Measure a step, print what it took, and keep it."""
    with command.memory_peak() as memory, command.timed() as elapsed:
        found = make()
    cost = {"cpu_s": elapsed.cpu_s, "peak_mb": memory.peak_mb}
    stored.keep(path, key, {step: compact(found | cost)})
    print(f"{key}, {step}: {elapsed.cpu_s:.0f} CPU s, {memory.peak_mb:.0f} MB more", flush=True)


def over_animals(path: Path, scale: float, n_repeats: int) -> None:
    """Compare all fish of this scale whose connectivity is stored."""
    key, results = f"fish, scale {scale:g}", stored.read(path)
    names = [Subject(name, scale).key for name in FISH]
    names = [name for name in names if is_done(path, name, "connectivity", n_repeats)]
    if len(names) < 2:
        print(f"{key}: fewer than two fish, so nothing to compare", flush=True)
        return
    parts = [results[name]["connectivity"] for name in names]
    n_frames = [results[name]["data"]["n_frames"] for name in names]

    def make() -> dict:
        return animals.measure(parts, n_frames, load_atlas()) | {"fish": names}

    keep(path, key, "animals", make)


def main(
    *names: str,
    scale: float = 1.0,
    steps: command.Names = STEPS,
    repeats: int = 5,
    folder: str = ".",
) -> None:
    """Measure what is missing, fish by fish."""
    if unknown := [step for step in steps if step not in STEPS]:
        raise SystemExit(f"{unknown[0]}: give some of {', '.join(STEPS)}")
    names = names or FISH
    for name in names:
        subject = Subject(name, scale)
        path = RESULTS if subject.is_simulated else Path(folder) / "retrace.json"
        for step, measure in measures(repeats).items():
            if step not in steps or (step == "ablations" and name != names[0]):
                continue
            if not is_done(path, subject.key, step, repeats):
                keep(path, subject.key, step, partial(measure, subject))
    if "animals" in steps:
        over_animals(RESULTS, scale, repeats)


if __name__ == "__main__":
    command.run(main)
