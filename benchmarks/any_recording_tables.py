"""The tables of the page "Any recording", from what `benchmarks.any_recording` has stored.

python -m benchmarks.any_recording_tables

It prints them as they stand on the page; a test compares. A star marks the recordings of which some
run of `CRBM()` is older than the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from benchmarks import command, stored
from benchmarks.any_recording.__main__ import RESULTS
from benchmarks.any_recording.bars import hand_runs, runs_of
from benchmarks.rivals import RIVALS

NAMES = {
    "tectum": "tectum, 114 cells", "nasal 58": "retina, 58 cells", "regions": "67 regions",
    "larva": "larva of the chapters",
}  # fmt: skip
SHOWN = (
    *("tectum", "nasal 58", "regions", "dev small", "dev short", "dev weak", "dev uneven"),
    *("dev slow", "dev busy", "dev overlapping", "waves", "larva", "held-out 3"),
)
HEADS = {
    "gain": ("recording", "seeds", "gain", "by hand", "published", "units", "converged"),
    "assemblies": (
        "recording", "assemblies found", "mean $r$", "best rival, told the number: found",
        "mean $r$",
    ),
}  # fmt: skip


def _name(recording: str, found: dict) -> str:
    keys = [key for key in found if key.startswith("automatic, ")]
    is_old = not all(stored.is_current(RESULTS, f"{recording}/{key}") for key in keys)
    return NAMES.get(recording, recording) + r" \*" * is_old


def rows_of_gain(results: dict) -> Iterator[tuple[str, ...]]:
    """Give the gains on test frames, the median over seeds with the least and the most."""
    for recording in SHOWN:
        found = results[recording]
        runs, by_hand = runs_of(found, "automatic"), hand_runs(found).values()
        gains, units = ([run[key] for run in runs] for key in ("gain_nats", "units_alive"))
        best = f"{max(run['gain_nats'] for run in by_hand):.2f}" if by_hand else ""
        published = [run["gain_nats"] for run in runs_of(found, "published")]
        n_converged = sum(run["verdict"] == "converged" for run in runs)
        yield (
            _name(recording, found), f"{len(runs)}",
            f"{median(gains):.2f} ({min(gains):.2f} to {max(gains):.2f})", best,
            f"{median(published):.2f}" if published else "",
            f"{min(units)} to {max(units)}", f"{n_converged} of {len(runs)}",
        )  # fmt: skip


def rows_of_assemblies(results: dict) -> Iterator[tuple[str, ...]]:
    """Give the assemblies that the worst seed found, beside those of the best rival."""
    for recording in SHOWN:
        found = results[recording]
        runs = runs_of(found, "automatic")
        if "n_found" not in runs[0]:
            continue
        rank = {"key": lambda run: (run["n_found"], run["mean_r"])}
        worst = min(runs, **rank)
        rival = max((run for name in RIVALS for run in runs_of(found, name)), **rank)
        yield (
            _name(recording, found), f"{worst['n_found']} of {worst['n_planted']}",
            f"{worst['mean_r']:.2f}", f"{rival['n_found']}", f"{rival['mean_r']:.2f}",
        )  # fmt: skip


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _table(name: str, rows: Iterable[tuple[str, ...]]) -> str:
    head = HEADS[name]
    return _row(head) + "|" + "---|" * len(head) + "\n" + "".join(map(_row, rows))


def tables() -> str:
    """Write both tables in Markdown."""
    results = stored.read(RESULTS)
    return "\n".join(
        [_table("gain", rows_of_gain(results)), _table("assemblies", rows_of_assemblies(results))]
    )


def main() -> None:
    """Print the tables."""
    print(tables())


if __name__ == "__main__":
    command.run(main)
