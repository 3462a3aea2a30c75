"""Every link of the built site: a page and a place that exist, or a well-formed address outside.

Needs the built site alone, no browser and no network. `make links` asks the addresses themselves.
"""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
DOI = re.compile(r"https://doi\.org/10\.\d{4,9}/\S+")


class Page(HTMLParser):
    """The places of a page that can be linked to, and all that it links to."""

    def __init__(self, text: str):
        super().__init__()
        self.places, self.links, self.files = {"", "top"}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given.get("id"), given.get("name")} - {None}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("img", "script", "link") and given.get("rel") not in ("search", "canonical"):
            self.files += filter(None, (given.get("src"), given.get("href")))


@cache
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def pages(site: Path) -> list[Path]:
    return sorted(p for p in site.rglob("*.html") if "_static" not in p.parts)


def dead_ends(site: Path) -> list[str]:
    """Links inside a site to a file or a place that it does not have."""
    found = []
    for page in pages(site):
        for link in (*read(page).links, *read(page).files):
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            address, place = urldefrag(link)
            address = unquote(address.split("?")[0])
            target = (page.parent / address).resolve() if address else page
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{page.relative_to(site)}: {link} (no such file)")
            elif target.suffix == ".html" and unquote(place) not in read(target).places:
                found.append(f"{page.relative_to(site)}: {link} (no such place)")
    return sorted(set(found))


def outside(site: Path) -> set[str]:
    """Addresses of other hosts that a site links to."""
    return {link for page in pages(site) for link in read(page).links if urlsplit(link).scheme}


def faults(addresses: set[str]) -> list[str]:
    """Addresses that no reader should meet: not encrypted, cut off, or one in two forms."""
    found = [a for a in addresses if not re.match(r"https://[\w.-]+\.[a-z]+(/|$)|mailto:", a)]
    found += [a for a in addresses if "doi.org" in a and not DOI.fullmatch(a)]
    found += [a for a in addresses if a.endswith((".", ",", ")")) and "(" not in a]
    known = {}
    for a in sorted(addresses):
        form = re.sub(r"^https://(www\.)?", "", a).rstrip("/").lower()
        if known.setdefault(form, a) != a:
            found.append(f"{a} and {known[form]}")
    return sorted(found)


@pytest.fixture
def site():
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: run `make book` first")
    return SITE


def test_every_link_inside_the_book_arrives(site):
    assert dead_ends(site) == []


def test_addresses_outside_are_well_formed(site):
    assert faults(outside(site)) == []


def test_what_is_wrong_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"></p><a href="#here"></a><a href="#there"></a><a href="b.html#x"></a>'
        '<a href="c.html"></a><a href="https://a.org/x"></a><img src="d.png">'
    )
    (tmp_path / "b.html").write_text("<a href='http://b.org'></a><a href='a.html?q=1#here'></a>")
    assert dead_ends(tmp_path) == [
        "a.html: #there (no such place)",
        "a.html: b.html#x (no such place)",
        "a.html: c.html (no such file)",
        "a.html: d.png (no such file)",
    ]
    assert outside(tmp_path) == {"http://b.org", "https://a.org/x"}
    assert faults(outside(tmp_path) | {"https://a.org/x/", "https://doi.org/11.1/x"}) == [
        "http://b.org",
        "https://a.org/x/ and https://a.org/x",
        "https://doi.org/11.1/x",
    ]
