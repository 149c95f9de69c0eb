"""The fast lane on a real socket: what HTTP allows around a prediction, and what leaves the lane."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import GOOD, MakeClient
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from wire import Wire, eventually, on_wire, request, reset

from service.web import turns
from service.web.fast_lane import MAX_KNOWN
from service.web.protocols import fast_lane

pytest_plugins = ("served",)

BODY = json.dumps(GOOD).encode()
TARGET = "/predict_proba?model=abc"
ROW = '"probabilities":[['


@pytest.fixture(params=["at once", "in turn"])
def wire(request: pytest.FixtureRequest, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A connection to the application behind uvicorn with the fast lane; "in turn": as if it were always busy."""
    if request.param == "in turn":
        monkeypatch.setattr(turns, "BYTES_A_TURN", 1)
    with on_wire(app) as wire:
        wire.protocol.desk.load.turns.begin()
        yield wire


def many_rows(n: int) -> bytes:
    """A body that is answered in a thread when it is long."""
    return json.dumps({"instances": [[index / n, 2.0, 3.0] for index in range(n)]}).encode()


def test_one_connection_serves_many_requests(wire: Wire) -> None:
    """Kept alive, answered in order, with good and bad bodies and other paths in between."""
    for index in range(50):
        wire.send(request("POST", TARGET, body=BODY))
        assert wire.reply().status == 200
        wire.send(request("GET", "/livez") if index % 2 else request("POST", TARGET, body=b"["))
        assert wire.reply().status == (200 if index % 2 else 400)


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    """Predictions, slow predictions, other paths and errors sent at once come back one after the other."""
    slow = many_rows(20_000)
    assert len(slow) > 128 * 1024
    parts = [
        request("POST", TARGET, {"X-Request-Id": "one"}, BODY),
        request("GET", "/version", {"X-Request-Id": "two"}),
        request("POST", TARGET, {"X-Request-Id": "three"}, BODY),
        request("POST", TARGET, {"X-Request-Id": "four"}, slow),
        request("POST", TARGET, {"X-Request-Id": "five"}, BODY),
        request("POST", "/predict?model=no", {"X-Request-Id": "six"}, BODY),
        request("POST", TARGET, {"X-Request-Id": "seven"}, BODY),
    ]

    wire.send(b"".join(parts))
    replies = [wire.reply() for _ in parts]

    assert [reply.headers["x-request-id"] for reply in replies] == [
        *("one", "two", "three", "four", "five", "six", "seven")
    ]
    assert [reply.status for reply in replies] == [200, 200, 200, 422, 200, 404, 200]


def test_a_long_body_is_answered_by_a_thread_with_the_same_bits(wire: Wire) -> None:
    """10 000 rows in one body: each row has the bits that it has alone."""
    wire.send(request("POST", TARGET, body=many_rows(10_000)))
    together = json.loads(wire.reply().body)["probabilities"]
    wire.send(request("POST", TARGET, body=json.dumps([[0.5, 2.0, 3.0]]).encode()))

    assert json.loads(wire.reply().body)["probabilities"] == [together[5000]]
    assert len(together) == 10_000


def test_a_request_may_come_byte_by_byte(wire: Wire) -> None:
    """Fragments of one byte make the same request, twice in a row."""
    whole = request("POST", TARGET, body=BODY)

    for _ in range(2):
        for index in range(len(whole)):
            wire.send(whole[index : index + 1])
        assert wire.reply().status == 200


def test_expect_is_answered_before_the_body(wire: Wire) -> None:
    """``Expect: 100-continue`` gets its interim answer, then the prediction."""
    whole = request("POST", TARGET, {"Expect": "100-continue"}, BODY)
    head, body = whole[: -len(BODY)], whole[-len(BODY) :]

    wire.send(head)
    assert wire.reply(has_body=False).status == 100
    wire.send(body)

    assert wire.reply().status == 200


