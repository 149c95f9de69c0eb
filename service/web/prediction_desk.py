"""``PredictionDesk``: what each of the ways in does around the hot function: an id, the time it took, the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns

from service.errors import ServiceError
from service.serving.data_plane import DataPlane
from service.serving.metrics import Metrics
from service.web.call import Answer, Asks, Call
from service.web.dialects.native import NativeDialect, no_memory
from service.web.errors import PreparedProblem, problem_answer
from service.web.full_house import FullHouse
from service.web.inline_work import MOST_INLINE_BYTES
from service.web.keys.gate import Gate
from service.web.load import TIMEOUT, Load
from service.web.one_row import OneRow
from service.web.request_id import request_id
from service.web.request_log import RequestLog
from service.web.tracing import Spans

# The headers that an answer can depend on.
READ_HEADERS = (
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "origin",
    "sec-fetch-site",
    "traceparent",
    "tracestate",
    "x-api-key",
    "x-request-id",
    TIMEOUT,
)

MS, US = 1_000_000, 1_000


class PredictionDesk:
    """Takes in calls and accounts for their answers.

    max_body_bytes: longer bodies are refused before they are read.  root_path: see ``RequestContext``.
    """

    def __init__(
        self,
        dialect: NativeDialect,
        data_plane: DataPlane,
        metrics: Metrics,
        gate: Gate,
        load: Load,
        request_log: RequestLog,
        *,
        root_path: str = "",
        spans: Spans | None = None,
    ) -> None:
        self.max_body_bytes = dialect.max_body_bytes
        self.answer_at_once = dialect.answer_at_once
        self.load = load
        self._dialect = dialect
        self._metrics = metrics
        self._request_log = request_log
        self._root_path = root_path
        self._spans = spans
        self._full = PreparedProblem(load.full(), root_path)
        # A span is made of what the shortest way does not keep, and quotas are told in each answer.
        is_short = spans is None and not gate.has_quotas
        self.one_row = OneRow(data_plane, metrics, gate) if is_short else None
        self.full_house = FullHouse(self._full, dialect, load, metrics, gate, request_log) if is_short else None

    def call(
        self, path: str, query: bytes, headers: Mapping[str, str], body: bytes, began: int, asks: Asks | None = None
    ) -> Call:
        """The call with its id."""
        given_id = request_id(headers.get("x-request-id"))
        return Call(path, query, headers, body, given_id, began, self._root_path, asks)

    async def answer_in_thread(self, call: Call, parts: Sequence[bytes]) -> Answer:
        """The answer to a call that ``answer_at_once`` left open; ``parts``: of its body."""
        refusal = self.take_in(call)
        if refusal is not None:
            return refusal
        try:
            return await self.answer_at_turn(call, parts)
        finally:
            self.load.leave()

    def take_in(self, call: Call) -> Answer | None:
        """Have the load take in the call, until it leaves, or the refusal where there is no room for it.

        A service that is full has no time for more than this: no exception, and no task that finds out.
        """
        if self.load.is_full:
            return self.full(call)
        self.load.enter()
        return None

    def full(self, call: Call) -> Answer:
        """The refusal of a call that there is no room for."""
        return self._full.answer(call.request_id)

    async def answer_at_turn(
        self, call: Call, parts: Sequence[bytes], is_wanted: Callable[[], bool] = lambda: True
    ) -> Answer:
        """The answer to a call that was taken in.

        Raises ClientDisconnect when the answer is not wanted any more at its turn.
        """
        timeout_s = None if call.asks is None else call.asks.timeout_s
        expires = None if timeout_s is None else call.began + round(timeout_s * 1e9)

        def whole() -> Call:
            return call._replace(body=b"".join(parts))

        self._metrics.started()
        try:
            return await self.load.at_turn(
                lambda: self._dialect.answer(whole()),
                inline=lambda: self._dialect.answer_at_once(whole(), MOST_INLINE_BYTES),
                expires=expires,
                is_wanted=is_wanted,
            )
        except ServiceError as error:
            return problem_answer(error, call.request_id, call.root_path)
        except MemoryError:
            # The parts of its body could not be put together.
            return problem_answer(no_memory(), call.request_id, call.root_path)
        finally:
            self._metrics.ended()

    def account(self, call: Call, answer: Answer) -> bytes:
        """Count the answer, and return the header lines that belong to it alone: id and timing."""
        total = perf_counter_ns() - call.began
        count(self._metrics, call.path, answer, total)
        if answer.predicted is None:
            tell = self._request_log.answered
            tell("POST", call.path, answer.status, answer.slug, total * 1e-9, call.request_id, call.headers)
        if self._spans is not None:
            self._spans.record("POST", call.path, answer.status, total * 1e-9, call.headers)
        return own_lines(call.request_id, server_timing(answer, total)) + answer.own

    def account_for_leaving(self, call: Call) -> None:
        """Count a request whose client left before its answer, as the other routes do: status 0."""
        self._request_log.client_left(call.request_id, call.headers)
        self._metrics.answered("POST", call.path, 0, (perf_counter_ns() - call.began) * 1e-9)

    def refuse(self, error: ServiceError, more: Mapping[str, str]) -> tuple[Answer, bytes]:
        """The counted answer to what never became a call, with ``more`` headers, and the header lines that are its own."""
        given_id = request_id(None)
        answer = problem_answer(error, given_id, self._root_path, more)
        self._metrics.answered("", None, answer.status, 0.0)
        self._metrics.rejected(answer.slug)
        return answer, own_lines(given_id, "total;dur=0")


def own_lines(given_id: str, timing: str) -> bytes:
    """The header lines that belong to one answer alone."""
    return f"x-request-id: {given_id}\r\nserver-timing: {timing}\r\n".encode()


def count(metrics: Metrics, path: str, answer: Answer, total: int) -> None:
    """Count an answer, its request included; ``total``: what it took in ns."""
    done = answer.predicted
    if done is None:
        metrics.answered("POST", path, answer.status, total * 1e-9)
        metrics.rejected(answer.slug)
    elif len(done.certainties) == 1:
        count_row = metrics.one_row("POST", path, answer.status, done.model, done.version)
        count_row(total * 1e-9, done.parse * 1e-9, done.predict * 1e-9, done.encode * 1e-9, done.certainties[0])
    else:
        metrics.answered("POST", path, answer.status, total * 1e-9)
        counters = metrics.predicted(done.model, done.version)
        counters.rows(len(done.certainties))
        counters.certainties(done.certainties)
        counters.phases(done.parse * 1e-9, done.predict * 1e-9, done.encode * 1e-9)


def server_timing(answer: Answer | None, total: int) -> str:
    """The value of ``Server-Timing`` in milliseconds: the phases of a prediction, and the whole; ``total`` in ns."""
    done = None if answer is None else answer.predicted
    if done is None:
        return f"total;dur={total / MS:.3f}"
    if total < MS:
        # The same digits as below, cut off; whole numbers are written in half the time.
        us = (done.parse // US, done.predict // US, done.encode // US, total // US)
        return "parse;dur=0.%03d, predict;dur=0.%03d, encode;dur=0.%03d, total;dur=0.%03d" % us  # noqa: UP031 — speed
    ms = (done.parse / MS, done.predict / MS, done.encode / MS, total / MS)
    return "parse;dur={:.3f}, predict;dur={:.3f}, encode;dur={:.3f}, total;dur={:.3f}".format(*ms)
