"""A peer's server as a process: started on its own CPU, timed to its first right answer, ended with all its children."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving.memory import process_tree
from benchmarks.serving.model import drawn
from benchmarks.serving.peer import Peer, Place, variables
from benchmarks.serving.pinning import SERVER_CPU, on_cpu

HOST = "127.0.0.1"
# Seconds in which a server must give its first right answer, and in which it must end.
PATIENCE_S, END_S = 90.0, 15.0
POLL_S = 0.001
# Exponentials differ in the last digits between libraries.
TOLERANCE = 1e-12
# What reading a foreign answer may raise.
UNREADABLE = (ValueError, KeyError, IndexError, TypeError)


class NotServing(Exception):
    """A server that ended, or gave no right answer in time; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that gave a right answer: its process, the seconds from exec to that answer, and its distance from ours."""

    pid: int
    port: int
    cold_start_s: float
    difference: float


@contextmanager
def serving(peer: Peer, place: Place) -> Iterator[Running]:
    """The server, from its first right answer on; raises NotServing."""
    log = place.folder / "server.log"
    with log.open("wb") as written, on_cpu(SERVER_CPU):
        started = time.perf_counter()
        process = subprocess.Popen(
            peer.command(place),
            cwd=place.folder,
            env=variables(peer, place),
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        difference = _first_right_answer(peer, place, process, log)
        yield Running(process.pid, place.ports[0], time.perf_counter() - started, difference)
    finally:
        _end(process)


def _first_right_answer(peer: Peer, place: Place, process: subprocess.Popen[bytes], log: Path) -> float:
    """Ask until the answer is right; the largest difference of its probabilities from the model's."""
    rows = place.shape.rows()
    body, expected = peer.request(rows), drawn(place.shape.n_columns).probabilities(rows)
    said = "no answer"
    given_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < given_up:
        if process.poll() is not None:
            raise NotServing(f"ended with code {process.returncode}: {_last_line(log)}")
        with suppress(OSError, http.client.HTTPException):
            status, answer = post(place.ports[0], peer.path, body)
            difference = distance(peer, answer, expected) if status == http.client.OK else float("inf")
            if difference <= TOLERANCE:
                return difference
            said = f"status {status}, probabilities off by {difference:.2g}"
        time.sleep(POLL_S)
    raise NotServing(f"{said} after {PATIENCE_S:g} s: {_last_line(log)}")


def distance(peer: Peer, answer: bytes, expected: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """The largest difference of an answer's probabilities from the expected ones, inf for an unreadable answer."""
    with suppress(*UNREADABLE):
        found = peer.probabilities(answer)
        return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")
    return float("inf")


def post(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on now."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = tuple(listener.getsockname()[1] for listener in listeners)
    for listener in listeners:
        listener.close()
    return ports


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and after a while SIGKILL, also for children that outlive their parent."""
    family = process_tree(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    # Its session holds orphans of a parent that was gone already; its family, those that left the session.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in family[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
    return lines[-1][:300]
