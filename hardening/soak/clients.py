"""One process of clients: threads that ask, some that write, one that is rude; what came of it is told every second."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from hardening.load.line import Line
from hardening.soak.asks import Ask, all_asks
from hardening.soak.rude import Rude
from hardening.soak.tally import CLOSED, REFUSED, RESET, TIMED_OUT, WRONG, Oddity, Tally
from hardening.soak.writer import Swapper, Trainer

N_ASKERS = 3
PATIENCE_S = 30.0
# After a failure: who finds nobody there asks again, but not without end.
BACK_OFF_S = 0.05


def drive(pipe: Connection, port: int, seed: int, *, is_writer: bool) -> None:
    """Keep asking until the pipe says something; sends a ``Tally`` about every second, and a last one."""
    # Ctrl-C is for the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    desk, asks = Desk(), all_asks()
    jobs: list[Callable[[], None]] = [Asker(desk, port, asks, seed + number).run for number in range(N_ASKERS)]
    jobs.append(Rude(desk, port, seed).run)
    if is_writer:
        jobs += [Swapper(desk, port).run, Trainer(desk, port).run]
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    # Who started this process may be gone: then there is nobody to tell.
    with suppress(OSError, EOFError):
        while not pipe.poll(1.0):
            pipe.send(desk.emptied())
        pipe.recv()
    desk.stopped.set()
    for thread in threads:
        thread.join()
    pipe.send(desk.emptied())


class Desk:
    """Where the threads of a process report."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._tally = Tally()
        self._lock = threading.Lock()

    def note(self, kind: str, name: str, label: str, began: float, *, is_odd: bool) -> None:
        """Count a request that has just ended."""
        oddity = Oddity(kind, name, label, began, time.monotonic()) if is_odd else None
        with self._lock:
            self._tally.add(kind, label, oddity)

    def emptied(self) -> Tally:
        """What was counted since the last call."""
        with self._lock:
            tally, self._tally = self._tally, Tally()
        return tally

    def ask(self, line: Line, ask: Ask, check: Callable[[str, bytes], bool] = lambda *_: True) -> str | None:
        """Ask, note what came of it, and return who answered; None for any answer that may not be.

        check: whether the answer of a version, with this body, is right.
        """
        began = time.monotonic()
        try:
            answer = line.ask(ask.wire)
        except (OSError, EOFError) as error:
            self.note(ask.kind, ask.name, lost(error), began, is_odd=True)
            self.stopped.wait(BACK_OFF_S)
            return None
        label = answer.label
        if label in ask.expected and not check(answer.model_version, answer.body):
            label = WRONG
        self.note(ask.kind, ask.name, label, began, is_odd=label not in ask.expected)
        return answer.model_version if label in ask.expected else None


def lost(error: OSError | EOFError) -> str:
    """How a connection ended, in a word or two."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return RESET
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    return CLOSED if isinstance(error, EOFError) else type(error).__name__


class Asker:
    """Asks without a pause, each time something drawn by weight; the same question to the same version has one answer."""

    def __init__(self, desk: Desk, port: int, asks: Sequence[Ask], seed: int) -> None:
        self._desk = desk
        self._asks = asks
        self._line = Line(port, PATIENCE_S)
        self._random = random.Random(seed)  # noqa: S311 — no secret
        self._first: dict[tuple[int, str], int] = {}

    def run(self) -> None:
        """Until the desk is closed."""
        weights = [ask.weight for ask in self._asks]
        while not self._desk.stopped.is_set():
            (number,) = self._random.choices(range(len(self._asks)), weights)
            ask = self._asks[number]
            self._desk.ask(self._line, ask, self._is_as_before(number) if ask.is_repeatable else lambda *_: True)
        self._line.close()

    def _is_as_before(self, number: int) -> Callable[[str, bytes], bool]:
        def check(version: str, body: bytes) -> bool:
            return self._first.setdefault((number, version), hash(body)) == hash(body)

        return check
