"""Answers as they came, read without leniency."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11
import httptools

# h11 forgives line ends without CR, and lengths that are told twice.
HEAD = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [\x20-\x7e]*\r\n(?:[!-9;-~]+: ?[\x20-\x7e\x80-\xff]*\r\n)*\r\n")
NAME = re.compile(rb"\r\n([!-9;-~]+):")
# Whether the method of what is refused was known depends on where it broke off, and on the pieces it came in.
LAST_WITHOUT_BODY = re.compile(
    rb"HTTP/1\.1 4[0-9]{2} [^\r]*\r\n(?:[^\r]+\r\n)*?connection: close\r\n(?:[^\r]+\r\n)*\r\n"
)
PROBLEM_JSON = "application/problem+json"


class MalformedAnswer(Exception):
    """What came is not HTTP; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_to_head: bool = False

    @property
    def slug(self) -> str:
        """The last part of a problem's type, or nothing."""
        problem = self.problem()
        return "" if problem is None else str(problem.get("type", "")).rpartition("/")[2]

    def problem(self) -> dict[str, Any] | None:
        """The members of a problem, or None for what is none."""
        if self.headers.get("content-type") != PROBLEM_JSON:
            return None
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


def answers_in(data: bytes, sent: bytes, *, is_cut: bool) -> list[Answer]:
    """The answers, interim ones left out; MalformedAnswer for anything else.

    sent: the requests, which decide what answers have no body.  is_cut: the connection was reset, so that the last
    answer may be incomplete.
    """
    methods = _methods(sent) if b"HEAD" in sent else []
    found: list[Answer] = []
    while data:
        method = methods[len(found)] if len(found) < len(methods) else b"GET"
        if methods and LAST_WITHOUT_BODY.fullmatch(data):
            method = b"HEAD"
        answer, data = _first(data, method, is_cut=is_cut)
        if answer is None:
            break
        found.append(answer)
    return found


def _first(data: bytes, method: bytes, *, is_cut: bool) -> tuple[Answer | None, bytes]:
    """The first answer and what follows it; None for one that was cut."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"fuzz")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    reader.receive_data(b"")
    head: h11.Response | None = None
    body = b""
    try:
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
    except h11.RemoteProtocolError as error:
        if is_cut and "incomplete" in str(error):
            return None, b""
        raise MalformedAnswer(str(error)) from None
    assert head is not None
    _check_lines(data)
    return _answer(head, body, is_to_head=method == b"HEAD"), reader.trailing_data[0]


def _check_lines(data: bytes) -> None:
    head = HEAD.match(data)
    if head is None:
        raise MalformedAnswer("the head is not lines of printable characters that end in CR LF")
    names = [name.lower() for name in NAME.findall(head[0])]
    if len(set(names)) < len(names):
        raise MalformedAnswer("a header is given twice")


def _answer(head: h11.Response, body: bytes, *, is_to_head: bool) -> Answer:
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    if "content-length" not in headers and head.status_code != 204:
        raise MalformedAnswer("the length of the body is not told")
    return Answer(head.status_code, headers, body, is_to_head)


class _Methods:
    """Collects the methods of the requests that a parser of the service's kind finds."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        """Called by the parser: a request of a method that is not known yet, and may never be."""
        self.found.append(b"GET")

    def on_url(self, _: bytes) -> None:
        """Called by the parser, which knows the method by now."""
        self.found[-1] = self.parser.get_method()


def _methods(sent: bytes) -> list[bytes]:
    methods = _Methods()
    with suppress(httptools.HttpParserError):
        methods.parser.feed_data(sent)
    return methods.found
