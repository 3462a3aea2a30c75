"""Assembly detectors, ours among them, on recordings whose assemblies are known.

python -m benchmarks.detectors [--recordings "surrogate default 0,null surrogate default 0"]
    [--methods cRBM,SGC] [--seeds 0-4] [--inputs spikes,traces] [--halves yes]

By default all recordings of `benchmarks.detectors.recordings` and the real ones of
`benchmarks.detectors.real`, all methods, seed 0, both inputs, without halves. Every method runs by
its own rule for the number of assemblies, and told it; members are taken by the method's own rule,
and by the common one (Otsu). With halves it runs on both halves of the frames, too, for the
stability. In a null recording nothing can be told, and what is found is counted. Of the assemblies
of a real recording nothing is known: there the halves and the cells left out judge. Runs go to
results/detectors.json one by one, and what the present code has measured is left alone. In the end
a table is printed: means over the recordings of each group.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.detectors import real, recordings
from benchmarks.detectors.methods import METHODS, suits
from crbm_lite.assemblies.agreement import agreement, mean_shared

RESULTS = stored.RESULTS / "detectors.json"
SHOWN = ("found", "false", "BM", "chance", "precision", "recall", "r", "CPU s", "MB")


def measure(case: recordings.Case, method: str, what: str, told: bool, seed: int) -> dict:
    """Run a method once and score what it found."""
    x, k = case.inputs()[what], case.members.shape[1]
    with command.memory_peak() as memory, command.timed() as elapsed:
        found = METHODS[method](x, k if told else None, seed)
    n_detected = int(found.members.any(axis=0).sum())
    out = {"cpu_s": elapsed.cpu_s, "peak_mb": memory.peak_mb, "n_detected": n_detected}
    if k:
        for rule, members in (("own", found.members), ("otsu", found.by_common_rule().members)):
            scores = asdict(agreement(members, case.members, found.activity, case.states))
            out[rule] = {name: _number(value) for name, value in scores.items()}
    return out


def _number(value: float) -> float | int | None:
    """JSON has no NaN."""
    return None if value != value else round(value, 5)


def stability(case: recordings.Case, method: str, what: str, seed: int) -> dict:
    """Run a method on both halves, by its own rules, and compare."""
    return _stability(method, [half.inputs()[what] for half in case.halves()], seed)


def _stability(method: str, halves: list[np.ndarray], seed: int) -> dict:
    members = [METHODS[method](half, None, seed).members for half in halves]
    return {"stability": _number(mean_shared(*(m[:, m.any(axis=0)] for m in members)))}


def run_real(name: str, method: str, seed: int) -> None:
    """Measure a method on a recording whose assemblies are not known, unless it is current."""
    key = f"{method}, spikes, own K, seed {seed}"
    if stored.is_current(RESULTS, f"{name}/{key}"):
        return
    train, test = real.frames(name)
    n_neurons = train.shape[1]
    if method == real.PUBLISHED:
        by_rule, found = {"own": real.published_members(name, n_neurons)}, {}
    elif not suits(method, "spikes", n_neurons):
        return
    else:
        with command.memory_peak() as memory, command.timed() as elapsed:
            detected = METHODS[method](train, None, seed)
        by_rule = {"own": detected.members, "otsu": detected.by_common_rule().members}
        found = {"cpu_s": elapsed.cpu_s, "peak_mb": memory.peak_mb}
        found |= _stability(method, np.array_split(train, 2), seed)
    found["n_detected"] = int(by_rule["own"].any(axis=0).sum())
    found |= {rule: real.left_out(members, train, test) for rule, members in by_rule.items()}
    stored.keep(RESULTS, name, {key: found})
    print(f"{name}, {key}: {found}", flush=True)


def table_of_real(results: dict[str, dict], names: tuple[str, ...]) -> str:
    """One line for each recording and method."""
    lines = [
        f"{'':<32}{'detected':>10}{'left out':>10}{'by Otsu':>10}{'stability':>10}{'CPU s':>10}"
    ]
    for name in names:
        for key, found in results.get(name, {}).items():
            scores = [found.get(rule, {}).get("left_out") for rule in ("own", "otsu")]
            numbers = [*scores, found.get("stability"), found.get("cpu_s")]
            shown = "".join(f"{'' if x is None else format(x, '.3f'):>10}" for x in numbers)
            lines.append(f"{name:<12}{key.split(',')[0]:<20}{found['n_detected']:>10}{shown}")
    return "\n".join(lines)


def run(name: str, method: str, seed: int, inputs: tuple[str, ...], halves: bool) -> None:
    """Measure what is missing of a method on a recording."""
    case = None
    for what in inputs:
        for how in ("own K", "true K", *(["halves"] if halves else [])):
            key = f"{method}, {what}, {how}, seed {seed}"
            if stored.is_current(RESULTS, f"{name}/{key}"):
                continue
            if name.startswith("null ") and how != "own K":
                continue
            case = case or recordings.load(name)
            if what not in case.inputs() or not suits(method, what, case.spikes.shape[1]):
                continue
            if how == "halves":
                found = stability(case, method, what, seed)
            else:
                found = measure(case, method, what, how == "true K", seed)
            stored.keep(RESULTS, name, {key: found})
            print(f"{name}, {key}: {line(found)}", flush=True)


def line(found: dict) -> str:
    """What is told of a run while others go on."""
    if "stability" in found:
        return f"stability {found['stability']}"
    shown = f"{found['n_detected']} detected, {found['cpu_s']:.1f} s, {found['peak_mb']:.0f} MB"
    if "own" not in found:
        return shown
    own, otsu = found["own"], found["otsu"]
    return (
        f"{own['n_found']} of {own['n_true']} found ({otsu['n_found']} by Otsu), best match "
        f"{own['best_match']}, {shown}"
    )


def table(results: dict[str, dict], names: tuple[str, ...], how: str = "own K") -> str:
    """Means over the recordings of a group, one line for each method and input."""
    groups: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for name in names:
        group = name.rpartition(" ")[0] if name[-1].isdigit() else name
        for key, found in results.get(name, {}).items():
            method, what, own, _ = key.split(", ")
            if own == how:
                groups[group, f"{method}, {what}"].append(found)
    lines = [f"{'':<48}{''.join(f'{title:>10}' for title in SHOWN)}"]
    for (group, method), runs in groups.items():
        numbers = [f"{_mean(runs, title):>10.2f}" for title in SHOWN]
        lines.append(f"{group:<28}{method:<20}{''.join(numbers)}")
    return "\n".join(lines)


def _mean(runs: list[dict], title: str) -> float:
    """Mean of a column; a best match counts as 0 where nothing was detected."""
    if title in ("CPU s", "MB"):
        return float(np.mean([r["cpu_s" if title == "CPU s" else "peak_mb"] for r in runs]))
    own = [r["own"] for r in runs if "own" in r]
    if not own:  # all that is found where nothing is shared is false
        return float(np.mean([r["n_detected"] for r in runs])) if title == "false" else np.nan
    if title == "found":
        return float(np.mean([o["n_found"] / o["n_true"] for o in own]))
    names = {"false": "n_false", "BM": "best_match", "chance": "by_chance", "r": "activity_r"}
    values = [o[names.get(title, title)] for o in own]
    if title == "BM":
        values = [v or 0.0 for v in values]
    values = [v for v in values if v is not None]
    return float(np.mean(values)) if values else float("nan")


def warm_up(methods: tuple[str, ...]) -> None:
    """Let everything be compiled and imported before anything is timed."""
    v = np.repeat(np.random.default_rng(0).random((300, 4)) < 0.1, 5, axis=1)
    for method in methods:
        if method != "cRBM":
            METHODS[method](v, None, 0)
            continue
        for start in ("pca", "random"):
            settings = {"n_hidden": 2, "l1": 0.001, "n_updates": 20, "init": start}
            cl.CRBM(**settings, progress=False, random_state=0).fit(v[:200, :10])


def main(
    *,
    recordings: command.Names = (*recordings.NAMES, *real.NAMES),
    methods: command.Names = tuple(METHODS),
    seeds: command.Seeds = (0,),
    inputs: command.Names = ("spikes", "traces"),
    halves: str = "no",
) -> None:
    """Measure what is missing, then print the table."""
    if unknown := [name for name in methods if name not in METHODS]:
        raise SystemExit(f"{unknown[0]}: give some of {', '.join(METHODS)}")
    warm_up(methods)
    for name in recordings:
        more = (real.PUBLISHED,) if name == "tectum" else ()
        for seed in seeds:
            for method in (*methods, *more):
                if name in real.NAMES:
                    run_real(name, method, seed)
                else:
                    run(name, method, seed, inputs, halves == "yes")
    results = stored.read(RESULTS)
    print(table(results, tuple(name for name in recordings if name not in real.NAMES)))
    print(table_of_real(results, tuple(name for name in recordings if name in real.NAMES)))


if __name__ == "__main__":
    command.run(main)
