"""Keep executed chapters: one execution feeds both the tests and the website.

The tests run every chapter under nbval. A chapter that passes is written here with all its outputs,
and the website is built from it. A chapter is *current* while its key is unchanged. The key is made
from the notebook, the library, the versions of the main packages, the stored tables that the
notebook names and, if it fetches recordings, from which of them are here.

Run as a program, it prints how many chapters are current, and exits with 1 if one is not.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import nbformat
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
BOOK = REPOSITORY / "book"
STORE = REPOSITORY / "build" / "executed"

FORMAT = 1  # raise it when the store's own layout or the plugin's output changes
PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "scikit-learn",
    "matplotlib",
    "plotly",
    "ipywidgets",
    "ipykernel",
    "keras",
    "jax",
)
# Tables that were computed once, by programs that take too long for a chapter.
TABLES = ("benchmarks/*.csv", "benchmarks/results/*", "book/**/*.json", "book/**/*.csv")


@dataclass(frozen=True)
class Run:
    """Say when and how a notebook was executed; this is kept beside it.

    `seconds` is the processor time of its kernel, all cores together.
    """

    key: str
    finished: str
    seconds: float
    cells: int
    missing: str  # why the chapter ran only in part, else empty
    versions: dict[str, str]


def chapters() -> list[Path]:
    """List the notebooks of the book, in the order of the table of contents."""
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    listed = [BOOK / f"{name}.ipynb" for name in _files(toc)]
    return [path for path in listed if path.is_file()]


def _files(node) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _files(item)]
    if isinstance(node, dict):
        own = [node[k] for k in ("root", "file") if k in node]
        return own + [name for v in node.values() for name in _files(v)]
    return []


def name_of(chapter: Path) -> str:
    """Return a chapter's name in reports: its path in the book without the suffix."""
    return chapter.resolve().relative_to(BOOK).with_suffix("").as_posix()


def executed_path(chapter: Path) -> Path:
    return STORE / f"{name_of(chapter)}.ipynb"


def _run_path(chapter: Path) -> Path:
    return executed_path(chapter).with_suffix(".json")


def versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "machine": platform.machine()} | found


def key(chapter: Path) -> str:
    """Hash everything that an executed chapter depends on."""
    text = chapter.read_bytes()
    parts = [FORMAT, hashlib.sha256(text).hexdigest(), _library_hash(), versions()]
    parts.append(_tables_named_in(text))
    if re.search(rb"\bfrom benchmarks\b", text):
        parts.append(_hash_of_benchmarks())
    if re.search(rb"\b(fetch|load_retina|datasets)\b", text):
        parts.append(_recordings_at_hand())
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _tables_named_in(text: bytes) -> dict[str, str]:
    """Hash every stored table whose file name occurs in a notebook."""
    files = sorted({path for pattern in TABLES for path in REPOSITORY.glob(pattern)})
    return {
        path.relative_to(REPOSITORY).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file() and path.name.encode() in text
    }


@cache
def _library_hash() -> str:
    files = [p for p in (REPOSITORY / "crbm_lite").rglob("*") if p.is_file()]
    return _hash(files + [p for p in [REPOSITORY / "data_manifest.yml"] if p.is_file()])


@cache
def _hash_of_benchmarks() -> str:
    """Hash the code of the benchmarks; their tables are named in the chapters."""
    found = (REPOSITORY / "benchmarks").rglob("*")
    return _hash([p for p in found if p.suffix in (".py", ".yml")])


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            digest.update(path.relative_to(REPOSITORY).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _recordings_at_hand() -> list[str]:
    """List the files of the manifest that are here, with their sizes."""
    from crbm_lite.datasets.registry import list_datasets
    from crbm_lite.files.whole import cache_folder

    folders = [cache_folder()]
    if os.environ.get("CRBM_LITE_DATA"):
        folders.append(Path(os.environ["CRBM_LITE_DATA"]))
    files = [f"{entry.name}/{file.name}" for entry in list_datasets() for file in entry.files]
    return [
        f"{name} {(folder / name).stat().st_size}"
        for folder in folders
        for name in files
        if (folder / name).is_file()
    ]


def last_run(chapter: Path) -> Run | None:
    """Return the run whose outputs are stored, or None."""
    try:
        run = Run(**json.loads(_run_path(chapter).read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, json.JSONDecodeError):
        return None
    return run if executed_path(chapter).is_file() else None


def current_run(chapter: Path) -> Run | None:
    """Return the stored run if the chapter need not be executed again, otherwise None."""
    run = last_run(chapter)
    return run if run is not None and run.key == key(chapter) else None


def forget(chapter: Path) -> None:
    """Remove what is stored, so that a chapter that fails is never taken for one that passed."""
    for path in (_run_path(chapter), executed_path(chapter)):
        path.unlink(missing_ok=True)


def keep(
    chapter: Path, notebook: nbformat.NotebookNode, *, seconds: float, missing: str = ""
) -> None:
    """Store an executed chapter that passed."""
    target = executed_path(chapter)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    run = Run(
        key=key(chapter),
        finished=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        seconds=round(seconds, 2),
        cells=sum(cell.cell_type == "code" for cell in notebook.cells),
        missing=missing,
        versions=versions(),
    )
    _run_path(chapter).write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")


def main() -> int:
    waiting = [name_of(path) for path in chapters() if current_run(path) is None]
    total = len(chapters())
    print(f"chapters: {total - len(waiting)} of {total} are executed and unchanged", flush=True)
    if waiting:
        print("to execute: " + ", ".join(waiting), flush=True)
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())
