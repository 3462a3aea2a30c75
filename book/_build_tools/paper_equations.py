"""Give equations the paper's numbers, as a Sphinx extension.

A label `eq-17` is the paper's Eq. 17. Three labels have names instead, listed here; where the
paper's number is not known for certain it is a range.
"""

import re

from docutils import nodes

NAMED = {"eq-energy": "7–12", "eq-marginal": "7–12", "eq-drelu": "13"}
NUMBERED = re.compile(r"eq-(\d+)")


def number_of(label: str) -> str | None:
    """Return the paper's number of a labelled equation, or None for one of our own."""
    match = NUMBERED.fullmatch(label)
    return NAMED.get(label) or (match[1] if match else None)


def _renumber(app, doctree):
    domain = app.env.get_domain("math")
    for node in doctree.findall(nodes.math_block):
        number = number_of(node.get("label") or "")
        if number:
            node["number"] = number
            domain.equations[node["label"]] = (app.env.docname, number)


def setup(app):
    app.connect("doctree-read", _renumber)
    return {"parallel_read_safe": True}
