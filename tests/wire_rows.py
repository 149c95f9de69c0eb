"""Requests whose framing is odd, and the answer that each gets: bodies, their lengths, chunks and trailers.

Sources: RFC 9112 sections 6 and 7, RFC 9110 section 8.6, and the attacks that are known as request smuggling.
"""

from __future__ import annotations

from dataclasses import dataclass

from raw_http import BODY, HOST

MIB = 1 << 20
# Stands for the path and query of whatever is asked.
TARGET_MARK = b"/TARGET"
PREDICTIONS = ("/predict?model=abc", "/predict_proba?model=abc")
ROUTES = (*PREDICTIONS, "/train")
REFUSED = "400 invalid-request"
TOO_LONG = "413 payload-too-large"
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(BODY)}"
PLAIN = b"9\r\n" + BODY + b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Row:
    """Bytes, the answers to them that are right ("status slug", or a status with any slug), and whether they are the
    last on their connection (None: either).  is_endless: they are the beginning of what never comes to an end."""

    name: str
    data: bytes
    says: tuple[str, ...] = (REFUSED,)
    closes: bool | None = True
    is_endless: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def statuses(self) -> dict[int, str | None]:
        return {int(one[:3]): one[4:] or None for one in self.says}

    @property
    def routes(self) -> tuple[str, ...]:
        """Where it is sent: what is not refused for its framing would be a process each time for ``/train``."""
        if TARGET_MARK not in self.data:
            return PREDICTIONS[:1]
        return PREDICTIONS if self.closes is False or 200 in self.statuses else ROUTES


def head(first: str, *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (first, *lines, "")).encode("latin-1")


def post(*lines: str, body: bytes = BODY) -> bytes:
    return head("POST /TARGET HTTP/1.1", f"Host: {HOST}", *lines) + body


def bad(name: str, data: bytes, *says: str) -> Row:
    return Row(name, data, says or (REFUSED,))


def fine(name: str, data: bytes) -> Row:
    return Row(name, data, ("200",), closes=False)


def either(name: str, data: bytes, *says: str) -> Row:
    """What one careful server takes and another refuses."""
    return Row(name, data, ("200", *(says or (REFUSED,))), closes=None)


def endless(name: str, data: bytes, *says: str) -> Row:
    return Row(name, data, says, is_endless=True)


def length(value: str, *says: str) -> Row:
    return bad(f"H8 length {ascii(value)[:30]}", post(f"Content-Length: {value}"), *says)


def coding(value: str) -> Row:
    return bad(f"H9 coding {value!a}", post(f"Transfer-Encoding: {value}", body=PLAIN))


def chunks(name: str, body: bytes, *says: str) -> Row:
    return bad(f"H10 {name}", post(CHUNKED, body=body), *says)


def sized(size: bytes, *says: str) -> Row:
    return chunks(f"size {ascii(size)[1:30]}", size + b"\r\n" + BODY + b"\r\n0\r\n\r\n", *says)


def trailed(name: str, trailers: bytes, *says: str) -> Row:
    return bad(f"trailer {name}", post(CHUNKED, body=PLAIN[:-2] + trailers), *says)


BOTH = [
    bad("H7 length, then chunked", post(LENGTH, CHUNKED, body=PLAIN)),
    bad("H7 chunked, then length", post(CHUNKED, LENGTH, body=PLAIN)),
    bad("H7 length 0 with chunked", post("Content-Length: 0", CHUNKED, body=PLAIN)),
    bad("H7 length of the chunks", post(f"Content-Length: {len(PLAIN)}", CHUNKED, body=PLAIN)),
    bad("H7 length with an unknown coding", post(LENGTH, "Transfer-Encoding: xchunked")),
    bad("H7 length with identity", post(LENGTH, "Transfer-Encoding: identity")),
    bad("H7 length with an empty coding", post(LENGTH, "Transfer-Encoding:")),
]

