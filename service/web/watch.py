"""``Watch``: who has to be ended because its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

LOOK_S, AT_ONCE = 0.5, 16


class Watch:
    """Looks at all connections of a loop now and then: one timer, however many there are.

    It takes a few at a time, between which others have their turn: a crowd that came together ends together.
    """

    def __init__(self) -> None:
        self._is_on = False

    def begin(self, loop: asyncio.AbstractEventLoop, connections: Collection[Any]) -> None:
        """Look until there are no connections."""
        if not self._is_on:
            self._is_on = True
            loop.call_later(LOOK_S, self._look, loop, connections, None)

    def _look(self, loop: asyncio.AbstractEventLoop, connections: Collection[Any], rest: Iterator[Any] | None) -> None:
        rest = iter(tuple(connections)) if rest is None else rest
        few = tuple(islice(rest, AT_ONCE))
        if few:
            loop.call_soon(self._look, loop, connections, rest)
        else:
            self._is_on = False
            if connections:
                self.begin(loop, connections)
        now = loop.time()
        for connection in few:
            connection.look(now)
