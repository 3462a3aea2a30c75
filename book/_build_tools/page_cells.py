"""Say what a reader sees of a cell: no scaffolding, folded plotting code, a caption below figures.

Cells that serve the tests or the ledger are tagged `remove-cell` by their authors; `scaffolding`
finds lines that were printed where a reader sees them. The rest happens on the site's copy of a
chapter, so that in JupyterLab all code stays open.
"""

import re

from nbformat import NotebookNode

IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
PLOTLY = "application/vnd.plotly.v1+json"
UNSEEN = {"remove-cell", "remove-output"}
SCAFFOLDING = re.compile(r"\b(True|False)\]?\s*$|^\s*[a-z][a-z0-9]*(_[a-z0-9]+)+ = \S+\s*$")
PROMPTS = {"code_prompt_show": "Show the code", "code_prompt_hide": "Hide the code"}
SHORT = 3  # so many lines of plotting code are no burden


def scaffolding(cell: NotebookNode) -> list[str]:
    """Return the lines that a reader sees and that speak to the tests or the ledger.

    >>> from nbformat.v4 import new_code_cell, new_output
    >>> shown = new_code_cell(outputs=[new_output("stream", text="r above 0.9: True\\n0.93\\n")])
    >>> scaffolding(shown)
    ['r above 0.9: True']
    """
    if UNSEEN & set(cell.metadata.get("tags", [])):
        return []
    printed = [o.text for o in cell.get("outputs", []) if o.output_type == "stream"]
    return [line for line in "".join(printed).splitlines() if SCAFFOLDING.search(line)]


def alternative_text(cell: NotebookNode) -> str:
    """Return what the author says of the picture that a cell draws."""
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "").strip()


def fold(cell: NotebookNode) -> None:
    """Fold the code of a cell that draws, and of one that its author tagged `hide-input`."""
    tags = cell.metadata.get("tags", [])
    draws = any({*IMAGES, PLOTLY} & set(o.get("data", {})) for o in cell.outputs)
    if draws and len(cell.source.splitlines()) > SHORT and not {"hide-cell", *UNSEEN} & set(tags):
        tags = sorted({*tags, "hide-input"})
        cell.metadata["tags"] = tags
    if "hide-input" in tags:
        cell.metadata["mystnb"] = {**PROMPTS, **cell.metadata.get("mystnb", {})}


def caption(cell: NotebookNode) -> None:
    """Print the alternative text of a picture below it, as its caption."""
    text = alternative_text(cell)
    if text and any(set(IMAGES) & set(o.get("data", {})) for o in cell.outputs):
        mystnb = cell.metadata["mystnb"]
        mystnb["figure"] = {"caption": text, **mystnb.get("figure", {})}
