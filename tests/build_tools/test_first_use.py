"""Links that the build adds: glossary, symbols, equations; and the map of the book."""

import re
from pathlib import Path

import book_map
import chapter_store
import first_use
import nbformat
import paper_equations
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BOOK = REPOSITORY / "book"

REFERENCE = first_use.read(BOOK)
NOTEBOOKS = chapter_store.chapters()


@pytest.fixture
def page():
    return first_use.Page(REFERENCE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A title\nof a chain", "# A title\nof a {term}`chain <chain>`"),
        ("Two hidden\nunits are on.", "Two {term}`hidden units <hidden unit>` are on."),
        ("Assemblies, and assemblies.", "{term}`Assemblies <assembly>`, and assemblies."),
        ("`hidden unit` and\n## A chain\n| chain |\n[chain](x.md)", None),
        ("```python\nchain = 1\n```\n:::{note}\na chain\n:::", None),
        ("as in Eq. 17 and Eq. 17", "as in {eq}`eq-17` and Eq. 17"),
        ("Eq. 15–17; Eq. 13; Eq. 99", "{eq}`eq-15`–17; {eq}`eq-drelu`; Eq. 99"),
        ("$$\n\\lambda\n$$ and `$M$`", None),
        ("$\\lambda$, $\\lambda$", "[$\\lambda$](#symbols-training-and-validation), $\\lambda$"),
        ("on $w_{i\\mu}$ $w$", "on [$w_{i\\mu}$](#symbols-the-model) $w$"),
        ("$h_\\mu(t)$", "[$h_\\mu(t)$](#symbols-the-model)"),
        ("unchained, the dreLU", None),
        ("it costs $5 and a $6 fee", None),
    ],
)
def test_first_uses_are_linked_and_all_else_is_left(page, text, expected):
    assert first_use.link(text, page) == (text if expected is None else expected)


def test_a_second_cell_of_the_page_does_not_link_again(page):
    assert "{term}" in first_use.link("a chain", page)
    assert first_use.link("a chain", page) == "a chain"
    assert "{term}" in first_use.link("a chain", first_use.Page(REFERENCE))


def linked(path):
    cells = nbformat.read(path, as_version=4).cells
    page = first_use.Page(REFERENCE)
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return texts, [first_use.link(text, page) for text in texts], page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[p.stem for p in NOTEBOOKS])
def test_each_chapter_links_terms_and_symbols_and_changes_nothing_else(path):
    texts, links, page = linked(path)
    assert "assembly" in page.seen or "hidden unit" in page.seen or "$N" in page.seen
    for before, after in zip(texts, links):
        back = re.sub(r"\{term\}`([^<`]+) <[^>]+>`", r"\1", after)
        back = re.sub(r"\[(\$[^$]+\$)\]\(#symbols-[\w-]+\)", r"\1", back)
        back = re.sub(r"\{eq\}`eq-(\d+)`", r"Eq. \1", back)
        back, before = (re.sub(r"\{eq\}`eq-drelu`|Eq\. 13", "13", t) for t in (back, before))
        assert " ".join(back.split()) == " ".join(before.split())


def test_every_explained_equation_has_a_number_and_every_cited_one_is_explained():
    assert all(paper_equations.number_of(label) for label in REFERENCE.equations)
    assert paper_equations.number_of("eq-drelu") == "13"
    assert paper_equations.number_of("my-own") is None
    cited = {
        int(n)
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
        for n in first_use.EQUATION.findall(cell.source)
    }
    assert cited
    named = set(range(7, 14))  # a range and two labels with names
    missing = {n for n in cited - named if f"eq-{n}" not in REFERENCE.equations}
    assert not missing


def test_symbols_and_their_targets_agree():
    text = first_use.with_targets((BOOK / "reference" / "symbols.md").read_text(encoding="utf-8"))
    targets = set(re.findall(r"^\((symbols-[\w-]+)\)=$", text, re.MULTILINE))
    assert set(REFERENCE.symbols.values()) <= targets
    assert {"N", "M", "T", "v", "h", "w", r"\lambda", "J"} <= set(REFERENCE.symbols)


def test_the_map_has_every_chapter_after_what_it_needs():
    order = [name for _, names in book_map.parts() for name in names]
    needs = book_map.prerequisites()
    assert set(needs) == set(order), "book/map.yml and book/_toc.yml differ"
    for name, before in needs.items():
        assert all(order.index(b) < order.index(name) for b in before), name


def test_the_map_tells_time_data_and_what_works_in_the_page():
    rows = {row.split("|")[2].strip(): row for row in book_map.table().splitlines()[2:]}
    selection = rows["[](/validation/model_selection.ipynb)"]
    assert "1 GB" in selection and "simulated" in selection and "sliders" in selection
    assert "retinal-waves" in rows["[](/assemblies/assemblies.ipynb)"]
    assert "3-D assemblies" in rows["[](/assemblies/assemblies.ipynb)"]
    assert "keras" in rows["[](/baselines/vae.ipynb)"]
    assert "[](/your_data/importers.md)" in rows
    assert book_map.data('fetch("a-b").x\nload_retina()') == "retinal-waves, a-b"
