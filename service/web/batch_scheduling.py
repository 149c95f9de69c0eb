"""``BatchScheduling``: while a service is full, requests that come do not interrupt the work on those before them."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

LOOK_S = 0.25


class BatchScheduling:
    """The policy of an event loop's thread, on Linux.

    Where the loop and the threads that work share a processor, each packet takes it from them for a refusal: two changes
    of thread, and their caches.  Under SCHED_BATCH a thread that wakes waits for the end of a turn, a few ms at most;
    refusals come by the handful, and a processor that is free is taken at once as ever.  See sched(7).
    """

    def __init__(self) -> None:
        self._is_on = self._was_full = False

    def full(self) -> None:
        """The service is full just now; from the loop's thread.  Lasts until it has not been for a moment."""
        self._was_full = True
        if not self._is_on:
            self._is_on = True
            _schedule("SCHED_BATCH")
            asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        if self._was_full:
            self._was_full = False
            asyncio.get_running_loop().call_later(LOOK_S, self._look)
            return
        self._is_on = False
        _schedule("SCHED_OTHER")


def _schedule(policy: str) -> None:
    """Set the policy of this thread, where there is one of that name and it may be set."""
    if hasattr(os, policy):
        with suppress(OSError):
            os.sched_setscheduler(0, getattr(os, policy), os.sched_param(0))
