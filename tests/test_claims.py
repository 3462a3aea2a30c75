"""The numbers in the prose and the ledger of claims: what is collected, and what is refused."""

import sys
from pathlib import Path

import pytest
from nbformat import v4

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_build_tools"))

import claims

ROW = {
    "figure": "2H",
    "claim": "It is |better|.",
    "paper": "0.24",
    "key": "ours",
    "data": "real retina",
    "accept": [0.2, 0.3],
}


def chapter(printed="ours = 0.25\n", text="It is {{ ours }}.", tags=("claims",)):
    code = v4.new_code_cell("print()", metadata={"tags": list(tags)})
    code.outputs = [v4.new_output("stream", text=printed)]
    return v4.new_notebook(cells=[v4.new_markdown_cell(text), code])


def numbers(printed="ours = 0.25\n"):
    return claims.collect({"part/one": chapter(printed)})


def test_the_digits_are_kept_as_printed():
    found = numbers("ours = 0.250\nsmall = 1.2e-05\n\n".rstrip("\n") + "\n")
    assert {k: n.text for k, n in found.items()} == {"ours": "0.250", "small": "1.2e-05"}
    assert found["ours"].chapter == "part/one"


def test_cells_without_the_tag_are_not_read():
    assert claims.collect({"one": chapter("a = b\n", tags=())}) == {}


@pytest.mark.parametrize("line", ["ours: 0.2", "ours = many", "Ours = 1", "ours = 1 s"])
def test_a_line_of_another_form_is_refused(line):
    with pytest.raises(claims.ClaimsError, match=r"part/one: .*print `key = number`"):
        numbers(line + "\n")


def test_a_key_printed_by_two_chapters_is_refused():
    with pytest.raises(claims.ClaimsError, match="'ours' is printed twice, first by part/one"):
        claims.collect({"part/one": chapter(), "part/two": chapter()})


def test_code_and_formulas_ask_for_no_key():
    text = "{{ a }} `{{ b }}` $w_{{c}}$ $$\n{{d}}\n$$ {{e}}\n```\n{{ f }}\n```\n{{ g }}"
    assert claims.used_keys(chapter(text=text)) == {"a", "e", "g"}


def test_a_key_that_the_text_asks_for_must_be_printed():
    notebooks = {"part/one": chapter(text="{{ ours }} {{ other }}")}
    found = claims.collect(notebooks)
    with pytest.raises(claims.ClaimsError, match=r"'other' \(asked for by part/one.ipynb\)"):
        claims.substitutions(found, notebooks, {})
    texts = claims.substitutions(found, notebooks, {}, in_part=True)
    assert texts == {"ours": "0.25", "other": claims.NOT_COMPUTED}


def test_a_key_that_the_ledger_asks_for_must_be_printed():
    rows = {"one.yml": [ROW | {"key": ["ours", "other"]}]}
    with pytest.raises(claims.ClaimsError, match=r"'other' \(asked for by claims/one.yml\)"):
        claims.substitutions(numbers(), {}, rows)


@pytest.mark.parametrize(
    ("printed", "data", "expected"),
    [
        ("0.2", "real retina", "reproduced on real data"),
        ("0.3", "simulated larva", "reproduced on simulated data"),
        ("0.3", "real labels, planted assemblies", "reproduced on simulated data"),
        ("0.3", "arithmetic", "reproduced by arithmetic"),
        ("0.301", "real retina", "**outside tolerance**"),
        ("0.199", "real retina", "**outside tolerance**"),
        ("nan", "real retina", "**outside tolerance**"),
    ],
)
def test_the_verdict_follows_from_the_interval_and_the_data(printed, data, expected):
    assert claims.verdict(ROW | {"data": data}, numbers(f"ours = {printed}\n")) == expected


def test_the_ledger_links_the_chapter_and_gives_numbers_and_reasons():
    null = {**ROW, "figure": "Methods", "key": None, "data": "none", "note": "no tracings"}
    page = claims.ledger({"one.yml": [ROW, null]}, numbers())
    assert page.startswith("[](/part/one.ipynb)\n\n| paper |")
    assert (
        r"| Fig. 2H | It is \|better\|. | 0.24 | 0.25 | real retina | 0.2 to 0.3 "
        "| reproduced on real data |" in page
    )
    assert "| Methods |" in page and "| – | not reproducible here: no tracings |" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("paper:", "paper missing"),
        ("key: ours", "accept must be"),
        ("accept: [0.2, 0.3]", "accept must be"),
        ("data: real", "data must say"),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(tmp_path, change, message):
    text = "- figure: 2H\n  claim: c\n  paper: p\n  key: ours\n  data: real\n  accept: [0.2, 0.3]\n"
    (tmp_path / "one.yml").write_text(text)
    assert len(claims.read_rows(tmp_path)["one.yml"]) == 1
    wrong = {
        "paper:": ("  paper: p\n", ""),
        "key: ours": ("accept: [0.2, 0.3]", "accept: [0.3, 0.2]"),
        "accept: [0.2, 0.3]": ("  accept: [0.2, 0.3]\n", ""),
        "data: real": ("data: real", "data: fish"),
    }[change]
    (tmp_path / "one.yml").write_text(text.replace(*wrong))
    with pytest.raises(claims.ClaimsError, match=f"claims/one.yml, row 1: .*{message}|{message}"):
        claims.read_rows(tmp_path)


def test_a_claim_that_cannot_be_checked_must_say_why(tmp_path):
    (tmp_path / "one.yml").write_text("- {figure: 2H, claim: c, paper: p, key: null, data: none}\n")
    with pytest.raises(claims.ClaimsError, match="say why in note"):
        claims.read_rows(tmp_path)
