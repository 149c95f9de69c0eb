"""``PredictionRoutes``: predictions as documented routes of the framework, the third way to the same function."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from service.web.body import received
from service.web.call import Call
from service.web.dialects.native import NativeDialect


class PredictionRoutes:
    """They answer where the two faster ways are not in front; the OpenAPI document describes all three by these."""

    def __init__(self, dialect: NativeDialect) -> None:
        self._dialect = dialect

    async def predict(self, request: Request) -> Response:
        """Labels for rows of features."""
        return await self._answer(request)

    async def predict_proba(self, request: Request) -> Response:
        """Class probabilities for rows of features."""
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        body = await received(request, self._dialect.max_body_bytes)
        scope = request.scope
        root_path = scope.get("root_path", "")
        path = scope["path"].removeprefix(root_path)
        call = Call(path, scope["query_string"], request.headers, body, request.state.request_id, root_path)
        answer = self._dialect.answer_at_once(call)
        if answer is None:
            answer = await asyncio.to_thread(self._dialect.answer, call)
        request.state.answer = answer
        response = Response(answer.body, answer.status)
        response.raw_headers[:0] = answer.head.pairs
        return response
