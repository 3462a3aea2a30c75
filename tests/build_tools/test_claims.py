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
    "nRMSE of mean activity": "nRMSE = 0.11",
    "nRMSE of hidden means": "nRMSE = 0.15",
    "nRMSE of products": "nRMSE = 0.09",
    "nRMSE of pairs of neurons": "nRMSE = -0.09",
    "nRMSE of pairs of hidden units": "nRMSE = 0.17",
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

TEST = {"data": "retina", "kind": "recording", "ours": "ours", "spread": "one run"}
ROW = {
    "figure": "2H",
    "claim": "It is |better|.",
    "paper": "0.24",
    "accept": [0.2, 0.3],
    "tests": [TEST],
}


def row_of(*tests, **changes):
    return ROW | {"tests": [TEST | test for test in tests]} | changes


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


@pytest.mark.parametrize("asked", ["ours", "spread", "ceiling"])
def test_a_key_that_the_ledger_asks_for_must_be_printed(asked):
    rows = {"one.yml": [row_of({asked: ["ours", "other"] if asked == "ours" else "other_one"})]}
    missing = "other" if asked == "ours" else "other_one"
    with pytest.raises(claims.ClaimsError, match=rf"'{missing}' \(asked for by claims/one.yml\)"):
        claims.substitutions(numbers(), {}, rows)


@pytest.mark.parametrize(
    ("printed", "kind", "expected"),
    [
        ("0.2", "recording", "holds on another recording"),
        ("0.3", "simulation", "holds on a simulation that could have failed it"),
        ("0.25", "construction", "by construction of the simulation"),
        ("0.3", "paper's recording", "holds on the paper's recording"),
        ("0.3", "mathematics", "mathematics"),
        ("0.3", "not comparable", "not comparable"),
        ("0.301", "recording", "does not hold"),
        ("0.199", "construction", "does not hold"),
        ("nan", "recording", "does not hold"),
    ],
)
def test_the_verdict_follows_from_the_interval_and_the_kind_of_data(printed, kind, expected):
    assert claims.verdict(row_of({"kind": kind}), numbers(f"ours = {printed}\n")) == expected


@pytest.mark.parametrize(
    ("ours", "spread", "accept", "holds"),
    [
        ("0.21", "0.1", "above 0", True), ("0.19", "0.1", "above 0", False),
        ("-0.21", "0.1", "below 0", True), ("-0.19", "0.1", "below 0", False),
        ("0.21", "0.1", "below 0", False), ("nan", "0.1", "above 0", False),
    ],
)  # fmt: skip
def test_a_sign_must_be_clear_of_twice_the_spread(ours, spread, accept, holds):
    row = row_of({"spread": "the_spread"}, accept=accept)
    found = claims.verdict(row, numbers(f"ours = {ours}\nthe_spread = {spread}\n"))
    assert found == ("holds on another recording" if holds else "does not hold")
    without = claims.verdict(row_of({}, accept=accept), numbers(f"ours = {ours}\n"))
    assert without == "not comparable"


@pytest.mark.parametrize(
    ("ours", "spread", "expected"),
    [
        ("0.25", "0.02", "holds on another recording"),
        ("0.25", "0.03", "not comparable"),
        ("0.33", "0.02", "not comparable"),
        ("0.33", "0.01", "does not hold"),
        ("0.18", "0.02", "not comparable"),
    ],
)
def test_a_number_within_twice_its_spread_of_an_end_is_not_judged(ours, spread, expected):
    found = numbers(f"ours = {ours}\nthe_spread = {spread}\n")
    assert claims.verdict(row_of({"spread": "the_spread"}), found) == expected


@pytest.mark.parametrize(
    ("ours", "ceiling", "expected"),
    [
        ("0.1", "0.19", "not comparable"),
        ("0.1", "0.2", "does not hold"),
        ("0.25", "0.31", "not comparable"),
        ("0.25", "0.3", "holds on another recording"),
    ],
)
def test_where_the_ceiling_is_outside_of_the_interval_nothing_is_judged(ours, ceiling, expected):
    found = numbers(f"ours = {ours}\nmost = {ceiling}\n")
    assert claims.verdict(row_of({"ceiling": "most"}), found) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("recording 0.25", "simulation 0.9", "mixed"),
        ("construction 0.25", "recording 0.9", "mixed"),
        ("recording 0.9", "simulation 0.9", "does not hold"),
        ("simulation 0.25", "recording 0.25", "holds on another recording"),
        ("construction 0.25", "simulation 0.25", "holds on a simulation that could have failed it"),
        ("recording 0.9", "not_comparable 0.25", "does not hold"),
        ("construction 0.25", "not_comparable 0.9", "by construction of the simulation"),
    ],
)
def test_the_verdict_of_a_row_is_its_strongest_or_mixed(first, second, expected):
    tests, printed = [], ""
    for name, text in (("a_1", first), ("a_2", second)):
        kind, value = text.split()
        tests.append({"kind": kind.replace("_", " "), "ours": name})
        printed += f"{name} = {value}\n"
    assert claims.verdict(row_of(*tests), numbers(printed)) == expected


