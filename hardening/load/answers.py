"""HTTP as bytes: a request to send again and again, and the answers in what has been received."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

HOST = "127.0.0.1"
END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"\r\nretry-after: *[1-9][0-9]*\r\n", re.IGNORECASE)
MODEL_VERSION = re.compile(rb"\r\nmodel-version: *([^\r]*)", re.IGNORECASE)
SLUG = re.compile(rb'"type": ?"[^"]*/problems/([a-z0-9-]+)"')
# Of an answer without a length, and of one that has no body by its status.
UNKNOWN, BODILESS = -1, frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was on the wire; ``head`` ends with the empty line."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    @property
    def closes(self) -> bool:
        """Whether it is the last one on its connection."""
        return CLOSES.search(self.head) is not None

    @property
    def model_version(self) -> str:
        """Who answered, such as ``iris/1``; empty when no model did."""
        found = MODEL_VERSION.search(self.head)
        return found[1].decode() if found else ""

    @property
    def label(self) -> str:
        """The status, and for a refusal the slug of its problem: ``200``, ``422 feature-count``."""
        if self.status < 400:
            return str(self.status)
        found = SLUG.search(self.body)
        label = f"{self.status} {found[1].decode()}" if found else f"{self.status} without a slug"
        needs_time = self.status == 503 and not RETRY_AFTER.search(self.head)
        return f"{label}, no Retry-After" if needs_time else label


def take(received: bytearray, *, is_ended: bool = False) -> Answer | None:
    """Take the first answer out of what was received; None as long as it is not whole.

    is_ended: the other side has closed, which ends an answer without a length.
    """
    end = received.find(END_OF_HEAD) + len(END_OF_HEAD)
    if end < len(END_OF_HEAD):
        return None
    length = _length(bytes(received[:end]))
    whole = len(received) if length == UNKNOWN else end + length
    if len(received) < whole or (length == UNKNOWN and not is_ended):
        return None
    answer = Answer(bytes(received[:end]), bytes(received[end:whole]))
    del received[:whole]
    return answer


def _length(head: bytes) -> int:
    if int(head[9:12]) in BODILESS:
        return 0
    found = LENGTH.search(head)
    return int(found[1]) if found else UNKNOWN


def request(
    method: str, target: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({}), host: str = HOST
) -> bytes:
    """A request as bytes, its length announced."""
    lines = {"Host": host, **headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def post(target: str, body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    """A POST of a body of one media type; ``content_encoding="gzip"`` and the like are more headers."""
    more = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return request("POST", target, body, {"Content-Type": kind, **more})
