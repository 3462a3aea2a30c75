"""Lay out build/site_src, the source of the website.

It is a copy of book/ in which every chapter is its executed version, with the JavaScript of other
projects beside it and the generated pages added: the API reference from the docstrings, the floors
of the house from the imports, the execution times and the map from the store, the ledger of claims
from the chapters' outputs, and what the front page shows from the chapters that draw it. First uses
of terms, symbols and the paper's equations become links. Where a stored table is older than the
code, a note says why. What readers search for leads to the page that book/search.yml names.
"""

import base64
import re
import shutil
import sys
from html import escape
from pathlib import Path

import api_pages
import api_uses
import book_map
import chapter_store
import claims
import first_use
import floor_plan
import house
import launch
import nbformat
import old_tables
import page_cells
import reading_time
import search_entries
import vendor
import yaml

SOURCE = chapter_store.REPOSITORY / "build" / "site_src"
DEFAULT_HEIGHT = 450  # of a plotly figure, in pixels
CHECK_MARKER = "# NBVAL_CHECK_OUTPUT"
FRONT = ("front-brain", "front-comparison")  # tags of cells
TIME_NEEDED = "[Time](../reference/execution_times.md)"  # the numbers take its place
EXPLAINING = ("glossary", "symbols", "equations", "api", "map")
EXTENSIONS = (
    "api_uses",
    "autodoc_fixes",
    "docstring_text",
    "page_cleanup",
    "page_foot",
    "paper_equations",
    "rare_collections",
)
LOCAL_SCRIPTS = {
    "mathjax_path": "vendor/mathjax/tex-mml-chtml.js",
    "nb_ipywidgets_js": {
        "vendor/require.js": {},
        "vendor/html-manager/embed-amd.js": {},
    },
}


def main() -> int:
    late = [p for p in chapter_store.chapters() if chapter_store.current_run(p) is None]
    if late:
        names = ", ".join(chapter_store.name_of(path) for path in late)
        print(f"not executed, or changed since: {names}. Run `make book`.", file=sys.stderr)
        return 1
    try:
        substitutions, ledger = _claims()
    except claims.ClaimsError as error:
        print(error, file=sys.stderr)
        return 1
    shutil.rmtree(SOURCE, ignore_errors=True)
    ignore = shutil.ignore_patterns("_build*", ".ipynb_checkpoints", "__pycache__")
    shutil.copytree(chapter_store.BOOK, SOURCE, ignore=ignore)
    reference = first_use.read(chapter_store.BOOK)
    for chapter in chapter_store.chapters():
        _stage_chapter(chapter, reference)
    _link_pages(reference)
    local = vendor.copy_to(SOURCE / "assets" / "vendor")
    _stage_config(local=local, substitutions=substitutions)
    page = SOURCE / "reference" / "claims.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n" + ledger, encoding="utf-8")
    (SOURCE / "_generated").mkdir()
    _write_front()
    _write_floors()
    _write_changelog()
    _copy_notebooks()
    book_map.write(SOURCE / "reference" / "map.md")
    _write_api()
    _write_execution_times()
    search_entries.write(SOURCE)
    return 0


def _claims() -> tuple[dict[str, str], str]:
    """Return what replaces `{{ key }}` in the chapters, and the tables of the ledger."""
    notebooks = {
        chapter_store.name_of(p): nbformat.read(chapter_store.executed_path(p), as_version=4)
        for p in chapter_store.chapters()
    }
    in_part = any(chapter_store.last_run(p).missing for p in chapter_store.chapters())
    rows = claims.read_rows(chapter_store.BOOK / "claims")
    numbers = claims.collect(notebooks)
    texts = claims.substitutions(numbers, notebooks, rows, in_part=in_part)
    texts["ledger_score"] = claims.score(rows, numbers)
    texts["reading_minutes"] = f"{sum(map(reading_time.minutes, reading_time.pages())):.0f}"
    return texts, claims.ledger(rows, numbers, list(notebooks))


def _link_pages(reference: first_use.Reference) -> None:
    """Link first uses in the Markdown pages, except those that explain; name their old tables."""
    old = old_tables.known_old()
    for path in SOURCE.rglob("*.md"):
        if path.stem not in EXPLAINING:
            text = old_tables.with_notes_below(path.read_text(encoding="utf-8"), old)
            path.write_text(first_use.link(text, first_use.Page(reference)), encoding="utf-8")
    symbols = SOURCE / "reference" / "symbols.md"
    symbols.write_text(
        first_use.with_targets(symbols.read_text(encoding="utf-8")), encoding="utf-8"
    )


def _stage_chapter(chapter: Path, reference: first_use.Reference) -> None:
    notebook = nbformat.read(chapter_store.executed_path(chapter), as_version=4)
    notebook = old_tables.with_notes(claims.with_anchors(notebook), old_tables.known_old())
    depth = len(chapter.relative_to(chapter_store.BOOK).parts) - 1
    library = "../" * depth + "_static/vendor/plotly.min.js"
    page = first_use.Page(reference)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(TIME_NEEDED, _time_needed(chapter))
            cell.source = first_use.link(cell.source, page)
        if cell.cell_type == "code":  # the marker speaks to the tests, not to the reader
            lines = [line for line in cell.source.splitlines() if line.strip() != CHECK_MARKER]
            cell.source = "\n".join(lines).strip("\n")
            page_cells.fold(cell)
            page_cells.caption(cell)
        _stage_plotly(cell, library)
    if links := api_uses.links_in_chapter(chapter):
        notebook.cells.append(nbformat.v4.new_markdown_cell(links, id="api-links"))
    nbformat.write(notebook, SOURCE / chapter.relative_to(chapter_store.BOOK))


