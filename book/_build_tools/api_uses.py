"""Say which public names of the package a chapter uses, and in which chapters a name is used.

The imports of a chapter say what its names stand for, so that `cl.validate`, `validate` and
`validation.validate` all lead to the module that defines it. Only code that a reader sees counts.
"""

import ast
import re
from functools import cache
from pathlib import Path

import chapter_store
import house
import nbformat

EXPORT = re.compile(r"^from \.([\w.]+) import (\w+) as \2$", re.MULTILINE)
UNSEEN = "remove-cell"


def definitions(modules: dict[str, str], stubs: dict[str, str]) -> dict[str, str]:
    """Lead from every name that can be imported to the name where it is defined.

    `modules` has texts by dotted name; `stubs` has those of the folders.

    >>> modules = {"crbm_lite.work.show": '__all__ = ["draw"]'}
    >>> definitions(modules, {"crbm_lite.work": "from .show import draw as draw"})
    {'crbm_lite.work.show.draw': 'crbm_lite.work.show.draw', 'crbm_lite.work.draw': \
'crbm_lite.work.show.draw'}
    """
    public = [
        f"{module}.{name}" for module in modules for name in house.public_names(modules[module])
    ]
    found = {name: name for name in public}
    for folder, stub in stubs.items():
        for module, name in EXPORT.findall(stub):
            found[f"{folder}.{name}"] = f"{folder}.{module}.{name}"
    return found


def names_used(cells: list[str], defined: dict[str, str]) -> set[str]:
    """Give the definitions of the names that code uses.

    >>> defined = {"crbm_lite.fit": "crbm_lite.m.fit", "crbm_lite.m.fit": "crbm_lite.m.fit"}
    >>> names_used(["import crbm_lite as cl", "cl.fit(x)"], defined)
    {'crbm_lite.m.fit'}
    >>> names_used(["from crbm_lite import fit", "refit(x)"], defined)
    set()
    """
    trees = [tree for tree in map(_parsed, cells) if tree is not None]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    stands_for = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            stands_for |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stands_for |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    dotted = [ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute)]
    meant = [
        ".".join([stands_for.get(head, ""), *rest])
        for head, *rest in (d.split(".") for d in dotted)
    ]
    return {defined[name] for name in meant if name in defined}


def _parsed(cell: str) -> ast.Module | None:
    try:
        return ast.parse(cell)
    except SyntaxError:  # a line for the shell
        return None


@cache
def _defined() -> dict[str, str]:
    package = house.REPOSITORY / house.PACKAGE
    stubs = {
        house.module_name(path.relative_to(house.REPOSITORY)): path.read_text(encoding="utf-8")
        for path in package.rglob("__init__.pyi")
    }
    return definitions(house.sources(), stubs)


def names_in_chapter(chapter: Path) -> set[str]:
    """Give the definitions of the names that a chapter uses."""
    return names_used(_seen_code(chapter), _defined())


def _seen_code(chapter: Path) -> list[str]:
    cells = nbformat.read(chapter, as_version=4).cells
    return [
        c.source
        for c in cells
        if c.cell_type == "code" and UNSEEN not in c.metadata.get("tags", [])
    ]


@cache
def by_name() -> dict[str, list[str]]:
    """The chapters that use a name, in the order of the table of contents."""
    found: dict[str, list[str]] = {}
    for chapter in chapter_store.chapters():
        for name in names_in_chapter(chapter):
            found.setdefault(name, []).append(chapter_store.name_of(chapter))
    return found


def links_in_chapter(chapter: Path) -> str:
    """The names that a chapter uses as MyST, each a link to its page; "" if there are none."""
    names = sorted(names_in_chapter(chapter), key=lambda name: name.rpartition(".")[2].lower())
    links = ", ".join(f"{{py:obj}}`~{name}`" for name in names)
    title = "What this page uses of the package"
    return f"<details>\n<summary>{title}</summary>\n\n{links}\n\n</details>" if names else ""


def _add_chapters(app, what, name, obj, options, lines):
    if chapters := by_name().get(name):
        links = ", ".join(f":doc:`/{chapter}`" for chapter in chapters)
        lines += ["", f"*Used in* {links}.", ""]


def setup(app):
    """Close, as a Sphinx extension, each object's docstring with the chapters that use it."""
    app.connect("autodoc-process-docstring", _add_chapters, priority=900)  # after napoleon
    return {"parallel_read_safe": True}
