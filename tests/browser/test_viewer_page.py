"""The 3-D viewer in a real browser, from file:// and without a network.

Skipped where there is no Chromium or no playwright.
"""

import numpy as np
import pytest

from crbm_lite.plotting.interactive.html import html_text
from crbm_lite.plotting.interactive.viewer import view_assemblies
from crbm_lite.plotting.interactive.viewer_figure import unit_color
from tests.browser.test_site import DESKTOP, browser  # noqa: F401  (a fixture)

pytestmark = pytest.mark.browser

N, M, T = 50_000, 24, 500
REGIONS = ("left <b>", "right")
SHOWN = """() => { const p = document.querySelector(".js-plotly-plot");
    return {n: p.data[2].x.length, x: Array.from(p.data[2].x), w: p.data[2].marker.color,
            text: p.data[2].text[0], trace: Array.from(p.data[3].y)}; }"""
RECORD_CHOICES = """() => { window.choices = [];
    const box = document.querySelector(".crbm-viewer");
    new MutationObserver(() => window.choices.push(box.dataset.shown))
        .observe(box, { attributes: true, attributeFilter: ["data-shown"] }); }"""


@pytest.fixture(scope="module")
def viewer():
    rng = np.random.default_rng(0)
    places = rng.uniform(size=(N, 3)) * [400, 900, 250]
    weights = np.zeros((N, M))
    for unit in range(M):
        members = rng.choice(N, 1000, replace=False)
        weights[members, unit] = rng.normal(size=1000)
    left = places[:, 0] < 200
    return view_assemblies(
        weights,
        places,
        labels=np.c_[left, ~left],
        label_names=REGIONS,
        activity=rng.normal(size=(T, M)),
        rate_hz=2.5,
    )


@pytest.fixture(scope="module")
def page(viewer, tmp_path_factory):
    return viewer.save(tmp_path_factory.mktemp("viewer") / "brain.html")


@pytest.fixture
def tab(browser, page):  # noqa: F811
    context = browser.new_context(viewport=DESKTOP)
    tab = context.new_page()
    tab.problems, tab.asked = [], []
    tab.on("console", lambda m: tab.problems.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(page.as_uri())
    wait(tab, 0)
    yield tab
    assert tab.problems == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in tab.asked)
    context.close()


def wait(tab, choice):
    tab.wait_for_selector(f".crbm-viewer[data-shown='{choice}']", timeout=60_000)


def test_keys_step_through_all_assemblies_and_show_what_was_given(tab, page, viewer):
    assert page.stat().st_size < 1.5e6
    tab.focus("select")
    for choice in [*range(1, M), 0]:  # the last one is followed by the first
        tab.keyboard.press("ArrowRight")
        wait(tab, choice)
    tab.keyboard.press("ArrowLeft")
    wait(tab, M - 1)
    tab.keyboard.press("Home")
    wait(tab, 0)
    tab.keyboard.press("End")
    wait(tab, M - 1)
    shown, given = tab.evaluate(SHOWN), viewer.selection(M - 1)
    assert tab.inner_text(".crbm-viewer-note") == viewer.notes[M - 1]
    assert shown["n"] == len(given.weights)
    expected = np.sort(viewer.coordinates[given.neurons, 0])
    np.testing.assert_allclose(np.sort(shown["x"]), expected, atol=0.01)
    assert np.max(np.abs(shown["w"])) == pytest.approx(np.abs(given.weights).max(), rel=1e-6)
    assert shown["text"] in {html_text(name) for name in REGIONS}
    largest = np.abs(viewer.activity[:, M - 1]).max()
    np.testing.assert_allclose(shown["trace"], viewer.activity[:, M - 1], atol=largest / 253)


def test_the_header_counts_what_is_drawn(tab, viewer):
    for choice in (*range(M), M, M + 1):
        tab.select_option("select", str(choice))
        wait(tab, choice)
        said = tab.inner_text(".crbm-viewer-note").split(": ")[1].split(" neuron")[0]
        assert int(said.replace(",", "")) == tab.evaluate(SHOWN)["n"]
        assert said == f"{len(viewer.selection(choice).neurons):,}"


