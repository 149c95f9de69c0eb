"""Requests for predictions, good and bad, drawn at random: for the models of the served store."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

QUERIES = (
    *(("model=abc",) * 6),
    *("model=abc@live", "model=abc/1", "model=abc/2", "model=abc@nowhere", "model=iris", "model=breast-cancer", ""),
    *("model=penguins", "model=nothing", "model=A", "model=../x", "model=abc/01", "model=%61bc", "model=", "&", "x=1"),
    *("model=abc&threshold=0.35", "model=abc&threshold=2", "model=iris&threshold=0.5", "model=abc&threshold=NaN"),
    *("model=abc&explain=true", "model=abc&explain=maybe", "model=abc&interval=0.9", "model=abc&interval=1"),
    *("model=abc&model=iris", "model=abc&explain=1&threshold=0.1&interval=0.5", "modle=abc", "model=abc&explain=0"),
)
TYPES = (
    *(("application/json",) * 6),
    *("text/csv", "text/csv; charset=utf-8", "application/x-www-form-urlencoded", "application/vnd.api+json"),
    *("text/plain", "application/json; charset=latin-1", "", "TEXT/CSV", "application/JSON;charset=UTF-8"),
)
SITES = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://127.0.0.1:8000"})
NUMBERS = (
    *("0", "-0", "-0.0", "1", "-1.5", "1e3", "1E-2", "1e-999", "5e-324", "9007199254740993", "18446744073709551616"),
    *("1.7976931348623157e308", "1e400", "123456789012345678901234567890", "0.1", "-12345.678"),
)
ODD = ("null", "true", "false", "NaN", "Infinity", '"1"', '"x"', "[]", "{}", "[1]", "+1", ".5", "01", "1.", "")
ARMS = ("instances", "data", "instance", "columns")


class Drawn(NamedTuple):
    """A request; ``headers`` without host and length."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def drawn(rng: random.Random, keys: Sequence[str] = ()) -> Drawn:
    """One request, with one of the keys or without when there are any."""
    query, kind = rng.choice(QUERIES), rng.choice(TYPES)
    headers = {"Content-Type": kind} if kind else {}
    body = _body(rng, width=_width(query), is_csv="csv" in kind.lower())
    if rng.random() < 0.1:
        body = _damaged(rng, body)
    if rng.random() < 0.06:
        body, headers["Content-Encoding"] = _coded(rng, body)
    if rng.random() < 0.05:
        headers |= rng.choice(SITES)
    if rng.random() < 0.2:
        headers["X-Request-Id"] = rng.choice(("mine", "a b", "x" * 200))
    if keys:
        headers |= _presented(rng, rng.choice(keys))
    method = "POST" if rng.random() < 0.97 else rng.choice(("GET", "PUT", "OPTIONS", "DELETE"))
    path = rng.choice(("/predict", "/predict_proba", "/predict_proba", "/predict/", "/predic%74", "/predict%5Fproba"))
    return Drawn(method, f"{path}?{query}" if query else path, headers, body)


def _width(query: str) -> int:
    return 30 if "breast" in query else 4 if "iris" in query or not query else 3


def _presented(rng: random.Random, key: str) -> dict[str, str]:
    """A key in the right place or in a wrong one, damaged or not, or none."""
    if rng.random() < 0.1:
        key = rng.choice((key[:-1], key + "x", key.upper(), "", "\xe9" * 40, key + " " + key, "k" * 300))
    bearer = {"Authorization": rng.choice(("Bearer ", "Bearer ", "bearer ", "BEARER  ")) + key}
    basic = {"Authorization": "Basic " + key}
    api_key = {"X-API-Key": key}
    return rng.choice((bearer, bearer, api_key, api_key, api_key | basic, api_key | bearer, basic, {}))


def _body(rng: random.Random, width: int, *, is_csv: bool) -> bytes:
    if rng.random() < 0.1:
        width += rng.choice((-1, 1))
    n_rows = rng.choice((1, 1, 1, 2, 3, 8, 9, 20, 0, 3000 if rng.random() < 0.05 else 5))
    rows = [[_cell(rng) for _ in range(width)] for _ in range(n_rows)]
    if rows and rng.random() < 0.05:
        rng.choice(rows).append("1")
    if is_csv:
        return _csv(rng, rows)
    cells = ["[" + rng.choice((",", ", ")).join(row) + "]" for row in rows]
    if rng.random() < 0.15:
        names = "abcd"[:width]
        cells = [
            "{" + ",".join(f'"{name}":{cell}' for name, cell in zip(names, row, strict=False)) + "}" for row in rows
        ]
    text = "[" + ",".join(cells) + "]"
    form = rng.random()
    if form < 0.6:
        text = '{"instances":' + text + "}"
    elif form < 0.7:
        names = json.dumps(list("abc"[:width]))
        text = f'{{"columns":{names},"data":{text}}}'
    elif form < 0.75:
        text = f'{{"{rng.choice(ARMS)}": {text}, "{rng.choice(ARMS)}": {text}}}'
    elif form < 0.8:
        text = cells[0] if cells else "null"
    return text.encode()


def _cell(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.9:
        return repr(rng.gauss(0, 2))
    return rng.choice(NUMBERS) if kind < 0.985 else rng.choice(ODD)


def _csv(rng: random.Random, rows: list[list[str]]) -> bytes:
    end = rng.choice(("\n", "\n", "\r\n"))
    lines = [",".join(row) for row in rows]
    if rng.random() < 0.4:
        lines.insert(0, rng.choice(("a,b,c", "c,b,a", "a,b", "a,b,d", '"a",b,c')))
    return (end.join(lines) + rng.choice(("", end, end + end))).encode()


def _damaged(rng: random.Random, body: bytes) -> bytes:
    place = rng.randrange(len(body) + 1)
    new: Any = rng.choice((b"", b"]", b"[", b'"', b"\xff", b"\xef\xbb\xbf", b",", b" ", b"\0", b"{", b"}", b"u"))
    return rng.choice((body[:place], body[:place] + new + body[place:], body[:place] + new + body[place + 1 :]))


def _coded(rng: random.Random, body: bytes) -> tuple[bytes, str]:
    return rng.choice(((gzip.compress(body, mtime=0), "gzip"), (body, "gzip"), (body, "br"), (body, "identity")))
