"""Several workers on one socket: started, watched, replaced and stopped by a small process that imports little.

One loop waits for signals (the interpreter writes them to a socket, so that none is lost between two looks), for signs
of life of the workers, and for the next tick.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from time import monotonic

from service.cli.crew import YOUNG_S, Deaths, Worker, cause_of, last_calls
from service.cli.listener import turn_away
from service.cli.logs import log_to_stderr
from service.cli.run_directory import run_directory
from service.cli.worker import Orders
from service.settings import Settings

log = logging.getLogger("logitd.supervisor")

TICK_S = 0.1
# Signs of life come about every second.
BEAT_S = 1.0
# A worker that does not answer by then never will.
START_S = 60.0
# Beyond the time for requests in flight: to stop accepting, to say goodbye, to end.
MARGIN_S = 3.0
# For a stuck worker to write down where it is stuck.
LAST_WORDS_S = 1.0
CRASH_LOOP = 3
NO_DIRECTORY = 6


def supervise(settings: Settings, listener: socket.socket, first_line: str) -> int:
    """Serve with ``settings.workers`` processes until SIGTERM or SIGINT; SIGHUP replaces them one by one.

    Returns the exit code: 0 after a stop, 3 when workers do nothing but die, 6 without a directory to share.
    """
    log_to_stderr(settings)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(run_directory())
        except OSError as error:
            print(f"error: no directory for the workers to share: {error.strerror}; set TMPDIR", file=sys.stderr)
            return NO_DIRECTORY
        return Supervisor(settings, listener, folder, first_line).run()


class Supervisor:
    """Keeps ``settings.workers`` workers of the newest generation alive.

    run_directory: what the workers share.  first_line: printed once all of them answer.
    """

    def __init__(self, settings: Settings, listener: socket.socket, run_directory: str, first_line: str) -> None:
        self._settings = settings
        self._listener = listener
        self._run_directory = run_directory
        self._first_line: str | None = first_line
        self._workers: dict[int, Worker] = {}
        self._generation = 0
        self._deaths = Deaths(settings.workers)
        self._selector = selectors.DefaultSelector()
        self._ticked_at = monotonic()
        self._exit_code: int | None = None

    def run(self) -> int:
        """Supervise until all workers have ended; the exit code."""
        inbox, outbox = socket.socketpair()
        with inbox, outbox, self._selector:
            for end in (inbox, outbox):
                os.set_blocking(end.fileno(), False)
            signal.set_wakeup_fd(outbox.fileno(), warn_on_full_buffer=False)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, lambda *_: None)
            self._selector.register(inbox, selectors.EVENT_READ, lambda: self._obey(inbox.recv(1024)))
            while True:
                self._tick(monotonic())
                if self._exit_code is not None and not self._workers:
                    signal.set_wakeup_fd(-1)
                    return self._exit_code
                for key, _ in self._selector.select(TICK_S):
                    key.data()
                self._bury_the_dead(monotonic())

    def _obey(self, signals: bytes) -> None:
        for number in signals:
            if number == signal.SIGHUP and self._exit_code is None:
                log.info("replacing the workers one by one")
                self._generation += 1
            elif number in {signal.SIGTERM, signal.SIGINT} and self._exit_code is None:
                self._stop_all(0)
            elif number == signal.SIGINT:
                # Ctrl-C once more: now.
                for worker in self._workers.values():
                    worker.stop(signal.SIGKILL, kill_at=0.0)

    def _stop_all(self, exit_code: int) -> None:
        self._exit_code = exit_code
        turn_away(self._listener)
        self._listener.close()
        for worker in self._active():
            worker.stop(signal.SIGTERM, monotonic() + self._settings.drain_s + MARGIN_S)

    def _active(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if not worker.is_stopping]

    def _tick(self, now: float) -> None:
        if now - self._ticked_at > BEAT_S:
            # This process was held, and its workers perhaps with it: nobody could be heard.
            for worker in self._workers.values():
                worker.heard_at = now
        self._ticked_at = now
        for worker in self._workers.values():
            if worker.kill_at is not None and now >= worker.kill_at:
                os.kill(worker.pid, signal.SIGKILL)
            elif self._is_stuck(worker, now):
                silent_s = round(now - worker.heard_at, 1)
                log.error("a worker was silent: it is replaced", extra={"worker": worker.pid, "silent_s": silent_s})
                worker.stop(signal.SIGABRT, now + LAST_WORDS_S)
            self._deaths.forget_after(worker, now)
        if self._exit_code is None:
            self._staff(now)

    def _is_stuck(self, worker: Worker, now: float) -> bool:
        if worker.is_stopping or self._settings.watchdog_s == 0:
            return False
        patience = self._settings.watchdog_s + BEAT_S if worker.is_ready else START_S
        return now - worker.heard_at > patience and not worker.is_held()

    def _staff(self, now: float) -> None:
        """Start workers that are missing; of an older generation replace one at a time, by one that answers already."""
        active = self._active()
        missing = self._settings.workers - len(active)
        if missing > 0:
            if now >= self._deaths.next_start_at:
                for _ in range(missing):
                    self._hire(now)
            return
        if not all(worker.is_ready and not worker.is_stopping for worker in self._workers.values()):
            return
        if self._first_line is not None:
            print(self._first_line, file=sys.stderr, flush=True)
            self._first_line = None
        outdated = [worker for worker in active if worker.generation < self._generation]
        if outdated and missing < 0:
            outdated[0].stop(signal.SIGTERM, now + self._settings.drain_s + MARGIN_S)
        elif outdated and now >= self._deaths.next_start_at:
            self._hire(now)

    def _hire(self, now: float) -> None:
        heard, told = os.pipe()
        orders = Orders(self._settings, self._listener.fileno(), told, os.getpid(), self._run_directory)
        try:
            worker = Worker.start(orders, heard, self._generation, now)
        except OSError as error:
            os.close(heard)
            cause = {"cause": error.strerror}
            log.error("a worker could not be started", extra=cause)  # noqa: TRY400 — the machine's, not ours
            self._deaths.note(now)
            return
        finally:
            os.close(told)
        self._workers[worker.pid] = worker
        self._selector.register(heard, selectors.EVENT_READ, lambda: self._hear(worker))

    def _hear(self, worker: Worker) -> None:
        if os.read(worker.pipe, 1024):
            worker.is_ready = True
            worker.heard_at = monotonic()
        else:
            # It has ended, or is about to.
            self._selector.unregister(worker.pipe)

    def _bury_the_dead(self, now: float) -> None:
        """Wait for every child that ended: in a container, where this is process 1, also for those of the workers."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                worker = self._workers.pop(found[0], None)
                if worker is not None:
                    worker.process.returncode = os.waitstatus_to_exitcode(found[1])
                    with suppress(KeyError):
                        self._selector.unregister(worker.pipe)
                    os.close(worker.pipe)
                    self._pass_on_last_calls(worker)
                    if not worker.is_stopping:
                        self._mourn(worker, cause_of(worker.process.returncode), now)

    def _pass_on_last_calls(self, worker: Worker) -> None:
        calls = last_calls(self._run_directory, worker.pid)
        if calls:
            log.error("where a worker crashed", extra={"worker": worker.pid, "calls": calls})

    def _mourn(self, worker: Worker, cause: str, now: float) -> None:
        log.warning("a worker died: it is replaced", extra={"worker": worker.pid, "cause": cause})
        if now - worker.started_at < YOUNG_S:
            self._deaths.note(now)
        if not worker.is_ready and len(self._active()) >= self._settings.workers:
            log.error("a new worker died before it answered: the old ones stay")
            for other in self._active():
                other.generation = self._generation
        if self._deaths.are_too_many and not any(other.is_ready for other in self._active()):
            died = f"{self._deaths.count} workers died within {YOUNG_S:g} s of their start"
            print(f"error: giving up: {died}, the last one with {cause}", file=sys.stderr)
            self._stop_all(CRASH_LOOP)
