"""``FastLane``: uvicorn's HTTP protocol, which answers predictions as soon as their last byte is there.

Such a request never becomes an ASGI scope, a task or a queue of messages.  All others, and whatever is unusual about
one of its kind, go uvicorn's way: chunked bodies, ``Expect``, HTTP/1.0, bodies that are too long, and requests that wait
for the answer to one before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from time import perf_counter_ns
from typing import Any, ClassVar, NamedTuple

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.errors import ServiceError
from service.web.call import Answer, Asks, Call
from service.web.dialects.native import AT_ONCE_BYTES, PREDICT, PREDICT_PROBA, asks_of
from service.web.guarded_protocol import END_OF_LINE, GuardedProtocol
from service.web.keys.gate import KEY_HEADERS
from service.web.load import FREE_BYTES, TIMEOUT
from service.web.prediction_desk import READ_HEADERS
from service.web.tally import Phase
from service.web.turns import Turns

PATHS = {path.encode(): path for path in (PREDICT, PREDICT_PROBA)}
NAMES = {name.encode(): name for name in READ_HEADERS}
END_OF_HEAD = b"\r\n\r\n"
LAST_ANSWER = b"connection: close\r\n\r\n"
# A head with one of these does not come again.
ONCE = frozenset({"traceparent", "tracestate", "x-request-id"})
# Of these a second one makes a list, which is no value.
JOINED = frozenset({*KEY_HEADERS, TIMEOUT})
MAX_KNOWN, MAX_HEAD_BYTES = 256, 2048
# A body that is refused is read up to this length, and the connection goes on: another one would cost both sides more.
MOST_DROPPED = 1 << 20


class Request(NamedTuple):
    """The head of a request in the lane.

    length: of its body.  asks: what it asks for, once it is known not to be refused.  is_plain: it asks for nothing but
    predictions of a JSON body, and the connection goes on.
    """

    path: str
    query: bytes
    headers: Mapping[str, str]
    length: int
    keep_alive: bool
    asks: Asks | None = None
    is_plain: bool = False

    def __repr__(self) -> str:
        # Its headers may hold a key.
        return f"Request({self.path!r}, length={self.length})"


class Pending:
    """Stands where uvicorn looks for the request that is being answered, while a thread answers."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for this event."""


