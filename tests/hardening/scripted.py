"""Servers on real sockets that say what they are told to say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

LAST_ANSWER = b"onnection: close"


@contextmanager
def listening(say: Callable[[bytes], bytes]) -> Iterator[int]:
    """A server that says something to each request; after nothing, or a last answer, it closes the connection."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while wire := connection.recv(1 << 16):
                answer = say(wire)
                connection.sendall(answer)
                if not answer or LAST_ANSWER in answer:
                    return

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that gives these answers in turn, and the last one for ever."""
    left = list(answers)
    with listening(lambda _: left.pop(0) if len(left) > 1 else left[0]) as port:
        yield port
