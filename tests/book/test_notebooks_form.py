"""Every chapter has the form described in CONTRIBUTING.md.

What can only be seen by running a chapter (that each figure carries alternative text) is checked by
the plugin in tests/book/conftest.py.
"""

import ast
import builtins
import re
import sys
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest
import yaml

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path.insert(0, str(BOOK / "_build_tools"))

import page_cells  # noqa: E402  (the folder is not a package)
import reading_time  # noqa: E402

CHAPTERS = sorted(
    path
    for path in BOOK.rglob("*.ipynb")
    if not {"_build", ".ipynb_checkpoints"} & set(path.relative_to(BOOK).parts)
)
MAX_LINES = 15
MAX_MINUTES = 15
MARKER = "# NBVAL_CHECK_OUTPUT"
OPENING = ("what you'll do", "what you'll learn", "what you'll need")
CLOSING = ("key takeaways", "exercises", "use your own recording", "further reading")

every_chapter = pytest.mark.parametrize(
    "path", CHAPTERS, ids=[path.relative_to(BOOK).as_posix() for path in CHAPTERS]
)


def cells(path, kind):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def plain(text):
    return text.replace("’", "'").lower()


def headings(path):
    """(level, lower-case title) of every heading, fenced code left out."""
    text = "\n\n".join(cell.source for cell in cells(path, "markdown"))
    text = re.sub(r"^(`{3,}|:{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^(#+) +(.+?) *$", text, flags=re.MULTILINE)
    return [(len(marks), plain(title)) for marks, title in found]


def is_solution(cell):
    return "solution" in cell.metadata.get("tags", [])


def code_lines(cell):
    return [line for line in cell.source.splitlines() if line.strip() and line.strip() != MARKER]


def test_there_are_chapters_and_the_table_of_contents_names_each():
    assert CHAPTERS
    toc = (BOOK / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"file: (\S+)", toc)) | {yaml.safe_load(toc)["root"]}
    missing = [p.relative_to(BOOK).with_suffix("").as_posix() for p in CHAPTERS]
    assert not [name for name in missing if name not in listed]


@every_chapter
def test_no_picture_or_widget_is_stored(path):
    stored = {
        mime
        for cell in cells(path, "code")
        for out in cell.outputs
        for mime in out.get("data", {})
        if mime != "text/plain"
    }
    assert not stored, f"clear these outputs before committing: {sorted(stored)}"
    assert "widgets" not in nbformat.read(path, as_version=4).metadata


@every_chapter
def test_outputs_are_stored_where_they_are_checked_and_nowhere_else(path):
    checked = [cell for cell in cells(path, "code") if MARKER in cell.source]
    assert checked, "no cell is checked: print a number that matters in a cell with " + MARKER
    for cell in cells(path, "code"):
        if cell in checked:
            # nbval compares nothing where the reference was never run.
            assert cell.outputs, f"a checked cell stores no output:\n{cell.source}"
            assert cell.execution_count, f"a checked cell was never run:\n{cell.source}"
        else:
            assert not cell.outputs, f"an unchecked cell stores output:\n{cell.source}"


@every_chapter
def test_readers_see_nothing_that_is_printed_for_tests_or_ledger(path):
    """What unchecked cells print is looked at when they run (tests/book/conftest.py)."""
    for cell in cells(path, "code"):
        tags = cell.metadata.get("tags", [])
        for_ledger = "claims" in tags and "remove-cell" not in tags
        seen = page_cells.scaffolding(cell)
        assert not (seen or for_ledger), f"tag this cell `remove-cell`:\n{cell.source}"


@every_chapter
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        n_lines = len(code_lines(cell))
        assert 1 <= n_lines <= MAX_LINES, f"{n_lines} lines:\n{cell.source}"


@pytest.mark.parametrize("path", reading_time.pages(), ids=lambda p: p.stem)
def test_a_page_is_read_within_a_quarter_of_an_hour(path):
    assert 0 < reading_time.minutes(path) <= MAX_MINUTES


