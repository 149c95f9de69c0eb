"""Requests one behind the other on a connection: none is answered twice, for another, or though it must not run."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from keys_on_disk import KeysOnDisk
from raw_http import BODY, GOOD, HOST, LAST, TARGET, Line, RawService, check_problem, raw_service
from wire import request
from wire_rows import CHUNKED, FRAMING, LENGTH, PLAIN, TARGET_MARK, head
from wire_rows_heads import HEADS

pytest_plugins = ("served", "raw_services")

CLOSING = [row for row in (*FRAMING, *HEADS) if row.closes and not row.is_endless]
BAD = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}", LENGTH, CHUNKED) + PLAIN
# A body that is itself a request, which must not be taken for one.
SMUGGLED = request("GET", "/version", {"X-Request-Id": "smuggled"})
# More than is answered at once.
LONG = request("POST", TARGET, body=b"[" + b",".join([BODY[1:-1] + b" " * 20] * 8000) + b"]")
ROWS_COUNT = "logitd_prediction_rows_total"


def conversation(service: RawService, *data: bytes) -> list[int]:
    """The statuses of all answers until the service ends the connection."""
    with service.line() as line:
        line.say(data)
        return [reply.status for reply in line.rest()]


def test_what_is_behind_a_refused_request_never_runs(service: RawService) -> None:
    """H32: one answer to each of the table, no prediction for what is behind it, and the end."""
    service.check_alive()
    before = service.metric(ROWS_COUNT)

    said = {str(row): conversation(service, row.data.replace(TARGET_MARK, TARGET.encode()) + GOOD) for row in CLOSING}

    assert {name: statuses for name, statuses in said.items() if len(statuses) != 1} == {}
    assert service.metric(ROWS_COUNT) == before + list(said.values()).count([200])


@pytest.mark.parametrize(
    "good",
    [GOOD, LONG, request("GET", "/version"), request("POST", "/nowhere", body=BODY), GOOD * 20, LONG + GOOD],
    ids=["prediction", "prediction in a thread", "page", "unknown path", "many", "a slow one and a quick one"],
)
@pytest.mark.parametrize("is_alone", [True, False], ids=["in one piece", "in two"])
def test_answers_come_before_the_refusal_of_what_is_behind_them(
    service: RawService, good: bytes, *, is_alone: bool
) -> None:
    """H32: a refusal does not overtake the answers to what was sent before it, nor take their place."""
    n_good = good.count(b"HTTP/1.1")
    expected = 404 if b"nowhere" in good else 200

    statuses = conversation(service, good + BAD + GOOD) if is_alone else conversation(service, good, BAD + GOOD)

    assert statuses[:n_good] == [expected] * n_good
    assert statuses[n_good:] in ([400], [])


def test_the_same_mistake_many_times_is_answered_once(service: RawService) -> None:
    """What follows on a connection that ends is not looked at."""
    assert conversation(service, BAD * 1000) == [400]


@pytest.mark.parametrize("end", [{"Connection": "close"}, {"Connection": "close, keep-alive"}], ids=str)
def test_nothing_runs_behind_a_last_request(service: RawService, end: dict[str, str]) -> None:
    """``Connection: close`` is the client's word that nothing more comes: one answer, one prediction."""
    service.check_alive()
    before = service.metric(ROWS_COUNT)

    assert conversation(service, request("POST", TARGET, end, BODY) + GOOD + GOOD) == [200]
    assert service.metric(ROWS_COUNT) == before + 1


