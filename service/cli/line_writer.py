"""``LineWriter``: a log handler for which nobody waits."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from time import monotonic, sleep

# Of 4 KiB at most: what a reader that has stopped costs in memory, and what one that hurries after a burst still gets.
MOST_LINES = 1000
# How long the end of the process waits for the last lines.
FLUSH_S, LOOK_S = 1.0, 0.002


class LineWriter(logging.Handler):
    """Writes lines to standard error from a thread of its own, since a pipe that nobody reads takes no more at some time.

    At most ``MOST_LINES`` wait; what comes then is left out, and the first line that finds room again says how many were.
    """

    def __init__(self) -> None:
        super().__init__()
        # Not the object: who prints there would wait for the thread.
        self._descriptor = None if sys.stderr is None else sys.stderr.fileno()
        # Simple queues may be put to by a signal's handler in the middle of a put.
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._n_taken = self._n_written = self._n_left_out = 0
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take the record's line, if there is room."""
        try:
            line = self._line(record)
        except Exception:  # noqa: BLE001 — as logging's own handlers: a line is no reason to fail
            self.handleError(record)
            return
        if self._lines.qsize() >= MOST_LINES:
            self._n_left_out += 1
            return
        if self._n_left_out:
            left_out = {"left_out": self._n_left_out}
            self._n_left_out = 0
            self._take(self._line(_warning("log lines were left out, for nobody read them", left_out)))
        self._take(line)

    def flush(self) -> None:
        """Wait for the lines that were taken, but not for long."""
        end = monotonic() + FLUSH_S
        while self._n_written < self._n_taken and monotonic() < end:
            sleep(LOOK_S)

    def _line(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(errors="backslashreplace")

    def _take(self, line: bytes) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._write, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is at its end, or the machine has no room for one: then this one waits.
                self._write_out(line)
                return
            self._thread = thread
        self._n_taken += 1
        self._lines.put(line)

    def _write(self) -> None:
        while True:
            self._write_out(self._lines.get())
            self._n_written += 1

    def _write_out(self, line: bytes) -> None:
        # A log that cannot be written disturbs nobody.
        with suppress(OSError):
            while line and self._descriptor is not None:
                line = line[os.write(self._descriptor, line) :]


def _warning(event: str, fields: dict[str, int]) -> logging.LogRecord:
    return logging.getLogger("logitd.process").makeRecord(
        "logitd.process", logging.WARNING, __file__, 0, event, (), None, extra=fields
    )
