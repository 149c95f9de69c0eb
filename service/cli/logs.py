"""Where log lines go, and what becomes one.

``log_lines`` writes them, which leans on structlog.  It is imported when the first line is due, or by ``load``: a
supervisor that has nothing to tell is a third of its size without.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, TypeAlias

from service.cli.line_writer import LineWriter
from service.serving.defects import tell_warnings
from service.settings import Settings

Form: TypeAlias = Literal["json", "text"]

log = logging.getLogger("logitd.process")


class LateFormatter(logging.Formatter):
    """Formats records as ``log_lines`` has it."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    @cached_property
    def _lines(self) -> logging.Formatter:
        with _left_out("rich"):
            from service.cli.log_lines import line_formatter  # noqa: PLC0415 — the module's docstring says why

        return line_formatter(self._form)

    def load(self) -> None:
        """Import now what the first line would wait for."""
        _ = self._lines

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        try:
            lines = self._lines
        except ImportError:
            # A broken installation must not end without a word.
            return f"{record.levelname} {record.name}: {record.getMessage()} (structlog is not installed)"
        return lines.format(record)


@contextmanager
def _left_out(package: str) -> Iterator[None]:
    """Import without a package that others take when they find it: for structlog's colours it costs 60 ms and 4 MB."""
    is_here = package in sys.modules
    if not is_here:
        sys.modules[package] = None  # type: ignore[assignment]  # how the import system says: none
    try:
        yield
    finally:
        if not is_here:
            del sys.modules[package]


def log_to_stderr(chosen: Settings) -> LateFormatter:
    """Log to standard error from the chosen level on, and whatever Python itself would write there, in one form.

    Audit lines know no level.  Of uvicorn, which tells of every step of its own, only what is out of order.
    """
    is_text = sys.stderr.isatty() if chosen.log_format == "auto" else chosen.log_format == "text"
    formatter = LateFormatter("text" if is_text else "json")
    handler = LineWriter()
    handler.setFormatter(formatter)
    logging.basicConfig(level=chosen.log_level.upper(), handlers=[handler])
    # A log that cannot be written, or a line that cannot be formatted, would be told of with its arguments.
    logging.raiseExceptions = False
    logging.getLogger("logitd.audit").setLevel(logging.INFO)
    if chosen.log_level != "debug":
        logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    log_what_python_says()
    return formatter


def log_what_python_says() -> None:
    """Make log lines of warnings, and of exceptions that end the process or a thread, or that nobody can catch."""

    def end(*error: Any) -> None:
        log.critical("the process ends by a defect", exc_info=error)

    def end_thread(lost: threading.ExceptHookArgs) -> None:
        log.error("a thread ended by a defect", exc_info=lost.exc_value)

    def give_up(lost: sys.UnraisableHookArgs) -> None:
        log.error("a defect where nobody can catch it", exc_info=lost.exc_value)

    tell_warnings(lambda warning: log.warning("a warning by Python", extra={"warning": warning}))
    sys.excepthook = end
    threading.excepthook = end_thread
    sys.unraisablehook = give_up