@pytest.mark.parametrize("body", [[LENGTH], [CHUNKED]], ids=["length", "chunks"])
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.3", "h2c, websocket", ""])
def test_an_upgrade_that_is_not_made_loses_nothing(service: RawService, protocol: str, body: list[str]) -> None:
    """As ``curl --http2`` asks: the request is answered in HTTP/1.1, and so is the one behind it."""
    lines = (f"Host: {HOST}", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABk")
    asked = head(f"POST {TARGET} HTTP/1.1", *lines, *body) + (PLAIN if body == [CHUNKED] else BODY)

    assert conversation(service, asked + LAST) == [200, 200]
    assert conversation(service, asked, GOOD, asked, LAST) == [200] * 4
    assert conversation(service, *(asked[index : index + 1] for index in range(len(asked))), LAST) == [200, 200]


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
@pytest.mark.parametrize("path", [TARGET, "/train", "/nowhere", "/livez"])
def test_the_body_of_an_upgrade_is_no_request(service: RawService, protocol: str, path: str) -> None:
    """Where a server took the upgrade, what follows the head would be no HTTP; here it is the body that was announced."""
    lines = (f"Host: {HOST}", "Connection: Upgrade", f"Upgrade: {protocol}", "Content-Type: text/plain")
    asked = head(f"POST {path} HTTP/1.1", *lines, f"Content-Length: {len(SMUGGLED)}") + SMUGGLED

    with service.line() as line:
        line.say([asked + LAST])
        replies = line.rest()

    assert len(replies) in {1, 2}
    assert all(reply.headers["x-request-id"] != "smuggled" for reply in replies)


UNREAD = [
    "POST /nowhere",
    "GET /livez",
    "PUT /predict",
    "GET /predict",
    "OPTIONS /predict",
    "DELETE /train",
    "HEAD /nowhere",
]


@pytest.mark.parametrize("asked", [*UNREAD, "POST /train"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
def test_a_body_that_nobody_reads_is_no_request(service: RawService, asked: str, *, is_chunked: bool) -> None:
    """It may come with its head or after the answer: the next request is answered, or the connection has ended."""
    framing = CHUNKED if is_chunked else f"Content-Length: {len(SMUGGLED)}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) if is_chunked else SMUGGLED
    first = head(f"{asked} HTTP/1.1", f"Host: {HOST}", "Content-Type: text/plain", framing)
    whole = request("GET", "/models", {"X-Request-Id": "whole", "Connection": "close"})

    for pieces in ([first + body + whole], [first, body, whole]):
        with service.line() as line:
            line.say(pieces)
            data = b"".join(iter(partial(more, line), b""))

        assert b"smuggled" not in data
        assert data.count(b"HTTP/1.1 ") <= 2


def more(line: Line) -> bytes:
    """What the service says next, however it is cut; nothing at the end."""
    try:
        return line.socket.recv(1 << 16)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("size", [2**32 + 9, 2**64 - 1, 2**63, 2**31 + 9])
@pytest.mark.parametrize("path", [TARGET, "/train"])
def test_sizes_do_not_wrap(service: RawService, size: int, path: str) -> None:
    """A chunk of more than 32 or 63 bits is no short one: it never becomes whole."""
    with service.line() as line:
        line.say([head(f"POST {path} HTTP/1.1", f"Host: {HOST}", CHUNKED) + b"%x" % size + PLAIN[1:] + GOOD])
        line.socket.shutdown(socket.SHUT_WR)

        assert [reply.status for reply in line.rest()] in ([], [400], [413])


@pytest.mark.parametrize(
    "trailer",
    ["X-Request-Id: mine", "Content-Encoding: gzip", "Content-Type: text/plain", "Content-Length: 5", "Host: a@b"],
)
@pytest.mark.parametrize("is_alone", [True, False], ids=["in one piece", "in two"])
def test_trailers_are_no_headers(service: RawService, trailer: str, *, is_alone: bool) -> None:
    """RFC 9110 6.5.1: what comes behind a body changes nothing about it; it may also be refused."""
    first = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}", CHUNKED)
    rest = PLAIN[:-2] + head(trailer) + LAST

    with service.line() as line:
        line.say([first + rest] if is_alone else [first, rest])
        replies = line.rest()

    assert [reply.status for reply in replies] in ([200, 200], [400])
    assert all(reply.headers["x-request-id"] != "mine" for reply in replies)


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_key_in_a_trailer_is_none(trained_store: Path, tmp_path: Path, lane: str) -> None:
    """A proxy that takes keys out of headers may let trailers pass."""
    keys = KeysOnDisk.made_in(tmp_path)
    first = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}", CHUNKED)
    with raw_service(trained_store, LOGITD_FAST_LANE=lane, LOGITD_API_KEYS_FILE=str(keys.path)) as service:
        for name in ("X-API-Key: ", "Authorization: Bearer "):
            trailer = head(f"{name}{keys.by_scope['predict']}")

            reply = service.ask(first + PLAIN[:-2] + trailer)

            check_problem(reply, {401: "key-missing", 400: "invalid-request"})


@pytest.mark.parametrize("n", [10, 1500])
@pytest.mark.parametrize("kind", ["upgrade", "page", "prediction", "unread body"])
def test_many_requests_in_one_piece_are_all_answered(service: RawService, kind: str, n: int) -> None:
    """As many as fit into what is read at once are neither lost nor too deep, and the last one ends the connection."""
    upgrade = head("GET /livez HTTP/1.1", f"Host: {HOST}", "Connection: Upgrade", "Upgrade: h2c")
    one = {
        "upgrade": upgrade,
        "page": head("GET /livez HTTP/1.1", f"Host: {HOST}"),
        "prediction": GOOD,
        "unread body": request("POST", "/livez", body=SMUGGLED),
    }[kind]

    statuses = conversation(service, one * n + LAST)

    assert statuses == [405 if kind == "unread body" else 200] * n + [200]


def test_pipelines_that_nobody_reads_take_little_memory(service: RawService) -> None:
    """Fifty clients send 250 KB of small requests and read no answer: what cannot be answered waits as bytes."""
    page = head("GET /livez HTTP/1.1", f"Host: {HOST}")
    service.check_alive()
    before = service.resident_bytes()
    with ExitStack() as crowd:
        lines = [crowd.enter_context(service.line(receive_buffer=4096)) for _ in range(50)]
        for line in lines:
            line.socket.settimeout(0)
            with suppress(BlockingIOError):
                line.socket.sendall(page * (250_000 // len(page)))
        service.check_alive()
        after = service.resident_bytes()

    assert after - before < 64 << 20
    service.check_alive()
