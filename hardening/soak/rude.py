"""The client without manners: half a request, half a body, nothing at all, or questions whose answers it never reads."""

from __future__ import annotations

import gzip
import json
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from hardening.load.answers import END_OF_HEAD, HOST, post
from hardening.load.models import COLUMNS, WIDE, rows

if TYPE_CHECKING:
    from hardening.soak.clients import Desk

PAUSE_S = 0.02
# Connections that it holds before it closes the oldest.
MOST_HELD = 50
PATIENCE_S = 5.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
SENT = "sent"
# Answers to these, of which none is read, are more than the system takes for a client that does not.
N_UNREAD = 12


class Rude:
    """Opens a connection about fifty times a second and wrongs it in one of several ways."""

    def __init__(self, desk: Desk, port: int, seed: int) -> None:
        self._desk = desk
        self._port = port
        self._random = random.Random(seed)  # noqa: S311 — no secret
        self._held: deque[socket.socket] = deque()
        body = json.dumps({"instances": rows(2000, COLUMNS[WIDE])}).encode()
        self._plain = post(f"/predict?model={WIDE}", body)
        self._packed = post(f"/predict_proba?model={WIDE}", gzip.compress(body, mtime=0), content_encoding="gzip")

    def run(self) -> None:
        """Until the desk is closed."""
        ways: dict[Callable[[socket.socket], None], float] = {
            self._half_a_body: 10,
            self._half_a_head: 5,
            self._silence: 5,
            self._deafness: 1,
        }
        while not self._desk.stopped.wait(PAUSE_S):
            (way,) = self._random.choices(list(ways), list(ways.values()))
            self._wrong(way)
        while self._held:
            self._held.popleft().close()

    def _wrong(self, way: Callable[[socket.socket], None]) -> None:
        began, name = time.monotonic(), way.__name__.strip("_").replace("_", " ")
        try:
            connection = socket.create_connection((HOST, self._port), PATIENCE_S)
        except OSError as error:
            label = "refused" if isinstance(error, ConnectionRefusedError) else type(error).__name__
            self._desk.note("rude", name, label, began, is_odd=True)
            return
        # What becomes of such a connection is the service's to decide.
        with suppress(OSError):
            way(connection)
        self._desk.note("rude", name, SENT, began, is_odd=False)
        self._held.append(connection)
        if len(self._held) > MOST_HELD:
            self._held.popleft().close()

    def _half_a_body(self, connection: socket.socket) -> None:
        """And then a reset."""
        connection.sendall(self._plain[: self._random.randrange(len(END_OF_HEAD), len(self._plain))])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.close()

    def _half_a_head(self, connection: socket.socket) -> None:
        """And then silence; the end is a reset every other time."""
        head = self._plain.find(END_OF_HEAD)
        connection.sendall(self._plain[: self._random.randrange(1, head)])
        if self._random.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _silence(self, connection: socket.socket) -> None:
        """Not a byte."""

    def _deafness(self, connection: socket.socket) -> None:
        """Many questions, of which it reads no answer."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.2)
        for _ in range(N_UNREAD):
            connection.sendall(self._packed)
