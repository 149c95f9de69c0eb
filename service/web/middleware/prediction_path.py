"""``PredictionPath``: predictions ahead of the router, for servers that are not uvicorn and for what leaves its lane."""

from __future__ import annotations

from time import perf_counter_ns

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ServiceError
from service.web.body import received
from service.web.call import Answer, Call, pairs
from service.web.dialects.native import KNOWN
from service.web.errors import problem_answer
from service.web.prediction_desk import PredictionDesk


class PredictionPath:
    """Answers ``POST /predict`` and ``/predict_proba`` itself, and passes all else on."""

    def __init__(self, app: ASGIApp, desk: PredictionDesk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in KNOWN or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        began = perf_counter_ns()
        try:
            answer, own = await self._answer(scope, receive, began)
        except ClientDisconnect:
            self._desk.account_for_leaving(self._call(scope, b"", began))
            return
        start = {"type": "http.response.start", "status": answer.status}
        length = (b"content-length", b"%d" % len(answer.body))
        await send({**start, "headers": [*answer.head.pairs, length, *pairs(own)]})
        await send({"type": "http.response.body", "body": answer.body})

    def _call(self, scope: Scope, body: bytes, began: int) -> Call:
        return self._desk.call(scope["path"], scope["query_string"], Headers(scope=scope), body, began)

    async def _answer(self, scope: Scope, receive: Receive, began: int) -> tuple[Answer, bytes]:
        try:
            body = await received(Request(scope, receive), self._desk.max_body_bytes)
        except ServiceError as error:
            call = self._call(scope, b"", began)
            answer = problem_answer(error, call.request_id, call.root_path)
        else:
            call = self._call(scope, body, began)
            at_once = self._desk.answer_at_once(call)
            answer = await self._desk.answer_in_thread(call, [body]) if at_once is None else at_once
        return answer, self._desk.account(call, answer)
