"""The numbers in the prose and the ledger of claims: what is collected, and what is refused."""

import re
from pathlib import Path

import claims
import pytest
from nbformat import v4

ROWS = Path(__file__).resolve().parents[2] / "book" / "claims"

# The paper's headline numbers, as the ledger's column "paper's number" writes them.
HEADLINES = {
    "runs kept": "57.5 %",
    "r of mean activity": "r = 0.91",
    "r of hidden means": "r = 0.93",
    "r of products": "r = 0.74",
    "r of pairs of neurons": "r = 0.58",
    "r of pairs of hidden units": "r = 0.73",
    "the five normalised errors": "nRMSE",
    "nLLH of cRBM and GLM": "0.24 against 0.20",
    "P of their difference": "P < 1e-42",
    "neurons in an assembly": "93–94 %",
    "regions of an assembly": "3 [2–6]",
    "m / M": "0.26",
    "variance in 3 components": "52 %",
    "in 10": "73 %",
    "in 25": "85 %",
    "conservation, self-pairs in": "0.69",
    "fish 2-3, 2-4 and 3-4": "0.73, 0.73, 0.78",
    "log-normality": "3.83 against 0.13",
    "structure: cRBM, covariance, correlation": "0.39 for the cRBM, 0.18 and 0.26",
    "structure: Ising model": "0.06",
    "structure: test of two groups": "P < 1e-15",
    "assemblies shrink with M and lambda": "P < 1e-3",
    "time scale": "with M alone",
    "dwell in the ARTR": "about 15 s",
    "assemblies of the tectum": "about 18",
}
# The figures and equations of the paper that the book shows.
PLACES = {
    "1A-C", "2A", "2B", "2C", "2D", "2E", "2F", "2G", "2H", "2I", "2J", "2K", "2-S1", "2-S2",
    "2-S3", "2-S4", "2-S5", "2-S6", "2-S7", "3", "Video1", "4", "4A-C", "4D", "4E", "4F", "5A-C",
    "5D", "5E", "5F", "5-S1", "6", "6A", "6D", "6-S1", "Eq.5-6", "Eq.7-13", "Eq.14", "Eq.15-17",
    "Eq.20-21", "Eq.22", "Methods", "Discussion",
}  # fmt: skip
# How the keys begin that chapters read from tables which benchmarks stored.
STORED = (
    "animals", "convergence", "conservation_crbm", "lognormal_gain_larvae", "runs",
    "selection_larva", "vae_disconnected",
)  # fmt: skip

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
        ("0.301", "real retina", "outside tolerance"),
        ("0.199", "real retina", "outside tolerance"),
        ("nan", "real retina", "outside tolerance"),
    ],
)
def test_the_verdict_follows_from_the_interval_and_the_data(printed, data, expected):
    assert claims.verdict(ROW | {"data": data}, numbers(f"ours = {printed}\n")) == expected


