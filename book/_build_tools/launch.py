"""Add buttons that open a chapter on Binder or Colab.

Both fetch the notebook from the public repository, so the buttons need its address: `Repository`
under `[project.urls]` of pyproject.toml. Without it they would lead nowhere, and are left out.
Binder builds from binder/; on Colab a chapter's first cell installs the package.
"""

import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def repository_address(pyproject: Path = REPOSITORY / "pyproject.toml") -> str | None:
    """Return the address of the public repository, or None if the project names none."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


def with_buttons(config: dict, address: str | None) -> dict:
    """Return the book's configuration, with buttons that work or without any."""
    buttons = dict(config.get("launch_buttons", {}))
    if address is None:
        buttons = {key: value for key, value in buttons.items() if not key.endswith("_url")}
        return config | {"launch_buttons": buttons}
    repository = {"url": address.removesuffix(".git"), "branch": "main", "path_to_book": "book"}
    return config | {"launch_buttons": buttons, "repository": repository}