def test_list_buttons_and_regions(tab, viewer):
    tab.select_option("select", str(M + 1))
    wait(tab, M + 1)
    shown, given = tab.evaluate(SHOWN), viewer.selection(M + 1)
    np.testing.assert_allclose(shown["x"], viewer.coordinates[given.neurons, 0], atol=0.01)
    expected = [unit_color(k) for k in given.strongest]
    # Where the larger of two weights is a matter of rounding, either unit may be shown.
    assert np.mean(np.array(shown["w"]) == np.array(expected)) > 0.99
    tab.click("text=Next")
    wait(tab, 0)
    tab.click("text=Previous")
    wait(tab, M - 1)


def test_play_goes_through_the_assemblies_until_something_else_is_asked_for(tab):
    tab.select_option("select", "0")
    wait(tab, 0)
    player = tab.locator("button[data-play]")
    tab.evaluate(RECORD_CHOICES)
    player.click()
    assert (player.text_content(), player.get_attribute("aria-pressed")) == ("Pause", "true")
    tab.wait_for_function("window.choices.length >= 3", timeout=60_000)
    tab.click("text=Previous")
    assert player.text_content() == "Play"
    asked_for = tab.input_value("select")  # a slow machine may have played on before the click
    wait(tab, asked_for)
    tab.wait_for_timeout(2500)
    choices = tab.evaluate("window.choices")
    assert choices[:3] == ["1", "2", "3"]
    assert set(np.diff([int(choice) for choice in choices[:-1]])) == {1}
    assert choices[-1] == asked_for == str(int(choices[-2]) - 1)


def test_pointing_at_a_neuron_names_region_and_weight(tab):
    tab.select_option("select", str(M))  # a region is dense enough to hit a neuron of it
    wait(tab, M)
    scene = tab.locator("#scene").bounding_box()
    x, y = scene["x"] + scene["width"] / 2, scene["y"] + scene["height"] / 2
    label = tab.locator("g.hovertext")
    for k in range(40):
        tab.mouse.move(x + 3 * (k % 8), y + 20 * (k // 8))
        tab.wait_for_timeout(250)
        if label.count():
            break
    text = label.first.text_content()
    assert "left" in text and "weight" in text and "neuron" in text


def test_the_output_of_a_live_notebook_carries_plotly(browser, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("plotly.io.renderers.default", "plotly_mimetype+notebook")
    small = view_assemblies(np.eye(50), np.random.default_rng(0).normal(size=(50, 3)))
    page = tmp_path / "output.html"
    page.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{small._repr_html_()}", encoding="utf-8")
    tab = browser.new_page()
    tab.goto(page.as_uri())
    wait(tab, 0)
    assert tab.inner_text(".crbm-viewer-note") == small.notes[0]
    tab.close()


def test_no_name_ends_a_page_and_pointing_shows_it_as_it_is(browser, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("plotly.io.renderers.default", "plotly_mimetype+notebook")
    name = "<!--<script> <b>&lt;$x$ \udce9"
    n = 5000
    places = np.random.default_rng(0).uniform(size=(n, 3)) * [400, 900, 250]
    hostile = view_assemblies(
        np.ones((n, 1)), places, labels=np.ones((n, 1)), label_names=[name],
        names=[f"{name} {k}" for k in range(n)], coordinate_unit=name,
    )  # fmt: skip
    page = tmp_path / "output.html"
    output = f"<!DOCTYPE html><meta charset='utf-8'>{hostile._repr_html_()}<p id=tail>the rest</p>"
    page.write_text(output, encoding="utf-8")
    tab = browser.new_page(viewport=DESKTOP)
    tab.goto(page.as_uri())
    wait(tab, 0)
    shown = name.replace("\udce9", "\ufffd")
    assert tab.inner_text("#tail") == "the rest"
    assert tab.locator("option").nth(1).text_content() == shown
    scene = tab.locator("#scene").bounding_box()
    x, y = scene["x"] + scene["width"] / 2, scene["y"] + scene["height"] / 2
    label = tab.locator("g.hovertext")
    for k in range(40):
        tab.mouse.move(x + 3 * (k % 8), y + 20 * (k // 8))
        tab.wait_for_timeout(250)
        if label.count():
            break
    text = label.first.text_content()
    assert text.startswith(shown) and f"neuron {shown} " in text
    assert label.first.locator("[style*='bold']").count() == 0
    tab.close()


def test_a_missing_data_file_is_said_on_the_page(browser, page, tmp_path):  # noqa: F811
    for file in (page, page.with_name("plotly.min.js")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tab = browser.new_page()
    tab.goto((tmp_path / page.name).as_uri())
    tab.wait_for_function(
        "() => document.querySelector('.crbm-viewer-note').textContent.includes('brain_data.js')"
    )
    tab.close()