def test_the_ledger_links_the_chapter_and_gives_numbers_and_reasons():
    null = {**ROW, "figure": "Methods", "key": None, "data": "none", "note": "no tracings"}
    page = claims.ledger({"one.yml": [ROW, null]}, numbers())
    score = "2 claims: 1 reproduced on real data, 1 not reproducible here"
    assert page.startswith(f"{score}.\n\n## [](/part/one.ipynb)\n\n```{{table}}\n")
    assert claims.score({"one.yml": [ROW, null]}, numbers()) == score
    assert (
        '| <span class="verdict yes">✓ reproduced</span> on real data | Fig. 2H '
        r"| It is \|better\|. | 0.24 | [0.25](#printed-ours) | 0.2 to 0.3 | real retina |" in page
    )
    assert '| <span class="verdict none">– not reproducible here</span> | Methods ' in page
    assert '| It is \\|better\\|. <span class="note">no tracings</span> | 0.24 | – | – |' in page


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("-0.98", "−0.98"), ("12", "12"), ("4.5e-01", "0.45"), ("2.0e-02", "0.020"),
        ("5.4e-46", "5.4 × 10⁻⁴⁶"), ("1e-04", "10⁻⁴"), ("-3e-11", "−3 × 10⁻¹¹"), ("1e+03", "1000"),
        ("nan", "nan"), ("2e+06", "2 × 10⁶"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_a_text_writes_them(printed, read):
    assert claims.as_read(printed) == read


def test_the_ledger_follows_the_order_of_the_chapters():
    found = claims.collect({"b/late": chapter("late = 2\n"), "a/early": chapter("early = 0.25\n")})
    rows = {"a.yml": [ROW | {"key": "late"}], "b.yml": [ROW | {"key": "early"}]}
    page = claims.ledger(rows, found, ["a/early", "b/late"])
    assert page.index("(/a/early.ipynb)") < page.index("(/b/late.ipynb)")
    assert page.count("✗ outside tolerance") == 1


def test_every_link_of_the_ledger_leads_to_a_target_before_the_cell_that_printed_the_number():
    one, two = chapter("ours = 0.25\nnllh_p = 1e-5\n"), chapter("theirs = 3\n")
    notebook = v4.new_notebook(cells=[*one.cells, *two.cells])
    found = claims.collect({"part/one": notebook})
    cells = claims.with_anchors(notebook).cells
    assert len(cells) == 6
    for number in found.values():
        (k,) = (k for k, cell in enumerate(cells) if cell.source == f"({number.anchor})=")
        assert f" = {number.text}" in cells[k + 1].outputs[0].text
    assert found["nllh_p"].anchor == found["ours"].anchor == "printed-ours"
    assert found["theirs"].anchor == "printed-theirs"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("  paper: p\n", "", "paper missing"),
        ("accept: [0.2, 0.3]", "accept: [0.3, 0.2]", "accept must be"),
        ("  accept: [0.2, 0.3]\n", "", "accept must be"),
        ("data: real", "data: fish", "data must say"),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(tmp_path, right, wrong, message):
    text = "- figure: 2H\n  claim: c\n  paper: p\n  key: ours\n  data: real\n  accept: [0.2, 0.3]\n"
    (tmp_path / "one.yml").write_text(text)
    assert len(claims.read_rows(tmp_path)["one.yml"]) == 1
    assert right in text
    (tmp_path / "one.yml").write_text(text.replace(right, wrong))
    with pytest.raises(claims.ClaimsError, match=rf"^claims/one\.yml, row 1: {message}"):
        claims.read_rows(tmp_path)


def test_a_claim_that_cannot_be_checked_must_say_why(tmp_path):
    (tmp_path / "one.yml").write_text("- {figure: 2H, claim: c, paper: p, key: null, data: none}\n")
    with pytest.raises(claims.ClaimsError, match="say why in note"):
        claims.read_rows(tmp_path)


def ledger_rows():
    return [row for own in claims.read_rows(ROWS).values() for row in own]


@pytest.mark.parametrize("what", HEADLINES)
def test_every_headline_number_of_the_paper_has_a_row(what):
    assert any(HEADLINES[what] in str(row["paper"]) for row in ledger_rows())


def test_every_figure_that_the_book_shows_has_a_row():
    named = {
        place
        for row in ledger_rows()
        for place in str(row["figure"]).replace(" ", "").replace("–", "-").split(",")
    }
    assert not PLACES - named


@pytest.mark.parametrize("begin", STORED)
def test_rows_that_are_read_from_a_stored_table_name_it(begin):
    rows = [
        row
        for row in ledger_rows()
        if any(re.match(rf"{begin}(_|$)", key) for key in claims._keys(row))
    ]
    assert rows, f"no key of the ledger begins with {begin}"
    for row in rows:
        assert "stored" in row, row["claim"]


def test_a_stored_table_is_named_under_the_claim(tmp_path):
    row = ROW | {"stored": "benchmarks/grid.csv", "note": "One."}
    named = '<span class="note">One. Stored table `benchmarks/grid.csv`.</span>'
    assert named in claims._line(row, numbers())
    (tmp_path / "book" / "claims").mkdir(parents=True)
    text = "- {figure: 2H, claim: c, paper: p, key: k, data: real, accept: [0, 1], stored: a.csv}"
    (tmp_path / "book" / "claims" / "one.yml").write_text(text)
    with pytest.raises(claims.ClaimsError, match=r"stored table 'a\.csv' does not exist"):
        claims.read_rows(tmp_path / "book" / "claims")
    (tmp_path / "a.csv").touch()
    assert len(claims.read_rows(tmp_path / "book" / "claims")["one.yml"]) == 1
