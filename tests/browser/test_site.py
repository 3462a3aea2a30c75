"""The built site in a real browser: every page, with every other host blocked.

Skipped where there is no Chromium, no playwright, or no built site (`make book` builds it).
"""

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path
from urllib.parse import quote

import numpy as np
import page_cells
import pytest

from crbm_lite.plotting.interactive.explorer_page import lines_within
from crbm_lite.plotting.interactive.explorers import drelu_explorer

pytestmark = pytest.mark.browser

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = REPOSITORY / "build" / "site"
BOOK = REPOSITORY / "book"
AXE = REPOSITORY / "build" / "vendor" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
ONE_SCREEN = 1500  # pixels
# No name but this machine's is found: other hosts are blocked in the browser itself. Playwright's
# routes would block them too, but switch off the cache in which pages share their scripts.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
# Made by Sphinx, as are the sources in _modules.
NOT_PAGES = {"genindex.html", "py-modindex.html", "search.html"}

PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if path.name not in NOT_PAGES and not {"_static", "_modules"} & set(path.parts)
)
CHAPTERS = [page for page in PAGES if (BOOK / page).with_suffix(".ipynb").is_file()]
every_page = pytest.mark.parametrize("page", PAGES or ["index.html"])

UNRENDERED = """() => [...document.querySelectorAll('.math')]
    .filter(e => !e.querySelector('mjx-container') || e.querySelector('mjx-merror'))
    .map(e => e.textContent.slice(0, 60))"""
BAD_IMAGES = """() => [...document.querySelectorAll('.bd-article img')]
    .filter(e => !(e.alt || '').trim() || !e.naturalWidth).map(e => e.src)"""
TOO_WIDE = """() => [...document.querySelectorAll('.bd-article *')]
    .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
    .filter(e => !e.closest('pre, table'))
    .slice(0, 5).map(e => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 60))"""
BAD_PLOTS = """() => [...document.querySelectorAll('.plotly-graph-div')]
    .filter(e => !e.querySelector('.main-svg')).map(e => e.id)"""
# Plotly is loaded and a figure drawn when it comes into view.
COME_INTO_VIEW = """async () => { for (const e of document.querySelectorAll('.plotly-figure')) {
    e.scrollIntoView();
    for (let i = 0; i < 100 && !e.querySelector('.main-svg'); i++)
        await new Promise(wait => setTimeout(wait, 100));
    }
    window.scrollTo(0, 0); }"""
# What was meant for a program: a number that was not filled in, an escape, the name of an object.
LEFT_OVER = """() => [...document.querySelectorAll('.bd-article :is(p, li, td, dt, .output pre)')]
    .map(e => e.textContent.match(/.{0,30}(\\{\\{ *\\w|\\w\\\\_| at 0x[0-9a-f]{6}).{0,30}/)?.[0])
    .filter(Boolean).slice(0, 5)"""
# What was printed for the tests or the ledger: lines that end in True, and `key = number`.
SCAFFOLDING = """pattern => [...document.querySelectorAll('.bd-article .cell_output pre')]
    .flatMap(e => e.textContent.split('\\n')).filter(line => RegExp(pattern).test(line))"""
# Where the first figure of a page begins, in pixels from its top; null where it has none.
FIRST_FIGURE = """() => document.querySelector(
        '.bd-article :is(img, .plotly-figure, .crbm-explorer, .crbm-viewer)')
    ?.getBoundingClientRect().top + window.scrollY || null"""
# The handles of ipywidgets' own sliders are left out: they are not ours to label.
SERIOUS = """async rules => (await axe.run(
        {include: ['main'], exclude: ['.jupyter-widgets']},
        {resultTypes: ['violations'], preload: false, ...rules})).violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | '))"""
# Thousands of tokens in the code of a chapter look alike. Contrast is measured on the first of each
# look and not on the others, which become plain text.
THIN_OUT_CODE = """() => { const seen = new Set();
    for (const e of document.querySelectorAll('pre span:not(:has(*))')) {
        const look = e.className + ' in ' + e.closest('[class*=highlight-]')?.className;
        if (seen.has(look)) e.replaceWith(e.textContent); else seen.add(look);
    } }"""
# What the first matrix of squares says, and how bright each square is.
CELLS = """() => [...document.querySelectorAll('.crbm-explorer svg rect + text')]
    .map(e => [e.textContent, e.previousElementSibling.getAttribute('fill')])
    .map(([text, css]) => [text, css.match(/[\\d.]+/g).map(Number)])
    .map(([text, [r, g, b]]) => [text, 0.2126 * r + 0.7152 * g + 0.0722 * b])"""
