"""Every chapter begins with the cell that installs the package, and can be opened elsewhere."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import first_cell
import launch
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

NOTEBOOKS = first_cell.notebooks()


def test_the_notebooks_are_found():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[p.stem for p in NOTEBOOKS])
def test_every_chapter_begins_with_it(path):
    assert first_cell.has_it(path), "run python book/_build_tools/first_cell.py"


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "chapter.ipynb"
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Ünï\n", "text"]}]
    path.write_text(json.dumps({"cells": cells, "metadata": {}}, indent=1, ensure_ascii=False))
    return path


def test_it_is_put_in_front_once_and_nothing_else_changes(notebook):
    before = json.loads(notebook.read_text())["cells"]
    assert not first_cell.has_it(notebook)
    assert first_cell.put(notebook)
    text = notebook.read_text()
    assert json.loads(text)["cells"][1:] == before
    assert "Ünï" in text
    assert not first_cell.put(notebook)
    assert notebook.read_text() == text


def test_an_older_text_is_replaced(notebook):
    first_cell.put(notebook)
    old = json.loads(notebook.read_text())
    old["cells"][0]["source"] = ["import crbm_lite"]
    old["cells"].append(old["cells"][0] | {"id": "second"})
    notebook.write_text(json.dumps(old))
    assert not first_cell.has_it(notebook)
    first_cell.put(notebook)
    assert first_cell.has_it(notebook)
    assert len(json.loads(notebook.read_text())["cells"]) == 2


@pytest.mark.parametrize("missing", [True, False])
def test_the_cell_installs_only_what_is_missing(missing, monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "check_call", called.append)
    if missing:
        monkeypatch.setitem(sys.modules, "crbm_lite", None)  # an import raises ModuleNotFoundError
    exec("".join(first_cell.cell()["source"]), {})
    assert called == (
        [[sys.executable, "-m", "pip", "install", "--quiet", first_cell.PACKAGE]] if missing else []
    )


def test_what_chapters_import_is_installed_by_it():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert first_cell.PACKAGE == "crbm_lite[notebooks]"
    lines = project["dependencies"] + project["optional-dependencies"]["notebooks"]
    installed = {re.match(r"[\w-]+", line)[0] for line in lines}
    installed |= {"sklearn", "yaml", "joblib", "IPython", "crbm_lite"}  # under other names
    installed |= {"benchmarks"}  # lies beside the book, as the stored tables do
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        imported = re.findall(r"^(?:import|from) (\w+)", "\n".join(code), re.MULTILINE)
        assert set(imported) <= installed | sys.stdlib_module_names, path.stem


def test_buttons_need_an_address(tmp_path):
    config = yaml.safe_load((REPOSITORY / "book" / "_config.yml").read_text(encoding="utf-8"))
    without = launch.with_buttons(config, None)
    assert not any(key.endswith("_url") for key in without["launch_buttons"])
    assert "repository" not in without
    shown = launch.with_buttons(config, "https://example.org/lab/crbm_lite.git")
    assert {"binderhub_url", "colab_url"} <= set(shown["launch_buttons"])
    assert shown["repository"]["url"] == "https://example.org/lab/crbm_lite"
    assert (REPOSITORY / shown["repository"]["path_to_book"] / "_toc.yml").is_file()
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "x"\nurls = {Repository = "https://example.org/x"}\n')
    assert launch.repository_address(project) == "https://example.org/x"


def test_binder_installs_this_project():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = (REPOSITORY / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert project["requires-python"] == f">={python}"
    lines = (REPOSITORY / "binder" / "requirements.txt").read_text().splitlines()
    assert "./[book]" in lines
    assert "book" in project["optional-dependencies"]
    (constraint,) = [line.split()[1] for line in lines if line.startswith("--constraint")]
    assert (REPOSITORY / "binder" / constraint).resolve() == REPOSITORY / "constraints.txt"