def test_chunked_bodies_are_read(wire: Wire) -> None:
    """A body of unannounced length leaves the lane and is answered; the next one is in the lane again."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, BODY[index : index + 1]) for index in range(len(BODY))) + b"0\r\n\r\n"

    wire.send(request("POST", TARGET, {"Transfer-Encoding": "chunked"}) + chunks + request("POST", TARGET, body=BODY))

    assert [wire.reply().status, wire.reply().status] == [200, 200]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_connection_ends_when_the_client_asks(wire: Wire, version: str) -> None:
    """``Connection: close`` and HTTP/1.0 get their answer and the end of the connection."""
    asked = request("POST", TARGET, {"Connection": "close"}, BODY).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    other = socket.create_connection(("127.0.0.1", wire.port), 10)
    with other:
        other.sendall(asked)
        answer = b"".join(iter(lambda: other.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer


def test_a_half_closed_connection_gets_its_answer(wire: Wire) -> None:
    """A client that ends its sending side after the request still reads the answer."""
    with socket.create_connection(("127.0.0.1", wire.port), 10) as other:
        other.sendall(request("POST", TARGET, {"Connection": "close"}, BODY))
        other.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: other.recv(65536), b""))

    assert ROW.encode() in answer


@pytest.mark.parametrize("path", [TARGET, "/train"])
def test_half_a_request_ends_with_its_client(wire: Wire, path: str) -> None:
    """A client that ends its sending side in the middle of a body is disconnected, on every way, and leaves nothing."""
    for form in ({}, {"Transfer-Encoding": "chunked"}):
        with socket.create_connection(("127.0.0.1", wire.port), 10) as other:
            other.sendall(request("POST", path, form, BODY)[: -len(BODY)] + b"1")
            other.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: other.recv(65536), b"")) == b""

    assert eventually(lambda: not wire.server.server_state.connections and not wire.server.server_state.tasks)
    wire.send(request("GET", "/metrics"))
    # In the lane nothing was begun; beyond it a request was, and is counted without a status.
    counted = f'status_code="(none)",http_route="{path.partition("?")[0]}"'
    assert counted.encode() in wire.reply().body


@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT", "DELETE"])
def test_other_methods_are_refused_as_ever(wire: Wire, method: str) -> None:
    """405 with Allow; HEAD without a body."""
    wire.send(request(method, TARGET))

    reply = wire.reply(has_body=method != "HEAD")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_too_long_a_body_is_refused_before_it_is_sent(make_client: MakeClient, trained_store: Path) -> None:
    """413 by the announced length alone, and the connection ends."""
    app = make_client(trained_store, max_body_bytes=2000).app
    with on_wire(app) as wire:
        wire.send(request("POST", TARGET, body=b" " * 2000))
        assert wire.reply().status == 400
        wire.send(request("POST", TARGET, body=b" " * 2001)[:-2001])
        reply = wire.reply()

    assert reply.status == 413
    assert reply.headers["connection"] == "close"


def test_the_end_of_the_connection_is_told_once(make_client: MakeClient, trained_store: Path) -> None:
    """A body that inflates beyond the limit is refused in the lane, with one header ``Connection``."""
    app = make_client(trained_store, max_body_bytes=2000).app
    with on_wire(app) as wire, socket.create_connection(("127.0.0.1", wire.port), 10) as other:
        other.sendall(request("POST", TARGET, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 2001)))
        answer = b"".join(iter(lambda: other.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1


def test_an_idle_connection_is_closed(app: FastAPI) -> None:
    """After the keep-alive time without a request, whether the last one was in the lane or not."""
    with on_wire(app, timeout_keep_alive=1) as wire:
        for last in (request("POST", TARGET, body=BODY), request("GET", "/livez")):
            wire.send(request("POST", TARGET, body=BODY) + last)
            assert [wire.reply().status, wire.reply().status] == [200, 200]
            assert wire.is_closed()
            wire.close()


def test_a_busy_connection_is_not_closed(app: FastAPI) -> None:
    """Requests that keep coming keep the connection beyond the keep-alive time, on both ways in turn."""
    with on_wire(app, timeout_keep_alive=1) as wire:
        wire.send(request("POST", TARGET, body=BODY))
        wire.reply()
        first = wire.socket
        for index in range(8):
            time.sleep(0.3)
            wire.send(request("GET", "/livez") if index % 3 == 0 else request("POST", TARGET, body=BODY))
            assert wire.reply().status == 200

        assert wire.socket is first


def test_equal_heads_are_read_once_and_forgotten_when_there_are_many(app: FastAPI) -> None:
    """A head that came before is known by its bytes; the memory of heads is bounded and refusals are not in it."""
    with on_wire(app) as wire:
        lane = wire.protocol
        for _ in range(3):
            wire.send(request("POST", TARGET, body=BODY))
            wire.reply()
        assert len(lane.known_heads) == 1
        wire.send(request("POST", TARGET, {"X-Request-Id": "mine"}, BODY))
        wire.send(request("POST", TARGET + "&modle=x", {}, BODY))
        assert [wire.reply().status, wire.reply().status] == [200, 422]
        assert len(lane.known_heads) == 1
        for index in range(300):
            wire.send(request("POST", TARGET, {"X-Other": str(index)}, BODY))
            assert wire.reply().status == 200
        assert len(lane.known_heads) <= MAX_KNOWN


def test_connections_that_are_reset_leave_nothing(app: FastAPI) -> None:
    """After answers, in the middle of a body and in the middle of a slow answer: no connection, task or timer stays."""
    with on_wire(app) as wire:
        for data in (request("POST", TARGET, body=BODY), request("POST", TARGET, body=BODY)[:-5]):
            other = socket.create_connection(("127.0.0.1", wire.port), 10)
            other.sendall(data)
            if data.endswith(BODY):
                other.recv(65536)
            reset(other)
        other = socket.create_connection(("127.0.0.1", wire.port), 10)
        other.sendall(request("POST", TARGET, body=many_rows(10_000)))
        reset(other)

        assert eventually(lambda: not wire.server.server_state.connections and not wire.server.server_state.tasks)
        wire.send(request("POST", TARGET, body=BODY))
        assert wire.reply().status == 200


def test_a_stop_waits_for_what_is_being_received_and_answered(app: FastAPI) -> None:
    """A request whose body is still coming when the server stops is answered, and its connection ends then."""
    whole = request("POST", TARGET, body=BODY)
    with on_wire(app, timeout_graceful_shutdown=10) as wire:
        wire.send(whole[:-5])
        assert eventually(lambda: any(vars(one)["_request"] for one in wire.server.server_state.connections))
        wire.server.should_exit = True
        threading.Event().wait(0.3)
        wire.send(whole[-5:])
        reply = wire.reply()

    assert reply.status == 200
    assert reply.headers["connection"] == "close"


def test_a_client_that_does_not_read_is_not_read_from(wire: Wire) -> None:
    """Thousands of requests that are sent without reading an answer are all answered once the client reads."""
    other = socket.create_connection(("127.0.0.1", wire.port), 30)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    n_requests, one = 20_000, request("POST", TARGET, body=BODY)
    with other:
        sender = threading.Thread(target=other.sendall, args=(one * n_requests,))
        sender.start()
        wire.send(request("POST", TARGET, body=BODY))
        assert wire.reply().status == 200
        n_answers = 0
        rest = b""
        while n_answers < n_requests:
            data = rest + other.recv(1 << 20)
            n_answers += data.count(ROW.encode())
            rest = data[-len(ROW) + 1 :]
        sender.join()


def test_the_lane_steps_aside_for_an_unknown_uvicorn(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without one of the parts that it leans on there is no lane, and a line in the log names the part."""
    monkeypatch.delattr(HttpToolsProtocol, "on_response_complete")

    with caplog.at_level(logging.WARNING, "logitd.web"):
        assert fast_lane(app.state.desk) is None

    assert [vars(record)["missing"] for record in caplog.records] == ["on_response_complete"]
