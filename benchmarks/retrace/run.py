"""Measure the steps of a fish, each kept as soon as it is done, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

__all__ = [
    "FISH",
    "MEASURES",
    "RESULTS",
    "STEPS",
    "USUAL",
    "Effort",
    "key_of_animals",
    "over_animals",
    "retrace",
]

RESULTS = stored.RESULTS / "retrace.json"
FISH = ("3", "1", "2", "4", "5", "6", "7", "8")


def key_of_animals(scale: float) -> str:
    """Name all fish of a scale in the table of results."""
    return f"fish, scale {scale:g}"


@dataclass(frozen=True)
class Effort:
    """How much is measured; what was measured with another effort is measured again.

    Parameters
    ----------
    n_repeats : int
        Trainings of each fish on all frames. With 0, the model of the training frames serves.
    n_most : int
        Neurons of the generalised linear model, at most.
    """

    n_repeats: int = 5
    n_most: int = 5000

    def of(self, step: str) -> dict[str, int]:
        """What this step is told; its results say it, too."""
        return {
            "connectivity": {"n_repeats": self.n_repeats},
            "glm": {"n_most": self.n_most},
        }.get(step, {})


MEASURES: dict[str, Callable[..., dict]] = {
    "data": data.measure,
    "training": training.measure,
    "generation": generation.measure,
    "glm": prediction.measure,
    "pca": components.pca,
    "vae": components.vae,
    "assemblies": assemblies.measure,
    "dynamics": dynamics.measure,
    "connectivity": connectivity.measure,
    "ablations": ablations.measure,
}
STEPS = tuple(MEASURES)
USUAL = Effort()


def retrace(
    subject: Subject,
    path: Path = RESULTS,
    steps: Sequence[str] = STEPS,
    effort: Effort = USUAL,
) -> None:
    """Measure what is missing of a fish."""
    for step in (x for x in STEPS if x in steps):
        if not _is_done(path, subject.key, step, effort):
            _keep(path, subject.key, step, partial(MEASURES[step], subject, **effort.of(step)))


def over_animals(scale: float, path: Path = RESULTS) -> None:
    """Compare all fish of this scale whose connectivity is stored, with whatever effort."""
    key, results = key_of_animals(scale), stored.read(path)
    names = [Subject(name, scale).key for name in FISH]
    names = [name for name in names if _is_current(path, name, "connectivity")]
    if len(names) < 2:
        print(f"{key}: fewer than two fish, so nothing to compare", flush=True)
        return
    parts = [results[name]["connectivity"] for name in names]
    n_frames = [results[name]["data"]["n_frames"] for name in names]

    def make() -> dict:
        return animals.measure(parts, n_frames, load_atlas()) | {"fish": names}

    _keep(path, key, "animals", make)


def _is_done(path: Path, key: str, step: str, effort: Effort) -> bool:
    """Say whether a step need not be measured again."""
    found = stored.read(path).get(key, {}).get(step, {})
    return effort.of(step).items() <= found.items() and _is_current(path, key, step)


def _is_current(path: Path, key: str, step: str) -> bool:
    """Say whether there are results of the present code, which is known of our own table only."""
    if path == RESULTS:
        return stored.is_current(path, f"{key}/{step}")
    return step in stored.read(path).get(key, {})


def _keep(path: Path, key: str, step: str, make: Callable[[], dict]) -> None:
    """Measure a step, print what it took, and keep it."""
    with command.memory_peak() as memory, command.timed() as elapsed:
        found = make()
    cost = {"cpu_s": elapsed.cpu_s, "peak_mb": memory.peak_mb}
    stored.keep(path, key, {step: compact(found | cost)})
    print(f"{key}, {step}: {elapsed.cpu_s:.0f} CPU s, {memory.peak_mb:.0f} MB more", flush=True)
