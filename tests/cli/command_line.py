"""``logitd`` as a process, and files for it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import service

COMMAND = (sys.executable, "-m", "service")
# Seconds after which a command that hangs is given up.
PATIENCE = 60


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Logitd: TypeAlias = Callable[..., Done]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of the service; the package is the one that is tested here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    return {**kept, "PYTHONPATH": str(Path(service.__file__).parents[1]), "COLUMNS": "80", **variables}


def logitd(
    *arguments: str,
    folder: Path,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
    shell: str = '"$@"',
) -> Done:
    """Run a command in ``folder``, whose model store is ``folder``/model_store; ``shell`` says how, in bash."""
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *COMMAND, *arguments],
        cwd=folder,
        env=environment(**(variables or {})),
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class OnTerminal:
    """A command whose standard output and error are a terminal of 80 columns."""

    def __init__(self, *arguments: str, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self._terminal, far_end = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environment(**{"TERM": "xterm", **(variables or {})}),
            stdin=subprocess.DEVNULL,
            stdout=far_end,
            stderr=far_end,
        )
        os.close(far_end)
        self.output = ""

    def read_until(self, text: str) -> None:
        """Read what is shown up to ``text``; AssertionError when the command ends before."""
        while text not in self.output:
            assert self._read(), f"the command ended without {text!r}: {self.output}"

    def read_all(self) -> int:
        """Read the rest of what is shown; the exit code."""
        while self._read():
            pass
        os.close(self._terminal)
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        try:
            part = os.read(self._terminal, 1 << 16)
        except OSError:  # the far end is closed: on Linux an error, not an end of file
            return False
        self.output += part.decode(errors="replace")
        return bool(part)
