"""The three lists of dependencies agree: pyproject.toml, environment.yml, constraints.txt."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = {
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "scikit-learn",
    "matplotlib",
    "tqdm",
    "lazy-loader",
    "platformdirs",
    "requests",
    "pyyaml",
}


def bounds(lines):
    """{name: bounds} of requirement lines; conda's spelling is the same for all that we use."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert found.setdefault(name, requirement.specifier) == requirement.specifier, name
    return found


def pins():
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(name): version
        for name, version in (line.split("==") for line in lines if not line.startswith("#"))
    }


def test_conda_environment_has_the_bounds_of_pyproject():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    conda = bounds(environment["dependencies"])
    assert str(conda.pop("python")) == PROJECT["requires-python"]
    conda.pop("pip")
    book, own = EXTRAS["book"], "crbm_lite[notebooks]"
    assert own in book
    lines = PROJECT["dependencies"] + EXTRAS["notebooks"] + EXTRAS["test"]
    assert conda == bounds(lines + [line for line in book if line != own])


@pytest.mark.parametrize("extra", [None, *sorted(EXTRAS)])
def test_pins_lie_within_the_bounds(extra):
    wanted = PROJECT["dependencies"] if extra is None else EXTRAS[extra]
    wanted = bounds(line for line in wanted if not line.startswith("crbm_lite"))
    pinned = pins()
    assert wanted
    for name, specifier in wanted.items():
        assert name in pinned, f"{name} is not in constraints.txt"
        assert specifier.contains(pinned[name]), f"{name} {pinned[name]} is not in {specifier}"


def test_the_core_needs_these_packages_and_bounds_each_on_both_sides():
    core = bounds(PROJECT["dependencies"])
    assert set(core) == CORE
    for name, specifier in core.items():
        assert {clause.operator for clause in specifier} == {">=", "<"}, name


def test_core_imports_nothing_but_its_dependencies():
    import_names = {name.replace("-", "_") for name in CORE - {"scikit-learn", "pyyaml"}}
    import_names |= {"sklearn", "yaml", "crbm_lite"}
    import_names |= {"llvmlite", "threadpoolctl"}  # numba and scikit-learn cannot be without them
    import_names |= sys.stdlib_module_names
    # extras: the command line, see crbm_lite/__main__.py; and what is imported when it is asked for
    extras = {"cli": "click", "accelerator": "jax"}
    imported = set()
    for path in (REPOSITORY / "crbm_lite").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # inside functions all may be
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            found = {name.split(".")[0] for name in names} - {extras.get(path.parent.name)}
            assert found <= import_names, f"{path} imports {found - import_names} at its top"
            imported |= found
    assert {"numpy", "numba"} <= imported
