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
        left_out = self._turn(level, slug)
        if left_out is None:
            return
        fields = {"method": method, "route": route, "status": status, "slug": slug, "ms": round(seconds * 1e3, 3)}
        log.log(level, "a request failed", extra={**request_fields(given_id, headers), **fields, **left_out})

    def leaves_out(self, slug: str) -> bool:
        """Whether a line on this problem would be one too many in this second, which is then counted; in no time."""
        if self._told.get(slug, 0) < MOST or int(self._clock()) != self._second:
            return False
        self._left_out[slug] = self._left_out.get(slug, 0) + 1
        return True

    def client_left(self, given_id: str, headers: Mapping[str, str]) -> None:
        """A client left before its answer."""
        left_out = self._turn(logging.INFO, "")
        if left_out is not None:
            log.info("the client left", extra={**request_fields(given_id, headers), **left_out})

    def _turn(self, level: int, kind: str) -> dict[str, object] | None:
        """None: no line now.  Else the field that tells of those of this kind that were left out before, if any were."""
        if not log.isEnabledFor(level):
            return None
        if log.isEnabledFor(logging.DEBUG):
            return {}
        second = int(self._clock())
        if second != self._second:
            self._second, self._told = second, {}
        self._told[kind] = told = self._told.get(kind, 0) + 1
        if told > MOST:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        left_out = self._left_out.pop(kind, 0)
        return {"left_out": left_out} if left_out else {}
