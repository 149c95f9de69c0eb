"""One log record as one line: a JSON object, or text for a terminal.

The fields are ``timestamp level logger event pid``, then those that the call gave by ``extra``, ``request_id`` and
``trace_id`` among them, then ``exception``.  No line holds a character that steers a terminal, or the words of an exception.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import TypeAlias

from structlog.processors import TimeStamper
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, WrappedLogger

from service.cli.logs import Form
from service.serving.defects import in_short
from service.web.keys.key_file import PREFIX

Fields: TypeAlias = dict[str, object]

# What the system writes to a pipe in one piece (PIPE_BUF): lines of several workers never mix.
MAX_LINE_BYTES = 4095
# Of each text; shorter and shorter until the line fits.
LENGTHS = (2000, 400, 40)
# Beyond it a number is not one of ours, and may be as long as it likes.
LARGEST = 2**63
HEAD = ("timestamp", "level", "logger", "event", "pid")
# Nobody should write a key into a reason, but somebody will.
KEY = re.compile(rf"{PREFIX}[A-Za-z0-9_-]+")
HIDDEN = f"{PREFIX}***"
PLAIN = re.compile(r"[!-~]+")
# After these asyncio writes out objects, and what they hold.
OBJECTS = re.compile(r"[\n<({\[]")


def line_formatter(form: Form) -> logging.Formatter:
    """The formatter of all log records, those of other packages included."""
    render = json_line if form == "json" else text_line

    def line(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
        return fitted(dict(fields), render)

    timestamp = TimeStamper(fmt="iso", utc=True)
    return ProcessorFormatter(
        foreign_pre_chain=[add_log_level, add_logger_name, ExtraAdder(), timestamp], processors=[told_fields, line]
    )


def told_fields(_logger: WrappedLogger, _method: str, found: EventDict) -> EventDict:
    """The fields of a line, in their order."""
    record, error = found.pop("_record"), found.pop("exc_info", None)
    for name in ("_from_structlog", "stack_info", "color_message"):
        found.pop(name, None)
    if record.name == "asyncio":
        found["event"] = OBJECTS.split(found["event"])[0].strip()
    head = {**found, "pid": record.process}
    fields = {name: head[name] for name in HEAD} | {name: found[name] for name in found if name not in HEAD}
    if error:
        fields["exception"] = in_short(error[1])
    return fields


def fitted(fields: Fields, render: Callable[[Fields], str]) -> str:
    """The line, its texts cut until it has at most ``MAX_LINE_BYTES``; at last it is the head alone."""
    head = {name: fields[name] for name in HEAD}
    for told, longest in (*((fields, length) for length in LENGTHS), (head, LENGTHS[-1])):
        line = KEY.sub(HIDDEN, render({name: harmless(value, longest) for name, value in told.items()}))
        if len(line.encode(errors="backslashreplace")) <= MAX_LINE_BYTES:
            break
    return line


def harmless(value: object, longest: int) -> object:
    """Numbers and short texts as they are, long texts cut; of anything else no more than its type."""
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}…"
    is_number = isinstance(value, (int, float)) and abs(value) < LARGEST
    return value if is_number or value is None else type(value).__name__


def json_line(fields: Fields) -> str:
    """A JSON object in ASCII."""
    return json.dumps(fields, separators=(",", ":"))


def text_line(fields: Fields) -> str:
    """Time, level, logger and event, then ``name=value``; what cannot be printed is escaped as in Python."""
    timestamp, level, logger, event, pid = (fields[name] for name in HEAD)
    rest = "".join(f" {name}={shown(value)}" for name, value in fields.items() if name not in HEAD)
    return f"{timestamp} {level:<8} {logger}[{pid}] {repr(event)[1:-1]}{rest}"


def shown(value: object) -> str:
    """A value after its name: quoted when it is no plain word."""
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else repr(value)
