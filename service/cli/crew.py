"""What a supervisor knows of its workers: each one as a process, and those that died young as a series."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from service.cli.worker import Orders, stack_file
from service.serving.defects import MOST_FRAMES, place_of

# As the module faulthandler writes it.
MAX_STACK = 1 << 16
CURRENT = "Current thread "
CALL = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
# A worker that dies younger is no accident.
YOUNG_S = 10.0
# Beyond the first one of each worker: deaths without a pause, and deaths that are too many.
FREE_DEATHS, MOST_DEATHS = 3, 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


@dataclass(eq=False, slots=True)
class Worker:
    """A process that answers, or is about to, or is about to end.

    pipe: the end from which its signs of life are read.  Times are those of ``time.monotonic``.
    """

    process: subprocess.Popen[bytes]
    pipe: int
    generation: int
    started_at: float
    heard_at: float
    is_ready: bool = False
    kill_at: float | None = None

    @classmethod
    def start(cls, orders: Orders, pipe: int, generation: int, now: float) -> Worker:
        """Start a process with these orders; raises OSError.

        It has a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone.
        """
        process = subprocess.Popen(  # noqa: S603 — this interpreter and our own module
            orders.command(),
            stdin=subprocess.DEVNULL,
            pass_fds=(orders.listener, orders.pipe),
            process_group=0,
        )
        return cls(process, pipe, generation, started_at=now, heard_at=now)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_stopping(self) -> bool:
        return self.kill_at is not None

    def stop(self, number: signal.Signals, kill_at: float) -> None:
        """Send a signal that ends it; at ``kill_at`` it is to be killed."""
        self.kill_at = kill_at
        # Not by ``process``, which would first wait for it, and bury it where nobody sees.
        os.kill(self.pid, number)

    def is_held(self) -> bool:
        """Whether a debugger holds it, on Linux."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return False
        return "TracerPid:\t0\n" not in status


@dataclass(slots=True)
class Deaths:
    """Workers that died young, one after the other; one that grows up ends the series."""

    n_workers: int
    count: int = 0
    last_at: float = 0.0

    def note(self, now: float) -> None:
        """One more."""
        self.count += 1
        self.last_at = now

    def forget_after(self, worker: Worker, now: float) -> None:
        """End the series when this worker was started after it, and has grown up."""
        if worker.is_ready and worker.started_at > self.last_at and now - worker.started_at > YOUNG_S:
            self.count = 0

    @property
    def excess(self) -> int:
        return self.count - self.n_workers

    @property
    def next_start_at(self) -> float:
        """When the next worker may be started: at once after an accident, later and later after that."""
        beyond = self.excess - FREE_DEATHS
        return 0.0 if beyond < 0 else self.last_at + min(FIRST_PAUSE_S * 2.0**beyond, LONGEST_PAUSE_S)

    @property
    def are_too_many(self) -> bool:
        return self.excess >= MOST_DEATHS


def last_calls(run_directory: str, pid: int) -> str:
    """The calls that a worker was in when it crashed, innermost first, or ""; what it left is removed."""
    file = stack_file(run_directory, pid)
    try:
        with file.open(encoding="utf-8", errors="replace") as left:
            text = left.read(MAX_STACK)
        file.unlink()
    except OSError:
        return ""
    calls = CALL.findall(text.partition(CURRENT)[2].partition("\n\n")[0])
    return " < ".join(f"{place_of(path, int(line))} {name}" for path, line, name in calls[:MOST_FRAMES])


def cause_of(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
