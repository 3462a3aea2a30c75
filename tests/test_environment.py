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
    for name, specifier in wanted.items():
        assert name in pinned, f"{name} is not in constraints.txt"
        assert specifier.contains(pinned[name]), f"{name} {pinned[name]} is not in {specifier}"


def test_core_needs_nine_packages_all_bounded_on_both_sides():
    core = bounds(PROJECT["dependencies"])
    assert set(core) == CORE
    for name, specifier in core.items():
        assert {clause.operator for clause in specifier} == {">=", "<"}, name


def test_core_imports_nothing_but_its_dependencies():
    import_names = (CORE - {"scikit-learn", "pyyaml"}) | {"sklearn", "yaml", "crbm_lite"}
    import_names |= {"llvmlite", "threadpoolctl"}  # numba and scikit-learn cannot be without them
    for path in (REPOSITORY / "crbm_lite").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # inside functions all may be
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in (name.split(".")[0] for name in names):
                if name == "click" and path.parent.name == "cli":
                    continue  # the command line is an extra, see crbm_lite/__main__.py
                if name == "jax" and path.parent.name == "accelerator":
                    continue  # an extra; imported where the accelerator is asked for
                known = name in import_names or name in sys.stdlib_module_names
                assert known, f"{path.name} imports {name} at its top"
