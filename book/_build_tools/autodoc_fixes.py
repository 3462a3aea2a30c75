"""Mend, as a Sphinx extension, what autodoc makes of two kinds of objects.

The fields of a named tuple are described in its docstring; autodoc would list each a second time.
And autodoc looks up defaults in the source of a function. Where a decorator has added parameters
(the options that importers share) the source lacks them, so there it takes the values themselves.
"""

from collections import namedtuple

FIELD = type(namedtuple("_Example", "x").x)


def _skip_field(app, what, name, member, skip, options):
    return True if isinstance(member, FIELD) else None


def _read_source(app, obj, bound_method):
    has_own_signature = "__signature__" in getattr(obj, "__dict__", {})
    app.config.autodoc_preserve_defaults = not has_own_signature


def setup(app):
    app.connect("autodoc-skip-member", _skip_field)
    app.connect("autodoc-before-process-signature", _read_source, priority=400)  # Sphinx's is 500
    return {"parallel_read_safe": True}
