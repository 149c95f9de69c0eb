"""Looking at something again and again while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

LOOK_S = 0.25

Seen = TypeVar("Seen")


@contextmanager
def watching(look: Callable[[], Seen]) -> Iterator[list[Seen]]:
    """What ``look`` found, four times a second, until the end; the first is there from the beginning."""
    seen = [look()]
    stopped = threading.Event()

    def look_on() -> None:
        while not stopped.wait(LOOK_S):
            seen.append(look())

    thread = threading.Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        thread.join()
