"""Close every page with what a reader takes along: notebook, citation, version, changelog.

A chapter's notebook lies with its outputs in _static/notebooks, where `stage` puts it. Feedback
goes to the public repository, so it is left out where the project names none (see `launch`).
"""

from importlib.metadata import version
from pathlib import Path

import launch

FOLDER = "_static/notebooks"


def foot(page: str, up: str, address: str | None, *, is_chapter: bool) -> str:
    """Return the foot of a page as HTML; `up` leads from the page to the root of the site.

    >>> print(foot("start/faq", "../", None, is_chapter=False).count("<a "))
    2
    """
    links = []
    if is_chapter:
        file = f"{page}.ipynb"
        download = f'href="{up}{FOLDER}/{file}" download="{Path(file).name}"'
        links += [
            f"<a {download}>This page as a notebook</a> (with outputs)",
            f"run it in a copy of the repository: <code>jupyter lab book/{page}.ipynb</code>",
        ]
    links += [
        f'<a href="{up}index.html#cite">Cite</a>',
        f'version {version("crbm_lite")} (<a href="{up}reference/changelog.html">changelog</a>)',
    ]
    if address is not None:
        links.append(f'<a href="{address.removesuffix(".git")}/issues">Feedback</a>')
    return f'<div class="page-foot">{" · ".join(links)}</div>'


def _add(app, pagename, templatename, context, doctree):
    if doctree is not None and "body" in context:
        chapter = Path(app.srcdir, f"{pagename}.ipynb").is_file()
        up = "../" * pagename.count("/")
        context["body"] += foot(pagename, up, launch.repository_address(), is_chapter=chapter)


def setup(app):
    app.connect("html-page-context", _add, priority=950)
    return {"parallel_read_safe": True}
