"""What must be shown, recording by recording: each bar with its numbers, passed or not.

Runs of `CRBM()` ("automatic") stand against the median over seeds of the best setting by hand, and
their worst seed counts. Their gain stands against the largest of all settings by hand. nRMSE below
0 count as 0. A statistic without a scale is compared by its RMSE over that of the training data,
which may be 5 % above that of the best setting, or above 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.any_recording.methods import NEARLY, best_setting, longer
from benchmarks.rivals import RIVALS
from crbm_lite.validation.comparison import STATISTICS

MOST_NRMSE, MOST_RMSE, MOST_CPU, LEAST_EMPTY = 0.05, 1.05, 3.0, 0.95


@dataclass(frozen=True)
class Bar:
    """One requirement: whether it is met, and by which numbers."""

    name: str
    passed: bool
    numbers: str


def runs_of(found: dict[str, dict], method: str) -> list[dict]:
    """The runs of one method, over seeds."""
    return [run for key, run in found.items() if key.rpartition(", seed ")[0] == method]


def hand_runs(found: dict[str, dict]) -> dict[str, dict]:
    """The settings of the grid, each with its first seed."""
    end = ", seed 0"
    return {key.removesuffix(end): run for key, run in found.items()
            if key.startswith("hand ") and key.endswith(end)}  # fmt: skip


def excess(runs: list[dict], best: list[dict], name: str) -> tuple[float, float]:
    """How far the worst run is above the best setting in one statistic, and what is allowed."""
    x, y = ([run["statistics"][name] for run in of] for of in (runs, best))
    if not all(s["has_scale"] for s in x + y):
        ratio, reference = ([_relative_rmse(s) for s in of] for of in (x, y))
        return max(ratio) / max(float(np.median(reference)), 1.0) - 1.0, MOST_RMSE - 1.0
    reference = max(float(np.median([s["nrmse"] for s in y])), 0.0)
    worst = max(x, key=lambda s: np.nan_to_num(s["nrmse"], nan=np.inf))
    return worst["nrmse"] - reference, max(MOST_NRMSE, np.nan_to_num(worst["nrmse_error"]))


def _relative_rmse(score: dict) -> float:
    """The RMSE over that of the training data; infinite for a model without hidden units."""
    return score["rmse"] / score["rmse_optimal"] if score["rmse_optimal"] > 0 else np.inf


def bars(found: dict[str, dict]) -> Iterator[Bar]:
    """Compare what was measured of one recording; bars that lack a run are left out."""
    runs, settings = runs_of(found, "automatic"), hand_runs(found)
    rivals = {name: of[0] for name in RIVALS if (of := runs_of(found, name))}
    if settings.keys() >= set(longer(settings)) and settings:
        name = best_setting(settings)
        best = runs_of(found, name)
        gain = max(run["gain_nats"] for run in settings.values())
        cpu_s = float(np.median([run["cpu_s"] for run in best]))
        for title in ("automatic", "published"):
            if compared := runs_of(found, title):
                yield from _against_hand(title, compared, best, name, gain, cpu_s)
    if runs and rivals:
        n_found, r = (max(of[key] for of in rivals.values()) for key in ("n_found", "mean_r"))
        fewest, least = (min(of[key] for of in runs) for key in ("n_found", "mean_r"))
        yield Bar("assemblies", fewest >= n_found and least >= r,
                  f"{fewest} of {runs[0]['n_planted']}, r {least:.2f}; rivals {n_found}, {r:.2f}"
                  )  # fmt: skip
    if runs:
        verdicts = [run["verdict"] for run in runs]
        yield Bar("no divergence", "diverged" not in verdicts, ", ".join(verdicts))


def _against_hand(
    title: str, runs: list[dict], best: list[dict], name: str, gain: float, cpu_s: float
) -> Iterator[Bar]:
    least = min(run["gain_nats"] for run in runs)
    yield Bar(f"{title}: gain", least >= NEARLY * gain, f"{least:.3f} nats; by hand {gain:.3f}")
    for statistic in STATISTICS:
        above, allowed = excess(runs, best, statistic)
        numbers = f"{above:+.3f}, {allowed:.3f} allowed"
        yield Bar(f"{title}: nRMSE {statistic}", bool(above <= allowed), numbers)
    most = max(run["cpu_s"] for run in runs)
    yield Bar(f"{title}: CPU", most <= MOST_CPU * cpu_s, f"{most:.0f} s; {name}: {cpu_s:.0f} s")
    if title == "automatic":
        told = [(run["verdict"] == "converged") == (run["gain_nats"] >= NEARLY * gain)
                for run in runs if run["verdict"] != "undetermined"]  # fmt: skip
        yield Bar(f"{title}: verdict", all(told), f"right in {sum(told)} of {len(told)}")


def bar_of_nulls(runs: list[dict]) -> Bar:
    """Recordings in which nothing is shared: hardly ever a unit."""
    empty = sum(run["units_alive"] == 0 for run in runs)
    passed = empty >= LEAST_EMPTY * len(runs)
    return Bar("no unit", passed, f"in {empty} of {len(runs)} null recordings")


def table(results: dict[str, dict], names: tuple[str, ...]) -> str:
    """One line for each bar of each recording."""
    rows = [(name, bar) for name in names if not name.startswith("null ")
            for bar in bars(results.get(name, {}))]  # fmt: skip
    nulls = [run for name in names if name.startswith("null ")
             for run in runs_of(results.get(name, {}), "automatic")]  # fmt: skip
    rows += [("null", bar_of_nulls(nulls))] if nulls else []
    return "\n".join(
        f"{name:<17}{bar.name:<24}{'pass' if bar.passed else 'FAIL':<6}{bar.numbers}"
        for name, bar in rows
    )
