"""One of several workers: a fresh interpreter that answers on the supervisor's socket, with the supervisor's settings."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.serving.processes import end_with, module_command
from service.settings import Settings

SIGN_OF_LIFE = b"."


def stack_file(run_directory: str, pid: int) -> Path:
    """Where a worker that crashes leaves the calls that it was in."""
    return Path(run_directory, f"stack-{pid}")


@dataclass(frozen=True, slots=True)
class Orders:
    """What a supervisor tells a worker.

    listener, pipe: file descriptors: the socket to answer on, and where to write a sign of life about every second, the
    first when requests are answered.
    """

    settings: Settings
    listener: int
    pipe: int
    supervisor: int
    run_directory: str

    def command(self) -> tuple[str, ...]:
        """The command that starts the worker."""
        return module_command(__name__, json.dumps(asdict(self)))

    @classmethod
    def parse(cls, text: str) -> Orders:
        """The orders that ``command`` wrote."""
        found: dict[str, Any] = json.loads(text)
        return cls(**{**found, "settings": Settings(**found["settings"])})


def work(orders: Orders) -> None:
    """Answer until SIGTERM; returns after a graceful stop."""
    # When the supervisor finds this process stuck it sends SIGABRT; where it was stuck is found in this file, and told.
    faulthandler.enable(stack_file(orders.run_directory, os.getpid()).open("w"))
    end_with(orders.supervisor)
    # It is for the supervisor, and a signal to the whole group means no more than one to it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.set_blocking(orders.pipe, False)

    def beat() -> None:
        # A supervisor that is held by a debugger does not read; then a sign more or less does not matter.
        with suppress(BlockingIOError):
            os.write(orders.pipe, SIGN_OF_LIFE)

    # Nothing that is imported is garbage; ``listen`` switches it on again.
    gc.disable()
    from service.cli.listen import listen  # noqa: PLC0415 — a second of imports, in which the supervisor may end

    with socket.socket(fileno=orders.listener) as listener:
        listen(orders.settings, listener, on_beat=beat, run_directory=Path(orders.run_directory))


if __name__ == "__main__":
    work(Orders.parse(sys.argv[1]))
