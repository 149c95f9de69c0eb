"""A process whose system calls are counted, or let fail or kill at the k-th call, by strace.

The process is a fork of this one, so that no call of an interpreter's start is in the count, and it reports by its exit
code alone, so that none of its reports is.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.errors import StoreFull, StoreUnavailable

# What a store asks of the kernel; what a kernel does not know, strace passes over.
CALLS = (
    *("openat", "read", "write", "fsync", "close", "ftruncate", "lseek", "fcntl", "flock", "ioctl"),
    *("mkdir", "rmdir", "rename", "unlink", "unlinkat", "utimensat", "getdents64", "newfstatat", "fstat", "lstat"),
    *("stat", "statx", "access"),
)
LINE = re.compile(r"^(?:\d+ +)?(\w+)\(")
PR_SET_PTRACER = 0x59616D61

Outcome = Literal["acknowledged", "refused", "killed", "broken"]
CODES: dict[int, Outcome] = {0: "acknowledged", 3: "refused"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the ``at``-th call of ``call``; ``how`` in strace's words, empty for nothing."""

    call: str
    how: str
    at: int

    def __str__(self) -> str:
        return f"{self.call}:{self.how} at call {self.at}"

    def option(self) -> str:
        """The expression for ``strace -e``."""
        return f"inject={self.call}:{self.how}:when={self.at}"


def is_permitted() -> bool:
    """Whether strace is there and may be used here."""
    try:
        _, counts = traced(lambda: os.close(os.open("/", os.O_RDONLY)), Path(os.devnull))
    except (OSError, RuntimeError):
        return False
    return not counts


def traced(work: Callable[[], object], log: Path, fault: Fault | None = None) -> tuple[Outcome, Counter[str]]:
    """Do ``work`` in a fork under strace: how it ended, and the calls that it made; ``log`` is written.

    "refused" is StoreFull or StoreUnavailable; "broken" is any other exception, which is printed.  Raises RuntimeError
    when strace does not take hold.
    """
    go, start = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(start)
        _child(work, go)
    os.close(go)
    options = [f"--trace={','.join('?' + call for call in CALLS)}", *(["-e", fault.option()] if fault else [])]
    command = ["strace", "-q", "-o", str(log), *options, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        if not _takes_hold(child, strace):
            os.kill(child, signal.SIGKILL)
        os.close(start)
        _, status = os.waitpid(child, 0)
        _, complaint = strace.communicate()
    if strace.returncode not in {0, -signal.SIGKILL} and complaint:
        raise RuntimeError(complaint.strip())
    return _outcome(status), _counted(log)


def _child(work: Callable[[], object], go: int) -> None:
    """Wait until strace is there, then work; never returns."""
    code = 1
    try:
        # Where only a parent may trace (Yama), allow the sibling.
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
        os.read(go, 1)
        work()
        code = 0
    except (StoreFull, StoreUnavailable):
        code = 3
    except BaseException:  # noqa: BLE001 — the parent is told by the code, a person by the lines
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)


def _takes_hold(child: int, strace: subprocess.Popen[str]) -> bool:
    """Wait until the child is traced; False when strace ended instead."""
    status = Path(f"/proc/{child}/status")
    while strace.poll() is None:
        if "\nTracerPid:\t0\n" not in status.read_text(encoding="ascii", errors="replace"):
            return True
    return False


def _outcome(status: int) -> Outcome:
    return "killed" if os.WIFSIGNALED(status) else CODES.get(os.WEXITSTATUS(status), "broken")


def _counted(log: Path) -> Counter[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return Counter(found[1] for line in lines if (found := LINE.match(line)))
