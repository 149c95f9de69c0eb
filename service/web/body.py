"""Reading a request's body: media type, content coding, and a limit that is held while reading."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache

from starlette.requests import Request

from service.errors import InvalidEncoding
from service.web.errors import ACCEPTED, PayloadTooLarge, UnsupportedEncoding, UnsupportedMediaType

MAX_GZIP_MEMBERS = 16
# What comes after is no type that is read here, and need not be remembered.
MAX_TYPE_LENGTH = 256
# Python reads no more than 4300 digits as a number; 2**64 has 20.
MAX_LENGTH_DIGITS = 20


class MediaType(Enum):
    """The types of body that are read; the value is the Content-Type."""

    JSON = "application/json"
    CSV = "text/csv"


def media_type(headers: Mapping[str, str]) -> MediaType:
    """The type of the body: JSON when there is none, and for what ``curl -d`` sends by itself.

    Raises UnsupportedMediaType for other types and for charsets other than UTF-8.
    """
    return _media_type(headers.get("content-type", "")[:MAX_TYPE_LENGTH])


@lru_cache(maxsize=64)
def _media_type(value: str) -> MediaType:
    kind, _, parameters = value.lower().partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip(' "')
    if charset not in {"", "utf-8", "utf8"}:
        raise UnsupportedMediaType("the charset must be utf-8")
    kind = kind.strip()
    if kind == MediaType.CSV.value:
        return MediaType.CSV
    if kind in {"", "application/json", "application/x-www-form-urlencoded"} or (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        return MediaType.JSON
    raise UnsupportedMediaType(f"the Content-Type must be one of {ACCEPTED}")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, inflated if it came as gzip; never more than ``limit`` bytes, on the wire and after.

    Errors: those of ``received`` and ``decoded``.
    """
    return decoded(await received(request, limit), request.headers, limit)


async def received(request: Request, limit: int) -> bytes:
    """The body as it was sent; PayloadTooLarge as soon as the announced or the counted length passes the limit."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and (len(announced) > MAX_LENGTH_DIGITS or int(announced) > limit):
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def decoded(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body without its content coding; raises UnsupportedEncoding or what ``inflate`` raises."""
    return inflate(body, limit) if is_gzip(headers) else body


def is_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the body came as gzip; raises UnsupportedEncoding for any other coding."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip"}:
        raise UnsupportedEncoding("the Content-Encoding must be gzip, or none")
    return encoding == "gzip"


def announced_bytes(body: bytes) -> int:
    """What gzip ``body`` says of its content's length, in its last four bytes (RFC 1952); it may be a lie."""
    return int.from_bytes(body[-4:], "little")


def inflate(body: bytes, limit: int) -> bytes:
    """The content of gzip ``body``; raises InvalidEncoding, or PayloadTooLarge after at most ``limit`` + 1 bytes."""
    inflated, rest = b"", body
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            inflated += member.decompress(rest, limit + 1 - len(inflated))
        except zlib.error:
            raise InvalidEncoding("the body is not gzip, or is damaged") from None
        if len(inflated) > limit:
            raise too_large(limit)
        if not member.eof:
            raise InvalidEncoding("the gzip body ends too early")
        rest = member.unused_data
        if not rest:
            return inflated
    raise InvalidEncoding(f"the gzip body has more than {MAX_GZIP_MEMBERS} members")


def too_large(limit: int) -> PayloadTooLarge:
    """The refusal of a longer body."""
    return PayloadTooLarge(f"the body may have at most {limit} bytes")
