"""Requests at a fixed rate, whatever the server does: a latency counts from the moment at which the request was due.

So a server that stalls is late for all that was due meanwhile, which a closed loop never asks ("coordinated omission").
The loop is our own, and spins on its CPU: asyncio's timers tell milliseconds, more than what is measured here.
"""

from __future__ import annotations

import gc
import math
import re
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

# Connections of the pool; a request that is due while all are busy waits, and its latency with it.
CONNECTIONS = 64
# Seconds for the last answers after the last request was due.
GRACE_S = 2.0
LARGEST_READ = 1 << 18
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
OK = b"HTTP/1.1 200 "


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Latencies in ms from the due moment, of requests that were due, and by how much the generator itself was late.

    failed: answered by another status, or by closing the connection; unanswered: not in time.  Both count in the latencies
    with the time that was waited.
    """

    rate: float
    due: int
    failed: int
    unanswered: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    late_p99_ms: float
    late_max_ms: float


@dataclass(slots=True)
class _Connection:
    channel: socket.socket
    due: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def open_loop(
    address: tuple[str, int],
    path: str,
    body: bytes,
    *,
    rate: float,
    seconds: float,
    connections: int = CONNECTIONS,
    grace_s: float = GRACE_S,
) -> OpenLoop:
    """Post the body at a rate per second for some seconds.  Raises OSError when nobody listens."""
    with _no_collection(), _Pool(address, _request(address, path, body), connections) as pool:
        pool.run(rate, max(1, round(rate * seconds)), grace_s)
    return pool.outcome(rate)


def percentile(ordered: list[float], share: float) -> float:
    """The least value with at least that share of the values at or below it; nan of none."""
    if not ordered:
        return float("nan")
    # The product may lie a rounding above the integer that it is.
    rank = math.ceil(share * len(ordered) - 1e-9)
    return ordered[max(rank, 1) - 1]


class _Pool:
    """Kept-alive connections, and what was measured on them."""

    def __init__(self, address: tuple[str, int], request: bytes, connections: int) -> None:
        self._address, self._request = address, request
        self._poll = select.epoll()
        self._free: deque[_Connection] = deque()
        self._busy: dict[int, _Connection] = {}
        self._n_connections = connections
        self._latencies: list[float] = []
        self._lateness: list[float] = []
        self._failed = self._unanswered = 0

    def __enter__(self) -> Self:
        for _ in range(self._n_connections):
            self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in [*self._free, *self._busy.values()]:
            connection.channel.close()
        self._poll.close()

    def run(self, rate: float, count: int, grace_s: float) -> None:
        """Send each request when it is due, as soon as a connection is free, and read answers in between."""
        clock, start, sent, starved = time.perf_counter, time.perf_counter() + 0.001, 0, 0.0
        given_up = start + count / rate + grace_s
        while (sent < count or self._busy) and (now := clock()) < given_up:
            due = start + sent / rate
            if sent < count and due <= now:
                if self._free:
                    # While all connections were busy it was the server that was late.
                    if due > starved:
                        self._lateness.append(now - due)
                    self._send(due)
                    sent += 1
                    continue
                starved = now
            for descriptor, _ in self._poll.poll(0):
                self._receive(self._busy.get(descriptor))
        self._give_up(clock(), [start + number / rate for number in range(sent, count)])

    def outcome(self, rate: float) -> OpenLoop:
        latencies, lateness = ([1e3 * each for each in sorted(times)] for times in (self._latencies, self._lateness))
        return OpenLoop(
            rate=rate,
            due=len(latencies),
            failed=self._failed,
            unanswered=self._unanswered,
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            p999_ms=percentile(latencies, 0.999),
            max_ms=latencies[-1],
            late_p99_ms=percentile(lateness, 0.99),
            late_max_ms=percentile(lateness, 1.0),
        )

    def _connect(self) -> None:
        channel = socket.create_connection(self._address, timeout=GRACE_S)
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._free.append(_Connection(channel))

    def _send(self, due: float) -> None:
        connection = self._free.popleft()
        connection.due = due
        descriptor = connection.channel.fileno()
        self._busy[descriptor] = connection
        self._poll.register(descriptor, select.EPOLLIN)
        try:
            connection.channel.sendall(self._request)
        except OSError:
            self._replace(connection)

    def _receive(self, connection: _Connection | None) -> None:
        if connection is None:
            return
        try:
            part = connection.channel.recv(LARGEST_READ)
        except OSError:
            part = b""
        if not part:
            self._replace(connection)
            return
        connection.received += part
        if is_whole(connection.received):
            self._failed += not connection.received.startswith(OK)
            self._done(connection)

    def _done(self, connection: _Connection) -> None:
        self._latencies.append(time.perf_counter() - connection.due)
        connection.received.clear()
        descriptor = connection.channel.fileno()
        self._poll.unregister(descriptor)
        del self._busy[descriptor]
        self._free.append(connection)

    def _replace(self, connection: _Connection) -> None:
        """A connection that the server closed: its request failed."""
        self._failed += 1
        self._done(connection)
        self._free.remove(connection)
        connection.channel.close()
        self._connect()

    def _give_up(self, now: float, unsent: list[float]) -> None:
        due = [connection.due for connection in self._busy.values()] + unsent
        self._unanswered = len(due)
        self._latencies += [now - moment for moment in due]


def is_whole(answer: bytes | bytearray) -> bool:
    """Whether all of an answer is there, by its length or by its last chunk."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = LENGTH.search(head)
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def _request(address: tuple[str, int], path: str, body: bytes) -> bytes:
    host, port = address
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return f"{head}\r\n\r\n".encode() + body


@contextmanager
def _no_collection() -> Iterator[None]:
    """A collection of garbage would be a stall of our own."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
