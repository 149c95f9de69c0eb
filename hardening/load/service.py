"""The real service as a process of its own, from its first line to its exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import service
from benchmarks.serving.memory import process_tree
from benchmarks.serving.pinning import on_cpu

ROOT = Path(service.__file__).parents[1]
COMMAND = (sys.executable, "-m", "service")
ADDRESS = re.compile(r"\bon https?://[0-9.]+:([0-9]+)")
# A line of the log that tells of a defect: by its level, or by what Python says.
COMPLAINT = re.compile(r'\b(ERROR|CRITICAL)\b|"level": ?"(error|critical)"|^Traceback', re.MULTILINE)
# Seconds to the first line, from SIGTERM to the end, and to the end of one that nobody asks any more.
START_S, STOP_S, END_S = 60.0, 60.0, 20.0


class NotServing(Exception):
    """The service did not start, or did not end; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers on a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> int:
        """Send SIGTERM and wait; the exit code.  Raises NotServing when it does not end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise NotServing(f"it runs {STOP_S:g} s after SIGTERM: {last_line(self.log)}") from None

    def complaints(self) -> list[str]:
        """The lines of its log that tell of a defect."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if COMPLAINT.search(line)]


@contextmanager
def serving(
    store: Path,
    *,
    command: Sequence[str] = COMMAND,
    workers: int = 1,
    port: int = 0,
    cpu: int | None = None,
    **variables: str,
) -> Iterator[Service]:
    """Start ``logitd serve`` beside its store, with settings from the environment; it is gone at the end.

    command: what begins it, for a launcher that changes it.  cpu: the one that it may use.  Raises NotServing.
    """
    running = start(store, command=command, workers=workers, port=port, cpu=cpu, **variables)
    try:
        yield running
    finally:
        end(running)


def start(
    store: Path,
    *,
    command: Sequence[str] = COMMAND,
    workers: int = 1,
    port: int = 0,
    cpu: int | None = None,
    **variables: str,
) -> Service:
    """The same without an end; its log is a file beside the store."""
    log = store.parent / f"service-{time.monotonic_ns()}.log"
    arguments = ["serve", "--port", str(port), "--store", str(store), "--workers", str(workers)]
    with log.open("wb") as written, nullcontext() if cpu is None else on_cpu(cpu):
        process = subprocess.Popen(
            [*command, *arguments],
            env=environment(**variables),
            cwd=store.parent,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    return Service(process, _port(process, log), log)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait for the line that says where it listens."""
    given_up = time.monotonic() + START_S
    while time.monotonic() < given_up and process.poll() is None:
        found = ADDRESS.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return int(found[1])
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise NotServing(f"it did not start: {last_line(log)}")


def end(running: Service) -> None:
    """SIGTERM, so that it takes away what it made, and after a while SIGKILL for it and its children."""
    if running.process.poll() is not None:
        return
    family = process_tree(running.pid)
    running.process.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(END_S)
        return
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.process.wait()


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of the service, and this very package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    return {**kept, "PYTHONPATH": str(ROOT), "LOGITD_LOG_LEVEL": "warning", **variables}


def last_line(log: Path) -> str:
    """The end of what was said."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
    return lines[-1][:300]