def test_reading_time_counts_words_and_not_code(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("one two\n\n```python\nx = 1\n```\n\n" + "word " * 398)
    assert reading_time.minutes(page) == 2.0


@every_chapter
def test_opening_says_what_and_how_long(path):
    first = plain(cells(path, "markdown")[0].source)
    assert first.startswith("# "), "the first cell is the title"
    opening = plain("\n".join(cell.source for cell in cells(path, "markdown")[:4]))
    for phrase in OPENING:
        assert phrase in opening, f"say “{phrase}” before the first section"
    need = opening[opening.index("what you'll need") :]
    for what, pattern in {
        "the time": r"\[time\]\(\.\./reference/execution_times\.md\)",  # numbers come from there
        "the memory": r"\b(mb|gb)\b",
        "the data": r"\b(data|recording|download)",
    }.items():
        assert re.search(pattern, need), f"“what you'll need” does not name {what}"


@every_chapter
def test_closing_sections_are_there(path):
    titles = headings(path)
    assert [level for level, _ in titles].count(1) == 1, "one title per chapter"
    second = [title for level, title in titles if level == 2]
    for wanted in CLOSING:
        assert wanted in second, f"the section “## {wanted.capitalize()}” is missing"
    assert second[-1] == CLOSING[-1], "“Further reading” comes last"


@every_chapter
def test_the_readers_own_recording_is_sent_to_the_page_that_takes_it_all_the_way(path):
    """There is one page for it and one set of defaults, `CRBM()`."""
    text = "\n\n".join(cell.source for cell in cells(path, "markdown"))
    box = text[text.lower().index("## use your own recording") :].split("\n## ")[0]
    assert path.stem == "your_recording" or "your_recording.ipynb" in box
    assert not re.search(r"CRBM\(n_hidden=\d+, l1", box), "leave the settings out: CRBM()"


@every_chapter
def test_two_exercises_or_more_each_with_a_solution_that_runs(path):
    notebook = nbformat.read(path, as_version=4)
    exercises, answered, solved = 0, 0, True
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^### Exercise", cell.source, re.MULTILINE):
            assert solved, f"no solution cell after exercise {exercises}"
            exercises, solved = exercises + 1, False
        elif is_solution(cell):
            tags = cell.metadata.tags
            assert cell.cell_type == "code" and "hide-cell" in tags, "a solution is a hidden cell"
            solved = True
        elif cell.cell_type == "markdown" and "<summary>Answer</summary>" in cell.source:
            answered += 1
    assert solved, f"no solution cell after exercise {exercises}"
    assert answered == exercises >= 2, "close each solution with the sentence that it leads to"


def test_no_function_is_defined_in_two_chapters():
    where = defaultdict(set)
    for path in CHAPTERS:
        for cell in cells(path, "code"):
            source = re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    where[node.name].add(path.name)
    twice = {name: sorted(files) for name, files in where.items() if len(files) > 1}
    assert not twice, f"move these into crbm_lite: {twice}"


def defined_names(tree):
    """What a piece of code imports, assigns or defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def called_names(tree):
    """The first name of everything that is called: f of f(x), cl of cl.fit(x)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            while isinstance(called, ast.Attribute | ast.Call | ast.Subscript):
                called = called.func if isinstance(called, ast.Call) else called.value
            if isinstance(called, ast.Name):
                yield called.id


@every_chapter
def test_code_to_copy_calls_nothing_that_is_not_there(path):
    """A reader copies the code that stands in the text into the chapter's notebook."""
    known = set(dir(builtins)) | {"model", "recording", "train", "test"}  # what a reader has
    for cell in cells(path, "code"):
        known |= set(defined_names(ast.parse(cell.source)))
    for cell in cells(path, "markdown"):
        for code in re.findall(r"^```python\n(.*?)^```", cell.source, re.MULTILINE | re.DOTALL):
            tree = ast.parse(code)
            known |= set(defined_names(tree))
            assert set(called_names(tree)) <= known, code


@every_chapter
def test_cells_on_the_page_need_no_name_of_a_cell_that_is_not(path):
    """A reader copies what is to be seen, in the order of the page."""
    known = set(dir(builtins))
    for cell in cells(path, "code"):
        if "remove-cell" in cell.metadata.get("tags", []):
            continue
        tree = ast.parse(cell.source)
        known |= set(defined_names(tree))
        used = {x.id for x in ast.walk(tree) if isinstance(x, ast.Name)}
        assert not used - known, f"{cell.id}: {used - known} are defined in removed cells"
