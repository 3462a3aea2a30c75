"""The words of a benchmark's command line, and its tables."""

import sys

import pytest

from benchmarks import command, stored


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], (20, ())), (["7"], (7, ())), (["7", "0.02", "1e-3"], (7, (0.02, 0.001)))],
)
def test_words_become_arguments_of_the_right_type(monkeypatch, words, expected):
    called = []

    def main(n_seeds: int = 20, *l1: float) -> None:
        called.append((n_seeds, l1))

    monkeypatch.setattr(sys, "argv", ["benchmark", *words])
    command.run(main)
    assert called == [expected] and type(called[0][0]) is int


def test_named_parameters_take_the_word_after_their_name(monkeypatch):
    called = []

    def main(*words: str, names: command.Names = (), seeds: command.Seeds = (0,)) -> None:
        called.append((words, names, seeds))

    words = ["benchmark", "--names", "larva, dev small", "first", "--seeds", "1-3"]
    monkeypatch.setattr(sys, "argv", words)
    command.run(main)
    assert called == [(("first",), ("larva", "dev small"), (1, 2, 3))]
    assert command.Seeds("2") == (2,)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--seeds", "all"])
    with pytest.raises(SystemExit, match="all: give Seeds for seeds"):
        command.run(main)


def test_wrong_words_are_named(monkeypatch):
    def main(n_seeds: int = 20) -> None:
        raise AssertionError

    monkeypatch.setattr(sys, "argv", ["benchmark", "many"])
    with pytest.raises(SystemExit, match="many: give int for n_seeds"):
        command.run(main)
    monkeypatch.setattr(sys, "argv", ["benchmark", "7", "8"])
    with pytest.raises(SystemExit, match="8: one argument too many"):
        command.run(main)


def test_rows_are_added_to_a_table_and_read_as_numbers(tmp_path):
    path = tmp_path / "new" / "table.csv"
    row = {"run": "a1", "score": 1 / 3, "n": 12}
    assert stored.read_rows(path) == []
    stored.write_rows(path, row.keys(), [row], append=True)
    stored.write_rows(path, row.keys(), [row | {"run": "b2"}], append=True)
    assert path.read_text() == "run,score,n\na1,0.33333,12\nb2,0.33333,12\n"
    found = stored.read_rows(path, texts=("run",))
    assert found[1] == {"run": "b2", "score": 0.33333, "n": 12.0}
    stored.write_rows(path, row.keys(), [row])
    assert len(stored.read_rows(path, texts=("run",))) == 1


def test_parts_of_a_json_table_are_kept_beside_each_other(tmp_path):
    path = tmp_path / "table.json"
    stored.keep(path, "gpu", {"a": 1})
    stored.keep(path, "gpu", {"b": 2})
    stored.keep(path, "cpu", {"a": 3})
    assert stored.read(path) == {"gpu": {"a": 1, "b": 2}, "cpu": {"a": 3}}
