"""The digest of source code: results that are kept know which code made them."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["source_digest"]

_SPACES = 2  # of a sentence
PACKAGE = Path(__file__).resolve().parents[1]


@lru_cache(maxsize=64)
def source_digest(
    *folders: str, package: Path = PACKAGE, without: tuple[str, ...] = (), sentences: bool = True
) -> str:
    """Digest every Python file of some folders of the package; texts and comments do not count.

    The digest is the same under every version of Python that can parse the files.

    Parameters
    ----------
    *folders : str
        Folders or files below ``package``, such as "core" or "measures.py".
    package : path
        Where they are; by default the installed crbm_lite.
    without : tuple of str
        Folders or files below ``package`` that are left out; none by default.
    sentences : bool, default True
        Whether texts of three words or more count. What a user reads changes no number.

    Returns
    -------
    str
        A sha256, 64 hexadecimal digits, of the syntax trees without docstrings, by file name.

    Raises
    ------
    FileNotFoundError
        If a folder or file does not exist, or one to be left out is in none of them.

    Examples
    --------
    >>> source_digest("core") == source_digest("core", "training")
    False
    """
    digest, left_out = hashlib.sha256(), set()
    for folder in folders:
        root = package / folder
        if not root.exists():
            raise FileNotFoundError(f"{root} does not exist: give folders of {package}")
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            name = path.relative_to(package).as_posix()
            if outside := [w for w in without if name == w or name.startswith(f"{w}/")]:
                left_out.update(outside)
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            digest.update(name.encode())
            digest.update(_bare(tree if sentences else _Wordless().visit(tree)).encode())
    if unknown := set(without) - left_out:
        raise FileNotFoundError(f"{sorted(unknown)[0]} is in none of {', '.join(folders)}")
    return digest.hexdigest()


class _Wordless(ast.NodeTransformer):
    """Empty the texts of three words or more; what an f-string says of values goes with them."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        is_sentence = isinstance(node.value, str) and node.value.count(" ") >= _SPACES
        return ast.Constant("") if is_sentence else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        said = "".join(x.value for x in node.values if isinstance(x, ast.Constant))
        return ast.Constant("") if said.count(" ") >= _SPACES else node


def _bare(node: object) -> str:
    """Write a syntax tree without texts that stand alone, and without fields that hold nothing.

    `ast.dump` would not do: newer versions of Python add empty fields, or leave them out.
    """
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in sorted(node._fields))
        kept = (f"{name}={_bare(x)}" for name, x in fields if x is not None and x != [])
        return f"{type(node).__name__}({', '.join(kept)})"
    if isinstance(node, list):
        return f"[{', '.join(_bare(x) for x in node if not _is_text(x))}]"
    return repr(node)


def _is_text(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