def _time_needed(chapter: Path) -> str:
    """Say how long a chapter takes, as the page of all times has it."""
    minutes = max(round(reading_time.minutes(chapter)), 1)
    seconds = max(round(chapter_store.last_run(chapter).seconds), 1)
    read = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return (
        f"{read} to read and [{seconds} seconds](../reference/execution_times.md) of "
        "processor time to run"
    )


def _stage_plotly(cell: nbformat.NotebookNode, library: str) -> None:
    """Write a cell's plotly figures as HTML, those of one cell side by side, with one caption."""
    drawn = [o for o in cell.get("outputs", []) if page_cells.PLOTLY in o.get("data", {})]
    if not drawn:
        return
    alt = escape(page_cells.alternative_text(cell))
    figures = [_plotly_html(output.data[page_cells.PLOTLY], alt, library) for output in drawn]
    caption = f'<p class="caption" aria-hidden="true">{alt}</p>'
    html = f'<div class="plotly-row">{"".join(figures)}</div>{caption}'
    drawn[0].data = {"text/html": html}
    cell.outputs = [o for o in cell.outputs if not any(o is other for other in drawn[1:])]


def _plotly_html(figure: dict, alt: str, library: str) -> str:
    """Draw a plotly figure without kernel and network, when it comes into view.

    book/assets/plotly_later.js loads plotly.js then, and runs the scripts of the figure.
    """
    import plotly.io

    figure = {name: figure[name] for name in ("data", "layout", "frames") if name in figure}
    html = plotly.io.to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        validate=False,
        config={"displaylogo": False, "responsive": True},
    )
    html = re.sub(r"<script[^>]*>", '<script type="text/x-plotly">', html)
    height = figure.get("layout", {}).get("height", DEFAULT_HEIGHT)
    return (
        f'<div class="plotly-figure" role="group" aria-label="{alt}" data-library="{library}" '
        f'style="min-height: {height}px">{html}</div>'
    )


def _stage_config(*, local: bool, substitutions: dict[str, str]) -> None:
    path = SOURCE / "_config.yml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = launch.with_buttons(config, launch.repository_address())
    here = str(Path(__file__).parent)
    config["sphinx"]["local_extensions"] = dict.fromkeys(EXTENSIONS, here)
    config["parse"]["myst_substitutions"] = substitutions
    if local:
        config["sphinx"]["config"] |= LOCAL_SCRIPTS
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _write_front() -> None:
    """Write what the front page shows: the outputs of the cells with these tags, if they ran."""
    shown = dict.fromkeys(FRONT, "")
    for chapter in chapter_store.chapters():
        notebook = nbformat.read(chapter_store.executed_path(chapter), as_version=4)
        for cell in notebook.cells:
            for tag in set(FRONT) & set(cell.metadata.get("tags", [])):
                drawn = [o.data for o in cell.outputs if "data" in o]
                shown[tag] = "".join(_on_the_front(data, tag, cell) for data in drawn)
    for tag, text in shown.items():
        (SOURCE / "_generated" / f"{tag}.md").write_text(text, encoding="utf-8")


def _on_the_front(data: dict, tag: str, cell: nbformat.NotebookNode) -> str:
    if "image/png" in data:
        (SOURCE / f"{tag}.png").write_bytes(base64.b64decode(data["image/png"]))
        alt = page_cells.alternative_text(cell)
        return f"```{{image}} {tag}.png\n:alt: {alt}\n:class: front-picture\n```\n"
    return f"`````{{raw}} html\n{data['text/html']}\n`````\n" if "text/html" in data else ""


def _write_floors() -> None:
    """Write the floors of the folders and the counts of the package, for the architecture page."""
    modules = house.sources()
    text = f"{floor_plan.table(modules)}\n\n{floor_plan.counts(modules)}\n"
    (SOURCE / "_generated" / "floors.md").write_text(text, encoding="utf-8")


def _write_changelog() -> None:
    text = (chapter_store.REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    (SOURCE / "_generated" / "changelog.md").write_text(text.split("\n", 1)[1], encoding="utf-8")


def _copy_notebooks() -> None:
    """Lay the executed chapters out for download, with their outputs."""
    for chapter in chapter_store.chapters():
        target = SOURCE / "assets" / "notebooks" / f"{chapter_store.name_of(chapter)}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chapter_store.executed_path(chapter), target)


def _write_api() -> None:
    """Write the pages of the API and name them in the table of contents."""
    path = SOURCE / "_toc.yml"
    toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    for listing, pages in api_pages.write(SOURCE).items():
        (entry,) = [c for p in toc["parts"] for c in p["chapters"] if c["file"] == listing]
        entry["sections"] = [{"file": name} for name in pages]
    path.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def _write_execution_times() -> None:
    runs = {path: chapter_store.last_run(path) for path in chapter_store.chapters()}
    rows = [
        "| chapter | minutes to read | code cells | processor seconds | executed |",
        "|---|---|---|---|---|",
    ]
    for path, run in runs.items():
        name = chapter_store.name_of(path)
        took = f"{run.seconds:.1f}" + (f" (in part: {run.missing})" if run.missing else "")
        read = f"{reading_time.minutes(path):.0f}"
        rows.append(f"| [](/{name}.ipynb) | {read} | {run.cells} | {took} | {run.finished} |")
    total = sum(run.seconds for run in runs.values())
    read = sum(map(reading_time.minutes, runs))
    cells = sum(run.cells for run in runs.values())
    rows += [f"| together | {read:.0f} | {cells} | {total:.1f} | |", ""]
    rows += ["| package | version |", "|---|---|"]
    rows += [f"| {name} | {number} |" for name, number in chapter_store.versions().items()]
    page = SOURCE / "reference" / "execution_times.md"
    text = page.read_text(encoding="utf-8") + "\n" + "\n".join(rows) + "\n"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
