"""A small HTTP balancer: requests go in turn to the instances that say that they are ready."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import uvloop

from hardening.load.answers import END_OF_HEAD, HOST, LENGTH, Answer, request, take

POLL_S, POLL_PATIENCE_S = 0.05, 2.0
# Who does not take a connection by then is taken for one that refuses it: nothing was sent yet.
CONNECT_S, ANSWER_S = 0.25, 30.0
LARGEST_READ = 1 << 18
READYZ = request("GET", "/readyz")
# What an instance says of its own connection is not for the client.
HOP_BY_HOP = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
PROBLEM = b"HTTP/1.1 %d Bad\r\ncontent-length: 0\r\n\r\n"


class NotConnected(Exception):
    """There is no connection, so that nothing was sent: another instance may have the request."""


@dataclass(slots=True)
class Connection:
    """A connection to an instance, on which one request at a time is under way."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Connection:
        """A new one; raises NotConnected."""
        try:
            async with asyncio.timeout(CONNECT_S):
                return cls(*await asyncio.open_connection(HOST, port))
        except (OSError, TimeoutError):
            raise NotConnected from None

    async def ask(self, wire: bytes) -> Answer:
        """Send a request and wait for its answer; raises OSError, or EOFError when the instance closes instead."""
        self.writer.write(wire)
        received, is_ended = bytearray(), False
        while (answer := take(received, is_ended=is_ended)) is None:
            if is_ended:
                raise EOFError
            part = await self.reader.read(LARGEST_READ)
            is_ended = not part
            received += part
        return answer

    @property
    def is_open(self) -> bool:
        """Whether the instance has not closed it."""
        return not (self.reader.at_eof() or self.writer.is_closing())

    def close(self) -> None:
        """Let go of it."""
        self.writer.close()


@dataclass(slots=True)
class Instance:
    """One of those behind the balancer.  ready_since: by ``time.monotonic``; None: it is not ready."""

    port: int
    ready_since: float | None = None
    idle: list[Connection] = field(default_factory=list)

    async def connection(self) -> Connection:
        """One that is idle, or a new one; raises NotConnected."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_open:
                return connection
            connection.close()
        return await Connection.open(self.port)

    async def look(self) -> None:
        """Ask whether it is ready; one that is not gets nothing any more, not even on connections that are there."""
        if not await self._says_ready():
            self.leave()
        elif self.ready_since is None:
            self.ready_since = time.monotonic()

    async def _says_ready(self) -> bool:
        try:
            connection = await Connection.open(self.port)
        except NotConnected:
            return False
        try:
            # One that stops takes no connections; one that took this may be slow, and is no worse for it.
            async with asyncio.timeout(POLL_PATIENCE_S):
                return (await connection.ask(READYZ)).status == 200
        except (OSError, EOFError, TimeoutError):
            return False
        finally:
            connection.close()

    def leave(self) -> None:
        """Send nothing to it until it is ready again."""
        self.ready_since = None
        while self.idle:
            self.idle.pop().close()


class Balancer:
    """Listens on ``port`` from entry to exit, in a thread of its own.

    It repeats a request only where there was no connection to send it on.  events: what it had to do besides.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self.instances = [Instance(port) for port in ports]
        self.events: Counter[str] = Counter()
        self.port = 0
        self._turn = 0
        self._is_listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_listening.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._loop is not None
        assert self._main is not None
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, suppress(asyncio.CancelledError):
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        server = await asyncio.start_server(self._answer, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._is_listening.set()
        try:
            await asyncio.gather(*map(self._poll, self.instances))
        finally:
            # uvloop waits for what is still open when it is closed.
            server.close()
            for instance in self.instances:
                instance.leave()

    async def _poll(self, instance: Instance) -> None:
        while True:
            await instance.look()
            await asyncio.sleep(POLL_S)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward what comes on one connection, until the client closes it."""
        try:
            while True:
                head = await reader.readuntil(END_OF_HEAD)
                length = LENGTH.search(head)
                wire = head + await reader.readexactly(int(length[1]) if length else 0)
                writer.write(await self._forward(wire))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _forward(self, wire: bytes) -> bytes:
        """The answer of an instance; 502 when it broke off, 503 when nobody is ready."""
        for _ in self.instances:
            instance = self._next_ready()
            if instance is None:
                break
            try:
                connection = await instance.connection()
            except NotConnected:
                self.events["another instance tried: no connection"] += 1
                instance.leave()
                continue
            return await self._ask(instance, connection, wire)
        self.events["nobody was ready"] += 1
        return PROBLEM % 503

    def _next_ready(self) -> Instance | None:
        ready = [instance for instance in self.instances if instance.ready_since is not None]
        self._turn += 1
        return ready[self._turn % len(ready)] if ready else None

    async def _ask(self, instance: Instance, connection: Connection, wire: bytes) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await connection.ask(wire)
        except (OSError, EOFError, TimeoutError) as error:
            self.events[f"broken off: {type(error).__name__}"] += 1
            connection.close()
            return PROBLEM % 502
        except asyncio.CancelledError:
            connection.close()
            raise
        if answer.closes or instance.ready_since is None:
            self.events["said to be the last answer"] += answer.closes
            connection.close()
        else:
            instance.idle.append(connection)
        return HOP_BY_HOP.sub(b"", answer.head) + answer.body
