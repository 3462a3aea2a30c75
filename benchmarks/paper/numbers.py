"""The paper's numbers beside those of the retrace, and what it means that they agree or not.

The rows are in `numbers.yml`. A row says in which `figure` the paper has it, what the number is,
the paper's value in words, what is accepted, and from how many fish on (``least_fish``) it is
judged. ``ours`` is where ours stands in a fish's results:
keys with dots between them, or the difference of two such places. Then come what agreement and
disagreement mean and, if the simulation was made to show it, how (``made``): then agreement was
never in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["Row", "number_at", "read_rows", "rows_of", "table"]

_ROWS = Path(__file__).with_name("numbers.yml")


@dataclass(frozen=True)
class Row:
    """A number of the paper and ours."""

    figure: str
    quantity: str
    paper: str
    accept: tuple[float, float] | None
    ours: float | None
    agrees: str
    differs: str
    made: str

    @property
    def holds(self) -> bool | None:
        """Whether ours is accepted; None where there is no interval or no number."""
        if self.ours is None or self.accept is None:
            return None
        return self.accept[0] <= self.ours <= self.accept[1]

    @property
    def shown(self) -> str:
        """Our number as a text: from 10 on without decimals, else to two digits."""
        return _text(self.ours)

    @property
    def sentence(self) -> str:
        """What the comparison means."""
        if self.ours is None:
            return "It was not measured."
        if self.holds is None:
            return self.agrees
        if self.holds:
            return f"{self.agrees} {self.made}".strip()
        return self.differs


def number_at(found: dict, keys: str) -> float | None:
    """Follow keys with dots between them, or take a difference; None where one is missing.

    >>> number_at({"a": {"b": 0.5}}, "a.b"), number_at({"a": 2, "b": 3}, "b - a")
    (0.5, 1)
    >>> number_at({}, "a.b") is None
    True
    """
    if " - " in keys:
        first, second = (number_at(found, k) for k in keys.split(" - "))
        return None if first is None or second is None else first - second
    for key in keys.split("."):
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def read_rows() -> list[dict]:
    """The rows as they stand in the file."""
    return yaml.safe_load(_ROWS.read_text(encoding="utf-8"))


def rows_of(found: dict) -> list[Row]:
    """Hold the results of a fish, with those of all fish as ``animals``, against the paper."""
    return [
        Row(
            str(row["figure"]),
            row["quantity"],
            row["paper"],
            _accepted(row, found),
            number_at(found, row["ours"]),
            row["agrees"],
            row.get("differs", ""),
            row.get("made", ""),
        )
        for row in read_rows()
    ]


def _accepted(row: dict, found: dict) -> tuple[float, float] | None:
    n_fish = len(found.get("animals", {}).get("fish", ()))
    judged = "accept" in row and n_fish >= row.get("least_fish", 0)
    return tuple(row["accept"]) if judged else None


def table(rows: list[Row], *figures: str) -> str:
    """Write the rows of some figures as a table in Markdown.

    >>> print(table([Row("2C", "r", "0.91", (0.81, 1.0), 0.9, "Good.", "Bad.", "")], "2"))
    | figure | quantity | paper | ours | | what it means |
    |---|---|---|---|---|---|
    | 2C | r | 0.91 | 0.9 | ✓ | Good. |
    """
    lines = ["| figure | quantity | paper | ours | | what it means |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row.figure.startswith(figures):
            sign = {True: "✓", False: "✗", None: ""}[row.holds]
            cells = (row.figure, row.quantity, row.paper, row.shown, sign, row.sentence)
            escaped = (cell.replace("|", "\\|") for cell in cells)
            lines.append(f"| {' | '.join(escaped)} |")
    return "\n".join(lines)


def _text(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number:.0f}" if abs(number) >= 10 else f"{number:.2g}"
