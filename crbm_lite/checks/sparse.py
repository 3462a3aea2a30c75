"""What a sparse matrix must be: indices that stay within it, and one entry for each number not 0.

No equations. scipy trusts the index arrays of a matrix, and wrong ones lead it out of the memory of
the process. Sparse matrices of a user come in by `as_sparse`, which looks at every index first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_array

__all__ = ["as_dense", "as_sparse"]


def as_sparse(values: object, name: str) -> scipy.sparse.csr_array:
    """Return a matrix, dense or sparse, as a csr_array with one entry for each number not 0.

    Entries of one place are added up, and stored zeros go, so that whoever reads the entries reads
    the matrix. It is not copied if it is such an array already.

    Raises
    ------
    ValueError
        If an index of a sparse matrix lies outside, starts of rows are missing or fall, lengths
        differ, or entries are masked.

    Examples
    --------
    >>> broken = scipy.sparse.csr_array(np.eye(2))
    >>> broken.indices[1] = 7
    >>> as_sparse(broken, "weights")
    Traceback (most recent call last):
    ValueError: weights is a damaged csr matrix (it has index 7 of 2 columns): make it anew
    """
    if not scipy.sparse.issparse(values):
        return scipy.sparse.csr_array(as_array(values, name))
    wrong = next(_faults(values), None)
    if wrong:
        raise ValueError(f"{name} is a damaged {values.format} matrix ({wrong}): make it anew")
    if hasattr(values, "data"):
        as_array(values.data, name)
    matrix = scipy.sparse.csr_array(values)
    if not matrix.has_canonical_format or not np.asarray(matrix.data).all():
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    return matrix


def as_dense(values: object, name: str) -> np.ndarray:
    """Return a matrix, dense or sparse, as an array; ValueError as in `as_sparse`."""
    if scipy.sparse.issparse(values):
        return as_sparse(values, name).toarray()
    return as_array(values, name)


def _faults(matrix: scipy.sparse.sparray) -> Iterator[str]:
    """Say what is wrong with the indices of a matrix, as far as scipy does not ask itself."""
    if len(matrix.shape) != 2:
        yield f"it has shape {matrix.shape}"
    elif matrix.format in ("csr", "csc", "bsr"):
        yield from _compressed_faults(matrix)
    elif matrix.format == "coo":
        for index, size, axis in zip((matrix.row, matrix.col), matrix.shape, ("rows", "columns")):
            if len(index) != len(matrix.data):
                yield f"it has {len(index)} indices and {len(matrix.data)} entries"
            yield from _index_faults(index, size, axis)
    elif matrix.format == "lil":
        lengths = [[len(row) for row in rows] for rows in (matrix.rows, matrix.data)]
        if lengths[0] != lengths[1] or len(lengths[0]) != matrix.shape[0]:
            yield "its rows have other lengths than their indices"
        columns = [column for row in matrix.rows for column in row]
        yield from _index_faults(np.array(columns or [0]), matrix.shape[1], "columns")
    elif matrix.format == "dia":
        if matrix.data.ndim != 2 or np.shape(matrix.offsets) != matrix.data.shape[:1]:
            yield f"it has {np.shape(matrix.offsets)} offsets, entries {matrix.data.shape}"
    elif matrix.format == "dok":
        keys = np.array([*matrix.keys()] or [(0, 0)])
        for index, size, axis in zip(keys.T, matrix.shape, ("rows", "columns")):
            yield from _index_faults(index, size, axis)


def _compressed_faults(matrix: scipy.sparse.sparray) -> Iterator[str]:
    starts, index, data = (np.asarray(x) for x in (matrix.indptr, matrix.indices, matrix.data))
    block, axes = data.shape[1:] or (1, 1), ("rows", "columns")
    if len(block) != 2 or 0 in block or any(n % b for n, b in zip(matrix.shape, block)):
        yield f"its entries of shape {data.shape} do not fill {matrix.shape}"
        return
    n_starts, size = (n // b for n, b in zip(matrix.shape, block))
    if matrix.format == "csc":
        (n_starts, size), axes = (size, n_starts), axes[::-1]
    if starts.dtype.kind not in "iu" or starts.shape != (n_starts + 1,) or starts[0] != 0:
        yield f"its indptr is {starts.dtype} of shape {starts.shape}, for {n_starts} {axes[0]}"
    elif (starts[1:] < starts[:-1]).any():
        yield "its indptr falls"
    elif index.ndim != 1 or len(index) != len(data) or starts[-1] > len(index):
        yield f"it has {index.shape} indices, {len(data)} entries, and {starts[-1]} by its indptr"
    yield from _index_faults(index, size, axes[1])


def _index_faults(index: np.ndarray, size: int, axis: str) -> Iterator[str]:
    index = np.asarray(index)
    if index.dtype.kind not in "iu":
        yield f"its indices are {index.dtype}"
    elif index.size and not 0 <= index.min() <= index.max() < max(size, 1):
        wrong = index.min() if index.min() < 0 else index.max()
        yield f"it has index {wrong} of {size} {axis}"
