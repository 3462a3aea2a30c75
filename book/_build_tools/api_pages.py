"""Write the API reference: one page for every module of the package, one section for every folder.

Nothing is listed by hand. A section is a folder, its title the head of the docstring in the
folder's ``__init__.py``. The model comes first; then the folders follow from the top floor
down, so that what a user calls stands above what it is built on.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import floor_plan
import house

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


def page(module: str) -> str:
    """Return the page of one module; Sphinx fills it from the docstrings."""
    return (
        f"# {short_name(module)}\n\n```{{eval-rst}}\n.. automodule:: {module}\n"
        f"   :members:\n   :ignore-module-all:\n   :exclude-members: {LEFT_OUT}\n```\n"
    )


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
    return " ".join(_docstring(text).split("\n\n")[0].split()).replace("|", r"\|")


def write(book: Path) -> list[str]:
    """Write the pages into a copy of the book; return their names in order, for its contents."""
    modules = house.sources()
    folder = book / "reference" / "api"
    folder.mkdir()
    ordered = [module for inside in sections(modules).values() for module in inside]
    for module in ordered:
        (folder / f"{short_name(module)}.md").write_text(page(module), encoding="utf-8")
    listing = book / "reference" / "api.md"
    text = listing.read_text(encoding="utf-8")
    listing.write_text(f"{text}\n{overview(modules)}", encoding="utf-8")
    return [f"reference/api/{short_name(module)}" for module in ordered]
