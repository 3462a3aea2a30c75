"""Chapters under nbval: run each once, keep what it printed and drew, reuse it while unchanged.

    pytest tests/book book --nbval-lax --nbval-current-env [-n 2 --dist loadfile]

nbval executes the cells of a notebook and compares those marked `# NBVAL_CHECK_OUTPUT`. This plugin
adds seven things. A chapter that passed and has not changed since is skipped, with that reason. One
that passes is written with all outputs to build/executed, from which the website is built. A cell
that draws must carry alternative text. What is printed for the tests or the ledger must not be seen
by readers. Where a recording cannot be had (no network, no copy), the rest of that chapter is
skipped with that reason. Chapters come first, in the order of the table of contents: whole ones are
dealt to the processes, the longest work is not left for the end, and the first chapter trains the
model that the others share. And the closing report counts executed and reused chapters.
"""

import json
import os
import sys
from collections import defaultdict
from copy import deepcopy
from functools import cache
from pathlib import Path
from queue import Empty

import nbformat
import numba
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "book" / "_build_tools"))

import chapter_store  # noqa: E402  (the folder is not a package)
import page_cells  # noqa: E402

FIGURES = (*page_cells.IMAGES, page_cells.PLOTLY)
DATASET_UNAVAILABLE = "DatasetUnavailable"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"

# Asked of the chapter's kernel after its last cell: its processor time, with that of the programs
# it called, which other work on the machine does not change; and what draws its widgets in a page.
ASK_SECONDS = "import os as _os; print(sum(_os.times()[:4]))"
ASK_WIDGET_STATE = """
import sys as _sys
if "ipywidgets" in _sys.modules:
    import json as _json
    print(_json.dumps(_sys.modules["ipywidgets"].Widget.get_manager_state(drop_defaults=True)))
"""


def pytest_configure(config):
    # Hooks of a conftest apply below its folder only, and the chapters live in book/.
    if config.getoption("nbval_lax", default=False) or config.getoption("nbval", default=False):
        config.pluginmanager.register(ChapterRuns(config), "chapter-runs")
        # Figures as data, from which the site draws them; other renderers put plotly.js in each.
        os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"


