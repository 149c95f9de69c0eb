"""What one process uses, from ``/proc``."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# Positions in /proc/<pid>/stat after the name, which may hold anything: proc_pid_stat(5).
STATE, USER, SYSTEM, START, VIRTUAL_BYTES, RESIDENT_PAGES = 0, 11, 12, 19, 20, 21
DEAD = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that lives.  started_ticks: since the boot; with ``pid`` it tells it from a later one."""

    pid: int
    started_ticks: float
    cpu_seconds: float
    virtual_bytes: float
    resident_bytes: float

    @classmethod
    def read(cls, pid: int) -> Process | None:
        """The process as it is now; None when it is dead, or the system has no ``/proc``."""
        try:
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if fields[STATE] in DEAD:
            return None
        return cls(
            pid=pid,
            started_ticks=float(fields[START]),
            cpu_seconds=(float(fields[USER]) + float(fields[SYSTEM])) / os.sysconf("SC_CLK_TCK"),
            virtual_bytes=float(fields[VIRTUAL_BYTES]),
            resident_bytes=float(fields[RESIDENT_PAGES]) * os.sysconf("SC_PAGE_SIZE"),
        )

    def n_open_fds(self) -> int | None:
        """Files and sockets that it has open; None where one may not look."""
        try:
            return sum(1 for _ in (PROC / str(self.pid) / "fd").iterdir())
        except OSError:
            return None

    def started_at(self) -> float:
        """When it started, in Unix time."""
        return booted_at() + self.started_ticks / os.sysconf("SC_CLK_TCK")


@functools.cache
def booted_at() -> float:
    """When the system started, in Unix time."""
    lines = (PROC / "stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime "))
