"""``BatchScheduling``: while a service is full, requests that come do not interrupt the work on those before them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from time import thread_time
from typing import TypeVar

LOOK_S = 0.25
# Work that is longer as a rule keeps a refusal waiting for too long, and to be interrupted matters little to it.  A single
# piece may be the machine's doing.
LONG_S, PIECES = 0.005, 8

Result = TypeVar("Result")


class BatchScheduling:
    """The policy of an event loop's thread, on Linux.

    Where the loop and the threads that work share a processor, each packet takes it from them for a refusal: two changes
    of thread, and their caches.  Under SCHED_BATCH a thread that wakes waits until the other has done its piece of work;
    refusals come by the handful, and a processor that is free is taken at once as ever.  See sched(7).
    """

    def __init__(self) -> None:
        self._is_on = self._was_full = False
        # Processor time of a piece of work: a mean in which each has a share of one in PIECES.
        self._usual_s = 0.0

    def full(self) -> None:
        """The service is full just now.  Lasts until it has not been for a moment, or work takes long as a rule."""
        self._was_full = True
        if not self._is_on and self._usual_s <= LONG_S:
            self._is_on = True
            _schedule("SCHED_BATCH")
            asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def timed(self, work: Callable[[], Result]) -> Result:
        """The result of ``work``, whose processor time is noted; in any thread."""
        began = thread_time()
        try:
            return work()
        finally:
            self._usual_s += (thread_time() - began - self._usual_s) / PIECES

    def worked(self) -> None:
        """A thread has finished a piece of work."""
        if self._is_on and self._usual_s > LONG_S:
            self._end()

    def _look(self) -> None:
        if not self._is_on:
            return
        if not self._was_full:
            self._end()
            return
        self._was_full = False
        asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _end(self) -> None:
        self._is_on = False
        _schedule("SCHED_OTHER")


def _schedule(policy: str) -> None:
    """Set the policy of this thread, where there is one of that name and it may be set."""
    if hasattr(os, policy):
        with suppress(OSError):
            os.sched_setscheduler(0, getattr(os, policy), os.sched_param(0))
