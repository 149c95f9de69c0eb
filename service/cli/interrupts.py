"""Ctrl-C that is not lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def remembered_interrupts() -> Iterator[Callable[[], None]]:
    """A function that raises KeyboardInterrupt when there was one that had no effect.

    Python drops exceptions in finalizers, and some calls of C do in what they ask objects: a Ctrl-C that comes there is
    gone.  Where the process is told to ignore it, as by ``nohup``, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: None
        return
    is_seen = False

    def interrupt(*_: object) -> None:
        nonlocal is_seen
        is_seen = True
        raise KeyboardInterrupt

    def check() -> None:
        if is_seen:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
