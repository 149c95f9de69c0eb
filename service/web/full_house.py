"""``FullHouse``: the refusal of what needs a thread while all are taken, in one go.

A service that is offered ten times what it can do gives most of its answers here, and each takes time from the work that
it took in.  Whatever is not so plain is left to the desk, before anything is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter_ns

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.serving.metrics import Metrics
from service.web.call import Asks
from service.web.dialects.native import PREDICT, PREDICT_PROBA, NativeDialect
from service.web.errors import PreparedProblem
from service.web.keys.gate import Access, Gate
from service.web.load import Load
from service.web.request_id import next_id
from service.web.request_log import RequestLog

US, NS, MOST_US = 1_000, 1e-9, 999
OWN = b"x-request-id: %b\r\nserver-timing: total;dur=0.%03d\r\n\r\n"


class FullHouse:
    """One for all connections of an event loop.  problem: what is said."""

    def __init__(
        self,
        problem: PreparedProblem,
        dialect: NativeDialect,
        load: Load,
        metrics: Metrics,
        gate: Gate,
        request_log: RequestLog,
    ) -> None:
        self._problem = problem
        self._needs_thread = dialect.needs_thread
        self._load = load
        # As in ``NativeDialect``: without keys nobody is kept waiting by the question.
        self._gate = gate if gate.has_keys else None
        self._request_log = request_log
        # One operation for the whole: the default lines, the id, the time, and the id once more.
        head, before, after = (part.replace(b"%", b"%%") for part in (problem.head, *problem.around))
        self._wire = STATUS_LINE[problem.status] + b"%b" + head + OWN + before + b"%b" + after
        self._count = {
            path: metrics.refusals("POST", path, problem.status, problem.slug) for path in (PREDICT, PREDICT_PROBA)
        }

    def answer(
        self, asks: Asks, body: bytes, began: int, path: str, headers: Mapping[str, str], default_lines: bytes
    ) -> bytes | None:
        """The whole refusal; None: ask the desk.

        began: by ``perf_counter_ns``.  headers: by lower-case name.  default_lines: the header lines of every answer.
        """
        if not (self._load.is_full and asks.is_gzip and self._needs_thread(body)):
            return None
        if "x-request-id" in headers:
            return None
        if self._gate is not None and not self._gate.welcomes(Access.PREDICT, headers):
            return None
        name = next_id()
        total = perf_counter_ns() - began
        self._count[path](total * NS)
        slug = self._problem.slug
        if not self._request_log.leaves_out(slug):
            self._request_log.answered("POST", path, self._problem.status, slug, total * NS, name.decode(), headers)
        return self._wire % (default_lines, name, min(total // US, MOST_US), name)
