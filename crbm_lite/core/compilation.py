"""Compiling kernels with numba: a cache that may be damaged, and threads that share the work.

Compiled kernels are kept on the disk. Where the files are damaged (by a power loss, say) or cannot
be written, a kernel is compiled anew, with one warning. A kept kernel holds code of the functions
that it calls, so it counts only as long as no file of this folder has changed.

A parallel kernel is a plain one that computes some of its items, and threads of Python call it for
others. Numba's own ``parallel=True`` compiles every kernel several times over, which makes most of
a first fit. Its threads wait for each other without giving up their cores, which costs milliseconds
a call on a machine that is shared, and GNU OpenMP aborts a process that was forked after them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import numba
import numpy as np
from numba.core import event
from numba.core.caching import FunctionCache
from numba.extending import register_jitable

__all__ = [
    "KernelCacheWarning",
    "cached_njit",
    "compilation_shown",
    "inner_njit",
    "items_of",
    "parallel_njit",
]


class KernelCacheWarning(UserWarning):
    """Compiled kernels could not be read from the disk or kept there."""


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
        kernel = numba.njit(no_cfunc_wrapper=True, **options)(function)
        try:
            kernel._cache = _Cache(function)
        except RuntimeError:  # numba finds no folder to write to
            _warn_once("cannot be kept on the disk")
        return kernel

    return decorate


def inner_njit(**options: object) -> Callable:
    """Make a decorator for a function that kernels call; to Python it stays what it is.

    The kernels hold its code, so it is not kept on the disk. What would lead Python to the compiled
    code takes as long to compile as a small function itself.

    Examples
    --------
    >>> @inner_njit(error_model="numpy")
    ... def double(x):
    ...     return 2 * x
    >>> numba.njit(lambda x: double(x))(3), double(4)
    (6, 8)
    """
    return register_jitable(no_cfunc_wrapper=True, no_cpython_wrapper=True, **options)


@numba.njit(inline="always")
def items_of(thread, n_items):
    """Return the range of the items that thread (k, n), the k-th of n, takes of ``n_items``."""
    k, n_threads = thread
    return range(k * n_items // n_threads, (k + 1) * n_items // n_threads)


def parallel_njit(worth_bytes: int = 2**17, **options: object) -> Callable:
    """Make a decorator like `cached_njit`, for a kernel that threads run together.

    The kernel's first argument is the thread, which Python does not pass: ``items_of(thread, n)``
    are those of its n items that one call computes. No item may depend on another. Other kernels
    cannot call it.

    Parameters
    ----------
    worth_bytes : int, default 2**17
        Size of the arrays in the arguments from which a second thread gains more than the 30
        microseconds that it takes to start.

    Examples
    --------
    >>> import numpy as np
    >>> @parallel_njit()
    ... def double(thread, x, out):
    ...     for i in items_of(thread, x.size):
    ...         out[i] = 2.0 * x[i]
    >>> out = np.empty(3)
    >>> double(np.ones(3), out)
    >>> out
    array([2., 2., 2.])
    """

    def decorate(function: Callable) -> Callable:
        kernel = cached_njit(nogil=True, **options)(function)

        @functools.wraps(function)
        def run(*arguments: object) -> None:
            n_threads = numba.get_num_threads()
            if n_threads == 1 or _n_bytes(arguments) < worth_bytes:
                kernel((0, 1), *arguments)
                return
            others = [
                _threads().submit(kernel, (k, n_threads), *arguments) for k in range(1, n_threads)
            ]
            try:
                kernel((0, n_threads), *arguments)
            finally:  # nobody may change the arrays while others still compute
                wait(others)
            for other in others:
                other.result()

        return run

    return decorate


@contextmanager
def compilation_shown(bar: object) -> Iterator[None]:
    """Let a progress bar say "compiling" while kernels are compiled.

    Parameters
    ----------
    bar : tqdm or alike
        Something with ``postfix`` and ``set_postfix_str``.
    """
    with event.install_listener("numba:compile", _Shown(bar)):
        yield


class _Shown(event.Listener):
    """Writes behind a bar, and takes it away with what the bar shows next."""

    def __init__(self, bar: object) -> None:
        self._bar, self._depth, self._before = bar, 0, ""

    def on_start(self, event: object) -> None:
        if self._depth == 0:
            self._before = getattr(self._bar, "postfix", "") or ""  # a disabled bar has none
            self._bar.set_postfix_str("compiling")
        self._depth += 1

    def on_end(self, event: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._bar.set_postfix_str(self._before, refresh=False)


def _n_bytes(arguments: tuple) -> int:
    """Sum the sizes of the arrays in nested tuples."""
    return sum(
        x.nbytes if isinstance(x, np.ndarray) else _n_bytes(x) if isinstance(x, tuple) else 0
        for x in arguments
    )


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(numba.config.NUMBA_NUM_THREADS - 1, 1), "crbm_lite")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not survive a fork


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
