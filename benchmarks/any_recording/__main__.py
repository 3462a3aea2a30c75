"""Nothing set by hand, on any recording, against settings by hand, the paper's, and rivals.

python -m benchmarks.any_recording [--recordings tectum,larva] [--methods hand,NMF] [--seeds 0-4]

By default all recordings of `benchmarks.any_recording.recordings` but the held-out ones, all
methods of `benchmarks.any_recording.methods`, and seeds 0 to 4. Of the settings by hand, the whole
grid is trained with seed 0 and the best setting with every seed. Null recordings are for the method
"automatic" alone, and the rivals have one seed. Runs go to results/any_recording.json one by one,
and what the present code has measured is left alone. In the end the bars of
`benchmarks.any_recording.bars` are printed.
"""

from __future__ import annotations

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.any_recording import bars, methods
from benchmarks.any_recording.recordings import NAMES, load
from benchmarks.rivals import RIVALS

RESULTS = stored.RESULTS / "any_recording.json"
METHODS = ("automatic", "hand", "published", *RIVALS)


class Measurements:
    """The runs on one recording with one seed: measured once, and kept at once."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed = name, seed
        self.train, self.test = cl.split_train_test(load(name, seed))

    def run(self, method: str, seed: int | None = None) -> dict:
        """Measure a method unless the present code has measured it."""
        seed = self.seed if seed is None else seed
        key = f"{method}, seed {seed}"
        if stored.is_current(RESULTS, f"{self.name}/{key}"):
            return stored.read(RESULTS)[self.name][key]
        found = self._measure(method, seed)
        stored.keep(RESULTS, self.name, {key: found})
        print(f"{self.name}, {key}: {_line(found)}", flush=True)
        return found

    def _measure(self, method: str, seed: int) -> dict:
        if method in RIVALS:
            return methods.rival(method, self.train)
        if method == "automatic":
            return methods.automatic(self.train, self.test, seed)
        if method == "published":
            return methods.published(self.train, self.test, seed)
        return methods.by_hand(method, self.train, self.test, seed)

    def run_by_hand(self) -> None:
        """Find the best setting with seed 0, then train it with this seed."""
        runs = {name: self.run(name, 0) for name in methods.grid(self.train)}
        runs |= {name: self.run(name, 0) for name in methods.longer(runs)}
        self.run(methods.best_setting(runs))


def _line(found: dict) -> str:
    shown = [f"{found['cpu_s']:.1f} s"]
    if "gain_nats" in found:
        units, verdict = found["units_alive"], found["verdict"]
        shown.append(f"gain {found['gain_nats']:.3f}, {units} units, {verdict}")
    if "n_found" in found:
        shown.append(f"{found['n_found']}/{found['n_planted']} found, r {found['mean_r']:.2f}")
    if "statistics" in found:
        shown.append("/".join(f"{s['nrmse']:.2f}" for s in found["statistics"].values()))
    return ", ".join(shown)


def warm_up() -> None:
    """Let everything be compiled before anything is timed."""
    v = np.random.default_rng(0).random((200, 10)) < 0.2
    for start in ("pca", "random"):
        settings = {"n_hidden": 2, "l1": 0.001, "n_updates": 20, "init": start, "progress": False}
        cl.CRBM(**settings, random_state=0).fit(v)


def main(
    *,
    recordings: command.Names = NAMES,
    methods: command.Names = METHODS,
    seeds: command.Seeds = tuple(range(5)),
) -> None:
    """Measure what is missing, then print the bars."""
    warm_up()
    for name in recordings:
        for seed in seeds:
            here = Measurements(name, seed)
            is_null, is_planted = name.startswith("null "), here.test.truth is not None
            for method in methods:
                if method in RIVALS and (seed != seeds[0] or not is_planted):
                    continue
                if is_null and method != "automatic":
                    continue
                if method == "hand":
                    here.run_by_hand()
                else:
                    here.run(method)
    print(bars.table(stored.read(RESULTS), recordings))


if __name__ == "__main__":
    command.run(main)