LENGTHS = [
    *(length(text) for text in ("+9", "-9", "-0", "0x9", "09", "009", "9,9", "9, 9", "9 9", "9;", "9.0", "9e0", "9_0")),
    *(length(text) for text in ("", " ", "nine", "\xb2", "9\xa0", '"9"', "NaN", "\t")),
    *(length(str(number)) for number in (2**64, 2**64 + 9, 10**30)),
    *(length(str(number), REFUSED, TOO_LONG) for number in (2**31, 2**32 + 9, 2**63, 2**64 - 1)),
    length("9" * 5000, REFUSED, TOO_LONG),
    bad("H8 the same length twice", post(LENGTH, LENGTH)),
    bad("H8 two lengths", post(LENGTH, "Content-Length: 5")),
    bad("H8 two lengths in two spellings", post("content-length: 0", "CONTENT-LENGTH: 9")),
    bad("H8 two lengths apart", post("Content-Length: 5", "Accept: */*", LENGTH)),
    bad("H8 a length on two lines", post("Content-Length:\r\n 9")),
    fine("a length between spaces and tabs", post("Content-Length: \t9 \t")),
    fine("a length without a space", post("Content-Length:9")),
    fine("a name that looks like a length", post("Content_Length: 5", LENGTH)),
    bad("H4 announced too long, not sent", post("Content-Length: 40000000", body=b""), TOO_LONG),
    bad("H30 too long, with Expect", post("Content-Length: 40000000", "Expect: 100-continue", body=b""), TOO_LONG),
    Row("H1 nothing by length", post("Content-Length: 0", body=b""), ("400 invalid-json",), closes=False),
    Row("H1 nothing without length", post(body=b""), ("400 invalid-json",), closes=False),
    Row("H1 nothing in chunks", post(CHUNKED, body=b"0\r\n\r\n"), ("400 invalid-json",), closes=False),
]

CODINGS = [
    *(coding(text) for text in ("gzip", "identity", "xchunked", "chunkedx", "chunk", "", '"chunked"', "\xa0chunked")),
    *(coding(text) for text in ("chunked, identity", "identity, chunked", "gzip, chunked", "chunked, gzip")),
    *(coding(text) for text in ("chunked, chunked", "chunked,", ",chunked", "chunked;q=1", "chunked chunked", "\xe9")),
    *(coding(text) for text in ("\x0bchunked", "\x0cchunked", "chunked\x00", "chu\x00nked", "chunked\r", "\rchunked")),
    bad("H9 chunked on two lines", post(CHUNKED, CHUNKED, body=PLAIN)),
    bad("H9 chunked, then identity", post(CHUNKED, "Transfer-Encoding: identity", body=PLAIN)),
    bad("H9 identity, then chunked", post("Transfer-Encoding: identity", CHUNKED, body=PLAIN)),
    bad("H9 chunked folded", post("Transfer-Encoding:\r\n chunked", body=PLAIN)),
    bad("H9 space before the colon", post("Transfer-Encoding : chunked", body=PLAIN)),
    bad("H9 space before the colon, with a length", post("Transfer-Encoding : chunked", LENGTH)),
    bad("H9 tab before the colon", post("Transfer-Encoding\t: chunked", body=PLAIN)),
    bad("H9 space before the name", post("Accept: */*", " Transfer-Encoding: chunked", body=PLAIN)),
    bad("H9 bare LF before it", post("Accept: x\nTransfer-Encoding: chunked", LENGTH)),
    bad("H9 bare CR before it", post("Accept: x\rTransfer-Encoding: chunked", LENGTH)),
    bad("H9 in HTTP/1.0", head("POST /TARGET HTTP/1.0", f"Host: {HOST}", CHUNKED) + PLAIN),
    fine("chunked", post(CHUNKED, body=PLAIN)),
    fine("chunked in capitals", post("TRANSFER-ENCODING: CHUNKED", body=PLAIN)),
    fine("chunked without a space", post("Transfer-Encoding:chunked", body=PLAIN)),
    fine("a name that looks like a coding", post("Transfer_Encoding: chunked", LENGTH)),
]