NOT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
CONTRAST = {"runOnly": ["color-contrast"]}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: run `make book` first")
    if not (SITE / "_static" / "vendor" / "mathjax").is_dir():
        pytest.skip("the site was built without npm: its math comes from the network")
    handler = functools.partial(QuietHandler, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def context(browser):
    """One for all pages: what they share is loaded and compiled once."""
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def opened(context, address):
    """open(page) -> the loaded page, and the list of what went wrong on the way."""
    tabs, problems = [], []

    def note_request(request):
        if not request.url.startswith((address, "data:", "blob:", SITE.as_uri())):
            problems.append(f"asked another host: {request.url}")

    def note_message(message):
        if message.type == "error":
            problems.append(f"console: {message.text}")

    def note_response(response):
        if response.status >= 400:
            problems.append(f"{response.status}: {response.url}")

    def open_page(page):
        tab = context.new_page()
        tabs.append(tab)
        tab.set_viewport_size(DESKTOP)
        tab.on("request", note_request)
        tab.on("console", note_message)
        tab.on("pageerror", lambda error: problems.append(f"script: {error}"))
        tab.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
        tab.on("response", note_response)
        tab.goto(address + page, wait_until="load")
        tab.wait_for_function("() => !document.querySelector('.math') || window.MathJax?.startup")
        tab.evaluate("() => window.MathJax?.startup?.promise")
        tab.evaluate("() => document.fonts.ready")
        if tab.query_selector("script[type*=widget-view]"):  # drawn after the page has loaded
            tab.wait_for_load_state("networkidle")
        return tab

    yield open_page, problems
    for tab in tabs:
        tab.close()


@every_page
def test_page(opened, page):
    """One visit: no network, no error, math and pictures there, a phone's width, accessibility."""
    open_page, problems = opened
    tab = open_page(page)
    tab.evaluate(COME_INTO_VIEW)
    found = {
        "problems while loading": problems,
        "math not rendered": tab.evaluate(UNRENDERED),
        "images broken or without alternative text": tab.evaluate(BAD_IMAGES),
        "interactive figures not drawn": tab.evaluate(BAD_PLOTS),
        "left over": tab.evaluate(LEFT_OVER),
        "printed for tests or ledger": tab.evaluate(SCAFFOLDING, page_cells.SCAFFOLDING.pattern),
        # Without a link to one, browsers ask for /favicon.ico and log that it is missing.
        "no icon": tab.locator("link[rel~=icon]").count() == 0,
    }
    if AXE.is_file():
        tab.add_script_tag(path=AXE)
        found["not accessible"] = tab.evaluate(SERIOUS, NOT_CONTRAST)
    tab.set_viewport_size(PHONE)
    if tab.evaluate("() => document.documentElement.scrollWidth") > PHONE["width"]:
        found["wider than a phone"] = tab.evaluate(TOO_WIDE)
    if AXE.is_file():
        tab.set_viewport_size(DESKTOP)
        tab.evaluate(THIN_OUT_CODE)
        for theme in ("light", "dark"):
            tab.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
            found[f"hard to read, {theme}"] = tab.evaluate(SERIOUS, CONTRAST)
    assert not {what: finds for what, finds in found.items() if finds}


@pytest.mark.parametrize("page", CHAPTERS or ["index.html"])
def test_the_first_figure_of_a_chapter_is_within_one_screen(opened, page):
    open_page, _ = opened
    top = open_page(page).evaluate(FIRST_FIGURE)
    assert top is not None and top < ONE_SCREEN


@pytest.mark.parametrize("page", CHAPTERS or ["index.html"])
def test_a_chapter_can_be_taken_away_as_a_notebook(opened, page):
    """Its link leads to a notebook with outputs."""
    open_page, _ = opened
    href = open_page(page).locator("a[download$='.ipynb']").get_attribute("href")
    notebook = json.loads((SITE / page).parent.joinpath(href).read_text(encoding="utf-8"))
    assert any(cell.get("outputs") for cell in notebook["cells"])


@every_page
def test_page_is_small(page):
    path = SITE / page
    if not path.is_file():
        pytest.skip("the site is not built: run `make book` first")
    assert path.stat().st_size < 1.5e6


def test_a_chapter_is_readable_within_two_seconds(opened):
    open_page, _ = opened
    paint = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
    # The best of three: the machine may have other work.
    assert min(open_page("model/the_model.html").evaluate(paint) for _ in range(3)) < 2000


def test_plotly_is_loaded_when_a_figure_comes_into_view(opened):
    open_page, problems = opened
    tab = open_page("start/quickstart.html")
    drawn = "() => document.querySelectorAll('.plotly-graph-div .main-svg').length > 0"
    assert not tab.evaluate("() => 'Plotly' in window")
    tab.locator(".plotly-figure").first.scroll_into_view_if_needed()
    tab.wait_for_function(drawn)
    assert problems == []


def test_pages_work_from_a_folder_too(opened):
    open_page, problems = opened
    tab = open_page("reference/glossary.html")  # what it takes note of goes on with what follows
    tab.goto((SITE / "model" / "the_model.html").as_uri(), wait_until="load")
    tab.wait_for_selector(".crbm-explorer svg")
    tab.wait_for_function("() => document.querySelector('.math mjx-container')")
    assert problems == []


def test_sliders_move_by_keyboard_and_show_what_was_computed(opened):
    explorer = drelu_explorer()
    open_page, problems = opened
    tab = open_page("model/the_model.html")
    box = tab.locator(".crbm-explorer").first
    note = box.locator(".crbm-explorer-note")
    assert note.inner_text() == explorer.notes[explorer.start]
    position = list(explorer.start)
    for axis, key, by in ((2, "ArrowRight", 1), (3, "ArrowLeft", -1), (0, "ArrowRight", 1)):
        slider = box.locator("input").nth(axis)
        slider.focus()
        slider.press(key)
        position[axis] += by
        assert note.inner_text() == explorer.notes[tuple(position)]
        assert (
            slider.get_attribute("aria-valuetext") == explorer.controls[axis].texts[position[axis]]
        )
    for k, panel in enumerate(explorer.panels):
        path = box.locator("svg").nth(k).locator("path[stroke-width='2']").get_attribute("d")
        drawn = np.array([p.split() for p in path[1:].replace("M", "L").split("L")], float)[:, 1]
        low, high = panel.limits
        shown = lines_within(panel.values[(*position, 0)], panel.limits)
        expected = np.clip(shown[np.isfinite(shown)], low, high)
        top, bottom = 26, 194  # of the panel's box in explorer.js
        np.testing.assert_allclose(
            bottom - (expected - low) / (high - low) * (bottom - top), drawn, atol=0.06
        )
    assert problems == []


def test_the_largest_amount_stands_out_most_on_either_ground(opened):
    open_page, problems = opened
    tab = open_page("validation/model_selection.html")
    for theme, ground in (("light", 255), ("dark", 0)):
        tab.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        tab.wait_for_timeout(100)  # the figure is drawn again by an observer of the theme
        cells = tab.evaluate(CELLS)
        values, brightness = np.array([(float(t.replace("−", "-")), b) for t, b in cells]).T
        contrast = np.abs(ground - brightness)
        contrast = contrast[np.lexsort((contrast, values))]  # labels are rounded: some are equal
        assert len(set(values)) > 2 and len(set(brightness)) > 2  # else the order says nothing
        assert (np.diff(contrast) >= 0).all(), theme
    assert problems == []


def test_the_site_follows_the_theme_of_the_system(browser, address):
    for theme in ("light", "dark"):
        context = browser.new_context(color_scheme=theme)
        tab = context.new_page()
        tab.goto(address + "index.html")
        assert tab.evaluate("document.documentElement.dataset.theme") == theme
        context.close()


def test_equations_carry_the_papers_numbers(opened):
    open_page, problems = opened
    tab = open_page("reference/equations.html")
    shown = tab.locator(".eqno").all_inner_texts()
    numbers = [text.strip("()\n ¶#") for text in shown]
    assert {"5", "6", "7–12", "13", "17", "22"} <= set(numbers)
    tab = open_page("model/the_model.html")
    assert tab.locator("a[href$='#equation-eq-drelu']").first.inner_text() == "Eq. 13"
    assert problems == []


@pytest.mark.parametrize(
    ("asked", "page"),
    [
        ("Fig. 2C", "validation/validation.html"),
        ("threshold", "start/your_recording.html"),
        ("suite2p", "start/your_recording.html"),
        ("how long", "start/your_recording.html"),
        ("not converged", "start/faq.html"),
        ("baseline is not above 0", "start/faq.html"),
        ("motion artifacts", "start/faq.html"),
        ("jGCaMP8", "start/faq.html"),
        ("methods section", "start/faq.html"),
        ("ROI numbers", "start/faq.html"),
    ],
)
def test_search_finds_the_right_page_first_and_without_a_network(opened, asked, page):
    open_page, problems = opened
    tab = open_page(f"search.html?q={quote(asked)}")
    tab.wait_for_selector("#search-results li a", timeout=10_000)
    first = tab.locator("#search-results li a").first.get_attribute("href")
    assert first.split("?")[0].split("#")[0] == page
    assert problems == []
