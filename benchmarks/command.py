"""What every benchmark does around its measurement: arguments, the clock, and memory."""

from __future__ import annotations

import ctypes
import gc
import inspect
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def run(main: Callable[..., object]) -> None:
    """Call ``main`` with the words of the command line, of the types of its parameters.

    A parameter that has to be named takes one word, after ``--name``. Warnings, such as those of
    models that have not converged, are left to the tables.
    """
    warnings.simplefilter("ignore")
    parameters = list(inspect.signature(main, eval_str=True).parameters.values())
    options = {f"--{p.name}": p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    parameters = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    arguments, named, words = [], {}, iter(sys.argv[1:])
    for word in words:
        if word in options:
            named[options[word].name] = _value(next(words, ""), options[word])
            continue
        if not parameters:
            raise SystemExit(f"{word}: one argument too many\n\n{inspect.getmodule(main).__doc__}")
        arguments.append(_value(word, parameters[0]))
        if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
    main(*arguments, **named)


def _value(word: str, parameter: inspect.Parameter) -> object:
    kind = parameter.annotation
    try:
        return kind(word)
    except ValueError:
        raise SystemExit(f"{word}: give {kind.__name__} for {parameter.name}") from None


class Names(tuple[str, ...]):
    """Names with commas between them: ``larva,dev small``."""

    def __new__(cls, text: str) -> Names:
        return super().__new__(cls, filter(None, map(str.strip, text.split(","))))


class Seeds(tuple[int, ...]):
    """Seeds from the first to the last: ``0-4``, or one alone: ``3``."""

    def __new__(cls, text: str) -> Seeds:
        first, _, last = text.partition("-")
        return super().__new__(cls, range(int(first), int(last or first) + 1))


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


def cpu_s_per_update(trainer: object, n_updates: int = 30) -> float:
    """CPU seconds of an update of a trainer, after five that count for nothing."""
    for _ in range(5):
        trainer.one_update()
    with timed() as elapsed:
        for _ in range(n_updates):
            trainer.one_update()
    return elapsed.cpu_s / n_updates


@dataclass
class Memory:
    """Megabytes that a block took at its peak, above what there was before; NaN if not known."""

    peak_mb: float = float("nan")


@contextmanager
def memory_peak() -> Iterator[Memory]:
    """Measure the peak of the memory of this process in a block (Linux only)."""
    memory, status = Memory(), Path("/proc/self/status")
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not serve the block
        Path("/proc/self/clear_refs").write_text("5")  # begins a new peak
        before = _kilobytes(status, "VmRSS")
    except (OSError, AttributeError):
        yield memory
        return
    yield memory
    memory.peak_mb = (_kilobytes(status, "VmHWM") - before) / 1024


def peak_gb() -> float:
    """Gigabytes that this process had at its peak; NaN if not known (Linux only).

    `resource.getrusage` would not do: it counts the process that started this one, too.
    """
    try:
        return _kilobytes(Path("/proc/self/status"), "VmHWM") * 1024 / 1e9
    except OSError:
        return float("nan")


def _kilobytes(status: Path, name: str) -> int:
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
