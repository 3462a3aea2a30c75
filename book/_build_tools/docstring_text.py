"""Escape, as a Sphinx extension, what docstrings write for readers in a terminal.

There |w| is a modulus and weights_ is a name. To reStructuredText they are a substitution and a
link. Both are escaped outside code and math, so that authors need not think of it.
"""

import re

# Names at the head of an entry of a section, as in "weights_ : ndarray", are left to napoleon.
NAMES = re.compile(r"\s*\w+(?:, \w+)*(?= : |$)")
# What is left as it is: literals, roles and other interpreted text, directives, doctests.
KEPT = re.compile(r"(``.+?``|:[\w:]+:`.+?`|`.+?`_{0,2}|^\s*\.\. .*$|^\s*>>> .*$|^\s*\.\.\. .*$)")


def escape(line: str) -> str:
    names = NAMES.match(line)
    head, line = (names[0], line[names.end() :]) if names else ("", line)
    pieces = KEPT.split(line)
    pieces[::2] = [re.sub(r"(?<=\w)_(?=\W|$)|\|", r"\\\g<0>", piece) for piece in pieces[::2]]
    return head + "".join(pieces)


def _process(app, what, name, obj, options, lines):
    indent = None  # of the directive or literal block that we are in, whose content is kept
    for i, line in enumerate(lines):
        depth = len(line) - len(line.lstrip())
        if indent is not None and line.strip() and depth <= indent:
            indent = None
        if indent is None:
            if line.lstrip().startswith(".. ") or line.rstrip().endswith("::"):
                indent = depth
            lines[i] = escape(line)


def setup(app):
    app.connect("autodoc-process-docstring", _process, priority=400)  # before napoleon's 500
    return {"parallel_read_safe": True}
