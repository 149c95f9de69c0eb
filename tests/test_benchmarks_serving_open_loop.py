"""The open loop of the benchmark of serving: latencies count from the moment at which a request was due."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from benchmarks.serving.open_loop import is_whole, open_loop, percentile

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}"
BODY = b'{"instances":[[1.0]]}'


@contextmanager
def answering(answer: Callable[[int], bytes]) -> Iterator[tuple[str, int]]:
    """A server that answers its n-th request with ``answer(n)``, one at a time; nothing closes the connection."""
    numbers, one_at_a_time = count(1), threading.Lock()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                while self.rfile.readline() != b"\r\n":
                    pass
                assert self.rfile.read(len(BODY)) == BODY
                with one_at_a_time:
                    said = answer(next(numbers))
                if not said:
                    return
                self.wfile.write(said)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "127.0.0.1", server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("connections", [1, 64])
def test_a_stall_is_seen_by_all_that_was_due(connections: int) -> None:
    """One pause of 0.3 s delays each request that was due meanwhile, whether a connection was free for it or not."""

    def pause_once(number: int) -> bytes:
        if number == 3:
            time.sleep(0.3)
        return OK

    with answering(pause_once) as address:
        found = open_loop(address, "/", BODY, rate=100, seconds=0.4, connections=connections)

    assert (found.due, found.failed, found.unanswered) == (40, 0, 0)
    assert found.max_ms >= 300
    assert found.p50_ms >= 50


@pytest.mark.parametrize("answer", [OK, CHUNKED])
def test_every_request_is_answered(answer: bytes) -> None:
    """Answers with a length and answers in chunks are read to their end, and the connection is used again."""
    with answering(lambda _: answer) as address:
        found = open_loop(address, "/", BODY, rate=500, seconds=0.1, connections=2)

    assert (found.due, found.failed, found.unanswered) == (50, 0, 0)
    assert 0 < found.p50_ms <= found.p99_ms <= found.p999_ms <= found.max_ms


@pytest.mark.parametrize("answer", [BROKEN, b""])
def test_failures_are_counted(answer: bytes) -> None:
    """Another status than 200 is a failure, and so is a connection that is closed instead of an answer."""
    with answering(lambda _: answer) as address:
        found = open_loop(address, "/", BODY, rate=200, seconds=0.1, connections=4)

    assert (found.due, found.failed, found.unanswered) == (20, 20, 0)


def test_what_is_not_answered_counts_with_the_time_waited() -> None:
    """A server that says half an answer and no more: every request is unanswered, and none is faster than the wait."""
    with answering(lambda _: OK[:-1]) as address:
        found = open_loop(address, "/", BODY, rate=100, seconds=0.1, connections=2, grace_s=0.1)

    assert (found.due, found.failed, found.unanswered) == (10, 0, 10)
    assert found.p50_ms >= 100


def test_nobody_there_is_an_error() -> None:
    """Without a server there is nothing to measure."""
    with answering(lambda _: OK) as address:
        pass

    with pytest.raises(ConnectionRefusedError):
        open_loop(address, "/", BODY, rate=100, seconds=0.1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.51, 6.0), (0.9, 9.0), (0.99, 10.0), (1.0, 10.0)]
)
def test_percentiles_are_values_that_were_measured(share: float, expected: float) -> None:
    """The least value with at least that share at or below it."""
    assert percentile([float(value) for value in range(1, 11)], share) == expected


def test_percentile_of_nothing_is_unknown() -> None:
    """No values have no percentile."""
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize("answer", [OK, CHUNKED, BROKEN])
def test_an_answer_is_whole_at_its_end(answer: bytes) -> None:
    """Not a byte earlier, wherever the network cuts it."""
    assert [is_whole(answer[:cut]) for cut in range(len(answer) + 1)] == [False] * len(answer) + [True]
