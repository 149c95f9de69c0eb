"""Requests at a fixed rate, or as many as are answered, over connections that are opened as they are needed.

A request is sent when it is due, over a connection that is idle or a new one, whatever became of those before it: only at
``max_connections`` it has to wait, and that is told.  What is measured is the time from the sending (of a request that
waited: from the moment at which it was due) to the last byte of the answer.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import uvloop

from benchmarks.serving.open_loop import percentile
from hardening.load.answers import HOST, take

TICK_S = 0.001
CLOSED, REFUSED, UNANSWERED, UNSENT = "closed", "refused", "unanswered", "unsent"
# Before they are sent many requests have to wait for a connection: the rate is not offered any more.
LARGEST_SHARE_LATE = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent where.

    rate: requests a second; 0: ``max_connections`` that send again as soon as they are answered.
    grace_s: for the last answers.
    """

    port: int
    request: bytes
    rate: float
    seconds: float
    max_connections: int = 4000
    grace_s: float = 10.0


@dataclass(slots=True)
class Took:
    """Of the requests with one outcome: when they were sent, in seconds from the start, and what they took."""

    sent: array[float] = field(default_factory=lambda: array("d"))
    took: array[float] = field(default_factory=lambda: array("d"))

    def add(self, sent: float, took: float) -> None:
        """One more."""
        self.sent.append(sent)
        self.took.append(took)


@dataclass(slots=True)
class Outcome:
    """What became of the requests of a plan, by label: see ``Answer.label``; or ``closed``, ``refused``, ``unanswered``, or
    ``unsent`` for what waited for a connection until the end.

    due: by the plan.  waited: for a connection.  late_ms: by how much the generator was late, at most.
    sent: when each request was really sent, in seconds from the start.
    """

    seconds: float
    due: int = 0
    waited: int = 0
    late_ms: float = 0.0
    most_connections: int = 0
    sent: array[float] = field(default_factory=lambda: array("d"))
    by_label: dict[str, Took] = field(default_factory=dict)

    def add(self, label: str, sent: float, took: float) -> None:
        """One more request that came to an end."""
        self.by_label.setdefault(label, Took()).add(sent, took)

    def counts(self) -> dict[str, int]:
        """How many requests had each outcome."""
        return {label: len(times.sent) for label, times in sorted(self.by_label.items())}

    def count(self, prefix: str) -> int:
        """How many had an outcome that begins like this."""
        return sum(n for label, n in self.counts().items() if label.startswith(prefix))

    def took_ms(self, prefix: str, share: float) -> float:
        """The percentile of what these took; nan of none."""
        times = [times.took for label, times in self.by_label.items() if label.startswith(prefix)]
        return percentile(sorted(1e3 * took for each in times for took in each), share)

    def rate(self, label: str) -> float:
        """Answers of a label a second before the plan's end: the median over its seconds, since a machine has slow ones."""
        times = self.by_label.get(label)
        if times is None:
            return 0.0
        ended: npt.NDArray[np.float64] = np.asarray(times.sent) + np.asarray(times.took)
        n_parts = max(1, int(self.seconds))
        counts, _ = np.histogram(ended, n_parts, (0.0, self.seconds))
        return float(np.median(counts)) * n_parts / self.seconds

    def sent_rate(self) -> float:
        """Requests a second that were really sent before the plan's end."""
        return float(np.count_nonzero(np.asarray(self.sent) <= self.seconds)) / self.seconds