def test_the_score_begins_with_the_paper_s_own_recordings():
    none = row_of({"kind": "not comparable", "ours": None})
    own = row_of({"kind": "paper's recording"})
    for rows, begin in (([ROW, none], "None of the 2"), ([ROW, own], "1 of the 2")):
        said = claims.score({"one.yml": rows}, numbers())
        assert said.startswith(
            f"{begin} sentences of the paper was tested on the paper's own recordings with a cRBM."
        )
    said = claims.score({"one.yml": [ROW, own, own, none, none]}, numbers())
    assert said == (
        "2 of the 5 sentences of the paper were tested on the paper's own recordings with a cRBM. "
        "Of all, 2 hold on the paper's recording, 1 holds on another recording and 2 are not "
        "comparable"
    )
    fails = row_of({}, accept=[0.9, 1.0])
    assert claims.score({"one.yml": [fails, fails]}, numbers()).endswith("Of all, 2 do not hold")
    assert claims.score({"one.yml": [fails]}, numbers()).endswith("Of all, 1 does not hold")


def test_the_ledger_links_the_chapter_and_gives_numbers_spread_and_reasons():
    none = row_of({"kind": "not comparable", "ours": None, "note": "no tracings"}, figure="Methods")
    two = row_of({}, {"ours": ["small_one", "ours"], "spread": "s_d", "kind": "simulation"})
    found = numbers("ours = 0.25\nsmall_one = 0.1\ns_d = 0.02\n")
    page = claims.ledger({"one.yml": [ROW, none, two]}, found)
    assert page.startswith(
        f"{claims.score({'one.yml': [ROW, none, two]}, found)}.\n\n## [](/part/one.ipynb)"
    )
    assert (
        '| <span class="verdict yes">✓ holds on another recording</span> | Fig. 2H '
        r"| It is \|better\|. | 0.24 | [0.25](#printed-ours) (retina; one run) | 0.2 to 0.3 |"
        in page
    )
    assert '| <span class="verdict none">– not comparable</span> | Methods ' in page
    assert '– (retina; one run) <span class="note">no tracings</span>' in page
    assert '<span class="verdict none">– mixed</span>' in page
    assert (
        "✓ [0.25](#printed-ours) (retina; one run)<br>"
        "✗ [0.1](#printed-ours) ± [0.02](#printed-ours) (retina; then [0.25](#printed-ours))"
        in page
    )


def test_what_has_no_number_needs_no_spread():
    row = row_of({"kind": "not comparable", "ours": None, "note": "no tracings"})
    del row["tests"][0]["spread"]
    page = claims.ledger({"one.yml": [row]}, numbers())
    assert '– (retina) <span class="note">no tracings</span>' in page


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
    rows = {"a.yml": [row_of({"ours": "late"})], "b.yml": [row_of({"ours": "early"})]}
    page = claims.ledger(rows, found, ["a/early", "b/late"])
    assert page.index("(/a/early.ipynb)") < page.index("(/b/late.ipynb)")
    assert page.count("✗ does not hold") == 1


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
        ("accept: [0.2, 0.3]", "accept: about 0", "accept must be"),
        ("  accept: [0.2, 0.3]\n", "", "accept must be"),
        ("kind: recording", "kind: fish", "kind must be one of"),
        ("kind: recording", "kind: construction", "construction: say why in note"),
        ("kind: recording", "kind: not comparable", "not comparable: say why in note"),
        ("  - data: retina\n    kind", "  - kind", "a test lacks data"),
        ("    spread: one run\n", "", "spread missing"),
        ("    spread: one run\n", "    spread: one run\n    accept: [0, 1]\n", "say why in note"),
        ("ours: ours", "ours: null", "ours names no number"),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(tmp_path, right, wrong, message):
    text = (
        "- figure: 2H\n  claim: c\n  paper: p\n  accept: [0.2, 0.3]\n  tests:\n"
        "  - data: retina\n    kind: recording\n    ours: ours\n    spread: one run\n"
    )
    (tmp_path / "one.yml").write_text(text)
    assert len(claims.read_rows(tmp_path)["one.yml"]) == 1
    assert right in text
    (tmp_path / "one.yml").write_text(text.replace(right, wrong))
    with pytest.raises(claims.ClaimsError, match=rf"^claims/one\.yml, row 1: .*{message}"):
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


def test_a_sentence_has_one_row():
    said = [(row["figure"], row["claim"]) for row in ledger_rows()]
    assert len(said) == len(set(said))


def test_no_row_claims_the_paper_s_recordings_which_are_not_at_hand():
    assert not [row for row in ledger_rows() for test in row["tests"] if test["kind"] == claims.OWN]


@pytest.mark.parametrize("begin", STORED)
def test_numbers_that_are_read_from_a_stored_table_name_it(begin):
    tests = [
        test
        for row in ledger_rows()
        for test in row["tests"]
        if any(re.match(rf"{begin}(_|$)", key) for key in claims._list(test["ours"]))
    ]
    assert tests, f"no key of the ledger begins with {begin}"
    for test in tests:
        assert "stored" in test, test


def test_a_stored_table_is_named_under_the_claim(tmp_path):
    row = row_of({"stored": "benchmarks/grid.csv", "note": "One."})
    named = '<span class="note">One. Stored table `benchmarks/grid.csv`.</span>'
    assert named in claims._line(row, numbers())
    (tmp_path / "book" / "claims").mkdir(parents=True)
    text = (
        "- {figure: 2H, claim: c, paper: p, accept: [0, 1], tests: "
        "[{data: d, kind: recording, ours: k, spread: s, stored: a.csv}]}"
    )
    (tmp_path / "book" / "claims" / "one.yml").write_text(text)
    with pytest.raises(claims.ClaimsError, match=r"stored table 'a\.csv' does not exist"):
        claims.read_rows(tmp_path / "book" / "claims")
    (tmp_path / "a.csv").touch()
    assert len(claims.read_rows(tmp_path / "book" / "claims")["one.yml"]) == 1
