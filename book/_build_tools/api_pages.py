"""Write the API reference: what the book calls, and the machine rooms below it.

Nothing is listed by hand. A class with methods has a page of its own. The functions of a module and
the records that they return share one. A module is public if the package exports one of its names,
a chapter uses one (`api_uses`), or a page of the book leads to it; the others are machine rooms,
which have their own part of the contents. A section is a folder, its title the head of the
docstring in the folder's ``__init__.py``: the model, and the others from the top floor down, so
that what a user calls stands above what it is built on.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import api_uses
import chapter_store
import floor_plan
import house

FIRST = "model"
# scikit-learn writes these methods, and their texts refer to its own manual
LEFT_OUT = "set_fit_request, set_transform_request, set_score_request"
LINK = re.compile(r"\(\.\./reference/api/([\w.]+)\.md\)")


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


def classes(text: str) -> list[str]:
    """Name the public classes of a module that have public methods: each has a page of its own.

    >>> classes('__all__ = ["A", "B"]\\nclass A:\\n  def fit(self): ...\\nclass B:\\n  x: int')
    ['A']
    """
    public = set(house.public_names(text))
    found = [n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name in public]
    return [node.name for node in found if any(map(_is_method, node.body))]


def _is_method(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
        return False
    return not any("property" in ast.unparse(mark) for mark in node.decorator_list)


def module_page(module: str, own_pages: list[str]) -> str:
    """Return the page of a module without the classes that have pages; Sphinx fills it."""
    name = short_name(module)
    links = ", ".join(f"[`{own}`]({name}.{own}.md)" for own in own_pages)
    beside = f"*On a page of its own:* {links}.\n\n" if links else ""
    left_out = ", ".join([LEFT_OUT, *own_pages])
    return (
        f"# {name}\n\n{beside}```{{eval-rst}}\n.. automodule:: {module}\n"
        f"   :members:\n   :ignore-module-all:\n   :exclude-members: {left_out}\n```\n"
    )


def class_page(module: str, name: str) -> str:
    """Return the page of a class; Sphinx fills it."""
    return (
        f"# {name}\n\n*A class of* [{short_name(module)}]({short_name(module)}.md).\n\n"
        f"```{{eval-rst}}\n.. autoclass:: {module}.{name}\n"
        f"   :members:\n   :exclude-members: {LEFT_OUT}\n```\n"
    )


def daily(stub: str, modules: dict[str, str]) -> str:
    """Return the table of what the package's stub exports, each name with its summary.

    Its order is that of the sections, and of the modules in them.
    """
    ordered = [module for inside in sections(modules).values() for module in inside]
    exported = sorted(
        api_uses.EXPORT.findall(stub), key=lambda x: ordered.index(f"{house.PACKAGE}.{x[0]}")
    )
    rows = ["| name | what it does |", "|---|---|"]
    for module, name in exported:
        text = modules[f"{house.PACKAGE}.{module}"]
        page = f"{module}.{name}" if name in classes(text) else module
        rows.append(f"| [`{name}`](api/{page}.md) | {_head(_docstring_of(name, text))} |")
    return "\n".join(rows)


def public_modules(stub: str, pages: list[str]) -> set[str]:
    """Name the modules that the package's stub exports, a chapter uses, or one of `pages` links to.

    >>> sorted(public_modules("", ["[how](../reference/api/importers.nwb.md)"]) - \\
    ...        public_modules("", []))
    ['crbm_lite.importers.nwb']
    """
    exported = [below for below, _ in api_uses.EXPORT.findall(stub)]
    linked = [name for text in pages for name in LINK.findall(text)]
    used = {name.rpartition(".")[0] for name in api_uses.by_name()}
    return used | {f"{house.PACKAGE}.{name}" for name in exported + linked}


def overview(modules: dict[str, str], shown: set[str]) -> str:
    """Return the tables of the sections of the modules shown, each with its docstring's summary."""
    tables = []
    for folder, modules_inside in sections(modules).items():
        inside = [module for module in modules_inside if module in shown]
        if not inside:
            continue
        docstring = _docstring(modules[folder])
        title, text = title_and_text(docstring)
        rows = [row for module in inside for row in _rows(module, modules[module])]
        table = "\n".join(["| module | what it holds |", "|---|---|", *rows])
        parts = [f"## {title}", text, table, _in_full(docstring)]
        tables.append("\n\n".join(part for part in parts if part))
    return "\n\n".join(tables) + "\n"


def _rows(module: str, text: str) -> list[str]:
    name = short_name(module)
    rows = [f"| [{name}](api/{name}.md) | {_summary(text)} |"]
    for own in classes(text):
        rows.append(f"| &emsp;[`{own}`](api/{name}.{own}.md) | {_head(_docstring_of(own, text))} |")
    return rows


def _docstring_of(name: str, text: str) -> str:
    (found,) = [n for n in ast.parse(text).body if getattr(n, "name", "") == name]
    return ast.get_docstring(found) or ""


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


def write(book: Path) -> dict[str, list[str]]:
    """Write the pages into a copy of the book.

    Returns the names of the pages in order, by the page of the contents that lists them.
    """
    modules = house.sources()
    (book / "reference" / "api").mkdir()
    stub = (house.REPOSITORY / house.PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    ordered = [module for inside in sections(modules).values() for module in inside]
    texts = [path.read_text(encoding="utf-8") for path in chapter_store.BOOK.rglob("*.md")]
    public = public_modules(stub, texts)
    tables = {
        "reference/api": f"{daily(stub, modules)}\n\n{overview(modules, public)}",
        "reference/machine_rooms": overview(modules, set(ordered) - public),
    }
    for listing, table in tables.items():
        path = book / f"{listing}.md"
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{table}", encoding="utf-8")
    pages: dict[str, list[str]] = {listing: [] for listing in tables}
    for module in ordered:
        listing = "reference/api" if module in public else "reference/machine_rooms"
        own = classes(modules[module])
        name = f"reference/api/{short_name(module)}"
        written = {name: module_page(module, own)}
        written |= {f"{name}.{cls}": class_page(module, cls) for cls in own}
        for page, text in written.items():
            (book / f"{page}.md").write_text(text, encoding="utf-8")
        pages[listing] += written
    return pages
