"""Make the map of the book: each chapter with its time, its data, and what runs in the page.

Everything is read off the chapters and their last run, except the prerequisites: those stand in
book/map.yml.
"""

import re
from pathlib import Path

import chapter_store
import nbformat
import reading_time
import yaml

HEADER = (
    "| part | chapter | after | read (min) | run (s) | memory | data | on the page |\n"
    "|---|---|---|---|---|---|---|---|"
)
# What in the code of a chapter makes something that its page can do without a kernel.
ON_THE_PAGE = {
    "sliders": r"\b(drelu_explorer|penalty_path|selection_surface)\(",
    "3-D assemblies": r"\bview_assemblies\(",
    "3-D brain": r"\bScatter3d\(",
    "region matrix": r"\bregion_matrix\(",
}
EXTRAS = {"keras and jax": r"\b(fit|validate|sweep)_vae\(|import keras"}
MEMORY = re.compile(r"([\d.]+)\s+(MB|GB)\s+of\s+RAM")
FETCHED = re.compile(r"""\bfetch\(\s*["']([\w-]+)["']""")


def parts() -> list[tuple[str, list[str]]]:
    """Return the parts of the table of contents, without the reference pages."""
    toc = yaml.safe_load((chapter_store.BOOK / "_toc.yml").read_text(encoding="utf-8"))
    found = [(part["caption"], [c["file"] for c in part["chapters"]]) for part in toc["parts"]]
    return [(part, [f for f in files if not f.startswith("reference/")]) for part, files in found]


def prerequisites() -> dict[str, list[str]]:
    return yaml.safe_load((chapter_store.BOOK / "map.yml").read_text(encoding="utf-8"))


def data(code: str) -> str:
    """Name the recordings that a chapter fetches."""
    names = list(dict.fromkeys(FETCHED.findall(code)))
    if "load_retina" in code:
        names.insert(0, "retinal-waves")
    return ", ".join(names) or "simulated"


def _link(name: str) -> str:
    suffix = ".ipynb" if (chapter_store.BOOK / f"{name}.ipynb").is_file() else ".md"
    return f"[](/{name}{suffix})"


def _row(part: str, name: str, after: list[str]) -> str:
    notebook = chapter_store.BOOK / f"{name}.ipynb"
    path = notebook if notebook.is_file() else notebook.with_suffix(".md")
    cells = [part, _link(name), ", ".join(map(_link, after)) or "–"]
    cells.append(f"{max(1, round(reading_time.minutes(path)))}")
    if path is not notebook:
        return "| " + " | ".join([*cells, "–", "–", "–", "–"]) + " |"
    nb = nbformat.read(notebook, as_version=4)
    text, code = (
        "\n".join(cell.source for cell in nb.cells if cell.cell_type == kind)
        for kind in ("markdown", "code")
    )
    run, memory = chapter_store.last_run(notebook), MEMORY.search(text)
    cells.append("–" if run is None else f"{run.seconds:.0f}")
    cells.append(" ".join(memory.groups()) if memory else "–")
    extras = [f"needs {name}" for name, pattern in EXTRAS.items() if re.search(pattern, code)]
    cells.append("; ".join([data(code), *extras]))
    shown = [name for name, pattern in ON_THE_PAGE.items() if re.search(pattern, code)]
    return "| " + " | ".join([*cells, ", ".join(shown) or "–"]) + " |"


def table() -> str:
    """Return the map as a table, one row per chapter."""
    after = prerequisites()
    rows = [
        _row(part if k == 0 else "", name, after[name])
        for part, names in parts()
        for k, name in enumerate(names)
    ]
    return "\n".join([HEADER, *rows]) + "\n"


def write(page: Path) -> None:
    """Add the table to the page that explains it."""
    text = page.read_text(encoding="utf-8")
    page.write_text(f"{text}\n```{{table}}\n:class: wide\n\n{table()}```\n", encoding="utf-8")
