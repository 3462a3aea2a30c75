"""Names and texts reach a page as they are, whatever they hold, and cannot change the page."""

import json
import os
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from crbm_lite.plotting.interactive.explorer import Explorer
from crbm_lite.plotting.interactive.html import html_text, menu_options
from crbm_lite.plotting.interactive.panels import Cells, Control, Lines
from crbm_lite.plotting.interactive.viewer import view_assemblies

HOSTILE = (
    "<!--<script>", "</script><script>alert(1)</script>", "--></option></select></div>",
    '"><img src=x onerror=alert(1)>', "' onclick='alert(1)", "a & b &lt; c", "&#60;", "$\\frac$",
    "\u2028", "half of \ud83d", "not UTF-8 \udce9",
)  # fmt: skip
# Half characters cannot be written; all else comes back.
SHOWN = tuple(t.replace("\ud83d", "\ufffd").replace("\udce9", "\ufffd") for t in HOSTILE)
HARMLESS = tuple("abcdefghijk")


class Page(HTMLParser):
    """The elements of a page in order: tag, attributes, and the text up to the next tag."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.inside = [], False
        self.feed(html.encode().decode())  # a page that cannot be encoded cannot be written
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.elements[-1][2] += data

    @property
    def tags(self):
        return [tag for tag, _, _ in self.elements]

    def texts(self, tag):
        return [text for name, _, text in self.elements if name == tag]

    @property
    def data(self):
        (data,) = [a["data-figure"] for _, a, _ in self.elements if "data-figure" in a]
        return json.loads(data)

    @property
    def scripts(self):
        return self.texts("script")


def viewer_of(names):
    n = len(names)
    return view_assemblies(
        np.eye(n), np.arange(3.0 * n).reshape(n, 3) ** 2,
        labels=np.eye(n), label_names=names, names=names, coordinate_unit=names[0],
    )  # fmt: skip


def explorer_of(names):
    first, values = names[0], np.zeros((len(names), 1, 1, 2))
    return Explorer(
        (Control(first, names), Control(names[1], (1.0,))),
        (
            Lines(first, first, first, np.arange(2.0), values, (-1, 1)),
            Cells(first, first, first, names[:2], names[:1], values, (-1, 1)),
        ),
        np.array(names, dtype=object)[:, None],
    )


@pytest.mark.parametrize(("text", "shown"), list(zip(HOSTILE, SHOWN, strict=True)))
def test_a_text_comes_back_from_tags_and_attributes(text, shown):
    html = f"<p title=\"{html_text(text)}\" lang='{html_text(text)}'>{html_text(text)}</p>"
    assert Page(html).elements == [["p", {"title": shown, "lang": shown}, shown]]
    assert Page(menu_options([text])).texts("option") == [shown]


@pytest.fixture(autouse=True)
def without_the_library(monkeypatch):
    monkeypatch.setattr("plotly.io.renderers.default", "plotly_mimetype")


def test_names_do_not_change_the_output_of_a_viewer():
    page, plain = (Page(viewer_of(n)._repr_html_()) for n in (HOSTILE, HARMLESS))
    assert page.tags == plain.tags and page.scripts[0] == plain.scripts[0]
    units = [f"HU {k}" for k in range(len(HOSTILE))]
    assert page.texts("option") == [*units, *SHOWN]
    scene = page.data["scene"]
    assert [note.split(":")[0] for note in scene["notes"][len(units) :]] == [
        name.split(":")[0] for name in HOSTILE
    ]
    # Plotly reads a few tags and references in its texts: it gets them escaped.
    for key in ("regions", "names"):
        assert Page("".join(f"<p>{text}" for text in scene[key])).texts("p") == list(SHOWN)


def test_names_do_not_change_the_output_of_an_explorer():
    page, plain = (Page(explorer_of(n)._repr_html_()) for n in (HOSTILE, HARMLESS))
    assert page.tags == plain.tags and page.scripts[0] == plain.scripts[0]
    assert page.texts("option") == list(SHOWN)
    assert [text.strip() for text in page.texts("label")] == list(SHOWN[:2])
    assert page.data["notes"] == list(HOSTILE) and page.data["texts"][0] == list(HOSTILE)
    assert page.data["panels"][0]["title"] == HOSTILE[0]


def test_the_figure_of_a_live_notebook_shows_names_as_they_are():
    chosen = viewer_of(HOSTILE).figure(3).data[2]
    assert Page(f"<p>{chosen.customdata[0]}<p>{chosen.text[0]}").texts("p") == [SHOWN[3]] * 2


def test_a_saved_page_is_written_whole_whatever_the_names(tmp_path):
    page = tmp_path / "what #1 <b>%41?.html"
    viewer_of(HARMLESS).save(page)
    viewer_of(HOSTILE).save(page)
    found = Page(page.read_text(encoding="utf-8"))
    assert found.texts("option")[len(HOSTILE) :] == list(SHOWN)
    source = found.data["source"]
    assert not set(source) & set("#?<% ") - {"%"} and unquote(source) == f"{page.stem}_data.js"
    script = (tmp_path / unquote(source)).read_text(encoding="utf-8")
    call, _, data = script.partition(",")
    assert call == 'crbmViewer.receive("viewer"' and data.endswith(");\n")
    assert json.loads(data[:-3])["neurons"] == len(HOSTILE)


@pytest.mark.parametrize("name", ["brain.html", "brain_data.js", "plotly.min.js"])
def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch, name):
    page = viewer_of(HARMLESS).save(tmp_path / "brain.html")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = os.replace

    def on_a_full_disk(source, target):
        if os.path.basename(target) == name:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        viewer_of(HOSTILE).save(page)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)
    assert (tmp_path / name).read_bytes() == before[name]
    assert page.read_bytes() == before[page.name]  # it is written last
