"""Bring the numbers of the run into the prose, and make the ledger of the paper's claims.

Cells tagged `claims` print lines `key = number`. These are collected from the executed chapters,
replace `{{ key }}` in the text, and are compared with what book/claims/*.yml says of the paper. The
row of a number that a chapter reads from a benchmark's table names the table under `stored`.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

LINE = re.compile(r"^([a-z][a-z0-9_]*) = (\S+)$")
USE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
CODE_OR_MATH = re.compile(
    r"^(`{3,}).*?^\1|\$\$.*?\$\$|`[^`\n]*`|\$[^$\n]*\$", re.DOTALL | re.MULTILINE
)
REQUIRED = ("figure", "claim", "paper", "key", "data")
NOT_COMPUTED = "(not computed in this build)"
COLUMNS = ("verdict", "paper", "claim", "paper's number", "ours", "accepted", "data")
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"
OUTSIDE = "outside tolerance"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# A verdict's class in book.css and its sign, by how it begins.
SIGNS = {"reproduced": ("yes", "✓"), OUTSIDE: ("no", "✗"), "not": ("none", "–")}


class ClaimsError(ValueError):
    """Raised when a key or a row of the claims is missing, doubled or malformed."""


@dataclass(frozen=True)
class Number:
    """Hold what a chapter printed: the digits, the chapter's name and the cell's anchor."""

    text: str
    chapter: str
    anchor: str


def collect(notebooks: dict[str, nbformat.NotebookNode]) -> dict[str, Number]:
    """Collect every `key = number` that the cells tagged `claims` printed, by key."""
    found: dict[str, Number] = {}
    for chapter, notebook in notebooks.items():
        for cell in notebook.cells:
            anchor = anchor_of(cell)
            for line in _printed(cell):
                match = LINE.match(line.strip())
                if match is None or not _is_number(match[2]):
                    raise ClaimsError(
                        f"{chapter}: a cell tagged claims printed {line!r}; print `key = number`"
                    )
                if match[1] in found:
                    raise ClaimsError(
                        f"{chapter}: the key {match[1]!r} is printed twice, first by "
                        f"{found[match[1]].chapter}; rename one"
                    )
                found[match[1]] = Number(match[2], chapter, anchor)
    return found


def _printed(cell: nbformat.NotebookNode) -> list[str]:
    """Return the lines that a cell tagged `claims` printed; none for any other cell."""
    if cell.cell_type != "code" or "claims" not in cell.metadata.get("tags", []):
        return []
    return "".join(o.text for o in cell.outputs if o.output_type == "stream").splitlines()


def anchor_of(cell: nbformat.NotebookNode) -> str:
    """Name the target of the ledger's links to the numbers of a cell, after the first number."""
    lines = _printed(cell)
    return "printed-" + lines[0].split("=")[0].strip().replace("_", "-") if lines else ""


