"""Requests whose head is odd, and the answer that each gets: first line, target, Host, header lines, versions.

Sources: RFC 9112 sections 2 to 5, RFC 9110 sections 5, 7 and 9.
"""

from __future__ import annotations

from raw_http import BODY, HOST
from wire_rows import CHUNKED, LENGTH, MIB, PLAIN, REFUSED, Row, bad, either, endless, fine, head, post

KIB = 1024
URI, HEADERS = "414 uri-too-long", "431 headers-too-large"
ELSEWHERE = (REFUSED, "404 route-not-found")
NOT_HERE = (REFUSED, "404", "405", "501")
START = post(body=b"")[:-2]
VERSION = ("505 http-version-not-supported", REFUSED)


def first(line: str, *more: str, body: bytes = BODY) -> bytes:
    return head(line, f"Host: {HOST}", LENGTH, *more) + body


def target(text: str, *says: str, closes: bool | None = None) -> Row:
    return Row(f"target {ascii(text)[:40]}", first(f"POST {text} HTTP/1.1"), says or (REFUSED,), closes)


def host(*lines: str) -> Row:
    return bad(f"H15 {ascii(lines)[1:-1]}", head("POST /TARGET HTTP/1.1", *lines, LENGTH) + BODY)


def known_host(value: str) -> Row:
    return fine(f"Host {value}", head("POST /TARGET HTTP/1.1", f"Host: {value}", LENGTH) + BODY)


def line(name: str, *lines: str) -> Row:
    return bad(f"H16 {name}", post(*lines, LENGTH))


def version(text: str) -> Row:
    return bad(f"H17 version {text!a}", first(f"POST /TARGET {text}"), *VERSION)


def padded(n_bytes: int) -> str:
    """A target of so many bytes."""
    return "/predict?model=abc&" + "x" * (n_bytes - 19)


SIZES = [
    bad("H11 a target of 100 KB", first(f"POST {padded(100_000)} HTTP/1.1"), URI),
    bad("H11 a target of 8 KiB and a byte", first(f"POST {padded(8 * KIB + 1)} HTTP/1.1"), URI),
    bad("H11 a path of 100 KB", first(f"POST /{'x' * 100_000} HTTP/1.1"), URI),
    endless("H11 a target that never ends", b"POST /" + b"x" * 2 * MIB, URI),
    Row("a target of 8 KiB", first(f"POST {padded(8 * KIB)} HTTP/1.1"), ("422 unknown-field",), closes=False),
    bad("H11 a header of 100 KB", post("X-A: " + "x" * 100_000, LENGTH), HEADERS),
    bad("H11 a header's name of 100 KB", post("X" * 100_000 + ": x", LENGTH), HEADERS),
    endless("H11 a header that never ends", START + b"X-A: " + b"x" * 2 * MIB, HEADERS),
    endless("H11 a header's name that never ends", START + b"x" * 2 * MIB, HEADERS, REFUSED),
    bad("H11 17 KiB in 17 headers", post(*(f"X-{i}: {'x' * KIB}" for i in range(17)), LENGTH), HEADERS),
    bad("H11 101 headers", post(*(f"X-{i}: x" for i in range(99)), LENGTH), HEADERS),
    bad("H11 101 times one header", post(*(["X-A: x"] * 99), LENGTH), HEADERS),
    endless("H11 headers without end", START + b"X-A: x\r\n" * 20_000, HEADERS),
    bad("H40 10 000 ranges", post("Range: bytes=" + ",".join(["0-1"] * 10_000), LENGTH), HEADERS),
    bad("H35 an id of 17 KiB", post("X-Request-Id: " + "x" * 17 * KIB, LENGTH), HEADERS),
    fine("H40 1 000 ranges", post("Range: bytes=" + ",".join(["0-1"] * 1000), LENGTH)),
    fine("H35 an id of 10 KB", post("X-Request-Id: " + "x" * 10_000, LENGTH)),
    fine("100 headers", post(*(f"X-{i}: x" for i in range(98)), LENGTH)),
    fine("a header of 15 KiB", post("X-A: " + "x" * 15 * KIB, LENGTH)),
    endless("a method that never ends", b"A" * 2 * MIB, REFUSED, URI, HEADERS),
    Row("empty lines without end", b"\r\n" * 500_000 + post(LENGTH), ("200", REFUSED, HEADERS), closes=None),
]

