"""How much data does it take? Simulated fish, with one thing changed at a time.

python -m benchmarks.design_guide [--vary minutes,neurons] [--seeds 0]

At the base point a small fish of the atlas has `BASE` neurons, minutes and activity, and
`N_ASSEMBLIES` assemblies; `CRBM()` chooses M and lambda. Around it one thing is changed at a time.
A run is trained on all frames. It tells how many planted assemblies are found, how well the
couplings of regions agree with the planted ones, and how well they follow structure, beside the
correlation of the spikes and the planted couplings themselves. Runs go to
results/design_guide.json one by one, and what the present code has measured is not measured again.
"""

from __future__ import annotations

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.any_recording.scores import of_assemblies
from crbm_lite.connectivity.couplings import factor_of_covariance, factor_of_models
from crbm_lite.connectivity.region_statistics import compare, conservation
from crbm_lite.connectivity.regions import region_connectivity
from crbm_lite.datasets.atlas import load_atlas

RESULTS = stored.RESULTS / "design_guide.json"
FISH = 7
N_ASSEMBLIES = 30  # so few that each has some members
BASE = {"minutes": 25.0, "neurons": 400, "activity": 0.035}
VARIED = {
    "minutes": (5.0, 25.0, 100.0),
    "neurons": (300, 400, 600, 1200),
    "activity": (0.01, 0.035, 0.07),
    "l1": (0.005, 0.01, 0.02),
    "n_hidden": (20, 40, 80),
}
_FEWEST = 2  # neurons of a region


def recording(neurons: int, minutes: float, activity: float, seed: int) -> cl.Recording:
    """Simulate a fish of few assemblies, without the neurons that never spike."""
    whole = len(load_atlas().labels[FISH - 1])
    fish = cl.simulate_fish(
        FISH,
        scale=neurons / whole,
        n_assemblies=N_ASSEMBLIES,
        minutes=minutes,
        activity=activity,
        random_state=seed,
    )
    return fish.select_neurons(~np.isin(np.arange(fish.n_neurons), fish.constant_neurons))


def measure(changed: dict[str, float], seed: int) -> dict:
    """Train on one fish and hold what is found against what was planted."""
    fish = recording(**BASE | {k: v for k, v in changed.items() if k in BASE}, seed=seed)
    settings = {k: v for k, v in changed.items() if k not in BASE}
    model = cl.CRBM(**settings, random_state=seed, progress=False)
    with command.timed() as elapsed:
        model.fit(fish)
    factors = {
        "crbm": factor_of_models([model], fish),
        "correlation": factor_of_covariance(fish, correlation=True),
        "planted": fish.truth.coupling_factor(),
    }
    regions = {
        name: region_connectivity(*factor, fish.labels, min_neurons=_FEWEST).values
        for name, factor in factors.items()
    }
    structure = fish.truth.structure
    found = of_assemblies(model.weights_, fish.truth) | {
        "units_alive": int((model.weights_ != 0).any(axis=0).sum()),
        "n_neurons": fish.n_neurons,
        "n_frames": fish.n_frames,
        "l1": float(model.l1_),
        "verdict": model.verdict_,
        "cpu_s": elapsed.cpu_s,
    }
    for name, matrix in regions.items():
        found[f"structure_r_s_{name}"] = compare(matrix, structure, within=False).spearman_r
        if name != "planted":
            alike = conservation([matrix, regions["planted"]], within=False)
            found[f"planted_r_{name}"] = alike.mean()
    return {k: _number(v) for k, v in found.items()}


def _number(value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if np.isfinite(value) else None  # JSON has no NaN


def points(vary: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """The settings of all runs by name; those that equal the base point share its name."""
    found = {"base": {}}
    for what in vary:
        for value in VARIED[what]:
            if value != BASE.get(what):
                found[f"{what} {value:g}"] = {what: value}
    return found


def main(*, vary: command.Names = tuple(VARIED), seeds: command.Seeds = (0,)) -> None:
    """Measure what is missing, one seed after the other."""
    if unknown := [what for what in vary if what not in VARIED]:
        raise SystemExit(f"{unknown[0]}: give some of {', '.join(VARIED)}")
    for seed in seeds:
        for name, changed in points(vary).items():
            if stored.is_current(RESULTS, f"{name}/seed {seed}"):
                continue
            found = measure(changed, seed)
            stored.keep(RESULTS, name, {f"seed {seed}": found})
            print(
                f"{name}, seed {seed}: {found['n_found']} of {found['n_planted']} found, couplings "
                f"r {found['planted_r_crbm']}, r_S {found['structure_r_s_crbm']} (correlation "
                f"{found['structure_r_s_correlation']}), {found['cpu_s']:.0f} CPU s",
                flush=True,
            )


if __name__ == "__main__":
    command.run(main)
