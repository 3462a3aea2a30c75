"""Tables of results as JSON, in which each part is kept as soon as it is measured.

The file is read again before a part is added: others may be measured at the same time.
"""

from __future__ import annotations

import json
from pathlib import Path


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
