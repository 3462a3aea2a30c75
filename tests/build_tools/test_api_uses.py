"""Names lead from the chapters to the API and back."""

import api_uses
import chapter_store
import pytest

MODULES = {
    "crbm_lite.work.show": '__all__ = ["draw"]',
    "crbm_lite.core.units": '__all__ = ["Units"]\n',
}
STUBS = {
    "crbm_lite": "from .core.units import Units as Units\n",
    "crbm_lite.work": "from .show import draw as draw\n",
    "crbm_lite.core": "from .units import Units as Units\n",
}
UNITS, DRAW = "crbm_lite.core.units.Units", "crbm_lite.work.show.draw"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["import crbm_lite as cl", "cl.Units(3)"], {UNITS}),
        (["from crbm_lite.core import Units as U", "x = U.one()"], {UNITS}),
        (["from crbm_lite.work import show as panels", "panels.draw(ax)"], {DRAW}),
        (["from crbm_lite.work import draw", "draw(draw)", "!ls"], {DRAW}),
        (["from crbm_lite.work import draw"], set()),  # imported and not used
        (["import other as cl", "cl.Units(3)", "Units(3)", "self.draw()"], set()),
    ],
)
def test_a_name_is_used_where_its_import_says_so(cells, expected):
    assert api_uses.names_used(cells, api_uses.definitions(MODULES, STUBS)) == expected


def test_links_go_both_ways():
    order = [chapter_store.name_of(path) for path in chapter_store.chapters()]
    for path, chapter in zip(chapter_store.chapters(), order, strict=True):
        text = api_uses.links_in_chapter(path)
        for name in api_uses.names_in_chapter(path):
            assert chapter in api_uses.by_name()[name]
            assert f"{{py:obj}}`~{name}`" in text
    assert "start/quickstart" in api_uses.by_name()["crbm_lite.model.model.CRBM"]
    for chapters in api_uses.by_name().values():
        assert chapters == sorted(chapters, key=order.index)


def test_a_docstring_ends_with_the_chapters_that_use_it():
    lines = ["Say so."]
    api_uses._add_chapters(None, "class", "crbm_lite.model.model.CRBM", None, None, lines)
    assert lines[0] == "Say so." and ":doc:`/start/quickstart`" in lines[-2]
    untouched = ["Say so."]
    api_uses._add_chapters(None, "class", "crbm_lite.nothing", None, None, untouched)
    assert untouched == ["Say so."]
