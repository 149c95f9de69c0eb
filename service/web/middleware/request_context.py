"""``RequestContext``: the outermost layer.  Request id, timing, counters, and the last resort for defects."""

from __future__ import annotations

import logging
from time import perf_counter_ns

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.serving.metrics import Metrics
from service.web.errors import InternalError, problem
from service.web.prediction_desk import count, server_timing
from service.web.request_id import request_id
from service.web.request_log import RequestLog
from service.web.tracing import Spans, request_fields

log = logging.getLogger("logitd.web")

UNMATCHED = "(none)"


class RequestContext:
    """Gives every request an id and every answer its headers, and counts it.

    root_path: the prefix that a proxy in front strips off; links in answers begin with it.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        request_log: RequestLog,
        root_path: str = "",
        spans: Spans | None = None,
    ) -> None:
        self._app = app
        self._request_log = request_log
        self._spans = spans
        self._metrics = metrics
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter_ns()
        request_headers = Headers(scope=scope)
        given_id = request_id(request_headers.get("x-request-id"))
        state = scope.setdefault("state", {})
        state["request_id"] = given_id
        if self._root_path:
            scope["root_path"] = self._root_path
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = given_id
                headers["Server-Timing"] = server_timing(state.get("answer"), perf_counter_ns() - began)
            await send(message)

        self._metrics.started()
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            self._request_log.client_left(given_id, request_headers)
        except Exception:
            log.exception("a defect", extra=request_fields(given_id, request_headers))
            if status:
                raise
            answer = problem(InternalError("an internal error; the log has it under this request id"), Request(scope))
            await answer(scope, receive, send_with_headers)
        finally:
            self._metrics.ended()
            self._count(scope, status, perf_counter_ns() - began)

    def _count(self, scope: Scope, status: int, total: int) -> None:
        state, method = scope["state"], scope["method"]
        route = getattr(scope.get("route"), "path", None)
        if route is not None and "answer" in state:
            count(self._metrics, route, state["answer"], total)
        else:
            self._metrics.answered(method, route, status, total * 1e-9)
        if "slug" in state:
            self._metrics.rejected(state["slug"])
        headers, shown, seconds = Headers(scope=scope), route or UNMATCHED, total * 1e-9
        slug = state["answer"].slug if "answer" in state else state.get("slug", "")
        self._request_log.answered(method, shown, status, slug, seconds, state["request_id"], headers)
        if self._spans is not None:
            self._spans.record(method, shown, status, seconds, headers)
