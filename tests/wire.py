"""The application behind uvicorn on a real socket in this process, and bytes to and from it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.web.protocols import fast_lane, guarded

PATIENCE = 30.0


@dataclass(frozen=True)
class Reply:
    """An answer as it was on the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that is kept alive, and opened anew after the server closed it."""

    def __init__(self, port: int, server: uvicorn.Server) -> None:
        self.port = port
        self.server = server
        self._socket: socket.socket | None = None
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    @property
    def socket(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._buffer = b""
        return self._socket

    @property
    def protocol(self) -> Any:
        """The class of the server's connections."""
        return self.server.config.http

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def reply(self, *, has_body: bool = True) -> Reply:
        """The next answer; an interim one counts."""
        head = self._until(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = self._exactly(int(headers.get("content-length", "0"))) if has_body else b""
        if headers.get("connection") == "close":
            self.close()
        return Reply(int(status.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Whether the server has closed the connection; waits for it."""
        return self.socket.recv(1) == b""

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(mark, 1)
        return head

    def _exactly(self, n: int) -> bytes:
        while len(self._buffer) < n:
            self._more()
        body, self._buffer = self._buffer[:n], self._buffer[n:]
        return body

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError(f"the server closed the connection after {self._buffer[:200]!r}")
        self._buffer += data


def request(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """A request as bytes, its length announced unless ``headers`` say otherwise."""
    given = {"Host": "127.0.0.1:8000", **(headers or {})}
    if "Transfer-Encoding" not in given:
        given["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


@contextmanager
def on_wire(app: FastAPI, *, in_lane: bool = True, **options: Any) -> Iterator[Wire]:
    """Serve the application, predictions in the fast lane or not; stopped gracefully at the end."""
    protocol = (fast_lane if in_lane else guarded)(app.state.desk)
    assert protocol is not None
    config = uvicorn.Config(
        app, http=protocol, ws="none", loop="uvloop", log_config=None, server_header=False, **options
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wire = Wire(listener.getsockname()[1], server)
        try:
            yield wire
        finally:
            wire.close()
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def eventually(holds: Callable[[], object]) -> bool:
    """Whether it holds within some seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False
