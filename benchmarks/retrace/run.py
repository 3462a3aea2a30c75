"""Measure the steps of a fish, each kept as soon as it is done, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from benchmarks.retrace.subject import Subject
from crbm_lite.datasets.atlas import load_atlas

__all__ = ["FISH", "N_REPEATS", "RESULTS", "STEPS", "key_of_animals", "over_animals", "retrace"]

RESULTS = stored.RESULTS / "retrace.json"
FISH = ("3", "1", "2", "4", "5", "6", "7", "8")
N_REPEATS = 5
STEPS = (
    "data", "training", "generation", "glm", "pca", "vae", "assemblies", "dynamics",
    "connectivity", "ablations",
)  # fmt: skip


def key_of_animals(scale: float) -> str:
    """Name all fish of a scale in the table of results."""
    return f"fish, scale {scale:g}"


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


def retrace(
    subject: Subject,
    path: Path = RESULTS,
    steps: Sequence[str] = STEPS,
    n_repeats: int = N_REPEATS,
) -> None:
    """Measure what is missing of a fish."""
    for step, measure in measures(n_repeats).items():
        if step in steps and not _is_done(path, subject.key, step, n_repeats):
            _keep(path, subject.key, step, partial(measure, subject))


def over_animals(scale: float, path: Path = RESULTS, n_repeats: int = N_REPEATS) -> None:
    """Compare all fish of this scale whose connectivity is stored."""
    key, results = key_of_animals(scale), stored.read(path)
    names = [Subject(name, scale).key for name in FISH]
    names = [name for name in names if _is_done(path, name, "connectivity", n_repeats)]
    if len(names) < 2:
        print(f"{key}: fewer than two fish, so nothing to compare", flush=True)
        return
    parts = [results[name]["connectivity"] for name in names]
    n_frames = [results[name]["data"]["n_frames"] for name in names]

    def make() -> dict:
        return animals.measure(parts, n_frames, load_atlas()) | {"fish": names}

    _keep(path, key, "animals", make)


def _is_done(path: Path, key: str, step: str, n_repeats: int) -> bool:
    """Say whether a step need not be measured again; digests are known of our own table only."""
    found = stored.read(path).get(key, {}).get(step)
    if found is None or found.get("n_repeats", n_repeats) != n_repeats:
        return False
    return path != RESULTS or stored.is_current(path, f"{key}/{step}")


def _keep(path: Path, key: str, step: str, make: Callable[[], dict]) -> None:
    """Measure a step, print what it took, and keep it."""
    with command.memory_peak() as memory, command.timed() as elapsed:
        found = make()
    cost = {"cpu_s": elapsed.cpu_s, "peak_mb": memory.peak_mb}
    stored.keep(path, key, {step: compact(found | cost)})
    print(f"{key}, {step}: {elapsed.cpu_s:.0f} CPU s, {memory.peak_mb:.0f} MB more", flush=True)
