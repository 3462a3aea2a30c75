"""Let Sphinx read the pages in several processes.

Two extensions that come with Jupyter Book do not say whether they are safe to do that with. One
numbers the parts of the contents, the other prepares pages for LaTeX. This book uses neither.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.config import Config

UNDECLARED = ("sphinx_jupyterbook_latex", "sphinx_multitoc_numbering")


def declare_safe(app: Sphinx, config: Config) -> None:
    """Declare for those extensions what they leave open."""
    for name in UNDECLARED:
        app.extensions[name].parallel_read_safe = True


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect with Sphinx."""
    app.connect("config-inited", declare_safe)
    return {"parallel_read_safe": True}
