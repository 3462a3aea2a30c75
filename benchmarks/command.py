"""What every benchmark does around its measurement: arguments, and the clock."""

from __future__ import annotations

import inspect
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


def run(main: Callable[..., object]) -> None:
    """Call ``main`` with the words of the command line, of the types of its parameters.

    Warnings, such as those of models that have not converged, are left to the tables.
    """
    warnings.simplefilter("ignore")
    parameters = list(inspect.signature(main, eval_str=True).parameters.values())
    arguments = []
    for word in sys.argv[1:]:
        if not parameters:
            raise SystemExit(f"{word}: one argument too many\n\n{inspect.getmodule(main).__doc__}")
        kind = parameters[0].annotation
        try:
            arguments.append(kind(word))
        except ValueError:
            raise SystemExit(f"{word}: give {kind.__name__} for {parameters[0].name}") from None
        if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
    main(*arguments)


@dataclass
class Elapsed:
    """Seconds that a block took."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def timed() -> Iterator[Elapsed]:
    """Time a block."""
    elapsed, wall, cpu = Elapsed(), time.perf_counter(), time.process_time()
    yield elapsed
    elapsed.wall_s, elapsed.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
