"""What autodoc makes of named tuples, and of functions to which a decorator adds parameters."""

import io

import pytest

MODULE = '''
"""A module."""

import inspect
from typing import NamedTuple


class Pair(NamedTuple):
    """Two numbers."""

    first: int
    second: int

    def total(self):
        """Add them."""


def lengthened(*, own=1_000):
    """Has parameters that its source lacks."""


more = inspect.Parameter("more", inspect.Parameter.KEYWORD_ONLY, default=3)
both = [*inspect.signature(lengthened).parameters.values(), more]
lengthened.__signature__ = inspect.Signature(both)


def plain(own=1_000):
    """Is as it stands in the source."""
'''


@pytest.mark.parametrize("extension", ["autodoc_fixes", None])
def test_fields_are_listed_once_and_added_parameters_are_shown(tmp_path, monkeypatch, extension):
    application = pytest.importorskip("sphinx.application").Sphinx
    name = f"documented_{extension}".lower()
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "index.rst").write_text(f".. automodule:: {name}\n   :members:\n")
    extensions = ["sphinx.ext.autodoc", *([extension] if extension else [])]
    warnings = io.StringIO()
    application(
        tmp_path,
        None,
        tmp_path / "out",
        tmp_path / "trees",
        "text",
        confoverrides={"extensions": extensions, "autodoc_preserve_defaults": True},
        status=None,
        warning=warnings,
    ).build()
    text = (tmp_path / "out" / "index.txt").read_text()
    assert "total" in text
    assert "plain(own=1_000)" in text
    if extension:
        assert "lengthened(*, own=1000, more=3)" in text
        assert "Alias for field" not in text
        assert warnings.getvalue() == ""
    else:  # the day on which this fails, the extension can go
        assert "Alias for field" in text
        assert "pop from empty list" in warnings.getvalue()
