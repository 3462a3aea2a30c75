"""Clean each page, as a Sphinx extension: take out what it should not carry, add what is missing.

Jupyter Book loads the scripts of sphinx-thebe, twice and for no button of ours, and names a network
address in every page. docutils marks the bibliography as a list without list items. On the other
hand, a table that scrolls in its box must be reachable by the keyboard, and a link whose text is a
formula needs words for those who hear the page. A picture needs its size, so that the text does not
jump when it arrives, and so that book.css can keep its letters legible on a phone.
"""

import re
import struct
from pathlib import Path

FORMULA_LINK = re.compile(
    r'(<a class="reference internal" href="[^"]*#symbols-[\w-]+")>'
    r'(<span class="std std-ref"><span class="math)'
)
PICTURE = re.compile(r'<img ([^>]*?src="(?:\.\./)*_images/([^"]+\.png)"[^>]*?) ?/?>')


def size_of(png: Path) -> tuple[int, int]:
    """Read width and height in pixels from the head of the file."""
    return struct.unpack(">II", png.read_bytes()[16:24])


def with_sizes(body: str, files: dict[str, Path]) -> str:
    """Give the pictures of a page their size; `files` has them by their names on the site."""

    def sized(found: re.Match) -> str:
        if "width=" in found[1] or found[2] not in files:
            return found[0]
        width, height = size_of(files[found[2]])
        natural = f'width="{width}" height="{height}" style="--natural-width: {width}px"'
        return f"<img {found[1]} {natural}/>"

    return PICTURE.sub(sized, body)


def _without_thebe(script) -> bool:
    body = getattr(script, "attributes", {}).get("body") or ""
    return "thebe" not in str(getattr(script, "filename", script)) and "THEBE_JS_URL" not in body


def _clean(app, pagename, templatename, context, doctree):
    context["script_files"] = list(filter(_without_thebe, context.get("script_files", [])))
    if "body" in context:
        body = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        body = re.sub(r'<table class="([^"]*)">', r'<table class="\1" tabindex="0">', body)
        body = FORMULA_LINK.sub(r'\1 aria-label="what this symbol means">\2', body)
        files = {name: Path(app.srcdir, path) for path, (_, name) in app.env.images.items()}
        context["body"] = with_sizes(body, files)


def setup(app):
    app.connect("html-page-context", _clean, priority=900)
    return {"parallel_read_safe": True}