ODD_HOSTS = (
    "",
    " ",
    "a@b",
    "h/path",
    "a,b",
    "a b",
    "a\tb",
    "h?x",
    "h#x",
    "h\\x",
    "http://h",
    "[::1",
    "::1",
    "[]",
    "[x]",
)
ODD_PORTS = ("h:x", "h:80x", "h:-1", "h:+80", "h:999999", "h:80:80", "[::1]x", "[::1]:x", ":80", "h:8 0")
ODD_BYTES = ("\xe9", "h\xa0", "<h>", '"h"', "{h}", "h|x", "h^", "h`", "h\x00", "h\x7f", "h\x01")
HOSTS = [
    host(),
    host(f"Host: {HOST}", f"Host: {HOST}"),
    host(f"Host: {HOST}", "Host: other"),
    host(f"Host: {HOST}", "HOST: other"),
    host(f"Host : {HOST}"),
    *(host(f"Host: {value}") for value in (*ODD_HOSTS, *ODD_PORTS, *ODD_BYTES)),
    *(known_host(value) for value in ("h", "h.example", "h_1.example.", "127.0.0.1", "[::1]", "[::1]:80", "h:65535")),
    fine("Host without a space", head("POST /TARGET HTTP/1.1", f"Host:{HOST}", LENGTH) + BODY),
    Row("HTTP/1.0 without Host", head("POST /TARGET HTTP/1.0", LENGTH) + BODY, ("200",), closes=True),
]

