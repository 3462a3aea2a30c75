"""Tell the site's search which page to show first.

Sphinx ranks the main entries of its index above words in texts. So the words of book/search.yml
and the paper's figures (from reference/figures.md) become such entries on top of their pages.
"""

import re
from pathlib import Path

import chapter_store
import nbformat
import yaml

ROW = re.compile(
    r"^\| (?P<figure>[\w–-]+( \d)?) \|.*?\]\(\.\./(?P<page>[\w/]+)\.\w+\)", re.MULTILINE
)
RANGE = re.compile(r"(\d)([A-Z])–([A-Z])")


def figures(table: str) -> dict[str, list[str]]:
    """Read off the table of the paper's figures what is searched for, by page.

    >>> figures("| 4A–B | traces | [Dynamics](../assemblies/dynamics.ipynb) | larva |")
    {'assemblies/dynamics': ['Fig. 4A', 'Fig 4A', 'Figure 4A', 'Fig. 4B', 'Fig 4B', 'Figure 4B']}
    """
    found: dict[str, list[str]] = {}
    for row in ROW.finditer(table):
        names = [row["figure"]]
        if spread := RANGE.fullmatch(row["figure"]):
            number, first, last = spread.groups()
            names = [f"{number}{chr(letter)}" for letter in range(ord(first), ord(last) + 1)]
        for name in names:
            forms = [f"{word} {name}" for word in ("Fig.", "Fig", "Figure")]
            found.setdefault(row["page"], []).extend(forms if name[0].isdigit() else [name])
    return found


def directive(words: list[str]) -> str:
    """Return the main entries of the index as MyST.

    >>> print(directive(["how long", "threshold"]))
    ```{index} ! how long, ! threshold
    ```
    """
    return f"```{{index}} {', '.join(f'! {word}' for word in words)}\n```"


def write(source: Path) -> None:
    """Put the entries on top of the pages laid out in `source`."""
    words = yaml.safe_load((chapter_store.BOOK / "search.yml").read_text(encoding="utf-8"))
    table = (chapter_store.BOOK / "reference" / "figures.md").read_text(encoding="utf-8")
    for page, names in figures(table).items():
        words.setdefault(page, []).extend(names)
    for page, entries in words.items():
        path = source / f"{page}.ipynb"
        if path.is_file():
            notebook = nbformat.read(path, as_version=4)
            cell = next(c for c in notebook.cells if c.cell_type == "markdown")
            cell.source = f"{cell.source}\n\n{directive(entries)}"
            nbformat.write(notebook, path)
        else:
            path = path.with_suffix(".md")
            title, rest = path.read_text(encoding="utf-8").split("\n", 1)
            path.write_text(f"{title}\n\n{directive(entries)}\n{rest}", encoding="utf-8")
