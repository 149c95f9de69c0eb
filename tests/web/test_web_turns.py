"""A loop that is busy with requests that it answers at once, and what waits for its turn meanwhile."""

from __future__ import annotations

import json
import socket

import pytest
from asking import GOOD
from fastapi import FastAPI
from wire import Wire, eventually, on_wire, request, reset

from service.web import turns

pytest_plugins = ("served",)

BODY = json.dumps(GOOD).encode()
TARGET = "/predict_proba?model=abc"


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request fills a turn; before there is an app, whose first turn is as short."""
    monkeypatch.setattr(turns, "BYTES_A_TURN", 1)


def test_a_busy_loop_looks_up_and_keeps_the_order(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes on many connections at once is answered some at a time; two pieces that wait are parsed in order."""
    looks: list[int] = []
    take_turn = turns.Turns._next

    def noted(own: turns.Turns, loop: object) -> None:
        looks.append(len(own._waiting))
        take_turn(own, loop)  # type: ignore[arg-type]

    monkeypatch.setattr(turns.Turns, "_next", noted)
    whole = request("POST", TARGET, body=BODY)
    with on_wire(app) as wire:
        wire.send(whole)
        wire.reply()
        others = [Wire(wire.port, wire.server) for _ in range(20)]
        for other in others:
            other.send(whole[:30])
        for other in others:
            other.send(whole[30:] + whole)
        replies = [other.reply().status for other in others for _ in range(2)]
        for other in others:
            other.close()

    assert replies == [200] * 40
    assert looks


def test_what_cannot_wait_is_answered_at_once(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory for what waits is bounded: beyond it nobody waits, and nothing is lost."""
    monkeypatch.setattr(turns, "MOST_BYTES", 0)
    monkeypatch.setattr(turns.Turns, "_next", None)
    with on_wire(app) as wire:
        for _ in range(3):
            wire.send(request("POST", TARGET, body=BODY))
            assert wire.reply().status == 200


@pytest.mark.parametrize("end", ["reset", "last word"])
def test_who_leaves_while_it_waits_leaves_nothing(app: FastAPI, end: str) -> None:
    """A connection that ended before its turn is passed over; one that only said its last word gets its answer."""
    with on_wire(app) as wire:
        wire.send(request("POST", TARGET, body=BODY))
        wire.reply()
        other = socket.create_connection(("127.0.0.1", wire.port), 10)
        other.sendall(request("POST", TARGET, body=BODY))
        if end == "reset":
            reset(other)
        else:
            other.shutdown(socket.SHUT_WR)
            assert other.recv(65536).startswith(b"HTTP/1.1 200")
            other.close()

        assert eventually(lambda: len(wire.server.server_state.connections) == 1)
        wire.send(request("POST", TARGET, body=BODY))
        assert wire.reply().status == 200
