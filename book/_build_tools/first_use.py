"""Link the first use of a term, a symbol or an equation on a page to where it is explained.

Authors write plain text: "hidden unit", `$\\lambda$`, "Eq. 17". On the site's copy of a page the
first of each becomes a link, to reference/glossary.md, symbols.md and equations.md. Headings, code,
formulas, links and tables are left as they are.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

# What is never touched, in the order in which it is looked for.
KEPT = re.compile(
    r"""^(?P<fence>`{3,}|~{3,}|:{3,}).*?^(?P=fence)[ ]*$   # fenced blocks, directives
      | \$\$.*?\$\$                                        # displayed formulas
      | ^\#+[ ][^\n]*$ | ^\|[^\n]*$ | ^\([\w-]+\)=$        # headings, tables, targets
      | \{[\w:]+\}`[^`]*` | `+[^`\n]+`+                    # roles, code
      | \[[^\]]*\]\([^)]*\) | <[^>\n]+> | \{\{.*?\}\}      # links, tags, numbers of the run
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
MATH = re.compile(r"\$(?!\s)([^$\n]+?)(?<!\s)\$")
EQUATION = re.compile(r"\bEqs?\.\s+(\d+)\b")
INDEX = re.compile(r"_(\\mu|i|\{i\s?\\mu\}|\{ij\}|\{\\mu,\\pm\})|\((t|v|v,h)\)|\s+")


@dataclass
class Reference:
    """Hold what can be linked: terms, symbols with their section, and labels of equations."""

    terms: list[str]
    symbols: dict[str, str]  # normal form -> label of a section
    equations: set[str]


@dataclass
class Page:
    """Remember what has been linked on one page so far."""

    reference: Reference
    seen: set[str] = field(default_factory=set)


def read(book: Path) -> Reference:
    """Read terms, symbols and equations from the book's reference pages."""
    texts = {
        name: (book / "reference" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("glossary", "symbols", "equations")
    }
    block = re.search(r"^```\{glossary\}\n(.*?)^```", texts["glossary"], re.DOTALL | re.MULTILINE)[
        1
    ]
    terms = [line for line in block.splitlines() if line and not line.startswith((" ", ":"))]
    return Reference(
        terms=sorted(terms, key=len, reverse=True),
        symbols=_symbols(texts["symbols"]),
        equations=set(re.findall(r"^:label: (eq-\S+)$", texts["equations"], re.MULTILINE)),
    )


def section_label(title: str) -> str:
    return "symbols-" + re.sub(r"\W+", "-", title.lower()).strip("-")


def _symbols(text: str) -> dict[str, str]:
    found, label = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            label = section_label(line[3:])
        elif line.startswith("| $"):
            for math in MATH.findall(line.split("|")[1]):
                found.setdefault(normal_form(math.split("=")[0]), label)
    return found


def normal_form(math: str) -> str:
    """Strip from a symbol the indices and arguments that texts leave out."""
    return INDEX.sub("", math)


def with_targets(symbols_page: str) -> str:
    """Put a target before every section of the page of symbols."""
    return re.sub(
        r"^## (.+)$",
        lambda m: f"({section_label(m[1])})=\n{m[0]}",
        symbols_page,
        flags=re.MULTILINE,
    )


def link(text: str, page: Page) -> str:
    """Link in a piece of Markdown the first uses that `page` has not seen before."""
    pieces, at = [], 0
    for kept in KEPT.finditer(text):
        pieces += [_link_plain(text[at : kept.start()], page), kept[0]]
        at = kept.end()
    return "".join([*pieces, _link_plain(text[at:], page)])


def _link_plain(text: str, page: Page) -> str:
    pieces, at = [], 0
    for math in MATH.finditer(text):
        pieces += [_link_words(text[at : math.start()], page), _link_math(math, page)]
        at = math.end()
    return "".join([*pieces, _link_words(text[at:], page)])


def _link_math(math: re.Match, page: Page) -> str:
    symbol = normal_form(math[1])
    label = page.reference.symbols.get(symbol)
    if label is None or f"${symbol}" in page.seen:
        return math[0]
    page.seen.add(f"${symbol}")
    return f"[{math[0]}](#{label})"


def _link_words(text: str, page: Page) -> str:
    hits = []
    for term in page.reference.terms:
        hit = None if term in page.seen else _pattern(term).search(text)
        if hit and not any(hit.start() < b and a < hit.end() for a, b, _ in hits):
            page.seen.add(term)
            hits.append((*hit.span(), f"{{term}}`{' '.join(hit[0].split())} <{term}>`"))
    for hit in EQUATION.finditer(text):
        label = _label_of(int(hit[1]), page.reference.equations)
        if label and label not in page.seen:
            page.seen.add(label)
            hits.append((*hit.span(), f"{{eq}}`{label}`"))
    for start, end, linked in sorted(hits, reverse=True):
        text = text[:start] + linked + text[end:]
    return text


def _label_of(number: int, labels: set[str]) -> str | None:
    if number == 13:
        return "eq-drelu"
    return f"eq-{number}" if f"eq-{number}" in labels else None


def _pattern(term: str) -> re.Pattern:
    words = [re.escape(word) for word in term.split()]
    last = words[-1]
    words[-1] = f"{last[:-1]}(?:y|ies)" if last.endswith("y") else f"{last}s?"
    first = words[0][0]
    if first.islower() and not re.search("[A-Z]", term):  # at the beginning of a sentence, too
        words[0] = f"[{first}{first.upper()}]{words[0][1:]}"
    return re.compile(r"(?<![\w$\\{`-])" + r"\s+".join(words) + r"(?![\w$}`-])")
