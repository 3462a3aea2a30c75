"""Pages that use a table which is older than the code say so."""

import old_tables
from nbformat import v4

OLD = {"benchmarks/grid.csv": ("benchmarks.grid", "The trainer has changed.")}
SAYS = (
    "**Older than the code.** An older version made `benchmarks/grid.csv`, or parts of it. "
    "The trainer has changed."
)


def test_the_tables_of_the_repository_have_benchmark_and_reason():
    for table, (benchmark, reason) in old_tables.known_old().items():
        path = old_tables.REPOSITORY / benchmark.replace(".", "/")  # a folder, or a module
        assert path.is_dir() or path.with_suffix(".py").is_file()
        assert reason and (old_tables.REPOSITORY / table).is_file()


def test_a_note_follows_the_first_cell_that_names_the_file_or_the_benchmark():
    cells = [
        v4.new_markdown_cell("See `benchmarks.gridlock`."),
        v4.new_code_cell('open("../grid.csv")'),
        v4.new_markdown_cell("`python -m benchmarks.grid` makes it."),
    ]
    found = old_tables.with_notes(v4.new_notebook(cells=cells), OLD).cells
    assert [SAYS in cell.source for cell in found] == [False, False, True, False]


def test_notes_stand_below_a_page_once():
    page = old_tables.with_notes_below("`python -m benchmarks.grid`, `grid.csv`\n", OLD)
    assert page.count(SAYS) == 1 and page.startswith("`python")
    assert old_tables.with_notes_below("Nothing.\n", OLD) == "Nothing.\n"
