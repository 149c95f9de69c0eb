"""``PredictionRoutes``: predictions as documented routes of the framework, the third way to the same function."""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns

from starlette.requests import Request
from starlette.responses import Response

from service.web.body import received
from service.web.call import Call, pairs
from service.web.dialects.native import NativeDialect
from service.web.load import Load


class PredictionRoutes:
    """They answer where the two faster ways are not in front; the OpenAPI document describes all three by these."""

    def __init__(self, dialect: NativeDialect, load: Load) -> None:
        self._dialect = dialect
        self._load = load

    async def predict(self, request: Request) -> Response:
        """Labels for rows of features."""
        return await self._answer(request)

    async def predict_proba(self, request: Request) -> Response:
        """Class probabilities for rows of features."""
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        began = perf_counter_ns()
        body = await received(request, self._dialect.max_body_bytes)
        scope = request.scope
        root_path = scope.get("root_path", "")
        path = scope["path"].removeprefix(root_path)
        call = Call(path, scope["query_string"], request.headers, body, request.state.request_id, began, root_path)
        answer = self._dialect.answer_at_once(call)
        if answer is None:
            answer = await self._load.in_turn(partial(self._dialect.answer, call))
        request.state.answer = answer
        response = Response(answer.body, answer.status)
        response.raw_headers[:0] = [*answer.head.pairs, *pairs(answer.own)]
        return response
