"""``GentleTransport``: what a request that goes uvicorn's way writes to, so that its end is left to the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class GentleTransport:
    """A transport whose ``close`` lets the client read the answer first: see ``GuardedProtocol.close_gently``."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
