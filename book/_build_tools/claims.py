"""Bring the numbers of the run into the prose, and make the ledger of the paper's claims.

Cells tagged `claims` print lines `key = number`. These are collected from the executed chapters,
replace `{{ key }}` in the text, and are compared with what book/claims/*.yml says of the paper.

A row is one sentence of the paper: its `figure`, its number (`paper`), the interval that follows
from that number (`accept`), and our `tests`. A test says on what `data` it was made and of which
`kind` these are, which number of the run is judged (the first key of `ours`), how far that number
can be trusted (`spread`: a key, or words), and if there is one, the key of its `ceiling`.
"""

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
REQUIRED = ("figure", "claim", "paper", "tests")
OF_A_TEST = ("data", "kind", "ours")
NOT_COMPUTED = "(not computed in this build)"
COLUMNS = ("verdict", "paper", "its sentence", "its number", "ours, on what", "accepted")
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"
NOT_COMPARABLE, FAILS, MIXED = "not comparable", "does not hold", "mixed"
NOT_RUN = "not computed in this build"
OWN = "paper's recording"
# What a test can show, by the kind of its data; the first that a row has counts for the row.
SHOWS = {
    OWN: "holds on the paper's recording",
    "recording": "holds on another recording",
    "simulation": "holds on a simulation that could have failed it",
    "construction": "by construction of the simulation",
    "mathematics": "mathematics",
}
KINDS = (*SHOWS, NOT_COMPARABLE)
VERDICTS = (*SHOWS.values(), MIXED, FAILS, NOT_COMPARABLE)
ABOVE, BELOW = "above 0", "below 0"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# A verdict's class in book.css and its sign; the other verdicts say nothing about a brain.
SIGNS = dict.fromkeys(list(SHOWS.values())[:3], ("yes", "✓")) | {FAILS: ("no", "✗")}


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
            absent = [name for name in REQUIRED if not row.get(name)]
            if absent:
                raise ClaimsError(f"{where}: {', '.join(absent)} missing")
            for test in row["tests"]:
                _check_test(test, row, where)
                if "stored" in test and not (folder.parents[1] / test["stored"]).is_file():
                    raise ClaimsError(
                        f"{where}: the stored table {test['stored']!r} does not exist"
                    )
    return rows


def _check_test(test: dict, row: dict, where: str) -> None:
    absent = [name for name in OF_A_TEST if name not in test]
    if absent:
        raise ClaimsError(f"{where}: a test lacks {', '.join(absent)}")
    if test["kind"] not in KINDS:
        raise ClaimsError(f"{where}: kind must be one of {', '.join(KINDS)}, not {test['kind']!r}")
    if test["kind"] in (NOT_COMPARABLE, "construction") and not test.get("note"):
        raise ClaimsError(f"{where}: {test['kind']}: say why in note")
    if test["kind"] == NOT_COMPARABLE:
        return
    if not _list(test["ours"]):
        raise ClaimsError(f"{where}: ours names no number: give a key, or kind: {NOT_COMPARABLE}")
    if not test.get("spread"):
        raise ClaimsError(f"{where}: spread missing: give a key, or words such as `one run`")
    if "accept" in test and not test.get("note"):
        raise ClaimsError(f"{where}: a test with an interval of its own must say why in note")
    accept = _accept(test, row)
    if accept in (ABOVE, BELOW):
        return
    if not isinstance(accept, list) or len(accept) != 2 or accept[0] > accept[1]:
        raise ClaimsError(
            f"{where}: accept must be [low, high], `{ABOVE}` or `{BELOW}`, not {accept!r}"
        )


def _accept(test: dict, row: dict) -> list[float] | str | None:
    return test.get("accept", row.get("accept"))


def _list(keys: str | list[str] | None) -> list[str]:
    return [] if keys is None else [keys] if isinstance(keys, str) else list(keys)


def _spread_key(test: dict) -> str | None:
    """The key of a spread; words have none."""
    spread = str(test.get("spread", ""))
    return spread if "_" in spread and " " not in spread else None


def keys_of(row: dict) -> list[str]:
    """Return every key that a row asks for."""
    found: list[str] = []
    for test in row["tests"]:
        found += _list(test["ours"])
        found += [key for key in (_spread_key(test), test.get("ceiling")) if key]
    return found


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
    asked += [(f"claims/{f}", k) for f, own in rows.items() for row in own for k in keys_of(row)]
    missing = sorted({(where, key) for where, key in asked if key not in numbers})
    if missing and not in_part:
        listed = "; ".join(f"{key!r} (asked for by {where})" for where, key in missing)
        raise ClaimsError(f"no cell tagged claims printed {listed}")
    printed = {key: as_read(number.text) for key, number in numbers.items()}
    return printed | {key: NOT_COMPUTED for _, key in missing}


def verdict_of_test(test: dict, row: dict, numbers: dict[str, Number]) -> str:
    """Judge our number by the interval, ends included, and by the ceiling of the data.

    A number of which only the sign counts must differ from 0 by more than twice its spread, and
    without a spread it is not judged. Nor is one that lies within twice its spread of an end of the
    interval. Where the ceiling lies outside of the interval nothing could have been inside. All of
    these are not comparable.
    """
    if test["kind"] == NOT_COMPARABLE:
        return NOT_COMPARABLE
    asked = [_list(test["ours"])[0], _spread_key(test), test.get("ceiling")]
    if any(key and key not in numbers for key in asked):
        return NOT_RUN
    value, spread, ceiling = (float(numbers[key].text) if key else None for key in asked)
    accept = _accept(test, row)
    if accept in (ABOVE, BELOW):
        size = value if accept == ABOVE else -value
        if spread is None:
            return NOT_COMPARABLE
        return SHOWS[test["kind"]] if size > 2 * spread else FAILS
    low, high = accept
    if ceiling is not None and not low <= ceiling <= high:
        return NOT_COMPARABLE
    if spread is not None and min(abs(value - low), abs(value - high)) < 2 * spread:
        return NOT_COMPARABLE
    return SHOWS[test["kind"]] if low <= value <= high else FAILS


