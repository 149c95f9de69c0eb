"""``Line``: a connection that is kept, and opened anew after the service has closed it between two requests."""

from __future__ import annotations

import socket
from contextlib import suppress

from hardening.load.answers import HOST, Answer, take

LARGEST_READ = 1 << 18


class Line:
    """Blocking; for one thread.  patience_s: after which a call raises TimeoutError."""

    def __init__(self, port: int, patience_s: float) -> None:
        self._port = port
        self._patience_s = patience_s
        self._socket: socket.socket | None = None
        self._received = bytearray()

    def ask(self, wire: bytes) -> Answer:
        """Send a request and wait for its answer; raises OSError, and EOFError when the service closes instead."""
        connection = self._open()
        try:
            self._send(connection, wire)
            answer = self._answer(connection)
        except (OSError, EOFError):
            self.close()
            raise
        if answer.closes:
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._received.clear()

    def _open(self) -> socket.socket:
        if self._socket is not None and not _is_closed(self._socket):
            return self._socket
        self.close()
        self._socket = socket.create_connection((HOST, self._port), self._patience_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    @staticmethod
    def _send(connection: socket.socket, wire: bytes) -> None:
        # Who refuses a body does not read all of it, and what it says may still be there.
        with suppress(BrokenPipeError):
            connection.sendall(wire)

    def _answer(self, connection: socket.socket) -> Answer:
        is_ended = False
        while (answer := take(self._received, is_ended=is_ended)) is None:
            if is_ended:
                raise EOFError
            part = connection.recv(LARGEST_READ)
            is_ended = not part
            self._received += part
        return answer


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed, or has said something that it was not asked for."""
    connection.setblocking(False)  # noqa: FBT003 — the name of the method says it
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    else:
        return True
    finally:
        connection.setblocking(True)  # noqa: FBT003 — the same
