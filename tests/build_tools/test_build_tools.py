"""The tools between the chapters and the site: what counts as unchanged, what is rewritten."""

import re

import chapter_store
import docstring_text
import first_use
import nbformat
import page_cells
import page_cleanup
import pytest
import stage
from nbformat import v4


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one chapter, and a store of its own."""
    (tmp_path / "book" / "part").mkdir(parents=True)
    toc = "root: index\nparts:\n  - chapters:\n      - file: part/one\n      - file: part/absent\n"
    (tmp_path / "book" / "_toc.yml").write_text(toc)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("1 + 1")])
    nbformat.write(notebook, tmp_path / "book" / "part" / "one.ipynb")
    monkeypatch.setattr(chapter_store, "BOOK", tmp_path / "book")
    monkeypatch.setattr(chapter_store, "STORE", tmp_path / "store")
    return tmp_path / "book"


def test_a_chapter_is_current_until_its_notebook_changes(book):
    (chapter,) = chapter_store.chapters()
    assert chapter_store.current_run(chapter) is None
    notebook = nbformat.read(chapter, as_version=4)
    chapter_store.keep(chapter, notebook, seconds=1.5)
    run = chapter_store.current_run(chapter)
    assert (run.cells, run.seconds, run.missing) == (1, 1.5, "")
    notebook.cells[0].source = "1 + 2"
    nbformat.write(notebook, chapter)
    assert chapter_store.current_run(chapter) is None
    assert chapter_store.last_run(chapter) == run


def test_a_chapter_is_forgotten_whole(book):
    (chapter,) = chapter_store.chapters()
    chapter_store.keep(chapter, nbformat.read(chapter, as_version=4), seconds=0.0)
    chapter_store.forget(chapter)
    assert chapter_store.last_run(chapter) is None
    assert not chapter_store.executed_path(chapter).exists()


@pytest.mark.parametrize("what", ["_library_hash", "versions"])
def test_the_key_depends_on_the_library_and_the_versions(book, monkeypatch, what):
    (chapter,) = chapter_store.chapters()
    before = chapter_store.key(chapter)
    monkeypatch.setattr(chapter_store, what, lambda: "another")
    assert chapter_store.key(chapter) != before


def test_the_key_depends_on_the_recordings_only_where_one_is_fetched(book, monkeypatch):
    (chapter,) = chapter_store.chapters()
    notebook = nbformat.read(chapter, as_version=4)
    keys = []
    for source in ("1 + 1", 'fetch("retinal-waves")'):
        notebook.cells[0].source = source
        nbformat.write(notebook, chapter)
        for at_hand in ([], ["retinal-waves/a.h5 10"]):
            monkeypatch.setattr(chapter_store, "_recordings_at_hand", lambda found=at_hand: found)
            keys.append(chapter_store.key(chapter))
    assert keys[0] == keys[1]
    assert keys[2] != keys[3]


@pytest.mark.parametrize(
    ("written", "escaped"),
    [
        ("the modulus |w| of weights_", r"the modulus \|w\| of weights\_"),
        ("``|w|`` and ``weights_`` stay", "``|w|`` and ``weights_`` stay"),
        (":math:`|w|` is |w|", r":math:`|w|` is \|w\|"),
        (">>> model.weights_ | 1", ">>> model.weights_ | 1"),
        ("quantity_given_quantity", "quantity_given_quantity"),
        ("a citation [1]_ stays", "a citation [1]_ stays"),
        ("    weights_, means_ : |w| of x_", r"    weights_, means_ : \|w\| of x\_"),
    ],
)
def test_docstrings_are_escaped_outside_code_and_math(written, escaped):
    assert docstring_text.escape(written) == escaped


def test_staging_draws_plotly_without_a_kernel_and_hides_the_marker(book, tmp_path, monkeypatch):
    (chapter,) = chapter_store.chapters()
    figure = {"data": [{"type": "scatter", "x": [0, 1], "y": [1, 0]}], "layout": {}}
    output = v4.new_output("display_data", data={page_cells.PLOTLY: figure, "text/plain": "Figure"})
    cell = v4.new_code_cell(
        "# NBVAL_CHECK_OUTPUT\nfig.show()",
        outputs=[output, output],
        metadata={"mystnb": {"image": {"alt": 'a "line"'}}},
    )
    chapter_store.keep(chapter, v4.new_notebook(cells=[cell]), seconds=0.0)
    monkeypatch.setattr(stage, "SOURCE", tmp_path / "site")
    (tmp_path / "site" / "part").mkdir(parents=True)
    stage._stage_chapter(chapter, first_use.Reference([], {}, set()))
    staged = nbformat.read(tmp_path / "site" / "part" / "one.ipynb", as_version=4).cells[0]
    assert staged.source == "fig.show()"
    (both,) = (out.data["text/html"] for out in staged.outputs)  # side by side, one caption
    assert both.startswith('<div class="plotly-row">') and both.count('class="caption"') == 1
    assert both.count('data-library="../_static/vendor/plotly.min.js"') == 2
    assert set(re.findall("<script[^>]*>", both)) == {'<script type="text/x-plotly">'}  # asleep
    assert both.count('aria-label="a &quot;line&quot;"') == 2
    assert both.count("min-height: 450px") == 2


def test_a_chapter_says_how_long_it_takes_as_the_page_of_times_has_it(book, tmp_path, monkeypatch):
    (chapter,) = chapter_store.chapters()
    text = "**What you'll need.** [Time](../reference/execution_times.md), 1 GB of RAM."
    cells = [v4.new_markdown_cell(text)]
    nbformat.write(v4.new_notebook(cells=cells), chapter)
    chapter_store.keep(chapter, v4.new_notebook(cells=cells), seconds=41.6)
    monkeypatch.setattr(stage, "SOURCE", tmp_path / "site")
    (tmp_path / "site" / "part").mkdir(parents=True)
    stage._stage_chapter(chapter, first_use.Reference([], {}, set()))
    staged = nbformat.read(tmp_path / "site" / "part" / "one.ipynb", as_version=4).cells[0].source
    assert "[42 seconds](../reference/execution_times.md) of processor time" in staged
    assert "1 minutes" not in staged and "1 minute to read" in staged


def drawing(source, *, alt="a line, rising", tags=(), mime="image/png"):
    return v4.new_code_cell(
        source,
        outputs=[v4.new_output("display_data", data={mime: "..."})],
        metadata={"mystnb": {"image": {"alt": alt}}, "tags": list(tags)},
    )


def test_plotting_code_is_folded_and_short_or_solved_code_is_not():
    long = "a = 1\nb = 2\nc = 3\nplot(a, b, c)"
    for cell, folded in (
        (drawing(long), True),
        (drawing(long, mime=page_cells.PLOTLY), True),
        (drawing("plot(1)"), False),
        (drawing(long, tags=["hide-cell", "solution"]), False),  # folded with its output
        (v4.new_code_cell(long), False),
    ):
        page_cells.fold(cell)
        assert ("hide-input" in cell.metadata.get("tags", [])) == folded
    setup = v4.new_code_cell("import numpy", metadata={"tags": ["hide-input"]})
    page_cells.fold(setup)
    assert setup.metadata.mystnb.code_prompt_show == "Show the code"


def test_the_alternative_text_of_a_picture_becomes_its_caption():
    shown, interactive = drawing("plot(1)"), drawing("plot(1)", mime="text/html")
    for cell in (shown, interactive):
        page_cells.caption(cell)
    assert shown.metadata.mystnb.figure.caption == "a line, rising"
    assert "figure" not in interactive.metadata.mystnb


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("r above 0.9: True", True),
        ("at the floor: [True, False]", True),
        ("glm_left_out_larva = 0.028", True),
        ("lambda = 0.02: converged, 8 of 8", False),
        ("True probabilities reach 0.132", False),
        ("log Z = 11.95", False),
    ],
)
def test_lines_for_tests_and_ledger_are_told_from_lines_for_readers(printed, seen):
    output = v4.new_output("stream", text=f"first\n{printed}\n")
    assert page_cells.scaffolding(v4.new_code_cell(outputs=[output])) == [printed] * seen
    hidden = v4.new_code_cell(outputs=[output], metadata={"tags": ["remove-cell"]})
    assert page_cells.scaffolding(hidden) == []


def test_a_picture_tells_its_size(tmp_path):
    png = tmp_path / "a.png"
    png.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes([0, 0, 3, 232, 0, 0, 1, 44]))
    body = '<img alt="x" src="../_images/one.png" /><img src="_images/other.png" />'
    sized = page_cleanup.with_sizes(body, {"one.png": png})
    assert sized == (
        '<img alt="x" src="../_images/one.png" width="1000" height="300" '
        'style="--natural-width: 1000px"/><img src="_images/other.png" />'
    )
    assert page_cleanup.with_sizes(sized, {"one.png": png}) == sized
