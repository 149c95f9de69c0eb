"""Work that a test holds up."""

from __future__ import annotations

import threading


class Gate:
    """Work that waits until it is let go, and remembers what was done."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.done: list[int] = []

    def work(self, number: int) -> int:
        assert self.is_open.wait(30)
        self.done.append(number)
        return number
