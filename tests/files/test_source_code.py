"""The digest of source code: what changes it, and what does not."""

import ast

import pytest

from crbm_lite.files.source_code import source_digest

CODE = '"""Text."""\n\n\ndef f(x: int = 1) -> float:\n    """More."""\n    return x + 0.5  # why\n'


def digest_of(folder, code):
    folder.mkdir()
    (folder / "one.py").write_text(code)
    return source_digest("one.py", package=folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"""Text."""', '"""Other."""'), ('    """More."""\n', ""), ("  # why", ""), ("1)", "(1))")],
)
def test_texts_comments_and_brackets_do_not_count(tmp_path, old, new):
    assert old in CODE
    assert digest_of(tmp_path / "a", CODE) == digest_of(tmp_path / "b", CODE.replace(old, new))


@pytest.mark.parametrize(("old", "new"), [("0.5", "0.6"), ("x + ", "x - "), ("int = 1", "int = 2")])
def test_code_counts(tmp_path, old, new):
    assert old in CODE
    assert digest_of(tmp_path / "a", CODE) != digest_of(tmp_path / "b", CODE.replace(old, new))


SAYING = 'def f(x):\n    if x == "no way":\n        raise ValueError(f"x is {x}: give a number")\n'


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [("give a number", "take another one", False), ("{x}", "{x!r}", False),
     ("no way", "no one", True), ("ValueError", "TypeError", True)],
)  # fmt: skip
def test_sentences_count_only_where_they_are_asked_for(tmp_path, old, new, counts):
    assert old in SAYING
    for folder, code in (("a", SAYING), ("b", SAYING.replace(old, new))):
        digest_of(tmp_path / folder, code)
    digests = {
        sentences: {
            source_digest("one.py", package=tmp_path / x, sentences=sentences) for x in "ab"
        }
        for sentences in (True, False)
    }
    assert len(digests[True]) == 2 and len(digests[False]) == 1 + counts


def test_folders_and_files_can_be_left_out(tmp_path):
    for name in ("one.py", "deep/two.py", "deep/er/three.py"):
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_text(CODE)
    every, without, one = (
        source_digest("all", package=tmp_path, without=names)
        for names in ((), ("all/deep",), ("all/deep/two.py", "all/deep/er"))
    )
    assert every != without == one
    with pytest.raises(FileNotFoundError, match=r"all/other is in none of all"):
        source_digest("all", package=tmp_path, without=("all/other",))


def test_names_of_files_count(tmp_path):
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(CODE)
    assert source_digest("one.py", package=tmp_path) != source_digest("two.py", package=tmp_path)


@pytest.mark.parametrize("empty", [[], None])
def test_fields_that_hold_nothing_do_not_count(tmp_path, monkeypatch, empty):
    """Python 3.12 adds the field type_params to every function, 3.13 leaves empty ones out."""
    before = digest_of(tmp_path / "a", CODE)
    parse = ast.parse

    def of_another_version(source):
        tree = parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node._fields = (*reversed(node._fields), "new_in_some_version")
                node.new_in_some_version = empty
        return tree

    monkeypatch.setattr(ast, "parse", of_another_version)
    assert digest_of(tmp_path / "b", CODE) == before


def test_the_digest_of_a_known_code_is_the_same_everywhere(tmp_path):
    known = "7510e44e8ecf"
    assert digest_of(tmp_path / "a", CODE)[:12] == known


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"other does not exist: give folders of"):
        source_digest("other", package=tmp_path)
