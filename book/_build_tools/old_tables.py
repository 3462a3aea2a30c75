"""Say on the pages of the book which stored tables are older than the code, and why.

`benchmarks/known_old.yml` names them. A page uses a table if it names the file, or the benchmark
that made it.
"""

import json
import re
from pathlib import Path

import nbformat
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


def known_old(repository: Path = REPOSITORY) -> dict[str, tuple[str, str]]:
    """Return the benchmark and the reason of every table that is known to be old, by its name."""
    path = repository / "benchmarks" / "known_old.yml"
    reasons = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    found = {}
    for table, reason in reasons.items():
        made = json.loads((repository / f"{table}.made.json").read_text(encoding="utf-8"))
        (benchmark,) = re.findall(r"benchmarks\.\w+", made["command"])
        found[table] = benchmark, " ".join(reason.split())
    return found


def notes(text: str, old: dict[str, tuple[str, str]]) -> list[str]:
    """Return the sentence for every old table that a text uses."""
    return [
        f"**Older than the code.** An older version made `{table}`, or parts of it. {reason}"
        for table, (benchmark, reason) in old.items()
        if Path(table).name in text or re.search(rf"{re.escape(benchmark)}\b", text)
    ]


def with_notes(notebook: nbformat.NotebookNode, old: dict) -> nbformat.NotebookNode:
    """Put a note after the first cell of a chapter that uses a table which is known to be old."""
    cells, said = [], set()
    for cell in notebook.cells:
        cells.append(cell)
        for note in notes(cell.source, old):
            if note not in said:
                said.add(note)
                cells.append(nbformat.v4.new_markdown_cell(f"```{{note}}\n{note}\n```"))
    notebook.cells = cells
    return notebook


def with_notes_below(text: str, old: dict) -> str:
    """Put the notes at the end of a Markdown page."""
    return text + "".join(f"\n```{{note}}\n{note}\n```\n" for note in notes(text, old))
