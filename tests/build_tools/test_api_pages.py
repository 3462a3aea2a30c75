"""The API reference and the floors of the house, made from the folders and their imports."""

import api_pages
import floor_plan
import pytest

# Who imports whom: work -> model -> core, and a door from core up to work inside a method.
MODULES = {
    "crbm_lite": '"""The package."""',
    "crbm_lite.core": '"""Numbers: plain ones. And more."""',
    "crbm_lite.core.units": '"""Units | halves."""\n'
    "class Units:\n    def show():\n        import crbm_lite.work.show",
    "crbm_lite.measures": '"""Measures."""',
    "crbm_lite.model": '"""The model."""',
    "crbm_lite.model.cache": '"""A cache."""\ndef g():\n    import crbm_lite.core.units',
    "crbm_lite.model.model": '"""The estimator."""',
    "crbm_lite.work": '"""Work, in all\nits forms.\n\nFirst |w|.\n\nThen more.\n"""',
    "crbm_lite.work.inner": '"""Inner work."""',
    "crbm_lite.work.inner.deep": '"""Deep."""',
    "crbm_lite.work.show": '"""Show."""\nimport crbm_lite.model.model',
    "crbm_lite.work._hidden": '"""Not for readers."""',
}


def test_sections_are_the_folders_the_model_first_then_from_the_top_floor_down():
    assert list(api_pages.sections(MODULES).items()) == [
        ("crbm_lite.model", ["crbm_lite.model.model", "crbm_lite.model.cache"]),
        ("crbm_lite.work", ["crbm_lite.work.show"]),
        ("crbm_lite.work.inner", ["crbm_lite.work.inner.deep"]),
        ("crbm_lite.core", ["crbm_lite.core.units"]),
        ("crbm_lite", ["crbm_lite.measures"]),
    ]


def test_an_import_inside_a_function_counts_and_a_door_upward_does_not():
    assert floor_plan.folder_floors(MODULES) == {"core": 0, "measures": 0, "model": 1, "work": 2}
    rows = floor_plan.table(MODULES).splitlines()
    assert rows[2:] == ["| 2 | `work` |", "| 1 | `model` |", "| 0 | `core`, `measures` |"]


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Recordings: spikes and places.", ("Recordings", "Spikes and places.")),
        ("Figures in\none style.\n\nMore.", ("Figures in one style", "")),
        ("Data sets. By name.", ("Data sets", "By name.")),
        ("Rivals; one: by one.", ("Rivals", "One: by one.")),
        ("", ("", "")),
    ],
)
def test_a_section_is_titled_by_the_head_of_the_folders_docstring(docstring, expected):
    assert api_pages.title_and_text(docstring) == expected


def test_every_section_has_its_title_and_a_row_for_each_module():
    text = api_pages.overview(MODULES, set(MODULES))
    assert "## Numbers\n\nPlain ones. And more.\n\n| module" in text
    assert "## Work, in all its forms\n\n| module" in text
    rest = "````text\nFirst |w|.\n\nThen more.\n````\n\n## Inner work"
    assert f"| [work.show](api/work.show.md) | Show. |\n\n{rest}" in text
    assert r"| [core.units](api/core.units.md) | Units \| halves. |" in text


def test_what_the_package_exports_comes_first_with_its_summary():
    module = '"""M."""\ndef f():\n    """Do |it|.\n\n    More.\n    """'
    table = api_pages.daily(
        "from .m.n import f as f\n", {"crbm_lite": "", "crbm_lite.m": "", "crbm_lite.m.n": module}
    )
    assert table.splitlines()[2:] == [r"| [`f`](api/m.n.md) | Do \|it\|. |"]


def test_the_model_leads_what_the_package_exports():
    stub = "from .a.b import f as f\nfrom .model.model import Fitted as Fitted\n"
    modules = {"crbm_lite.a.b": "def f(): ...", "crbm_lite.model.model": TEXT,
               "crbm_lite.a": "", "crbm_lite.model": "", "crbm_lite": ""}  # fmt: skip
    rows = api_pages.daily(stub, modules).splitlines()[2:]
    assert ["Fitted" in rows[0], "`f`" in rows[1]] == [True, True]


def test_a_section_is_left_out_where_none_of_its_modules_is_shown():
    text = api_pages.overview(MODULES, {"crbm_lite.core.units"})
    assert "## Numbers" in text and "## Work" not in text


TEXT = """
__all__ = ["Fitted", "Record", "fit"]
class Fitted:
    \"\"\"A fit.\"\"\"
    def score(self): ...
class Record:
    x: int
    @property
    def y(self): ...
    def _z(self): ...
class _Own:
    def show(self): ...
def fit(): ...
"""


def test_a_class_with_methods_has_a_page_and_a_record_stays_with_its_functions():
    assert api_pages.classes(TEXT) == ["Fitted"]
    page = api_pages.module_page("crbm_lite.m", ["Fitted"])
    assert "[`Fitted`](m.Fitted.md)" in page and ", Fitted\n" in page
    assert "autoclass:: crbm_lite.m.Fitted" in api_pages.class_page("crbm_lite.m", "Fitted")
    table = api_pages.daily(
        "from .m import Fitted as Fitted\n", {"crbm_lite": "", "crbm_lite.m": TEXT}
    )
    assert table.splitlines()[2:] == ["| [`Fitted`](api/m.Fitted.md) | A fit. |"]


def test_every_module_and_class_has_a_page_that_one_part_of_the_contents_names(tmp_path):
    (tmp_path / "reference").mkdir()
    for listing in ("api", "machine_rooms"):
        (tmp_path / "reference" / f"{listing}.md").write_text("# Pages\n")
    written = api_pages.write(tmp_path)
    names = [name for names in written.values() for name in names]
    pages = {p.relative_to(tmp_path).with_suffix("").as_posix() for p in tmp_path.rglob("*.md")}
    assert {*names, *written} == pages
    assert len(names) == len(set(names))
    first = ["reference/api/model.model", "reference/api/model.model.CRBM"]
    assert written["reference/api"][:2] == first
    for listing, inside in written.items():
        text = (tmp_path / f"{listing}.md").read_text()
        assert all(f"({name.removeprefix('reference/')}.md)" in text for name in inside)


def test_what_the_package_exports_is_public_and_kernels_are_machine_rooms(tmp_path):
    stub = "from .core.drelu import DReLU as DReLU\n"
    public = api_pages.public_modules(stub, ["[how](../reference/api/importers.suite2p.md)"])
    assert {"crbm_lite.core.drelu", "crbm_lite.importers.suite2p"} <= public
    assert "crbm_lite.model.model" in public  # chapters use it
    assert "crbm_lite.training.update_kernels" not in public
