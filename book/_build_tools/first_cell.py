"""Put the first cell into every chapter: it installs the package where it is missing.

    python book/_build_tools/first_cell.py          put it into every notebook of the book
    python book/_build_tools/first_cell.py --check  name the notebooks that lack it or hold another

Only that cell of a notebook is changed. The site leaves it out (tag `remove-cell`).
"""

import json
import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parents[1]
TAGS = ["remove-cell", "install"]
PACKAGE = "crbm_lite[notebooks]"  # what pip is asked for; an address (git+https://...) does as well
SOURCE = f"""\
# Where the package is missing, as on Colab, this installs it.
try:
    import crbm_lite
except ModuleNotFoundError:
    import subprocess
    import sys

    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "{PACKAGE}"])"""


def notebooks() -> list[Path]:
    """List the notebooks of the book."""
    ours = (path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return sorted(path for path in ours if "_build" not in path.parts)


def cell() -> dict:
    """Return the cell as nbformat writes it."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "install",
        "metadata": {"tags": TAGS},
        "outputs": [],
        "source": SOURCE.splitlines(keepends=True),
    }


def is_install(found: dict) -> bool:
    """Say whether a cell is an install cell, with this text or an older one."""
    return "install" in found["metadata"].get("tags", [])


def has_it(path: Path) -> bool:
    """Say whether the notebook begins with the cell and has no second one."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return bool(cells) and cells[0] == cell() and not any(map(is_install, cells[1:]))


def put(path: Path) -> bool:
    """Put the cell in front; return whether the notebook had to be changed."""
    if has_it(path):
        return False
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    notebook["cells"] = [cell(), *(c for c in notebook["cells"] if not is_install(c))]
    written = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(written + ("\n" if text.endswith("\n") else ""), encoding="utf-8")
    return True


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        lacking = [path for path in notebooks() if not has_it(path)]
        for path in lacking:
            print(path.relative_to(BOOK).as_posix())
        return 1 if lacking else 0
    for path in [Path(a).resolve() for a in arguments] or notebooks():
        if put(path):
            print(f"first cell written: {path.relative_to(BOOK).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
