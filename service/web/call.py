"""``Call`` and ``Answer``: a request for predictions, and what is said to it, whichever way it came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.datastructures import Headers

from service.store.names import ModelRef


class Head:
    """Header lines that many answers share, in the two forms that are needed: pairs, and bytes as on the wire."""

    __slots__ = ("pairs", "wire")

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self.pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.wire = b"".join(b"%b: %b\r\n" % pair for pair in self.pairs)


class Asks(NamedTuple):
    """What the head of a request for predictions asks for.

    is_proba: probabilities, not labels.  is_bare: nothing but these.  is_csv, is_gzip: how the body is written.
    timeout_s: seconds from the head on for which the client waits.
    """

    is_proba: bool
    ref: ModelRef
    threshold: float | None
    explain: bool
    interval: float | None
    is_bare: bool
    is_csv: bool
    is_gzip: bool
    timeout_s: float | None = None


class Call(NamedTuple):
    """A request to one of the paths of predictions.

    query: without the question mark.  headers: by lower-case name, the first of each.  body: as it was sent.
    began: when the head was there, by ``perf_counter_ns``.
    root_path: what a proxy stripped off, in front of links.  asks: what path, query and headers mean, where that is
    known already.
    """

    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    began: int
    root_path: str = ""
    asks: Asks | None = None

    def __repr__(self) -> str:
        # Its headers may hold a key, and its body anything.
        return f"Call({self.path!r}, request_id={self.request_id!r})"


class Predicted(NamedTuple):
    """What an answer says of its work: who answered, the probability of each row's class, and nanoseconds by phase."""

    model: str
    version: int
    certainties: Sequence[float]
    parse: int
    predict: int
    encode: int


class Answer(NamedTuple):
    """Status, headers, body; ``predicted`` is None for a refusal, whose ``slug`` names the error.

    closes: the connection cannot be used again.  own: header lines that no other answer shares.
    """

    status: int
    head: Head
    body: bytes
    predicted: Predicted | None = None
    slug: str = ""
    closes: bool = False
    own: bytes = b""


def pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Header lines as on the wire, one by one."""
    split = (line.partition(b": ") for line in lines.splitlines())
    return [(name, value) for name, _, value in split]


def joined(headers: Mapping[str, str], name: str) -> str | None:
    """A header; two of one name make a list, as RFC 9110 has it and as the lane writes them, and a list is no key."""
    if isinstance(headers, Headers):
        return ", ".join(headers.getlist(name)) if name in headers else None
    return headers.get(name)