HUGE = ("400 invalid-request", "413", "431 headers-too-large")
CHUNKS = [
    *(sized(text) for text in (b"-9", b"+9", b" 9", b"9 ", b"\t9", b"9\t", b"0x9", b"9h", b"g", b"9_", b"9.0", b"9,")),
    *(sized(text) for text in (b"", b";", b";a=b", b"9;", b'9;a="b', b"9;a b", b"9 9", b"\xb2", b"\xef\xbc\x99")),
    *(
        sized(text)
        for text in (b"9\0", b"9;a\0b", b"9;a=\0", b"9;a\rb", b"9;\r", b"9\r", b"9;a\nb", b"9;\n", b"9;a=\x7f")
    ),
    *(sized(text) for text in (b"F" * 17, b"1" + b"0" * 16 + b"9", b"1" + b"0" * 15 + b"9")),
    # What the parser lets pass is in no doubt about the size.
    either("H10 an extension without name", post(CHUNKED, body=PLAIN.replace(b"9\r", b"9;=\r"))),
    sized(b"0" * 2 * MIB + b"9", *HUGE),
    sized(b"9;" + b"a" * 2 * MIB, *HUGE),
    sized(b"9;a=" + b"b" * 2 * MIB, *HUGE),
    sized(b'9;a="' + b"b" * 2 * MIB + b'"', *HUGE),
    endless("H10 a size that never ends", post(CHUNKED, body=b"0" * 2 * MIB), *HUGE),
    endless("H10 an extension that never ends", post(CHUNKED, body=b"9;" + b"a" * 2 * MIB), *HUGE),
    chunks("a bare LF after a size", b"9\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("a bare LF after a chunk", b"9\r\n" + BODY + b"\n0\r\n\r\n"),
    chunks("a bare LF after the last size", b"9\r\n" + BODY + b"\r\n0\n\r\n"),
    chunks("a bare LF at the end", b"9\r\n" + BODY + b"\r\n0\r\n\n"),
    chunks("bare LFs only", b"9\n" + BODY + b"\n0\n\n"),
    chunks("a bare CR after a size", b"9\r" + BODY + b"\r\n0\r\n\r\n"),
    chunks("a bare CR after a chunk", b"9\r\n" + BODY + b"\r0\r\n\r\n"),
    chunks("a chunk longer than its size", b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("a chunk shorter than its size", b"a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("no end of line after a chunk", b"9\r\n" + BODY + b"0\r\n\r\n"),
    chunks("no chunks at all", BODY),
    fine("an extension", post(CHUNKED, body=PLAIN.replace(b"9\r", b"9;a=b\r"))),
    fine("two extensions, one quoted", post(CHUNKED, body=PLAIN.replace(b"9\r", b'9;a;b="x;y"\r'))),
    fine("a size with zeros in front", post(CHUNKED, body=PLAIN.replace(b"9\r", b"0009\r"))),
    fine("many chunks", post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n")),
    fine("a last chunk of several zeros", post(CHUNKED, body=PLAIN.replace(b"0\r", b"000\r"))),
]

TRAILERS = [
    fine("trailers", post(CHUNKED, body=PLAIN[:-2] + b"Expires: never\r\nX-Sum: 1\r\n\r\n")),
    trailed("folded", b"X-Sum: 1\r\n 2\r\n\r\n"),
    trailed("with a space before the colon", b"X-Sum : 1\r\n\r\n"),
    trailed("without a colon", b"X-Sum\r\n\r\n"),
    trailed("without a name", b": 1\r\n\r\n"),
    trailed("with NUL", b"X-Sum: 1\0\r\n\r\n"),
    trailed("after a bare LF", b"X-Sum: 1\nX-Other: 2\r\n\r\n"),
    trailed("that is a request", b"GET /livez HTTP/1.1\r\n\r\n"),
    trailed("of 100 KB", b"X-Sum: " + b"1" * 100_000 + b"\r\n\r\n", *HUGE),
    endless("a trailer that never ends", post(CHUNKED, body=PLAIN[:-2] + b"X-Sum: " + b"1" * 2 * MIB), *HUGE),
    endless("trailers without end", post(CHUNKED, body=PLAIN[:-2] + b"X-Sum: 1\r\n" * 200_000), *HUGE),
    trailed("101 times", b"X-Sum: 1\r\n" * 101 + b"\r\n", *HUGE),
]

FRAMING = [*BOTH, *LENGTHS, *CODINGS, *CHUNKS, *TRAILERS]
