"""Read the floors of the folders off their imports, for the architecture page and the API.

A folder stands one floor above the highest that it imports. What a function imports when it is
called counts too. What a method imports does not count where it would close a circle: those few
imports are the doors that tests/test_house.py names.
"""

import house


def folder_floors(modules: dict[str, str]) -> dict[str, int]:
    """Return the floor of every folder, 0 for those that import nothing of ours.

    >>> door = "class C:\\n    def f(self):\\n        import p.a.x"
    >>> folder_floors({"p.a.x": "import p.b.x", "p.b.x": door})
    {'a': 1, 'b': 0}
    """
    edges: set[tuple[str, str]] = set()
    for arrow in sorted(house.arrows(modules), key=lambda arrow: "." in arrow.inside):
        edge = house.folder_of(arrow.source), house.folder_of(arrow.target)
        is_door = "." in arrow.inside and house.circles(edges | {edge})
        if edge[0] != edge[1] and not is_door:
            edges.add(edge)
    level = dict.fromkeys(map(house.folder_of, modules), 0) | house.floors(edges)
    return {folder: level[folder] for folder in sorted(level) if folder != house.PACKAGE}


def table(modules: dict[str, str]) -> str:
    """Return the floors as a Markdown table, the top floor first."""
    level = folder_floors(modules)
    rows = ["| floor | folders |", "|---|---|"]
    for floor in sorted(set(level.values()), reverse=True):
        names = ", ".join(f"`{folder}`" for folder, on in level.items() if on == floor)
        rows.append(f"| {floor} | {names} |")
    return "\n".join(rows)


def counts(modules: dict[str, str]) -> str:
    """Say in one sentence how many modules and lines of code there are."""
    code = sum(map(house.lines_of_code, modules.values()))
    return (
        f"{len(modules)} modules with {code:,} lines of code; docstrings, comments and blank lines "
        "are not counted."
    )
