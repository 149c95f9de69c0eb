"""``RequestLog``: log lines about requests.  Answers that failed get one; predictions and health checks get none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import monotonic

from service.web.errors import InternalError
from service.web.tracing import request_fields

log = logging.getLogger("logitd.requests")

HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
# A second and kind; a service that refuses thousands a second would do little but log.
MOST = 10


class RequestLog:
    """Tells of answers from 500 on as warnings, of other refusals at the level debug, and of clients that left.

    Unless the level is debug, no more than ``MOST`` lines of a kind are written a second; the next one counts those that
    were left out.  clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._told: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def answered(
        self, method: str, route: str, status: int, slug: str, seconds: float, given_id: str, headers: Mapping[str, str]
    ) -> None:
        """An answer is complete.  route: the template, since a path may hold anything.  slug: "" for no problem."""
        if status < 400 or route in HEALTH or slug == InternalError.slug:
            # A defect has had its line, which says more.
            return
        level = logging.WARNING if status >= 500 else logging.DEBUG
        fields = {"method": method, "route": route, "status": status, "slug": slug, "ms": round(seconds * 1e3, 3)}
        self._tell(level, "a request failed", slug, fields, given_id, headers)

    def client_left(self, given_id: str, headers: Mapping[str, str]) -> None:
        """A client left before its answer."""
        self._tell(logging.INFO, "the client left", "", {}, given_id, headers)

    def _tell(
        self, level: int, event: str, kind: str, fields: dict[str, object], given_id: str, headers: Mapping[str, str]
    ) -> None:
        if not log.isEnabledFor(level):
            return
        left_out = 0 if log.isEnabledFor(logging.DEBUG) else self._turn(kind)
        if left_out is None:
            return
        missing = {"left_out": left_out} if left_out else {}
        log.log(level, event, extra={**request_fields(given_id, headers), **fields, **missing})

    def _turn(self, kind: str) -> int | None:
        """How many of a kind were left out before this one, or None when this is to be left out."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._told = second, {}
        self._told[kind] = self._told.get(kind, 0) + 1
        if self._told[kind] <= MOST:
            return self._left_out.pop(kind, 0)
        self._left_out[kind] = self._left_out.get(kind, 0) + 1
        return None