def with_anchors(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Put a target before every cell that printed numbers, for the ledger to link to."""
    cells = []
    for cell in notebook.cells:
        if anchor := anchor_of(cell):
            cells.append(nbformat.v4.new_markdown_cell(f"({anchor})=", id=anchor[:64]))
        cells.append(cell)
    notebook.cells = cells
    return notebook


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def as_read(text: str) -> str:
    """Write a printed number as a text does: a true minus, powers of ten below a thousandth.

    >>> as_read("-0.98"), as_read("5.4e-46"), as_read("1e-04"), as_read("4.5e-01")
    ('−0.98', '5.4 × 10⁻⁴⁶', '10⁻⁴', '0.45')
    """
    digits, e, power = text.lower().partition("e")
    if e and -4 < int(power) < 6:
        after = len(digits.partition(".")[2]) - int(power)
        text = f"{float(text):.{max(after, 0)}f}"
    elif e:
        sign, one = "-" * digits.startswith("-"), digits.strip("+-") in ("1", "1.0")
        digits = sign if one else f"{digits} × "
        text = f"{digits}10{str(int(power)).translate(SUPERSCRIPTS)}"
    return text.replace("-", "−")


def used_keys(notebook: nbformat.NotebookNode) -> set[str]:
    """Return the keys that the text of a chapter asks for, outside code and formulas."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return {key for text in texts for key in USE.findall(CODE_OR_MATH.sub("", text))}


def read_rows(folder: Path) -> dict[str, list[dict]]:
    """Read and check the rows of every file of claims, by the name of the file."""
    rows = {}
    for path in sorted(folder.glob("*.yml")):
        rows[path.name] = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        for i, row in enumerate(rows[path.name], start=1):
            where = f"claims/{path.name}, row {i}"
            absent = [name for name in REQUIRED if name not in row]
            if absent:
                raise ClaimsError(f"{where}: {', '.join(absent)} missing")
            if row["key"] is None and not row.get("note"):
                raise ClaimsError(f"{where}: key is null; say why in note")
            if "stored" in row and not (folder.parents[1] / row["stored"]).is_file():
                raise ClaimsError(f"{where}: the stored table {row['stored']!r} does not exist")
            if row["key"] is not None:
                _kind_of_data(row, where)
                low_high = row.get("accept")
                if (
                    not isinstance(low_high, list)
                    or len(low_high) != 2
                    or low_high[0] > low_high[1]
                ):
                    raise ClaimsError(f"{where}: accept must be [low, high], not {low_high!r}")
    return rows


def _kind_of_data(row: dict, where: str) -> str:
    words = set(re.findall(r"[a-z]+", str(row["data"]).lower()))
    # what was planted is simulated even where real labels carry it, hence this order
    for word, kind in (
        ("simulated", "on simulated data"),
        ("planted", "on simulated data"),
        ("real", "on real data"),
        ("arithmetic", "by arithmetic"),
    ):
        if word in words:
            return kind
    raise ClaimsError(
        f"{where}: data must say real, simulated, planted or arithmetic: {row['data']!r}"
    )


def _keys(row: dict) -> list[str]:
    key = row["key"]
    return [] if key is None else [key] if isinstance(key, str) else list(key)


def substitutions(
    numbers: dict[str, Number],
    notebooks: dict[str, nbformat.NotebookNode],
    rows: dict[str, list[dict]],
    *,
    in_part: bool = False,
) -> dict[str, str]:
    """Return what MyST writes instead of `{{ key }}`.

    A key that no chapter printed is an error, unless chapters ran only in part because a recording
    was missing (`in_part`). Then the text says that it was not computed.
    """
    asked = [(f"{name}.ipynb", key) for name, nb in notebooks.items() for key in used_keys(nb)]
    asked += [(f"claims/{f}", k) for f, own in rows.items() for row in own for k in _keys(row)]
    missing = sorted({(where, key) for where, key in asked if key not in numbers})
    if missing and not in_part:
        listed = "; ".join(f"{key!r} (asked for by {where})" for where, key in missing)
        raise ClaimsError(f"no cell tagged claims printed {listed}")
    printed = {key: as_read(number.text) for key, number in numbers.items()}
    return printed | {key: NOT_COMPUTED for _, key in missing}


def verdict(row: dict, numbers: dict[str, Number]) -> str:
    """Say whether our first number lies in the interval that the row accepts, ends included."""
    keys = _keys(row)
    if not keys:
        return "not reproducible here"
    if keys[0] not in numbers:
        return "not computed in this build: a recording was missing, or its chapter was not run"
    value = float(numbers[keys[0]].text)
    low, high = row["accept"]
    if math.isnan(value) or not low <= value <= high:
        return OUTSIDE
    return f"reproduced {_kind_of_data(row, 'claims')}"


def score(rows: dict[str, list[dict]], numbers: dict[str, Number]) -> str:
    """Count the verdicts, in one line."""
    verdicts = Counter(verdict(row, numbers) for own in rows.values() for row in own)
    listed = ", ".join(f"{count} {name}" for name, count in verdicts.most_common())
    return f"{verdicts.total()} claims: {listed}"


def ledger(
    rows: dict[str, list[dict]], numbers: dict[str, Number], order: Sequence[str] = ()
) -> str:
    """Return the tables of reference/claims.md, one per file of claims, in the chapters' order."""
    parts = {}
    for name, own in rows.items():
        chapters = [numbers[k].chapter for row in own for k in _keys(row) if k in numbers]
        title = f"[](/{chapters[0]}.ipynb)" if chapters else Path(name).stem.replace("_", " ")
        place = order.index(chapters[0]) if chapters and chapters[0] in order else len(order)
        table = "\n".join([HEADER, *(_line(row, numbers) for row in own)])
        table = f"```{{table}}\n:class: wide claims\n\n{table}\n```"
        parts[place, name] = f"## {title}\n\n{table}"
    return "\n\n".join([f"{score(rows, numbers)}.", *(parts[key] for key in sorted(parts))]) + "\n"


def _line(row: dict, numbers: dict[str, Number]) -> str:
    figure = str(row["figure"])
    figure = f"Fig. {figure}" if figure[:1].isdigit() else figure
    stored = f"Stored table `{row['stored']}`." if "stored" in row else ""
    note = f"{row.get('note', '')} {stored}".strip()
    claim = row["claim"] + (f' <span class="note">{note}</span>' if note else "")
    ours = ", ".join(_link(key, numbers) for key in _keys(row)) or "–"
    accept = "–" if row["key"] is None else " to ".join(as_read(f"{x:g}") for x in row["accept"])
    said = _badge(verdict(row, numbers))
    cells = (said, figure, claim, row["paper"], ours, accept, row["data"])
    return "| " + " | ".join(" ".join(str(c).split()).replace("|", r"\|") for c in cells) + " |"


def _badge(said: str) -> str:
    """Mark a verdict so that it is seen at a glance: a sign, and a colour on its first words."""
    start = next(start for start in SIGNS if said.startswith(start))
    name, sign = SIGNS[start]
    shown = start if name == "yes" else said.split(":")[0]
    return f'<span class="verdict {name}">{sign} {shown}</span>{said.removeprefix(shown)}'


def _link(key: str, numbers: dict[str, Number]) -> str:
    """Link a number to the cell that printed it."""
    return f"[{as_read(numbers[key].text)}](#{numbers[key].anchor})" if key in numbers else "–"
