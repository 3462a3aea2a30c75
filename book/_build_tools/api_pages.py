"""Write the API reference: one page for every module of the package, one section for every folder.

Nothing is listed by hand. What can be imported from the package itself comes first. Then a section
is a folder, its title the head of the docstring in the folder's ``__init__.py``: the model, and the
others from the top floor down, so that what a user calls stands above what it is built on. A page
names the chapters whose code uses its names.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import chapter_store
import floor_plan
import house
import nbformat

FIRST = "model"
# scikit-learn writes these methods, and their texts refer to its own manual
LEFT_OUT = "set_fit_request, set_transform_request, set_score_request"


def sections(modules: dict[str, str]) -> dict[str, list[str]]:
    """Sort the modules into folders, in the order of the pages; `modules` has texts by dotted name.

    A file beside the folders has its section under the name of the package.
    """
    folders = {name for name in modules if any(m.startswith(f"{name}.") for m in modules)}
    found = {folder: [] for folder in sorted(folders, key=_order(modules))}
    for module in sorted(modules.keys() - folders):
        if not any(part.startswith("_") for part in module.split(".")):
            found[module.rpartition(".")[0]].append(module)
    for folder, inside in found.items():  # the module of the folder's own name leads it
        inside.sort(key=lambda module: module != f"{folder}.{folder.rpartition('.')[2]}")
    return {folder: inside for folder, inside in found.items() if inside}


def _order(modules: dict[str, str]) -> Callable[[str], tuple]:
    """Return a sort key of folders: the model, then floor by floor, a folder before its own."""
    level = floor_plan.folder_floors(modules)

    def place(folder: str) -> tuple:
        top = house.folder_of(folder)
        return top != FIRST, folder == house.PACKAGE, -level.get(top, 0), folder

    return place


def title_and_text(docstring: str) -> tuple[str, str]:
    """Split the head of a docstring into a title, up to its first mark, and what follows.

    >>> title_and_text("Recordings: spikes and places.")
    ('Recordings', 'Spikes and places.')
    """
    summary = " ".join(docstring.split("\n\n")[0].split())
    title, *text = re.split("[:;.] ", summary, maxsplit=1)
    return title.rstrip("."), "".join(text)[:1].upper() + "".join(text)[1:]


def short_name(module: str) -> str:
    """Name the page of a module: its dotted name without the package."""
    return module.removeprefix(f"{house.PACKAGE}.")


def page(module: str, chapters: list[str]) -> str:
    """Return the page of one module; Sphinx fills it from the docstrings."""
    links = ", ".join(f"[](/{chapter}.ipynb)" for chapter in chapters)
    used = f"*Used in* {links}.\n\n" if links else ""
    return (
        f"# {short_name(module)}\n\n{used}```{{eval-rst}}\n.. automodule:: {module}\n"
        f"   :members:\n   :ignore-module-all:\n   :exclude-members: {LEFT_OUT}\n```\n"
    )


def daily(stub: str, modules: dict[str, str]) -> str:
    """Return the table of what the package's stub exports, each name with its summary."""
    rows = ["| name | what it does |", "|---|---|"]
    for module, name in re.findall(r"^from \.([\w.]+) import (\w+) as \2$", stub, re.MULTILINE):
        tree = ast.parse(modules[f"{house.PACKAGE}.{module}"])
        (docstring,) = [
            ast.get_docstring(node) for node in tree.body if getattr(node, "name", "") == name
        ]
        rows.append(f"| [`{name}`](api/{module}.md) | {_head(docstring or '')} |")
    return "\n".join(rows)


def used_in(text: str, code: dict[str, str]) -> list[str]:
    """Name the chapters whose code calls a public name of a module; `code` is by chapter.

    >>> used_in('__all__ = ["fit"]', {"a": "cl.fit(x)", "b": "refit(x)"})
    ['a']
    """
    called = re.compile(rf"\b({'|'.join(house.public_names(text)) or '(?!)'})\(")
    return [chapter for chapter, cells in code.items() if called.search(cells)]


def _code() -> dict[str, str]:
    """Return the code of every chapter that a reader sees."""
    found = {}
    for chapter in chapter_store.chapters():
        cells = nbformat.read(chapter, as_version=4).cells
        seen = [c for c in cells if "remove-cell" not in c.metadata.get("tags", [])]
        text = "\n".join(cell.source for cell in seen if cell.cell_type == "code")
        found[chapter_store.name_of(chapter)] = text
    return found


def overview(modules: dict[str, str]) -> str:
    """Return the tables of all sections, each module with the summary of its docstring."""
    tables = []
    for folder, inside in sections(modules).items():
        docstring = _docstring(modules[folder])
        title, text = title_and_text(docstring)
        rows = [
            f"| [{short_name(m)}](api/{short_name(m)}.md) | {_summary(modules[m])} |"
            for m in inside
        ]
        table = "\n".join(["| module | what it holds |", "|---|---|", *rows])
        parts = [f"## {title}", text, table, _in_full(docstring)]
        tables.append("\n\n".join(part for part in parts if part))
    return "\n\n".join(tables) + "\n"


def _in_full(docstring: str) -> str:
    """Return what a folder's docstring says after its head, as it stands there."""
    text = docstring.partition("\n\n")[2]
    return f"````text\n{text}\n````" if text else ""


def _docstring(text: str) -> str:
    return ast.get_docstring(ast.parse(text)) or ""


def _summary(text: str) -> str:
    return _head(_docstring(text))


def _head(docstring: str) -> str:
    return " ".join(docstring.split("\n\n")[0].split()).replace("|", r"\|")


def write(book: Path) -> list[str]:
    """Write the pages into a copy of the book; return their names in order, for its contents."""
    modules = house.sources()
    folder = book / "reference" / "api"
    folder.mkdir()
    code = _code()
    ordered = [module for inside in sections(modules).values() for module in inside]
    for module in ordered:
        (folder / f"{short_name(module)}.md").write_text(
            page(module, used_in(modules[module], code)), encoding="utf-8"
        )
    listing = book / "reference" / "api.md"
    text = listing.read_text(encoding="utf-8")
    stub = (house.REPOSITORY / house.PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    tables = f"{daily(stub, modules)}\n\n{overview(modules)}"
    listing.write_text(f"{text}\n{tables}", encoding="utf-8")
    return [f"reference/api/{short_name(module)}" for module in ordered]
