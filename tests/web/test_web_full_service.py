"""A service that has taken on as much as it may, over sockets: what it refuses, and how, and what it still answers."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from asking import GOOD, MakeClient
from gate import Gate
from wire import Reply, Wire, on_wire, request

from service.web import guarded_protocol
from service.web.call import Answer, Call
from service.web.dialects.native import NativeDialect
from service.web.fast_lane import MOST_DROPPED
from service.web.turns import BYTES_A_REQUEST
from service.web.watch import LOOK_S

pytest_plugins = ("served",)

LONG = json.dumps({"instances": [[1.0, 2.0, 3.0]] * 9000}).encode()
TARGET = "/predict?model=abc"


@pytest.fixture
def slow(make_client: MakeClient, trained_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Wire, Gate]]:
    """A service of two in flight, whose long predictions wait for the gate."""
    gate, answer = Gate(), NativeDialect.answer

    def slowly(dialect: NativeDialect, call: Call) -> Answer:
        gate.work(0)
        return answer(dialect, call)

    monkeypatch.setattr(NativeDialect, "answer", slowly)
    app = make_client(trained_store, max_in_flight=2).app
    with on_wire(app) as wire:
        # The version comes into memory by a thread too.
        gate.is_open.set()
        wire.send(request("POST", TARGET, body=json.dumps(GOOD).encode()))
        assert wire.reply().status == 200
        gate.is_open.clear()
        yield wire, gate
        gate.is_open.set()


def test_a_full_service_refuses_long_bodies_and_answers_all_else(slow: tuple[Wire, Gate]) -> None:
    """503 with Retry-After, very long ones at their head; health, short predictions and other paths are answered."""
    wire, gate = slow
    busy = fill(wire)

    wire.send(request("POST", TARGET, body=b" " * (MOST_DROPPED + 1)).removesuffix(b" " * (MOST_DROPPED + 1)))
    refused = [wire.reply()]
    wire.send(request("POST", TARGET, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LONG), LONG))
    refused.append(wire.reply())
    others = []
    for other in (request("GET", "/readyz"), request("GET", "/models"), request("POST", TARGET, body=b"[[1,2,3]]")):
        wire.send(other)
        others.append(wire.reply().status)
    gate.is_open.set()

    for answer in refused:
        check_full(answer)
    assert refused[0].headers["connection"] == "close"
    assert others == [200, 200, 200]
    assert [one.reply().status for one in busy] == [200, 200]
    for one in busy:
        one.close()


def test_what_a_full_service_refuses_is_not_kept_and_the_connection_goes_on(
    slow: tuple[Wire, Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long body is read and dropped, however it comes; the request behind it is answered, and the next ones too."""
    wire, gate = slow
    load, longest = wire.protocol.desk.load, LONG + b" " * (MOST_DROPPED - len(LONG))
    busy = fill(wire)
    kept: list[int] = []
    hold, connection, data = load.hold, wire.socket, request("POST", TARGET, body=longest)

    def keep(n_bytes: int, held: int) -> bool:
        kept.append(n_bytes)
        return bool(hold(n_bytes, held))

    monkeypatch.setattr(load, "hold", keep)

    wire.send(data + request("GET", "/livez"))
    replies = [wire.reply(), wire.reply()]
    for start in range(0, len(data), 300_000):
        wire.send(data[start : start + 300_000])
    replies.append(wire.reply())
    dropped = not kept
    gate.is_open.set()
    answered = [one.reply().status for one in busy]
    wire.send(data)
    replies.append(wire.reply())

    assert [reply.status for reply in replies] == [503, 200, 503, 200]
    check_full(replies[0])
    check_full(replies[2])
    assert dropped
    assert sum(kept) == len(longest)
    assert wire.socket is connection
    assert answered == [200, 200]
    for one in busy:
        one.close()


