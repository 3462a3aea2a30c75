"""Ctrl-C, or the stop button of a notebook, is noted and obeyed at a good moment.

Python turns SIGINT into an exception in the middle of whatever runs, which would leave a training
half updated. Here the first one only leaves a note, which the training reads after each update. A
second one interrupts at once, as usual.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["StopRequest", "stop_request"]


@dataclass
class StopRequest:
    """Say whether somebody wants the work to stop.

    Attributes
    ----------
    made : bool
    """

    made: bool = False


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turn the first SIGINT into a note as long as the block lasts.

    Nothing changes in a thread other than the main one, since Python delivers no signals there, or
    where SIGINT is ignored, as in a job in the background.

    Examples
    --------
    >>> import os
    >>> with stop_request() as stop:
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     print(stop.made)
    True
    """
    stop = StopRequest()
    in_main = threading.current_thread() is threading.main_thread()
    former = signal.getsignal(signal.SIGINT) if in_main else None
    if former in (None, signal.SIG_IGN):
        yield stop
        return

    def note(*_: object) -> None:
        if stop.made:
            raise KeyboardInterrupt
        stop.made = True

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, former)
