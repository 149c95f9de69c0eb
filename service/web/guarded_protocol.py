"""``GuardedProtocol``: uvicorn's HTTP protocol with limits, deadlines and refusals.

uvicorn's own reads heads and bodies of any length at any pace, and answers what it cannot read in plain text.  Here a
request whose end may be in doubt is refused with a problem, and the connection ends: its next bytes may be anything.
Source: RFC 9112, sections 3, 5, 6 and 11.2.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import ServiceError
from service.web.errors import RequestTimeout, TemporaryReducedCapacity
from service.web.flow import Flow
from service.web.gentle_transport import GentleTransport
from service.web.prediction_desk import PredictionDesk
from service.web.request_head import (
    check_head,
    check_trailers,
    refusal_of,
    without_upgrade,
)
from service.web.tally import Phase, Tally
from service.web.watch import LOOK_S, Watch

# For the client to read the refusal before the connection is gone; for it to take what it is owed.
LINGER_S, STALLED_S = 2.0, 60.0
# What one connection may have waiting for its turn as requests; the rest waits as bytes, and no more is read.
MOST_PIPELINED, PIECE_BYTES = 256, 8 << 10
END_OF_LINE = b"\r\n"
HEALTH = frozenset({b"/livez", b"/readyz", b"/healthz"})
LAST = {"Connection": "close"}


class GuardedProtocol(HttpToolsProtocol):
    """One connection; ``protocols.guarded`` makes the class for a desk."""

    desk: ClassVar[PredictionDesk]
    watch: ClassVar[Watch]
    default_lines: ClassVar[tuple[object, bytes]] = (None, b"")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._phase = Phase.IDLE
        self._is_ended = self._is_silent = False
        self._is_surplus = False
        # By the loop's clock: the last byte, the beginning of the phase, and of what keeps an answer from being taken.
        self._heard_at = self._since = self.loop.time()
        self._stalled_at: float | None = None
        self._tally = Tally()
        self._held = 0
        # What is being answered; what is being received, if it goes uvicorn's way; its head, if it wants an upgrade.
        self._running: RequestResponseCycle | None = None
        self._own_cycle: RequestResponseCycle | None = None
        self._plain_head = b""
        # A refusal that comes after answers to earlier requests.
        self._last_words = b""
        self._backlog = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._flow = self.flow = Flow(transport)
        most = self.desk.load.most_connections
        self._is_surplus = most is not None and len(self.connections) > most
        self.watch.begin(self.loop, self.connections)

    def connection_lost(self, exc: Exception | None) -> None:
        # Whatever ended the connection: a timer would keep all of it in memory.
        self._unset_keepalive_if_required()
        self._let_go()
        # Nobody is there for the answers.
        self.pipeline.clear()
        self._backlog = b""
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Parse ``data``, and what there is no room for now when there is; piece by piece, to see how much it becomes."""
        if len(data) <= PIECE_BYTES and not self._backlog and not self.pipeline:
            if self._phase is not Phase.LAST:
                self._feed_piece(data)
            return
        rest = memoryview(self._backlog + data if self._backlog else data)
        while rest and len(self.pipeline) < MOST_PIPELINED:
            if self._phase is Phase.LAST:
                rest = rest[:0]
                break
            size = max(PIECE_BYTES, self.body_left)
            self._feed_piece(rest[:size])
            rest = rest[size:]
        self._backlog = bytes(rest)
        self._flow.hold_back(is_full=bool(self._backlog))

    def _feed_piece(self, piece: bytes | memoryview) -> None:
        self._tally.n_fed = len(piece)
        try:
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                self._go_on_without_upgrade(piece[upgrade.args[0] :])
            if self._phase is Phase.HEAD:
                self._tally.check_head(len(self.url))
            elif self._phase is Phase.BODY:
                self._tally.check_body()
        except ServiceError as error:
            self._refuse(error)
        except httptools.HttpParserError as error:
            self._refuse(refusal_of(error))

    def _go_on_without_upgrade(self, rest: bytes | memoryview) -> None:
        """The parser takes what follows a wish to upgrade for another protocol; here it is the body."""
        while rest or self._plain_head:
            head, self._plain_head = self._plain_head, b""
            try:
                if head:
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.feed_data(head)
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            else:
                return

    def message_begins(self) -> None:
        """A request's first byte is there."""
        self._phase = Phase.HEAD
        self._since = self._heard_at
        self._tally.begin_head()
        self._own_cycle = None

    def on_message_begin(self) -> None:
        self.message_begins()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check the head, and start answering; one that wishes an upgrade is read once more, without that wish."""
        version, method = self.parser.get_http_version(), self.parser.get_method()
        check_head(method, self.url, version, self.headers)
        if self._is_surplus and self.url.partition(b"?")[0] not in HEALTH:
            raise TemporaryReducedCapacity(
                "there are as many connections as this service keeps", hint="use one for several requests"
            )
        if self.parser.should_upgrade():
            self._plain_head = without_upgrade(method, self.url, version, self.headers)
            return
        if version == "1.0":
            # That version knows no interim answers.
            self.expect_100_continue = False
        self._phase = Phase.BODY
        self._since = self._heard_at
        self._tally.begin_body()
        self.handle_head()

    def handle_head(self) -> None:
        """Start answering the request whose head is complete and in order."""
        super().on_headers_complete()
        self._own_cycle = self.cycle
        if not (self.pipeline and self.pipeline[0][0] is self.cycle):
            self._running = self.cycle
        self.cycle.transport = GentleTransport(self.transport, self.close_gently)  # type: ignore[assignment]
        # What trails a body is not to pass for headers: the list is the application's by now.
        self.headers = []

    def on_chunk_header(self) -> None:
        """A parser's callback, which uvicorn has no use for."""
        self._tally.add_chunk()

    def on_body(self, body: bytes) -> None:
        self._tally.add_body(len(body))
        self.handle_body(body)

    def handle_body(self, body: bytes) -> None:
        """Take in a piece of the body."""
        if not self.cycle.response_complete:
            self.hold(len(body))
        super().on_body(body)

    def hold(self, n_bytes: int) -> None:
        """So much more of a body is in memory; raises TemporaryReducedCapacity where it has no room."""
        if not self.desk.load.hold(n_bytes, self._held):
            raise TemporaryReducedCapacity("the bodies that are being received fill the memory set aside for them")
        self._held += n_bytes

    @property
    def body_left(self) -> int:
        """Bytes to come that are a body's for sure, and need not be looked at piece by piece."""
        return 0

    def _let_go(self) -> None:
        if self._held:
            self.desk.load.let_go(self._held)
            self._held = 0

    def on_message_complete(self) -> None:
        if self._plain_head:
            return
        if self._tally.n_chunks:
            check_trailers(self.headers)
        self._phase = Phase.IDLE
        self.handle_end()

    def handle_end(self) -> None:
        """The request is whole."""
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # uvicorn starts the one that has waited longest.
        self._running = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._let_go()
        self._heard_at = self.loop.time()
        if self._phase is Phase.LAST and not self._is_running:
            self._say_last_words()
            return
        if self._backlog:
            self._feed(b"")
        self._close_if_done()

    def _close_if_done(self) -> None:
        """Close when the client sends no more, and nothing that it sent whole waits for an answer."""
        is_cut = self._running is self._own_cycle and self._phase is Phase.BODY
        if self._is_ended and not self._backlog and (is_cut or not (self._is_running or self.pipeline)):
            self.transport.close()

    @property
    def _is_running(self) -> bool:
        return self._running is not None and not self._running.response_complete

    @property
    def is_answering(self) -> bool:
        """Whether the answer to a request that goes uvicorn's way, or went to a thread, is not complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, and may still read: what it is owed comes first."""
        self._is_ended = True
        self._close_if_done()
        # TLS knows no half-closed connections, and asyncio complains of those who want one.
        return self.transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        # A client that sends and does not read: what it sends next has to wait.
        super().pause_writing()
        self._stalled_at = self.loop.time()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_at = None
        self.flow.resume_reading()

    def look(self, now: float) -> None:
        """End the connection if its time is over."""
        if self.transport.is_closing() and self._stalled_at is None:
            self._stalled_at = now
        if self._stalled_at is not None:
            if now - self._stalled_at > STALLED_S:
                self.transport.abort()
        elif self._phase is Phase.LAST:
            if self._is_silent and now - self._since > LINGER_S:
                self.transport.close()
        elif self._phase is Phase.IDLE:
            if not self.is_answering and now - self._heard_at > self.timeout_keep_alive:
                self.transport.close()
        elif self.flow.read_paused or (self._phase is Phase.HEAD and self.is_answering):
            # It is not the client that keeps this one waiting.
            self._since += LOOK_S
        elif now - self._since > self._tally.patience_s(self._phase):
            what = "header fields" if self._phase is Phase.HEAD else "body"
            self._refuse(RequestTimeout(f"the {what} did not arrive in time"))

    def _refuse(self, error: ServiceError) -> None:
        """Answer what is being received with a problem, as the last answer of this connection."""
        if self._phase is Phase.LAST or self.transport.is_closing():
            return
        own, self._own_cycle = self._own_cycle, None
        is_owed = self._is_running and self._running is not own
        self._phase = Phase.LAST
        self._since = self.loop.time()
        if own is None or not own.response_started:
            self._last_words = self._refusal(error)
        if own is not None:
            self._give_up(own)
        # Answers to earlier requests come first.
        if not is_owed:
            self._say_last_words()

    def _give_up(self, own: RequestResponseCycle) -> None:
        """Let the application know, which waits for the rest of this request, or for its turn to begin with it."""
        own.disconnected = own.response_complete = True
        own.message_event.set()
        if self.pipeline and self.pipeline[0][0] is own:
            self.pipeline.popleft()

    def _say_last_words(self) -> None:
        if not (self._is_silent or self.transport.is_closing()):
            self.transport.write(self._last_words)
            self._say_no_more()

    def _refusal(self, error: ServiceError) -> bytes:
        answer, own = self.desk.refuse(error, LAST)
        length = b"content-length: %d\r\n" % len(answer.body)
        head = (STATUS_LINE[answer.status], self._default_lines(), answer.head.wire, length, own, END_OF_LINE)
        # Without a target the method is that of the request before.
        is_to_head = bool(self.url) and self.parser.get_method() == b"HEAD"
        return b"".join(head if is_to_head else (*head, answer.body))

    def close_gently(self) -> None:
        """Close after an answer, but read on for a moment what a client sends that has not seen it yet.

        To close with bytes unread resets the connection, and what the client has not read of the answer is lost.
        """
        if self._phase is Phase.IDLE:
            self.transport.close()
        else:
            self.pipeline.clear()
            self._say_no_more()

    def _say_no_more(self) -> None:
        self._phase = Phase.LAST
        self._is_silent = True
        # What came of a head that is too long need not wait for the client to leave.
        self.headers, self.scope = [], {}  # type: ignore[typeddict-item]
        self._since = self.loop.time()
        self._let_go()
        if self._is_ended:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _default_lines(self) -> bytes:
        """The header lines that uvicorn gives every answer: it makes a new list when the second changes."""
        headers = self.server_state.default_headers
        if self.default_lines[0] is not headers:
            type(self).default_lines = (headers, b"".join(b"%b: %b\r\n" % header for header in headers))
        return self.default_lines[1]
