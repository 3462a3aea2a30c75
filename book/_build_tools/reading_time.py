"""Estimate how long each page of the book takes to read: 200 words per minute.

Code is not counted, because it is looked at rather than read.
"""

import re
import sys
from pathlib import Path

import nbformat

BOOK = Path(__file__).resolve().parents[1]
WORDS_A_MINUTE = 200


def pages() -> list[Path]:
    """List all notebooks and Markdown pages, in the order of their paths."""
    found = [*BOOK.rglob("*.ipynb"), *BOOK.rglob("*.md")]
    return sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)


def minutes(path: Path) -> float:
    """Return the minutes it takes to read a page, without its fenced code."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"^(`{3,})(?!\{).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return len(text.split()) / WORDS_A_MINUTE


def main() -> int:
    times = {path: minutes(path) for path in pages()}
    for path, minute in times.items():
        print(f"{minute:5.1f} min  {path.relative_to(BOOK).as_posix()}")
    print(f"{sum(times.values()):5.0f} min  all pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
