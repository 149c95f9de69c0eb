"""Connections that send half a head and no more, or a byte a second, and come back when they are closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from hardening.load.answers import END_OF_HEAD, HOST, post, take
from hardening.load.models import COLUMNS, SMALL

TRICKLE_S = 1.0
# Before a connection that was closed is opened again.
AGAIN_S = 0.1
# Connections that are opened at once: more would be a storm, which is another test.
AT_ONCE = 50
HALF_OPEN, IN_HEAD, IN_BODY = "half a head", "head, a byte a second", "body, a byte a second"


def loiter(pipe: Connection, port: int, n_half_open: int, n_trickling: int) -> None:
    """Keep them there until the pipe says something; sends True when all are, and at the end what the service did."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(_Crowd(port).stay(pipe, n_half_open, n_trickling)))


class _Crowd:
    def __init__(self, port: int) -> None:
        self.port = port
        self.closed: Counter[tuple[str, str]] = Counter()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def stay(self, pipe: Connection, n_half_open: int, n_trickling: int) -> Counter[tuple[str, str]]:
        """Until the pipe says something; by kind and answer, how often the service closed a connection."""
        kinds = [HALF_OPEN] * n_half_open + [(IN_HEAD, IN_BODY)[number % 2] for number in range(n_trickling)]
        async with asyncio.TaskGroup() as group:
            there = [asyncio.Event() for _ in kinds]
            members = [group.create_task(self._member(kind, event)) for kind, event in zip(kinds, there, strict=True)]
            for event in there:
                await event.wait()
            pipe.send(True)  # noqa: FBT003 — a word for the other side
            told = asyncio.Event()
            asyncio.get_running_loop().add_reader(pipe.fileno(), told.set)
            await told.wait()
            for member in members:
                member.cancel()
        return self.closed

    async def _member(self, kind: str, is_there: asyncio.Event) -> None:
        """One connection after another; the first is told of."""
        while True:
            label = "refused"
            try:
                async with self._room:
                    _, loiterer = await asyncio.get_running_loop().create_connection(
                        lambda: _Loiterer(kind), HOST, self.port
                    )
            except OSError:
                is_there.set()
            else:
                is_there.set()
                try:
                    label = await loiterer.ended
                finally:
                    loiterer.close()
            self.closed[kind, label] += 1
            await asyncio.sleep(AGAIN_S)


class _Loiterer(asyncio.Protocol):
    """ended: the label of what the service said before it closed, or ``closed``."""

    def __init__(self, kind: str) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = loop.create_future()
        self._kind = kind
        self._received = bytearray()
        self._rest = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without saying so.
        self._transport = cast("asyncio.Transport", transport)
        self._rest += post(f"/predict?model={SMALL}", b"[[%s]]" % b",".join([b"1"] * COLUMNS[SMALL] * 200))
        head = self._rest.find(END_OF_HEAD)
        at_once = {HALF_OPEN: head // 2, IN_HEAD: 1, IN_BODY: head + len(END_OF_HEAD)}[self._kind]
        self._send(at_once)
        if self._kind != HALF_OPEN:
            self._trickle()

    def data_received(self, data: bytes) -> None:
        self._received += data

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        answer = take(self._received, is_ended=True)
        if not self.ended.done():
            self.ended.set_result("closed" if answer is None else answer.label)

    def _send(self, count: int) -> None:
        assert self._transport is not None
        self._transport.write(bytes(self._rest[:count]))
        del self._rest[:count]

    def _trickle(self) -> None:
        self._send(1)
        self._timer = asyncio.get_running_loop().call_later(TRICKLE_S, self._trickle)

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()
