"""What docstrings, pages and notebooks name in backticks is there: modules, functions, files."""

import importlib.util
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TEXTS = (
    "README.md",
    "CONTRIBUTING.md",
    "book/**/*.md",
    "book/**/*.ipynb",
    "crbm_lite/**/*.py",
    "benchmarks/*.py",
)
DOTTED = re.compile(r"`(crbm_lite(?:\.\w+)+)")
PATH = re.compile(r"`(?:python )?((?:crbm_lite|benchmarks|book|tests)(?:/[\w.]+)+)[/`\s]")
COMMAND = re.compile(r"python -m ((?:crbm_lite|benchmarks)(?:\.\w+)*)")


def named(pattern: re.Pattern) -> dict[str, str]:
    """Every name that the pattern finds, with one of the files that use it."""
    found = {}
    for texts in TEXTS:
        for path in sorted(REPOSITORY.glob(texts)):
            for name in pattern.findall(path.read_text(encoding="utf-8")):
                found[name] = path.relative_to(REPOSITORY).as_posix()
    return found


NAMES, PATHS, COMMANDS = named(DOTTED), named(PATH), named(COMMAND)


def is_there(name: str) -> bool:
    """Whether a dotted name can be imported, or is an attribute or field of what can be."""
    module, rest = name, []
    while module:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # a package that the module needs is not installed
        module, _, attribute = module.rpartition(".")
        rest.insert(0, attribute)
    for attribute in rest:
        if is_dataclass(found) and attribute in {field.name for field in fields(found)}:
            return True
        if not hasattr(found, attribute):
            return False
        found = getattr(found, attribute)
    return True


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_dotted_name_is_there(name):
    assert is_there(name), f"{NAMES[name]} names `{name}`"


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_file_or_folder_is_there(path):
    assert (REPOSITORY / path).exists(), f"{PATHS[path]} names `{path}`"


@pytest.mark.parametrize("module", sorted(COMMANDS))
def test_a_command_is_there(module):
    assert importlib.util.find_spec(module), f"{COMMANDS[module]} names `python -m {module}`"


def test_names_are_found_where_they_are_written():
    assert NAMES and PATHS and COMMANDS
    assert DOTTED.findall("`crbm_lite.a.b(c)`, ``crbm_lite.d``, crbm_lite.e") == [
        "crbm_lite.a.b",
        "crbm_lite.d",
    ]
    assert PATH.findall("`tests/book/`, `build/site`, `python book/a.py --check`") == [
        "tests/book",
        "book/a.py",
    ]
    assert COMMAND.findall("`python -m benchmarks.planted 8`") == ["benchmarks.planted"]
    assert is_there("crbm_lite.recordings.recording.Recording.rate_hz")
    for wrong in ("crbm_lite.nothing", "crbm_lite.core.drelu.Nothing", "crbm_lite.CRBM.fits"):
        assert not is_there(wrong), wrong
