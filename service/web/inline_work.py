"""``InlineWork``: when the event loop of a full service does the work of its thread itself."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, thread_time
from typing import TypeVar

# For so long a service that was full counts as full: there is a free place after each piece of work.
FULL_S = 0.25
# Work that is longer as a rule would keep refusals and health checks waiting.  A single piece may be the machine's doing.
LONG_S, PIECES = 0.005, 8
# Of a body, inflated: a longer one goes to the thread at any time.
MOST_INLINE_BYTES = 1 << 20

Result = TypeVar("Result")


class InlineWork:
    """For an event loop that shares one processor with the thread that works.

    There a thread does nothing sooner.  While the service is full each packet takes the processor from it for a refusal,
    and each piece of work is handed over and back: changes of thread, of the interpreter's lock and of what the caches
    hold, a tenth of the time.  A loop that works itself looks at its sockets after each piece; refusals come by the
    handful, and wait for one piece.

    clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._full_until = float("-inf")
        # Processor time of a piece of work: a mean in which each has a share of one in PIECES.  Not known is long.
        self._usual_s = 2 * LONG_S

    def full(self) -> None:
        """The service is full just now."""
        self._full_until = self._clock() + FULL_S

    @property
    def is_due(self) -> bool:
        """Whether the next piece is the loop's: the service is full, or was a moment ago, and pieces are short as a rule."""
        return self._usual_s <= LONG_S and self._clock() < self._full_until

    def timed(self, work: Callable[[], Result]) -> Result:
        """The result of ``work``, whose processor time is noted; in any thread."""
        began = thread_time()
        try:
            return work()
        finally:
            self._usual_s += (thread_time() - began - self._usual_s) / PIECES
