"""The house: folders import from lower floors only, in no circle, and export what is public."""

import importlib
from types import ModuleType

import house
import pytest

# From the ground up; folders of one floor do not import each other. House rules: CONTRIBUTING.md.
FLOORS = (
    ("checks",),
    ("core", "files", "measures"),
    ("assemblies", "recordings", "training"),
    ("calcium", "model", "simulation"),
    ("animals", "connectivity", "importers", "inspection", "theory", "validation"),
    ("baselines", "datasets", "plotting", "temporal"),
    ("cli",),
    ("__main__",),
)
FLOOR = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}
# Users find these by completing a dot. Each is one line, which imports when it is called.
DOORS = {
    ("crbm_lite.recordings.recording", "Recording.check", "crbm_lite.inspection.report"),
    ("crbm_lite.validation.report", "ValidationReport.plot", "crbm_lite.plotting.figures"),
}

MODULES = house.sources()
ARROWS = house.arrows(MODULES)


def is_door(arrow):
    return (arrow.source, arrow.inside, arrow.target) in DOORS


def test_every_folder_has_its_floor():
    assert {house.folder_of(name) for name in MODULES} - {house.PACKAGE} == set(FLOOR)


def test_folders_import_from_lower_floors_only():
    upward = [
        f"{a.source} imports {a.target} in line {a.line}"
        for a in ARROWS
        if (above := house.folder_of(a.source)) != (below := house.folder_of(a.target))
        and FLOOR[above] <= FLOOR[below]
        and not is_door(a)
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle():
    assert house.circles({(a.source, a.target) for a in ARROWS if not is_door(a)}) == []


def test_the_doors_are_there():
    assert {(a.source, a.inside, a.target) for a in ARROWS if is_door(a)} == DOORS


def test_an_import_inside_a_function_counts():
    modules = {"crbm_lite.a": "def f():\n    from crbm_lite.b import x\n", "crbm_lite.b": ""}
    assert house.arrows(modules) == [house.Arrow("crbm_lite.a", "crbm_lite.b", 2, "f")]


def test_circles_are_found():
    assert house.circles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == [["a", "b", "c"]]


def test_a_public_name_has_one_home():
    again = {
        name: sorted(set(house.public_names(text)) & house.imported_names(text))
        for name, text in MODULES.items()
    }
    assert {name: names for name, names in again.items() if names} == {}


@pytest.mark.parametrize("stub", house.stubs(), ids=lambda path: path.parent.name)
def test_a_folder_exports_the_public_names_of_its_modules(stub):
    wanted = house.stubs()[stub]
    assert stub.read_text() == wanted, "python book/_build_tools/house.py --write-stubs mends it"


@pytest.mark.parametrize("package", [n for n, text in MODULES.items() if "attach_stub" in text])
def test_every_exported_name_is_there(package):
    folder = importlib.import_module(package)
    assert folder.__all__
    for name in folder.__all__:
        assert not isinstance(getattr(folder, name), ModuleType), f"{name} hides a module"