def verdict(row: dict, numbers: dict[str, Number]) -> str:
    """Return the verdict of a row: that of its strongest test, unless tests disagree."""
    found = {verdict_of_test(test, row, numbers) for test in row["tests"]}
    holds = [shown for shown in SHOWS.values() if shown in found]
    if holds and FAILS in found:
        return MIXED
    return next(iter([*holds, *(x for x in (FAILS, NOT_RUN, NOT_COMPARABLE) if x in found)]))


def score(rows: dict[str, list[dict]], numbers: dict[str, Number]) -> str:
    """Say first how many sentences were tested on the paper's own recordings, then count."""
    every = [row for own in rows.values() for row in own]
    own = sum(any(test["kind"] == OWN for test in row["tests"]) for row in every)
    verdicts = Counter(verdict(row, numbers) for row in every)
    *most, last = [
        f"{count} {_said_of(name, count)}"
        for name in (*VERDICTS, NOT_RUN)
        if (count := verdicts[name])
    ]
    listed = f"{', '.join(most)} and {last}" if most else last
    tested = f"{own or 'None'} of the {len(every)} sentences of the paper"
    return (
        f"{tested} {'was' if own < 2 else 'were'} tested on the paper's own recordings with a "
        f"cRBM. Of all, {listed}"
    )


def _said_of(name: str, count: int) -> str:
    """A verdict as what is said of so many sentences: "holds on ...", "are mathematics"."""
    if name == FAILS:
        return name if count == 1 else "do not hold"
    if name.startswith("holds "):
        return name if count == 1 else f"hold{name.removeprefix('holds')}"
    verb = "was" if name == NOT_RUN else "is"
    return f"{verb if count == 1 else {'is': 'are', 'was': 'were'}[verb]} {name}"


def ledger(
    rows: dict[str, list[dict]], numbers: dict[str, Number], order: Sequence[str] = ()
) -> str:
    """Return the tables of reference/claims.md, one per file of claims, in the chapters' order."""
    parts = {}
    for name, own in rows.items():
        chapters = [numbers[k].chapter for row in own for k in keys_of(row) if k in numbers]
        title = f"[](/{chapters[0]}.ipynb)" if chapters else Path(name).stem.replace("_", " ")
        place = order.index(chapters[0]) if chapters and chapters[0] in order else len(order)
        table = "\n".join([HEADER, *(_line(row, numbers) for row in own)])
        table = f"```{{table}}\n:class: wide claims\n\n{table}\n```"
        parts[place, name] = f"## {title}\n\n{table}"
    return "\n\n".join([f"{score(rows, numbers)}.", *(parts[key] for key in sorted(parts))]) + "\n"


def _line(row: dict, numbers: dict[str, Number]) -> str:
    figure = str(row["figure"])
    figure = f"Fig. {figure}" if figure[:1].isdigit() else figure
    note = f' <span class="note">{row["note"]}</span>' if "note" in row else ""
    ours = "<br>".join(_shown(test, row, numbers) for test in row["tests"])
    accepts = dict.fromkeys(_interval(_accept(test, row)) for test in row["tests"])
    said = verdict(row, numbers)
    name, sign = SIGNS.get(said, ("none", "–"))
    badge = f'<span class="verdict {name}">{sign} {said}</span>'
    cells = (badge, figure, row["claim"] + note, row["paper"], ours, "<br>".join(accepts))
    return "| " + " | ".join(" ".join(str(c).split()).replace("|", r"\|") for c in cells) + " |"


def _interval(accept: list[float] | str | None) -> str:
    if accept is None:
        return "–"
    return accept if isinstance(accept, str) else " to ".join(as_read(f"{x:g}") for x in accept)


def _shown(test: dict, row: dict, numbers: dict[str, Number]) -> str:
    """Our number with its spread, the data, the ceiling, other numbers, and the note of a test."""
    first, *others = [_link(key, numbers) for key in _list(test["ours"])] or ["–"]
    key = _spread_key(test)
    spread = f" ± {_link(key, numbers)}" if key else ""
    words = [str(test["data"])]
    if not key and "spread" in test:
        words.append(str(test["spread"]))
    if "ceiling" in test:
        words.append(f"train-test agreement {_link(test['ceiling'], numbers)}")
    if others:
        words.append(f"then {', '.join(others)}")
    said = verdict_of_test(test, row, numbers)
    mark = {FAILS: "✗ ", NOT_COMPARABLE: "", NOT_RUN: ""}.get(said, "✓ " * (len(row["tests"]) > 1))
    stored = f"Stored table `{test['stored']}`." if "stored" in test else ""
    note = " ".join(f"{test.get('note', '')} {stored}".split())
    note = f' <span class="note">{note}</span>' if note else ""
    return f"{mark}{first}{spread} ({'; '.join(words)}){note}"


def _link(key: str, numbers: dict[str, Number]) -> str:
    """Link a number to the cell that printed it."""
    return f"[{as_read(numbers[key].text)}](#{numbers[key].anchor})" if key in numbers else "–"
