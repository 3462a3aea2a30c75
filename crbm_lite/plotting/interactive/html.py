"""HTML around a figure that a script draws: escaped texts, menus, the script and its data.

Whatever goes into HTML goes through `html_text`: names, sentences, and the figure's data as well,
which stand as JSON in an attribute. A script in a page holds none of them, so that no text can end
the script or the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

__all__ = ["figure_html", "html_text", "menu_options"]

# Numbered references, which plotly's texts know as well as browsers do; "$" would be mathematics.
_ESCAPED = {ord(sign): f"&#{ord(sign)};" for sign in "&<>\"'$"}
# Half characters, as in file names that are not UTF-8, cannot be written into a page.
_ESCAPED |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")


def html_text(text: str) -> str:
    """Escape a text so that HTML and plotly show it as it is, between tags and in attributes.

    Parameters
    ----------
    text : str
        Half characters (lone surrogates) become a replacement character.

    Returns
    -------
    str

    Examples
    --------
    >>> html_text("<!--<script>")
    '&#60;!--&#60;script&#62;'
    """
    return text.translate(_ESCAPED)


def menu_options(texts: Iterable[str], first: int = 0, selected: int = 0) -> str:
    """Write the options of a menu, whose values count from `first`.

    Examples
    --------
    >>> menu_options(["left", "right"], selected=1)
    '<option value="0">left</option><option value="1" selected>right</option>'
    """
    return "".join(
        f'<option value="{k}"{" selected" if k == selected else ""}>{html_text(text)}</option>'
        for k, text in enumerate(texts, first)
    )


def figure_html(kind: str, name: str, inside: str, data: dict) -> str:
    """Write a box that the script of its kind fills from the data.

    Parameters
    ----------
    kind : {"viewer", "explorer"}
        ``viewer.js`` and ``explorer.js`` lie beside this module.
    name : str
        Identifier of the box, unique in its page.
    inside : str
        HTML of the controls and of the places for the figure.
    data : dict
        Ready for JSON; the script's function ``mount(name)`` reads it from the box.

    Returns
    -------
    str
    """
    script = Path(__file__).with_name(f"{kind}.js").read_text(encoding="utf-8")
    return f"""<div class="crbm-{kind}" id="{name}" data-figure="{html_text(json.dumps(data))}">
{inside}
<script>{script}</script>
<script>crbm{kind.title()}.mount("{name}");</script>
</div>"""
