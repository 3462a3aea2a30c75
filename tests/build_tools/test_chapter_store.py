"""When a chapter has to be executed again."""

from pathlib import Path

import chapter_store
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setattr(chapter_store, "REPOSITORY", tmp_path)
    monkeypatch.setattr(chapter_store, "_library_hash", lambda: "library")
    for name in ("benchmarks/grid.csv", "benchmarks/results/long.json", "book/part/own.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    "table", ["benchmarks/grid.csv", "benchmarks/results/long.json", "book/part/own.json"]
)
def test_a_new_table_makes_a_new_key_where_the_chapter_names_it(book, table):
    reads, other = book / "book/part/reads.ipynb", book / "book/part/other.ipynb"
    reads.write_text(f'open("{Path(table).name}")')
    other.write_text("print()")
    before = [chapter_store.key(path) for path in (reads, other)]
    (book / table).write_text("2")
    after = [chapter_store.key(path) for path in (reads, other)]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_the_chapters_that_read_tables_are_found():
    named = {
        path.stem: set(chapter_store._tables_named_in(path.read_bytes()))
        for path in chapter_store.chapters()
    }
    assert "benchmarks/selection_grid.csv" in named["model_selection"]
    assert "benchmarks/connectivity_animals.csv" in named["structure_and_function"]
    assert "book/baselines/vae_long_run.json" in named["vae"]
    assert "benchmarks/results/scaling.json" in named["scale"]
    assert named["quickstart"] == set()


def test_versions_name_what_the_chapters_import():
    assert {"python", "numpy", "numba", "plotly", "keras", "jax"} <= set(chapter_store.versions())


def test_new_code_of_a_benchmark_makes_a_new_key_where_the_chapter_imports_it(book):
    imports, other = book / "book/part/imports.ipynb", book / "book/part/other.ipynb"
    imports.write_text("from benchmarks.paper import figures")
    other.write_text("print()")
    code = book / "benchmarks/paper/figures.py"
    code.parent.mkdir()
    keys = []
    for text in ("1", "2"):
        code.write_text(text)
        chapter_store._hash_of_benchmarks.cache_clear()
        keys.append([chapter_store.key(path) for path in (imports, other)])
    chapter_store._hash_of_benchmarks.cache_clear()
    assert keys[0][0] != keys[1][0] and keys[0][1] == keys[1][1]
