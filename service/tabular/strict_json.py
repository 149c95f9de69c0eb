"""Strict JSON: what the standard library accepts too kindly is refused here, with the place."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter

import numpy as np

from service.errors import DuplicateKey, InvalidJson, NestingTooDeep, quoted

MAX_DEPTH = 16

_OPENING, _CLOSING = b"[{", b"]}"
_UNMARKED = bytes(sorted(set(range(256)) - set(_OPENING + _CLOSING + b'"')))
_STEPS = bytes.maketrans(_OPENING + _CLOSING, b"\x01\x01\xff\xff")  # +1 and -1 as int8
# The closing quote is optional, so that a string without one is passed over once and not once a character.
_STRING = re.compile(rb'"[^"]*+"?')
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> object:
    """The value of a JSON text (RFC 8259) in UTF-8 without a byte order mark.

    The tokens ``NaN``, ``Infinity`` and numbers beyond the range of a double parse as floats; the readers of the
    value decide on them.  Raises InvalidJson (with the byte offset), DuplicateKey, or NestingTooDeep beyond 16 levels.
    """
    text = _decode(body)
    _check_depth(body)
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise InvalidJson(f"not JSON at byte {offset}: {error.msg.lower()}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise InvalidJson("a whole number has more digits than are read (4300)") from None
    _check_surrogates(body, value)
    return value


def _decode(body: bytes) -> str:
    if not body:
        raise InvalidJson("the body is empty; expected JSON")
    if body.startswith(codecs.BOM_UTF8):
        raise InvalidJson("the body must be UTF-8 without BOM; it begins with a byte order mark")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJson(f"the body must be UTF-8 without BOM; byte {error.start} is not UTF-8") from None


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise _too_deep()


def _depth(body: bytes) -> int:
    """The deepest nesting of the brackets outside strings."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Once all else is deleted, a string without brackets is two quotes; few others are left for the slow way.
    marks = body.translate(None, _UNMARKED).replace(b'""', b"")
    if b'"' in marks:
        marks = _STRING.sub(b"", marks)
    steps = np.frombuffer(marks.translate(_STEPS), dtype=np.int8)
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def _too_deep() -> NestingTooDeep:
    return NestingTooDeep(f"the body is nested deeper than {MAX_DEPTH} levels")


def _check_surrogates(body: bytes, value: object) -> None:
    """Raise InvalidJson for half a surrogate pair: such a string cannot be written as UTF-8 again."""
    if b"\\u" not in body or not _SURROGATE_ESCAPE.search(body):
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidJson("a string holds a lone surrogate (\\ud800 to \\udfff)") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        name, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise DuplicateKey(f"an object has the key {quoted(name)} twice")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
