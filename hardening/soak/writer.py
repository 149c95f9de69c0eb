"""The clients that write: one moves the live alias between versions, one trains and deletes what it trained before."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from hardening.load.answers import post, request
from hardening.load.line import Line
from hardening.load.models import COLUMNS, N_VERSIONS, SMALL, WIDE, rows
from hardening.soak.asks import Ask

if TYPE_CHECKING:
    from hardening.soak.clients import Desk

TRAINED = "trained"
N_TRAINED_ROWS, N_KEPT = 60, 5
SWAP_S, PAUSE_S = 0.25, 5.0
PATIENCE_S = 90.0


class Swapper:
    """Moves the live alias of one model and the other, four times a second."""

    def __init__(self, desk: Desk, port: int) -> None:
        self._desk = desk
        self._line = Line(port, PATIENCE_S)

    def run(self) -> None:
        """Until the desk is closed."""
        for number in itertools.count():
            if self._desk.stopped.wait(SWAP_S):
                break
            self._desk.ask(self._line, _swap((SMALL, WIDE)[number % 2], 1 + number // 2 % N_VERSIONS))
        self._line.close()


class Trainer:
    """Trains again and again, and deletes the version of a while ago."""

    def __init__(self, desk: Desk, port: int) -> None:
        self._desk = desk
        self._line = Line(port, PATIENCE_S)

    def run(self) -> None:
        """Until the desk is closed."""
        while not self._desk.stopped.wait(PAUSE_S):
            who = self._desk.ask(self._line, TRAIN)
            version = int(who.rpartition("/")[2]) if who else 0
            if version > N_KEPT:
                self._desk.ask(self._line, _delete(version - N_KEPT))
        self._line.close()


def _swap(name: str, version: int) -> Ask:
    body = json.dumps({"version": version, "reason": "soak"}).encode()
    wire = request("PUT", f"/models/{name}/aliases/live", body, {"Content-Type": "application/json"})
    return Ask("swap", name, wire, frozenset({"200"}))


def _delete(version: int) -> Ask:
    # One that was published for a client that had lost its worker is not known here, and stays.
    expected = frozenset({"204", "404 version-not-found"})
    return Ask("delete", TRAINED, request("DELETE", f"/models/{TRAINED}/versions/{version}"), expected)


def _train() -> Ask:
    """Two classes that overlap."""
    table = rows(N_TRAINED_ROWS, COLUMNS[SMALL])
    noise = rows(N_TRAINED_ROWS, 1, seed=2)
    targets = [int(row[0] + 2 * error > 0) for row, (error,) in zip(table, noise, strict=True)]
    body = json.dumps({"model": TRAINED, "instances": table, "targets": targets, "options": {"C": 1.0}}).encode()
    # The training of a worker that was killed may hold the slot for a moment; one that lasts longer than a worker that is
    # replaced may stay is ended with it.
    expected = frozenset({"201", "409 train-in-progress", "503 draining"})
    return Ask("train", TRAINED, post("/train", body), expected)


TRAIN = _train()
