"""The digest of source code: results that are kept know which code made them."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["source_digest"]

PACKAGE = Path(__file__).resolve().parents[1]


@lru_cache(maxsize=16)
def source_digest(*folders: str, package: Path = PACKAGE) -> str:
    """Digest every Python file of some folders of the package; texts and comments do not count.

    Parameters
    ----------
    *folders : str
        Folders or files below ``package``, such as "core" or "measures.py".
    package : path
        Where they are; by default the installed crbm_lite.

    Returns
    -------
    str
        A sha256, 64 hexadecimal digits, of the syntax trees without docstrings, by file name.

    Raises
    ------
    FileNotFoundError
        If a folder or file does not exist.

    Examples
    --------
    >>> source_digest("core") == source_digest("core", "training")
    False
    """
    digest = hashlib.sha256()
    for folder in folders:
        root = package / folder
        if not root.exists():
            raise FileNotFoundError(f"{root} does not exist: give folders of {package}")
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(_bare_tree(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def _bare_tree(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
