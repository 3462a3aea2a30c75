"""Tables of results, JSON or CSV, in which each part is kept as soon as it is measured.

A JSON table is read again before a part is added, since others may be measured at the same time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


def read(path: Path) -> dict:
    """What was measured so far."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, results: dict) -> None:
    """Write the whole table."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def keep(path: Path, name: str, found: dict) -> None:
    """Add what was found to the entry ``name``, beside what is there of it already."""
    results = read(path)
    results[name] = results.get(name, {}) | found
    write(path, results)


def read_rows(path: Path, texts: Sequence[str] = ()) -> list[dict]:
    """The rows of a CSV table; all columns but ``texts`` are numbers."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            {k: x if k in texts else float(x) for k, x in row.items()}
            for row in csv.DictReader(stream)
        ]


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping], append: bool = False
) -> None:
    """Write a CSV table, or add rows to it; numbers get five digits, and texts stay as they are."""
    path.parent.mkdir(exist_ok=True)
    begins = not (append and path.exists())
    with path.open("w" if begins else "a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if begins:
            writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{x:.5g}" if isinstance(x, float) else x for k, x in row.items()})
            stream.flush()
