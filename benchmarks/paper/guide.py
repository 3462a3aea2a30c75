"""The design guide as curves and a table."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.design_guide import BASE, VARIED

__all__ = ["LABELS", "MEASURES", "curves", "table"]

LABELS = {
    "minutes": "minutes",
    "neurons": "neurons",
    "activity": "spikes per frame",
    "l1": "penalty, lambda",
    "n_hidden": "hidden units, M",
}
MEASURES = {  # what is shown of a run, by the name of its curve
    "assemblies found, share": lambda x: x["n_found"] / x["n_planted"],
    "region couplings and planted ones, r": lambda x: x["planted_r_crbm"],
    "cRBM and structure, r_S": lambda x: x["structure_r_s_crbm"],
    "correlation and structure, r_S": lambda x: x["structure_r_s_correlation"],
    "planted and structure, r_S": lambda x: x["structure_r_s_planted"],
}
_ENOUGH = 0.9  # of the best value


def curves(results: dict) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Average the seeds: for each thing that was changed, x and y of every measure."""
    found = {}
    for what, values in VARIED.items():
        names = {v: "base" if v == BASE.get(what) else f"{what} {v:g}" for v in values}
        runs = {v: list(results[name].values()) for v, name in names.items() if name in results}
        found[what] = {
            label: {"x": list(runs), "y": [_mean(map(of, seeds)) for seeds in runs.values()]}
            for label, of in MEASURES.items()
        }
    return found


def _mean(values: Iterable[float | None]) -> float:
    known = [x for x in values if x is not None]
    return float(np.mean(known)) if known else float("nan")


def table(results: dict) -> str:
    """Write in Markdown from which value on each measure has nine tenths of its best."""
    found, labels = curves(results), list(MEASURES)[:3]
    lines = [f"| nine tenths of the best from | {' | '.join(labels)} |", "|---" * 4 + "|"]
    for what in ("minutes", "neurons", "activity"):
        cells = []
        for label in labels:
            x, y = found[what][label]["x"], np.array(found[what][label]["y"])
            best = max(y[np.isfinite(y)], default=np.nan)
            enough = np.flatnonzero(y >= _ENOUGH * best)  # none beside NaN
            cells += [f"{x[k]:g} ({y[k]:.2f}; best {best:.2f})" for k in enough[:1]] or ["–"]
        lines.append(f"| {LABELS[what]} | {' | '.join(cells)} |")
    return "\n".join(lines)