LINES = [
    line("folded", "X-A: 1\r\n 2"),
    line("folded by a tab", "X-A: 1\r\n\t2"),
    line("folded to nothing", "X-A: 1\r\n "),
    line("space before the colon", "X-A : 1"),
    line("tab before the colon", "X-A\t: 1"),
    line("space in a name", "X A: 1"),
    line("space before a name", " X-A: 1"),
    line("no colon", "X-A"),
    line("no name", ": 1"),
    line("only a colon", ":"),
    *(line(f"{mark!a} in a value", f"X-A: 1{mark}2") for mark in "\0\x01\x08\x0b\x0c\r\n\x1b\x1f\x7f"),
    *(line(f"{mark!a} in a name", f"X{mark}A: 1") for mark in '\0\x01\x0b\r\n\x7f()<>@,;\\"/[]?={}\xe9'),
    line("NUL at the end of a value", "X-A: 1\0"),
    line("NUL alone", "X-A: \0"),
    line("NUL in a content type", "Content-Type: application/json\0"),
    line("CR before CR LF", "X-A: 1\r"),
    bad("H16 bare LFs only", post(LENGTH).replace(b"\r\n", b"\n")),
    bad("H16 bare LF after the first line", post(LENGTH).replace(b"\r\n", b"\n", 1)),
    bad("H16 bare LF after a header", post("X-A: 1\nX-B: 2", LENGTH)),
    bad("H16 bare LF at the end of the head", post(LENGTH).replace(b"\r\n\r\n", b"\r\n\n")),
    bad("H16 bare LFs at the end of the head", post(LENGTH).replace(b"\r\n\r\n", b"\n\n")),
    bad("H16 bare CRs only", post(LENGTH).replace(b"\r\n", b"\r")),
    bad("H16 folded before the first header", head("POST /TARGET HTTP/1.1", f" Host: {HOST}", LENGTH) + BODY),
    fine("bytes above ASCII in a value", post("X-A: \xe9\xff", LENGTH)),
    # The parser takes spaces there, and no tab.
    fine("white space behind values", post("Transfer-Encoding: chunked  ", "X-Request-Timeout: 60 ", body=PLAIN)),
    fine("white space behind Host", head("POST /TARGET HTTP/1.1", f"Host: {HOST} \t ", LENGTH) + BODY),
    fine("a tab in a value", post("X-A: 1\t2", LENGTH)),
    fine("a value of nothing", post("X-A:", LENGTH)),
    fine("odd but allowed names", post("!#$%&'*+-.^_`|~09aZ: 1", LENGTH)),
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
METHODS = [
    *(
        bad(f"H17 {name}", first(f"{name} /TARGET HTTP/1.1"))
        for name in ("post", "Post", "POSTS", "P OST", "P\0ST", "")
    ),
    Row("H17 an unknown method", first("BREW /TARGET HTTP/1.1"), NOT_HERE, closes=None),
    Row("H17 GET *", head("GET * HTTP/1.1", f"Host: {HOST}"), NOT_HERE, closes=None),
    Row("H17 CONNECT", head("CONNECT h:1 HTTP/1.1", "Host: h:1"), NOT_HERE, closes=None),
    Row("H17 CONNECT to a path", first("CONNECT /TARGET HTTP/1.1"), NOT_HERE, closes=None),
    Row("H17 TRACE", head("TRACE /TARGET HTTP/1.1", f"Host: {HOST}"), NOT_HERE, closes=None),
    bad("H17 the preface of HTTP/2", PREFACE, *VERSION),
    *(version(text) for text in ("HTTP/9.9", "HTTP/2.0", "HTTP/0.9", "HTTP/3", "HTTP/1", "HTTP/1.", "HTTP/1.10")),
    *(
        version(text)
        for text in ("http/1.1", "HTTP/01.1", "HTTP/1,1", "HTTPS/1.1", "HTTP/1.1 ", "HTTP/1.1 x", "ICY/1.1")
    ),
    *(version(text) for text in ("HTTP/ 1.1", "HTTP/1.1\t", "HTTP/-1.1", "HTTP/\xb2.0", "", "HTTP/1.1\0")),
    bad("H17 no version", b"POST /TARGET\r\n\r\n", *VERSION),
    bad("a first line without target", first("POST HTTP/1.1"), *VERSION),
    # RFC 9112 section 3 leaves these two to the server.
    either("two spaces after the method", first("POST  /TARGET HTTP/1.1")),
    either("two spaces before the version", first("POST /TARGET  HTTP/1.1")),
    either("another protocol of the same form", first("POST /TARGET RTSP/1.0"), *VERSION),
    bad("a tab after the method", first("POST\t/TARGET HTTP/1.1")),
    bad("a space before the method", b" " + post(LENGTH)),
    bad("TLS", b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(range(256)) * 2),
    bad("zeros", bytes(1000)),
    bad("SSH", b"SSH-2.0-OpenSSH_9.9\r\n"),
    bad("the line of a proxy", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + post(LENGTH)),
    bad("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    fine("an empty line before the request", b"\r\n" + post(LENGTH)),
]

TARGETS = [
    *(target(text, *ELSEWHERE) for text in ("predict", "?model=abc", "*", "//predict?model=abc", "/predict#x", "#")),
    *(
        target(text, *ELSEWHERE)
        for text in ("/predict?model=abc#x", "/./predict", "/x/../predict", "\\predict", "/predict;x")
    ),
    *(
        target(text, *ELSEWHERE)
        for text in ("/%2e/predict", "/predict%00", "/predict%0d%0aX-A:1", "/predict%", "/predict%zz")
    ),
    *(
        target(text, *ELSEWHERE)
        for text in ("ftp://h/predict", "http://", "http:///predict", "http:/predict", "h:80", "://")
    ),
    *(
        target(text, REFUSED, closes=True)
        for text in ("/pre dict", "/predict\0", "/predict\x01", "/pre\rdict", "/pre\ndict")
    ),
    *(
        target(text, *ELSEWHERE)
        for text in ("/predict\x7f", "/predict\t", "/predict\xe9", "/pr\xc3\xa9dict", "http://[::1/predict")
    ),
    target(f"http://{HOST}/predict?model=abc", "200", *ELSEWHERE),
    target("http://other/predict?model=abc", "200", *ELSEWHERE),
    target("http://a@b/predict?model=abc", *ELSEWHERE),
]

CONNECTIONS = [
    fine(
        "an upgrade to h2c",
        post("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", LENGTH),
    ),
    fine("an upgrade to a websocket", post("Connection: Upgrade", "Upgrade: websocket", LENGTH)),
    fine("an upgrade in chunks", post("Connection: upgrade", "Upgrade: h2c", CHUNKED, body=PLAIN)),
    fine("an upgrade to TLS", post("Connection: Upgrade", "Upgrade: TLS/1.3", LENGTH)),
    fine("an upgrade that Connection does not name", post("Upgrade: h2c", LENGTH)),
    Row("close and keep-alive", post("Connection: close, keep-alive", LENGTH), ("200",), closes=True),
    Row("keep-alive and close", post("Connection: keep-alive, close", LENGTH), ("200",), closes=True),
    Row(
        "close on a line of its own", post("Connection: keep-alive", "Connection: close", LENGTH), ("200",), closes=True
    ),
    Row("close in capitals", post("Connection: CLOSE", LENGTH), ("200",), closes=True),
    fine("a Connection that names the length", post("Connection: Content-Length", LENGTH)),
    fine("a Connection of commas", post("Connection: ,,", LENGTH)),
    Row(
        "Expect in HTTP/1.0",
        head("POST /TARGET HTTP/1.0", f"Host: {HOST}", "Expect: 100-continue", LENGTH) + BODY,
        ("200",),
        closes=True,
    ),
    Row("an expectation that is unknown", post("Expect: 200-maybe", LENGTH), ("200", "417"), closes=None),
    Row("a body of GET", head("GET /livez HTTP/1.1", f"Host: {HOST}", LENGTH) + BODY, ("200",), closes=None),
    Row("chunks of GET", head("GET /livez HTTP/1.1", f"Host: {HOST}", CHUNKED) + PLAIN, ("200",), closes=None),
    fine("H31 HTML wanted", post("Accept: text/html", LENGTH)),
]

HEADS = [*SIZES, *HOSTS, *LINES, *METHODS, *TARGETS, *CONNECTIONS]
