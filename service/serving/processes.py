"""Processes of this package: how they are started, and how they end with the one that started them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import service

PR_SET_PDEATHSIG = 1
# Not ``python -m`` alone: a ``service.py`` in the directory that a service is started from would come before ours.
BEGIN = (
    "import runpy, sys; root = sys.argv.pop(1); root in sys.path or sys.path.insert(0, root); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module in a fresh interpreter, with this very package whatever the directory holds.

    An interpreter that does not listen to the environment (``python -I``, as in the container) has such children.
    """
    isolation = "-I" if sys.flags.isolated else "-P"
    return (sys.executable, isolation, "-c", BEGIN, str(Path(service.__file__).parents[1]), module, *arguments)


def end_with(parent: int) -> None:
    """Let the kernel end this process when the one that started it ends in any way; at once when it has ended.

    Only Linux knows how; elsewhere only the second half holds.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 — who starts processes and does not end with one does without

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
