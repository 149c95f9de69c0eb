"""As many requests as the server takes: wrk, which sends the next one when an answer is there."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.pinning import LOAD_CPU, on_cpu
from benchmarks.serving.server import HOST

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """What wrk counted: answers a second, and how many requests got another status than 200 or none."""

    requests_per_s: float
    failed: int


def closed_loop(port: int, path: str, body: Path, *, connections: int, seconds: int) -> ClosedLoop:
    """Ask for some seconds with a number of kept-alive connections; raises CalledProcessError."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{TIMEOUT_S}s"]
    command += ["-s", str(SCRIPT), f"http://{HOST}:{port}{path}", "--", str(body)]
    with on_cpu(LOAD_CPU):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return counted(done.stdout)


def counted(said: str) -> ClosedLoop:
    """The line that ``post.lua`` writes among wrk's own."""
    found = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return ClosedLoop(found["requests"] / found["seconds"], found["failed"])
