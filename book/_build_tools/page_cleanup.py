"""A Sphinx extension: take out of each page what it should not carry.

Jupyter Book loads the scripts of sphinx-thebe, twice and for no button of ours, and names a network
address in every page; docutils marks the bibliography as a list without list items. And add what is
missing: a table that scrolls in its box must be reachable by the keyboard, and a link whose text is
a formula needs words for those who hear the page.
"""

import re

FORMULA_LINK = re.compile(
    r'(<a class="reference internal" href="[^"]*#symbols-[\w-]+")>'
    r'(<span class="std std-ref"><span class="math)'
)


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
        context["body"] = FORMULA_LINK.sub(r'\1 aria-label="what this symbol means">\2', body)


def setup(app):
    app.connect("html-page-context", _clean, priority=900)
    return {"parallel_read_safe": True}
