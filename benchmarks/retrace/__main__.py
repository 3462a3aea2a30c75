"""Retrace the paper on simulated fish of its anatomy and size, or on recordings in files.

python -m benchmarks.retrace [3 8 5 | recording.h5 ...] [--scale 1.0] [--steps data,training]
    [--repeats 5] [--glm 5000] [--folder results]

By default fish 3, then the other seven, at full size: hours on two cores. Every step of every fish
is kept in results/retrace.json as soon as it is done, and what the present code has measured is not
measured again, so the same command goes on where it was stopped. Models are kept by
`crbm_lite.cached_fit`. Results of a recording in a file, such as the published ones, go to
`retrace.json` in the folder (by default the present one); delete it to measure again. The steps:

- data           filters, split (Methods)
- training       M, lambda, verdict, planted assemblies found (2-S1)
- generation     the five statistics, nLLH (2C-H)
- glm            a generalised linear model of up to 5,000 neurons (2H, 2-S2)
- pca, vae       the baselines (2I-K, 2-S6, 2-S7)
- assemblies     who, where, mirror pairs (1C, 3, 2-S4, 2-S6)
- dynamics       states, modes, times (4, 2-S3)
- connectivity   repeats, couplings of regions, baselines (5A-D)
- ablations      the training without each of its parts, on a tenth of the first fish

In the end conservation, structure and function (5E, 5F, 6) of all fish of this scale.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import command
from benchmarks.retrace.run import FISH, RESULTS, STEPS, USUAL, Effort, over_animals, retrace
from benchmarks.retrace.subject import Subject


def main(
    *names: str,
    scale: float = 1.0,
    steps: command.Names = STEPS,
    repeats: int = USUAL.n_repeats,
    glm: int = USUAL.n_most,
    folder: str = ".",
) -> None:
    """Measure what is missing, fish by fish."""
    if unknown := [step for step in steps if step not in STEPS]:
        raise SystemExit(f"{unknown[0]}: give some of {', '.join(STEPS)}")
    effort = Effort(repeats, glm)
    for place, name in enumerate(names or FISH):
        subject = Subject(name, scale)
        path = RESULTS if subject.is_simulated else Path(folder) / "retrace.json"
        some = [step for step in steps if step != "ablations" or place == 0]
        retrace(subject, path, some, effort)
    over_animals(scale)


if __name__ == "__main__":
    command.run(main)
