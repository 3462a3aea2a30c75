"""Count the library and read its imports: modules, lines of code, arrows, circles, floors.

``python book/_build_tools/house.py`` prints the counts of the working tree, with ``--rev REV``
those of a commit; ``--write-stubs`` writes the ``__init__.pyi`` of every folder, which export
its public names. Lines of code are lines that hold a token outside docstrings and comments. An
arrow is a pair of modules of which one imports the other, wherever in the file; a circle is a set
of modules that reach each other. The floors are those of folders: a folder stands one above the
highest that it imports. The page on the architecture and the test of the imports read them from
here.
"""

import argparse
import ast
import io
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "crbm_lite"


@dataclass(frozen=True)
class Arrow:
    """One import: who imports whom, in which line, and inside which function (or "")."""

    source: str
    target: str
    line: int
    inside: str


def sources(revision: str | None = None) -> dict[str, str]:
    """The text of every module by its dotted name; a package goes by its folder's name."""
    if revision is None:
        paths = (REPOSITORY / PACKAGE).rglob("*.py")
        files = {p.relative_to(REPOSITORY): p.read_text(encoding="utf-8") for p in paths}
    else:
        listing = _git("ls-tree", "-r", "--name-only", revision, PACKAGE).splitlines()
        files = {Path(n): _git("show", f"{revision}:{n}") for n in listing if n.endswith(".py")}
    return {module_name(path): text for path, text in sorted(files.items())}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def module_name(path: Path) -> str:
    """The dotted name of a file of the repository; an ``__init__`` has that of its folder."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def lines_of_code(text: str) -> int:
    """Lines with a token outside docstrings and comments."""
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            docstrings.update(range(node.lineno, node.end_lineno + 1))
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
             tokenize.ENDMARKER}  # fmt: skip
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in empty:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def arrows(modules: dict[str, str]) -> list[Arrow]:
    """Every import of a module of the package by another one."""
    found = []
    for name, text in modules.items():
        tree = ast.parse(text)
        for inside, node in _imports(tree):
            targets = {t for t in _targets(node, modules) if t not in (name, PACKAGE)}
            found += [Arrow(name, target, node.lineno, inside) for target in sorted(targets)]
    return found


def _imports(node: ast.AST, inside: str = ""):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield inside, child
        scoped = isinstance(child, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        yield from _imports(child, f"{inside}.{child.name}".strip(".") if scoped else inside)


def _targets(node: ast.Import | ast.ImportFrom, modules: dict[str, str]):
    if isinstance(node, ast.Import):
        return [a.name for a in node.names if a.name in modules]
    below = [f"{node.module}.{a.name}" for a in node.names]
    inner = [name for name in below if name in modules]
    # `from folder import name`: the folder where the name is not a module of its own
    return inner + ([node.module] if node.module in modules and len(inner) < len(below) else [])


def folder_of(module: str) -> str:
    """`core` of `crbm_lite.core.drelu`; a file at the top is its own folder."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else PACKAGE


def circles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """The strongly connected sets of more than one node."""
    nodes = {n for edge in edges for n in edge}
    below = {n: {b for a, b in edges if a == n} for n in nodes}
    reach = {n: _reached(n, below) for n in nodes}
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in nodes if a in reach[a]}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reached(start: str, below: dict[str, set[str]]) -> set[str]:
    seen, rest = set(), list(below[start])
    while rest:
        node = rest.pop()
        if node not in seen:
            seen.add(node)
            rest += below[node]
    return seen


def floors(edges: set[tuple[str, str]]) -> dict[str, int]:
    """The floor of each node: 0 for those that import nothing, else one above the highest below."""
    nodes = {n for edge in edges for n in edge}
    level = dict.fromkeys(nodes, 0)
    for _ in nodes:  # without circles no road is longer than this
        for above, under in edges:
            level[above] = max(level[above], level[under] + 1)
    return level


def public_names(text: str) -> list[str]:
    """The names in a module's `__all__`, which is a plain list."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def imported_names(text: str) -> set[str]:
    """The names that a module has from others."""
    nodes = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def stubs() -> dict[Path, str]:
    """What the `__init__.pyi` of each folder holds: the public names of its own modules."""
    found = {}
    for init in sorted((REPOSITORY / PACKAGE).rglob("*/__init__.py")):
        lines = []
        for module in sorted(init.parent.glob("[a-z]*.py")):
            names = public_names(module.read_text(encoding="utf-8"))
            # constants, classes, functions: as the linter orders imports
            for name in sorted(names, key=lambda n: (not n.isupper(), n[0].islower(), n)):
                lines.append(f"from .{module.stem} import {name} as {name}\n")
        found[init.with_suffix(".pyi")] = "".join(lines)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rev", help="a commit; by default the working tree")
    parser.add_argument("--write-stubs", action="store_true", help="write every __init__.pyi")
    arguments = parser.parse_args()
    if arguments.write_stubs:
        for path, text in stubs().items():
            path.write_text(text, encoding="utf-8")
    modules = sources(arguments.rev)
    found = {(a.source, a.target) for a in arrows(modules)}
    between = {(folder_of(a), folder_of(b)) for a, b in found if folder_of(a) != folder_of(b)}
    print(f"modules            {len(modules)}")
    print(f"lines              {sum(t.count(chr(10)) for t in modules.values())}")
    print(f"lines of code      {sum(map(lines_of_code, modules.values()))}")
    print(f"arrows of modules  {len(found)}")
    print(f"circles of modules {len(circles(found))}")
    print(f"arrows of folders  {len(between)}")
    print(f"circles of folders {len(circles(between))}")
    if not circles(between):
        level = floors(between)
        for floor in sorted(set(level.values()), reverse=True):
            print(f"floor {floor}: {', '.join(sorted(n for n in level if level[n] == floor))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
