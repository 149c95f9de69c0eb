"""The real service as a process, and bytes to and from it that need be no HTTP."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from service_process import Service, serving
from wire import Reply, request

# Seconds after which an answer, or the end of a connection, is given up.
PATIENCE = 20.0
HOST = "127.0.0.1:8000"
TARGET = "/predict?model=abc"
BODY = b"[[1,2,3]]"
GOOD = request("POST", TARGET, body=BODY)
LAST = request("POST", TARGET, {"Connection": "close"}, BODY)
SPLIT = b"\r\n\r\n"


class Line:
    """A connection on which anything may be said, and on which the service may hang up at any time."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", port))
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def say(self, pieces: Iterable[bytes]) -> bool:
        """Send the pieces one by one; False when the service hung up before the end."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def reply(self) -> Reply | None:
        """The next answer; None when the connection ended instead.  Interim answers are answers."""
        while (found := first_reply(self.received)) is None:
            if not self._more():
                assert not self.received, f"an answer that is cut off: {self.received[:200]!r}"
                return None
        reply, self.received = found
        return reply

    def rest(self) -> list[Reply]:
        """All answers until the service ends the connection."""
        return list(iter(self.reply, None))

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def _more(self) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)


def first_reply(data: bytes) -> tuple[Reply, bytes] | None:
    """The first answer in what was received and what comes after it; None while it is not whole."""
    head, found, rest = data.partition(SPLIT)
    if not found:
        return None
    status, *lines = head.decode("latin-1").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.1 [1-5]\d\d [A-Za-z' -]+", status), status
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    return Reply(int(status.split()[1]), headers, rest[:length]), rest[length:]


@dataclass(frozen=True)
class RawService:
    """A service of one process; ``log`` is all that it logged, as far as it was read."""

    service: Service
    log: list[str]

    @property
    def port(self) -> int:
        return int(self.service.port)

    def line(self, **options: Any) -> Line:
        return Line(self.port, **options)

    def ask(self, data: bytes) -> Reply:
        """The answer to one request on a connection of its own."""
        with self.line() as line:
            line.say([data])
            reply = line.reply()
        assert reply is not None
        return reply

    def check_alive(self) -> None:
        """The same process lives and predicts."""
        assert self.service.process.poll() is None
        assert self.ask(request("GET", "/livez")).status == 200
        assert self.ask(GOOD).status == 200

    def metric(self, start: str) -> float:
        """The sum of the metrics page's numbers whose lines begin so."""
        page = self.ask(request("GET", "/metrics")).body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(start))

    def n_descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.service.process.pid}/fd").iterdir()))

    def resident_bytes(self) -> int:
        text = Path(f"/proc/{self.service.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def errors_in(log: Iterable[str]) -> list[str]:
    """The lines of a log that tell of an error of the service, not of a client."""
    return [line for line in log if "error" in line.lower() or "traceback" in line.lower()]


def check_problem(reply: Reply, statuses: dict[int, str | None]) -> None:
    """An RFC 9457 problem with one of the statuses, and the slug that goes with it where one is named."""
    assert reply.status in statuses, reply
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.body.endswith(b"}\n")
    problem = json.loads(reply.body)
    slug = problem["type"].removeprefix("/problems/")
    assert slug == (statuses[reply.status] or slug)
    assert problem["status"] == reply.status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == reply.headers["x-request-id"]


@contextmanager
def raw_service(store: Path, **variables: Any) -> Iterator[RawService]:
    """Start the service over the store with settings from the environment; it is killed at the end."""
    with serving(store, **variables) as service:
        log: list[str] = []
        assert service.process.stderr is not None
        reader = threading.Thread(target=read_all, args=(service.process.stderr, log))
        reader.start()
        try:
            yield RawService(service, log)
        finally:
            service.process.kill()
            reader.join()


def read_all(stream: IO[str], lines: list[str]) -> None:
    """Read a log to its end, so that its writer never waits."""
    lines.extend(stream)
