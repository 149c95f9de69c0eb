"""``Load``: what this process has taken on and not finished, and where it stops taking on more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import TypeVar

from starlette.requests import ClientDisconnect

from service.web.call import joined
from service.web.errors import DeadlineExceeded, InvalidHeader, TemporaryReducedCapacity
from service.web.inline_work import InlineWork
from service.web.query import NUMBER
from service.web.turns import Turns

# They share the interpreter's lock with the event loop: more of them finish no sooner, and keep it waiting longer.
THREADS = min(2, len(os.sched_getaffinity(0)))
# Of bodies that are being received or answered, over all connections.
MOST_BYTES = 256 << 20
# Where one connection may always go, so that short requests get in while others are long.
FREE_BYTES = 64 << 10
NS = 1_000_000_000
TIMEOUT, MOST_SECONDS = "x-request-timeout", 86_400.0

Result = TypeVar("Result")


class Load:
    """Bounds for one event loop, whose methods are for that loop alone.

    most_in_flight: requests at most whose work runs in a thread or waits for one; the next is refused.
    deadline_s: how long such work may wait; what has not begun by then is never begun.
    most_connections: beyond these a new one gets nothing but health.  most_bytes: of bodies in memory.
    threads: that work.  turns: of the requests that are answered at once.
    is_draining: the process has been told to stop.
    """

    def __init__(
        self, most_in_flight: int, deadline_s: float, *, most_bytes: int = MOST_BYTES, threads: int = THREADS
    ) -> None:
        self.turns = Turns()
        self.most_connections: int | None = None
        self.is_draining = False
        self.in_flight = 0
        self._most_in_flight = most_in_flight
        self._deadline = round(deadline_s * NS)
        self._most_bytes = most_bytes
        self._bytes = 0
        self._threads = asyncio.Semaphore(threads)
        self._has_one_thread = threads == 1
        self._inline = InlineWork()

    @property
    def is_full(self) -> bool:
        """Whether no more work is taken in."""
        return self.in_flight >= self._most_in_flight

    def full(self) -> TemporaryReducedCapacity:
        """The refusal of more work."""
        return TemporaryReducedCapacity(
            f"{self._most_in_flight} requests are being answered, which is as many as this service takes in at once",
            hint="come back after the seconds in Retry-After, or start more workers (LOGITD_WORKERS)",
        )

    def check(self) -> None:
        """Raise TemporaryReducedCapacity when no more work is taken in."""
        if self.is_full:
            raise self.full()

    def enter(self) -> None:
        """Take in one request, until ``leave``; raises TemporaryReducedCapacity when full."""
        self.check()
        self.in_flight += 1
        if self.is_full:
            self._inline.full()

    def leave(self) -> None:
        """A request that was taken in is done with."""
        self.in_flight -= 1

    async def in_turn(
        self, work: Callable[[], Result], *, expires: int | None = None, is_wanted: Callable[[], bool] = lambda: True
    ) -> Result:
        """Take in a request and do its ``work`` as ``at_turn`` does; raises TemporaryReducedCapacity at once when full."""
        self.enter()
        try:
            return await self.at_turn(work, expires=expires, is_wanted=is_wanted)
        finally:
            self.leave()

    async def at_turn(
        self,
        work: Callable[[], Result],
        *,
        inline: Callable[[], Result | None] = lambda: None,
        expires: int | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Result:
        """The result of ``work`` for a request that was taken in, done in a thread when its turn comes: first in, first out.

        inline: the same for the loop itself, which does it where that is better (see ``InlineWork``); None: a thread has to.
        expires: by ``perf_counter_ns``, when the client gives up; the setting counts from now.
        Raises DeadlineExceeded when the turn came too late, and ClientDisconnect when it had to wait and is not wanted
        any more; neither begins the work.
        """
        latest = perf_counter_ns() + self._deadline
        expires = latest if expires is None else min(expires, latest)
        has_to_wait = self._threads.locked()
        await self._turn(expires)
        try:
            if has_to_wait and not is_wanted():
                raise ClientDisconnect
            if self._has_one_thread and self._inline.is_due:
                if not has_to_wait:
                    # Those that came with it do now: else the loop would do them all in one round.
                    await asyncio.sleep(0)
                result = self._done_inline(inline)
                if result is not None:
                    return result
            return await asyncio.to_thread(self._inline.timed, work)
        finally:
            self._threads.release()

    def _done_inline(self, work: Callable[[], Result | None]) -> Result | None:
        try:
            return self._inline.timed(work)
        finally:
            # The loop looks at everything else now.
            self.turns.begin()

    async def _turn(self, expires: int) -> None:
        try:
            async with asyncio.timeout(max(0.0, (expires - perf_counter_ns()) / NS)):
                await self._threads.acquire()
        except TimeoutError:
            raise expired() from None
        if perf_counter_ns() >= expires:
            self._threads.release()
            raise expired()

    def hold(self, n_bytes: int, held: int) -> bool:
        """Whether a connection that holds ``held`` bytes may hold so many more; if so they count until ``let_go``."""
        if self._bytes + n_bytes > self._most_bytes and held + n_bytes > FREE_BYTES:
            return False
        self._bytes += n_bytes
        return True

    def let_go(self, n_bytes: int) -> None:
        """So many bytes of a body are not needed any more."""
        self._bytes -= n_bytes


def expired() -> DeadlineExceeded:
    """The refusal of work whose time is over."""
    return DeadlineExceeded(
        "the time for this request was over before its turn came, and nothing was computed",
        hint="send it again later, or allow more time (X-Request-Timeout, LOGITD_DEADLINE_S)",
    )


def timeout_of(headers: Mapping[str, str]) -> float | None:
    """The header ``X-Request-Timeout``: seconds that the client waits; raises InvalidHeader."""
    text = joined(headers, TIMEOUT)
    if text is None:
        return None
    seconds = float(text) if NUMBER.fullmatch(text.strip(" \t")) else 0.0
    if seconds <= 0.0:
        raise InvalidHeader("X-Request-Timeout must be seconds above 0, such as 0.5")
    return min(seconds, MOST_SECONDS)
