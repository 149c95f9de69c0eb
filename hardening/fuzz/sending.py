"""Sending a case to the service, and what came back."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Self

from hardening.fuzz.cases import HOST, Case, Ending

# Seconds that an answer may take.  Not a measure of speed: what takes longer hangs.
GUARD_S = 20.0
RESET = struct.pack("ii", 1, 0)
LENGTH = b"\r\ncontent-length: "


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back: all bytes, and how it ended.

    is_over: the service closed, or the one answer that was waited for is whole.  is_cut: by a reset.
    is_hanging: nothing came within GUARD_S.  is_refused: nobody listens.
    """

    case: Case
    received: bytes = b""
    is_over: bool = True
    is_cut: bool = False
    is_hanging: bool = False
    is_refused: bool = False
    seconds: float = 0.0


class Sender:
    """Sends cases, on one kept connection where they allow it.

    guard_s, guard_train_s: how long an answer may take, and one that may wait for a training.
    """

    def __init__(self, port: int, guard_s: float = GUARD_S, guard_train_s: float = 3 * GUARD_S) -> None:
        self.port = port
        self._guard_s = guard_s
        self.guard_train_s = guard_train_s
        self._kept: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._drop()

    def send(self, case: Case) -> Exchange:
        """The exchange for a case; nothing that the service does raises."""
        began = perf_counter()
        is_kept = case.ending is Ending.KEEP
        try:
            connection = self._connection() if is_kept else self._connect()
        except ConnectionRefusedError:
            return Exchange(case, is_refused=True)
        connection.settimeout(self.guard_train_s if case.trains else self._guard_s)
        received = bytearray()
        is_cut = is_hanging = is_open = False
        try:
            is_open = _talk(connection, case, received)
        except TimeoutError:
            is_hanging = True
        except OSError:
            is_cut = True
        if not (is_kept and is_open):
            self._drop() if is_kept else connection.close()
        took = perf_counter() - began
        return Exchange(case, bytes(received), not is_cut, is_cut, is_hanging, seconds=took)

    def _connection(self) -> socket.socket:
        if self._kept is None:
            self._kept = self._connect()
        return self._kept

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), self._guard_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _talk(connection: socket.socket, case: Case, received: bytearray) -> bool:
    """Send a case and gather what comes; whether the connection can be used again."""
    try:
        for piece in case.pieces:
            connection.sendall(piece)
    except ConnectionError:
        # The service may refuse and close before all is sent; what it said is still there to be read.
        pass
    if case.ending is Ending.KEEP:
        return _read_one(connection, received, is_head=case.data.startswith(b"HEAD "))
    if case.ending is Ending.SHUT:
        _shut(connection)
        while data := connection.recv(1 << 16):
            received += data
    elif case.ending is Ending.RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return False


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        # The service has closed already.
        return


def _read_one(connection: socket.socket, received: bytearray, *, is_head: bool) -> bool:
    """Gather one whole answer; False when the service closed or will."""
    while data := connection.recv(1 << 16):
        received += data
        head, end, body = bytes(received).partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 1"):
            head, end, body = body.partition(b"\r\n\r\n")
        if not end:
            continue
        # A malformed length is for the judge: here it only has to end.
        told = head.lower().partition(LENGTH)[2].split(b"\r")[0]
        length = int(told) if told.isdigit() and not is_head else 0
        if len(body) >= length:
            return b"\r\nconnection: close" not in head.lower()
    return False
