"""``Quotas``: so many requests a second for each key, counted over all workers.

Each key has one number: the time at which all that it was allowed so far would be spread out evenly (the generic cell
rate algorithm, ITU-T I.371; draft-ietf-httpapi-ratelimit-headers names the fields).  It lies in memory that the workers
share and is written without a lock, so that no worker waits for another: of two requests of one key in the same
microsecond one may go uncounted.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from math import ceil
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from service.web.errors import QuotaExceeded

FILE = "quotas"
# A place for each key: 64 bits of its digest, and the time.  Of more keys than places some share one.
N_PLACES, WORDS = 4096, 2
WINDOW_S = 1


class Allowance(NamedTuple):
    """What a key has left: requests in this window, and seconds until all of them are there again."""

    rate: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The fields that tell a client."""
        return {
            "RateLimit-Policy": f'"default";q={self.rate};w={WINDOW_S}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset_s}',
        }

    @property
    def lines(self) -> bytes:
        """The same as lines on the wire."""
        return "".join(f"{name.lower()}: {value}\r\n" for name, value in self.headers.items()).encode()


class Quotas:
    """``rate`` requests a second for each key, of which a second's worth may come at once.

    directory: what the workers of one service share; None when this process is the service.
    """

    def __init__(self, rate: int, directory: Path | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._clock = clock
        memory = _memory(directory)
        self._names = memoryview(memory).cast("Q")
        self._times = memoryview(memory).cast("d")
        self._places: dict[bytes, int] = {}

    def take(self, digest: bytes) -> Allowance:
        """Count one request of this key; raises QuotaExceeded, and then it does not count."""
        place, now = self._place(digest), self._clock()
        spread = max(self._times[place], now) + 1 / self._rate
        ahead = spread - now
        # A rounding error is no request.
        if ahead > WINDOW_S + 1e-9:
            wait_s = max(1, ceil(ahead - WINDOW_S))
            raise QuotaExceeded(
                f"this key may send {self._rate} requests a second",
                retry_after_s=wait_s,
                fields=Allowance(self._rate, 0, wait_s).headers,
                hint="spread the requests, or send several rows in one",
            )
        self._times[place] = spread
        return Allowance(self._rate, int((WINDOW_S - ahead) * self._rate + 1e-6), ceil(ahead))

    def give_back(self, digest: bytes) -> None:
        """The request that was taken last is taken once more, and is to count once."""
        self._times[self._place(digest)] -= 1 / self._rate

    def _place(self, digest: bytes) -> int:
        """The index of this key's time; a free place is taken by the first that asks."""
        known = self._places.get(digest)
        if known is not None:
            return known
        name = int.from_bytes(digest[:8], "little") or 1
        # Keys begin at different places, so that two that are new in two workers at once rarely meet.
        places = ((name + step) % N_PLACES for step in range(N_PLACES))
        place = next((place for place in places if self._names[place * WORDS] in {0, name}), name % N_PLACES)
        self._names[place * WORDS] = name
        self._places[digest] = place * WORDS + 1
        return place * WORDS + 1


def _memory(directory: Path | None) -> mmap.mmap:
    size = N_PLACES * WORDS * 8
    if directory is None:
        return mmap.mmap(-1, size)
    descriptor = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)
