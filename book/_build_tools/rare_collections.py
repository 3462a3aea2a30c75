"""Collect garbage rarely while the pages are built, as a Sphinx extension: a third of the time less.

Sphinx keeps the trees of all pages. Python looks through them again and again for what nobody needs
any more, and hardly finds anything.
"""

import gc

OBJECTS = 200_000  # new ones before Python looks through the youngest; its own value is 700


def setup(app):
    gc.set_threshold(OBJECTS, 20, 100)
    return {"parallel_read_safe": True}
