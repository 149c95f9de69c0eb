"""``Tally``: the bytes of one request as it arrives, where they are too many, and for how long they are waited for."""

from __future__ import annotations

from enum import Enum

from service.web.errors import TooManyChunks
from service.web.request_head import MOST_HEADER_BYTES, MOST_URL_BYTES, headers_too_large, uri_too_long

# Of a chunk its size and two ends of lines; extensions and trailers are passed over, and may have as much as a head.
MOST_CHUNKS, BYTES_AROUND_A_CHUNK = 1 << 16, 16

# From the first byte of a head to its last; from there to the last of the body, and a second more for each KiB of it.
HEAD_S, BODY_S, LONGEST_BODY_S = 5.0, 10.0, 120.0
BYTES_A_SECOND = 1024


class Phase(Enum):
    """Where a connection is in what it receives; LAST: it has had its last answer, and what it sends is passed over."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    LAST = "last"


class Tally:
    """Counts for one connection.

    n_fed: bytes of the piece that is being parsed.  The piece in which a head or a body begins may hold the end of
    what was before; it does not count, and is bounded by being one piece.
    """

    def __init__(self) -> None:
        self.n_fed = self.n_chunks = self.body_bytes = 0
        self._head_bytes = self._overhead = 0

    def begin_head(self) -> None:
        """A request's first byte is there."""
        self._head_bytes = -self.n_fed

    def begin_body(self) -> None:
        """Its head is complete."""
        self.n_chunks = self.body_bytes = 0
        self._overhead = -self.n_fed

    def add_body(self, n_bytes: int) -> None:
        """So many bytes are its body's."""
        self.body_bytes += n_bytes
        self._overhead -= n_bytes

    def add_chunk(self) -> None:
        """Another chunk begins, the empty last one perhaps; raises TooManyChunks."""
        self.n_chunks += 1
        if self.n_chunks > MOST_CHUNKS + 1:
            raise TooManyChunks(f"the body may have at most {MOST_CHUNKS} chunks")

    def check_head(self, url_bytes: int) -> None:
        """The piece is parsed, and the head is not complete; raises UriTooLong or HeadersTooLarge."""
        self._head_bytes += self.n_fed
        if url_bytes > MOST_URL_BYTES:
            raise uri_too_long()
        if self._head_bytes > MOST_URL_BYTES + MOST_HEADER_BYTES:
            raise headers_too_large()

    def check_body(self) -> None:
        """The piece is parsed, and the body is not complete; raises TooManyChunks for what is not body."""
        self._overhead += self.n_fed
        if self._overhead > MOST_HEADER_BYTES + self.n_chunks * BYTES_AROUND_A_CHUNK:
            raise TooManyChunks("there are too many bytes around the chunks of the body")

    def patience_s(self, phase: Phase) -> float:
        """Seconds that a head may take, or the body so far."""
        if phase is Phase.HEAD:
            return HEAD_S
        return min(BODY_S + self.body_bytes / BYTES_A_SECOND, LONGEST_BODY_S)
