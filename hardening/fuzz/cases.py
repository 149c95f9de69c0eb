"""``Case``: bytes for one connection, and how the connection ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

# Planted where values stand, never where names do: a refusal may quote a name, a value it may not.
WORD, NUMBER = "Zq7planted", "31337.7331"
MARKERS = (WORD.encode(), NUMBER.encode())
BYTES, GRAMMAR, CONTRACT = "bytes", "grammar", "contract"
HOST = "127.0.0.1"
# Requests of a class before its memory is measured, and those over which it is.
WARM_UP, REPEATS = 25, 100
BATCH = WARM_UP + REPEATS


class Ending(StrEnum):
    """What the client does once all is sent.

    KEEP: the bytes are one whole request; it waits for one answer and sends the next case on the same connection.
    SHUT: it says that no more will come, and reads all that is answered until the service closes.
    CLOSE, RESET: it leaves without reading, in good order or not.
    """

    KEEP = "keep"
    SHUT = "shut"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent: ``pieces`` by one write each.

    part, kind: which of the three parts made it, and which class of input it belongs to.
    """

    part: str
    kind: str
    pieces: tuple[bytes, ...] = field(repr=False)
    ending: Ending = Ending.KEEP

    @property
    def data(self) -> bytes:
        """All bytes."""
        return b"".join(self.pieces)

    @property
    def trains(self) -> bool:
        """Whether the answer may have to wait for a training."""
        return b"/train" in self.pieces[0]

    @property
    def names_are_values(self) -> bool:
        """Whether a value may stand where names do: bytes were moved about, or the first line of CSV holds values."""
        return self.part == BYTES or b"text/csv" in self.data

    def as_json(self) -> dict[str, Any]:
        """The case for a file, bytes as Latin-1."""
        pieces = [piece.decode("latin-1") for piece in self.pieces]
        return {"part": self.part, "kind": self.kind, "ending": self.ending, "pieces": pieces}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The case that ``as_json`` wrote."""
        pieces = tuple(piece.encode("latin-1") for piece in value["pieces"])
        return cls(value["part"], value["kind"], pieces, Ending(value["ending"]))


@dataclass(frozen=True, slots=True)
class Request:
    """One request in its parts, well framed by ``wire``."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def wire(self) -> bytes:
        """The request as HTTP/1.1, with the length of its body."""
        first = f"{self.method} {self.target} HTTP/1.1\r\n".encode(errors="surrogatepass")
        lines = [f"Host: {HOST}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}"] if self.body or self.method in {"POST", "PUT"} else []
        return first + "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body
