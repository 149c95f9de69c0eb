"""``FullHouse``: the refusal of what needs a thread while all are taken, in one go.

A service that is offered ten times what it can do gives most of its answers here, and each takes time from the work that
it took in.  Whatever is not so plain is left to the desk, before anything is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter_ns

from service.serving.metrics import Metrics
from service.web.call import Asks
from service.web.dialects.native import PREDICT, PREDICT_PROBA, NativeDialect
from service.web.errors import PreparedProblem
from service.web.keys.gate import Access, Gate
from service.web.load import Load
from service.web.request_id import next_id
from service.web.request_log import RequestLog

US, NS, MOST_US = 1_000, 1e-9, 999
OWN = b"x-request-id: %b\r\nserver-timing: total;dur=0.%03d\r\n"


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
        self._tell = request_log.answered
        self._count = {
            path: metrics.refusals("POST", path, problem.status, problem.slug) for path in (PREDICT, PREDICT_PROBA)
        }

    def answer(
        self, asks: Asks, body: bytes, began: int, path: str, headers: Mapping[str, str]
    ) -> tuple[bytes, bytes, bytes] | None:
        """The header lines of every refusal, those of this one alone, and the body; None: ask the desk.

        began: by ``perf_counter_ns``.  headers: by lower-case name.
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
        self._tell("POST", path, self._problem.status, self._problem.slug, total * NS, name.decode(), headers)
        return self._problem.head, OWN % (name, min(total // US, MOST_US)), self._problem.body(name)