class FastLane(GuardedProtocol):
    """One connection; ``protocols.fast_lane`` makes the class for a desk.

    known_heads: heads of the past and what they were read as, since equal bytes are read the same again.
    known_asks: what they ask for, by what that depends on.
    """

    turns: ClassVar[Turns]
    known_heads: ClassVar[dict[bytes, Request]]
    known_asks: ClassVar[dict[tuple[str | bytes | None, ...], Asks]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The request that is being received, if it is in the lane, and what there is of its body.
        self._request: Request | None = None
        self._parts: list[bytes] = []
        self._data = b""
        self._began = 0
        # Whether that body is to be refused, and is not kept.
        self._is_dropped = False

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        turns = self.turns
        if turns.left <= 0 and not self._backlog and turns.wait(self.loop, len(data), self._have_turn):
            # Should more come before that, both are parsed then.
            self._backlog = data
            return
        turns.take(len(data))
        self._take(data)

    def _have_turn(self) -> None:
        """Go on with what had to wait, if the connection is still there."""
        data, self._backlog = self._backlog, b""
        if data:
            self._take(data)
            self._close_if_done()

    def _take(self, data: bytes) -> None:
        """Answer at once what is one whole request with a known head; the parser gets all else."""
        if self._phase is Phase.IDLE and not (self.is_answering or self._is_surplus or self._backlog):
            end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
            request = self.known_heads.get(data[:end])
            if request is not None and len(data) == end + request.length:
                self._began = perf_counter_ns()
                if not self._answered_at_a_glance(request, data[end:]):
                    self._answer(request, data[end:])
                return
            self._data = data
        self._feed(data)
        self._data = b""

    def _answered_at_a_glance(self, request: Request, body: bytes) -> bool:
        """Whether it was a call for ``OneRow`` or ``FullHouse``."""
        desk, asks = self.desk, request.asks
        if asks is None or self.transport.is_closing():
            return False
        answer, lines = None, self._default_lines()
        if request.is_plain:
            if desk.one_row is not None:
                answer = desk.one_row.answer(asks, body, self._began, request.headers, lines)
        elif request.keep_alive and desk.full_house is not None:
            answer = desk.full_house.answer(asks, body, self._began, request.path, request.headers, lines)
            if answer is not None:
                self.turns.give_back(len(body))
        if answer is None:
            return False
        self.server_state.total_requests += 1
        self.transport.write(answer)
        return True

    def on_message_begin(self) -> None:
        self.message_begins()
        self._request = None
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def handle_head(self) -> None:
        self._began = perf_counter_ns()
        self._request = self._read_head()
        if self._request is None:
            self._go_the_usual_way()
            return
        self._parts = []
        length, load = self._request.length, self.desk.load
        self._is_dropped = length > AT_ONCE_BYTES and load.is_full
        if self._is_dropped and length > MOST_DROPPED:
            raise load.full()

    def _go_the_usual_way(self) -> None:
        """Make up for ``on_message_begin``."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().handle_head()

    def _read_head(self) -> Request | None:
        """The request, if it is one for the lane."""
        path, _, query = self.url.partition(b"?")
        if path not in PATHS or self.expect_100_continue:
            return None
        parser = self.parser
        if parser.get_method() != b"POST" or parser.should_upgrade() or parser.get_http_version() != "1.1":
            return None
        if self.is_answering:
            return None
        headers: dict[str, str] = {}
        for name, value in self.headers:
            key = NAMES.get(name)
            if key is not None and key not in headers:
                headers[key] = value.decode("latin-1")
            elif key in JOINED:
                headers[key] += ", " + value.decode("latin-1")
        length = int(headers.get("content-length", "-1"))
        if not 0 <= length <= self.desk.max_body_bytes:
            return None
        keep_alive = parser.should_keep_alive()
        asks = self._asks(PATHS[path], query, headers)
        is_plain = asks is not None and keep_alive and is_plainest(asks)
        return Request(PATHS[path], query, headers, length, keep_alive, asks, is_plain)

    def _asks(self, path: str, query: bytes, headers: Mapping[str, str]) -> Asks | None:
        """What the head asks for, which is remembered; None where it is refused, or a browser may have sent it."""
        if "origin" in headers or "sec-fetch-site" in headers:
            return None
        key = (path, query, *map(headers.get, ("content-type", "content-encoding", TIMEOUT)))
        asks = self.known_asks.get(key)
        if asks is not None:
            return asks
        try:
            asks = asks_of(path, query, headers)
        except ServiceError:
            return None
        if len(self.known_asks) >= MAX_KNOWN:
            self.known_asks.clear()
        if len(self.url) <= MAX_HEAD_BYTES:
            self.known_asks[key] = asks
        return asks

    def handle_body(self, body: bytes) -> None:
        if self._request is None:
            super().handle_body(body)
        elif not self._is_dropped:
            if self._request.length > FREE_BYTES:
                self.hold(len(body))
            self._parts.append(body)

    @property
    def body_left(self) -> int:
        return 0 if self._request is None else self._request.length - self._tally.body_bytes

    def handle_end(self) -> None:
        """Answer a request of the lane, here or in a thread."""
        if self._request is None:
            super().handle_end()
            return
        request, parts = self._request, self._parts
        self._request, self._parts = None, []
        self._remember(request)
        if request.length > AT_ONCE_BYTES:
            # The parts of a long body become one in the thread: on the loop that would take milliseconds.
            call = self.desk.call(request.path, request.query, request.headers, b"", self._began, request.asks)
            if not self._is_dropped:
                self._answer_in_thread(call, parts, keep_alive=request.keep_alive)
            elif not self.transport.is_closing():
                self._write(call, self.desk.full(call), keep_alive=request.keep_alive)
            return
        self._let_go()
        body = b"".join(parts)
        if not self._answered_at_a_glance(request, body):
            self._answer(request, body)

    def _remember(self, request: Request) -> None:
        """Keep the head of a request that came alone and in one piece, if it may come again."""
        end = len(self._data) - request.length
        is_alone = len(END_OF_HEAD) < end <= MAX_HEAD_BYTES and self._data.find(END_OF_HEAD) == end - len(END_OF_HEAD)
        if not is_alone or request.asks is None or not ONCE.isdisjoint(request.headers):
            return
        if len(self.known_heads) >= MAX_KNOWN:
            self.known_heads.clear()
        self.known_heads[self._data[:end]] = request

    def _answer(self, request: Request, body: bytes) -> None:
        if self.transport.is_closing():
            return
        call = self.desk.call(request.path, request.query, request.headers, body, self._began, request.asks)
        answer = self.desk.answer_at_once(call)
        if answer is None:
            self._answer_in_thread(call, [body], keep_alive=request.keep_alive)
            return
        self.server_state.total_requests += 1
        self._write(call, answer, keep_alive=request.keep_alive)

    def _answer_in_thread(self, call: Call, parts: list[bytes], *, keep_alive: bool) -> None:
        if self.transport.is_closing():
            return
        refusal = self.desk.take_in(call)
        if refusal is not None:
            self._let_go()
            self._write(call, refusal, keep_alive=keep_alive)
            return
        pending, place = Pending(keep_alive=keep_alive), ExitStack()
        place.callback(self.desk.load.leave)
        self.cycle = self._running = pending  # type: ignore[assignment]

        def is_wanted() -> bool:
            # A client may end its side and wait for the answer; most of those that do so in a queue have given up.
            return not (pending.disconnected or self._is_ended)

        async def answer() -> None:
            try:
                found = await self.desk.answer_at_turn(call, parts, is_wanted)
            except ClientDisconnect:
                self.desk.account_for_leaving(call)
                self.transport.close()
                return
            pending.response_complete = True
            # Whoever has its answer finds the place free.
            place.close()
            if not self.transport.is_closing():
                self._write(call, found, keep_alive=pending.keep_alive)
            self.on_response_complete()

        def forget(task: asyncio.Task[None]) -> None:
            # One that was cancelled before it began has not left.
            place.close()
            self.tasks.discard(task)

        task = self.loop.create_task(answer())
        task.add_done_callback(forget)
        self.tasks.add(task)

    def _write(self, call: Call, answer: Answer, *, keep_alive: bool) -> None:
        own = self.desk.account(call, answer)
        keep_alive = keep_alive and not answer.closes
        # The head of a refusal that closes says so itself.
        end = END_OF_LINE if keep_alive or answer.closes else LAST_ANSWER
        length = b"content-length: %d\r\n" % len(answer.body)
        status = STATUS_LINE[answer.status]
        self.transport.write(b"".join((status, self._default_lines(), answer.head.wire, length, own, end, answer.body)))
        if not keep_alive:
            self.transport.close()

    def shutdown(self) -> None:
        self._have_turn()
        if self._request is None:
            super().shutdown()
        else:
            # It is being received: its answer is the last.
            self._request = self._request._replace(keep_alive=False)


def is_plainest(asks: Asks) -> bool:
    """Whether this is for ``OneRow``, if the body is."""
    return asks.is_bare and asks.timeout_s is None and not (asks.is_csv or asks.is_gzip)
