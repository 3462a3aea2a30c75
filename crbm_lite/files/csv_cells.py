"""Texts in the cells of a CSV table, which no spreadsheet program takes for a formula.

Such a program runs a cell that begins with =, +, - or @ (or with a tab or a new line before them).
A text of that kind gets an apostrophe in front, which the program takes for "this is text"; a text
that begins with apostrophes and one of these signs gets one more. So every text can be read back.
"""

from __future__ import annotations

import re

__all__ = ["cell_of_text", "text_of_cell"]

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def cell_of_text(text: str) -> str:
    """Write a text so that no program takes it for a formula.

    Examples
    --------
    >>> cell_of_text("=1+1"), cell_of_text("'=1+1"), cell_of_text("'t Hooft")
    ("'=1+1", "''=1+1", "'t Hooft")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def text_of_cell(cell: str) -> str:
    """Read the text that `cell_of_text` has written.

    Examples
    --------
    >>> text_of_cell("'=1+1"), text_of_cell("tectum")
    ('=1+1', 'tectum')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
