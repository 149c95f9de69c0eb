"""What a careful server says to each odd request, on the real socket of the real process.

Each is sent alone to each route that takes bodies, in pieces, and behind a good one; with the fast lane and without.
"""

from __future__ import annotations

import random

import pytest
from raw_http import GOOD, LAST, Line, RawService, check_problem
from wire import Reply, request
from wire_rows import FRAMING, ROUTES, TARGET_MARK, Row
from wire_rows_heads import HEADS

pytest_plugins = ("served", "raw_services")

ROWS = [*FRAMING, *HEADS]
MOST_PIECES = 400
# What comes behind a request that ends its connection, and must not be looked at.
SECOND = request("GET", "/version", {"X-Request-Id": "second"})


def pieces(row: Row, data: bytes) -> list[bytes]:
    """Byte by byte; what is long is cut at random."""
    if len(data) <= MOST_PIECES:
        return [data[index : index + 1] for index in range(len(data))]
    cuts = sorted(random.Random(row.name).sample(range(1, len(data)), 40))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, None], strict=True)]


def check_answer(row: Row, reply: Reply | None) -> None:
    """It is one of those that are right for the row, and says whether it is the last one."""
    assert reply is not None, "the connection ended without an answer"
    if reply.status == 200:
        assert 200 in row.statuses
    else:
        check_problem(reply, row.statuses)
    if row.closes is not None:
        assert (reply.headers.get("connection") == "close") == row.closes


def check_end(row: Row, line: Line) -> None:
    """The connection ends without another answer, or a good request is answered on it."""
    if row.closes is not True and line.say([LAST]):
        after = [reply.status for reply in line.rest()]
        assert after == [200] or (row.closes is None and after == [])
    else:
        assert line.rest() == []


def sent(row: Row, target: str = ROUTES[0]) -> bytes:
    """The bytes of the row for one route, and a request behind it that must not be answered."""
    data = row.data.replace(TARGET_MARK, target.encode())
    return data + SECOND if row.closes and not row.is_endless else data


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_odd_requests_get_their_answer(service: RawService, row: Row) -> None:
    """On every route, in one piece and in many: status, slug and the end are the table's, and the service goes on."""
    ways = [[sent(row, target)] for target in row.routes]
    for said in (*ways, pieces(row, sent(row))):
        with service.line() as line:
            line.say(said)

            check_answer(row, line.reply())
            check_end(row, line)
    service.check_alive()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_odd_requests_do_not_overtake_a_good_one(service: RawService, row: Row) -> None:
    """In one piece with a request before them: that is answered first, and nothing behind the odd one is.

    What ends the connection may also do so without a word: the answer that is owed may be the last one.
    """
    with service.line() as line:
        line.say([GOOD + sent(row)])

        good = line.reply()
        assert good is not None
        assert good.status == 200
        reply = line.reply()
        if reply is not None or not row.closes or 200 in row.statuses:
            check_answer(row, reply)
        check_end(row, line)


@pytest.mark.parametrize("version", ["1.1", "7.3"])
@pytest.mark.parametrize("before", [b"", GOOD], ids=["alone", "behind another"])
def test_the_refusal_of_a_head_has_no_body(service: RawService, before: bytes, version: str) -> None:
    """Whether the Host or the version of HTTP is why: the length is told, and nothing comes after the header fields."""
    with service.line() as line:
        line.say([before + f"HEAD /models HTTP/{version}\r\nHost: a,b\r\n\r\n".encode()])
        said = b"".join(iter(lambda: line.socket.recv(1 << 16), b""))

    assert said.endswith(b"\r\n\r\n")
    assert b"\r\nconnection: close\r\n" in said.rpartition(b"HTTP/1.1 ")[2]


def test_what_comes_after_a_head_is_refused_with_a_body(service: RawService) -> None:
    """What is no request has no method, whatever the request before it had."""
    with service.line() as line:
        line.say([b"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n\x00\xff\r\n\r\n"])
        said = b"".join(iter(lambda: line.socket.recv(1 << 16), b""))

    assert said.count(b"\r\n\r\n") == 2
    assert said.endswith(b"}\n")
