"""How long pages take to open: the 3-D viewer of a whole brain, and every page of the built site.

python -m benchmarks.page_load [neurons] [assemblies]

A headless Chromium without network opens each page from its file. A page is open when its load
event has passed and, in the viewer, the first assembly is drawn. Pages with Plotly figures are
measured twice: as they open, and once every figure has come into view and is drawn. Seconds are
those of the clock and the processor time of the page's main thread; a headless browser also draws
WebGL on the processor, in other threads. The ratio is of that processor time to the one of the same
viewer with a hundred neurons, so that it says the same on a busy machine. Each page is opened three
times, and the least of every number counts. Results go to results/page_load.json; without a built
site (`make book`) only the viewer is measured.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import command, stored
from crbm_lite.plotting.interactive.viewer import AssemblyViewer, view_assemblies

RESULTS = stored.RESULTS / "page_load.json"
SITE = stored.ROOT / "build" / "site"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND")
SIZE = {"width": 1280, "height": 900}
TRIES = 3
PATIENCE_MS = 300_000
VIEWER_DRAWN = ".crbm-viewer[data-shown='0']"
COUNT_FIGURES = "document.querySelectorAll('.plotly-figure').length"
DRAW_FIGURES = """async () => { for (const e of document.querySelectorAll('.plotly-figure')) {
    e.scrollIntoView();
    while (!e.querySelector('.main-svg')) await new Promise(wait => setTimeout(wait, 20));
    } }"""


def brain(n_neurons: int, n_assemblies: int) -> AssemblyViewer:
    """Make up a brain in which each assembly holds one neuron in fifty."""
    rng = np.random.default_rng(0)
    weights = np.zeros((n_neurons, n_assemblies), dtype=np.float32)
    size = max(n_neurons // 50, 1)
    for column in weights.T:
        column[rng.choice(n_neurons, size, replace=False)] = rng.gamma(2.0, 0.2, size)
    places = rng.uniform(size=(n_neurons, 3)) * [400, 900, 250]
    activity = rng.normal(size=(5_000, n_assemblies))
    return view_assemblies(weights, places, activity=activity, rate_hz=2.5)


@contextmanager
def chromium() -> Iterator[object]:
    """Start the browser."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit("no Chromium here: install chromium (Debian: apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def open_page(browser: object, page: Path, drawn: str | None = None) -> dict:
    """Open a page in a browser without cache and say what it took, before and with its figures."""
    context = browser.new_context(viewport=SIZE)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    session = context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    began = time.perf_counter()
    tab.goto(page.as_uri(), wait_until="load")
    if drawn is not None:
        tab.wait_for_selector(drawn)
    found = {"wall_s": time.perf_counter() - began, "cpu_s": _main_thread_s(session)}
    found["figures"] = tab.evaluate(COUNT_FIGURES)
    if found["figures"]:
        tab.evaluate(DRAW_FIGURES)
        found["drawn_wall_s"] = time.perf_counter() - began
        found["drawn_cpu_s"] = _main_thread_s(session)
    context.close()
    return found


def _main_thread_s(session: object) -> float:
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return metrics["TaskDuration"]


def quickest(browser: object, page: Path, drawn: str | None = None) -> dict:
    """Of some loads take the least of every number."""
    loads = [open_page(browser, page, drawn) for _ in range(TRIES)]
    return {name: min(load[name] for load in loads) for name in loads[0]}


def with_ratios(pages: dict[str, dict], unit_cpu_s: float) -> dict[str, dict]:
    """Add to each page its processor time in units of the small viewer's, and round."""
    rounded = {}
    for name, found in pages.items():
        more = {
            key.replace("cpu_s", "ratio"): seconds / unit_cpu_s
            for key, seconds in found.items()
            if key.endswith("cpu_s")
        }
        rounded[name] = {key: round(number, 2) for key, number in (found | more).items()}
    return rounded


def main(n_neurons: int = 50_000, n_assemblies: int = 200) -> None:
    """Measure the viewer and the pages, print and store them."""
    viewer = f"viewer, {n_neurons:,} neurons, {n_assemblies} assemblies"
    chapters = sorted(SITE.rglob("*.html")) if SITE.is_dir() else []
    chapters = [page for page in chapters if not {"_static", "_modules", "api"} & set(page.parts)]
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        page = brain(n_neurons, n_assemblies).save(Path(folder) / "brain.html")
        small = brain(100, 2).save(Path(folder) / "small.html")
        pages = {viewer: quickest(browser, page, VIEWER_DRAWN)}
        for chapter in chapters:
            pages[chapter.relative_to(SITE).as_posix()] = quickest(browser, chapter)
        pages = with_ratios(pages, quickest(browser, small, VIEWER_DRAWN)["cpu_s"])
    print("wall s   CPU s   ratio   figures   CPU s, ratio with the figures drawn   page")
    for name, x in pages.items():
        drawn = (
            f"{x['drawn_cpu_s']:7.2f} {x['drawn_ratio']:7.1f}"
            if x["figures"]
            else "      –       –"
        )
        opened = f"{x['wall_s']:6.2f} {x['cpu_s']:7.2f} {x['ratio']:7.1f} {x['figures']:9}"
        print(f"{opened} {drawn}   {name}")
    stored.write(RESULTS, pages)


if __name__ == "__main__":
    command.run(main)
