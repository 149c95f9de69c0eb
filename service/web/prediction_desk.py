"""``PredictionDesk``: what each of the ways in does around the hot function: an id, the time it took, the counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter

from service.serving.metrics import Metrics
from service.web.call import Answer, Asks, Call
from service.web.dialects.native import NativeDialect
from service.web.request_id import request_id

# The headers that an answer can depend on.
READ_HEADERS = (
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "origin",
    "sec-fetch-site",
    "x-request-id",
)


class PredictionDesk:
    """Takes in calls and accounts for their answers.

    max_body_bytes: longer bodies are refused before they are read.  root_path: see ``RequestContext``.
    """

    def __init__(self, dialect: NativeDialect, metrics: Metrics, root_path: str) -> None:
        self.max_body_bytes = dialect.max_body_bytes
        self.answer_at_once = dialect.answer_at_once
        self._dialect = dialect
        self._metrics = metrics
        self._root_path = root_path

    def call(self, path: str, query: bytes, headers: Mapping[str, str], body: bytes, asks: Asks | None = None) -> Call:
        """The call with its id."""
        return Call(path, query, headers, body, request_id(headers.get("x-request-id")), self._root_path, asks)

    async def answer_in_thread(self, call: Call) -> Answer:
        """The answer to a call that ``answer_at_once`` left open."""
        with self._metrics.in_flight.track_inprogress():
            return await asyncio.to_thread(self._dialect.answer, call)

    def account(self, call: Call, answer: Answer, began: float) -> bytes:
        """Count the answer, and return the header lines that belong to it alone: id and timing."""
        seconds = perf_counter() - began
        self._metrics.answered("POST", call.path, answer.status, seconds)
        count(self._metrics, answer)
        own = f"x-request-id: {call.request_id}\r\nserver-timing: {server_timing(answer, seconds)}\r\n"
        return own.encode()


def count(metrics: Metrics, answer: Answer) -> None:
    """Count what was predicted, or why it was refused."""
    done = answer.predicted
    if done is None:
        metrics.rejected(answer.slug)
    else:
        metrics.predicted(done.model, done.version, done.certainties, done.parse, done.predict, done.encode)


def server_timing(answer: Answer | None, seconds: float) -> str:
    """The value of ``Server-Timing``, in milliseconds: the phases of a prediction, and the whole."""
    if answer is None or answer.predicted is None:
        return f"total;dur={seconds * 1e3:.3f}"
    done = answer.predicted
    return (
        f"parse;dur={done.parse * 1e3:.3f}, predict;dur={done.predict * 1e3:.3f}, "
        f"encode;dur={done.encode * 1e3:.3f}, total;dur={seconds * 1e3:.3f}"
    )
