"""The shortest way from a body to numbers, for the bodies that nearly all requests have.

A body is plain when it is rows of as many finite numbers as the model has columns, without null, names or strings:
``{"instances": [[…], …]}``, a bare list of rows, or the same as CSV.  For every other body these functions return None,
and the readers that can say what is wrong with it take over; what they accept, they read to the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import simdjson

from service.tabular.limits import Limits

Matrix: TypeAlias = npt.NDArray[np.float64]
Row: TypeAlias = list[float]  # or of whole numbers: a product with a float is the same

# Above this length a parser that fills an array is faster than one that makes lists.
FEW_BYTES = 4096
FEW_ROWS = 8
PIECE_BYTES = 1 << 18
_INSTANCES = "instances"
_OPENING = b'{"instances"'
# What JSON allows around and beside numbers, and CSV does not.
_MARKS_OF_JSON = (b"[", b"]", b"{", b" ", b"\t", b"\r")
# KeyError and TypeError: another shape or another kind of cell; RuntimeError: a whole number beyond 64 bits.
_NOT_PLAIN = (ValueError, TypeError, KeyError, AttributeError, RuntimeError)


def few_rows(body: bytes, width: int) -> list[Row] | None:
    """The rows of a short plain JSON body, at most ``FEW_ROWS`` of ``width`` cells, or None.

    A cell is a number, or something that no float can be multiplied with: that is left to the first product, which
    raises TypeError then.
    """
    # Without these letters there is no true and no false, which could be multiplied; "instances" has neither.
    if len(body) > FEW_BYTES or body.find(b"u") >= 0 or body.find(b"f") >= 0:
        return None
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(rows) is dict:
        # No quote after the first key: it is the only one, and has its name once.
        if body.rfind(b'"', len(_OPENING)) >= 0:
            return None
        rows = rows.get(_INSTANCES)
    if type(rows) is not list or not 0 < len(rows) <= FEW_ROWS:
        return None
    for row in rows:
        if type(row) is not list or len(row) != width:
            return None
    return rows


def matrix(body: bytes, width: int, limits: Limits, parser: simdjson.Parser | None = None) -> Matrix | None:
    """The rows of a plain JSON body, (n_rows, width), or None.

    parser: kept by the caller between bodies, for one thread; it holds the memory of the largest that it has seen.
    """
    # The parser passes over a byte order mark, which JSON does not allow.
    if not body.startswith((b"{", b"[")):
        return None
    parser = parser or simdjson.Parser()
    try:
        parts = [_rows(piece, width, parser) for piece in _pieces(body, parser)]
        limits.check(sum(map(len, parts)), width)
    except _NOT_PLAIN:
        return None
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _pieces(body: bytes, parser: simdjson.Parser) -> Iterator[bytes]:
    """The list of rows cut into lists of some.  Raises ValueError or another of ``_NOT_PLAIN``.

    The parser does not let other threads run, so that it is given no more at a time than it reads in a millisecond or
    two.  A cut in a wrong place leaves a bracket open, which the parser refuses.
    """
    outer, end = body.index(b"["), body.rindex(b"]")
    _check_envelope(body[:outer] + b"[]" + body[end + 1 :], parser)
    start, last = body.index(b"[", outer + 1), body.rindex(b"]", outer, end)
    if body[outer + 1 : start].strip() or body[last + 1 : end].strip():
        raise ValueError("not a list of rows alone")
    while last + 1 - start > PIECE_BYTES:
        stop = body.index(b"]", start + PIECE_BYTES) + 1
        if stop > last:
            break
        following = body.index(b"[", stop)
        if body[stop:following].strip() != b",":
            raise ValueError("rows with something between them")
        yield b"[%b]" % body[start:stop]
        start = following
    yield b"[%b]" % body[start : last + 1]


def _check_envelope(text: bytes, parser: simdjson.Parser) -> None:
    # A function of its own: the parser reads nothing more while something that it has read is held.
    envelope: Any = parser.parse(text)
    if isinstance(envelope, simdjson.Object):
        rows: Any = envelope[_INSTANCES]
        if len(envelope) != 1 or len(rows):
            raise ValueError("another key than instances")


def _rows(text: bytes, width: int, parser: simdjson.Parser) -> Matrix:
    """Rows of ``width`` numbers.  Raises ValueError or another of ``_NOT_PLAIN``."""
    rows: Any = parser.parse(text)
    cells = np.frombuffer(rows.as_buffer(of_type="d"), dtype=np.float64)
    # Rows of rows have more brackets.
    n_brackets = np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == ord("["))
    if n_brackets != len(rows) + 1 or not all(len(row) == width for row in rows):
        raise ValueError("rows of other lengths, or of rows")
    return cells.reshape(len(rows), width)


def csv_as_json(body: bytes, names: Sequence[str]) -> bytes:
    """Plain CSV as the JSON that the functions above read; a header row may name the columns in order.

    Lines become rows, and what is no JSON number fails there: JSON's numbers are all numbers in CSV too.  Empty when
    the body is not plain.
    """
    text = body.replace(b"\r\n", b"\n").removesuffix(b"\n")
    first, _, rest = text.partition(b"\n")
    header = ",".join(names).encode()
    if first == header:
        text = rest
    elif set(first.split(b",")) == set(header.split(b",")):
        return b""
    if any(mark in text for mark in _MARKS_OF_JSON):
        return b""
    return b"[[%b]]" % text.replace(b"\n", b"],[")
