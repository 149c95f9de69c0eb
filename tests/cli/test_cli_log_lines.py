"""Log records as lines: JSON or text, one line each whatever they hold, and nothing that a defect says."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from hypothesis import given, strategies as st

from service.cli.log_lines import MAX_LINE_BYTES
from service.cli.logs import LateFormatter

SECRET = "123456.789"
# C0 and C1 controls, DEL, and what some terminals and editors take for the end of a line.
HOSTILE = "a\x1b[31mred\x07\r\nnext\x7f\x85\x9b\u2028\u2029\u202eend"
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]")
HEAD = ["timestamp", "level", "logger", "event", "pid"]


class Log:
    """A logger of its own and what it wrote, in both forms."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self._streams = {form: io.StringIO() for form in ("json", "text")}
        for form, stream in self._streams.items():
            handler = logging.StreamHandler(stream)
            handler.setFormatter(LateFormatter(form))  # type: ignore[arg-type]  # mypy does not keep the two words
            self.logger.addHandler(handler)

    def written(self, form: Literal["json", "text"] = "json") -> str:
        """The only line so far, without its end."""
        text = self._streams[form].getvalue()
        assert text.endswith("\n")
        assert CONTROLS.search(text[:-1]) is None
        return text[:-1]

    def fields(self) -> dict[str, Any]:
        """The line in JSON, read again."""
        found: dict[str, Any] = json.loads(self.written())
        return found

    def close(self) -> None:
        for handler in list(self.logger.handlers):
            self.logger.removeHandler(handler)
        self.logger.propagate = True
        self.logger.setLevel(logging.NOTSET)


@pytest.fixture
def log() -> Iterator[Log]:
    """The logger ``logitd.test``."""
    made = Log("logitd.test")
    yield made
    made.close()


def test_a_line_is_a_json_object(log: Log) -> None:
    """Time in UTC, level, logger, event and process come first, then what the call gave, in its order."""
    log.logger.warning("it was told", extra={"request_id": "me", "zebra": 1, "apple": 2.5, "flag": True, "nil": None})

    fields = log.fields()
    assert list(fields) == [*HEAD, "request_id", "zebra", "apple", "flag", "nil"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", fields.pop("timestamp"))
    assert fields == {
        "level": "warning",
        "logger": "logitd.test",
        "event": "it was told",
        "pid": os.getpid(),
        "request_id": "me",
        "zebra": 1,
        "apple": 2.5,
        "flag": True,
        "nil": None,
    }


def test_the_text_form_is_for_reading(log: Log) -> None:
    """The same in one line: plain words as they are, all else in quotes, letters of any language readable."""
    log.logger.error("it was told", extra={"model": "iris", "reason": "größer ist besser", "n": 3})

    line = log.written("text").partition(" ")[2]
    assert line == f"error    logitd.test[{os.getpid()}] it was told model=iris reason='größer ist besser' n=3"


def test_hostile_text_stays_one_line(log: Log) -> None:
    """Line ends, ANSI escapes and other controls are escaped in both forms, in the event as in a field."""
    log.logger.info("%s", HOSTILE, extra={"reason": HOSTILE})

    assert log.fields()["reason"] == log.fields()["event"] == HOSTILE
    assert "\\x1b[31mred" in log.written("text")


@given(texts=st.lists(st.text(max_size=3000), max_size=12), event=st.text(max_size=3000))
def test_no_line_is_longer_than_a_pipe_writes_at_once(texts: list[str], event: str) -> None:
    """Whatever the fields hold, the line has at most 4095 bytes, is JSON, and keeps its head."""
    log = Log("logitd.test.any")
    try:
        log.logger.info("%s", event, extra={f"field_{n}": text for n, text in enumerate(texts)})

        assert list(log.fields())[: len(HEAD)] == HEAD
        for form in ("json", "text"):
            assert len(log.written(form).encode(errors="backslashreplace")) <= MAX_LINE_BYTES
    finally:
        log.close()


def test_a_text_is_cut_until_its_line_fits(log: Log) -> None:
    """Up to 2000 characters stay, and fewer where each is written as six."""
    log.logger.info("it was told", extra={"plain": "x" * 3000})
    assert log.fields()["plain"] == "x" * 2000 + "…"

    again = Log("logitd.test.again")
    again.logger.info("it was told", extra={"escaped": "\u2028" * 800})
    again.close()
    assert again.fields()["escaped"] == "\u2028" * 400 + "…"
    assert len(again.written()) <= 4095


def test_an_escaped_field_too_many_leaves_the_head(log: Log) -> None:
    """When even short texts do not fit, the line still says who spoke and what."""
    log.logger.info("it was told", extra={f"field_{n}": "\U0001f600" * 50 for n in range(40)})

    assert list(log.fields()) == HEAD


def test_what_is_no_number_or_text_is_told_by_its_type(log: Log) -> None:
    """Objects may hold anything, NaN is no JSON, and a number from outside may have thousands of digits."""
    given = {"rows": [[float(SECRET)]], "nan": float("nan"), "inf": float("inf"), "huge": 10**4000}

    log.logger.info("it was told", extra=given)

    fields = log.fields()
    assert {name: fields[name] for name in given} == {"rows": "list", "nan": "float", "inf": "float", "huge": "int"}


def fail_plainly() -> None:
    raise ValueError(f"the cell {SECRET}")


def fail_after_another() -> None:
    try:
        fail_plainly()
    except ValueError as error:
        error.add_note(SECRET)
        raise TypeError(SECRET) from error


def fail_in_the_system() -> None:
    raise OSError(28, SECRET, SECRET)


def fail_deeply(depth: int = 100) -> None:
    if not depth:
        raise KeyError(SECRET)
    fail_deeply(depth - 1)


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (fail_plainly, r"ValueError at \S+/test_cli_log_lines.py:\d+ \S+ > \S+:\d+ fail_plainly"),
        (fail_after_another, r"TypeError at .+ fail_after_another, after ValueError at .+ > \S+:\d+ fail_plainly"),
        (fail_in_the_system, r"OSError \(No space left on device\) at .+ fail_in_the_system"),
        (fail_deeply, r"KeyError at \S+:\d+ fail_deeply( > \S+:\d+ fail_deeply){14}"),
    ],
)
def test_a_defect_is_told_without_its_words(log: Log, fail: Callable[[], None], told: str) -> None:
    """Class and places of an exception and of its causes stand in one field; messages and notes nowhere."""
    try:
        fail()
    except Exception:
        log.logger.exception("a defect", extra={"request_id": "me"})

    assert list(log.fields()) == [*HEAD, "request_id", "exception"]
    assert re.fullmatch(told, log.fields()["exception"])
    assert SECRET not in log.written() + log.written("text")


def test_a_key_is_blotted_out(log: Log) -> None:
    """What looks like a key does not reach the log, whoever wrote it where."""
    key = "lgt_" + "aB3-_" * 8

    log.logger.info("given %s", key, extra={"reason": f"with {key}, as told"})

    assert log.fields()["reason"] == "with lgt_***, as told"
    assert key not in log.written() + log.written("text")


def test_asyncio_does_not_write_out_objects() -> None:
    """Of what asyncio says the sentence stays; the objects that it writes after it hold requests."""
    log = Log("asyncio")
    try:
        log.logger.error("Task exception was never retrieved\nfuture: <Task exception=ValueError(%r)>", SECRET)

        assert log.fields()["event"] == "Task exception was never retrieved"
        assert SECRET not in log.written("text")
    finally:
        log.close()
