"""The head of a request: how long it may be, and what leaves no doubt about where the request ends and for whom it is.

What the parser refuses by itself (a length that is no number, two lengths, a length beside chunks, folded lines, control
characters) does not come here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache

import httptools

from service.errors import ServiceError
from service.web.errors import HeadersTooLarge, HttpVersionNotSupported, InternalError, InvalidRequest, UriTooLong

log = logging.getLogger("logitd.web")

MOST_URL_BYTES, MOST_HEADER_BYTES, MOST_HEADERS = 8 << 10, 16 << 10, 100
MOST_PORT = 65_535
# RFC 3986, section 3.2: a name or address, perhaps a port, and no user, path or list.
AUTHORITY = rb"(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?"
HOST = re.compile(AUTHORITY)
# A whole URL, as clients send it to a proxy.
TARGET = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://" + AUTHORITY + rb"(?:[/?][^#]*)?")
# Hosts that are remembered: most requests name one of a few.
MOST_HOSTS = 256


def check_head(method: bytes, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise UriTooLong, HeadersTooLarge, HttpVersionNotSupported, or InvalidRequest where two readers could differ.

    headers: names in lower case, as often as they came.  Source: RFC 9112, sections 3.2 and 6.3.
    """
    if version not in {"1.1", "1.0"}:
        raise HttpVersionNotSupported("send HTTP/1.1")
    if len(target) > MOST_URL_BYTES:
        raise uri_too_long()
    is_path = target[:1] == b"/" and b"#" not in target
    if method == b"CONNECT" or not (is_path or TARGET.fullmatch(target)):
        raise InvalidRequest("the request target must be a path")
    check_headers(headers, version)


def check_headers(headers: Sequence[tuple[bytes, bytes]], version: str) -> None:
    """See ``check_head``."""
    if len(headers) > MOST_HEADERS:
        raise headers_too_large()
    n_bytes, hosts = 4 * len(headers), []
    for name, value in headers:
        n_bytes += len(name) + len(value)
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            if value[:1] == b"0" and value != b"0":
                raise InvalidRequest("the Content-Length must be a number without leading zeros")
        elif name == b"transfer-encoding" and (value.strip().lower() != b"chunked" or version == "1.0"):
            raise InvalidRequest("the Transfer-Encoding must be chunked, in HTTP/1.1")
    if n_bytes > MOST_HEADER_BYTES:
        raise headers_too_large()
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise InvalidRequest("there must be one header Host")
    if hosts and not is_host(hosts[0].rstrip(b" \t")):
        raise InvalidRequest("the header Host must be a name or an address, with or without a port")


@lru_cache(MOST_HOSTS)
def is_host(value: bytes) -> bool:
    """Whether this can be the header Host: RFC 3986, section 3.2, without a user."""
    found = HOST.fullmatch(value)
    return found is not None and int(found[1] or b"0") <= MOST_PORT


def headers_too_large() -> HeadersTooLarge:
    """The refusal of more header fields than are read."""
    return HeadersTooLarge(f"the header fields may be {MOST_HEADERS} with {MOST_HEADER_BYTES} bytes")


def uri_too_long() -> UriTooLong:
    """The refusal of a longer request target."""
    return UriTooLong(f"the request target may have at most {MOST_URL_BYTES} bytes")


def check_trailers(trailers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise HeadersTooLarge for more fields behind a body than may be ahead of it; nothing reads them."""
    n_bytes = sum(len(name) + len(value) + 4 for name, value in trailers)
    if len(trailers) > MOST_HEADERS or n_bytes > MOST_HEADER_BYTES:
        raise headers_too_large()


def without_upgrade(method: bytes, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head as bytes, without its wish to speak another protocol, of which a server need take no notice.

    Source: RFC 9110, section 7.8.
    """
    kept = [(name, value) for name, value in headers if name not in {b"upgrade", b"connection"}]
    options = [option.strip() for name, value in headers if name == b"connection" for option in value.split(b",")]
    others = b", ".join(option for option in options if option.lower() not in {b"upgrade", b"http2-settings"})
    lines = b"".join(b"%b: %b\r\n" % header for header in [*kept, (b"connection", others)] if header[1])
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version.encode(), lines)


def refusal_of(error: httptools.HttpParserError) -> ServiceError:
    """What to say of an error of the parser, or of one of ours in a callback of it."""
    cause = error.__context__
    if isinstance(cause, ServiceError):
        return cause
    if cause is None or isinstance(cause, httptools.HttpParserError):
        return InvalidRequest("this is not one clear HTTP/1.1 request", hint="see RFC 9112")
    log.error("a defect in the HTTP protocol", exc_info=cause)
    return InternalError("an internal error; the log has it")