def run(plan: Plan, is_stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Do as the plan says; what goes at a rate ends when told to.  Any thread may.  Raises OSError when nobody listens."""
    socket.create_connection((HOST, plan.port), timeout=plan.grace_s).close()
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Generator(plan, is_stopped).run())


class _Channel(asyncio.Protocol):
    """A connection; at most one request is under way on it."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._received = bytearray()
        self.transport: asyncio.Transport | None = None
        # When the request under way was sent; None: it is idle.
        self.began: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without saying so.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._look(is_ended=False)

    def _look(self, *, is_ended: bool) -> None:
        answer = take(self._received, is_ended=is_ended)
        if answer is not None and self.began is not None:
            self._generator.ended(self, answer.label, is_usable=not (answer.closes or is_ended))

    def connection_lost(self, _: Exception | None) -> None:
        self._look(is_ended=True)
        self._generator.lost(self)

    def send(self, request: bytes, began: float) -> None:
        """Send the request; ``began`` counts as the moment."""
        assert self.transport is not None
        self.began = began
        self.transport.write(request)

    def close(self) -> None:
        """Whatever is under way."""
        if self.transport is not None:
            self.transport.abort()


class _Generator:
    def __init__(self, plan: Plan, is_stopped: Callable[[], bool]) -> None:
        self._plan = plan
        self._is_stopped = is_stopped
        self._outcome = Outcome(plan.seconds)
        self._idle: list[_Channel] = []
        self._channels: set[_Channel] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        # Moments at which requests were due that wait for a connection.
        self._waiting: deque[float] = deque()
        self._n_ended = 0
        self._one_ended = asyncio.Event()
        self._start = self._end = 0.0

    async def run(self) -> Outcome:
        self._start = time.perf_counter()
        self._end = self._start + self._plan.seconds
        await (self._keep_rate() if self._plan.rate else self._keep_busy())
        self._outcome.seconds = min(self._plan.seconds, time.perf_counter() - self._start)
        self._end = 0.0
        while self._waiting:
            self._count(UNSENT, self._waiting.popleft())
        await self._wait_for_the_last()
        self._give_up()
        return self._outcome

    async def _keep_rate(self) -> None:
        count = round(self._plan.rate * self._plan.seconds)
        while self._outcome.due < count and not self._is_stopped():
            now = time.perf_counter()
            while self._outcome.due < count and (due := self._start + self._outcome.due / self._plan.rate) <= now:
                self._outcome.due += 1
                self._outcome.late_ms = max(self._outcome.late_ms, 1e3 * (now - due))
                self._send(now)
            # Who waits in the loop is woken by each answer: the system does that in the service's time, 10 µs of a refusal.
            time.sleep(TICK_S)  # noqa: ASYNC251 — see above
            await asyncio.sleep(0)

    async def _keep_busy(self) -> None:
        for _ in range(self._plan.max_connections):
            self._outcome.due += 1
            self._send(time.perf_counter())
        await asyncio.sleep(self._plan.seconds)

    def _send(self, due: float) -> None:
        while self._idle:
            channel = self._idle.pop()
            if channel.transport is not None and not channel.transport.is_closing():
                self._write(channel, due)
                return
        if len(self._channels) + len(self._connecting) < self._plan.max_connections:
            task = asyncio.get_running_loop().create_task(self._connect(due))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
            return
        self._waiting.append(due)
        self._outcome.waited += 1

    async def _connect(self, due: float) -> None:
        try:
            _, channel = await asyncio.get_running_loop().create_connection(
                lambda: _Channel(self), HOST, self._plan.port
            )
        except OSError:
            self._count(REFUSED, due)
            return
        self._channels.add(channel)
        self._outcome.most_connections = max(self._outcome.most_connections, len(self._channels))
        self._write(channel, due)

    def _write(self, channel: _Channel, due: float) -> None:
        self._outcome.sent.append(time.perf_counter() - self._start)
        channel.send(self._plan.request, due)

    def ended(self, channel: _Channel, label: str, *, is_usable: bool) -> None:
        """Its answer is there."""
        assert channel.began is not None
        self._count(label, channel.began)
        channel.began = None
        if not is_usable:
            self._forget(channel)
        elif self._waiting:
            self._write(channel, self._waiting.popleft())
        elif not self._plan.rate and time.perf_counter() < self._end:
            self._outcome.due += 1
            self._write(channel, time.perf_counter())
        else:
            self._idle.append(channel)
            return
        if channel.began is None:
            self._go_on()

    def lost(self, channel: _Channel) -> None:
        """The other side has closed it."""
        if channel.began is not None:
            self._count(CLOSED, channel.began)
            channel.began = None
            self._forget(channel)
            self._go_on()
        self._channels.discard(channel)

    def _forget(self, channel: _Channel) -> None:
        self._channels.discard(channel)
        channel.close()

    def _go_on(self) -> None:
        """There is room for one connection more."""
        if self._waiting:
            self._send(self._waiting.popleft())
        elif not self._plan.rate and time.perf_counter() < self._end:
            self._outcome.due += 1
            self._send(time.perf_counter())

    def _count(self, label: str, began: float) -> None:
        self._n_ended += 1
        self._one_ended.set()
        self._outcome.add(label, began - self._start, time.perf_counter() - began)

    async def _wait_for_the_last(self) -> None:
        """Until all that was due has ended, or for as long as the plan says."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._plan.grace_s):
                while self._n_ended < self._outcome.due:
                    self._one_ended.clear()
                    await self._one_ended.wait()

    def _give_up(self) -> None:
        for channel in tuple(self._channels):
            if channel.began is not None:
                self._count(UNANSWERED, channel.began)
                channel.began = None
            channel.close()
        for task in self._connecting:
            task.cancel()
