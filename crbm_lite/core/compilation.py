"""Compiling kernels with numba: their cache may be damaged, and their threads end in a fork.

Compiled kernels are kept on the disk. Where the files are damaged (by a power loss, say) or cannot
be written, a kernel is compiled anew, with one warning. A kept kernel holds code of the functions
that it calls, so it counts only as long as no file of this folder has changed.

Kernels that run in parallel use threads that do not survive a fork. In a child that was forked
after them GNU OpenMP aborts the process, and a pool of workers would wait for it for ever. There a
parallel kernel raises an error at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numba
from numba.core.caching import FunctionCache

__all__ = [
    "ForkedProcessError",
    "KernelCacheWarning",
    "cached_njit",
    "parallel_njit",
    "refuse_after_fork",
]


class ForkedProcessError(RuntimeError):
    """A parallel kernel was called in a process whose threads were lost in a fork."""


class KernelCacheWarning(UserWarning):
    """Compiled kernels could not be read from the disk or kept there."""


class _Process:
    """Whether this process was forked from one that had started threads."""

    has_lost_threads = False


def _note_fork() -> None:
    try:
        layer = numba.threading_layer()
    except ValueError:  # no thread has been started yet
        return
    if layer == "omp":
        from numba.np.ufunc.omppool import openmp_vendor

        _Process.has_lost_threads |= openmp_vendor == "GNU"  # the others start new threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def refuse_after_fork() -> None:
    """Raise where a parallel kernel would end the process.

    Raises
    ------
    ForkedProcessError
        A RuntimeError: this process was forked from one that had already run a parallel kernel.
    """
    if _Process.has_lost_threads:
        raise ForkedProcessError(
            "this process was forked from one that has already computed, and the threads of a "
            "process do not survive a fork: start the workers with "
            'multiprocessing.get_context("spawn") or "forkserver", or with joblib\'s backend '
            '"loky"; or fork before the first computation'
        )


def cached_njit(**options: object) -> Callable:
    """Make a decorator: `numba.njit` with these options, and a cache that recovers from damage.

    Examples
    --------
    >>> @cached_njit(error_model="numpy")
    ... def double(x):
    ...     return 2 * x
    >>> double(3)
    6
    """

    def decorate(function: Callable) -> Callable:
        kernel = numba.njit(**options)(function)
        try:
            kernel._cache = _Cache(function)
        except RuntimeError:  # numba finds no folder to write to
            _warn_once("cannot be kept on the disk")
        return kernel

    return decorate


def parallel_njit(**options: object) -> Callable:
    """Make a decorator like `cached_njit`, for a kernel with ``prange`` that Python calls.

    The kernel raises a ForkedProcessError where its threads were lost in a fork. Other kernels
    cannot call it.
    """

    def decorate(function: Callable) -> Callable:
        kernel = cached_njit(parallel=True, **options)(function)

        @functools.wraps(function)
        def run(*arguments: object) -> object:
            refuse_after_fork()
            return kernel(*arguments)

        return run

    return decorate


class _Cache(FunctionCache):
    """numba's cache of one function's compiled code; what goes wrong there stops nobody."""

    def load_overload(self, sig: object, target_context: object) -> object | None:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged pickle raises anything
            _warn_once("were damaged on the disk")
            try:
                self.flush()
            except OSError:
                self.disable()
            return None

    def save_overload(self, sig: object, data: object) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:
            _warn_once("cannot be kept on the disk")

    def _index_key(self, sig: object, codegen: object) -> tuple:
        return (*super()._index_key(sig, codegen), _digest_of_this_folder())


@functools.cache
def _digest_of_this_folder() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(
        f"compiled kernels {what}, in the folder that NUMBA_CACHE_DIR names or beside the code: "
        "they are compiled anew, which takes half a minute",
        KernelCacheWarning,
        stacklevel=2,
    )
