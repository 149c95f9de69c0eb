"""``Turns``: when an event loop looks up from requests that it answers at once.

libuv reads on while more than a thousand sockets have something to say, some fifty times over: with some thousand busy
connections and a few µs a request everything else, such as a health check, would wait for seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

# Some 30 requests of one row, or one of a hundred: a millisecond.  Each is worth so many bytes besides its own.
BYTES_A_TURN, BYTES_A_REQUEST = 64 << 10, 2 << 10
# What may wait in memory for its turn; what comes then is answered at once.
MOST_BYTES = 64 << 20


class Turns:
    """One for all connections of an event loop.

    left: what may be answered before the loop looks at everything else; from 0 on requests wait, first in, first out.
    """

    def __init__(self) -> None:
        self.begin()
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._n_bytes = 0

    def begin(self) -> None:
        """The loop has looked at everything else."""
        self.left = BYTES_A_TURN

    def give_back(self, n_bytes: int) -> None:
        """So many bytes of a request were not read."""
        self.left += n_bytes

    def take(self, n_bytes: int) -> None:
        """A request of so many bytes is answered."""
        self.left -= BYTES_A_REQUEST + n_bytes

    def wait(self, loop: asyncio.AbstractEventLoop, n_bytes: int, go_on: Callable[[], None]) -> bool:
        """Whether ``go_on`` will be called at its turn; False: there is no room to wait in."""
        if self._n_bytes + n_bytes > MOST_BYTES:
            return False
        if not self._waiting:
            loop.call_soon(self._next, loop)
        self._waiting.append((n_bytes, go_on))
        self._n_bytes += n_bytes
        return True

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self.begin()
        while self._waiting and self.left > 0:
            n_bytes, go_on = self._waiting.popleft()
            self._n_bytes -= n_bytes
            self.take(n_bytes)
            go_on()
        if self._waiting:
            loop.call_soon(self._next, loop)
