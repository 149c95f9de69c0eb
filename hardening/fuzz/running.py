"""A service process to attack, and what can be seen of it from outside: its id, memory and log."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from hardening.fuzz.cases import MARKERS
from hardening.fuzz.valid import MIXED_TRAINING
from service.serving.trainer_child import Job, run as train
from service.tabular.limits import Limits

PROJECT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "service")
ADDRESS = re.compile(rb"http://127\.0\.0\.1:([0-9]+)")
# What a defect looks like, in any form of the log.
DEFECT = re.compile(rb'Traceback|a defect|never retrieved|"level": ?"(?:error|critical)"|\b(?:ERROR|CRITICAL)\b')
# Where an entry begins, whichever form the log has.
ENTRY = re.compile(rb"^(?=[0-9]{4}-[0-9]{2}-[0-9]{2}|\{|[A-Z]+:)", re.MULTILINE)
SHOWN = 2000
TRAIN_TIMEOUT_S = 5
SETTLED_S = 0.05
MIB = 1 << 20


class Running:
    """A service that was started; ``port`` is where it listens."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log
        self._seen = 0

    @property
    def is_alive(self) -> bool:
        """Whether it is the process that was started."""
        return self.process.poll() is None

    def memory(self) -> int:
        """Resident bytes now; 0 when it has died."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except FileNotFoundError:
            return 0
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def wait_for_training(self, patience_s: float) -> None:
        """Return once no training is in hand, since what is asked meanwhile is only told so."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        give_up_at = monotonic() + patience_s
        while self.is_alive and monotonic() < give_up_at and children.read_text().strip():
            sleep(0.005)

    def complaint(self) -> str:
        """What the log says since the last call that it should not: a defect, or a value that was sent."""
        if self._log.stat().st_size == self._seen or not _flaw(self._news()):
            self._seen = self._log.stat().st_size
            return ""
        # An entry of several lines is not written at once.
        sleep(SETTLED_S)
        news = self._news()
        self._seen += len(news)
        return _flaw(news)

    def _news(self) -> bytes:
        with self._log.open("rb") as log:
            log.seek(self._seen)
            return log.read()


def _flaw(news: bytes) -> str:
    """The first entry in the log that should not be there."""
    for entry in ENTRY.split(news):
        if DEFECT.search(entry) or any(marker in entry for marker in MARKERS):
            return entry[:SHOWN].decode(errors="replace") + entry[SHOWN:][-SHOWN:].decode(errors="replace")
    return ""


@contextmanager
def running(command: Sequence[str] = COMMAND) -> Iterator[Running]:
    """Start one worker on a free port, over the shipped models and ``valid.MIXED``; it is killed at the end.

    command: what ``serve`` and its options are handed to.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _fill(folder / "store")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "serve", "--port", "0", "--store", str(folder / "store")],
                env=_environment(),
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        try:
            yield Running(process, _port(process, folder / "log"), folder / "log")
        finally:
            process.kill()
            process.wait()


def _fill(store: Path) -> None:
    """The shipped models, and one that they are not like."""
    shutil.copytree(PROJECT / "model_store", store, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    most = Limits()
    job = Job(
        store=str(store),
        is_csv=False,
        parameters={},
        data_sha256="",
        max_rows=most.max_rows,
        max_features=most.max_features,
        max_cells=most.max_cells,
        trusted=None,
    )
    train(job, MIXED_TRAINING)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    return {**kept, "PYTHONPATH": str(PROJECT), "LOGITD_TRAIN_TIMEOUT_S": str(TRAIN_TIMEOUT_S)}


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the first line of the log tells; waits for it."""
    while not (found := ADDRESS.search(log.read_bytes())):
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise RuntimeError(f"the service did not start: {log.read_text()}")
    return int(found[1])
