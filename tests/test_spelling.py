"""Spelling, by codespell, of the whole repository; and the hooks that look before a commit."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]


def codespell(*what):
    if importlib.util.find_spec("codespell_lib") is None:
        pytest.skip("codespell is not installed: pip install codespell")
    return subprocess.run(
        [sys.executable, "-m", "codespell_lib", *what],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_word_is_misspelt():
    done = codespell()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_word_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"The {'reci' + 'eved'} spikes.")
    assert codespell(str(page)).returncode != 0


def test_hooks_look_at_style_notebooks_and_spelling():
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {hook["id"]: hook["entry"] for repo in config["repos"] for hook in repo["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "notebooks-without-pictures", "codespell"}
    *_, path, _, keyword = hooks["notebooks-without-pictures"].split()
    chosen = re.findall(rf"def (test_\w*{keyword}\w*)", (REPOSITORY / path).read_text("utf-8"))
    assert "test_no_picture_or_widget_is_stored" in chosen
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = {line.split(">")[0] for line in project["optional-dependencies"]["dev"]}
    assert {"ruff", "codespell", "pre-commit"} <= tools
