"""``RequestContext``: the outermost layer.  Request id, timing, counters, and the last resort for defects."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.serving.metrics import Metrics
from service.web.errors import InternalError, problem

log = logging.getLogger("logitd.web")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@contextmanager
def phase(request: Request, name: str) -> Iterator[None]:
    """Time a part of the work on a request; it shows in ``Server-Timing``."""
    began = perf_counter()
    yield
    request.state.phases.append((name, perf_counter() - began))


class RequestContext:
    """Gives every request an id and every answer its headers, and counts it.

    A client's ``X-Request-Id`` is kept when it is 1 to 128 letters, digits, dots, dashes and underscores.
    root_path: the prefix that a proxy in front strips off; links in answers begin with it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, root_path: str = "") -> None:
        self._app = app
        self._metrics = metrics
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["phases"] = []
        if self._root_path:
            scope["root_path"] = self._root_path
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                phases = [*state["phases"], ("total", perf_counter() - began)]
                headers["Server-Timing"] = ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in phases)
            await send(message)

        self._metrics.started()
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("%s: the client left", request_id)
        except Exception:
            log.exception("%s: a defect", request_id)
            if status:
                raise
            self._metrics.rejected(InternalError.slug)
            answer = problem(InternalError("an internal error; the log has it under this request id"), Request(scope))
            await answer(scope, receive, send_with_headers)
        finally:
            self._metrics.ended()
            route = getattr(scope.get("route"), "path", None)
            self._metrics.answered(scope["method"], route, status, perf_counter() - began)