class ChapterRuns:
    """Keeps account of the chapters of one pytest session."""

    def __init__(self, config):
        self._plugins = config.pluginmanager
        self._progress = defaultdict(list)  # chapter -> reports of its cells
        self.executed = {}  # name -> how long it took
        self.reused = {}  # name -> when it was executed
        self.failed = set()
        self._started = set()  # chapters of which a cell has run
        self._cells = {}  # chapter -> its cells that passed or were skipped
        self._missing = {}  # chapter -> why the rest of it cannot run

    def pytest_collection_modifyitems(self, items):
        place = {path.resolve(): i for i, path in enumerate(chapter_store.chapters())}
        items.sort(key=lambda item: place.get(item.path.resolve(), len(place)))
        for chapter in dict.fromkeys(item.parent for item in items if isinstance(item, IPyNbCell)):
            run = chapter_store.current_run(chapter.path)
            if run is None or run.missing:  # what was missing may be there by now
                continue
            self.reused[chapter_store.name_of(chapter.path)] = run.finished
            reason = f"unchanged since {run.finished}, when it passed; outputs in build/executed"
            for item in items:
                if item.parent is chapter:
                    item.add_marker(pytest.mark.skip(reason=reason))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        if not isinstance(item, IPyNbCell):
            return (yield)
        # The first cell starts the kernel: it takes as many threads as this process may.
        before = os.environ["NUMBA_NUM_THREADS"]
        os.environ["NUMBA_NUM_THREADS"] = str(numba.get_num_threads())
        try:
            return (yield)
        finally:
            os.environ["NUMBA_NUM_THREADS"] = before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        if not isinstance(item, IPyNbCell):
            return (yield)
        chapter = item.parent
        if chapter not in self._started:
            self._started.add(chapter)
            chapter_store.forget(chapter.path)
        try:
            if chapter in self._missing:
                pytest.skip(self._missing[chapter])
            result = yield
            _require_alt_text(item)
            _require_no_scaffolding(item)
        except pytest.skip.Exception:
            self._done(item)
            raise
        except Exception:
            reason = _missing_recording(item)
            if reason is None:
                self.failed.add(chapter_store.name_of(chapter.path))
                raise
            self._missing[chapter] = reason
            item.test_outputs = [NotebookNode(output_type="stream", name="stdout", text=reason)]
            self._done(item)
            pytest.skip(reason)
        self._done(item)
        return result

    def _done(self, item: IPyNbCell) -> None:
        """Count a cell that passed or was skipped; keep the chapter after its last one."""
        chapter = item.parent
        self._cells.setdefault(chapter, []).append(item)
        if len(self._cells[chapter]) == sum(c.cell_type == "code" for c in chapter.nb.cells):
            self._keep(chapter, chapter_store.name_of(chapter.path))

    def _keep(self, chapter: IPyNbFile, name: str) -> None:
        notebook = deepcopy(chapter.nb)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for number, (cell, item) in enumerate(zip(code, self._cells[chapter], strict=True), 1):
            cell.outputs = _as_shown(item)
            cell.execution_count = number
        widgets = _widget_state(chapter)
        if widgets:
            notebook.metadata["widgets"] = {WIDGET_STATE: widgets}
        seconds = float(_answer(chapter, ASK_SECONDS) or "nan")
        missing = self._missing.get(chapter, "")
        chapter_store.keep(chapter.path, notebook, seconds=seconds, missing=missing)
        self.executed[name] = f"{seconds:.1f} CPU s" + (f", in part: {missing}" if missing else "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        """A chapter has one line of progress, not a dot for each cell."""
        if _chapter_of(report) and not report.failed:
            return report.outcome if report.when == "call" or report.skipped else "", "", ""
        return None

    def pytest_runtest_logreport(self, report):
        chapter, terminal = _chapter_of(report), self._plugins.getplugin("terminalreporter")
        if terminal is None or chapter is None:  # one of several processes: the first one tells
            return
        reports = self._progress[chapter]
        reports.append(report)
        if sum(r.when == "teardown" for r in reports) == _n_cells(chapter):
            seconds = sum(r.duration for r in reports)
            terminal.write_line(f"{chapter}  {_n_cells(chapter)} cells, {seconds:.0f} s")

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workeroutput"):  # one of several processes: tell the first
            account = {name: getattr(self, name) for name in ("executed", "reused")}
            session.config.workeroutput["chapters"] = account | {"failed": sorted(self.failed)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        account = getattr(node, "workeroutput", {}).get("chapters", {})
        for name, found in account.items():
            getattr(self, name).update(found)

    def pytest_terminal_summary(self, terminalreporter):
        if not (self.executed or self.reused or self.failed):
            return
        terminalreporter.section("chapters")
        for name, how in self.executed.items():
            terminalreporter.line(f"executed  {name}  {how}")
        for name, when in self.reused.items():
            terminalreporter.line(f"reused    {name}  unchanged since {when}")
        for name in sorted(self.failed):
            terminalreporter.line(f"failed    {name}")
        terminalreporter.line(
            f"{len(self.executed)} executed, {len(self.reused)} reused, {len(self.failed)} failed"
        )


def _chapter_of(report) -> str | None:
    path = report.nodeid.partition("::")[0]
    return path if path.endswith(".ipynb") else None


@cache
def _n_cells(chapter: str) -> int:
    cells = nbformat.read(REPOSITORY / chapter, as_version=4).cells
    return sum(cell.cell_type == "code" for cell in cells)


def _require_alt_text(item: IPyNbCell) -> None:
    draws = any(mime in out.get("data", {}) for out in item.test_outputs or [] for mime in FIGURES)
    if draws and not page_cells.alternative_text(item.cell):
        item.raise_cell_error(
            "The cell draws a figure without alternative text: say what it shows in its metadata, "
            '{"mystnb": {"image": {"alt": "..."}}}'
        )


def _require_no_scaffolding(item: IPyNbCell) -> None:
    ran = NotebookNode(metadata=item.cell.metadata, outputs=item.test_outputs or [])
    if found := page_cells.scaffolding(ran):
        item.raise_cell_error(
            f"The page would show {found[0]!r}, which speaks to the tests or the ledger: print it "
            "in a cell tagged `remove-cell`, and say in the text what a reader should see"
        )


def _as_shown(item: IPyNbCell) -> list[NotebookNode]:
    """The outputs as a notebook shows them: a final semicolon hides the value of the last line."""
    quiet = item.cell.source.rstrip().endswith(";")
    kept = [o for o in item.test_outputs or [] if not (quiet and o.output_type == "execute_result")]
    return deepcopy(kept)


def _missing_recording(item: IPyNbCell) -> str | None:
    """Why a recording cannot be had, if that is what stopped the cell."""
    for out in item.test_outputs or []:
        if out.output_type == "error" and out.ename == DATASET_UNAVAILABLE:
            return f"{out.ename}: {out.evalue}"
    return None


def _widget_state(chapter: IPyNbFile) -> dict | None:
    text = _answer(chapter, ASK_WIDGET_STATE)
    state = json.loads(text) if text.strip() else None
    return state if state and state.get("state") else None


def _answer(chapter: IPyNbFile, code: str) -> str:
    """What the chapter's kernel prints when it runs this code; "" if it does not answer."""
    message = chapter.kernel.execute_cell_input(code, allow_stdin=False)
    text = ""
    try:
        chapter.kernel.await_reply(message, timeout=30)
        while True:
            msg = chapter.get_kernel_message(timeout=10)
            if msg["parent_header"].get("msg_id") != message:
                continue
            if msg["msg_type"] == "stream":
                text += msg["content"]["text"]
            elif msg["msg_type"] == "status" and msg["content"]["execution_state"] == "idle":
                break
    except Empty:
        return ""
    return text
