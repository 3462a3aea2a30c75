"""Collect garbage rarely while the pages are built, as a Sphinx extension: a third less time.

Sphinx keeps the trees of all pages, and Python looks through them again and again for objects that
nobody needs any more. It hardly finds any.
"""

import gc

OBJECTS = 200_000  # new ones before Python looks through the youngest; its own value is 700


def setup(app):
    gc.set_threshold(OBJECTS, 20, 100)
    return {"parallel_read_safe": True}
