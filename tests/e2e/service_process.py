"""The real service as a process, and the command line beside it."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx

import service

COMMAND = (sys.executable, "-m", "service")
# Seconds after which a process that hangs is given up.
PATIENCE = 60
ADDRESS = re.compile(r"https?://\S+")


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of the service; the package is the one that is tested here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    return {**kept, "PYTHONPATH": str(Path(service.__file__).parents[1]), **variables}


def logitd(*arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    """A command of another process on the same store."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(LOGITD_STORE=str(store)),
        cwd=store.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@dataclass(frozen=True)
class Service:
    """A running service; ``client`` speaks to it.

    warnings: what it said before it answered.
    """

    process: subprocess.Popen[str]
    url: str
    store: Path
    client: httpx.Client
    warnings: tuple[str, ...] = ()

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def stop(self) -> int:
        """Send SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def children(self) -> list[int]:
        """The process ids of its children now."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


Serve: TypeAlias = Callable[..., Service]


@contextmanager
def serving(
    store: Path, *, prefix: tuple[str, ...] = (), trusted: Path | None = None, **variables: str
) -> Iterator[Service]:
    """Start the service on a free port, with settings from the environment; it is stopped at the end.

    prefix: a command that begins it in surroundings of its own, and becomes it.
    trusted: the certificate that the client trusts, for HTTPS.
    """
    context = None if trusted is None else ssl.create_default_context(cafile=trusted)
    process = subprocess.Popen(
        [*prefix, *COMMAND, "serve", "--port", "0", "--store", str(store)],
        env=environment(**variables),
        cwd=store.parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said: list[str] = []
        while (found := ADDRESS.search(said[-1] if said else "")) is None:
            said.append(process.stderr.readline())
            assert said[-1], "".join(said)
        with httpx.Client(base_url=found[0], timeout=PATIENCE, verify=context or True) as client:
            yield Service(process, found[0], store, client, tuple(said[:-1]))
    finally:
        process.kill()
        process.communicate()


def is_running(pid: int) -> bool:
    """Whether there is a process of this id that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