def test_a_place_is_free_before_its_answer_is_given(slow: tuple[Wire, Gate], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends its next request as soon as it has its answer is not refused for the one before."""
    wire, gate = slow
    taken: list[int] = []
    write = wire.protocol._write

    def look(lane: Any, *arguments: Any, **options: Any) -> None:
        taken.append(lane.desk.load.in_flight)
        write(lane, *arguments, **options)

    monkeypatch.setattr(wire.protocol, "_write", look)
    gate.is_open.set()

    assert ask(wire, request("POST", TARGET, body=LONG)).status == 200
    assert taken == [0]


def fill(wire: Wire) -> list[Wire]:
    """Two other connections, whose long predictions are being worked on."""
    busy = [Wire(wire.port, wire.server) for _ in range(2)]
    for one in busy:
        one.send(request("POST", TARGET, body=LONG))
    while wire.protocol.desk.load.in_flight < 2:
        pass
    return busy


def check_full(answer: Reply) -> None:
    """It says that the service is full, and when to come back."""
    assert answer.status == 503
    assert json.loads(answer.body)["type"] == "/problems/temporary-reduced-capacity"
    assert int(answer.headers["retry-after"]) >= 1


def test_a_full_service_refuses_at_a_glance_what_it_would_refuse_at_length(slow: tuple[Wire, Gate]) -> None:
    """Gzip that says it is long: the same answer, count and log by the short way as by the long one, which ids take."""
    wire, gate = slow
    gzipped, short = gzip.compress(LONG), gzip.compress(b"[[1,2,3]]")
    encoded = {"Content-Encoding": "gzip"}
    busy = fill(wire)

    at_length = ask(wire, request("POST", TARGET, {**encoded, "X-Request-Id": "0" * 32}, gzipped))
    turns, whole = wire.protocol.desk.load.turns, request("POST", TARGET, encoded, gzipped)
    left = turns.left
    at_a_glance = [ask(wire, whole) for _ in range(3)]
    taken = left - turns.left
    text = ask(wire, request("GET", "/metrics")).body.decode()
    others = [
        ask(wire, request("POST", TARGET, encoded, body)).status
        for body in (short, gzipped[:-4] + bytes(4), b"no gzip")
    ]
    gate.is_open.set()

    # What was not read takes nothing of the loop's turn.
    assert taken == 3 * (BYTES_A_REQUEST + len(whole) - len(gzipped))
    assert at_length.status == 503
    for reply in at_a_glance:
        given_id = reply.headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", given_id)
        assert re.fullmatch(r"total;dur=\d+\.\d{3}", reply.headers["server-timing"])
        same = {**at_length.headers, "x-request-id": given_id, "server-timing": reply.headers["server-timing"]}
        assert reply.status == 503
        assert {**reply.headers, "date": ""} == {**same, "date": ""}
        assert reply.body == at_length.body.replace(b"0" * 32, given_id.encode())
    assert len({reply.headers["x-request-id"] for reply in at_a_glance}) == 3
    assert 'logitd_rejections_total{reason="temporary-reduced-capacity"} 4' in text
    assert re.search(r'http_server_request_duration_seconds_count\{.*"503",http_route="/predict"\} 4', text)
    assert others == [200, 503, 503]
    assert [one.reply().status for one in busy] == [200, 200]
    for one in busy:
        one.close()


def test_requests_of_one_round_of_the_loop_do_not_find_the_same_place(slow: tuple[Wire, Gate]) -> None:
    """Of five that are there at once two are taken in; the others are refused without a task to find that out."""
    wire, gate = slow
    state = wire.server.server_state
    known = set(state.connections)
    others = [Wire(wire.port, wire.server) for _ in range(5)]
    for other in others:
        assert ask(other, request("POST", TARGET, body=b"[[1,2,3]]")).status == 200
    new = state.connections - known
    seen: Future[tuple[int, int]] = Future()

    def come() -> None:
        for connection in new:
            connection.data_received(request("POST", TARGET, {"Content-Encoding": "gzip"}, gzip.compress(LONG)))
        seen.set_result((wire.protocol.desk.load.in_flight, len(state.tasks)))

    next(iter(new)).loop.call_soon_threadsafe(come)
    assert seen.result(30) == (2, 2)
    gate.is_open.set()

    assert sorted(other.reply().status for other in others) == [200, 200, 503, 503, 503]
    for other in others:
        other.close()


def ask(wire: Wire, data: bytes) -> Reply:
    wire.send(data)
    return wire.reply()


def test_who_leaves_the_queue_is_not_computed_for(slow: tuple[Wire, Gate], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four are in flight, the last leaves: three are computed, and its place is free."""
    wire, gate = slow
    load = wire.protocol.desk.load
    monkeypatch.setattr(load, "_most_in_flight", 4)
    busy = [Wire(wire.port, wire.server) for _ in range(4)]
    for number, one in enumerate(busy):
        one.send(request("POST", TARGET, body=LONG))
        while load.in_flight <= number:
            pass
    done = len(gate.done)

    busy[3].close()
    while not any(getattr(connection, "_is_ended", False) for connection in wire.server.server_state.connections):
        pass
    gate.is_open.set()

    assert [one.reply().status for one in busy[:3]] == [200, 200, 200]
    while load.in_flight:
        pass
    assert len(gate.done) - done == 3
    for one in busy[:3]:
        one.close()


def test_a_client_says_how_long_it_waits(slow: tuple[Wire, Gate]) -> None:
    """Its time is over in the queue: 504, and nothing was computed; odd values are refused, large ones are as none."""
    wire, gate = slow
    wire.protocol.desk.load._most_in_flight = 4
    busy = fill(wire)

    wire.send(request("POST", TARGET, {"X-Request-Timeout": "0.05"}, LONG))
    late = wire.reply()
    gate.is_open.set()
    statuses = {}
    for value in ("1", "0.5", "1e300", "0", "0.0", "-1", "nan", "", "1,2", " "):
        wire.send(request("POST", TARGET, {"X-Request-Timeout": value}, b"[[1,2,3]]"))
        statuses[value] = wire.reply().status

    assert late.status == 504
    assert json.loads(late.body)["type"] == "/problems/deadline-exceeded"
    assert statuses == {
        **dict.fromkeys(("1", "0.5", "1e300"), 200),
        **dict.fromkeys(("0", "0.0", "-1", "nan", "", "1,2", " "), 400),
    }
    assert [one.reply().status for one in busy] == [200, 200]
    for one in busy:
        one.close()


def test_an_answer_that_takes_long_is_not_cut_off_by_a_mistake_behind_it(
    slow: tuple[Wire, Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is owed comes first, however long it takes; the refusal of what came after it is the last answer."""
    wire, gate = slow
    monkeypatch.setattr(guarded_protocol, "LINGER_S", 0.01)

    wire.send(request("POST", TARGET, body=LONG) + b"BAD\r\n\r\n")
    time.sleep(3 * LOOK_S)
    gate.is_open.set()

    assert [wire.reply().status, wire.reply().status] == [200, 400]


def test_what_inflates_to_a_long_body_is_answered_by_a_thread(
    make_client: MakeClient, trained_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few compressed bytes do not hold the event loop: the same answer comes from a thread."""
    asked: list[int] = []
    answer = NativeDialect.answer

    def noted(dialect: NativeDialect, call: Call) -> Answer:
        asked.append(1)
        return answer(dialect, call)

    monkeypatch.setattr(NativeDialect, "answer", noted)
    client = make_client(trained_store)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    client.post(TARGET, json=GOOD)
    asked.clear()

    short = client.post(TARGET, content=gzip.compress(json.dumps(GOOD).encode()), headers=headers)
    assert (short.status_code, asked) == (200, [])
    long = client.post(TARGET, content=gzip.compress(LONG), headers=headers)

    assert (long.status_code, asked) == (200, [1])
    assert len(long.json()["predictions"]) == 9000
