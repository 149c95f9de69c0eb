"""``Watch``: who has to be ended because its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

LOOK_S = 0.5


class Watch:
    """Looks at all connections of a loop now and then: one timer, however many there are."""

    def __init__(self) -> None:
        self._is_on = False

    def begin(self, loop: asyncio.AbstractEventLoop, connections: Collection[Any]) -> None:
        """Look until there are no connections."""
        if not self._is_on:
            self._is_on = True
            loop.call_later(LOOK_S, self._look, loop, connections)

    def _look(self, loop: asyncio.AbstractEventLoop, connections: Collection[Any]) -> None:
        self._is_on = False
        if connections:
            self.begin(loop, connections)
        now = loop.time()
        for connection in tuple(connections):
            connection.look(now)
